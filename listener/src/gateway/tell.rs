//! Sends the events of a job to its followers.

use futures_util::{StreamExt, stream};
use jobs::event::events;
use jobs::followers::{Follower, Posted};
use jobs::{Job, JobId, Unavailable};

use super::{Change, Gateway};
use crate::protocol::frame;

/// How many followers are sent to at the same time.
const TOLD_AT_ONCE: usize = 32;

impl Gateway {
    /// Notifies all followers of the jobs that changed. Returns the sequence number of the first change that must come by
    /// again, if one must; those who were told are not told then.
    pub(super) async fn tell_of(&self, changes: &[Change]) -> Option<String> {
        let mut undone = None;
        let mut seen = Vec::new();
        for change in changes {
            // The record is read as it is now: one look at a job is good for all of its changes.
            if seen.contains(&change.id) {
                continue;
            }
            seen.push(change.id);
            if let Err(error) = self.tell_followers(change.id).await {
                tracing::error!(%error, job_id = %change.id, "followers were not told");
                undone.get_or_insert_with(|| change.sequence_number.clone());
            }
        }
        undone
    }

    async fn tell_followers(&self, id: JobId) -> Result<(), Unavailable> {
        let followers = self.followers.of(id).await?;
        if followers.is_empty() {
            return Ok(());
        }
        let Some(job) = self.listener.jobs.get(id).await? else { return Ok(()) };
        let each = followers.into_iter().map(|follower| self.tell(&job, follower));
        let told: Vec<_> = stream::iter(each).buffer_unordered(TOLD_AT_ONCE).collect().await;
        told.into_iter().collect()
    }

    /// Sends one follower its new events, and records which it received, even if not all of them could be sent.
    async fn tell(&self, job: &Job, follower: Follower) -> Result<(), Unavailable> {
        let Follower { connection, last } = follower;
        let base_url = self.base_url();
        let (mut told, mut trouble) = (None, None);
        for event in events(job, last) {
            let id = event.id;
            match self.post(&connection, frame(&self.listener, event, &base_url)).await {
                Ok(Posted::Yes) => told = Some(id),
                Ok(Posted::Gone) => {
                    tracing::info!(job_id = %job.id, "a follower is gone");
                    self.followers.remove(job.id, &connection).await?;
                    return self.followers.forget(&connection).await;
                }
                Err(error) => {
                    trouble = Some(error);
                    break;
                }
            }
        }
        match (trouble, told) {
            (None, _) if job.status.is_final() => self.followers.remove(job.id, &connection).await,
            (trouble, Some(told)) => {
                self.followers.advance(job.id, &connection, told).await?;
                trouble.map_or(Ok(()), Err)
            }
            (trouble, None) => trouble.map_or(Ok(()), Err),
        }
    }
}
