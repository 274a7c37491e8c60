//! The `input` of a request: an upload that is the data, or the rows of it.

use axum::http::StatusCode;
use input::Budget;
use jobs::job::now;
use jobs::upload::UNNAMED_LIFE;
use jobs::{UploadFormat, UploadId};
use serde_json::Map;

use crate::access::Caller;
use crate::append_queue::within;
use crate::catalogue::{Template, Violation};
use crate::checks::Refused;
use crate::examine::cut_off;
use crate::given::Given;
use crate::openapi::example;
use crate::request::Invalid;
use crate::{Listener, Problem};

/// Checks what `data` there is beside an upload, and that both go with the template. Answers with that data, if there is to
/// be any.
pub(crate) fn check(
    template: &Template,
    upload: UploadId,
    data: Option<Given>,
    budget: &Budget,
) -> Result<Option<Given>, Refused> {
    match upload.format() {
        UploadFormat::Json if data.is_some() => {
            Err(refusal("/data", "a JSON upload is all the data: leave this out").into())
        }
        UploadFormat::Json => Ok(None),
        UploadFormat::Ndjson | UploadFormat::Csv => rest(template, data, budget).map(Some),
    }
}

/// Checks what else can be known before the upload is read: that it is there, the caller's, and not too large.
pub(crate) async fn find(
    listener: &Listener,
    caller: &Caller,
    template: &Template,
    upload: UploadId,
) -> Result<(), Problem> {
    let is_lent = listener.access.lends(caller, upload);
    let age = upload.made_at().map(|made_at| now() - made_at).filter(|age| is_lent && *age < listener.retention);
    let size = match age {
        Some(age) => listener.objects.keep(&upload.key(), age < UNNAMED_LIFE).await?,
        None => None,
    };
    let bytes = size.ok_or_else(|| unknown(upload))?;
    if template.rows.is_none() {
        within(listener.max_data_bytes, bytes)?;
    }
    Ok(())
}

/// The data beside the rows, which is an object and fits the schema.
fn rest(template: &Template, data: Option<Given>, budget: &Budget) -> Result<Given, Refused> {
    let Some(rows) = &template.rows else {
        let detail = format!(
            "`{}` declares no rows, so that its data is uploaded whole, as application/json; a template.json would declare them",
            template.name
        );
        return Err(refusal("/input", &detail).into());
    };
    let data = data.unwrap_or_else(|| Given::new(Map::new().into(), None));
    let Some(rest) = data.json.plain.as_object() else {
        return Err(refusal("/data", "beside an upload of rows, this is an object with the other data").into());
    };
    let exact = data.json.exact().as_object().unwrap_or(rest);
    let violations = template.violations_of_rest(rest, exact, "/data", budget);
    let mut violations = violations.map_err(|cut| cut_off(template, cut))?;
    if rest.contains_key(rows.field()) {
        let pointer = format!("/data{}", rows.pointer());
        violations.push(Violation::new(pointer, "the rows are in the upload: leave this out"));
    }
    match violations.as_slice() {
        [] => Ok(data),
        violations => Err(Invalid::Data.problem(violations).into()),
    }
}

fn refusal(pointer: &str, detail: &str) -> Problem {
    Invalid::Request.problem(&[Violation::new(pointer, detail)])
}

/// How an upload may be refused.
pub(crate) fn refusals() -> [Problem; 1] {
    [unknown(example::stored_upload().id())]
}

fn unknown(upload: UploadId) -> Problem {
    let detail = format!(
        "{upload} was begun too long ago (a day, if no job named it before), was never put, its PUT has not ended yet, or it \
         belongs to another caller. Put it to the URL that POST /uploads returned, wait for the 200, and send this again; or \
         begin another."
    );
    Problem::new(StatusCode::NOT_FOUND, "unknown-upload", "There is no such upload.", detail)
}
