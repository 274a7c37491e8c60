//! What the commands for callers share: their errors, how these are shown, and their exit statuses.

use std::error::Error;
use std::fmt::Display;
use std::io::{self, Write};
use std::process::ExitCode;
use std::time::Duration;

use findings::visible_lines;
use jobs::Failure;
use jobs::job::shortened;
use reqwest::StatusCode;
use serde::Deserialize;

/// How much of an answer that is not Pressrun's is quoted, in characters.
const MAX_FOREIGN_CHARS: usize = 300;

/// Why a command did not do what was asked. Each kind has an exit status of its own.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CallerError {
    #[error("{0}")]
    Usage(String),
    #[error("{name} is not JSON: {source}")]
    NotJson { name: String, source: serde_json::Error },
    #[error("{name} cannot be read: {detail}")]
    NotUtf8 { name: String, detail: String },
    /// The job ended without a report.
    #[error("{} {}", .0.title, .0.detail)]
    Failed(Box<Failure>),
    /// The server said no, and will say so again.
    #[error("{0}")]
    Refused(Box<Refusal>),
    /// The server could not do it, and may be able to later.
    #[error("{0}")]
    Unavailable(Box<Refusal>),
    #[error("cannot reach {url}: {}", root_of(.source))]
    Unreachable { url: String, source: reqwest::Error },
    /// Something answered, but not as Pressrun does.
    #[error("{url} does not answer as Pressrun does: {found}")]
    Foreign { url: String, found: String },
    #[error("cannot {attempted}: {source}")]
    Io { attempted: String, source: io::Error },
}

/// An answer of 400 and more.
#[derive(Debug)]
pub(crate) struct Refusal {
    pub(crate) status: StatusCode,
    pub(crate) retry_after: Option<Duration>,
    problem: Problem,
}

/// What an RFC 9457 problem says.
#[derive(Debug, Deserialize)]
struct Problem {
    #[serde(default, rename = "type")]
    kind: String,
    title: String,
    #[serde(default)]
    detail: String,
    #[serde(default)]
    errors: Vec<Violation>,
}

/// One place where a request is not as it should be.
#[derive(Debug, Deserialize)]
struct Violation {
    pointer: String,
    detail: String,
}

impl Refusal {
    /// Reads the body of an answer from `url`; one that is no problem is quoted as it is.
    pub(crate) fn new(url: &str, status: StatusCode, retry_after: Option<Duration>, body: &[u8]) -> Self {
        let problem = serde_json::from_slice(body).unwrap_or_else(|_| Problem {
            kind: String::new(),
            title: format!("{url} answered {status}."),
            detail: shortened(String::from_utf8_lossy(body).trim(), MAX_FOREIGN_CHARS),
            errors: Vec::new(),
        });
        Self { status, retry_after, problem }
    }

    /// Whether the problem's type has this name.
    pub(crate) fn is(&self, name: &str) -> bool {
        self.problem.kind.strip_prefix(Failure::TYPE_PREFIX) == Some(name)
    }
}

impl std::fmt::Display for Refusal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {}", self.problem.title, self.problem.detail)?;
        for violation in &self.problem.errors {
            write!(f, "\n  {}: {}", place(&violation.pointer), violation.detail)?;
        }
        Ok(())
    }
}

/// What a JSON Pointer leads to, in a message.
pub(crate) fn place(pointer: &str) -> &str {
    if pointer.is_empty() { "the document" } else { pointer }
}

impl CallerError {
    /// Whether the same call may work in a moment.
    pub(crate) fn may_pass(&self) -> bool {
        match self {
            Self::Unavailable(refusal) => refusal.status != StatusCode::INTERNAL_SERVER_ERROR,
            Self::Unreachable { source, .. } => !source.is_builder() && !source.is_redirect(),
            _ => false,
        }
    }

    /// Whether it is the job that went wrong, and nothing between it and its caller.
    pub(crate) fn is_the_jobs(&self) -> bool {
        matches!(self, Self::Failed(_))
    }

    fn exit_status(&self) -> u8 {
        match self {
            Self::Failed(_) => 1,
            Self::Usage(_) => 2,
            Self::NotJson { .. } | Self::NotUtf8 { .. } | Self::Refused(_) => 3,
            Self::Unavailable(_) | Self::Unreachable { .. } | Self::Foreign { .. } => 4,
            Self::Io { .. } => 5,
        }
    }

    /// Shows the error on standard error, with what to do about it.
    fn print(&self) {
        match self {
            Self::Failed(failure) if !failure.diagnostics.is_empty() => {
                for diagnostic in &failure.diagnostics {
                    complain(format!("{}\n", diagnostic.rendered));
                }
            }
            Self::Failed(failure) => {
                complain(format!("error: {self}"));
                for violation in &failure.errors {
                    complain(format!("  {violation}"));
                }
            }
            _ => complain(format!("error: {self}")),
        }
        if let Some(advice) = self.advice() {
            complain(advice);
        }
    }

    fn advice(&self) -> Option<&'static str> {
        match self {
            Self::Unreachable { .. } => Some(
                "Start a server there with `pressrun serve`, or name another one with --url or in PRESSRUN_URL. One that \
                 runs may be too busy or behind a proxy.",
            ),
            Self::Unavailable(_) => Some("Try again in a while. If that does not help, the server's log says why."),
            Self::Foreign { .. } => Some("Check --url and PRESSRUN_URL."),
            Self::Refused(refusal) if refusal.status == StatusCode::UNAUTHORIZED => {
                Some("The token goes into --token or PRESSRUN_TOKEN.")
            }
            _ => None,
        }
    }
}

/// Says how a command went.
pub(crate) fn exit(result: Result<(), CallerError>) -> ExitCode {
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            error.print();
            ExitCode::from(error.exit_status())
        }
    }
}

/// What a system call or a library said at the very bottom of an error.
fn root_of(error: &reqwest::Error) -> String {
    let mut root: &dyn Error = error;
    while let Some(source) = root.source() {
        root = source;
    }
    root.to_string()
}

/// Names what was attempted when a file, or standard input or output, did not do its part.
pub(crate) fn failed_to(attempted: impl Into<String>) -> impl FnOnce(io::Error) -> CallerError {
    let attempted = attempted.into();
    move |source| CallerError::Io { attempted, source }
}

/// Writes to standard output. A reader who has seen enough is no error.
pub(crate) fn print(text: &str) -> Result<(), CallerError> {
    match io::stdout().write_all(text.as_bytes()).and_then(|()| io::stdout().flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(failed_to("write to standard output")(error)),
        _ => Ok(()),
    }
}

/// Writes a line to standard error. What it quotes may hold controls, which a terminal is not to act on.
pub(crate) fn complain(text: impl Display) {
    eprintln!("{}", visible_lines(&text.to_string()));
}
