//! `GET /jobs/{id}`: where a job stands.

use std::sync::Arc;

use axum::Json;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::http::header::{CACHE_CONTROL, RETRY_AFTER};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use jobs::{Job, Status};
use serde::Serialize;

use crate::base_url::base_url;
use crate::{Listener, Problem};

/// The answer: the record, without what is the processor's own, and with the way to the report.
#[derive(Serialize)]
struct Answer {
    #[serde(flatten)]
    job: Job,
    #[serde(skip_serializing_if = "Option::is_none")]
    report_url: Option<String>,
}

pub(crate) async fn job(
    State(listener): State<Arc<Listener>>,
    headers: HeaderMap,
    id: Result<Path<String>, PathRejection>,
) -> Result<Response, Problem> {
    let job = find(&listener, id).await?;
    let report_url =
        (job.status == Status::Completed).then(|| format!("{}/jobs/{}/report", base_url(&listener, &headers), job.id));
    let ended = job.status.is_final();
    let answer = Answer { job: Job { notified_at: None, ..job }, report_url };
    let mut response = ([(CACHE_CONTROL, "no-store")], Json(answer)).into_response();
    if !ended {
        response.headers_mut().insert(RETRY_AFTER, HeaderValue::from_static("1"));
    }
    Ok(response)
}

/// The job a path names.
pub(crate) async fn find(listener: &Listener, id: Result<Path<String>, PathRejection>) -> Result<Job, Problem> {
    let id = id.ok().and_then(|Path(id)| id.parse().ok()).ok_or_else(unknown)?;
    listener.jobs.get(id).await?.ok_or_else(unknown)
}

fn unknown() -> Problem {
    let detail = "Take the id from the answer to POST /append_queue. A job is forgotten when its report is.";
    Problem::new(StatusCode::NOT_FOUND, "unknown-job", "There is no job of this id.", detail)
}
