//! `GET /jobs/{id}/report`, and `GET /r/{id}` for the link in a mail: the PDF, or the way to it.

mod range;

use std::path::Path as FilePath;
use std::sync::Arc;

use axum::body::Body;
use axum::extract::rejection::{PathRejection, QueryRejection};
use axum::extract::{Extension, Path, Query, Request, State};
use axum::http::header::{
    CACHE_CONTROL, CONTENT_DISPOSITION, CONTENT_RANGE, ETAG, IF_MATCH, IF_NONE_MATCH, IF_RANGE, LAST_MODIFIED,
    LOCATION, RANGE, RETRY_AFTER, X_CONTENT_TYPE_OPTIONS,
};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use axum::response::{IntoResponse, Response};
use jobs::job::now;
use jobs::{Job, JobId, Opened, Status, Unavailable};
use serde::Deserialize;
use tower_http::services::ServeFile;
use utoipa::{IntoParams, IntoResponses, ToSchema};

use crate::access::Caller;
use crate::job::{expired, find, find_by_link, unknown};
use crate::openapi::{Responses, example, guarded_refusals, refusals};
use crate::problem::{defect, unavailable};
use crate::{Listener, Problem};

/// What a signed link carries.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct Seal {
    /// Until when the link works, in seconds since 1970.
    #[param(example = 1797846921)]
    expires: i64,
    /// The signature.
    #[param(example = "cqWExEcnl3OblV-dy7uRVSdbPL35gFqMwWwHNMrPDIc")]
    sig: String,
}

/// What a caller may ask of a report that comes from one machine.
#[derive(IntoParams)]
#[into_params(parameter_in = Header)]
#[expect(dead_code, reason = "`ServeFile` reads them")]
struct Conditions {
    /// The part that is wanted: one range of bytes. All of it comes for several, or for another unit.
    #[param(rename = "Range", nullable = false, example = "bytes=0-1023")]
    range: Option<String>,
    /// The part is wanted if the report has this `ETag`, or was made at this HTTP date; else all of it.
    #[param(rename = "If-Range", nullable = false)]
    if_range: Option<String>,
    /// The report is wanted if it has none of these `ETag`s.
    #[param(rename = "If-None-Match", nullable = false)]
    if_none_match: Option<String>,
    /// The report is wanted if it has one of these `ETag`s.
    #[param(rename = "If-Match", nullable = false)]
    if_match: Option<String>,
    /// An HTTP date: the report is wanted if it was made later.
    #[param(rename = "If-Modified-Since", nullable = false, example = "Sat, 21 Nov 2026 09:55:21 GMT")]
    if_modified_since: Option<String>,
    /// An HTTP date: the report is wanted if it was not made later.
    #[param(rename = "If-Unmodified-Since", nullable = false, example = "Sat, 21 Nov 2026 09:55:22 GMT")]
    if_unmodified_since: Option<String>,
}

/// The bytes of a report.
#[derive(ToSchema)]
#[schema(value_type = String, format = Binary)]
struct Pdf(#[expect(dead_code, reason = "it is told of")] Vec<u8>);

/// How a report comes.
#[derive(IntoResponses)]
#[expect(dead_code, reason = "it is told of, and `deliver` makes it")]
enum Delivered {
    /// The report.
    #[response(status = 200, content_type = "application/pdf", headers(
        ("Content-Disposition" = String, description = "What to call the file."),
        ("ETag" = String, description = "What tells this report from others."),
        ("Last-Modified" = String, description = "When the report was made."),
    ))]
    Whole(#[to_schema] Pdf),
    /// The part of it that `Range` asks for.
    #[response(status = 206, content_type = "application/pdf", headers(
        ("Content-Range" = String, description = "Which part it is."),
    ))]
    Part(#[to_schema] Pdf),
    /// On AWS, the way to it, open for five minutes.
    #[response(status = 302, headers(("Location" = String, description = "Where the report is.")))]
    Elsewhere,
    /// It is the one that `If-None-Match` or `If-Modified-Since` names.
    #[response(status = 304)]
    NotModified,
}

/// A job's report.
#[utoipa::path(
    get,
    path = "/jobs/{id}/report",
    operation_id = "report",
    tag = "jobs",
    params(("id" = JobId, Path, description = "The job's id."), Conditions),
    responses(Delivered, ByIdRefusals)
)]
pub(crate) async fn by_id(
    State(listener): State<Arc<Listener>>,
    Extension(caller): Extension<Caller>,
    id: Result<Path<String>, PathRejection>,
    request: Request,
) -> Result<Response, Problem> {
    let job = find(&listener, &caller, id).await?;
    deliver(&listener, &job, request, gone).await
}

struct ByIdRefusals;

impl IntoResponses for ByIdRefusals {
    fn responses() -> Responses {
        guarded_refusals(undelivered([unknown(), gone()]))
    }
}

/// The report at the end of a mail's link.
///
/// The link needs no token, and works for as long as the report is kept.
#[utoipa::path(
    get,
    path = "/r/{id}",
    operation_id = "link",
    tag = "jobs",
    params(("id" = JobId, Path, description = "The job's id."), Seal, Conditions),
    responses(Delivered, ByLinkRefusals)
)]
pub(crate) async fn by_link(
    State(listener): State<Arc<Listener>>,
    id: Result<Path<String>, PathRejection>,
    seal: Result<Query<Seal>, QueryRejection>,
    request: Request,
) -> Result<Response, Problem> {
    let signed = match (&id, &seal) {
        (Ok(Path(id)), Ok(Query(seal))) => {
            id.parse().ok().filter(|id| listener.links.verify(*id, seal.expires, &seal.sig, now()))
        }
        _ => None,
    };
    let job = find_by_link(&listener, signed.ok_or_else(link_refused)?).await?;
    deliver(&listener, &job, request, gone_from_link).await
}

struct ByLinkRefusals;

impl IntoResponses for ByLinkRefusals {
    fn responses() -> Responses {
        refusals(undelivered([expired(), gone_from_link()]).chain([link_refused()]))
    }
}

/// The report of a job, or the refusal `gone` if it is kept no longer.
async fn deliver(listener: &Listener, job: &Job, request: Request, gone: fn() -> Problem) -> Result<Response, Problem> {
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
async fn serve(path: &FilePath, file_name: &str, mut request: Request) -> Result<Response, Problem> {
    // Ranges are for GET alone.
    let range = if request.method() == Method::GET { wanted(path, request.headers()).await? } else { None };
    let headers = request.headers_mut();
    headers.remove(RANGE);
    headers.extend(range.map(|range| (RANGE, range)));
    for list in [IF_MATCH, IF_NONE_MATCH] {
        join(headers, list);
    }
    let served = ServeFile::new(path).try_call(request).await.map_err(Unavailable::when("read the report"))?;
    match served.status() {
        StatusCode::RANGE_NOT_SATISFIABLE => {
            return Err(beyond_the_end(served.headers().get(CONTENT_RANGE).cloned().ok_or_else(defect)?));
        }
        StatusCode::PRECONDITION_FAILED => return Err(not_as_asked()),
        _ => {}
    }
    let mut response = served.map(Body::new);
    let headers = response.headers_mut();
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("private, max-age=3600"));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    if let Ok(value) = HeaderValue::from_str(&format!("inline; filename=\"{file_name}\"")) {
        headers.insert(CONTENT_DISPOSITION, value);
    }
    Ok(response)
}

/// The range of the file that these headers ask for, if they ask for one.
async fn wanted(path: &FilePath, headers: &HeaderMap) -> Result<Option<HeaderValue>, Unavailable> {
    if !headers.contains_key(RANGE) {
        return Ok(None);
    }
    let size = tokio::fs::metadata(path).await.map_err(Unavailable::when("read the report"))?.len();
    let range = range::within(headers, size);
    Ok(if is_range_of_this(path, headers).await? { range } else { None })
}

/// Makes one line of a list that came in several: `ServeFile` reads the first.
fn join(headers: &mut HeaderMap, name: HeaderName) {
    let lines: Vec<_> = headers.get_all(&name).iter().map(HeaderValue::as_bytes).collect();
    if lines.len() > 1
        && let Ok(line) = HeaderValue::from_bytes(&lines.join(&b", "[..]))
    {
        headers.insert(name, line);
    }
}

/// Whether the report is still the one that a range was asked of by `If-Range` (RFC 9110, section 13.1.5).
async fn is_range_of_this(path: &FilePath, headers: &HeaderMap) -> Result<bool, Unavailable> {
    let Some(wanted) = headers.get(IF_RANGE) else { return Ok(true) };
    let head = Request::head("/").body(Body::empty()).map_err(Unavailable::when("read the report"))?;
    let served = ServeFile::new(path).try_call(head).await.map_err(Unavailable::when("read the report"))?;
    let is = |name| served.headers().get(name) == Some(wanted);
    // A weak tag does not say that every byte is the same.
    Ok(!wanted.as_bytes().starts_with(b"W/") && (is(ETAG) || is(LAST_MODIFIED)))
}

/// How a report may fail to come; some of it depends on who asks.
fn undelivered(absent: [Problem; 2]) -> impl Iterator<Item = Problem> {
    let (queued, failed_job) = (example::job(Status::Queued), example::job(Status::Failed));
    let beyond = beyond_the_end(HeaderValue::from_static("bytes */16753"));
    let other = [not_ready(&queued), failed(&failed_job), beyond, not_as_asked(), unavailable("read the report")];
    absent.into_iter().chain(other)
}

fn link_refused() -> Problem {
    let detail = "It was altered, its time is over, or it was revoked. Ask the sender for a new one.";
    Problem::new(StatusCode::FORBIDDEN, "link-refused", "This link does not work.", detail)
}

/// `size` is as `Content-Range` tells it.
fn beyond_the_end(size: HeaderValue) -> Problem {
    let detail = "The job's `bytes` says how long the report is.";
    let title = "The report has no such range.";
    Problem::new(StatusCode::RANGE_NOT_SATISFIABLE, "range-not-satisfiable", title, detail)
        .with_header(CONTENT_RANGE, size)
}

fn not_as_asked() -> Problem {
    let detail = "It is not the one that `If-Match` or `If-Unmodified-Since` names. Leave the condition out.";
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
    gone_because(
        "Reports are kept for a time and then removed. Send the request again with POST /append_queue, under a new \
         Idempotency-Key.",
    )
}

fn gone_from_link() -> Problem {
    gone_because("Reports are kept for a time and then removed. Ask the sender for a new one.")
}

fn gone_because(detail: &str) -> Problem {
    Problem::new(StatusCode::GONE, "report-expired", "The report has expired.", detail)
}
