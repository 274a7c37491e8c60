//! The `Host` header that HTTP/1.1 requires.

use axum::http::header::{CONNECTION, HOST};
use axum::http::{HeaderValue, Request, StatusCode, Version};
use listener::Problem;

/// The refusal of a request whose `Host` headers break RFC 9112.
pub(super) fn refusal<B>(request: &Request<B>) -> Option<Problem> {
    let hosts = request.headers().get_all(HOST).iter().count();
    let detail = match hosts {
        1 => return None,
        0 if request.version() < Version::HTTP_11 => return None,
        0 => "Send the header `Host`.",
        _ => "Send one header `Host`.",
    };
    tracing::info!(hosts, "refused a request without one Host header");
    let problem = Problem::new(StatusCode::BAD_REQUEST, "bad-host", "A request has one Host header.", detail);
    Some(problem.with_header(CONNECTION, HeaderValue::from_static("close")))
}
