//! Deliveries: makes the attempts that the delivery queue holds, webhooks and announcements.
//!
//! [`Courier::deliver`] makes one attempt at one delivery, writes down what came of it, and says when to try again; it is
//! the same on AWS Lambda (`main.rs`) and on one machine ([`work`]). A delivery is made at least once. A webhook has one
//! `webhook-id`, goes to public addresses only (`address.rs`, `guard.rs`), and is signed as
//! <https://www.standardwebhooks.com> says (`secrets.rs`).

mod address;
mod guard;
mod lanes;
mod post;
mod secrets;
mod worker;

use std::sync::Arc;
use std::time::{Duration, Instant};

use chrono::{DateTime, TimeDelta, Utc};
use jobs::{
    AnnouncementRecord, DeliveryMessage, DeliveryRecord, DeliveryStatus, Job, JobStore, Notifier, Patience, Payload,
    Recorded, Sent, Unavailable, Webhook,
};

use telemetry::metrics::{self, announced};
use telemetry::trace;
use tracing::Span;
use tracing::field::{self, Empty};

pub use guard::{Lookup, SystemLookup};
pub use post::Poster;
pub use secrets::{BadSecret, Secrets};
pub use worker::work;

/// When to try again what panicked.
const PAUSE: Duration = Duration::from_secs(30);

/// What makes deliveries.
pub struct Courier {
    /// Where attempts are on record.
    pub jobs: Arc<dyn JobStore>,
    /// What sends webhooks.
    pub poster: Poster,
    /// What sends announcements.
    pub notifier: Arc<dyn Notifier>,
    /// How trouble with the store is met.
    pub patience: Patience,
}

/// What to do with a message once it was dealt with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Remove it: it is delivered, or never will be.
    Acknowledge,
    /// Deliver it again after that.
    Release(Duration),
    /// It is not a delivery; let the queue set it aside.
    Reject,
}

impl Courier {
    /// Makes one attempt at the delivery of a message, handed out for the `receives`th time at `now`, if it is due.
    pub async fn deliver(&self, body: &str, receives: u32, now: DateTime<Utc>) -> Verdict {
        let message = match DeliveryMessage::decode(body) {
            Ok(message) => message,
            Err(error) => {
                tracing::error!(error = error.kind(), "rejected a message");
                return Verdict::Reject;
            }
        };
        let span = tracing::info_span!(
            "deliver",
            job_id = %message.id,
            template = %message.template,
            attempt = Empty,
            request_id = Empty,
            trace_id = Empty,
        );
        let attempt = async {
            let attempted = self.attempt(&message, receives, now).await;
            attempted.unwrap_or_else(|error| self.without_record(&message, receives, now, &error))
        };
        trace::within(span, message.origin(), attempt).await
    }

    async fn attempt(
        &self,
        message: &DeliveryMessage,
        receives: u32,
        now: DateTime<Utc>,
    ) -> Result<Verdict, Unavailable> {
        let record = self.record(message, receives).await?;
        if record.status != DeliveryStatus::Pending {
            return Ok(Verdict::Acknowledge);
        }
        // A copy of a message that was given back until then.
        if let Some(early) = record.early(now) {
            return Ok(Verdict::Release(early.max(Duration::from_secs(1))));
        }
        Span::current().record("attempt", record.attempts + 1);
        let start = Instant::now();
        let sent = self.send(message).await;
        let end = now + TimeDelta::from_std(start.elapsed()).unwrap_or_default();
        let Sent { status: answered, error, .. } = sent.clone();
        let (record, pause) = record.after(sent, (now, end), message.since);
        let recorded = self.recorded(message, record);
        log(&recorded, answered, error.as_deref(), pause);
        // A job that has gone on since has no place for this on its record.
        _ = self.patience.insist(|| self.jobs.record_delivery(message, &recorded)).await?;
        Ok(pause.map_or(Verdict::Acknowledge, Verdict::Release))
    }

    /// What to do with a delivery whose job's record could not be read or written: it has as many attempts as any other.
    fn without_record(
        &self,
        message: &DeliveryMessage,
        receives: u32,
        now: DateTime<Utc>,
        error: &Unavailable,
    ) -> Verdict {
        let pause = message.store_pause(receives, now);
        if let Some(pause) = pause {
            tracing::error!(%error, ?pause, "the delivery is tried again");
            return Verdict::Release(pause);
        }
        let kind = self.recorded(message, DeliveryRecord::pending()).kind();
        metrics::undelivered(kind);
        tracing::error!(%error, kind, "gave up a delivery, which its job's record does not show");
        Verdict::Acknowledge
    }

    /// Sends what the message holds, once.
    async fn send(&self, message: &DeliveryMessage) -> Sent {
        match &message.payload {
            Payload::Webhook { url, event } => {
                let sent = self.poster.post(&message.end_id(), url, event).await;
                if sent.error.is_none() {
                    announced(metrics::Channel::Webhook);
                }
                sent
            }
            Payload::Announcement(announcement) => self.notifier.announce(announcement).await,
        }
    }

    /// The record of a delivery, as its job keeps it.
    fn recorded(&self, message: &DeliveryMessage, delivery: DeliveryRecord) -> Recorded {
        match &message.payload {
            Payload::Webhook { url, .. } => Recorded::Webhook(Webhook { url: url.clone(), delivery }),
            Payload::Announcement(_) => {
                Recorded::Announcement(AnnouncementRecord { channel: self.notifier.channel(), delivery })
            }
        }
    }

    /// Where the delivery stands: on record, or as far as its queue can tell where the job has gone on since.
    async fn record(&self, message: &DeliveryMessage, receives: u32) -> Result<DeliveryRecord, Unavailable> {
        let job = self.patience.insist(|| self.jobs.get(message.id)).await?;
        let pending = DeliveryRecord::pending();
        Ok(match job {
            Some(job) if message.tells_of(&job) => on_record(&message.payload, job).unwrap_or(pending),
            _ => DeliveryRecord { attempts: receives.saturating_sub(1), ..pending },
        })
    }
}

fn on_record(payload: &Payload, job: Job) -> Option<DeliveryRecord> {
    match payload {
        Payload::Webhook { .. } => job.webhook.map(|webhook| webhook.delivery),
        Payload::Announcement(_) => job.announcement.map(|announcement| announcement.delivery),
    }
}

fn log(recorded: &Recorded, answered: Option<u16>, error: Option<&str>, pause: Option<Duration>) {
    let (kind, status) = (recorded.kind(), recorded.delivery().status.as_str());
    let next_attempt_in = pause.map(field::debug);
    if recorded.delivery().count_if_given_up(kind) {
        tracing::warn!(kind, answered, error, status, "gave up a delivery");
    } else {
        tracing::info!(kind, answered, error, status, next_attempt_in, "attempted a delivery");
    }
}
