//! Who may call: whoever shows the bearer token (RFC 6750).

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::header::{AUTHORIZATION, HOST, ORIGIN, WWW_AUTHENTICATE};
use axum::http::{HeaderValue, StatusCode};
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
    let Some(token) = &listener.token else {
        return if is_foreign(&listener, &request) { foreign().into_response() } else { next.run(request).await };
    };
    match shown_token(&request) {
        Some(shown) if bool::from(shown.as_bytes().ct_eq(token.as_bytes())) => next.run(request).await,
        Some(_) => unauthorized("The token is not the right one. Check it for a missing or an extra character.")
            .into_response(),
        None => unauthorized(NO_TOKEN).into_response(),
    }
}

/// Whether a browser sent the request for a page of another site. Without a token nothing else keeps such a page from
/// queueing jobs on a server that only this machine can reach.
fn is_foreign(listener: &Listener, request: &Request) -> bool {
    let Some(origin) = request.headers().get(ORIGIN) else { return false };
    let origin = origin.to_str().unwrap_or_default();
    let host = request.headers().get(HOST).and_then(|host| host.to_str().ok());
    let own = origin.split_once("://").is_some_and(|(_, authority)| Some(authority) == host);
    !own && listener.public_url.as_deref() != Some(origin)
}

fn foreign() -> Problem {
    let detail = "A browser sent it for a page of another site. Give the server a token, and show it from there.";
    Problem::new(StatusCode::FORBIDDEN, "foreign-origin", "This call came from another site.", detail)
}

fn shown_token(request: &Request) -> Option<&str> {
    let (scheme, token) = request.headers().get(AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

fn unauthorized(detail: &str) -> Problem {
    Problem::new(StatusCode::UNAUTHORIZED, "unauthorized", "This call needs a token.", detail)
        .with_header(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"))
}
