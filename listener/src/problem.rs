//! What went wrong, as RFC 9457 `application/problem+json`: every error of the listener is one of these.

use std::any::Any;

use axum::body::Body;
use axum::http::header::{CONTENT_TYPE, RETRY_AFTER};
use axum::http::{HeaderName, HeaderValue, Response, StatusCode};
use axum::response::IntoResponse;
use jobs::{Failure, Unavailable};
use serde_json::{Value, json};

/// How long a caller should wait before asking a store again that did not answer, in seconds.
const RETRY_AFTER_SECONDS: u64 = 5;

/// One error answer. `type` is `urn:pressrun:problem:{name}` and never changes; `title` says the same for every
/// problem of a type; `detail` speaks of this one and says what to do.
#[derive(Debug)]
pub struct Problem {
    status: StatusCode,
    name: &'static str,
    title: &'static str,
    detail: String,
    members: Vec<(&'static str, Value)>,
    header: Option<Box<(HeaderName, HeaderValue)>>,
}

impl Problem {
    /// A problem of this name.
    pub fn new(status: StatusCode, name: &'static str, title: &'static str, detail: impl Into<String>) -> Self {
        Self { status, name, title, detail: detail.into(), members: Vec::new(), header: None }
    }

    /// The problem as JSON.
    pub fn to_json(&self) -> Value {
        let mut body = json!({
            "type": format!("{}{}", Failure::TYPE_PREFIX, self.name),
            "title": self.title,
            "status": self.status.as_u16(),
            "detail": self.detail,
        });
        for (member, value) in &self.members {
            body[*member] = value.clone();
        }
        body
    }

    /// With a further member, for example `errors`.
    #[must_use]
    pub fn with(mut self, member: &'static str, value: impl Into<Value>) -> Self {
        self.members.push((member, value.into()));
        self
    }

    /// With a header, for example `WWW-Authenticate`.
    #[must_use]
    pub fn with_header(mut self, name: HeaderName, value: impl Into<HeaderValue>) -> Self {
        self.header = Some(Box::new((name, value.into())));
        self
    }
}

impl From<Unavailable> for Problem {
    fn from(error: Unavailable) -> Self {
        tracing::error!(%error, "a queue or store did not answer");
        let detail = format!(
            "Could not {}. Send the request again in {RETRY_AFTER_SECONDS} seconds; without an Idempotency-Key, a report \
             that was asked for may then be made twice.",
            error.attempted
        );
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "unavailable", "A queue or store did not answer.", detail)
            .with_header(RETRY_AFTER, RETRY_AFTER_SECONDS)
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response<Body> {
        let mut response = (self.status, self.to_json().to_string()).into_response();
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        if let Some((name, value)) = self.header.map(|header| *header) {
            headers.insert(name, value);
        }
        response
    }
}

/// The answer to a request whose handler panicked. What it said goes to the log, not to the caller.
pub(crate) fn from_panic(panic: Box<dyn Any + Send>) -> Response<Body> {
    let said = panic.downcast_ref::<&str>().map(ToString::to_string);
    let said = said.or_else(|| panic.downcast_ref::<String>().cloned());
    tracing::error!(panic = said.as_deref().unwrap_or("of unknown kind"), "a handler panicked");
    let detail = "This is a defect of Pressrun. The log of the listener has the details.";
    Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "defect", "The listener made a mistake.", detail).into_response()
}
