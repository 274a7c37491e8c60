//! One port more, where callers have quotas: how much each of them uses.

use async_trait::async_trait;
use chrono::{DateTime, TimeDelta, Utc};

use crate::job::JobId;
use crate::ports::Unavailable;

/// Counts what callers use. A caller's name has 255 bytes at the most.
#[async_trait]
pub trait Usage: Send + Sync {
    /// Counts a request of `caller` in the minute that `now` is in, unless `most` are counted there already; answers
    /// whether it was.
    async fn count_request(&self, caller: &str, now: DateTime<Utc>, most: u32) -> Result<bool, Unavailable>;

    /// Has a job of `caller` count as in flight from `now` until it has ended, unless `most` of its jobs are; answers
    /// whether it does. A job that is not on record, or not reopened, [`RECORDED_WITHIN`] that time counts no more. A job
    /// that counts already counts once.
    async fn take_off(&self, caller: &str, job: JobId, now: DateTime<Utc>, most: u32) -> Result<bool, Unavailable>;
}

/// How long after it took off a job is on record at the latest, if its request did not die.
pub const RECORDED_WITHIN: TimeDelta = TimeDelta::seconds(60);
