//! `GET /jobs/{id}/events`: what happens to a job, as Server-Sent Events (WHATWG HTML, section 9.2).

use std::collections::VecDeque;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::rejection::PathRejection;
use axum::extract::{Extension, Path, State};
use axum::http::header::CACHE_CONTROL;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use axum::response::sse::{Event as SseEvent, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use findings::visible_json;
use futures_util::{StreamExt, stream};
use jobs::event::{Event, EventId, events};
use jobs::{Job, JobId, Status, Unavailable};
use serde::Serialize;
use tokio::time::Instant;
use utoipa::{IntoResponses, ToSchema};

use crate::access::Caller;
use crate::base_url::base_url;
use crate::job::{Answer, find, unknown};
use crate::openapi::{Responses, example, guarded_refusals};
use crate::problem::unavailable;
use crate::{Listener, Problem};

/// How often a quiet stream says that it is alive.
const HEARTBEAT: Duration = Duration::from_secs(15);

/// How long one look for a change takes; then the next begins.
const LOOK: Duration = Duration::from_secs(600);

/// How soon a client comes back to a stream that was broken off, in milliseconds.
const COME_BACK_MILLIS: u64 = 500;

/// An event as callers receive it.
#[derive(Serialize, ToSchema)]
#[schema(as = JobEvent)]
struct Told {
    /// What to send as `Last-Event-ID` to receive the events after this one.
    id: String,
    /// Where the job stands.
    event: Status,
    /// How soon to come back to a stream that was broken off, in milliseconds.
    retry: u64,
    /// The job, as `GET /jobs/{id}` returns it.
    #[schema(content_media_type = "application/json")]
    data: String,
}

impl Told {
    fn new(id: String, job: Answer) -> Self {
        let data = serde_json::to_string(&job).unwrap_or_else(|error| unreachable!("a job is always JSON: {error}"));
        Self { id, event: job.status(), retry: COME_BACK_MILLIS, data: visible_json(data) }
    }
}

/// One caller who follows one job.
pub(crate) struct Follower {
    listener: Arc<Listener>,
    job: Job,
    last: Option<EventId>,
    untold: VecDeque<Event>,
    /// When the caller must come back for more.
    ends_at: Option<Instant>,
}

/// What happens to a job, as it happens.
///
/// Server-Sent Events `queued`, `running`, `completed` and `failed`, each with the job as its data. The stream begins
/// with what has happened already and ends with the job, or before that where answers have to end, as on AWS. A client
/// takes it up again by `Last-Event-ID`, as browsers do by themselves.
#[utoipa::path(
    get,
    path = "/jobs/{id}/events",
    tag = "jobs",
    params(
        ("id" = JobId, Path, description = "The job's id."),
        (
            "Last-Event-ID" = Option<String>, Header, nullable = false, example = "0.1.0",
            description = "Begin after this event.",
        ),
    ),
    responses(
        (
            status = 200, description = "The events, each of this form.", content_type = "text/event-stream",
            body = Told, example = json!(Told::new("0.1.2".into(), example::answer(Status::Completed)))
        ),
        (status = 204, description = "The last event was sent, and there will be no more."),
        EventsRefusals,
    )
)]
pub(crate) async fn job_events(
    State(listener): State<Arc<Listener>>,
    Extension(caller): Extension<Caller>,
    headers: HeaderMap,
    id: Result<Path<String>, PathRejection>,
) -> Result<Response, Problem> {
    let job = find(&listener, &caller, id).await?;
    let last = headers.get("last-event-id").and_then(|id| id.to_str().ok()).and_then(|id| id.parse().ok());
    let base_url = base_url(&listener, &headers);
    let follower = Follower::new(listener, job, last);
    if follower.is_done() {
        // What makes a browser stop coming back.
        return Ok(StatusCode::NO_CONTENT.into_response());
    }
    let teller = follower.listener.clone();
    let events = stream::unfold(follower, async |mut follower| follower.next().await.map(|event| (event, follower)));
    let stream = Sse::new(events.map(move |event| Ok::<_, Infallible>(sse(&teller, event, &base_url))));
    let mut response = stream.keep_alive(KeepAlive::new().interval(HEARTBEAT)).into_response();
    let headers = response.headers_mut();
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    // Proxies that collect an answer before they pass it on, nginx above all, let this one through.
    headers.insert(HeaderName::from_static("x-accel-buffering"), HeaderValue::from_static("no"));
    Ok(response)
}

struct EventsRefusals;

impl IntoResponses for EventsRefusals {
    fn responses() -> Responses {
        guarded_refusals([unknown(), unavailable("read the job")])
    }
}

impl Follower {
    /// Follows `job` from the event after `last`, or from its beginning.
    pub(crate) fn new(listener: Arc<Listener>, job: Job, last: Option<EventId>) -> Self {
        let untold = events(&job, last).into();
        let ends_at = listener.longest_stream.map(|longest| Instant::now() + longest);
        Self { listener, job, last, untold, ends_at }
    }

    /// Whether there is nothing to tell, and never will be.
    pub(crate) fn is_done(&self) -> bool {
        self.job.status.is_final() && self.untold.is_empty()
    }

    /// The next event; nothing after the last one, or when the caller must connect again for more.
    pub(crate) async fn next(&mut self) -> Option<Event> {
        if !self.job.status.is_final()
            && let Err(error) = self.wait().await
        {
            tracing::error!(%error, job_id = %self.job.id, "broke off a stream of events");
            return None;
        }
        let event = self.untold.pop_front()?;
        self.last = Some(event.id);
        Some(event)
    }

    /// Waits for events; there are none if the job is gone or the stream's time is over.
    async fn wait(&mut self) -> Result<(), Unavailable> {
        while self.untold.is_empty() {
            let left = self.ends_at.map_or(LOOK, |end| end.saturating_duration_since(Instant::now()));
            if left.is_zero() {
                break;
            }
            let Some(job) = self.listener.jobs.changed(&self.job, left.min(LOOK)).await? else { break };
            self.untold = events(&job, self.last).into();
            self.job = job;
            if self.job.status.is_final() {
                break;
            }
        }
        Ok(())
    }
}

fn sse(listener: &Listener, event: Event, base_url: &str) -> SseEvent {
    let told = Told::new(event.id.to_string(), Answer::new(listener, event.job, base_url));
    let retry = Duration::from_millis(told.retry);
    SseEvent::default().id(told.id).event(told.event.as_str()).retry(retry).data(told.data)
}
