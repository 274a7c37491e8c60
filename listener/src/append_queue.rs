//! `POST /append_queue`: takes a request in, and answers once it cannot be lost any more.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Extension, State};
use axum::http::header::{LOCATION, RETRY_AFTER};
use axum::http::{HeaderMap, StatusCode};
use axum::response::IntoResponse;
use chrono::{DateTime, Utc};
use jobs::job::{MEBIBYTE, now};
use jobs::message::MAX_BODY_BYTES;
use jobs::{Content, Data, Job, JobId, Message, Status, Unavailable, rfc3339};
use serde::Serialize;
use telemetry::metrics;
use utoipa::{IntoResponses, ToSchema};

use crate::access::{Caller, quota_refusals};
use crate::base_url::base_url;
use crate::body::{self, read_text};
use crate::catalogue::Violation;
use crate::checks;
use crate::examine::{self, Examined, examine};
use crate::idempotency::{self, Key, Seen};
use crate::json::Json;
use crate::observe::about;
use crate::openapi::{Responses, example, guarded_refusals};
use crate::problem::unavailable;
use crate::request::{Invalid, Request};
use crate::retry::input_not_kept;
use crate::room;
use crate::templates::{self, unknown};
use crate::uploaded;
use crate::{Listener, Problem};

/// Response to an accepted request.
#[derive(Serialize, ToSchema)]
pub(crate) struct Acceptance {
    id: JobId,
    status: Status,
    template: String,
    /// When the job was accepted.
    #[serde(serialize_with = "rfc3339::serialize")]
    enqueued_at: DateTime<Utc>,
    /// Where to ask how the job stands.
    #[schema(format = "uri")]
    status_url: String,
    /// Where the report will be.
    #[schema(format = "uri")]
    report_url: String,
}

impl Acceptance {
    /// What is said to a caller who reaches the listener at `base_url`.
    pub(crate) fn new(job: &Job, base_url: &str) -> Self {
        let status_url = format!("{base_url}/jobs/{}", job.id);
        let report_url = format!("{status_url}/report");
        let (status, template, enqueued_at) = (job.status, job.template.clone(), job.enqueued_at);
        Self { id: job.id, status, template, enqueued_at, status_url, report_url }
    }
}

/// Queue a report.
///
/// Answers once the job is in the queue and on record: it survives a crash of anything.
#[utoipa::path(
    post,
    path = "/append_queue",
    tag = "jobs",
    params((
        "Idempotency-Key" = Option<String>, Header, nullable = false,
        description = "The same request under the same key is the same job for 24 hours. A string as in RFC 9651, or \
            bare text; 255 characters at most.",
        pattern = r#"^("([ !#-\[\]-~]|\\["\\]){1,255}"|[!#-~]{1,255})$"#,
        example = json!("\"8e03978e-40d5-43dd-bc93-6894a57f9324\""),
    )),
    request_body(content = Request, example = json!(example::request())),
    responses(
        (
            status = 202, description = "Queued. The answer to a repeated request is that to the first.",
            headers(
                ("Location" = String, description = "The `status_url`."),
                ("Retry-After" = u64, description = "When it makes sense to ask, in seconds."),
            ),
            links(
                ("job" = (operation_id = "job", parameters(("id" = "$response.body#/id")))),
                ("events" = (operation_id = "job_events", parameters(("id" = "$response.body#/id")))),
                ("report" = (operation_id = "report", parameters(("id" = "$response.body#/id")))),
                ("retry" = (operation_id = "retry", parameters(("id" = "$response.body#/id")))),
            ),
            body = Acceptance,
            example = json!(Acceptance::new(&example::job(Status::Queued), example::BASE_URL))
        ),
        AppendQueueRefusals,
    )
)]
pub(crate) async fn append_queue(
    State(listener): State<Arc<Listener>>,
    Extension(caller): Extension<Caller>,
    headers: HeaderMap,
    body: Body,
) -> Result<impl IntoResponse, Problem> {
    let text = read_text(&listener, &headers, body, &caller).await?;
    let key = Key::of(&headers, &caller)?;
    // Held until the data is where it cannot be lost, and no longer in memory.
    let _turn = text.turn;
    let examined = examine(&listener, &caller, text.bytes, key.as_ref()).await?;
    let job = submit(&listener, &caller, examined, key).await?;
    let base_url = base_url(&listener, &headers);
    Ok(accepted(&job, &base_url))
}

struct AppendQueueRefusals;

impl IntoResponses for AppendQueueRefusals {
    fn responses() -> Responses {
        let violation = |pointer: &str, detail: &str| Violation::new(pointer, detail);
        let invalid_request = [
            violation("/options/pdf_standard", "\"a-9\" is not one of \"1.4\", \"1.5\" or …"),
            violation("/notify/webhook", "the URL must be https"),
        ];
        let own = [
            unknown(&["invoice".into(), "letter".into()]),
            Invalid::Request.problem(&invalid_request),
            Invalid::Data.problem(&[violation("/data/paragraphs", "[] has less than 1 item")]),
            too_large(80 * MEBIBYTE, 64 * MEBIBYTE),
            input_not_kept(),
            unavailable("send a message to the queue"),
        ];
        let own = own.into_iter().chain(quota_refusals()).chain(body::refusals()).chain(idempotency::refusals());
        let own = own.chain(examine::refusals()).chain(checks::refusals());
        guarded_refusals(own.chain(templates::refusals()).chain(uploaded::refusals()).chain(room::refusals()))
    }
}

/// Takes a request of `caller` in; the job that comes back cannot be lost any more.
pub(crate) async fn submit(
    listener: &Listener,
    caller: &Caller,
    examined: Examined,
    key: Option<Key>,
) -> Result<Job, Problem> {
    let Examined { request, template, data, fingerprint } = examined;
    let Request { template: name, input, options, notify, .. } = request;
    if let Some(upload) = input {
        uploaded::find(listener, caller, &template, upload).await?;
    }
    let caller_name = Some(caller.name().to_owned());
    let job = Job { caller: caller_name, input, options, notify, ..Job::queued(JobId::new(), name, now()) };
    about(&job);
    let Some((key, fingerprint)) = key.zip(fingerprint) else {
        listener.take_on(caller, job.id).await?;
        accept(listener, &job, data).await?;
        return Ok(job);
    };
    let seen = key.reserve(listener, job, fingerprint).await?;
    let (Seen::Accepted(job) | Seen::Fresh(job) | Seen::Unconfirmed(job)) = &seen;
    about(job);
    let job = match seen {
        Seen::Accepted(job) => return Ok(job),
        Seen::Fresh(job) => {
            listener.take_on(caller, job.id).await?;
            accept(listener, &job, data).await?;
            job
        }
        Seen::Unconfirmed(job) => {
            listener.take_on(caller, job.id).await?;
            accept_again(listener, &job, data).await?;
            job
        }
    };
    key.confirm(listener).await;
    Ok(job)
}

/// The response to an accepted request.
pub(crate) fn accepted(job: &Job, base_url: &str) -> impl IntoResponse + use<> {
    let answer = Acceptance::new(job, base_url);
    (StatusCode::ACCEPTED, [(LOCATION, answer.status_url.clone()), (RETRY_AFTER, "1".to_owned())], Json(answer))
}

/// Returns once the data is parked, if it must be, and both the message and the record are durable.
async fn accept(listener: &Listener, job: &Job, data: Option<Data>) -> Result<(), Unavailable> {
    let (message, terms) = (Message::new(job, data), listener.terms(job));
    let (pushed, recorded) = tokio::join!(push(listener, message), listener.jobs.record(job, terms));
    pushed.and(recorded)?;
    tracing::info!("accepted");
    metrics::accepted();
    Ok(())
}

/// The same for a job that a request before this one may have left half accepted: on record without a message, perhaps
/// even failed for that.
async fn accept_again(listener: &Listener, job: &Job, data: Option<Data>) -> Result<(), Problem> {
    let terms = listener.terms(job);
    listener.jobs.record(job, terms).await?;
    let never_ran = |job: &Job| job.status == Status::Failed && job.attempts == 0;
    let recorded = listener.jobs.get(job.id).await?;
    let mut reopened = None;
    if recorded.is_some_and(|job| never_ran(&job)) {
        reopened = listener.jobs.reopen(job.id, terms).await?;
        // Another repeat of the request may have queued it, and a run begun.
        if reopened.is_none() && listener.jobs.get(job.id).await?.is_none_or(|job| never_ran(&job)) {
            return Err(input_not_kept());
        }
    }
    push(listener, Message::new(reopened.as_ref().unwrap_or(job), data)).await?;
    tracing::info!("accepted again");
    metrics::accepted();
    Ok(())
}

/// Puts a message in the queue; data that is too large for one goes into the object store first.
pub(crate) async fn push(listener: &Listener, mut message: Message) -> Result<(), Unavailable> {
    let mut body = message.encode();
    if body.len() > MAX_BODY_BYTES
        && let Some(data) = message.data.take()
    {
        let content = Content::Bytes(data.get().as_bytes());
        listener.objects.put(&message.id.input_key(), "application/json", content).await?;
        body = message.encode();
    }
    listener.queue.push(&body).await
}

/// Data of so many bytes is taken, or refused for its size.
pub(crate) fn within(limit: u64, bytes: u64) -> Result<(), Problem> {
    if bytes <= limit { Ok(()) } else { Err(too_large(bytes, limit)) }
}

fn too_large(bytes: u64, limit: u64) -> Problem {
    let detail = format!("It has {bytes} bytes and may have {limit}. Send less of it, or raise the data limit.");
    Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "data-limit-exceeded", "The data is too large.", detail)
        .with("limit_bytes", limit)
}
