//! The state of a delivery on its job's record.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};
use telemetry::metrics;
use utoipa::ToSchema;

use super::schedule;
use crate::rfc3339;
use crate::webhook::Webhook;

/// How many attempts are kept on record, the latest.
const KEPT_ATTEMPTS: usize = 10;

/// Where the delivery stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = Delivery)]
pub struct DeliveryRecord {
    /// Where it stands.
    pub status: DeliveryStatus,
    /// How many attempts were made.
    pub attempts: u32,
    /// When the next attempt is due.
    #[serde(serialize_with = "rfc3339::serialize_some", skip_serializing_if = "Option::is_none", default)]
    #[schema(nullable = false)]
    pub next_attempt_at: Option<DateTime<Utc>>,
    /// The latest attempts, at most ten, the last one last.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub latest: Vec<DeliveryAttempt>,
}

/// Where a delivery stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum DeliveryStatus {
    /// It is not delivered yet.
    Pending,
    /// The server took it.
    Delivered,
    /// The server did not take it within a day, or wants no more.
    Failed,
    /// It may not be sent there, or the server refused it for good.
    Refused,
}

impl DeliveryStatus {
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

/// One attempt.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct DeliveryAttempt {
    /// When it began.
    #[serde(serialize_with = "rfc3339::serialize")]
    pub at: DateTime<Utc>,
    /// The status of the server's answer, if there was one: of HTTP, or of SMTP for a mail.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    #[schema(nullable = false)]
    pub status: Option<u16>,
    /// Why it did not succeed.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    #[schema(nullable = false)]
    pub error: Option<String>,
}

/// What came of one attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sent {
    /// The status of the server's answer, if there was one.
    pub status: Option<u16>,
    /// Why it did not succeed.
    pub error: Option<String>,
    /// What that means.
    pub outcome: DeliveryOutcome,
}

/// What an attempt means for the delivery.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DeliveryOutcome {
    /// The server took it.
    Taken,
    /// The server wants no more of its kind.
    Unwanted,
    /// It is refused, now and later.
    Refused,
    /// Another attempt may succeed, after that time if the server named one.
    Later {
        /// How long the server asks to be left alone.
        retry_after: Option<Duration>,
    },
}

impl Sent {
    /// The server took it, with this status.
    pub fn taken(status: Option<u16>) -> Self {
        Self { status, error: None, outcome: DeliveryOutcome::Taken }
    }

    /// It is refused for good.
    pub fn refused(error: impl Into<String>) -> Self {
        Self { status: None, error: Some(error.into()), outcome: DeliveryOutcome::Refused }
    }

    /// Another attempt may succeed.
    pub fn later(error: impl Into<String>) -> Self {
        Self { status: None, error: Some(error.into()), outcome: DeliveryOutcome::Later { retry_after: None } }
    }
}

impl DeliveryRecord {
    /// A delivery that no attempt was made for.
    pub fn pending() -> Self {
        Self { status: DeliveryStatus::Pending, attempts: 0, next_attempt_at: None, latest: Vec::new() }
    }

    /// Counts a delivery of this kind that was not made and that nobody will attempt again; answers whether it is one.
    pub fn count_if_given_up(&self, kind: &str) -> bool {
        let given_up = matches!(self.status, DeliveryStatus::Failed | DeliveryStatus::Refused);
        if given_up {
            metrics::undelivered(kind);
        }
        given_up
    }

    /// How long before its next attempt it is. A time that lies further ahead than any pause was written before the clock was
    /// stepped back.
    pub fn early(&self, now: DateTime<Utc>) -> Option<Duration> {
        let early = (self.next_attempt_at? - now).to_std().ok()?;
        (!early.is_zero() && early < schedule::BEYOND_ANY_PAUSE).then_some(early)
    }

    /// This after one more attempt, from `began` to `ended`, of a delivery that has been tried since `since`; and the
    /// pause before the next attempt, if there is to be one.
    #[must_use]
    pub fn after(
        mut self,
        sent: Sent,
        (began, ended): (DateTime<Utc>, DateTime<Utc>),
        since: DateTime<Utc>,
    ) -> (Self, Option<Duration>) {
        let attempts = self.attempts.saturating_add(1);
        let (status, pause) = match sent.outcome {
            DeliveryOutcome::Taken => (DeliveryStatus::Delivered, None),
            DeliveryOutcome::Unwanted => (DeliveryStatus::Failed, None),
            DeliveryOutcome::Refused => (DeliveryStatus::Refused, None),
            DeliveryOutcome::Later { retry_after } => match schedule::pause(attempts, retry_after, ended - since) {
                Some(pause) => (DeliveryStatus::Pending, Some(pause)),
                None => (DeliveryStatus::Failed, None),
            },
        };
        self.latest.push(DeliveryAttempt { at: began, status: sent.status, error: sent.error });
        let surplus = self.latest.len().saturating_sub(KEPT_ATTEMPTS);
        self.latest.drain(..surplus);
        let next_attempt_at = pause.and_then(|pause| Some(ended + TimeDelta::from_std(pause).ok()?));
        (Self { status, attempts, next_attempt_at, ..self }, pause)
    }
}

/// Where people are told of a job's end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
#[schema(as = AnnouncementChannel)]
pub enum Channel {
    /// A mail server.
    Mail,
    /// The folder of mails on the server's machine.
    Outbox,
    /// The SNS topic of the deployment.
    Topic,
}

impl Channel {
    /// The word used in JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Mail => "mail",
            Self::Outbox => "outbox",
            Self::Topic => "topic",
        }
    }
}

impl From<Channel> for metrics::Channel {
    fn from(channel: Channel) -> Self {
        match channel {
            Channel::Mail => Self::Mail,
            Channel::Outbox => Self::Outbox,
            Channel::Topic => Self::Sns,
        }
    }
}

/// Status of the mail or topic announcement of a job's end.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = Announcement)]
pub struct AnnouncementRecord {
    /// Where it goes.
    pub channel: Channel,
    /// Where its delivery stands.
    #[serde(flatten)]
    pub delivery: DeliveryRecord,
}

impl AnnouncementRecord {
    /// An announcement that no attempt was made for.
    pub fn pending(channel: Channel) -> Self {
        Self { channel, delivery: DeliveryRecord::pending() }
    }
}

/// The state of one delivery, as a job's record has it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum Recorded {
    /// Of its webhook.
    Webhook(Webhook),
    /// Of its announcement to people.
    Announcement(AnnouncementRecord),
}

impl Recorded {
    /// The column, or attribute, that keeps it.
    pub(crate) fn column(&self) -> &'static str {
        match self {
            Self::Webhook(_) => "webhook",
            Self::Announcement(_) => "announcement",
        }
    }

    /// The word for its kind in logs and metrics: of an announcement, its channel.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Webhook(_) => "webhook",
            Self::Announcement(announcement) => announcement.channel.as_str(),
        }
    }

    /// Where the delivery stands.
    pub fn delivery(&self) -> &DeliveryRecord {
        match self {
            Self::Webhook(webhook) => &webhook.delivery,
            Self::Announcement(announcement) => &announcement.delivery,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::job::now;

    #[test]
    fn the_latest_attempts_are_kept_and_all_are_counted() {
        let mut record = DeliveryRecord::pending();
        for status in 500..515 {
            let sent = Sent { status: Some(status), ..Sent::later("No.") };
            (record, _) = record.after(sent, (now(), now()), now());
        }
        assert_eq!((record.attempts, record.latest.len()), (15, 10));
        assert_eq!(record.latest.last().and_then(|attempt| attempt.status), Some(514));
        assert!(record.next_attempt_at.is_some());
    }

    #[test]
    fn what_is_final_has_no_next_attempt() {
        for (outcome, status) in [
            (DeliveryOutcome::Taken, DeliveryStatus::Delivered),
            (DeliveryOutcome::Unwanted, DeliveryStatus::Failed),
            (DeliveryOutcome::Refused, DeliveryStatus::Refused),
        ] {
            let sent = Sent { outcome, ..Sent::taken(None) };
            let (record, pause) = DeliveryRecord::pending().after(sent, (now(), now()), now());
            assert_eq!((record.status, record.next_attempt_at, pause), (status, None, None));
        }
        let long_ago = now() - TimeDelta::days(2);
        let (record, pause) = DeliveryRecord::pending().after(Sent::later("No."), (now(), now()), long_ago);
        assert_eq!((record.status, pause), (DeliveryStatus::Failed, None));
    }
}
