//! What travels through the queue: one job, with its data or with a reference to it.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Deserializer, Serialize};
use telemetry::trace::{self, Origin};

use crate::data::Data;
use crate::job::{Job, JobId, Notify, Options, is_template_name, is_zero};
use crate::upload::UploadId;

/// The version this code writes, and the only one it reads.
///
/// A member that is new and may be absent leaves it as it is. A processor of an earlier build takes the messages
/// without the member, and rejects one with it rather than make another report than was asked for: while a new build
/// replaces it, that message comes back to the new one.
pub const VERSION: u32 = 1;

/// The largest body a queue takes, in bytes: SQS with AWS provider 5.100 takes 256 KiB, attributes included.
pub const MAX_BODY_BYTES: usize = 255 * 1024;

/// One job on its way to a processor.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Message {
    /// The format's version, [`VERSION`].
    pub version: u32,
    /// The job.
    pub id: JobId,
    /// The name of the caller whose job it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub caller: Option<String>,
    /// The template to typeset it with.
    pub template: String,
    /// When the job was accepted; the report's own date.
    pub enqueued_at: DateTime<Utc>,
    /// How the report is to be made.
    #[serde(default)]
    pub options: Options,
    /// How its end is to be announced.
    #[serde(default)]
    pub notify: Notify,
    /// How often the job had been queued again when this message was written.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub retries: u32,
    /// How often a run whose time was over has handed the job over to the next; those were no failed attempts.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub handovers: u32,
    /// The place in a trace that the job's run goes on from, as a W3C `traceparent`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub traceparent: Option<String>,
    /// The id of the request that the job was queued by.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request_id: Option<String>,
    /// The upload that the data is in. Of a JSON upload it is all the data, of others its rows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub input: Option<UploadId>,
    /// The data, or what an upload leaves of it; absent where a JSON upload leaves none, or where it is parked in the object store, under [`JobId::input_key`].
    ///
    /// As deep in the message as it was in the request, so that whatever could be read there can be read here.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "present")]
    pub data: Option<Data>,
}

/// JSON's `null` is data like any other.
fn present<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Data>, D::Error> {
    Data::deserialize(deserializer).map(Some)
}

/// The caller that a message of a queue belongs to; empty where it names none.
pub fn caller_of(body: &str) -> String {
    #[derive(Deserialize)]
    struct Named {
        caller: Option<String>,
    }

    serde_json::from_str::<Named>(body).ok().and_then(|named| named.caller).unwrap_or_default()
}

/// Why a message's body is not one of ours.
#[derive(Debug, thiserror::Error)]
pub enum DecodeError {
    /// It is not JSON of this shape.
    #[error("the message is not a Pressrun job: {0}")]
    Malformed(#[from] serde_json::Error),
    /// It names a template that no listener would have taken.
    #[error("the message names the template `{0}`, and a template's name is of a-z, 0-9 and -")]
    Template(String),
    /// Another version of Pressrun wrote it.
    #[error("the message has version {0}, and this processor reads version {VERSION}: deploy both halves together")]
    Version(u64),
}

impl DecodeError {
    /// What is wrong, in a word and without a word of the message: for logs.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Malformed(_) => "malformed",
            Self::Template(_) => "template",
            Self::Version(_) => "version",
        }
    }
}

impl Message {
    /// The message of a queued job, as a part of the trace that this is called in.
    pub fn new(job: &Job, data: Option<Data>) -> Self {
        Self {
            version: VERSION,
            id: job.id,
            caller: job.caller.clone(),
            template: job.template.clone(),
            enqueued_at: job.enqueued_at,
            options: job.options.clone(),
            notify: job.notify.clone(),
            retries: job.retries,
            handovers: 0,
            traceparent: trace::traceparent(),
            request_id: trace::request_id(),
            input: job.input,
            data,
        }
    }

    /// The job this message is about, as it stood when it was accepted.
    pub fn job(&self) -> Job {
        Job {
            caller: self.caller.clone(),
            retries: self.retries,
            input: self.input,
            options: self.options.clone(),
            notify: self.notify.clone(),
            ..Job::queued(self.id, self.template.clone(), self.enqueued_at)
        }
    }

    /// The body for the queue with which this run hands the job over to the next.
    pub fn handed_over(&self) -> String {
        Self { handovers: self.handovers + 1, ..self.clone() }.encode()
    }

    /// Where the job comes from.
    pub fn origin(&self) -> Origin {
        Origin::of_message(self.traceparent.as_deref(), self.request_id.as_deref())
    }

    /// The body for the queue.
    pub fn encode(&self) -> String {
        serde_json::to_string(self).unwrap_or_else(|error| unreachable!("a message is always JSON: {error}"))
    }

    /// Reads a body from the queue.
    pub fn decode(body: &str) -> Result<Self, DecodeError> {
        #[derive(Deserialize)]
        struct Version {
            version: u64,
        }

        let Version { version } = serde_json::from_str(body)?;
        if version != u64::from(VERSION) {
            return Err(DecodeError::Version(version));
        }
        let message: Self = serde_json::from_str(body)?;
        if !is_template_name(&message.template) {
            return Err(DecodeError::Template(message.template));
        }
        Ok(message)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::job::now;

    #[test]
    fn a_message_survives_the_queue() {
        for data in [Some(json!({"z": 1, "a": [0.1, "ü"]})), Some(json!(null)), None] {
            let caller = Some("billing".into());
            let job = Job { retries: 2, caller, ..Job::queued(JobId::new(), "letter", now()) };
            let message = Message::new(&job, data.map(Data::from));
            assert_eq!(Message::decode(&message.encode()).expect("our own message"), message);
        }
    }

    #[test]
    fn numbers_keep_their_digits() {
        let text = r#"{"a": [9007199254740993.010, 12345678901234567890123456789e-2]}"#;
        let data = serde_json::from_str(text).expect("JSON");
        let message = Message::new(&Job::queued(JobId::new(), "letter", now()), Some(data));
        let read = Message::decode(&message.handed_over()).expect("our own message");
        assert_eq!(read.data.expect("data").get(), text);
    }

    #[test]
    fn what_is_not_ours_is_refused() {
        assert!(matches!(Message::decode("hello"), Err(DecodeError::Malformed(_))));
        assert!(matches!(Message::decode(r#"{"version":1}"#), Err(DecodeError::Malformed(_))));
        assert!(matches!(Message::decode(r#"{"version":2,"id":7}"#), Err(DecodeError::Version(2))));
        let job = Job::queued(JobId::new(), "../secret", now());
        let escape = Message::new(&job, None);
        assert!(matches!(Message::decode(&escape.encode()), Err(DecodeError::Template(_))));
    }
}
