//! Webhooks: the event that a caller's server is told when a job ends, and what became of telling it.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use telemetry::trace::{self, Origin};
use utoipa::ToSchema;

use crate::job::{Failure, Job, JobId, Status, is_zero, now};
use crate::message::MAX_BODY_BYTES;

/// The version this code writes, and the only one it reads.
const VERSION: u32 = 1;

/// How many attempts are kept on record, the latest.
const KEPT_ATTEMPTS: usize = 10;

/// One event on its way to a caller's server. It holds all that is sent, so that each attempt sends the same, whatever
/// becomes of the job meanwhile.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WebhookMessage {
    version: u32,
    /// The job.
    pub id: JobId,
    /// How often it had been queued again when it ended.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub retries: u32,
    /// How it ended: completed or failed.
    pub status: Status,
    /// When it ended; the day of attempts begins here.
    pub ended_at: DateTime<Utc>,
    /// Where the event goes, as the caller wrote it.
    pub url: String,
    /// The place in a trace that attempts go on from, as a W3C `traceparent`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub traceparent: Option<String>,
    /// The id of the request that the job was queued by.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request_id: Option<String>,
    /// What is sent.
    pub event: Value,
}

/// Why a message's body is not one of ours.
#[derive(Debug, thiserror::Error)]
pub enum WebhookMessageError {
    /// It is not JSON of this shape.
    #[error("the message is not a webhook of Pressrun: {0}")]
    Malformed(#[from] serde_json::Error),
    /// Another version of Pressrun wrote it.
    #[error("the message has version {0}, and this courier reads version {VERSION}: deploy all functions together")]
    Version(u32),
}

impl WebhookMessageError {
    /// What is wrong, in a word and without a word of the message: for logs.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Malformed(_) => "malformed",
            Self::Version(_) => "version",
        }
    }
}

impl WebhookMessage {
    /// The event of a job that ended, to be sent to `url`: `{"type", "timestamp", "data"}`, where the data is the job as
    /// `GET /jobs/{id}` shows it, with the mail's `link`, and until when it works, if it has a report. Links start with `public_url`. Errors of a
    /// template or of the data, and warnings, that are too much for a queue are left out.
    pub fn new(job: &Job, url: &str, public_url: &str, link: Option<(&str, DateTime<Utc>)>) -> Self {
        let message = Self::whole(job, url, public_url, link);
        if message.encode().len() <= MAX_BODY_BYTES {
            return message;
        }
        let short = |failure: Failure| Failure { diagnostics: Vec::new(), errors: Vec::new(), ..failure };
        let (error, warnings) = (job.error.clone().map(short), Vec::new());
        Self::whole(&Job { error, warnings, ..job.clone() }, url, public_url, link)
    }

    fn whole(job: &Job, url: &str, public_url: &str, link: Option<(&str, DateTime<Utc>)>) -> Self {
        let ended_at = job.finished_at.unwrap_or_else(now);
        let mut data = json!(Job { notified_at: None, webhook: None, ..job.clone() });
        if let Some((link, expires_at)) = link {
            data["report_url"] = json!(format!("{public_url}/jobs/{}/report", job.id));
            data["link"] = json!(link);
            data["link_expires_at"] = json!(expires_at);
        }
        let event = json!({"type": format!("job.{}", job.status), "timestamp": ended_at, "data": data});
        let (id, retries, status, url) = (job.id, job.retries, job.status, url.to_owned());
        let (traceparent, request_id) = (trace::traceparent(), trace::request_id());
        Self { version: VERSION, id, retries, status, ended_at, url, traceparent, request_id, event }
    }

    /// The event's identity, the same in every attempt and for every copy of the message. It has no full stop, which
    /// separates the id from what follows where it is signed.
    pub fn webhook_id(&self) -> String {
        format!("{}_{}_{}", self.id, self.retries, self.status)
    }

    /// Whether `job` still is as it was when the event happened.
    pub fn tells_of(&self, job: &Job) -> bool {
        (job.id, job.retries, job.status) == (self.id, self.retries, self.status)
    }

    /// Where the event comes from.
    pub fn origin(&self) -> Origin {
        Origin::of_message(self.traceparent.as_deref(), self.request_id.as_deref())
    }

    /// The template of the job.
    pub fn template(&self) -> &str {
        self.event["data"]["template"].as_str().unwrap_or_default()
    }

    /// The body for the queue.
    pub fn encode(&self) -> String {
        serde_json::to_string(self).unwrap_or_else(|error| unreachable!("a message is always JSON: {error}"))
    }

    /// Reads a body from the queue.
    pub fn decode(body: &str) -> Result<Self, WebhookMessageError> {
        #[derive(Deserialize)]
        struct Version {
            version: u32,
        }

        let Version { version } = serde_json::from_str(body)?;
        if version != VERSION {
            return Err(WebhookMessageError::Version(version));
        }
        Ok(serde_json::from_str(body)?)
    }
}

/// What became of telling a caller's server, on the job's record.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Webhook {
    /// Where the event goes, as the caller wrote it; callers are shown it without user name, password and query.
    pub url: String,
    /// Where its delivery stands.
    pub status: WebhookStatus,
    /// How many attempts were made.
    pub attempts: u32,
    /// When the next attempt is due.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    #[schema(nullable = false)]
    pub next_attempt_at: Option<DateTime<Utc>>,
    /// The latest attempts, ten at the most, the last one last.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub latest: Vec<WebhookAttempt>,
}

/// Where the delivery of an event stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum WebhookStatus {
    /// It is not delivered yet.
    Pending,
    /// The server took it.
    Delivered,
    /// The server did not take it within a day, or wants no more.
    Failed,
    /// It may not be sent there.
    Refused,
}

impl WebhookStatus {
    /// The word used in JSON and in the stores.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Delivered => "delivered",
            Self::Failed => "failed",
            Self::Refused => "refused",
        }
    }
}

/// One attempt to tell a caller's server.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct WebhookAttempt {
    /// When it began.
    pub at: DateTime<Utc>,
    /// The HTTP status of the answer, if there was one.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    #[schema(nullable = false)]
    pub status: Option<u16>,
    /// Why it did not succeed.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    #[schema(nullable = false)]
    pub error: Option<String>,
}

impl Webhook {
    /// An event that no attempt was made for.
    pub fn pending(url: impl Into<String>) -> Self {
        Self { url: url.into(), status: WebhookStatus::Pending, attempts: 0, next_attempt_at: None, latest: Vec::new() }
    }

    /// This, after one more attempt.
    #[must_use]
    pub fn after(
        mut self,
        attempt: WebhookAttempt,
        status: WebhookStatus,
        next_attempt_at: Option<DateTime<Utc>>,
    ) -> Self {
        self.latest.push(attempt);
        let surplus = self.latest.len().saturating_sub(KEPT_ATTEMPTS);
        self.latest.drain(..surplus);
        Self { status, attempts: self.attempts + 1, next_attempt_at, ..self }
    }
}

#[cfg(test)]
mod tests {
    use findings::Warning;

    use super::*;
    use crate::job::Diagnostic;

    fn completed() -> Job {
        let job = Job::queued(JobId::new(), "letter", now());
        Job { status: Status::Completed, pages: Some(2), finished_at: Some(now()), notified_at: Some(now()), ..job }
    }

    #[test]
    fn a_message_survives_the_queue() {
        let message =
            WebhookMessage::new(&completed(), "https://example.org/hook", "https://press.test", Some(("link", now())));
        assert_eq!(WebhookMessage::decode(&message.encode()).expect("our own message"), message);
    }

    #[test]
    fn what_is_not_ours_is_refused() {
        assert!(matches!(WebhookMessage::decode("hello"), Err(WebhookMessageError::Malformed(_))));
        assert!(matches!(WebhookMessage::decode(r#"{"version":1}"#), Err(WebhookMessageError::Malformed(_))));
        assert!(matches!(WebhookMessage::decode(r#"{"version":2}"#), Err(WebhookMessageError::Version(2))));
    }

    #[test]
    fn an_event_is_the_job_as_callers_see_it() {
        let (job, at) = (completed(), now());
        let event =
            WebhookMessage::new(&job, "https://example.org", "https://press.test", Some(("the link", at))).event;
        let expected = json!({
            "type": "job.completed",
            "timestamp": job.finished_at,
            "data": {
                "id": job.id,
                "template": "letter",
                "status": "completed",
                "attempts": 0,
                "enqueued_at": job.enqueued_at,
                "finished_at": job.finished_at,
                "pages": 2,
                "report_url": format!("https://press.test/jobs/{}/report", job.id),
                "link": "the link",
                "link_expires_at": at,
            },
        });
        assert_eq!(event, expected);
    }

    #[test]
    fn errors_that_no_queue_takes_are_left_out() {
        let diagnostic = |length: usize| Diagnostic {
            message: "\u{1}".repeat(length),
            file: None,
            line: None,
            column: None,
            hints: Vec::new(),
            rendered: String::new(),
        };
        let mut failure = Failure::new("template-error", "why", "where");
        for (length, kept) in [(1_000, 1), (64 * 1024, 0)] {
            failure.diagnostics = vec![diagnostic(length)];
            let job = Job { status: Status::Failed, error: Some(failure.clone()), ..completed() };
            let message = WebhookMessage::new(&job, "https://example.org", "https://press.test", None);
            assert!(message.encode().len() <= MAX_BODY_BYTES);
            assert_eq!(message.event["data"]["error"]["title"], "why");
            assert_eq!(message.event["data"]["error"]["diagnostics"].as_array().map_or(0, Vec::len), kept);
        }
    }

    #[test]
    fn warnings_that_no_queue_takes_are_left_out() {
        for (length, kept) in [(1_000, 1), (64 * 1024, 0)] {
            let warnings = vec![Warning::new("x", "x", None)];
            let warnings = warnings.into_iter().map(|it| Warning { message: "\u{1}".repeat(length), ..it }).collect();
            let job = Job { warnings, ..completed() };
            let message = WebhookMessage::new(&job, "https://example.org", "https://press.test", None);
            assert!(message.encode().len() <= MAX_BODY_BYTES);
            assert_eq!(message.event["data"]["warnings"].as_array().map_or(0, Vec::len), kept);
        }
    }

    #[test]
    fn the_id_is_of_the_end_and_not_of_the_message() {
        let job = completed();
        let id = |job: &Job| WebhookMessage::new(job, "https://example.org", "https://press.test", None).webhook_id();
        assert_eq!(id(&job), id(&Job { pages: None, ..job.clone() }));
        assert_ne!(id(&job), id(&Job { retries: 1, ..job.clone() }));
        assert_ne!(id(&job), id(&Job { status: Status::Failed, ..job.clone() }));
        assert!(!id(&job).contains('.'));
    }

    #[test]
    fn the_latest_attempts_are_kept_and_all_are_counted() {
        let mut webhook = Webhook::pending("https://example.org");
        for status in 500..515 {
            let attempt = WebhookAttempt { at: now(), status: Some(status), error: None };
            webhook = webhook.after(attempt, WebhookStatus::Pending, None);
        }
        assert_eq!((webhook.attempts, webhook.latest.len()), (15, 10));
        assert_eq!(webhook.latest.last().and_then(|attempt| attempt.status), Some(514));
    }
}
