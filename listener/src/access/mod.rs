//! Who may call: whoever shows the bearer token (RFC 6750).

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::header::{AUTHORIZATION, HOST, ORIGIN, WWW_AUTHENTICATE};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use subtle::ConstantTimeEq;

use crate::{Listener, Problem};

/// The detail of a refusal of a call without a token.
const NO_TOKEN: &str = "Send the token in the header `Authorization: Bearer <token>`.";

/// How a call may be refused before it reaches its handler.
pub(crate) fn refusals() -> [Problem; 2] {
    [unauthorized(NO_TOKEN), foreign()]
}

/// Lets a request through if it shows the token, or if there is none to show.
pub(crate) async fn require_token(State(listener): State<Arc<Listener>>, request: Request, next: Next) -> Response {
    match refuse(&listener, request.headers()) {
        Some(problem) => problem.into_response(),
        None => next.run(request).await,
    }
}

/// Why a caller with these headers is not let in, if it is not.
pub(crate) fn refuse(listener: &Listener, headers: &HeaderMap) -> Option<Problem> {
    let Some(token) = &listener.token else { return is_foreign(listener, headers).then(foreign) };
    match shown_token(headers) {
        Some(shown) if bool::from(shown.as_bytes().ct_eq(token.as_bytes())) => None,
        Some(_) => Some(unauthorized("The token is not the right one. Check it for a missing or an extra character.")),
        None => Some(unauthorized(NO_TOKEN)),
    }
}

/// Whether a browser sent the request for a page of another site. Without a token nothing else keeps such a page from
/// queueing jobs on a server that only this machine can reach.
fn is_foreign(listener: &Listener, headers: &HeaderMap) -> bool {
    let Some(origin) = headers.get(ORIGIN) else { return false };
    let origin = origin.to_str().unwrap_or_default();
    let host = headers.get(HOST).and_then(|host| host.to_str().ok());
    let own = origin.split_once("://").is_some_and(|(_, authority)| Some(authority) == host);
    !own && listener.public_url.as_deref() != Some(origin)
}

fn foreign() -> Problem {
    let detail = "A browser sent it for a page of another site. Give the server a token, and show it from there.";
    Problem::new(StatusCode::FORBIDDEN, "foreign-origin", "This call came from another site.", detail)
}

fn shown_token(headers: &HeaderMap) -> Option<&str> {
    let (scheme, token) = headers.get(AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

fn unauthorized(detail: &str) -> Problem {
    Problem::new(StatusCode::UNAUTHORIZED, "unauthorized", "This call needs a token.", detail)
        .with_header(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"))
}
