//! Webhooks out: tells a caller's server that a job ended.
//!
//! [`Courier::deliver`] makes one attempt to deliver one event, writes down what came of it, and says when to try again;
//! it is the same on AWS Lambda (`main.rs`) and on one machine ([`work`]). An event is delivered at least once, under one
//! `webhook-id`. It goes to public addresses only (`address.rs`, `guard.rs`), signed as <https://www.standardwebhooks.com>
//! says (`secrets.rs`).

mod address;
mod guard;
mod post;
mod schedule;
mod secrets;
mod worker;

use std::sync::Arc;
use std::time::{Duration, Instant};

use chrono::{DateTime, TimeDelta, Utc};
use jobs::{JobStore, Patience, Unavailable, Webhook, WebhookAttempt, WebhookMessage, WebhookStatus};

use telemetry::metrics::{Channel, announced};
use telemetry::trace;
use tracing::Span;
use tracing::field::Empty;

pub use guard::{Lookup, SystemLookup};
pub use post::Poster;
use post::{Answer, Outcome};
pub use secrets::{BadSecret, Secrets};
pub use worker::work;

/// When to try again what the job store kept from being tried or written down.
const PAUSE: Duration = Duration::from_secs(30);

/// What delivers events.
pub struct Courier {
    /// Where attempts are on record.
    pub jobs: Arc<dyn JobStore>,
    /// What makes them.
    pub poster: Poster,
    /// How trouble with the store is met.
    pub patience: Patience,
}

/// What to do with a message once it was dealt with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Remove it: the event is delivered, or never will be.
    Acknowledge,
    /// Deliver it again after that.
    Release(Duration),
    /// It is not a webhook; let the queue set it aside.
    Reject,
}

impl Courier {
    /// Makes one attempt to deliver the event of a message, delivered for the `receives`th time at `now`, if it is due.
    pub async fn deliver(&self, body: &str, receives: u32, now: DateTime<Utc>) -> Verdict {
        let message = match WebhookMessage::decode(body) {
            Ok(message) => message,
            Err(error) => {
                tracing::error!(error = error.kind(), "rejected a message");
                return Verdict::Reject;
            }
        };
        let span = tracing::info_span!(
            "deliver",
            job_id = %message.id,
            template = %message.template(),
            attempt = Empty,
            request_id = Empty,
            trace_id = Empty,
        );
        let attempt = async {
            self.attempt(&message, receives, now).await.unwrap_or_else(|error| {
                tracing::error!(%error, "the webhook is tried again");
                Verdict::Release(PAUSE)
            })
        };
        trace::within(span, message.origin(), attempt).await
    }

    async fn attempt(
        &self,
        message: &WebhookMessage,
        receives: u32,
        now: DateTime<Utc>,
    ) -> Result<Verdict, Unavailable> {
        let webhook = self.webhook(message, receives).await?;
        if webhook.status != WebhookStatus::Pending {
            return Ok(Verdict::Acknowledge);
        }
        // A copy of a message that was given back until then.
        if let Some(early) =
            webhook.next_attempt_at.and_then(|due| (due - now).to_std().ok()).filter(|it| !it.is_zero())
        {
            return Ok(Verdict::Release(early.max(Duration::from_secs(1))));
        }
        Span::current().record("attempt", webhook.attempts + 1);
        let start = Instant::now();
        let answer = self.poster.post(message).await;
        let end = now + TimeDelta::from_std(start.elapsed()).unwrap_or_default();
        let (status, pause) = judge(message, &answer, webhook.attempts + 1, end);
        let Answer { status: answered, error, .. } = answer;
        tracing::info!(answered, error, ?status, ?pause, "told the caller's server");
        if status == WebhookStatus::Delivered {
            announced(Channel::Webhook);
        }
        let attempt = WebhookAttempt { at: now, status: answered, error };
        let next_attempt_at = pause.and_then(|pause| Some(end + TimeDelta::from_std(pause).ok()?));
        let webhook = webhook.after(attempt, status, next_attempt_at);
        // A job that has gone on since has no place for this on its record.
        _ = self.patience.insist(|| self.jobs.record_webhook(message, &webhook)).await?;
        Ok(pause.map_or(Verdict::Acknowledge, Verdict::Release))
    }

    /// Where the delivery stands: on record, or as far as its queue can tell where the job has gone on since.
    async fn webhook(&self, message: &WebhookMessage, receives: u32) -> Result<Webhook, Unavailable> {
        let job = self.patience.insist(|| self.jobs.get(message.id)).await?;
        let pending = Webhook::pending(&message.url);
        Ok(match job {
            Some(job) if message.tells_of(&job) => job.webhook.unwrap_or(pending),
            _ => Webhook { attempts: receives.saturating_sub(1), ..pending },
        })
    }
}

/// What an answer to the `attempt`th attempt means, and after what pause to make another.
fn judge(
    message: &WebhookMessage,
    answer: &Answer,
    attempt: u32,
    now: DateTime<Utc>,
) -> (WebhookStatus, Option<Duration>) {
    match answer.outcome {
        Outcome::Taken => (WebhookStatus::Delivered, None),
        Outcome::Unwanted => (WebhookStatus::Failed, None),
        Outcome::Forbidden => (WebhookStatus::Refused, None),
        Outcome::Trouble { retry_after } => match schedule::pause(attempt, retry_after, now - message.ended_at) {
            Some(pause) => (WebhookStatus::Pending, Some(pause)),
            None => (WebhookStatus::Failed, None),
        },
    }
}
