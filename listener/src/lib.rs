//! HTTP in: checks a request, queues it, answers with a job.
//!
//! [`Listener::router`] is the whole of it, and the same on AWS Lambda (`main.rs`) and on one machine (the
//! `pressrun` package). Its calls are listed in `calls`. One file an endpoint: `append_queue`, `job`, `events`, `healthz`,
//! `list`, `metrics`, `openapi`, `page`, `readyz`, `report`, `retry`, `socket`, `templates`, `uploads`; each handler says what it takes
//! and answers. Whatever goes wrong is a [`Problem`]. What an operator sees of a call is made in `observe`.

pub mod access;
mod append_queue;
mod arrival;
mod base_url;
mod body;
mod calls;
pub mod catalogue;
pub mod checks;
mod events;
mod examine;
mod fingerprint;
#[cfg(feature = "lambda")]
pub mod gateway;
mod given;
mod healthz;
mod idempotency;
mod job;
mod list;
mod metrics;
mod observe;
mod openapi;
mod page;
mod problem;
mod protocol;
mod puts;
mod readyz;
mod report;
mod request;
mod retry;
mod room;
mod socket;
mod templates;
mod uploaded;
mod uploads;

use std::sync::Arc;
use std::time::Duration;

use axum::http::StatusCode;
use axum::middleware::{from_fn, from_fn_with_state};
use axum::{Extension, Router};
use chrono::TimeDelta;
use jobs::job::now;
use jobs::{Destinations, Job, JobStore, LinkSigner, ObjectStore, Queue, Terms};
use tower_http::catch_panic::CatchPanicLayer;

use calls::{Guarded, Open};
use puts::Puts;
use readyz::Readiness;

pub use access::Access;
pub use body::{BodyTimeout, MAX_BODY_BYTES};
pub use catalogue::Catalogue;
pub use checks::Checks;
pub use problem::Problem;
pub use readyz::Stopping;

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
    /// Where requests are parsed and checked.
    pub checks: Checks,
    /// Who may call, and how much each may ask for.
    pub access: Access,
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
        let guarded = Guarded::routes()
            .fallback(unknown_path)
            .method_not_allowed_fallback(wrong_method)
            .layer(from_fn_with_state(listener.clone(), access::admit));
        let open = Open::routes().method_not_allowed_fallback(wrong_method);
        let open = open.layer(Extension(Arc::new(Readiness::default())));
        let calls = guarded.merge(open).layer(Extension(Arc::new(Puts::default())));
        let calls = calls.layer(CatchPanicLayer::custom(problem::from_panic));
        let calls = calls.layer(from_fn_with_state(listener.clone(), access::check_host));
        // Outside of these: it answers what a browser asks before a call, and lets pages read every refusal.
        let calls = match listener.access.origins.layer() {
            Some(cors) => calls.layer(cors),
            None => calls,
        };
        calls.layer(from_fn(observe::call)).with_state(listener)
    }
}

async fn unknown_path() -> Problem {
    nothing_here(&openapi::calls())
}

/// There is nothing at a path; at others there are these calls.
fn nothing_here(calls: &[String]) -> Problem {
    let detail = format!("The calls are: {}.", calls.join(", "));
    Problem::new(StatusCode::NOT_FOUND, "unknown-path", "There is nothing at this path.", detail)
}

async fn wrong_method() -> Problem {
    let detail = "Use a method that the Allow header names.";
    Problem::new(StatusCode::METHOD_NOT_ALLOWED, "wrong-method", "This path does not take this method.", detail)
}
