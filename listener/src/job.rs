//! `GET /jobs/{id}`: where a job stands, now or when it changes.

use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::rejection::{PathRejection, QueryRejection};
use axum::extract::{Path, Query, State};
use axum::http::header::{CACHE_CONTROL, RETRY_AFTER};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use jobs::{Job, JobId, Status, Webhook};
use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use crate::base_url::base_url;
use crate::list::invalid_query;
use crate::{Listener, Problem};

/// The answer: the record, without what is the processor's own, and with the way to the report.
#[derive(Serialize)]
pub(crate) struct Answer {
    #[serde(flatten)]
    job: Job,
    #[serde(skip_serializing_if = "Option::is_none")]
    report_url: Option<String>,
}

impl Answer {
    /// The answer about `job` to a caller who reaches the listener at `base_url`.
    pub(crate) fn new(job: Job, base_url: &str) -> Self {
        let report_url = (job.status == Status::Completed).then(|| format!("{base_url}/jobs/{}/report", job.id));
        let webhook = job.webhook.or_else(|| job.notify.webhook.as_ref().map(Webhook::pending));
        Self { job: Job { notified_at: None, webhook, ..job }, report_url }
    }
}

/// How long a caller wants to wait for a change.
#[derive(Deserialize)]
pub(crate) struct Wait {
    wait: Option<String>,
}

/// The longest wait that may be asked for, in seconds.
const MAX_WAIT_SECONDS: u64 = 60;

pub(crate) async fn job(
    State(listener): State<Arc<Listener>>,
    headers: HeaderMap,
    id: Result<Path<String>, PathRejection>,
    asked: Result<Query<Wait>, QueryRejection>,
) -> Result<Response, Problem> {
    let wait = wait(&headers, asked)?;
    let mut job = find(&listener, id).await?;
    if let Some(wait) = wait.filter(|_| !job.status.is_final()) {
        job = changed(&listener, job, wait.min(listener.longest_wait)).await?;
    }
    let ended = job.status.is_final();
    let answer = Answer::new(job, &base_url(&listener, &headers));
    let mut response = ([(CACHE_CONTROL, "no-store")], Json(answer)).into_response();
    if !ended {
        response.headers_mut().insert(RETRY_AFTER, HeaderValue::from_static("1"));
    }
    if wait.is_some() && headers.contains_key(PREFER) {
        response.headers_mut().insert("preference-applied", HeaderValue::from_static("wait"));
    }
    Ok(response)
}

/// The job once it stands otherwise, or after `wait`. How far its run is does not count: that would end every wait.
async fn changed(listener: &Listener, seen: Job, wait: Duration) -> Result<Job, Problem> {
    let state = |job: &Job| (job.status, job.attempts, job.retries);
    let (end, mut job) = (Instant::now() + wait, seen.clone());
    loop {
        let left = end.saturating_duration_since(Instant::now());
        job = listener.jobs.changed(&job, left).await?.ok_or_else(unknown)?;
        if state(&job) != state(&seen) || Instant::now() >= end {
            return Ok(job);
        }
    }
}

const PREFER: &str = "prefer";

/// The wait that a caller asks for, by `?wait=` or by `Prefer: wait=` (RFC 7240, section 4.3).
fn wait(headers: &HeaderMap, asked: Result<Query<Wait>, QueryRejection>) -> Result<Option<Duration>, Problem> {
    let Query(Wait { wait }) = asked.map_err(|error| invalid_query(&error.body_text()))?;
    if let Some(wait) = wait {
        let seconds = wait.parse().ok().filter(|seconds| *seconds <= MAX_WAIT_SECONDS);
        let refused = || invalid_query(&format!("`wait` is a number of seconds from 0 to {MAX_WAIT_SECONDS}"));
        return seconds.map(|seconds| Some(Duration::from_secs(seconds))).ok_or_else(refused);
    }
    // A preference that cannot be met is no error.
    let preferences = headers.get_all(PREFER).iter().filter_map(|value| value.to_str().ok());
    let mut each = preferences.flat_map(|value| value.split([',', ';']));
    let seconds: Option<u64> = each.find_map(|one| one.trim().strip_prefix("wait=")?.trim().parse().ok());
    Ok(seconds.map(|seconds| Duration::from_secs(seconds.min(MAX_WAIT_SECONDS))))
}

/// The job a path names.
pub(crate) async fn find(listener: &Listener, id: Result<Path<String>, PathRejection>) -> Result<Job, Problem> {
    let id = id.ok().and_then(|Path(id)| id.parse().ok()).ok_or_else(unknown)?;
    find_by_id(listener, id).await
}

pub(crate) async fn find_by_id(listener: &Listener, id: JobId) -> Result<Job, Problem> {
    listener.jobs.get(id).await?.ok_or_else(unknown)
}

pub(crate) fn unknown() -> Problem {
    let detail = "Take the id from the answer to POST /append_queue. A job is forgotten when its report is.";
    Problem::new(StatusCode::NOT_FOUND, "unknown-job", "There is no job of this id.", detail)
}
