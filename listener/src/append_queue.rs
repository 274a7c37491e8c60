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
use jobs::{Content, Job, JobId, Message, Status, Unavailable};
use serde_json::{Value, json};

use crate::base_url::base_url;
use crate::body::read_json;
use crate::idempotency::{Key, Seen};
use crate::request::{Invalid, Request};
use crate::templates::known;
use crate::uploaded::check;
use crate::{Listener, Problem};

pub(crate) async fn append_queue(
    State(listener): State<Arc<Listener>>,
    headers: HeaderMap,
    body: Body,
) -> Result<impl IntoResponse, Problem> {
    let body = read_json(&headers, body).await?;
    let key = Key::of(&headers, &body)?;
    let job = submit(&listener, body, key).await?;
    let base_url = base_url(&listener, &headers);
    Ok(accepted(&job, &base_url))
}

/// Takes a request in; the job that comes back cannot be lost any more.
pub(crate) async fn submit(listener: &Listener, body: Value, key: Option<Key>) -> Result<Job, Problem> {
    let request = Request::from_json(body, &listener.webhooks)?;
    let template = known(&listener.catalogue, &request.template)?;
    let Request { template: name, data, input, options, notify } = request;
    let data = match input {
        Some(upload) => check(listener, &template, upload, data).await?,
        None => {
            let data = data.unwrap_or_default();
            let violations = template.violations(&data, "/data");
            if !violations.is_empty() {
                return Err(Invalid::Data.problem(&violations));
            }
            Some(data)
        }
    };
    if let Some(data) = &data {
        check_size(listener, data)?;
    }
    let job = Job { input, options, notify, ..Job::queued(JobId::new(), name, now()) };
    let Some(key) = key else {
        accept(listener, &job, data).await?;
        return Ok(job);
    };
    let job = match key.reserve(listener, job).await? {
        Seen::Accepted(job) => return Ok(job),
        Seen::Fresh(job) => {
            accept(listener, &job, data).await?;
            job
        }
        Seen::Unconfirmed(job) => {
            accept_again(listener, &job, data).await?;
            job
        }
    };
    key.confirm(listener).await;
    Ok(job)
}

/// The answer to a request that cannot be lost any more.
pub(crate) fn accepted(job: &Job, base_url: &str) -> impl IntoResponse + use<> {
    let status_url = format!("{base_url}/jobs/{}", job.id);
    let answer = Json(acceptance(job, base_url));
    (StatusCode::ACCEPTED, [(LOCATION, status_url), (RETRY_AFTER, "1".to_owned())], answer)
}

/// What that answer says.
pub(crate) fn acceptance(job: &Job, base_url: &str) -> Value {
    let status_url = format!("{base_url}/jobs/{}", job.id);
    json!({
        "id": job.id,
        "status": job.status,
        "template": job.template,
        "enqueued_at": job.enqueued_at,
        "status_url": status_url,
        "report_url": format!("{status_url}/report"),
    })
}

/// Returns once the data is parked, if it must be, and both the message and the record are durable.
async fn accept(listener: &Listener, job: &Job, data: Option<Value>) -> Result<(), Unavailable> {
    let (message, terms) = (Message::new(job, data), listener.terms(job));
    let (pushed, recorded) = tokio::join!(push(listener, message), listener.jobs.record(job, terms));
    pushed.and(recorded)?;
    tracing::info!(job_id = %job.id, template = job.template, "accepted");
    Ok(())
}

/// The same for a job that a request before this one may have left half accepted: on record without a message, perhaps
/// even failed for that.
async fn accept_again(listener: &Listener, job: &Job, data: Option<Value>) -> Result<(), Unavailable> {
    let terms = listener.terms(job);
    listener.jobs.record(job, terms).await?;
    let recorded = listener.jobs.get(job.id).await?;
    let never_ran = recorded.is_some_and(|job| job.status == Status::Failed && job.attempts == 0);
    let reopened = if never_ran { listener.jobs.reopen(job.id, terms.overdue_at).await? } else { None };
    push(listener, Message::new(reopened.as_ref().unwrap_or(job), data)).await?;
    tracing::info!(job_id = %job.id, template = job.template, "accepted again");
    Ok(())
}

/// Puts a message in the queue; data that is too large for one goes into the object store first.
pub(crate) async fn push(listener: &Listener, mut message: Message) -> Result<(), Unavailable> {
    let mut body = message.encode();
    if body.len() > MAX_BODY_BYTES {
        let (key, bytes) = (message.id.input_key(), message.data.take().unwrap_or_default().to_string());
        listener.objects.put(&key, "application/json", Content::Bytes(bytes.as_bytes())).await?;
        body = message.encode();
    }
    listener.queue.push(&body).await
}

fn check_size(listener: &Listener, data: &Value) -> Result<(), Problem> {
    let limit = listener.max_data_bytes;
    if limit >= crate::MAX_BODY_BYTES as u64 {
        return Ok(());
    }
    within(limit, data.to_string().len() as u64)
}

/// Data of so many bytes is taken, or refused for its size.
pub(crate) fn within(limit: u64, bytes: u64) -> Result<(), Problem> {
    if bytes <= limit {
        return Ok(());
    }
    let detail = format!("It has {bytes} bytes and may have {limit}. Send less of it, or raise the data limit.");
    Err(Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "data-limit-exceeded", "The data is too large.", detail)
        .with("limit_bytes", limit))
}
