//! Why a job failed for good, in words its caller can act on.

use std::any::Any;

use jobs::job::{MEBIBYTE, shortened};
use jobs::{Diagnostic, Failure, Violation};

use crate::press::{PressError, signal_of};

/// SIGHUP, SIGINT and SIGTERM: somebody stopped the machine or the service, and the job had no part in it.
const STOP_SIGNALS: [i32; 3] = [1, 2, 15];

/// How much of one error is told, in characters. The typesetter bounds their number and their messages.
const MAX_CHARS: usize = 4_000;

/// How much of all errors is told, in bytes: beside the job's data in a record of 400 KB, and in a mail of 256 KB.
const MAX_DIAGNOSTICS_BYTES: usize = 64 * 1024;

/// What a Rust program says before it ends of a stack that is full.
const STACK_OVERFLOW: &str = "has overflowed its stack";

/// The most that all violations take, in bytes of JSON: they stand beside the job's data in a record of 400 KB.
const MAX_VIOLATIONS_BYTES: usize = 64 * 1024;

/// The title of a failure by its name, or `None` where the name is of no failure.
pub fn title_of(name: &str) -> Option<&'static str> {
    Some(match name {
        "template-error" => "The template has an error, or does not fit this data.",
        "template-missing" => "The template is gone.",
        "section-refused" => "The template cannot be typeset in sections.",
        "data-limit-exceeded" => "The data is too large.",
        "page-limit-exceeded" => "The report has too many pages.",
        "schema-too-costly" => "The template's schema is too costly to check this data against.",
        "invalid-data" => "The data does not fit the template.",
        "options-refused" => "The options do not go together.",
        "input-missing" => "The data is gone.",
        "time-limit-exceeded" => "The report took too long.",
        "memory-limit-exceeded" => "The report took too much memory.",
        "output-limit-exceeded" => "The report became too large.",
        "typesetter-panicked" | "typesetter-crashed" => "The typesetter made a mistake.",
        "processor-panicked" => "The processor made a mistake.",
        _ => return None,
    })
}

/// A failure of this name, with its title.
pub(crate) fn failure(name: &str, detail: impl Into<String>) -> Failure {
    Failure::new(name, title_of(name).unwrap_or("The report could not be made."), detail)
}

/// The failure of a run that panicked with this payload.
pub(crate) fn failure_of_panic(payload: &(dyn Any + Send)) -> Failure {
    let said = payload.downcast_ref::<&str>().copied();
    let said = said.or_else(|| payload.downcast_ref::<String>().map(String::as_str)).unwrap_or("nothing");
    let detail = format!("This is a defect of Pressrun. The run panicked and said: {}.", shortened(said, MAX_CHARS));
    failure("processor-panicked", detail)
}

/// The failure that a press's error means, or nothing if another attempt may do better.
pub fn failure_of(error: &PressError) -> Option<Failure> {
    Some(match error {
        PressError::Typesetter(typesetter::Error::Io { .. } | typesetter::Error::Request { .. })
        | PressError::Unusable(_)
        | PressError::Killed => return None,
        PressError::Crashed { status, .. } if signal_of(*status).is_some_and(|it| STOP_SIGNALS.contains(&it)) => {
            return None;
        }
        PressError::Typesetter(error) => from_typesetter(error),
        PressError::TimeLimit(limit) => failure(
            "time-limit-exceeded",
            format!(
                "Typesetting was stopped after {:.0} s. Look for a loop that does not end, send less data, or raise the \
                 time limit.",
                limit.as_secs_f64()
            ),
        ),
        PressError::MemoryLimit(limit) => failure(
            "memory-limit-exceeded",
            format!(
                "Typesetting was stopped when it asked for more than {} MiB. Send less data, make the template build \
                 less at once, or raise the memory limit.",
                limit / MEBIBYTE
            ),
        ),
        PressError::Crashed { complaint, .. } if complaint.contains(STACK_OVERFLOW) => failure(
            "template-error",
            "Typesetting ran out of stack. Look for content that is nested without end, or for data that is nested deeper than \
             the template expects.",
        ),
        PressError::Crashed { status, complaint } => failure(
            "typesetter-crashed",
            format!("The typesetting process ended with {status}. It said: {}", shortened(complaint, MAX_CHARS)),
        ),
    })
}

/// An error's words as a sentence.
pub(crate) fn sentence(error: &impl std::fmt::Display) -> String {
    let words = error.to_string();
    let mut letters = words.chars();
    let first = letters.next().into_iter().flat_map(char::to_uppercase);
    first.chain(letters).chain(['.']).collect()
}

fn from_typesetter(error: &typesetter::Error) -> Failure {
    let detail = match error {
        // It begins with a file's name.
        typesetter::Error::Template { .. } => format!("{error}."),
        // Where on this machine it should be is not for callers.
        typesetter::Error::MissingTemplate { template } => {
            let template = template.file_name().map(Into::into).unwrap_or_default();
            sentence(&typesetter::Error::MissingTemplate { template })
        }
        error => sentence(error),
    };
    let mut failure = failure(error.name(), detail);
    let mut room = MAX_DIAGNOSTICS_BYTES;
    for diagnostic in error.diagnostics().iter().map(diagnostic) {
        room = room.saturating_sub(size(&diagnostic));
        if room == 0 {
            break;
        }
        failure.diagnostics.push(diagnostic);
    }
    failure
}

/// The failure of a job whose data does not fit, and what to do about it.
pub(crate) fn invalid_data(violations: Vec<Violation>, advice: &str) -> Failure {
    let count = match violations.len() {
        1 => "1 violation".to_owned(),
        input::MAX_FAULTS => format!("{} violations, and reading stopped there", input::MAX_FAULTS),
        count => format!("{count} violations"),
    };
    let first = violations.first().map(|first| format!(" The first, {first}.")).unwrap_or_default();
    let mut failure = failure("invalid-data", format!("{count}.{first} {advice}"));
    let mut room = MAX_VIOLATIONS_BYTES;
    failure.errors.extend(violations.into_iter().take_while(|violation| {
        // A control character takes six bytes.
        let bytes = serde_json::to_string(violation).map_or(0, |json| json.len() + 1);
        room = room.saturating_sub(bytes);
        room > 0
    }));
    failure
}

fn size(diagnostic: &Diagnostic) -> usize {
    diagnostic.rendered.len() + diagnostic.message.len() + diagnostic.hints.iter().map(String::len).sum::<usize>()
}

fn diagnostic(from: &typesetter::Diagnostic) -> Diagnostic {
    Diagnostic {
        message: from.message.clone(),
        file: from.file.clone(),
        line: from.line,
        column: from.column,
        hints: from.hints.clone(),
        rendered: shortened(from, MAX_CHARS),
    }
}

#[cfg(all(test, unix))]
mod tests {
    use std::os::unix::process::ExitStatusExt;
    use std::process::ExitStatus;

    use super::*;

    fn crashed(complaint: &str) -> Failure {
        const SIGABRT: i32 = 6;
        let (status, complaint) = (ExitStatus::from_raw(SIGABRT), complaint.to_owned());
        failure_of(&PressError::Crashed { status, complaint }).expect("a failure for good")
    }

    #[test]
    fn a_full_stack_is_the_templates() {
        let said = "\nthread 'main' (1) has overflowed its stack\nfatal runtime error: stack overflow, aborting";
        assert_eq!(crashed(said).name(), "template-error");
        assert_eq!(crashed("corrupted size vs. prev_size").name(), "typesetter-crashed");
    }

    #[test]
    fn violations_are_bounded_as_they_are_recorded() {
        let violation = |number: usize| Violation {
            line: None,
            column: None,
            pointer: format!("/{number}/{}", "\u{1}".repeat(400)),
            detail: "\u{1}".repeat(400),
        };
        let failure = invalid_data((0..100).map(violation).collect(), "Mend the data.");
        let json = serde_json::to_string(&failure.errors).expect("JSON");
        assert!(!failure.errors.is_empty() && json.len() <= MAX_VIOLATIONS_BYTES, "{} bytes", json.len());
        assert!(failure.detail.starts_with("100 violations"), "{}", failure.detail);
    }
}
