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

    /// Counts `bytes` that `caller` is to store, for as long as they are `kept`, unless they are more than `most` with those
    /// that count already; or, of none, unless `most` count already. Answers with what counts if they are refused. Reports
    /// count from their completion on.
    async fn count_bytes(
        &self,
        caller: &str,
        bytes: u64,
        now: DateTime<Utc>,
        kept: TimeDelta,
        most: u64,
    ) -> Result<Option<BytesUsed>, Unavailable>;
}

/// What counts of what a caller stored: by whole days, so that it is never less than what is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BytesUsed {
    /// All of it.
    pub bytes: u64,
    /// When the oldest of it counts no more.
    pub falls_at: Option<DateTime<Utc>>,
}

#[cfg(any(feature = "aws", feature = "local"))]
impl BytesUsed {
    /// What counts of these days' bytes on `today`, counted from 1970.
    pub(crate) fn of(days: impl IntoIterator<Item = (i64, u64)>, today: i64, kept: TimeDelta) -> Self {
        let counted = days.into_iter().filter(|(day, bytes)| *day >= first_day(today, kept) && *bytes > 0);
        let (mut bytes, mut oldest) = (0_u64, None);
        for (day, of_day) in counted {
            bytes = bytes.saturating_add(of_day);
            oldest = Some(oldest.map_or(day, |oldest: i64| oldest.min(day)));
        }
        let falls_on = oldest.map(|day| day + kept.num_days() + 1);
        Self { bytes, falls_at: falls_on.and_then(|day| DateTime::from_timestamp(day * SECONDS_A_DAY, 0)) }
    }

    /// What counts, if of `most` nothing is left.
    pub(crate) fn if_full(self, most: u64) -> Option<Self> {
        (self.bytes >= most).then_some(self)
    }

    /// What counts, if it is more than `most` with these bytes.
    pub(crate) fn if_beyond(self, bytes: u64, most: u64) -> Option<Self> {
        (self.bytes.saturating_add(bytes) > most).then_some(self)
    }
}

/// How many seconds a day has.
#[cfg(any(feature = "aws", feature = "local"))]
const SECONDS_A_DAY: i64 = 86_400;

/// The day of a time, counted from 1970.
#[cfg(any(feature = "aws", feature = "local"))]
pub(crate) fn day(time: DateTime<Utc>) -> i64 {
    time.timestamp().div_euclid(SECONDS_A_DAY)
}

/// The first day that counts on `today`.
#[cfg(any(feature = "aws", feature = "local"))]
pub(crate) fn first_day(today: i64, kept: TimeDelta) -> i64 {
    today - kept.num_days()
}

/// How long after it took off a job is on record at the latest, if its request did not die.
pub const RECORDED_WITHIN: TimeDelta = TimeDelta::seconds(60);
