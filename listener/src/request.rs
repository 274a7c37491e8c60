//! The body of `POST /append_queue`: its shape, and every way in which it can be wrong.

use std::sync::LazyLock;

use axum::http::StatusCode;
use input::Validator;
use jobs::announcement::MAX_SUBJECT_CHARS;
use jobs::destination::MAX_URL_CHARS;
use jobs::job::{ON_MISSING_GLYPH, PDF_STANDARDS};
use jobs::{Destinations, Notify, Options, UploadId};
use serde::{Deserialize, Deserializer};
use serde_json::{Value, json};
use utoipa::openapi::{RefOr, Schema};
use utoipa::{PartialSchema, ToSchema};

use crate::Problem;
use crate::catalogue::{self, Violation, Violations};

/// How much the list of violations takes at the most, in bytes of JSON.
const MAX_ERRORS_BYTES: usize = 1_000_000;

/// What a caller asks for.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Request {
    /// The template's name.
    pub(crate) template: String,
    /// What goes into it, or what an upload leaves of that.
    #[serde(default, deserialize_with = "present")]
    pub(crate) data: Option<Value>,
    /// The upload that the data is in, or its rows.
    #[serde(default)]
    pub(crate) input: Option<UploadId>,
    /// How the report is to be made.
    #[serde(default)]
    pub(crate) options: Options,
    /// How its end is to be announced.
    #[serde(default)]
    pub(crate) notify: Notify,
}

/// JSON's `null` is data like any other.
fn present<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Value>, D::Error> {
    Value::deserialize(deserializer).map(Some)
}

static SHAPE: LazyLock<Validator> = LazyLock::new(|| {
    input::validator(&shape()).unwrap_or_else(|error| unreachable!("the request's own schema: {error}"))
});

/// A line of text: neither control characters nor what ends a line or reverses the direction of writing, and no space at its
/// ends.
const SUBJECT_PATTERN: &str = "^[^\\s\\u0000-\\u001f\\u007f-\\u009f\\u202a-\\u202e\\u2066-\\u2069]\
    ([^\\u0000-\\u001f\\u007f-\\u009f\\u2028-\\u202e\\u2066-\\u2069]*\
    [^\\s\\u0000-\\u001f\\u007f-\\u009f\\u202a-\\u202e\\u2066-\\u2069])?$";

/// What a request must look like, as JSON Schema 2020-12: it is checked against this, and the OpenAPI document has it.
pub(crate) fn schema() -> Value {
    let mut schema = shape();
    schema["anyOf"] = json!([{"required": ["data"]}, {"required": ["input"]}]);
    schema
}

/// All of it but that there is data or an upload: [`violations_of_input`] has better words for that.
fn shape() -> Value {
    json!({
        "description": "A report to make.",
        "type": "object",
        "required": ["template"],
        "additionalProperties": false,
        "properties": {
            "template": {"description": "The template's name.", "type": "string"},
            "data": {
                "description": "What goes into it: whatever fits the template's schema. With an `input` of rows, the \
                                other data; with one that is JSON, nothing.",
            },
            "input": {
                "description": "The upload that the data is in, or the rows of it: the `id` of POST /uploads.",
                "type": "string",
            },
            "options": {
                "description": "How the report is to be made.",
                "type": "object",
                "additionalProperties": false,
                "properties": {
                    "pdf_standard": {
                        "description": "The standard to conform to; PDF 1.7 where absent.",
                        "enum": PDF_STANDARDS,
                    },
                    "tagged": {
                        "description": "Whether to tag for assistive technology; true where absent. `a-1a`, `a-2a`, \
                                        `a-3a` and `ua-1` need tags.",
                        "type": "boolean",
                    },
                    "on_missing_glyph": {
                        "description": "What becomes of a character that no font has: with `warn`, as where absent, the \
                                        report shows a stand-in and the job has a warning; with `fail`, the job fails.",
                        "enum": ON_MISSING_GLYPH,
                    },
                },
            },
            "notify": {
                "description": "How its end is to be announced.",
                "type": "object",
                "additionalProperties": false,
                "properties": {
                    "subject": {
                        "description": "The mail's subject, in one line without control characters and what reverses the \
                                        direction of writing, with no space at either end.",
                        "type": "string",
                        "pattern": SUBJECT_PATTERN,
                        "maxLength": MAX_SUBJECT_CHARS,
                    },
                    "tags": {
                        "description": "Words by which subscribers choose what they are sent.",
                        "type": "array",
                        "maxItems": 10,
                        "uniqueItems": true,
                        "items": {
                            "description": "1 to 64 printable ASCII characters, without spaces and commas.",
                            "type": "string",
                            "pattern": "^[!-+\\--~]{1,64}$",
                        },
                    },
                    "webhook": {
                        "description": "A URL of yours that is notified when the job ends, by a Standard Webhook: \
                                        https, or http to the server's own machine, where that is allowed. The server may \
                                        take certain hosts only; one that it does not take is a violation at \
                                        `/notify/webhook`.",
                        "type": "string",
                        "maxLength": MAX_URL_CHARS,
                    },
                },
            },
        },
    })
}

impl ToSchema for Request {}

impl PartialSchema for Request {
    /// A place for [`schema`] in the document; a schema of utoipa's does not hold all that it says.
    fn schema() -> RefOr<Schema> {
        Schema::default().into()
    }
}

impl Request {
    /// Reads a request, or names everything that is wrong with its shape.
    pub(crate) fn from_json(body: Value, webhooks: &Destinations) -> Result<Self, Problem> {
        let mut violations = catalogue::violations(&SHAPE, &body, None, "");
        violations.extend(violations_of_input(&body));
        if violations.is_empty() {
            let request: Self =
                serde_json::from_value(body).map_err(|error| Invalid::Request.problem(&[Violation::new("", error)]))?;
            violations.extend(contradiction(&request.options));
            violations.extend(refused(&request.notify, webhooks));
            if violations.is_empty() {
                return Ok(request);
            }
        }
        Err(Invalid::Request.problem(&violations))
    }
}

/// What the shape of a request does not say: it has data or names an upload, and names it as it is called.
fn violations_of_input(body: &Value) -> Option<Violation> {
    let violation = |pointer: &str, detail: String| Some(Violation::new(pointer, detail));
    match body.get("input") {
        None if body.is_object() && body.get("data").is_none() => {
            violation("", "\"data\" is a required property, unless \"input\" names an upload".into())
        }
        None => None,
        Some(input) => violation("/input", input.as_str()?.parse::<UploadId>().err()?.to_string()),
    }
}

/// Accessible standards are made of tags.
fn contradiction(options: &Options) -> Option<Violation> {
    let accessible = ["a-1a", "a-2a", "a-3a", "ua-1"];
    let standard = options.pdf_standard.as_deref().filter(|standard| accessible.contains(standard))?;
    (options.tagged == Some(false)).then(|| {
        let detail =
            format!("{standard} is an accessible standard and needs tags: leave `tagged` out, or make it true");
        Violation::new("/options/tagged", detail)
    })
}

/// A webhook that may not go where it is to go.
fn refused(notify: &Notify, webhooks: &Destinations) -> Option<Violation> {
    let refused = webhooks.parse(notify.webhook.as_ref()?).err()?;
    Some(Violation::new("/notify/webhook", refused))
}

/// What it is that breaks a schema.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Invalid {
    /// The request around the data.
    Request,
    /// The data.
    Data,
}

impl Invalid {
    /// The 422 answer that holds every violation.
    pub(crate) fn problem(self, violations: &[Violation]) -> Problem {
        self.told(violations, 0)
    }

    /// The same where there may be more violations than are listed.
    pub(crate) fn problem_of(self, violations: &Violations) -> Problem {
        self.told(&violations.listed, violations.more)
    }

    /// The 422 answer that holds as many of these violations as an answer may, and counts these and `more`.
    fn told(self, violations: &[Violation], more: usize) -> Problem {
        let (name, title) = match self {
            Self::Request => ("invalid-request", "The request does not have the right shape."),
            Self::Data => ("invalid-data", "The data does not fit the template."),
        };
        let first = violations.first().map(|Violation { pointer, detail }| match pointer.as_str() {
            "" => format!(" The first: {detail}."),
            pointer => format!(" The first, at `{pointer}`: {detail}."),
        });
        let mut room = MAX_ERRORS_BYTES;
        let errors = violations.iter().map(|it| json!({"pointer": it.pointer, "detail": it.detail}));
        let errors: Vec<_> = errors
            .take_while(|error| {
                room = room.saturating_sub(error.to_string().len() + 1);
                room > 0
            })
            .collect();
        let count = match (violations.len() + more, violations.len() + more - errors.len()) {
            (1, _) => "1 violation".to_owned(),
            (count, 0) => format!("{count} violations"),
            (_, unlisted) => format!("{} violations and {unlisted} more", errors.len()),
        };
        Problem::new(StatusCode::UNPROCESSABLE_ENTITY, name, title, format!("{count}.{}", first.unwrap_or_default()))
            .with("errors", errors)
    }
}
