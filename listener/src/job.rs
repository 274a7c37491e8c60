//! `GET /jobs/{id}`: where a job stands, now or when it changes.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::rejection::PathRejection;
use axum::extract::{Extension, Path, State};
use axum::http::header::{CACHE_CONTROL, RETRY_AFTER};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use chrono::{DateTime, TimeDelta, Utc};
use jobs::destination::without_secrets;
use jobs::{Job, JobId, LinkSigner, Status, Webhook, kept_until, rfc3339};
use serde::{Deserialize, Serialize};
use tokio::time::Instant;
use utoipa::{IntoParams, IntoResponses, ToSchema};

use crate::access::Caller;
use crate::base_url::base_url;
use crate::json::Json;
use crate::openapi::{Responses, example, guarded_refusals};
use crate::problem::unavailable;
use crate::query::{Parameters, invalid_query};
use crate::{Listener, Problem, observe};

/// A job, and the ways to its report.
#[derive(Serialize, ToSchema)]
#[schema(as = JobAnswer)]
pub(crate) struct Answer {
    #[serde(flatten)]
    job: Job,
    /// Where the report is, for callers who send the token.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, format = "uri")]
    report_url: Option<String>,
    /// Where the report is, for everyone who has this link.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, format = "uri")]
    link: Option<String>,
    /// Until when the link works.
    #[serde(serialize_with = "rfc3339::serialize_some", skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    link_expires_at: Option<DateTime<Utc>>,
}

impl Answer {
    /// The answer about `job` to a caller who reaches the listener at `base_url`.
    pub(crate) fn new(listener: &Listener, job: Job, base_url: &str) -> Self {
        Self::signed(&listener.links, listener.retention, job, base_url)
    }

    /// The job's id.
    pub(crate) fn id(&self) -> JobId {
        self.job.id
    }

    /// Where the job stands.
    pub(crate) fn status(&self) -> Status {
        self.job.status
    }

    /// The way to the report that needs no token.
    pub(crate) fn link(&self) -> Option<&str> {
        self.link.as_deref()
    }

    /// The same, with what signs the link and how long jobs are kept.
    pub(crate) fn signed(links: &LinkSigner, retention: TimeDelta, job: Job, base_url: &str) -> Self {
        let webhook = job.webhook.or_else(|| job.notify.webhook.as_ref().map(Webhook::pending));
        let webhook = webhook.map(|webhook| Webhook { url: without_secrets(&webhook.url), ..webhook });
        let job = Job { notified_at: None, webhook, ..job };
        if job.status != Status::Completed {
            return Self { job, report_url: None, link: None, link_expires_at: None };
        }
        let expires_at = kept_until(&job, job.started_at.unwrap_or(job.enqueued_at), retention);
        Self {
            report_url: Some(format!("{base_url}/jobs/{}/report", job.id)),
            link: Some(links.sign(base_url, job.id, expires_at)),
            link_expires_at: Some(expires_at),
            job,
        }
    }
}

/// How long a caller wants to wait for a change.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct Wait {
    /// For how many seconds to wait for the job to change.
    #[param(value_type = Option<u64>, nullable = false, maximum = 60)]
    wait: Option<String>,
}

/// The longest wait that may be asked for, in seconds.
const MAX_WAIT_SECONDS: u64 = 60;

/// Where a job stands.
///
/// At once; or, if one waits, at the moment it changes, or as it stands at the end of the wait.
#[utoipa::path(
    get,
    path = "/jobs/{id}",
    tag = "jobs",
    params(
        ("id" = JobId, Path, description = "The job's id."),
        Wait,
        (
            "Prefer" = Option<String>, Header, nullable = false, example = "wait=30",
            description = "`wait=SECONDS` (RFC 7240), where the query asks for no wait.",
        ),
    ),
    responses(
        (
            status = 200, description = "The job.",
            headers(
                ("Retry-After" = u64, description = "How soon to ask again, in seconds, if the job has not ended."),
                ("Preference-Applied" = String, description = "`wait`, where `Prefer` made the call wait."),
            ),
            body = Answer,
            examples(
                ("running" = (value = json!(example::answer(Status::Running)))),
                ("completed" = (value = json!(example::answer(Status::Completed)))),
                ("failed" = (value = json!(example::answer(Status::Failed)))),
                ("misfit" = (
                    summary = "Its upload does not fit its template.",
                    value = json!(example::misfit()),
                )),
            )
        ),
        JobRefusals,
    )
)]
pub(crate) async fn job(
    State(listener): State<Arc<Listener>>,
    Extension(caller): Extension<Caller>,
    headers: HeaderMap,
    id: Result<Path<String>, PathRejection>,
    asked: Result<Parameters<Wait>, Problem>,
) -> Result<Response, Problem> {
    let asked = asked_wait(asked?.0)?;
    let mut job = find(&listener, &caller, id).await?;
    let wait = asked.or_else(|| preferred_wait(&headers)).filter(|_| !job.status.is_final());
    if let Some(wait) = wait {
        job = changed(&listener, job, wait.min(listener.longest_wait)).await?;
    }
    let ended = job.status.is_final();
    let answer = Answer::new(&listener, job, &base_url(&listener, &headers));
    let mut response = ([(CACHE_CONTROL, "no-store")], Json(answer)).into_response();
    if !ended {
        response.headers_mut().insert(RETRY_AFTER, HeaderValue::from_static("1"));
    }
    if wait.is_some() && asked.is_none() {
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

struct JobRefusals;

impl IntoResponses for JobRefusals {
    fn responses() -> Responses {
        guarded_refusals([invalid_wait(), unknown(), unavailable("read the job")])
    }
}

/// The wait that a caller asks for by `?wait=`.
fn asked_wait(asked: Wait) -> Result<Option<Duration>, Problem> {
    let Some(wait) = asked.wait else { return Ok(None) };
    let seconds = wait.parse().ok().filter(|seconds| *seconds <= MAX_WAIT_SECONDS).ok_or_else(invalid_wait)?;
    Ok(Some(Duration::from_secs(seconds)))
}

fn invalid_wait() -> Problem {
    invalid_query(&format!("`wait` is a number of seconds from 0 to {MAX_WAIT_SECONDS}"))
}

/// The wait that a caller asks for by `Prefer: wait=` (RFC 7240, section 4.3). One that cannot be met is no error.
fn preferred_wait(headers: &HeaderMap) -> Option<Duration> {
    let preferences = headers.get_all("prefer").iter().filter_map(|value| value.to_str().ok());
    let mut each = preferences.flat_map(|value| value.split([',', ';']));
    let seconds: Option<u64> = each.find_map(|one| one.trim().strip_prefix("wait=")?.trim().parse().ok());
    seconds.map(|seconds| Duration::from_secs(seconds.min(MAX_WAIT_SECONDS)))
}

/// The job a path names, if it is one of the caller's: another's is answered as one that there is not.
pub(crate) async fn find(
    listener: &Listener,
    caller: &Caller,
    id: Result<Path<String>, PathRejection>,
) -> Result<Job, Problem> {
    let id = id.ok().and_then(|Path(id)| id.parse().ok()).ok_or_else(unknown)?;
    find_by_id(listener, caller, id).await
}

/// The same by its id.
pub(crate) async fn find_by_id(listener: &Listener, caller: &Caller, id: JobId) -> Result<Job, Problem> {
    let job = listener.jobs.get(id).await?.filter(|job| listener.access.shows(caller, job)).ok_or_else(unknown)?;
    observe::about(&job);
    Ok(job)
}

/// The job of a link. The signature alone gives access to the report.
pub(crate) async fn find_by_link(listener: &Listener, id: JobId) -> Result<Job, Problem> {
    let job = listener.jobs.get(id).await?.ok_or_else(expired)?;
    observe::about(&job);
    Ok(job)
}

pub(crate) fn unknown() -> Problem {
    unknown_because(
        "Take the id from the response to POST /append_queue. A job is removed with its report, and is not shown to other \
         callers.",
    )
}

/// The refusal of a link that was signed for a job which has been removed since.
pub(crate) fn expired() -> Problem {
    unknown_because("The report has expired. Ask its sender for a new one.")
}

fn unknown_because(detail: &str) -> Problem {
    Problem::new(StatusCode::NOT_FOUND, "unknown-job", "No job has this id.", detail)
}
