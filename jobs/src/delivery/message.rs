//! The message of one delivery, as the delivery queue keeps it.

use std::time::Duration;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use telemetry::trace::{self, Origin};
use url::Url;

use super::schedule;
use crate::announcement::Announcement;
use crate::job::{Job, JobId, Status, is_zero, now};

/// The version this code writes. It reads version 1 too, which knew webhooks alone.
const VERSION: u32 = 2;

/// One delivery on its way. It holds all that is sent, so that each attempt sends the same, whatever becomes of the job
/// meanwhile.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DeliveryMessage {
    version: u32,
    /// The job.
    pub id: JobId,
    /// How often it had been queued again when it ended.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub retries: u32,
    /// How it ended: completed or failed.
    pub status: Status,
    /// The job's template.
    pub template: String,
    /// Whose job it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub caller: Option<String>,
    /// When the delivery was queued; the day of attempts begins here.
    pub since: DateTime<Utc>,
    /// The place in a trace that attempts go on from, as a W3C `traceparent`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub traceparent: Option<String>,
    /// The id of the request that the job was queued by.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request_id: Option<String>,
    /// What is sent, and where.
    pub payload: Payload,
}

/// What a delivery of each kind sends.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Payload {
    /// The event of a job's end, to a caller's server.
    Webhook {
        /// Where the event goes, as the caller wrote it.
        url: String,
        /// The event.
        event: Value,
    },
    /// The announcement of a job's end to people, by the channel that the operator chose.
    Announcement(Announcement),
}

impl Payload {
    /// The word for its kind, where a job's record keeps what became of it.
    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Self::Webhook { .. } => "webhook",
            Self::Announcement(_) => "announcement",
        }
    }
}

/// How soon an attempt is made again at the earliest that our own store kept from being made or recorded.
const STORE_PAUSE: Duration = Duration::from_secs(30);

/// A URL's host and port.
fn authority(url: &str) -> String {
    let Ok(url) = Url::parse(url) else { return String::new() };
    format!("{}:{}", url.host_str().unwrap_or_default(), url.port_or_known_default().unwrap_or_default())
}

/// Why a message could not be decoded.
#[derive(Debug, thiserror::Error)]
pub enum DeliveryMessageError {
    /// It is not JSON of this shape.
    #[error("the message is not a delivery of Pressrun: {0}")]
    Malformed(#[from] serde_json::Error),
    /// Another version of Pressrun wrote it.
    #[error(
        "the message has version {0}, and this courier reads versions 1 to {VERSION}: deploy all functions together"
    )]
    Version(u32),
}

impl DeliveryMessageError {
    /// What is wrong, in a word and without a word of the message: for logs.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Malformed(_) => "malformed",
            Self::Version(_) => "version",
        }
    }
}

impl DeliveryMessage {
    /// The message that delivers `payload` now that `job` has ended.
    pub fn new(job: &Job, payload: Payload) -> Self {
        Self {
            version: VERSION,
            id: job.id,
            retries: job.retries,
            status: job.status,
            template: job.template.clone(),
            caller: job.caller.clone(),
            since: now(),
            traceparent: trace::traceparent(),
            request_id: trace::request_id(),
            payload,
        }
    }

    /// The identity of the end that is told of, the same in every attempt and for every copy of the message. It has no
    /// full stop, which separates the id from what follows where it is signed.
    pub fn end_id(&self) -> String {
        format!("{}_{}_{}", self.id, self.retries, self.status)
    }

    /// The identity of the delivery: copies of one message have the same.
    pub(crate) fn identity(&self) -> String {
        format!("{} {}", self.payload.kind(), self.end_id())
    }

    /// When to try again after the `receives`th time, if the job's record could not be read or written; nothing once a day is
    /// over.
    pub fn store_pause(&self, receives: u32, now: DateTime<Utc>) -> Option<Duration> {
        schedule::pause(receives, Some(STORE_PAUSE), now - self.since)
    }

    /// Whether `job` still is as it was when it ended.
    pub fn tells_of(&self, job: &Job) -> bool {
        (job.id, job.retries, job.status) == (self.id, self.retries, self.status)
    }

    /// Where the delivery comes from.
    pub fn origin(&self) -> Origin {
        Origin::of_message(self.traceparent.as_deref(), self.request_id.as_deref())
    }

    /// Whose server gets it. Each destination has a bound of its own, so that a slow one does not delay the others.
    pub fn destination(&self) -> String {
        match &self.payload {
            Payload::Webhook { url, .. } => authority(url),
            Payload::Announcement(_) => "announcements".to_owned(),
        }
    }

    /// Whose job it tells of. Each caller has a bound too.
    pub fn caller(&self) -> &str {
        self.caller.as_deref().unwrap_or_default()
    }

    /// The body for the queue.
    pub fn encode(&self) -> String {
        serde_json::to_string(self).unwrap_or_else(|error| unreachable!("a message is always JSON: {error}"))
    }

    /// Reads a body from the queue.
    pub fn decode(body: &str) -> Result<Self, DeliveryMessageError> {
        #[derive(Deserialize)]
        struct Version {
            version: u32,
        }

        let Version { version } = serde_json::from_str(body)?;
        match version {
            1 => Ok(serde_json::from_str::<WebhookAlone>(body)?.into()),
            VERSION => Ok(serde_json::from_str(body)?),
            other => Err(DeliveryMessageError::Version(other)),
        }
    }
}

/// A message of version 1, which is a webhook.
#[derive(Deserialize)]
struct WebhookAlone {
    id: JobId,
    #[serde(default)]
    retries: u32,
    status: Status,
    ended_at: DateTime<Utc>,
    url: String,
    traceparent: Option<String>,
    request_id: Option<String>,
    event: Value,
}

impl From<WebhookAlone> for DeliveryMessage {
    fn from(old: WebhookAlone) -> Self {
        let WebhookAlone { id, retries, status, ended_at, url, traceparent, request_id, event } = old;
        let template = event["data"]["template"].as_str().unwrap_or_default().to_owned();
        let payload = Payload::Webhook { url, event };
        let (version, caller, since) = (VERSION, None, ended_at);
        Self { version, id, retries, status, template, caller, since, traceparent, request_id, payload }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::job::Failure;

    fn failed() -> Job {
        Job { status: Status::Failed, ..Job::queued(JobId::new(), "letter", now()) }
    }

    fn webhook(url: &str) -> Payload {
        Payload::Webhook { url: url.to_owned(), event: json!({"type": "job.failed"}) }
    }

    #[test]
    fn a_message_of_each_kind_survives_the_queue() {
        let announcement = Announcement::failed(&failed(), &Failure::new("x", "x", "x"));
        for payload in [webhook("https://example.org/hook"), Payload::Announcement(announcement)] {
            let message = DeliveryMessage::new(&failed(), payload);
            assert_eq!(DeliveryMessage::decode(&message.encode()).expect("our own message"), message);
        }
    }

    #[test]
    fn a_message_of_version_1_is_a_webhook() {
        let (job, at) = (failed(), now());
        let event = json!({"type": "job.failed", "data": {"template": "letter"}});
        let old = json!({
            "version": 1, "id": job.id, "retries": 2, "status": "failed", "ended_at": at,
            "url": "https://example.org/hook", "request_id": "r", "event": event,
        });
        let message = DeliveryMessage::decode(&old.to_string()).expect("an old message");
        assert_eq!((message.id, message.retries, message.since), (job.id, 2, at));
        assert_eq!((message.template.as_str(), message.request_id.as_deref()), ("letter", Some("r")));
        assert_eq!(message.payload, Payload::Webhook { url: "https://example.org/hook".into(), event });
    }

    #[test]
    fn what_is_not_ours_is_refused() {
        assert!(matches!(DeliveryMessage::decode("hello"), Err(DeliveryMessageError::Malformed(_))));
        assert!(matches!(DeliveryMessage::decode(r#"{"version":1}"#), Err(DeliveryMessageError::Malformed(_))));
        assert!(matches!(DeliveryMessage::decode(r#"{"version":2}"#), Err(DeliveryMessageError::Malformed(_))));
        assert!(matches!(DeliveryMessage::decode(r#"{"version":3}"#), Err(DeliveryMessageError::Version(3))));
    }

    #[test]
    fn the_id_is_of_the_end_and_not_of_the_message() {
        let job = failed();
        let id = |job: &Job| DeliveryMessage::new(job, webhook("https://example.org")).end_id();
        assert_eq!(id(&job), id(&Job { pages: None, ..job.clone() }));
        assert_ne!(id(&job), id(&Job { retries: 1, ..job.clone() }));
        assert_ne!(id(&job), id(&Job { status: Status::Completed, ..job.clone() }));
        assert!(!id(&job).contains('.'));
    }

    #[test]
    fn a_destination_is_a_host_and_its_port() {
        for (url, destination) in [
            ("https://example.org/hook?a=b", "example.org:443"),
            ("http://127.0.0.1:8080/", "127.0.0.1:8080"),
            ("https://EXAMPLE.org:443/other", "example.org:443"),
            ("no url", ""),
        ] {
            assert_eq!(DeliveryMessage::new(&failed(), webhook(url)).destination(), destination);
        }
    }
}
