//! `GET /readyz`: whether the server takes new work.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Extension, State};
use axum::http::StatusCode;
use axum::http::header::RETRY_AFTER;
use tokio::sync::{Mutex, watch};
use tokio::time::Instant;
use utoipa::IntoResponses;

use crate::openapi::{Responses, refusals};
use crate::{Listener, Problem};

/// How long an answer is reused: unauthenticated callers may ask, and each new answer takes a write.
const GOOD_FOR: Duration = Duration::from_secs(1);

/// When it makes sense to ask again, in seconds.
const RETRY_AFTER_SECONDS: u64 = 5;

/// Turns true when the server stops, where it can.
#[derive(Clone)]
pub struct Stopping(pub watch::Receiver<bool>);

/// What was found last, and when.
#[derive(Default)]
pub(crate) struct Readiness(Mutex<Option<(Instant, Option<String>)>>);

/// Whether the server takes new work.
///
/// For a load balancer; `GET /healthz` says whether it runs. On AWS, where disk and database are services, it is the
/// same as `/healthz`.
#[utoipa::path(
    get,
    path = "/readyz",
    tag = "server",
    responses((status = 200, description = "It does.", body = String, example = "ready\n"), ReadyzRefusals)
)]
pub(crate) async fn readyz(
    State(listener): State<Arc<Listener>>,
    Extension(readiness): Extension<Arc<Readiness>>,
    stopping: Option<Extension<Stopping>>,
) -> Result<&'static str, Problem> {
    if stopping.is_some_and(|Extension(Stopping(stopping))| *stopping.borrow()) {
        return Err(not_ready(
            "The server is stopping. Send new work to another, or to this one once it is started again.",
        ));
    }
    let mut last = readiness.0.lock().await;
    let found = match last.take().filter(|(at, _)| at.elapsed() < GOOD_FOR) {
        Some(found) => found,
        None => (Instant::now(), obstacle(&listener).await),
    };
    match &last.insert(found).1 {
        None => Ok("ready\n"),
        Some(detail) => Err(not_ready(detail)),
    }
}

/// What keeps the server from taking new work.
async fn obstacle(listener: &Listener) -> Option<String> {
    // Unauthenticated callers may ask: how much is free is for the log.
    match listener.check_room(0).await {
        Ok(()) => {}
        Err(problem) if problem.status == StatusCode::INSUFFICIENT_STORAGE => {
            return Some("The server's disk has too little room for new work. The server's log says how much.".into());
        }
        Err(problem) => return Some(problem.detail().to_owned()),
    }
    match listener.jobs.check_writable().await {
        Ok(()) => None,
        Err(error) => {
            tracing::error!(%error, "not ready");
            Some("The database cannot be written. The server's log says why.".into())
        }
    }
}

struct ReadyzRefusals;

impl IntoResponses for ReadyzRefusals {
    fn responses() -> Responses {
        refusals([not_ready("The database cannot be written. The server's log says why.")])
    }
}

fn not_ready(detail: &str) -> Problem {
    Problem::new(StatusCode::SERVICE_UNAVAILABLE, "not-ready", "The server takes no new work.", detail)
        .with_header(RETRY_AFTER, RETRY_AFTER_SECONDS)
}
