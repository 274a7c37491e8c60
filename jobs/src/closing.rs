//! How a job ends: its end is recorded, and its deliveries are handed over.

use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use findings::Warning;
use telemetry::metrics;
use tokio::time::timeout;
use tracing::Instrument;
use uuid::Uuid;

use crate::announcement::Announcement;
use crate::delivery::{AnnouncementRecord, Channel, DeliveryMessage, DeliveryRecord, DeliveryStatus, Payload, Sent};
use crate::job::{Job, Status, now};
use crate::link::LinkSigner;
use crate::patience::Patience;
use crate::ports::{Completed, Deliveries, Failed, Held, JobStore, Notifier, Unavailable, kept_until};
use crate::webhook;

/// How long a run may take to announce an end itself.
const TIME_TO_ANNOUNCE: Duration = Duration::from_secs(5);

/// Ends jobs that a run has claimed. Any step may be the last that a process makes: the next run finds on record how
/// far it got, and each step may be taken again.
#[derive(Clone)]
pub struct Closing {
    /// Where jobs are on record.
    pub jobs: Arc<dyn JobStore>,
    /// How people are told.
    pub announcing: Announcing,
    /// Where deliveries wait for the courier.
    pub deliveries: Arc<dyn Deliveries>,
    /// Signs the links in mails.
    pub links: LinkSigner,
    /// Where those links lead, without a slash at the end.
    pub public_url: String,
    /// How long jobs and reports are kept.
    pub retention: TimeDelta,
    /// How trouble with the ports is met.
    pub patience: Patience,
}

/// Who makes the first attempt to tell people that a job ended.
#[derive(Clone)]
pub enum Announcing {
    /// The run that ends the job, in a few seconds. What fails goes to the delivery queue.
    InRun(Arc<dyn Notifier>),
    /// The delivery queue, by this channel.
    Queued(Channel),
}

impl Closing {
    /// Records that `job` has a report. Returns the job as it ended, if the claim still held.
    pub async fn complete(
        &self,
        job: &Job,
        owner: Uuid,
        completed: &Completed<'_>,
    ) -> Result<Option<Job>, Unavailable> {
        let recorded = self.patience.insist(|| self.jobs.complete(job.id, owner, completed)).await?;
        if recorded == Held::No {
            return Ok(None);
        }
        let Completed { pages, bytes, warnings, .. } = *completed;
        tracing::info!(pages, bytes, "completed");
        metrics::completed(pages, bytes);
        for Warning { code, count, .. } in warnings {
            // Its message may quote the data.
            tracing::warn!(code, count, "the report has a warning");
        }
        if !warnings.is_empty() {
            metrics::warned();
        }
        let (pages, bytes, warnings) = (Some(pages), Some(bytes), warnings.to_vec());
        Ok(Some(Job { status: Status::Completed, pages, bytes, warnings, error: None, ..job.clone() }))
    }

    /// Records that `job` failed. Returns the job as it ended, if the claim still held.
    pub async fn fail(&self, job: &Job, owner: Uuid, failed: &Failed<'_>) -> Result<Option<Job>, Unavailable> {
        let recorded = self.patience.insist(|| self.jobs.fail(job.id, owner, failed)).await?;
        if recorded == Held::No {
            return Ok(None);
        }
        let failure = failed.failure;
        // Its detail may quote the data.
        tracing::warn!(kind = failure.kind, "failed");
        metrics::failed(failure.name());
        Ok(Some(Job { status: Status::Failed, error: Some(failure.clone()), ..job.clone() }))
    }

    /// Hands over the deliveries of a job that ended, then records that they were: a run that is killed in between
    /// leaves them to be handed over twice.
    pub async fn announce(&self, job: &Job, owner: Uuid) -> Result<Held, Unavailable> {
        self.hand_over(job, owner).instrument(tracing::info_span!("announce", job_id = %job.id)).await
    }

    async fn hand_over(&self, job: &Job, owner: Uuid) -> Result<Held, Unavailable> {
        // First what may be repeated without harm: a webhook has an identity, and a mail does not.
        if let Some(url) = &job.notify.webhook {
            let message = self.webhook(job, url).await?;
            self.patience.insist(|| self.deliveries.push(&message)).await?;
        }
        let announcement = self.tell_people(job).await?;
        let at = now();
        self.patience.insist(|| self.jobs.mark_notified(job.id, owner, at, &announcement)).await
    }

    /// Tells people of the end, or leaves it to the delivery queue.
    async fn tell_people(&self, job: &Job) -> Result<AnnouncementRecord, Unavailable> {
        let recorded = match &self.announcing {
            Announcing::InRun(notifier) => attempt(&**notifier, &self.announcement(job)).await,
            Announcing::Queued(channel) => AnnouncementRecord::pending(*channel),
        };
        if recorded.delivery.status == DeliveryStatus::Pending {
            let job = self.on_record(job).await?;
            let message = DeliveryMessage::new(&job, Payload::Announcement(self.announcement(&job)));
            self.patience.insist(|| self.deliveries.push(&message)).await?;
        }
        Ok(recorded)
    }

    fn announcement(&self, job: &Job) -> Announcement {
        if let Some(failure) = &job.error {
            return Announcement::failed(job, failure);
        }
        Announcement::completed(job, &self.link(job), self.expires_at(job))
    }

    async fn webhook(&self, job: &Job, url: &str) -> Result<DeliveryMessage, Unavailable> {
        let job = self.on_record(job).await?;
        let link = (job.status == Status::Completed).then(|| self.link(&job));
        let link = link.as_deref().map(|link| (link, self.expires_at(&job)));
        Ok(webhook::delivery(&job, url, &self.public_url, link))
    }

    /// The job as it is on record, which tells more than the run knows. Where another run has taken over, this one tells
    /// what it knows.
    async fn on_record(&self, job: &Job) -> Result<Job, Unavailable> {
        let recorded = self.patience.insist(|| self.jobs.get(job.id)).await?;
        Ok(recorded.filter(|recorded| recorded.status == job.status).unwrap_or_else(|| job.clone()))
    }

    fn link(&self, job: &Job) -> String {
        self.links.sign(&self.public_url, job.id, self.expires_at(job))
    }

    fn expires_at(&self, job: &Job) -> DateTime<Utc> {
        kept_until(job, job.started_at.unwrap_or_else(now), self.retention)
    }
}

/// The one attempt of the run itself.
async fn attempt(notifier: &dyn Notifier, announcement: &Announcement) -> AnnouncementRecord {
    let (channel, began) = (notifier.channel(), now());
    let limit = || Sent::later(format!("The announcement was not taken within {} s.", TIME_TO_ANNOUNCE.as_secs()));
    let sent = timeout(TIME_TO_ANNOUNCE, notifier.announce(announcement)).await.unwrap_or_else(|_| limit());
    match &sent.error {
        None => tracing::info!(channel = channel.as_str(), "announced"),
        Some(error) => tracing::warn!(channel = channel.as_str(), error, outcome = ?sent.outcome, "not announced"),
    }
    let (delivery, _) = DeliveryRecord::pending().after(sent, (began, now()), began);
    delivery.count_if_given_up(channel.as_str());
    AnnouncementRecord { channel, delivery }
}
