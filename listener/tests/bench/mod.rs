//! A listener over the ports of one machine, and a caller.

#![allow(dead_code, reason = "each test file uses a part")]

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::http::{HeaderMap, Request, StatusCode};
use chrono::TimeDelta;
use http_body_util::BodyExt;
use jobs::job::now;
use jobs::local::Local;
use jobs::{
    Claim, Claimed, Completed, Content, Failure, Job, JobId, JobStore, LinkSigner, ObjectStore, Purpose, Queue, Terms,
};
use listener::{Catalogue, Listener};
use serde_json::{Value, json};
use tempfile::TempDir;
use tower::ServiceExt;
use uuid::Uuid;

pub(crate) const SCHEMA: &str = r#"{
    "type": "object",
    "required": ["name", "lines"],
    "additionalProperties": false,
    "properties": {
        "name": {"type": "string"},
        "lines": {"type": "array", "items": {"type": "object", "required": ["qty"], "properties": {"qty": {"minimum": 1}}}},
        "day": {"type": "string", "format": "date"}
    }
}"#;

/// The listener's router over a fresh data folder, with one template `list`.
pub(crate) struct Bench {
    pub(crate) router: Router,
    pub(crate) local: Local,
    pub(crate) folder: TempDir,
}

/// What a caller got.
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) bytes: Vec<u8>,
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.bytes)
            .unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&self.bytes)))
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).unwrap_or_else(|| panic!("no {name} in {:?}", self.headers)).to_str().expect("ASCII")
    }

    /// The problem's name, after checking that it is whole.
    pub(crate) fn problem(&self) -> String {
        assert_eq!(self.header("content-type"), "application/problem+json");
        let problem = self.json();
        assert_eq!(problem["status"], self.status.as_u16());
        for member in ["title", "detail"] {
            assert!(problem[member].as_str().is_some_and(|text| !text.is_empty()), "no {member} in {problem}");
        }
        let name = problem["type"].as_str().expect("a type");
        name.strip_prefix(Failure::TYPE_PREFIX).expect("one of our types").to_owned()
    }
}

impl Bench {
    pub(crate) async fn new() -> Self {
        Self::with(|listener| listener).await
    }

    pub(crate) async fn with(change: impl FnOnce(Listener) -> Listener) -> Self {
        Self::with_local(|listener, _| change(listener)).await
    }

    pub(crate) async fn with_local(change: impl FnOnce(Listener, &Local) -> Listener) -> Self {
        let folder = TempDir::new().expect("a folder");
        add_template(&folder.path().join("templates"), "list", SCHEMA, r#"{"name": "x", "lines": [{"qty": 1}]}"#);
        let local = Local::open(&folder.path().join("data"), 5).await.expect("a fresh data folder opens");
        Self { router: change(listener(&local, folder.path()), &local).router(), local, folder }
    }

    pub(crate) async fn send(&self, request: Request<Body>) -> Answer {
        let response = self.router.clone().oneshot(request).await.expect("the router answers");
        let (parts, body) = response.into_parts();
        let bytes = body.collect().await.expect("a body").to_bytes().to_vec();
        Answer { status: parts.status, headers: parts.headers, bytes }
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.send(Request::get(path).header("host", "press.test").body(Body::empty()).expect("a request")).await
    }

    pub(crate) async fn post(&self, body: impl Into<Body>) -> Answer {
        self.send(post(body)).await
    }

    pub(crate) async fn queued(&self) -> Option<String> {
        let wait = std::time::Duration::ZERO;
        self.local.queue.receive(wait, wait).await.expect("the queue answers").map(|delivery| delivery.body)
    }

    /// Changes the database behind the listener's back.
    pub(crate) async fn sql(&self, statements: &'static str) {
        let database = self.folder.path().join("data/pressrun.db");
        let pool = sqlx::SqlitePool::connect(&format!("sqlite://{}", database.display())).await.expect("the database");
        sqlx::raw_sql(statements).execute(&pool).await.expect("the database takes it");
    }

    /// A job that a run holds, and its owner.
    pub(crate) async fn running(&self) -> (Job, Uuid) {
        let (job, now) = (Job::queued(JobId::new(), "list", now()), now());
        let later = now + TimeDelta::minutes(1);
        let terms = Terms { overdue_at: later, expires_at: later + TimeDelta::days(30) };
        let claim = Claim { owner: Uuid::new_v4(), now, lease_until: later, purpose: Purpose::Run, terms };
        assert_eq!(
            self.local.jobs.claim(&job, &claim).await.expect("the store answers"),
            Claimed::Run(jobs::Attempt::FIRST)
        );
        (job, claim.owner)
    }

    pub(crate) async fn completed(&self, report: &[u8]) -> Job {
        let (job, owner) = self.running().await;
        let key = job.id.report_key();
        self.local.objects.put(&key, "application/pdf", Content::Bytes(report)).await.expect("the store answers");
        _ = self
            .local
            .jobs
            .complete(job.id, owner, &Completed { pages: 3, bytes: report.len() as u64, warnings: &[], at: now() })
            .await
            .expect("the store answers");
        job
    }
}

/// A listener over these ports, with the templates in `folder`.
pub(crate) fn listener(local: &Local, folder: &Path) -> Listener {
    Listener {
        webhooks: jobs::Destinations::default(),
        queue: Arc::new(local.queue.clone()),
        jobs: Arc::new(local.jobs.clone()),
        objects: Arc::new(local.objects.clone()),
        catalogue: Catalogue::new(folder.join("templates")),
        checks: listener::Checks::default(),
        access: listener::Access::anybody(),
        links: LinkSigner::new(b"key"),
        retention: TimeDelta::days(30),
        queue_life: TimeDelta::days(4),
        max_data_bytes: u64::MAX,
        reports_origin: None,
        longest_wait: Duration::from_secs(60),
        longest_stream: None,
        public_url: None,
    }
}

pub(crate) fn add_template(templates: &Path, name: &str, schema: &str, sample: &str) {
    let folder = templates.join(name);
    std::fs::create_dir_all(&folder).expect("a folder");
    std::fs::write(folder.join("schema.json"), schema).expect("a schema");
    std::fs::write(folder.join("sample.json"), sample).expect("a sample");
}

pub(crate) fn post(body: impl Into<Body>) -> Request<Body> {
    let request =
        Request::post("/append_queue").header("host", "press.test").header("content-type", "application/json");
    request.body(body.into()).expect("a request")
}

pub(crate) fn good() -> Value {
    json!({"template": "list", "data": {"name": "n", "lines": [{"qty": 2}]}})
}
