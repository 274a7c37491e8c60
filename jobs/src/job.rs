//! The job: its identity, its states, and what a caller may ask of it.

use std::fmt;
use std::str::FromStr;

use chrono::{DateTime, SubsecRound, Utc};
pub use findings::{MAX_TEXT_CHARS, shortened};
use findings::{Violation, Warning};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

use crate::delivery::AnnouncementRecord;
use crate::rfc3339;
use crate::upload::UploadId;
use crate::webhook::Webhook;

/// A job's identity: a UUIDv7, so that ids sort by the time they were made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
#[serde(transparent)]
#[schema(example = "01a1fd88-28fa-7243-a82c-05f04864e387")]
pub struct JobId(Uuid);

impl JobId {
    /// A new id, made of this moment and randomness.
    #[expect(clippy::new_without_default, reason = "an id is never a default")]
    pub fn new() -> Self {
        Self(Uuid::now_v7())
    }

    /// When the id was made.
    pub fn made_at(&self) -> Option<DateTime<Utc>> {
        let (seconds, nanoseconds) = self.0.get_timestamp()?.to_unix();
        DateTime::from_timestamp(seconds.try_into().ok()?, nanoseconds)
    }

    /// Where the job's report is kept: `reports/{id}.pdf`.
    pub fn report_key(&self) -> String {
        format!("reports/{self}.pdf")
    }

    /// Where the sections of its report are kept until it is whole: `sections/{id}/`.
    pub fn sections_prefix(&self) -> String {
        format!("sections/{self}/")
    }

    /// Where the job's data is parked when it is too large for a message: `inputs/{id}.json`.
    pub fn input_key(&self) -> String {
        format!("inputs/{self}.json")
    }
}

impl fmt::Display for JobId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.hyphenated().fmt(f)
    }
}

impl FromStr for JobId {
    type Err = uuid::Error;

    /// Takes the hyphenated form only, so that a job has one address.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.parse::<uuid::fmt::Hyphenated>().map(|id| Self(id.into_uuid()))
    }
}

/// Where a job stands. `queued → running → completed | failed`; a run that gives up after a transient error
/// puts it back to `queued`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// Accepted, waiting for a processor.
    Queued,
    /// A processor holds a lease on it.
    Running,
    /// The report is in the object store.
    Completed,
    /// It ended without a report; [`Job::error`] says why.
    Failed,
}

impl Status {
    /// The word used in JSON, in the stores and in mails.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Running => "running",
            Self::Completed => "completed",
            Self::Failed => "failed",
        }
    }

    /// Whether the job has ended.
    pub fn is_final(self) -> bool {
        matches!(self, Self::Completed | Self::Failed)
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for Status {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        [Self::Queued, Self::Running, Self::Completed, Self::Failed]
            .into_iter()
            .find(|status| status.as_str() == text)
            .ok_or_else(|| format!("`{text}` is not a job status"))
    }
}

/// A job as it stands on record.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Job {
    /// Its identity.
    pub id: JobId,
    /// The name of the caller whose job it is; absent on records of earlier builds.
    #[serde(skip)]
    pub caller: Option<String>,
    /// The template it is typeset with.
    pub template: String,
    /// Where it stands.
    pub status: Status,
    /// How many runs have claimed it since it was queued, without those that a stopping server gave back.
    pub attempts: u32,
    /// When it was accepted.
    #[serde(serialize_with = "rfc3339::serialize")]
    pub enqueued_at: DateTime<Utc>,
    /// When its latest run began.
    #[serde(serialize_with = "rfc3339::serialize_some", skip_serializing_if = "Option::is_none", default)]
    #[schema(nullable = false)]
    pub started_at: Option<DateTime<Utc>>,
    /// When it ended.
    #[serde(serialize_with = "rfc3339::serialize_some", skip_serializing_if = "Option::is_none", default)]
    #[schema(nullable = false)]
    pub finished_at: Option<DateTime<Utc>>,
    /// Pages of the report.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    #[schema(nullable = false)]
    pub pages: Option<u64>,
    /// Size of the report in bytes.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    #[schema(nullable = false)]
    pub bytes: Option<u64>,
    /// How far its run is, where that is known.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    #[schema(nullable = false)]
    pub progress: Option<Progress>,
    /// Doubts about what its report shows.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub warnings: Vec<Warning>,
    /// Why it failed.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    #[schema(nullable = false)]
    pub error: Option<Failure>,
    /// When the deliveries of its end were handed over, so that no run has anything left to do.
    #[serde(serialize_with = "rfc3339::serialize_some", skip_serializing_if = "Option::is_none", default)]
    #[schema(ignore)]
    pub notified_at: Option<DateTime<Utc>>,
    /// How often it was queued again after it had failed.
    #[serde(skip_serializing_if = "is_zero", default)]
    pub retries: u32,
    /// Status of the webhook.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    #[schema(nullable = false)]
    pub webhook: Option<Webhook>,
    /// Status of the mail or topic announcement.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    #[schema(nullable = false)]
    pub announcement: Option<AnnouncementRecord>,
    /// The upload that its data is in, or the rows of it.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    #[schema(nullable = false)]
    pub input: Option<UploadId>,
    /// How its report is to be made.
    #[serde(skip)]
    pub options: Options,
    /// How its end is to be announced.
    #[serde(skip)]
    pub notify: Notify,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it with a reference")]
pub(crate) fn is_zero(number: &u32) -> bool {
    *number == 0
}

impl Job {
    /// A job accepted at `enqueued_at` and not yet run.
    pub fn queued(id: JobId, template: impl Into<String>, enqueued_at: DateTime<Utc>) -> Self {
        Self {
            id,
            caller: None,
            template: template.into(),
            status: Status::Queued,
            attempts: 0,
            enqueued_at,
            started_at: None,
            finished_at: None,
            pages: None,
            bytes: None,
            progress: None,
            warnings: Vec::new(),
            error: None,
            notified_at: None,
            retries: 0,
            input: None,
            webhook: None,
            announcement: None,
            options: Options::default(),
            notify: Notify::default(),
        }
    }

    /// What a browser calls the report when it saves it.
    pub fn file_name(&self) -> String {
        format!("{}-{}.pdf", self.template, self.id)
    }
}

/// How far a run is with a report that is typeset in sections.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Progress {
    /// Sections that are done.
    pub sections_done: u32,
    /// Sections in all.
    pub sections: u32,
    /// Pages of the sections that are done.
    pub pages: u64,
}

/// Whether a template may have this name: `[a-z0-9-]+`, so that it is one folder and nothing else.
pub fn is_template_name(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-'))
}

/// This moment in milliseconds, the resolution of every time on record.
pub fn now() -> DateTime<Utc> {
    Utc::now().trunc_subsecs(3)
}

/// Why a job failed, in words its caller can act on. The fields are those of an RFC 9457 problem.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Failure {
    /// A stable name, for example `urn:pressrun:problem:template-error`.
    #[serde(rename = "type")]
    pub kind: String,
    /// What happened, the same words for every failure of this type.
    pub title: String,
    /// What happened to this job, and what to do next.
    pub detail: String,
    /// Where in the template, for failures that have a place.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub diagnostics: Vec<Diagnostic>,
    /// Where in the upload, for data that was uploaded and does not fit.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub errors: Vec<Violation>,
}

impl Failure {
    /// The name, without [`Failure::TYPE_PREFIX`].
    pub fn name(&self) -> &str {
        self.kind.strip_prefix(Self::TYPE_PREFIX).unwrap_or(&self.kind)
    }

    /// The prefix of every problem type, in jobs and in HTTP answers alike.
    pub const TYPE_PREFIX: &str = "urn:pressrun:problem:";

    /// The name of the failure of a job that met trouble in every attempt; another attempt may not meet it.
    pub const ATTEMPTS_EXHAUSTED: &str = "attempts-exhausted";

    /// A job met trouble in every attempt.
    pub fn attempts_exhausted(detail: impl Into<String>) -> Self {
        Self::new(Self::ATTEMPTS_EXHAUSTED, "Every attempt met trouble.", detail)
    }

    /// A failure named `urn:pressrun:problem:{name}`.
    pub fn new(name: &str, title: impl Into<String>, detail: impl Into<String>) -> Self {
        Self {
            kind: format!("{}{name}", Self::TYPE_PREFIX),
            title: title.into(),
            detail: detail.into(),
            diagnostics: Vec::new(),
            errors: Vec::new(),
        }
    }
}

/// One error of a template, and where it stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Diagnostic {
    /// What is wrong.
    pub message: String,
    /// The file, relative to the template's folder.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    #[schema(nullable = false)]
    pub file: Option<String>,
    /// Line, from 1.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    #[schema(nullable = false)]
    pub line: Option<usize>,
    /// Column in characters, from 1.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    #[schema(nullable = false)]
    pub column: Option<usize>,
    /// What may help.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub hints: Vec<String>,
    /// The whole diagnostic as a compiler prints it: place, source line and caret.
    pub rendered: String,
}

/// A megabyte of every limit, as AWS counts Lambda's memory.
pub const MEBIBYTE: u64 = 1024 * 1024;

/// The most data a job may have where nothing else is said, in bytes of JSON.
pub const DEFAULT_MAX_DATA_BYTES: u64 = 64 * MEBIBYTE;

/// The PDF standards a caller may ask for, by the names Typst gives them.
pub const PDF_STANDARDS: [&str; 17] = [
    "1.4", "1.5", "1.6", "1.7", "2.0", "a-1b", "a-1a", "a-2b", "a-2u", "a-2a", "a-3b", "a-3u", "a-3a", "a-4", "a-4f",
    "a-4e", "ua-1",
];

/// What may become of a report with a character that no font has: it is made with a warning, or it fails.
pub const ON_MISSING_GLYPH: [&str; 2] = ["warn", "fail"];

/// How the report is to be made.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Options {
    /// The PDF standard to conform to, one of [`PDF_STANDARDS`]; PDF 1.7 where absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pdf_standard: Option<String>,
    /// Whether the PDF carries tags for assistive technology; true where absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tagged: Option<bool>,
    /// What becomes of a character that no font has, one of [`ON_MISSING_GLYPH`]; `warn` where absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub on_missing_glyph: Option<String>,
}

/// How the end of the job is to be announced.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Notify {
    /// The mail's subject, at most 99 characters; `Report ready: {template}` where absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub subject: Option<String>,
    /// The caller's own words, by which subscribers choose what they are sent.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<String>,
    /// The URL of the caller's server that is notified, one of [`Destinations`](crate::Destinations).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub webhook: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_have_one_spelling() {
        let id = JobId::new();
        assert_eq!(id.to_string().parse::<JobId>().ok(), Some(id));
        assert!(id.to_string().replace('-', "").parse::<JobId>().is_err());
        assert!(format!("{{{id}}}").parse::<JobId>().is_err());
    }

    #[test]
    fn statuses_survive_their_spelling() {
        for status in [Status::Queued, Status::Running, Status::Completed, Status::Failed] {
            assert_eq!(status.as_str().parse(), Ok(status));
            assert_eq!(serde_json::to_value(status).expect("a string"), status.as_str());
        }
    }
}
