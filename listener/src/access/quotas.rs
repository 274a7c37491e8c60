//! How much a caller may ask for: requests a minute, jobs that have not ended, and bytes that are kept.

use std::sync::Arc;

use axum::http::StatusCode;
use axum::http::header::RETRY_AFTER;
use chrono::{DateTime, TimeDelta, Utc};
use jobs::job::now;
use jobs::{BytesUsed, JobId, Usage};

use super::{Access, Caller};
use crate::Problem;

/// When a caller whose jobs are all in flight may try again, in seconds.
const RETRY_JOBS_AFTER: u64 = 5;

/// When a caller who has stored too much may try again at the latest, in seconds.
const RETRY_BYTES_AFTER: i64 = 86_400;

/// How much each caller may ask for.
#[derive(Clone)]
pub struct Quotas {
    /// Requests a minute that make or retry a job, or begin an upload; any number where absent.
    pub requests: Option<u32>,
    /// Jobs that have not ended; any number where absent.
    pub jobs: Option<u32>,
    /// Bytes of reports and uploads that are kept; any number where absent.
    pub bytes: Option<BytesQuota>,
    /// What counts them.
    pub usage: Arc<dyn Usage>,
}

/// How many bytes a caller may store.
#[derive(Debug, Clone, Copy)]
pub struct BytesQuota {
    /// The most.
    pub most: u64,
    /// How long what is stored counts: as long as it is kept.
    pub kept: TimeDelta,
}

impl Quotas {
    /// These, if there is any bound among them.
    pub fn given(
        requests: Option<u32>,
        jobs: Option<u32>,
        bytes: Option<BytesQuota>,
        usage: Arc<dyn Usage>,
    ) -> Option<Self> {
        (requests.is_some() || jobs.is_some() || bytes.is_some()).then_some(Self { requests, jobs, bytes, usage })
    }
}

/// How a job may be refused that is more than its caller may have.
pub(crate) fn refusals() -> impl Iterator<Item = Problem> {
    upload_refusals().into_iter().chain([too_many_jobs(10)])
}

/// How an upload may be refused that is more than its caller may have.
pub(crate) fn upload_refusals() -> [Problem; 2] {
    let falls_at = DateTime::from_timestamp(1_795_305_600, 0);
    [too_many_requests(60, 17), too_many_bytes(1 << 30, 0, BytesUsed { bytes: 1_100_000_000, falls_at })]
}

impl Access {
    /// Counts a request, or refuses it.
    pub(crate) async fn count_request(&self, caller: &Caller) -> Result<(), Problem> {
        let Some((quotas, most)) = self.quotas.as_ref().and_then(|quotas| Some((quotas, quotas.requests?))) else {
            return Ok(());
        };
        let now = now();
        if quotas.usage.count_request(caller.name(), now, most).await? {
            return Ok(());
        }
        tracing::info!(caller = caller.name(), "refused a request beyond the quota");
        Err(too_many_requests(most, left_of_minute(now)))
    }

    /// Has a job count as one of its caller's that have not ended, or refuses it.
    pub(crate) async fn take_off(&self, caller: &Caller, job: JobId) -> Result<(), Problem> {
        let Some((quotas, most)) = self.quotas.as_ref().and_then(|quotas| Some((quotas, quotas.jobs?))) else {
            return Ok(());
        };
        if quotas.usage.take_off(caller.name(), job, now(), most).await? {
            return Ok(());
        }
        tracing::info!(caller = caller.name(), "refused a job beyond the quota");
        Err(too_many_jobs(most))
    }
}

impl Access {
    /// Counts bytes that a caller is to upload, or refuses them; of none, refuses one who has stored all it may.
    pub(crate) async fn count_bytes(&self, caller: &Caller, bytes: u64) -> Result<(), Problem> {
        let Some((quotas, quota)) = self.quotas.as_ref().and_then(|quotas| Some((quotas, quotas.bytes?))) else {
            return Ok(());
        };
        match quotas.usage.count_bytes(caller.name(), bytes, now(), quota.kept, quota.most).await? {
            None => Ok(()),
            Some(used) => {
                tracing::info!(caller = caller.name(), used = used.bytes, bytes, "refused bytes beyond the quota");
                Err(too_many_bytes(quota.most, bytes, used))
            }
        }
    }
}

/// How many seconds of the minute are left, one at the least.
fn left_of_minute(now: DateTime<Utc>) -> u64 {
    60 - now.timestamp().rem_euclid(60).unsigned_abs()
}

fn too_many_requests(most: u32, wait: u64) -> Problem {
    let detail = format!("You may make {most} a minute. Send it again in {wait} seconds.");
    Problem::new(StatusCode::TOO_MANY_REQUESTS, "too-many-requests", "You made too many requests.", detail)
        .with_header(RETRY_AFTER, wait)
}

fn too_many_jobs(most: u32) -> Problem {
    let detail = format!("You have {most} unfinished jobs, the most allowed. Send it again when one has finished.");
    Problem::new(StatusCode::TOO_MANY_REQUESTS, "too-many-jobs", "You have too many jobs.", detail)
        .with_header(RETRY_AFTER, RETRY_JOBS_AFTER)
}

fn too_many_bytes(most: u64, bytes: u64, used: BytesUsed) -> Problem {
    let (asked, less) = match bytes {
        0 => (String::new(), "Wait"),
        _ => (format!(", and this needs {bytes} more"), "Send less, or wait"),
    };
    let falls = used
        .falls_at
        .map(|at| format!(" The oldest of them count until {}.", at.format("%Y-%m-%d")))
        .unwrap_or_default();
    let detail = format!(
        "Your reports and uploads take {} of your {most} bytes{asked}.{falls} {less} until enough of them have expired.",
        used.bytes
    );
    let wait = used.falls_at.map_or(RETRY_BYTES_AFTER, |at| (at - now()).num_seconds().clamp(1, RETRY_BYTES_AFTER));
    Problem::new(StatusCode::TOO_MANY_REQUESTS, "too-many-bytes", "You have stored too much.", detail)
        .with_header(RETRY_AFTER, wait.unsigned_abs())
}
