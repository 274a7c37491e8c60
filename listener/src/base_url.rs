//! Where the caller reaches this listener: what the answer's links start with.

use axum::http::HeaderMap;
use axum::http::header::HOST;

use crate::Listener;

/// The listener's own URL, without a slash at the end, or the one this request came by.
pub(crate) fn base_url(listener: &Listener, headers: &HeaderMap) -> String {
    if let Some(url) = &listener.public_url {
        return url.clone();
    }
    let header = |name| headers.get(name).and_then(|value| value.to_str().ok());
    let scheme = match header("x-forwarded-proto") {
        Some("https") => "https",
        _ => "http",
    };
    format!("{scheme}://{}", header(HOST.as_str()).unwrap_or("localhost"))
}
