//! `POST /uploads`: where to put data that is too large for a request. `PUT /uploads/{id}`: puts it there, on one
//! machine; on AWS a caller puts it into the bucket.

use std::io;
use std::path::{Path as FilePath, PathBuf};
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use axum::body::Body;
use axum::extract::rejection::{PathRejection, QueryRejection};
use axum::extract::{Extension, Path, Query, State};
use axum::http::header::{CONTENT_LENGTH, CONTENT_TYPE, RETRY_AFTER};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use chrono::{DateTime, Utc};
use http_body_util::BodyExt;
use input::Validator;
use jobs::job::{MEBIBYTE, now};
use jobs::upload::{MAX_UPLOAD_BYTES, NoSeparator, UPLOADS};
use jobs::{Accepts, Content, Dialect, Separator, Unavailable, UploadFormat, UploadId, rfc3339};
use mime::Mime;
use serde::{Deserialize, Serialize};
use serde_json::{Number, Value, json};
use tokio::fs::File;
use tokio::io::AsyncWriteExt;
use tokio::task::spawn_blocking;
use utoipa::{IntoParams, IntoResponses, ToSchema};

use crate::access::{Caller, upload_quota_refusals};
use crate::base_url::base_url;
use crate::body::{self, incomplete, interrupted, read_plain, too_slow};
use crate::catalogue::{self, Violation};
use crate::json::Json;
use crate::openapi::{Responses, example, guarded_refusals, refusals};
use crate::problem::unavailable;
use crate::puts::Puts;
use crate::request::Invalid;
use crate::room::{self, storage_full};
use crate::{Listener, Problem, nothing_here, unknown_path};

/// How long a caller has to put an upload.
const LIFE: Duration = Duration::from_secs(3600);

/// After how many bytes of a body the disk's room is looked at again.
pub(crate) const LOOK_EVERY_BYTES: u64 = MEBIBYTE;

/// When a caller whose upload is being put may try again, in seconds.
const RETRY_AFTER_SECONDS: u64 = 10;

/// What a caller wants to put.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = UploadRequest)]
struct Wanted {
    /// What it is written in.
    #[schema(value_type = UploadFormat)]
    content_type: String,
    /// Its size in bytes.
    #[schema(value_type = u64, minimum = 0, maximum = 5_368_709_120_i64)]
    bytes: Number,
    /// What separates the fields of `text/csv`: `,` where absent, `;`, TAB or `|`. Refused for other types.
    #[schema(nullable = false, pattern = r"^[,;\t|]$")]
    separator: Option<String>,
    /// Whether numbers of `text/csv` are written as `1.234,50`. Refused for other types.
    #[serde(default)]
    decimal_comma: bool,
}

/// The types of what a caller wants: what its values may be is said in better words.
static SHAPE: LazyLock<Validator> = LazyLock::new(|| {
    let shape = json!({
        "type": "object",
        "required": ["content_type", "bytes"],
        "additionalProperties": false,
        "properties": {
            "content_type": {"type": "string"},
            "bytes": {"type": "number"},
            "separator": {"type": "string"},
            "decimal_comma": {"type": "boolean"},
        },
    });
    input::validator(&shape).unwrap_or_else(|error| unreachable!("the request's own schema: {error}"))
});

/// Where to put an upload, and how.
#[derive(Serialize, ToSchema)]
#[schema(as = Upload)]
pub(crate) struct Begun {
    /// What to queue a job with, as its `input`.
    id: UploadId,
    /// Where to put it: works for an hour, without the token, for this type and size only. On AWS it is the bucket's.
    #[schema(format = "uri")]
    url: String,
    /// How to put it: `PUT`.
    method: &'static str,
    headers: PutHeaders,
    /// When the URL stops working.
    #[serde(serialize_with = "rfc3339::serialize")]
    expires_at: DateTime<Utc>,
}

/// The headers to put an upload with.
#[derive(Serialize, ToSchema)]
#[schema(as = UploadHeaders)]
struct PutHeaders {
    #[serde(rename = "Content-Type")]
    #[schema(value_type = UploadFormat)]
    content_type: &'static str,
    #[serde(rename = "Content-Length")]
    content_length: String,
    /// On AWS alone: the bucket expires what is tagged so after a day. A job that names the upload changes it.
    #[serde(rename = "x-amz-tagging", skip_serializing_if = "Option::is_none")]
    #[schema(value_type = String, required = false)]
    tagging: Option<&'static str>,
}

impl Begun {
    /// The answer to a caller who is to put so many bytes to `url`.
    pub(crate) fn new(id: UploadId, bytes: u64, url: String, expires_at: DateTime<Utc>) -> Self {
        let (content_type, content_length) = (id.format().content_type(), bytes.to_string());
        let headers = PutHeaders { content_type, content_length, tagging: None };
        Self { id, url, method: "PUT", headers, expires_at }
    }

    fn with_tagging(mut self, tagging: Option<&'static str>) -> Self {
        self.headers.tagging = tagging;
        self
    }
}

/// An upload that is there.
#[derive(Serialize, ToSchema)]
#[schema(as = StoredUpload)]
pub(crate) struct Stored {
    /// What to queue a job with, as its `input`.
    id: UploadId,
    /// Its size in bytes.
    bytes: u64,
}

impl Stored {
    /// The upload of so many bytes.
    pub(crate) fn new(id: UploadId, bytes: u64) -> Self {
        Self { id, bytes }
    }

    /// Which it is.
    pub(crate) fn id(&self) -> UploadId {
        self.id
    }
}

/// What a signed upload URL carries.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct Seal {
    /// The size that the upload was begun with.
    #[param(example = 48)]
    bytes: u64,
    /// Until when the URL works, in seconds since 1970.
    #[param(example = 1795258491)]
    expires: i64,
    /// The signature.
    #[param(example = "IfBxaKDwNzy-B319qwMVyEJ1WusWZo1B4JSNAWtpbxg")]
    sig: String,
}

/// Begin an upload.
///
/// For data that is too large for a request. Put the file to the answer's `url` with the answer's `headers`, then queue
/// a job with the answer's `id` as its `input`. Name it within a day, or it is removed. Then any number of jobs can name it
/// for as long as reports are kept, counted from when it was begun.
#[utoipa::path(
    post,
    path = "/uploads",
    operation_id = "begin_upload",
    tag = "jobs",
    request_body(content = Wanted, example = json!(example::wanted_upload())),
    responses(
        (status = 201, description = "Where to put it.", body = Begun, example = json!(example::upload())),
        BeginRefusals,
    )
)]
pub(crate) async fn begin(
    State(listener): State<Arc<Listener>>,
    Extension(caller): Extension<Caller>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    let (id, bytes) = wanted(read_plain(&headers, body).await?)?;
    listener.check_room(bytes).await?;
    listener.access.count_bytes(&caller, bytes).await?;
    let id = id.of(caller.upload_owner());
    let content_type = id.format().content_type();
    let expires_at = now() + LIFE;
    let (url, tagging) = match listener.objects.accept(&id.key(), content_type, bytes, LIFE).await? {
        Accepts::Url { url, tagging } => (url, Some(tagging)),
        Accepts::Draft(_) => (listener.links.sign_upload(&base_url(&listener, &headers), id, bytes, expires_at), None),
    };
    tracing::info!(upload = %id, bytes, "an upload was begun");
    Ok((StatusCode::CREATED, Json(Begun::new(id, bytes, url, expires_at).with_tagging(tagging))).into_response())
}

struct BeginRefusals;

impl IntoResponses for BeginRefusals {
    fn responses() -> Responses {
        let own = [Invalid::Request.problem(&[impossible_size()]), unavailable("sign the upload's URL")];
        guarded_refusals(own.into_iter().chain(upload_quota_refusals()).chain(room::refusals()).chain(body::refusals()))
    }
}

/// Reads the request, or names everything that is wrong with it.
fn wanted(body: Value) -> Result<(UploadId, u64), Problem> {
    let misshapen = catalogue::violations(&SHAPE, &body, None, "");
    if !misshapen.is_empty() {
        return Err(Invalid::Request.problem(&misshapen));
    }
    let wanted: Wanted =
        serde_json::from_value(body).map_err(|error| Invalid::Request.problem(&[violation("", error.to_string())]))?;
    let format = format_of(&wanted.content_type);
    let mut violations = Vec::new();
    if format.is_none() {
        let types = UploadFormat::ALL.map(UploadFormat::content_type).join(", ");
        violations.push(violation("/content_type", format!("it is none of {types}")));
    }
    let bytes = whole(&wanted.bytes).filter(|bytes| *bytes <= MAX_UPLOAD_BYTES);
    if bytes.is_none() {
        violations.push(impossible_size());
    }
    let dialect = dialect(&wanted).map_err(|violation| violations.push(violation)).unwrap_or_default();
    if let Some(format) = format.filter(|format| *format != UploadFormat::Csv) {
        violations.extend(of_csv_alone(&wanted, format));
    }
    match (format, bytes) {
        (Some(UploadFormat::Csv), Some(bytes)) if violations.is_empty() => Ok((UploadId::of_csv(dialect), bytes)),
        (Some(format), Some(bytes)) if violations.is_empty() => Ok((UploadId::new(format), bytes)),
        _ => Err(Invalid::Request.problem(&violations)),
    }
}

/// How the CSV is written that a caller wants to put.
fn dialect(wanted: &Wanted) -> Result<Dialect, Violation> {
    let (separator, decimal_comma) = (wanted.separator.as_deref(), wanted.decimal_comma);
    let separator = separator.map_or(Ok(Separator::default()), str::parse);
    let separator = separator.map_err(|error: NoSeparator| violation("/separator", error.to_string()))?;
    Ok(Dialect { separator, decimal_comma })
}

/// What the request says of CSV although the upload is none.
fn of_csv_alone(wanted: &Wanted, format: UploadFormat) -> impl Iterator<Item = Violation> {
    let said = [wanted.separator.as_ref().map(|_| "/separator"), wanted.decimal_comma.then_some("/decimal_comma")];
    let detail = format!("this goes with text/csv, and the upload is {}: leave it out", format.content_type());
    said.into_iter().flatten().map(move |pointer| violation(pointer, detail.clone()))
}

/// A number as an integer; JSON Schema takes 3.0 for one.
fn whole(number: &Number) -> Option<u64> {
    let float =
        || number.as_f64().filter(|float| float.fract() == 0.0 && (0.0..=MAX_UPLOAD_BYTES as f64).contains(float));
    number.as_u64().or_else(|| float().map(|float| float as u64))
}

fn violation(pointer: &str, detail: String) -> Violation {
    Violation { pointer: pointer.into(), detail }
}

fn impossible_size() -> Violation {
    violation("/bytes", format!("an upload has from 0 to {MAX_UPLOAD_BYTES} bytes"))
}

/// The format of this type; parameters such as `charset=utf-8` say nothing more.
fn format_of(content_type: &str) -> Option<UploadFormat> {
    let mime: Mime = content_type.parse().ok()?;
    let utf8 = mime.get_param(mime::CHARSET).is_none_or(|charset| charset == mime::UTF_8);
    UploadFormat::ALL.into_iter().find(|format| utf8 && format.content_type() == mime.essence_str())
}

/// Put an upload.
///
/// To the `url` that `POST /uploads` returned, as it is, and without the token. Repeated, it replaces what was put
/// before, so put nothing to it once a job is queued with it. On AWS this call does not exist, 404: there the `url` is
/// the bucket's, which answers as S3 does.
#[utoipa::path(
    put,
    path = "/uploads/{id}",
    operation_id = "put_upload",
    tag = "jobs",
    params(
        ("id" = UploadId, Path, description = "The upload's id."),
        Seal,
    ),
    request_body(
        description = "The file, of the type and with the `Content-Length` that the upload was begun with.",
        content((String = "application/json"), (String = "application/x-ndjson"), (String = "text/csv"))
    ),
    responses(
        (status = 200, description = "It is there.", body = Stored, example = json!(example::stored_upload())),
        PutRefusals,
    )
)]
pub(crate) async fn put(
    State(listener): State<Arc<Listener>>,
    Extension(puts): Extension<Arc<Puts>>,
    id: Result<Path<String>, PathRejection>,
    seal: Result<Query<Seal>, QueryRejection>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    let asked = match (&id, &seal) {
        (Ok(Path(id)), Ok(Query(seal))) => id.parse::<UploadId>().ok().map(|id| (id, seal)),
        _ => None,
    };
    // Nothing is put through a listener whose callers put it into a bucket.
    let key = asked.as_ref().map_or_else(|| UPLOADS.to_owned(), |(id, _)| id.key());
    let Accepts::Draft(draft) = listener.objects.accept(&key, "", 0, LIFE).await? else {
        return Err(unknown_path().await);
    };
    let signed =
        asked.filter(|(id, seal)| listener.links.verify_upload(*id, seal.bytes, seal.expires, &seal.sig, now()));
    let (id, seal) = signed.ok_or_else(refused)?;
    if let Some(problem) = mismatch(&headers, id, seal.bytes) {
        return Err(problem);
    }
    let (draft, mut body) = (Draft(draft), body);
    if let Err(problem) = receive(&listener, &puts, &draft.0, &mut body, id, seal.bytes).await {
        draft.remove().await;
        return Err(problem);
    }
    listener.objects.put(&key, id.format().content_type(), Content::Draft(&draft.0)).await.map_err(not_stored)?;
    tracing::info!(upload = %id, bytes = seal.bytes, "an upload is there");
    Ok(Json(Stored::new(id, seal.bytes)).into_response())
}

struct PutRefusals;

impl IntoResponses for PutRefusals {
    fn responses() -> Responses {
        let own = [
            refused(),
            nothing_here(&["POST /append_queue".into(), "POST /uploads".into()]),
            wrong_type(UploadFormat::Csv),
            wrong_size(30, 48),
            wrong_size(60, 48),
            length_required(48),
            incomplete(),
            too_slow(),
            in_progress(),
            unavailable("store the upload"),
        ];
        refusals(own.into_iter().chain(room::refusals()))
    }
}

/// A file that is removed unless it became an object.
struct Draft(PathBuf);

impl Draft {
    async fn remove(mut self) {
        _ = tokio::fs::remove_file(std::mem::take(&mut self.0)).await;
    }
}

impl Drop for Draft {
    fn drop(&mut self) {
        let path = std::mem::take(&mut self.0);
        if path.as_os_str().is_empty() {
            return;
        }
        // An object by now, or never written.
        spawn_blocking(move || _ = std::fs::remove_file(path));
    }
}

/// What is wrong with the headers of an upload that was begun with another type or size.
fn mismatch(headers: &HeaderMap, id: UploadId, bytes: u64) -> Option<Problem> {
    let header = |name| headers.get(name).and_then(|value| value.to_str().ok());
    if header(CONTENT_TYPE).and_then(format_of) != Some(id.format()) {
        return Some(wrong_type(id.format()));
    }
    match header(CONTENT_LENGTH).map(str::parse::<u64>) {
        Some(Ok(sent)) if sent == bytes => None,
        Some(Ok(sent)) => Some(wrong_size(sent, bytes)),
        _ => Some(length_required(bytes)),
    }
}

fn wrong_type(format: UploadFormat) -> Problem {
    let title = "This call does not take a body of this type.";
    let content_type = format.content_type();
    let detail = format!("The upload was begun with the header `Content-Type: {content_type}`. Send the same.");
    Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "unsupported-media-type", title, detail)
}

fn wrong_size(sent: u64, bytes: u64) -> Problem {
    let detail = format!(
        "It has {sent} bytes, and {bytes} were declared. Put the right file to the same URL, or, if its size has changed, \
         begin another upload with POST /uploads."
    );
    let status = if sent > bytes { StatusCode::PAYLOAD_TOO_LARGE } else { StatusCode::BAD_REQUEST };
    let title = "The upload's size is not the declared one.";
    Problem::new(status, "wrong-upload-size", title, detail).with("bytes", bytes)
}

fn length_required(bytes: u64) -> Problem {
    let detail = format!("Send the header `Content-Length: {bytes}`, and the body in one piece, not in chunks.");
    let title = "An upload needs a Content-Length.";
    Problem::new(StatusCode::LENGTH_REQUIRED, "length-required", title, detail)
}

/// Writes an upload to a file, if it is not being put already and for as long as there is room for it.
async fn receive(
    listener: &Listener,
    puts: &Arc<Puts>,
    draft: &FilePath,
    body: &mut Body,
    id: UploadId,
    bytes: u64,
) -> Result<(), Problem> {
    let _put = puts.begin(id).ok_or_else(in_progress)?;
    listener.check_room(bytes).await?;
    write(listener, draft, body, bytes).await
}

/// Writes the body to a file, piece by piece. Others write to the disk meanwhile, so its room is looked at again and again.
async fn write(listener: &Listener, draft: &FilePath, body: &mut Body, bytes: u64) -> Result<(), Problem> {
    let failed = |error: io::Error| not_stored(Unavailable::when("store the upload")(error));
    let mut file = File::create(draft).await.map_err(failed)?;
    let (mut written, mut seen_at) = (0, 0);
    while let Some(frame) = body.frame().await {
        let Ok(piece) = frame.map_err(|error| interrupted(&error))?.into_data() else { continue };
        written += piece.len() as u64;
        if written > bytes {
            break;
        }
        file.write_all(&piece).await.map_err(failed)?;
        if written - seen_at >= LOOK_EVERY_BYTES {
            seen_at = written;
            listener.check_room(0).await?;
        }
    }
    file.flush().await.map_err(failed)?;
    if written == bytes { Ok(()) } else { Err(incomplete()) }
}

fn in_progress() -> Problem {
    let detail = "Another PUT to its URL has not ended. Wait for that one; if it fails, put the upload again.";
    Problem::new(StatusCode::CONFLICT, "upload-in-progress", "This upload is being put already.", detail)
        .with_header(RETRY_AFTER, RETRY_AFTER_SECONDS)
}

fn refused() -> Problem {
    let detail = "It was altered, or its time is over. Begin another upload with POST /uploads.";
    Problem::new(StatusCode::FORBIDDEN, "upload-refused", "This upload's URL does not work.", detail)
}

/// A full disk is said to be one; whatever else keeps an upload from being stored may pass.
pub(crate) fn not_stored(error: Unavailable) -> Problem {
    let is_full = |error: &io::Error| matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded);
    if !error.source.downcast_ref::<io::Error>().is_some_and(is_full) {
        return error.into();
    }
    tracing::error!(%error, "a body was not stored");
    storage_full("Nothing of it was kept. Send it again later; the operator must free space.")
}
