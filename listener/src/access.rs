//! Who may call: whoever shows the bearer token (RFC 6750).

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::header::{AUTHORIZATION, WWW_AUTHENTICATE};
use axum::http::{HeaderValue, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use subtle::ConstantTimeEq;

use crate::{Listener, Problem};

/// Lets a request through if it shows the token, or if there is none to show.
pub(crate) async fn require_token(State(listener): State<Arc<Listener>>, request: Request, next: Next) -> Response {
    let Some(token) = &listener.token else { return next.run(request).await };
    match shown_token(&request) {
        Some(shown) if bool::from(shown.as_bytes().ct_eq(token.as_bytes())) => next.run(request).await,
        Some(_) => refusal("The token is not the right one. Check it for a missing or an extra character."),
        None => refusal("Send the token in the header `Authorization: Bearer <token>`."),
    }
}

fn shown_token(request: &Request) -> Option<&str> {
    let (scheme, token) = request.headers().get(AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

fn refusal(detail: &str) -> Response {
    Problem::new(StatusCode::UNAUTHORIZED, "unauthorized", "This call needs a token.", detail)
        .with_header(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"))
        .into_response()
}
