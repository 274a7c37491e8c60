//! `POST /uploads`: where to put data that is too large for a request. `PUT /uploads/{id}`: puts it there, on one machine;
//! on AWS a caller puts it into the bucket.

use std::io;
use std::path::{Path as FilePath, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::body::Body;
use axum::extract::rejection::{PathRejection, QueryRejection};
use axum::extract::{Path, Query, State};
use axum::http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use http_body_util::BodyExt;
use jobs::job::now;
use jobs::upload::{MAX_UPLOAD_BYTES, UPLOADS};
use jobs::{Accepts, Content, Unavailable, UploadFormat, UploadId};
use mime::Mime;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::fs::File;
use tokio::io::AsyncWriteExt;

use crate::base_url::base_url;
use crate::body::{discard, incomplete, read_json};
use crate::catalogue::Violation;
use crate::request::Invalid;
use crate::{Listener, Problem, unknown_path};

/// How long a caller has to put an upload.
const LIFE: Duration = Duration::from_secs(3600);

/// What a caller wants to put.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Wanted {
    content_type: String,
    bytes: u64,
}

/// What a signed upload URL carries.
#[derive(Debug, Deserialize)]
pub(crate) struct Seal {
    bytes: u64,
    expires: i64,
    sig: String,
}

pub(crate) async fn begin(
    State(listener): State<Arc<Listener>>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    let (format, bytes) = wanted(read_json(&headers, body).await?)?;
    let (id, content_type) = (UploadId::new(format), format.content_type());
    let expires_at = now() + LIFE;
    let url = match listener.objects.accept(&id.key(), content_type, bytes, LIFE).await? {
        Accepts::Url(url) => url,
        Accepts::Draft(_) => listener.links.sign_upload(&base_url(&listener, &headers), id, bytes, expires_at),
    };
    tracing::info!(upload = %id, bytes, "an upload was begun");
    let answer = json!({
        "id": id,
        "url": url,
        "method": "PUT",
        "headers": {"Content-Type": content_type, "Content-Length": bytes.to_string()},
        "expires_at": expires_at,
    });
    Ok((StatusCode::CREATED, Json(answer)).into_response())
}

/// Reads the request, or names everything that is wrong with it.
fn wanted(body: Value) -> Result<(UploadFormat, u64), Problem> {
    let violation = |pointer: &str, detail: String| Violation { pointer: pointer.into(), detail };
    let wanted: Wanted = serde_json::from_value(body).map_err(|error| {
        let detail = format!("{error}; send {{\"content_type\": \"application/x-ndjson\", \"bytes\": 123}}");
        Invalid::Request.problem(&[violation("", detail)])
    })?;
    let format = format_of(&wanted.content_type);
    let mut violations = Vec::new();
    if format.is_none() {
        let types = UploadFormat::ALL.map(UploadFormat::content_type).join(", ");
        violations.push(violation("/content_type", format!("it is none of {types}")));
    }
    if !(1..=MAX_UPLOAD_BYTES).contains(&wanted.bytes) {
        violations.push(violation("/bytes", format!("an upload has from 1 to {MAX_UPLOAD_BYTES} bytes")));
    }
    match format {
        Some(format) if violations.is_empty() => Ok((format, wanted.bytes)),
        _ => Err(Invalid::Request.problem(&violations)),
    }
}

/// The format of this type; parameters such as `charset=utf-8` say nothing more.
fn format_of(content_type: &str) -> Option<UploadFormat> {
    let mime: Mime = content_type.parse().ok()?;
    let utf8 = mime.get_param(mime::CHARSET).is_none_or(|charset| charset == mime::UTF_8);
    UploadFormat::ALL.into_iter().find(|format| utf8 && format.content_type() == mime.essence_str())
}

pub(crate) async fn put(
    State(listener): State<Arc<Listener>>,
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
    let refusal = match &signed {
        None => Some(refused()),
        Some((id, seal)) => mismatch(&headers, *id, seal.bytes),
    };
    let (Some((id, seal)), None) = (signed, &refusal) else {
        discard(body).await;
        return Err(refusal.unwrap_or_else(refused));
    };
    let draft = Draft(draft);
    write(&draft.0, body, seal.bytes).await?;
    listener.objects.put(&key, id.format().content_type(), Content::Draft(&draft.0)).await.map_err(not_stored)?;
    tracing::info!(upload = %id, bytes = seal.bytes, "an upload is there");
    Ok(Json(json!({ "id": id, "bytes": seal.bytes })).into_response())
}

/// A file that is removed unless it became an object.
struct Draft(PathBuf);

impl Drop for Draft {
    fn drop(&mut self) {
        // An object by now, or never written.
        _ = std::fs::remove_file(&self.0);
    }
}

/// What is wrong with the headers of an upload that was begun with another type or size.
fn mismatch(headers: &HeaderMap, id: UploadId, bytes: u64) -> Option<Problem> {
    let header = |name| headers.get(name).and_then(|value| value.to_str().ok());
    let content_type = id.format().content_type();
    if header(CONTENT_TYPE).and_then(format_of) != Some(id.format()) {
        let title = "This call does not take a body of this type.";
        let detail = format!("The upload was begun with the header `Content-Type: {content_type}`. Send the same.");
        return Some(Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "unsupported-media-type", title, detail));
    }
    match header(CONTENT_LENGTH).map(str::parse::<u64>) {
        Some(Ok(sent)) if sent == bytes => None,
        Some(Ok(sent)) => {
            let detail = format!("It has {sent} bytes and was begun with {bytes}. Begin another with POST /uploads.");
            let status = if sent > bytes { StatusCode::PAYLOAD_TOO_LARGE } else { StatusCode::BAD_REQUEST };
            let title = "The upload has another size than was said.";
            Some(Problem::new(status, "wrong-upload-size", title, detail).with("bytes", bytes))
        }
        _ => {
            let detail =
                format!("Send the header `Content-Length: {bytes}`, and the body in one piece, not in chunks.");
            let title = "An upload needs its length beforehand.";
            Some(Problem::new(StatusCode::LENGTH_REQUIRED, "length-required", title, detail))
        }
    }
}

/// Writes the body to a file, piece by piece.
async fn write(draft: &FilePath, mut body: Body, bytes: u64) -> Result<(), Problem> {
    let failed = |error: io::Error| not_stored(Unavailable::when("store the upload")(error));
    let mut file = File::create(draft).await.map_err(failed)?;
    let mut written = 0;
    while let Some(frame) = body.frame().await {
        let Ok(piece) = frame.map_err(|_| incomplete())?.into_data() else { continue };
        written += piece.len() as u64;
        file.write_all(&piece).await.map_err(failed)?;
    }
    file.flush().await.map_err(failed)?;
    if written == bytes { Ok(()) } else { Err(incomplete()) }
}

fn refused() -> Problem {
    let detail = "It was altered, or its time is over. Begin another upload with POST /uploads.";
    Problem::new(StatusCode::FORBIDDEN, "upload-refused", "This upload's URL does not work.", detail)
}

/// A full disk is said to be one; whatever else keeps an upload from being stored may pass.
fn not_stored(error: Unavailable) -> Problem {
    let is_full = |error: &io::Error| matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded);
    if !error.source.downcast_ref::<io::Error>().is_some_and(is_full) {
        return error.into();
    }
    tracing::error!(%error, "an upload was not stored");
    let detail = "Nothing of it was kept. Make room on the server's disk, then put it again.";
    Problem::new(StatusCode::INSUFFICIENT_STORAGE, "storage-full", "The server has no room for the upload.", detail)
}
