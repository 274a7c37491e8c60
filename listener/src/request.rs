//! The body of `POST /append_queue`: its shape, and every way in which it can be wrong.

use std::sync::LazyLock;

use axum::http::StatusCode;
use jobs::announcement::MAX_SUBJECT_CHARS;
use jobs::job::PDF_STANDARDS;
use jobs::{Notify, Options};
use jsonschema::Validator;
use serde::Deserialize;
use serde_json::{Value, json};
use utoipa::openapi::{RefOr, Schema};
use utoipa::{PartialSchema, ToSchema};

use crate::Problem;
use crate::catalogue::{self, Violation};

/// What a caller asks for.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Request {
    /// The template's name.
    pub(crate) template: String,
    /// What goes into it.
    pub(crate) data: Value,
    /// How the report is to be made.
    #[serde(default)]
    pub(crate) options: Options,
    /// How its end is to be announced.
    #[serde(default)]
    pub(crate) notify: Notify,
}

static SHAPE: LazyLock<Validator> = LazyLock::new(|| {
    catalogue::validator(&schema()).unwrap_or_else(|error| unreachable!("the request's own schema: {error}"))
});

/// What a request must look like, as JSON Schema 2020-12: it is checked against this, and the OpenAPI document has it.
pub(crate) fn schema() -> Value {
    json!({
        "description": "A report to make.",
        "type": "object",
        "required": ["template", "data"],
        "additionalProperties": false,
        "properties": {
            "template": {"description": "The template's name.", "type": "string"},
            "data": {"description": "What goes into it: whatever fits the template's schema."},
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
                },
            },
            "notify": {
                "description": "How its end is to be announced.",
                "type": "object",
                "additionalProperties": false,
                "properties": {
                    "subject": {
                        "description": "The mail's subject, in printable ASCII.",
                        "type": "string",
                        "pattern": "^[!-~]([ -~]*[!-~])?$",
                        "maxLength": MAX_SUBJECT_CHARS,
                    },
                    "tags": {
                        "description": "Words by which subscribers choose what they are told of.",
                        "type": "array",
                        "maxItems": 10,
                        "uniqueItems": true,
                        "items": {"type": "string", "pattern": "^[!-+\\--~]{1,64}$"},
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
    pub(crate) fn from_json(body: Value) -> Result<Self, Problem> {
        let mut violations = catalogue::violations(&SHAPE, &body, "");
        if violations.is_empty() {
            let request: Self = serde_json::from_value(body).map_err(|error| {
                Invalid::Request.problem(&[Violation { pointer: String::new(), detail: error.to_string() }])
            })?;
            violations.extend(contradiction(&request.options));
            if violations.is_empty() {
                return Ok(request);
            }
        }
        Err(Invalid::Request.problem(&violations))
    }
}

/// Accessible standards are made of tags.
fn contradiction(options: &Options) -> Option<Violation> {
    let accessible = ["a-1a", "a-2a", "a-3a", "ua-1"];
    let standard = options.pdf_standard.as_deref().filter(|standard| accessible.contains(standard))?;
    (options.tagged == Some(false)).then(|| Violation {
        pointer: "/options/tagged".into(),
        detail: format!("{standard} is an accessible standard and needs tags: leave `tagged` out, or make it true"),
    })
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
        let (name, title) = match self {
            Self::Request => ("invalid-request", "The request does not have the right shape."),
            Self::Data => ("invalid-data", "The data does not fit the template's schema."),
        };
        let first = violations
            .first()
            .map(|violation| format!(" The first, at `{}`: {}.", violation.pointer, violation.detail));
        let count = match violations.len() {
            1 => "1 violation".to_owned(),
            count => format!("{count} violations"),
        };
        let errors: Vec<_> = violations.iter().map(|it| json!({"pointer": it.pointer, "detail": it.detail})).collect();
        Problem::new(StatusCode::UNPROCESSABLE_ENTITY, name, title, format!("{count}.{}", first.unwrap_or_default()))
            .with("errors", errors)
    }
}
