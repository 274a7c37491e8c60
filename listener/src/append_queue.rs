//! `POST /append_queue`: takes a request in, and answers once it cannot be lost any more.

use std::sync::Arc;

use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::http::header::{LOCATION, RETRY_AFTER};
use axum::http::{HeaderMap, StatusCode};
use axum::response::IntoResponse;
use jobs::job::now;
use jobs::message::MAX_BODY_BYTES;
use jobs::{Content, Job, JobId, Message, Unavailable};
use serde_json::{Value, json};

use crate::base_url::base_url;
use crate::body::read_json;
use crate::request::{Invalid, Request};
use crate::templates::known;
use crate::{Listener, Problem};

pub(crate) async fn append_queue(
    State(listener): State<Arc<Listener>>,
    headers: HeaderMap,
    body: Body,
) -> Result<impl IntoResponse, Problem> {
    let request = Request::from_json(read_json(&headers, body).await?)?;
    let template = known(&listener.catalogue, &request.template)?;
    let violations = template.violations(&request.data, "/data");
    if !violations.is_empty() {
        return Err(Invalid::Data.problem(&violations));
    }

    let job = Job::queued(JobId::new(), request.template, now());
    let message = Message::new(&job, request.options, request.notify, Some(request.data));
    accept(&listener, &job, message).await?;
    tracing::info!(job_id = %job.id, template = job.template, "accepted");

    let status_url = format!("{}/jobs/{}", base_url(&listener, &headers), job.id);
    let answer = json!({
        "id": job.id,
        "status": job.status,
        "template": job.template,
        "enqueued_at": job.enqueued_at,
        "status_url": status_url,
        "report_url": format!("{status_url}/report"),
    });
    Ok((StatusCode::ACCEPTED, [(LOCATION, status_url), (RETRY_AFTER, "1".to_owned())], Json(answer)))
}

/// Returns once the data is parked, if it must be, and both the message and the record are durable.
async fn accept(listener: &Listener, job: &Job, mut message: Message) -> Result<(), Unavailable> {
    let mut body = message.encode();
    if body.len() > MAX_BODY_BYTES {
        park(listener, job, message.data.take()).await?;
        body = message.encode();
    }
    let (pushed, recorded) =
        tokio::join!(listener.queue.push(&body), listener.jobs.record(job, job.enqueued_at + listener.retention));
    pushed.and(recorded)
}

/// Puts data that is too large for a message into the object store.
async fn park(listener: &Listener, job: &Job, data: Option<Value>) -> Result<(), Unavailable> {
    let (key, bytes) = (job.id.input_key(), data.unwrap_or_default().to_string());
    listener.objects.put(&key, "application/json", Content::Bytes(bytes.as_bytes())).await
}
