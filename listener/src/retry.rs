//! `POST /jobs/{id}/retry`: queues a failed job again, with the data that was kept when it failed.

use std::sync::Arc;

use axum::extract::rejection::PathRejection;
use axum::extract::{Extension, Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::IntoResponse;
use jobs::{Data, Job, JobId, Message, Status, Unavailable, UploadFormat};
use utoipa::IntoResponses;

use crate::access::{Caller, quota_refusals};
use crate::append_queue::{Acceptance, accepted, push};
use crate::base_url::base_url;
use crate::job::{find, unknown};
use crate::observe::about;
use crate::openapi::{Responses, example, guarded_refusals};
use crate::problem::unavailable;
use crate::room;
use crate::{Listener, Problem};

/// Where a job's data is.
enum Input {
    /// Kept on its record.
    Kept(Data),
    /// Parked in the object store.
    Parked,
    /// All in an upload.
    Uploaded,
    /// Nowhere any more.
    Gone,
}

/// Queue a failed job again.
///
/// With the data that was kept when it failed. Its attempts are counted anew, and `retries` says how often that was. It stays
/// its caller's, and counts for the quota of the caller that retries it.
#[utoipa::path(
    post,
    path = "/jobs/{id}/retry",
    tag = "jobs",
    params(("id" = JobId, Path, description = "The job's id.")),
    responses(
        (
            status = 202, description = "Queued.",
            headers(
                ("Location" = String, description = "The `status_url`."),
                ("Retry-After" = u64, description = "When it makes sense to ask, in seconds."),
            ),
            body = Acceptance,
            example = json!(Acceptance::new(&example::job(Status::Queued), example::BASE_URL))
        ),
        RetryRefusals,
    )
)]
pub(crate) async fn retry(
    State(listener): State<Arc<Listener>>,
    Extension(caller): Extension<Caller>,
    headers: HeaderMap,
    id: Result<Path<String>, PathRejection>,
) -> Result<impl IntoResponse, Problem> {
    let job = find(&listener, &caller, id).await?;
    if matches!(job.status, Status::Running | Status::Completed) {
        return Err(not_failed(&job));
    }
    let data = match input(&listener, &job).await? {
        Input::Kept(data) => Some(data),
        Input::Parked | Input::Uploaded => None,
        Input::Gone if job.status == Status::Failed => return Err(input_not_kept()),
        Input::Gone => return Err(not_failed(&job)),
    };
    listener.take_on(&caller, job.id).await?;
    // Pushed first, the message could find the job still failed, and be dropped as a repeated one.
    let reopened = listener.jobs.reopen(job.id, listener.terms(&job)).await?;
    let reopened =
        reopened.ok_or_else(|| if job.status == Status::Failed { input_not_kept() } else { not_failed(&job) })?;
    push(&listener, Message::new(&reopened, data)).await?;
    about(&reopened);
    tracing::info!(retries = reopened.retries, "queued again");
    Ok(accepted(&reopened, &base_url(&listener, &headers)))
}

struct RetryRefusals;

impl IntoResponses for RetryRefusals {
    fn responses() -> Responses {
        let own = [unknown(), not_failed(&example::job(Status::Completed)), input_not_kept()];
        guarded_refusals(
            own.into_iter()
                .chain(quota_refusals())
                .chain(room::refusals())
                .chain([unavailable("send a message to the queue")]),
        )
    }
}

async fn input(listener: &Listener, job: &Job) -> Result<Input, Unavailable> {
    if let Some(upload) = job.input {
        if listener.objects.size(&upload.key()).await?.is_none() {
            return Ok(Input::Gone);
        }
        if upload.format() == UploadFormat::Json {
            return Ok(Input::Uploaded);
        }
    }
    if let Some(data) = listener.jobs.kept_input(job.id).await? {
        return Ok(Input::Kept(data));
    }
    let parked = listener.objects.size(&job.id.input_key()).await?;
    Ok(if parked.is_some() { Input::Parked } else { Input::Gone })
}

fn not_failed(job: &Job) -> Problem {
    let detail = format!("The job is {}. Only a failed job can be queued again.", job.status);
    Problem::new(StatusCode::CONFLICT, "job-not-failed", "The job has not failed.", detail)
        .with("job_status", job.status.as_str())
}

pub(crate) fn input_not_kept() -> Problem {
    let detail = "Its message was lost before it could be kept, its upload is kept no longer, or it is removed with the \
                  job within the hour. Queue the report anew with POST /append_queue, under another \
                  Idempotency-Key if it had one.";
    Problem::new(StatusCode::CONFLICT, "input-not-kept", "The job's data was not kept.", detail)
}
