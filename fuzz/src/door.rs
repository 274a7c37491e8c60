//! A listener over ports in memory, and what holds for each of its answers.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderMap, Request, StatusCode};
use chrono::TimeDelta;
use http_body_util::BodyExt;
use jobs::LinkSigner;
use listener::{Catalogue, Listener};
use serde_json::Value;
use tokio::runtime::{Builder, Runtime};
use tower::ServiceExt;

use crate::memory::{Contents, Memory};

/// A listener, and what it has put into its ports.
pub(crate) struct Door {
    runtime: Runtime,
    router: Router,
    memory: Arc<Memory>,
}

/// An answer for which everything holds that holds for all of them.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) json: Value,
}

thread_local! {
    static DOOR: Door = Door::new();
}

/// Runs `visit` at this thread's door, whose ports are empty at first.
pub(crate) fn at_the_door(visit: impl FnOnce(&Door)) {
    DOOR.with(|door| {
        // The last visitor may have panicked and left something behind.
        door.memory.take();
        visit(door);
    });
}

/// The folder of the templates on offer, `any` and `list`. Beside it lies `hidden`, which is no template.
pub(crate) fn templates() -> PathBuf {
    [env!("CARGO_MANIFEST_DIR"), "templates"].iter().collect()
}

impl Door {
    fn new() -> Self {
        let memory = Arc::new(Memory::default());
        let listener = Listener {
            webhooks: jobs::Destinations::default(),
            queue: memory.clone(),
            jobs: memory.clone(),
            objects: memory.clone(),
            catalogue: Catalogue::new(templates()),
            checks: listener::Checks::default(),
            access: listener::Access::anybody(),
            links: LinkSigner::new(b"key"),
            retention: TimeDelta::days(30),
            queue_life: TimeDelta::days(4),
            max_data_bytes: u64::MAX,
            reports_origin: None,
            longest_wait: Duration::ZERO,
            longest_stream: Some(Duration::ZERO),
            public_url: None,
        };
        let runtime = Builder::new_current_thread().enable_time().build().expect("a runtime");
        Self { runtime, router: listener.router(), memory }
    }

    /// Sends a request.
    ///
    /// # Panics
    ///
    /// If the answer is a server's error, has no body, is not JSON, or is an error but no problem.
    pub(crate) fn send(&self, request: Request<Body>) -> Answer {
        let asked = format!("{} {}", request.method(), request.uri());
        let (parts, bytes) = self.runtime.block_on(async {
            let response = self.router.clone().oneshot(request).await.expect("a router always answers");
            let (parts, body) = response.into_parts();
            (parts, body.collect().await.expect("a body in memory").to_bytes())
        });
        let shown = String::from_utf8_lossy(&bytes);
        assert!(!parts.status.is_server_error(), "{asked}: {} {shown}", parts.status);
        assert!(!bytes.is_empty(), "{asked}: {} without a body", parts.status);
        let json: Value = serde_json::from_slice(&bytes).unwrap_or_else(|error| panic!("{asked}: {error} in {shown}"));
        if !parts.status.is_success() {
            check_problem(parts.status, &parts.headers, &json);
        }
        Answer { status: parts.status, json }
    }

    /// Takes out what the listener has put into its ports.
    pub(crate) fn taken_in(&self) -> Contents {
        self.memory.take()
    }
}

fn check_problem(status: StatusCode, headers: &HeaderMap, problem: &Value) {
    let kind = headers.get(CONTENT_TYPE).expect("a content type");
    assert_eq!(kind, "application/problem+json", "{problem}");
    assert_eq!(problem["status"], status.as_u16(), "{problem}");
    assert!(problem["type"].as_str().is_some_and(|it| it.starts_with("urn:pressrun:problem:")), "{problem}");
    for member in ["title", "detail"] {
        assert!(problem[member].as_str().is_some_and(|text| !text.is_empty()), "no {member} in {problem}");
    }
}
