//! `GET /jobs/{id}/report`, and `GET /r/{id}` for the link in a mail: the PDF, or the way to it.

use std::path::Path as FilePath;
use std::sync::Arc;

use axum::body::Body;
use axum::extract::rejection::{PathRejection, QueryRejection};
use axum::extract::{Path, Query, Request, State};
use axum::http::header::{CACHE_CONTROL, CONTENT_DISPOSITION, LOCATION, RETRY_AFTER};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use jobs::job::now;
use jobs::{Job, Opened, Status, Unavailable};
use serde::Deserialize;
use tower_http::services::ServeFile;

use crate::job::find;
use crate::{Listener, Problem};

/// What a signed link carries.
#[derive(Deserialize)]
pub(crate) struct Seal {
    expires: i64,
    sig: String,
}

pub(crate) async fn by_id(
    State(listener): State<Arc<Listener>>,
    id: Result<Path<String>, PathRejection>,
    request: Request,
) -> Result<Response, Problem> {
    let job = find(&listener, id).await?;
    deliver(&listener, &job, request).await
}

pub(crate) async fn by_link(
    State(listener): State<Arc<Listener>>,
    id: Result<Path<String>, PathRejection>,
    seal: Result<Query<Seal>, QueryRejection>,
    request: Request,
) -> Result<Response, Problem> {
    let signed = match (&id, &seal) {
        (Ok(Path(id)), Ok(Query(seal))) => {
            id.parse().is_ok_and(|id| listener.links.verify(id, seal.expires, &seal.sig, now()))
        }
        _ => false,
    };
    if !signed {
        let detail = "It was altered, its time is over, or it was revoked. Ask the sender for a new one.";
        return Err(Problem::new(StatusCode::FORBIDDEN, "link-refused", "This link does not work.", detail));
    }
    let job = find(&listener, id).await?;
    deliver(&listener, &job, request).await
}

async fn deliver(listener: &Listener, job: &Job, request: Request) -> Result<Response, Problem> {
    match job.status {
        Status::Completed => {}
        Status::Failed => return Err(failed(job)),
        Status::Queued | Status::Running => return Err(not_ready(job)),
    }
    match listener.objects.open(&job.id.report_key(), &job.file_name()).await? {
        Some(Opened::Url(url)) => {
            Ok((StatusCode::FOUND, [(LOCATION, url), (CACHE_CONTROL, "no-store".into())]).into_response())
        }
        Some(Opened::File(path)) => serve(&path, &job.file_name(), request).await,
        None => Err(gone()),
    }
}

/// The file, or the range of it that was asked for.
async fn serve(path: &FilePath, file_name: &str, request: Request) -> Result<Response, Problem> {
    let served = ServeFile::new(path).try_call(request).await.map_err(Unavailable::when("read the report"))?;
    match served.status() {
        StatusCode::RANGE_NOT_SATISFIABLE => return Err(beyond_the_end()),
        StatusCode::PRECONDITION_FAILED => return Err(not_as_asked()),
        _ => {}
    }
    let mut response = served.map(Body::new);
    let headers = response.headers_mut();
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("private, max-age=3600"));
    if let Ok(value) = HeaderValue::from_str(&format!("inline; filename=\"{file_name}\"")) {
        headers.insert(CONTENT_DISPOSITION, value);
    }
    Ok(response)
}

fn beyond_the_end() -> Problem {
    let detail = "The job's `bytes` says how long the report is.";
    let title = "The report has no such range.";
    Problem::new(StatusCode::RANGE_NOT_SATISFIABLE, "range-not-satisfiable", title, detail)
}

fn not_as_asked() -> Problem {
    let detail = "It was made before or after the time that the request names. Leave the condition out.";
    let title = "The report is not as the request's condition says.";
    Problem::new(StatusCode::PRECONDITION_FAILED, "precondition-failed", title, detail)
}

fn not_ready(job: &Job) -> Problem {
    let detail = format!("The job is {}. Ask again when GET /jobs/{} says `completed`.", job.status, job.id);
    Problem::new(StatusCode::CONFLICT, "report-not-ready", "The report is not ready.", detail)
        .with("job_status", job.status.as_str())
        .with_header(RETRY_AFTER, 1)
}

fn failed(job: &Job) -> Problem {
    let reason = job.error.as_ref().map(|error| format!("{} {}", error.title, error.detail));
    let title = "The job failed and has no report.";
    Problem::new(StatusCode::CONFLICT, "job-failed", title, reason.unwrap_or_default())
        .with("job_status", job.status.as_str())
        .with("error", serde_json::to_value(&job.error).unwrap_or_default())
}

fn gone() -> Problem {
    let detail = "Reports are kept for a time and then removed. Queue the job again to have it made anew.";
    Problem::new(StatusCode::GONE, "report-expired", "The report is not kept any more.", detail)
}
