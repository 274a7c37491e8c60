//! Reads a request's body as JSON, or says what is wrong with it and where.

use std::collections::HashMap;
use std::error::Error;

use axum::body::Body;
use axum::http::header::{ACCEPT, CONNECTION, CONTENT_ENCODING, CONTENT_TYPE};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use input::{Json, NotRead};
use jobs::Data;
use mime::Mime;
use serde_json::Value;
use serde_json::value::RawValue;

use crate::access::Caller;
use crate::arrival::{Place, receive};
use crate::catalogue::Violation;
use crate::checks::{SMALL_BYTES, Turn};
use crate::request::Invalid;
use crate::{Listener, Problem};

/// The largest body taken, in bytes: what a Lambda function URL takes, and the same on one machine.
pub const MAX_BODY_BYTES: usize = 6 * 1024 * 1024;

/// A request's JSON.
pub(crate) struct Asked {
    /// As its shape is checked.
    pub(crate) plain: Value,
    /// The same as templates read it, and the text of its data, where it has numbers that a double does not hold.
    pub(crate) exact: Option<(Value, Option<Data>)>,
}

impl Asked {
    /// Reads a request's [text](text_of).
    pub(crate) fn read(text: &[u8]) -> Result<Self, Problem> {
        let Json { plain, exact } = Json::read(text).map_err(|error| match error {
            NotRead::Syntax(error) => malformed(&error),
            NotRead::Numbers(faults) => {
                Invalid::Data.problem(&faults.into_iter().map(Violation::from).collect::<Vec<_>>())
            }
        })?;
        let exact = exact.map(|exact| (exact, text_of_data(text)));
        Ok(Self { plain, exact })
    }
}

/// A request's text, without a byte order mark.
pub(crate) fn text_of(bytes: &[u8]) -> Result<&[u8], Problem> {
    input::utf8(bytes).map_err(|detail| not_utf8(&detail))
}

/// The text of the member `data`.
fn text_of_data(text: &[u8]) -> Option<Data> {
    let mut members: HashMap<String, Box<RawValue>> = serde_json::from_slice(text).ok()?;
    members.remove("data").map(Data::from)
}

/// A body that is said to be JSON. A large one is one of a bounded number that are in memory.
pub(crate) struct Text {
    pub(crate) bytes: Vec<u8>,
    pub(crate) turn: Option<Turn>,
}

/// The body, which is JSON as its header says.
pub(crate) async fn read_text(
    listener: &Listener,
    headers: &HeaderMap,
    body: Body,
    caller: &Caller,
) -> Result<Text, Problem> {
    check_type(headers)?;
    let place = Place { folder: listener.checks.folder(), listener: Some(listener) };
    let arrived = receive(body, MAX_BODY_BYTES, place).await?;
    let turn = if arrived.len() > SMALL_BYTES { Some(listener.checks.body(caller).await?) } else { None };
    Ok(Text { bytes: arrived.into_bytes().await?, turn })
}

/// The body as JSON in which no number is a figure of a report.
pub(crate) async fn read_plain(headers: &HeaderMap, body: Body) -> Result<Value, Problem> {
    check_type(headers)?;
    let text = receive(body, SMALL_BYTES, Place::default()).await?.into_bytes().await?;
    serde_json::from_slice(text_of(&text)?).map_err(|error| malformed(&error))
}

/// How a body may be refused.
pub(crate) fn refusals() -> [Problem; 5] {
    let malformed = serde_json::from_str::<Value>("{\n  \"template\": letter\n}").map_err(|error| malformed(&error));
    let Err(malformed) = malformed else { unreachable!("it is not JSON") };
    [malformed, incomplete(), too_slow(), unsupported(), too_large(MAX_BODY_BYTES)]
}

/// Takes JSON under its own names, under none, and under the one that `curl -d` gives everything.
fn check_type(headers: &HeaderMap) -> Result<(), Problem> {
    let encoded = headers.get(CONTENT_ENCODING).is_some_and(|encoding| encoding != "identity");
    let taken = match headers.get(CONTENT_TYPE) {
        None => true,
        Some(value) => {
            value.to_str().ok().and_then(|text| text.parse::<Mime>().ok()).is_some_and(|mime| is_json(&mime))
        }
    };
    if taken && !encoded {
        return Ok(());
    }
    Err(unsupported())
}

fn unsupported() -> Problem {
    let detail = "Send the body as plain JSON, with the header `Content-Type: application/json`.";
    let title = "This call does not take a body of this type.";
    Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "unsupported-media-type", title, detail)
        .with_header(ACCEPT, HeaderValue::from_static("application/json"))
}

fn is_json(mime: &Mime) -> bool {
    let utf8 = mime.get_param(mime::CHARSET).is_none_or(|charset| charset == mime::UTF_8);
    let json = mime.type_() == mime::APPLICATION && (mime.subtype() == mime::JSON || mime.suffix() == Some(mime::JSON));
    utf8 && (json || mime.essence_str() == mime::APPLICATION_WWW_FORM_URLENCODED.essence_str())
}

pub(crate) fn too_large(most: usize) -> Problem {
    let detail = format!(
        "A request may have {most} bytes. Upload larger data with POST /uploads, and queue the job with the upload's id \
         as its `input`."
    );
    Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "body-too-large", "The body is too large.", detail)
        .with("limit_bytes", most)
}

/// A body arrives more slowly than the server waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the body arrives too slowly")]
pub struct BodyTimeout;

/// Why a body did not arrive whole.
pub(crate) fn interrupted(error: &axum::Error) -> Problem {
    let mut cause: Option<&dyn Error> = error.source();
    while let Some(error) = cause {
        if error.is::<BodyTimeout>() {
            return too_slow();
        }
        cause = error.source();
    }
    incomplete()
}

pub(crate) fn too_slow() -> Problem {
    let detail = "It arrived at less than 1,000 bytes a second. Send it again over a faster connection.";
    Problem::new(StatusCode::REQUEST_TIMEOUT, "body-too-slow", "The body arrived too slowly.", detail)
        .with_header(CONNECTION, HeaderValue::from_static("close"))
}

pub(crate) fn incomplete() -> Problem {
    let detail = "The connection ended before the body did. Send the request again.";
    Problem::new(StatusCode::BAD_REQUEST, "incomplete-body", "The body did not arrive whole.", detail)
}

/// The text is in another encoding.
fn not_utf8(detail: &str) -> Problem {
    malformed_because(detail).with("line", 1).with("column", 1)
}

fn malformed_because(detail: &str) -> Problem {
    Problem::new(StatusCode::BAD_REQUEST, "malformed-json", "The body is not JSON.", format!("{detail}."))
}

/// The text was not JSON, or not of the right shape.
pub(crate) fn malformed(error: &serde_json::Error) -> Problem {
    malformed_because(&error.to_string()).with("line", error.line()).with("column", error.column())
}
