//! The `Host` header of HTTP/1.1, without which nobody can say for which server a request is.

use axum::http::header::{CONNECTION, HOST};
use axum::http::{HeaderValue, Request, StatusCode, Version};
use listener::Problem;

/// Why a request is refused whose `Host` headers are not as RFC 9112 has them.
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
