//! The words that tell people a job ended: one text, whether SNS mails it or it lands in an outbox.

use std::fmt::Write;

use chrono::{DateTime, Utc};

use crate::job::{Failure, Job, JobId, Status};

/// The longest subject SNS takes, in characters.
pub const MAX_SUBJECT_CHARS: usize = 100;

/// How many violations of an upload are told; the job's record has more.
const MAX_VIOLATIONS: usize = 10;

/// One announcement of a job's end.
#[derive(Debug, Clone, PartialEq, Eq)]
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
    /// The subject, printable ASCII.
    pub subject: String,
    /// The plain text.
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
        let subject = match (&job.notify.subject, status) {
            (Some(wanted), Status::Failed) => format!("Failed: {wanted}"),
            (Some(wanted), _) => wanted.clone(),
            (None, _) => subject,
        };
        let subject = subject.chars().take(MAX_SUBJECT_CHARS).collect();
        let (template, tags) = (job.template.clone(), job.notify.tags.clone());
        Self { job_id: job.id, template, status, retries: job.retries, tags, subject, text }
    }
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
    fn a_subject_never_outgrows_what_sns_takes() {
        let job = Job { notify: Notify { subject: Some("x".repeat(MAX_SUBJECT_CHARS)), ..Notify::default() }, ..job() };
        let failure = Failure::new("x", "x", "x");
        assert_eq!(Announcement::failed(&job, &failure).subject.len(), MAX_SUBJECT_CHARS);
    }
}
