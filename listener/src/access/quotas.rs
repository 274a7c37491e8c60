//! How much a caller may ask for: requests a minute, and jobs that have not ended.

use std::sync::Arc;

use axum::http::StatusCode;
use axum::http::header::RETRY_AFTER;
use chrono::{DateTime, Utc};
use jobs::job::now;
use jobs::{JobId, Usage};

use super::{Access, Caller};
use crate::Problem;

/// After how many seconds one whose jobs are all in flight may ask again.
const RETRY_JOBS_AFTER: u64 = 5;

/// How much each caller may ask for.
#[derive(Clone)]
pub struct Quotas {
    /// Requests a minute that make or retry a job, or begin an upload; any number where absent.
    pub requests: Option<u32>,
    /// Jobs that have not ended; any number where absent.
    pub jobs: Option<u32>,
    /// What counts them.
    pub usage: Arc<dyn Usage>,
}

impl Quotas {
    /// These, if there is any bound among them.
    pub fn given(requests: Option<u32>, jobs: Option<u32>, usage: Arc<dyn Usage>) -> Option<Self> {
        (requests.is_some() || jobs.is_some()).then_some(Self { requests, jobs, usage })
    }
}

/// How a call may be refused that asks for more than its caller may have.
pub(crate) fn refusals() -> [Problem; 2] {
    [too_many_requests(60, 17), too_many_jobs(10)]
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
    let detail =
        format!("You have {most} jobs that have not ended, and may not have more. Send it again when one has.");
    Problem::new(StatusCode::TOO_MANY_REQUESTS, "too-many-jobs", "You have too many jobs.", detail)
        .with_header(RETRY_AFTER, RETRY_JOBS_AFTER)
}
