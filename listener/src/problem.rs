//! What went wrong, as RFC 9457 `application/problem+json`: every error of the listener is one of these.

use std::any::Any;

use axum::body::Body;
use axum::http::header::{CONTENT_TYPE, RETRY_AFTER};
use axum::http::{HeaderName, HeaderValue, Response, StatusCode};
use axum::response::IntoResponse;
use findings::visible_json;
use jobs::{Failure, Unavailable};
use serde_json::{Value, json};

use crate::access::Delay;
use crate::observe::Refusal;

/// How long a caller should wait before asking a store again that did not answer, in seconds.
const RETRY_AFTER_SECONDS: u64 = 5;

/// One error answer. `type` is `urn:pressrun:problem:{name}` and never changes; `title` says the same for every
/// problem of a type; `detail` speaks of this one and says what to do.
#[derive(Debug)]
pub struct Problem {
    pub(crate) status: StatusCode,
    pub(crate) name: &'static str,
    pub(crate) title: &'static str,
    detail: String,
    members: Vec<(&'static str, Value)>,
    pub(crate) header: Option<Box<(HeaderName, HeaderValue)>>,
    delay: Option<Delay>,
}

impl Problem {
    /// A problem of this name.
    pub fn new(status: StatusCode, name: &'static str, title: &'static str, detail: impl Into<String>) -> Self {
        Self { status, name, title, detail: detail.into(), members: Vec::new(), header: None, delay: None }
    }

    /// The problem's `type`.
    pub(crate) fn kind(&self) -> String {
        format!("{}{}", Failure::TYPE_PREFIX, self.name)
    }

    /// What happened here, and what to do next.
    pub(crate) fn detail(&self) -> &str {
        &self.detail
    }

    /// The problem as JSON.
    pub fn to_json(&self) -> Value {
        let mut body = json!({
            "type": self.kind(),
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

    /// To be sent after a delay.
    pub(crate) fn after(mut self, delay: Delay) -> Self {
        self.delay = Some(delay);
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
        unavailable(&error.attempted)
    }
}

/// A queue or store did not do what was attempted.
pub(crate) fn unavailable(attempted: &str) -> Problem {
    let detail = format!(
        "Could not {attempted}. Send the request again in {RETRY_AFTER_SECONDS} seconds; without an Idempotency-Key, a \
         report that was asked for may then be made twice."
    );
    Problem::new(StatusCode::SERVICE_UNAVAILABLE, "unavailable", "A queue or store did not answer.", detail)
        .with_header(RETRY_AFTER, RETRY_AFTER_SECONDS)
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response<Body> {
        let mut response = (self.status, visible_json(self.to_json().to_string())).into_response();
        response.extensions_mut().insert(Refusal(self.name));
        if let Some(delay) = self.delay {
            response.extensions_mut().insert(delay);
        }
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        if let Some((name, value)) = self.header.map(|header| *header) {
            headers.insert(name, value);
        }
        response
    }
}

/// The answer to a request whose handler panicked.
pub(crate) fn from_panic(_: Box<dyn Any + Send>) -> Response<Body> {
    defect().into_response()
}

pub(crate) fn defect() -> Problem {
    let detail = "This is a defect of Pressrun. The log of the listener has the details.";
    Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "defect", "Internal error.", detail)
}

/// What the JSON of every problem looks like.
pub(crate) fn schema() -> Value {
    json!({
        "description": "RFC 9457, with what a program may want to know in members of its own.",
        "type": "object",
        "required": ["type", "title", "status", "detail"],
        "properties": {
            "type": {"description": "A name that does not change.", "type": "string", "format": "uri"},
            "title": {"description": "What happened, the same words for every problem of this type.", "type": "string"},
            "status": {"description": "The answer's status.", "type": "integer"},
            "detail": {"description": "What happened here, and what to do next.", "type": "string"},
            "line": {"description": "Where JSON is malformed: the line, from 1.", "type": "integer"},
            "column": {"description": "Where JSON is malformed: the column, from 1.", "type": "integer"},
            "limit_bytes": {"description": "What a body or data may have at most.", "type": "integer"},
            "bytes": {"description": "The size that an upload was begun with.", "type": "integer"},
            "errors": {
                "description": "The violations of a schema, a thousand and a megabyte at most; `detail` counts the rest.",
                "type": "array",
                "items": {
                    "type": "object",
                    "required": ["pointer", "detail"],
                    "properties": {
                        "pointer": {"description": "Where, as a JSON Pointer (RFC 6901).", "type": "string"},
                        "detail": {"description": "What is wrong there.", "type": "string"},
                    },
                },
            },
            "job_status": {"description": "Where the job stands.", "$ref": "#/components/schemas/Status"},
            "error": {"description": "Why the job failed.", "$ref": "#/components/schemas/Failure"},
        },
    })
}
