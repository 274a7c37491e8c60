//! Webhooks: the event that a caller's server gets when a job ends.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::ToSchema;

use crate::delivery::{DeliveryMessage, DeliveryRecord, Payload};
use crate::job::{Failure, Job, now};
use crate::message::MAX_BODY_BYTES;
use crate::rfc3339;

/// The delivery to `url` of the event that `job` ended: `{"type", "timestamp", "data"}`, where the data is the job as
/// `GET /jobs/{id}` shows it, with the mail's `link`, and until when it works, if it has a report. Links start with
/// `public_url`. Errors of a template or of the data, and warnings, that are too much for a queue are left out.
pub fn delivery(job: &Job, url: &str, public_url: &str, link: Option<(&str, DateTime<Utc>)>) -> DeliveryMessage {
    let message = whole(job, url, public_url, link);
    if message.encode().len() <= MAX_BODY_BYTES {
        return message;
    }
    let short = |failure: Failure| Failure { diagnostics: Vec::new(), errors: Vec::new(), ..failure };
    let (error, warnings) = (job.error.clone().map(short), Vec::new());
    whole(&Job { error, warnings, ..job.clone() }, url, public_url, link)
}

fn whole(job: &Job, url: &str, public_url: &str, link: Option<(&str, DateTime<Utc>)>) -> DeliveryMessage {
    let mut data = json!(Job { notified_at: None, webhook: None, announcement: None, ..job.clone() });
    if let Some((link, expires_at)) = link {
        data["report_url"] = json!(format!("{public_url}/jobs/{}/report", job.id));
        data["link"] = json!(link);
        data["link_expires_at"] = json!(rfc3339::text(&expires_at));
    }
    let ended_at = job.finished_at.unwrap_or_else(now);
    let event = json!({"type": format!("job.{}", job.status), "timestamp": rfc3339::text(&ended_at), "data": data});
    DeliveryMessage::new(job, Payload::Webhook { url: url.to_owned(), event })
}

/// Status of a job's webhook.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Webhook {
    /// Where the event goes, as the caller wrote it; responses show it without its query.
    pub url: String,
    /// Where its delivery stands.
    #[serde(flatten)]
    pub delivery: DeliveryRecord,
}

impl Webhook {
    /// An event that no attempt was made for.
    pub fn pending(url: impl Into<String>) -> Self {
        Self { url: url.into(), delivery: DeliveryRecord::pending() }
    }
}

#[cfg(test)]
mod tests {
    use findings::Warning;
    use serde_json::Value;

    use super::*;
    use crate::job::{Diagnostic, JobId, Status};

    fn completed() -> Job {
        let job = Job::queued(JobId::new(), "letter", now());
        Job { status: Status::Completed, pages: Some(2), finished_at: Some(now()), notified_at: Some(now()), ..job }
    }

    fn event(message: &DeliveryMessage) -> Value {
        match &message.payload {
            Payload::Webhook { event, .. } => event.clone(),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn an_event_is_the_job_as_callers_see_it() {
        let (job, at) = (completed(), now());
        let event = event(&delivery(&job, "https://example.org", "https://press.test", Some(("the link", at))));
        let finished_at = job.finished_at.as_ref().map(rfc3339::text);
        let expected = json!({
            "type": "job.completed",
            "timestamp": finished_at,
            "data": {
                "id": job.id,
                "template": "letter",
                "status": "completed",
                "attempts": 0,
                "enqueued_at": rfc3339::text(&job.enqueued_at),
                "finished_at": finished_at,
                "pages": 2,
                "report_url": format!("https://press.test/jobs/{}/report", job.id),
                "link": "the link",
                "link_expires_at": rfc3339::text(&at),
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
            let message = delivery(&job, "https://example.org", "https://press.test", None);
            assert!(message.encode().len() <= MAX_BODY_BYTES);
            assert_eq!(event(&message)["data"]["error"]["title"], "why");
            assert_eq!(event(&message)["data"]["error"]["diagnostics"].as_array().map_or(0, Vec::len), kept);
        }
    }

    #[test]
    fn warnings_that_no_queue_takes_are_left_out() {
        for (length, kept) in [(1_000, 1), (64 * 1024, 0)] {
            let warnings = vec![Warning::new("x", "x", None)];
            let warnings = warnings.into_iter().map(|it| Warning { message: "\u{1}".repeat(length), ..it }).collect();
            let job = Job { warnings, ..completed() };
            let message = delivery(&job, "https://example.org", "https://press.test", None);
            assert!(message.encode().len() <= MAX_BODY_BYTES);
            assert_eq!(event(&message)["data"]["warnings"].as_array().map_or(0, Vec::len), kept);
        }
    }
}
