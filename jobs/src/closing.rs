//! How a job ends: its end is written down, people and servers are told, and that they were told is written down too.

use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};
use findings::Warning;
use telemetry::metrics;
use tracing::Instrument;
use uuid::Uuid;

use crate::announcement::Announcement;
use crate::job::{Job, Status, now};
use crate::link::LinkSigner;
use crate::patience::Patience;
use crate::ports::{Completed, Failed, Held, JobStore, Notifier, Queue, Unavailable};
use crate::webhook::WebhookMessage;

/// Ends jobs that a run has claimed. Any step may be the last that a process makes: the next run finds on record how
/// far it got, and each step may be taken again.
#[derive(Clone)]
pub struct Closing {
    /// Where jobs are on record.
    pub jobs: Arc<dyn JobStore>,
    /// Who tells people.
    pub notifier: Arc<dyn Notifier>,
    /// Where webhooks wait for the courier.
    pub webhooks: Arc<dyn Queue>,
    /// Signs the links in mails.
    pub links: LinkSigner,
    /// Where those links lead, without a slash at the end.
    pub public_url: String,
    /// How long jobs and reports are kept.
    pub retention: TimeDelta,
    /// How trouble with the ports is met.
    pub patience: Patience,
}

impl Closing {
    /// Records that `job` has a report, then announces it.
    pub async fn complete(&self, job: &Job, owner: Uuid, completed: &Completed<'_>) -> Result<Held, Unavailable> {
        let recorded = self.patience.insist(|| self.jobs.complete(job.id, owner, completed)).await?;
        if recorded == Held::No {
            return Ok(Held::No);
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
        let ended = Job { status: Status::Completed, pages, bytes, warnings, error: None, ..job.clone() };
        self.announce(&ended, owner).await
    }

    /// Records that `job` failed, then announces it.
    pub async fn fail(&self, job: &Job, owner: Uuid, failed: &Failed<'_>) -> Result<Held, Unavailable> {
        let recorded = self.patience.insist(|| self.jobs.fail(job.id, owner, failed)).await?;
        if recorded == Held::No {
            return Ok(Held::No);
        }
        let failure = failed.failure;
        // Its detail may quote the data.
        tracing::warn!(kind = failure.kind, "failed");
        metrics::failed(failure.name());
        let ended = Job { status: Status::Failed, error: Some(failure.clone()), ..job.clone() };
        self.announce(&ended, owner).await
    }

    /// Tells how `job` ended, then records that it was told: a run that dies in between leaves it to be told twice.
    pub async fn announce(&self, job: &Job, owner: Uuid) -> Result<Held, Unavailable> {
        self.tell(job, owner).instrument(tracing::info_span!("announce", job_id = %job.id)).await
    }

    async fn tell(&self, job: &Job, owner: Uuid) -> Result<Held, Unavailable> {
        // First what may be repeated without harm: a webhook has an identity, and a mail does not.
        if let Some(url) = &job.notify.webhook {
            let body = self.webhook(job, url).await?.encode();
            self.patience.insist(|| self.webhooks.push(&body)).await?;
        }
        let announcement = self.announcement(job);
        self.patience.insist(|| self.notifier.announce(&announcement)).await?;
        tracing::info!("announced");
        let at = now();
        self.patience.insist(|| self.jobs.mark_notified(job.id, owner, at)).await
    }

    fn announcement(&self, job: &Job) -> Announcement {
        if let Some(failure) = &job.error {
            return Announcement::failed(job, failure);
        }
        Announcement::completed(job, &self.link(job), self.expires_at(job))
    }

    async fn webhook(&self, job: &Job, url: &str) -> Result<WebhookMessage, Unavailable> {
        let recorded = self.patience.insist(|| self.jobs.get(job.id)).await?;
        // The record tells more than the run knows. Where another run has taken over, this one tells what it knows.
        let recorded = recorded.filter(|recorded| recorded.status == job.status);
        let job = recorded.as_ref().unwrap_or(job);
        let link = (job.status == Status::Completed).then(|| self.link(job));
        let link = link.as_deref().map(|link| (link, self.expires_at(job)));
        Ok(WebhookMessage::new(job, url, &self.public_url, link))
    }

    fn link(&self, job: &Job) -> String {
        self.links.sign(&self.public_url, job.id, self.expires_at(job))
    }

    fn expires_at(&self, job: &Job) -> DateTime<Utc> {
        job.enqueued_at + self.retention
    }
}
