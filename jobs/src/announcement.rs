//! The words that tell people a job ended: one text, whether SNS mails it or it lands in an outbox.

use std::fmt::Write;

use chrono::{DateTime, Utc};
use findings::{Warning, visible_lines};
use serde::{Deserialize, Serialize};

use crate::job::{Failure, Job, JobId, Status, shortened};

/// The longest subject, in characters: SNS takes less than a hundred.
pub const MAX_SUBJECT_CHARS: usize = 99;

/// How many violations of an upload are told; the job's record has more.
const MAX_VIOLATIONS: usize = 10;
/// The most warnings that an announcement lists.
const MAX_WARNINGS: usize = 10;

/// The longest text, in characters: with its escapes it fits into a message of any queue.
const MAX_TEXT_CHARS: usize = 40_000;

/// One announcement of a job's end.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Announcement {
    /// The job; deliveries may repeat, and this is what to deduplicate on.
    pub job_id: JobId,
    /// Its template.
    pub template: String,
    /// How it ended.
    pub status: Status,
    /// How often it had been queued again.
    pub retries: u32,
    /// The caller's own words.
    pub tags: Vec<String>,
    /// The subject, at most [`MAX_SUBJECT_CHARS`], in any script and without control characters.
    pub subject: String,
    /// What says the same in ASCII, whatever the caller chose.
    pub plain_subject: String,
    /// The plain text: lines, without any other control characters.
    pub text: String,
}

impl Announcement {
    /// Tells that `job` has a report, at `link` until `link_expires_at`.
    pub fn completed(job: &Job, link: &str, link_expires_at: DateTime<Utc>) -> Self {
        let mut text = String::from("Your report is ready.\n\n");
        let mut line = |name, value: String| _ = writeln!(text, "  {name:<9} {value}");
        line("Template", job.template.clone());
        if let Some(pages) = job.pages {
            line("Pages", pages.to_string());
        }
        if let Some(bytes) = job.bytes {
            line("Size", size(bytes));
        }
        line("Job", job.id.to_string());
        write_warnings(&mut text, &job.warnings);
        _ = write!(text, "\nDownload:\n{link}\n\nThe link works until {}.\n", link_expires_at.format("%-d %B %Y"));
        Self::new(job, Status::Completed, format!("Report ready: {}", job.template), text)
    }

    /// Tells that `job` failed.
    pub fn failed(job: &Job, failure: &Failure) -> Self {
        let mut text = format!(
            "Your report could not be made.\n\n  Template  {}\n  Job       {}\n\n{}\n{}\n",
            job.template, job.id, failure.title, failure.detail
        );
        for diagnostic in &failure.diagnostics {
            _ = write!(text, "\n{}\n", diagnostic.rendered);
        }
        if !failure.errors.is_empty() {
            text.push('\n');
        }
        for violation in failure.errors.iter().take(MAX_VIOLATIONS) {
            _ = writeln!(text, "  {violation}");
        }
        Self::new(job, Status::Failed, format!("Report failed: {}", job.template), text)
    }

    fn new(job: &Job, status: Status, subject: String, text: String) -> Self {
        let plain_subject: String = subject.chars().take(MAX_SUBJECT_CHARS).collect();
        let subject = match (&job.notify.subject, status) {
            (Some(wanted), Status::Failed) => format!("Failed: {wanted}"),
            (Some(wanted), _) => wanted.clone(),
            (None, _) => subject,
        };
        let subject: String = subject.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
        let subject = visible_lines(&subject);
        let (template, tags) = (job.template.clone(), job.notify.tags.clone());
        // It may quote the data.
        let text = visible_lines(&shortened(&text, MAX_TEXT_CHARS));
        let announcement =
            Self { job_id: job.id, template, status, retries: job.retries, tags, subject, plain_subject, text };
        match announcement.subject.char_indices().nth(MAX_SUBJECT_CHARS - 1) {
            Some((end, last)) if end + last.len_utf8() < announcement.subject.len() => {
                announcement.under(format!("{}…", &announcement.subject[..end]))
            }
            _ => announcement,
        }
    }

    /// The same under another subject; the text begins with the one that it had.
    pub(crate) fn under(&self, subject: String) -> Self {
        Self { text: format!("{}\n\n{}", self.subject, self.text), subject, ..self.clone() }
    }
}

/// Tells of the first warnings, and how many there are; of none, nothing.
fn write_warnings(text: &mut String, warnings: &[Warning]) {
    if warnings.is_empty() {
        return;
    }
    _ = writeln!(text, "\n{}:", counted(warnings.len(), "warning"));
    for warning in warnings.iter().take(MAX_WARNINGS) {
        _ = writeln!(text, "- {warning}");
    }
    if warnings.len() > MAX_WARNINGS {
        _ = writeln!(text, "- and {} more", warnings.len() - MAX_WARNINGS);
    }
}

fn counted(count: usize, what: &str) -> String {
    if count == 1 { format!("1 {what}") } else { format!("{count} {what}s") }
}

fn size(bytes: u64) -> String {
    match bytes {
        0..1_000 => format!("{bytes} bytes"),
        1_000..1_000_000 => format!("{:.0} kB", bytes as f64 / 1e3),
        _ => format!("{:.1} MB", bytes as f64 / 1e6),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    use crate::job::Notify;

    fn job() -> Job {
        let at = DateTime::from_timestamp_millis(1_763_715_600_000).expect("in range");
        let id = "019aa5b2-0000-7000-8000-000000000001".parse().expect("a UUID");
        Job { pages: Some(3), bytes: Some(48_211), ..Job::queued(id, "invoice", at) }
    }

    #[test]
    fn a_completed_job_reads_well() {
        let until = job().enqueued_at + chrono::Duration::days(30);
        let announcement = Announcement::completed(&job(), "https://example.org/r/1", until);
        assert_eq!(announcement.subject, "Report ready: invoice");
        insta::assert_snapshot!(announcement.text, @r"
        Your report is ready.

          Template  invoice
          Pages     3
          Size      48 kB
          Job       019aa5b2-0000-7000-8000-000000000001

        Download:
        https://example.org/r/1

        The link works until 21 December 2025.
        ");
    }

    #[test]
    fn a_failed_job_reads_well() {
        let failure = Failure::new("time-limit-exceeded", "The report took too long.", "It was stopped after 300 s.");
        let job = Job { notify: Notify { subject: Some("Invoice 42".into()), ..Notify::default() }, ..job() };
        let announcement = Announcement::failed(&job, &failure);
        assert_eq!(announcement.subject, "Failed: Invoice 42");
        insta::assert_snapshot!(announcement.text, @r"
        Your report could not be made.

          Template  invoice
          Job       019aa5b2-0000-7000-8000-000000000001

        The report took too long.
        It was stopped after 300 s.
        ");
    }

    #[test]
    fn the_first_warnings_are_told() {
        let until = job().enqueued_at + chrono::Duration::days(30);
        let first = Warning::of_character("missing-glyph", "No font has it.", Some("/to".into()), '漢');
        let mut job = Job { warnings: vec![first], ..job() };
        let text = |job: &Job| Announcement::completed(job, "https://example.org/r/1", until).text;
        let told = "\n\n1 warning:\n- at /to, 漢 (U+6F22): No font has it. [missing-glyph]\n\nDownload:";
        assert!(text(&job).contains(told), "{}", text(&job));
        job.warnings.extend((0..11).map(|page| Warning::new("odd", format!("Page {page} is odd."), None)));
        let told = text(&job);
        assert!(told.contains("\n12 warnings:\n- at /to"), "{told}");
        assert!(told.contains("- Page 8 is odd. [odd]\n- and 2 more\n\nDownload:"), "{told}");
    }

    #[test]
    fn a_subject_never_outgrows_what_sns_takes_and_nothing_of_it_is_lost() {
        for wanted in ["x".repeat(MAX_SUBJECT_CHARS), "é漢".repeat(49)] {
            let notify = Notify { subject: Some(wanted.clone()), ..Notify::default() };
            let job = Job { notify, ..job() };
            let failed = Announcement::failed(&job, &Failure::new("x", "x", "x"));
            assert_eq!(failed.subject.chars().count(), MAX_SUBJECT_CHARS);
            assert!(failed.subject.ends_with('…'), "{}", failed.subject);
            assert!(failed.text.starts_with(&format!("Failed: {wanted}\n\nYour report")), "{}", failed.text);
            let completed = Announcement::completed(&job, "https://example.org/r/1", job.enqueued_at);
            assert_eq!(completed.subject, wanted);
            assert!(completed.text.starts_with("Your report"), "{}", completed.text);
            assert_eq!(completed.plain_subject, "Report ready: invoice");
        }
    }

    #[test]
    fn controls_of_the_data_do_not_reach_the_text() {
        let violation =
            findings::Violation { line: None, column: None, pointer: "/a\rb".into(), detail: "\u{1b}[2J".into() };
        let mut failure = Failure::new("invalid-data", "The data\r does not fit.", "It says \u{7}\u{9b}2J.");
        failure.errors.push(violation);
        failure.diagnostics.push(crate::job::Diagnostic {
            message: String::new(),
            file: None,
            line: None,
            column: None,
            hints: Vec::new(),
            rendered: "error: \u{1b}]0;x\u{7}\r\n  here".into(),
        });
        let warning = Warning::new("odd", "ring \u{7}\r", Some("/\u{1b}c".into()));
        let job = Job { warnings: vec![warning], ..job() };
        for announcement in [
            Announcement::failed(&job, &failure),
            Announcement::completed(&job, "https://example.org/r/1", job.enqueued_at),
        ] {
            assert!(!announcement.text.contains(|c: char| c.is_control() && c != '\n'), "{:?}", announcement.text);
            assert!(!announcement.subject.contains(char::is_control), "{:?}", announcement.subject);
        }
    }

    #[test]
    fn a_subject_does_not_reverse_the_direction_of_writing() {
        for c in ('\u{202a}'..='\u{202e}').chain('\u{2066}'..='\u{2069}') {
            let notify = Notify { subject: Some(format!("Invoice {c}fdp.exe")), ..Notify::default() };
            let job = Job { notify, ..job() };
            let completed = Announcement::completed(&job, "https://example.org/r/1", job.enqueued_at);
            assert_eq!(completed.subject, "Invoice \u{fffd}fdp.exe");
        }
    }

    #[test]
    fn the_longest_text_fits_into_a_queue() {
        let failure = Failure::new("x", "x", "\"".repeat(1_000_000));
        let failed = Announcement::failed(&job(), &failure);
        let body = serde_json::to_string(&failed).expect("JSON");
        assert!(body.len() < crate::message::MAX_BODY_BYTES && failed.text.ends_with('…'));
    }
}
