//! What an operator sees of every call: a span, a line in the log, and a count where it was refused. Neither names more of
//! the call than its route: paths and queries hold signatures.

use std::future::Future;
use std::time::{Duration, Instant};

use axum::body::HttpBody;
use axum::extract::{MatchedPath, Request};
use axum::http::{HeaderName, HeaderValue};
use axum::middleware::Next;
use axum::response::Response;
use jobs::{Job, JobId};
use telemetry::metrics;
use telemetry::trace::{self, Origin};
use tracing::Span;
use tracing::field::{Empty, display};

use crate::Problem;

/// The header with the id of a request, the caller's or a new one.
const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// The header with the place in a trace that a call comes from.
const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");

/// What a call to no route is logged as.
const NO_ROUTE: &str = "unknown";

/// The name of the problem in an answer.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Refusal(pub(crate) &'static str);

/// Answers a call, and logs it.
pub(crate) async fn call(request: Request, next: Next) -> Response {
    let (origin, span) = (origin_of(&request), span_of(&request));
    let request_id = origin.request_id.as_deref().and_then(|id| HeaderValue::from_str(id).ok());
    let answered = async {
        let start = Instant::now();
        let response = next.run(request).await;
        let refusal = response.extensions().get::<Refusal>().map(|Refusal(name)| *name);
        tell(response.status().as_u16(), start.elapsed(), response.body().size_hint().exact(), refusal);
        response
    };
    let mut response = trace::within(span, origin, answered).await;
    if let Some(id) = request_id {
        response.headers_mut().insert(REQUEST_ID, id);
    }
    response
}

/// The same for a message over a WebSocket.
pub(crate) async fn message<T>(work: impl Future<Output = Result<T, Problem>>) -> Result<T, Problem> {
    over_socket("MESSAGE", work).await
}

/// The same for the beginning of a WebSocket that API Gateway holds.
#[cfg(feature = "lambda")]
pub(crate) async fn handshake<T>(work: impl Future<Output = Result<T, Problem>>) -> Result<T, Problem> {
    over_socket("CONNECT", work).await
}

async fn over_socket<T>(method: &str, work: impl Future<Output = Result<T, Problem>>) -> Result<T, Problem> {
    let answered = async {
        let start = Instant::now();
        let answer = work.await;
        let problem = answer.as_ref().err();
        tell(problem.map_or(200, |it| it.status.as_u16()), start.elapsed(), None, problem.map(|it| it.name));
        answer
    };
    trace::within(span(method, "/ws"), Origin::of_call(None, None), answered).await
}

/// Says what job the call is about.
pub(crate) fn about(job: &Job) {
    let span = Span::current();
    span.record("job_id", display(job.id));
    span.record("template", display(&job.template));
}

fn origin_of(request: &Request) -> Origin {
    let header = |name| request.headers().get(name).and_then(|value: &HeaderValue| value.to_str().ok());
    Origin::of_call(header(TRACEPARENT), header(REQUEST_ID))
}

fn span_of(request: &Request) -> Span {
    let route = request.extensions().get::<MatchedPath>().map_or(NO_ROUTE, MatchedPath::as_str);
    let span = span(request.method().as_str(), route);
    if let Some(id) = job_of(request.uri().path()) {
        span.record("job_id", display(id));
    }
    span
}

fn span(method: &str, route: &str) -> Span {
    tracing::info_span!(
        "request",
        %method,
        %route,
        job_id = Empty,
        template = Empty,
        request_id = Empty,
        trace_id = Empty,
    )
}

/// The line of the call, and its count if it was refused. A stream has no bytes yet when it begins.
fn tell(status: u16, time: Duration, bytes: Option<u64>, refusal: Option<&'static str>) {
    let duration_ms = u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
    tracing::info!(status, duration_ms, bytes, problem = refusal, "answered");
    if let Some(name) = refusal {
        metrics::rejected(name);
    }
}

/// The job that a path is about: `/jobs/{id}`, what is under it, and `/r/{id}`.
fn job_of(path: &str) -> Option<JobId> {
    let mut parts = path.split('/').skip(1);
    matches!(parts.next()?, "jobs" | "r").then(|| parts.next()?.parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_tells_its_job() {
        let id = JobId::new();
        for path in [format!("/jobs/{id}"), format!("/jobs/{id}/report"), format!("/r/{id}")] {
            assert_eq!(job_of(&path), Some(id), "{path}");
        }
        for path in ["/", "/jobs", "/jobs/", "/jobs/7", "/uploads/01a1fd88-28fa-7243-a82c-05f04864e387.csv"] {
            assert_eq!(job_of(path), None, "{path}");
        }
    }
}
