//! HTTP in: checks a request, queues it, answers with a job.
//!
//! [`Listener::router`] is the whole of it, and the same on AWS Lambda (`main.rs`) and on one machine (the
//! `pressrun` package). One file an endpoint: `append_queue`, `job`, `events`, `list`, `page`, `report`, `retry`, `socket`, `templates`, `uploads`; whatever goes
//! wrong is a [`Problem`].

mod access;
mod append_queue;
mod base_url;
mod body;
pub mod catalogue;
mod events;
#[cfg(feature = "lambda")]
pub mod gateway;
mod idempotency;
mod job;
mod list;
mod page;
mod problem;
mod protocol;
mod report;
mod request;
mod retry;
mod socket;
mod templates;
mod uploaded;
mod uploads;

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::http::StatusCode;
use axum::middleware::from_fn_with_state;
use axum::routing::{get, post, put};
use chrono::TimeDelta;
use jobs::job::now;
use jobs::{Destinations, Job, JobStore, LinkSigner, ObjectStore, Queue, Terms};
use tower_http::catch_panic::CatchPanicLayer;

pub use body::MAX_BODY_BYTES;
pub use catalogue::Catalogue;
pub use problem::Problem;

/// What the listener works with.
pub struct Listener {
    /// Where messages go.
    pub queue: Arc<dyn Queue>,
    /// Where jobs are on record.
    pub jobs: Arc<dyn JobStore>,
    /// Where reports are, and large data on its way.
    pub objects: Arc<dyn ObjectStore>,
    /// The templates on offer.
    pub catalogue: Catalogue,
    /// The bearer token callers must show; where there is none, everybody is let in.
    pub token: Option<String>,
    /// Signs and checks links: those in mails, and those that uploads are put to.
    pub links: LinkSigner,
    /// How long jobs and reports are kept.
    pub retention: TimeDelta,
    /// How long the queue keeps a message.
    pub queue_life: TimeDelta,
    /// The most data a job may have, in bytes of JSON.
    pub max_data_bytes: u64,
    /// How long a caller may wait for a change.
    pub longest_wait: Duration,
    /// How long a stream of events may go on before the caller must take it up again: for a host that stops long answers.
    /// As long as the job where absent.
    pub longest_stream: Option<Duration>,
    /// Where reports are fetched from if not from here, such as `https://bucket.s3.eu-central-1.amazonaws.com`.
    pub reports_origin: Option<String>,
    /// Where webhooks may go.
    pub webhooks: Destinations,
    /// Where callers reach this listener, without a slash at the end; taken from each request where absent.
    pub public_url: Option<String>,
}

impl Listener {
    /// The terms of a job that is queued at this moment.
    fn terms(&self, job: &Job) -> Terms {
        Terms::of(job, now(), self.queue_life, self.retention)
    }

    /// Every call, with its errors.
    pub fn router(self) -> Router {
        let listener = Arc::new(self);
        let guarded = Router::new()
            .route("/append_queue", post(append_queue::append_queue))
            .route("/jobs", get(list::list))
            .route("/jobs/{id}", get(job::job))
            .route("/jobs/{id}/events", get(events::job_events))
            .route("/ws", get(socket::socket))
            .route("/jobs/{id}/report", get(report::by_id))
            .route("/jobs/{id}/retry", post(retry::retry))
            .route("/templates", get(templates::list))
            .route("/templates/{name}", get(templates::one))
            .route("/uploads", post(uploads::begin))
            .fallback(unknown_path)
            .method_not_allowed_fallback(wrong_method)
            .layer(from_fn_with_state(listener.clone(), access::require_token));
        let open = Router::new()
            .route("/", get(page::html))
            .route("/page.css", get(page::css))
            .route("/page.js", get(page::script))
            .route("/healthz", get(healthz))
            .route("/r/{id}", get(report::by_link))
            .route("/uploads/{id}", put(uploads::put))
            .method_not_allowed_fallback(wrong_method);
        guarded.merge(open).layer(CatchPanicLayer::custom(problem::from_panic)).with_state(listener)
    }
}

async fn healthz() -> &'static str {
    "ok\n"
}

async fn unknown_path() -> Problem {
    let calls = "POST /append_queue, GET /jobs, GET /jobs/{id}, GET /jobs/{id}/events, GET /ws, GET /jobs/{id}/report, POST /jobs/{id}/retry, GET /templates, \
                 GET /templates/{name}, POST /uploads, GET /healthz";
    Problem::new(
        StatusCode::NOT_FOUND,
        "unknown-path",
        "There is nothing at this path.",
        format!("The calls are: {calls}."),
    )
}

async fn wrong_method() -> Problem {
    let detail = "Use a method that the Allow header names.";
    Problem::new(StatusCode::METHOD_NOT_ALLOWED, "wrong-method", "This path does not take this method.", detail)
}
