//! Following a job: waiting for a change, a stream of events, and the list of jobs.

mod bench;

use std::time::{Duration, Instant};

use axum::body::{Body, BodyDataStream};
use axum::http::{Request, StatusCode};
use bench::{Bench, good};
use futures_util::StreamExt;
use jobs::job::now;
use jobs::{Failed, Failure, Job, JobStore};
use listener::Listener;
use serde_json::{Value, json};
use tower::ServiceExt;
use uuid::Uuid;

/// Long enough for a slow machine.
const LONG: Duration = Duration::from_secs(30);

async fn fail(bench: &Bench, job: &Job, owner: Uuid) {
    let failure = Failure::new("x", "x", "x");
    let failed = Failed { failure: &failure, input: None, set_aside: false, at: now() };
    _ = bench.local.jobs.fail(job.id, owner, &failed).await.expect("the store answers");
}

/// A stream of events, and what was read of it.
struct Events {
    status: StatusCode,
    body: BodyDataStream,
    text: String,
}

impl Events {
    async fn open(bench: &Bench, job: &Job, last: Option<&str>) -> Self {
        let mut request = Request::get(format!("/jobs/{}/events", job.id)).header("host", "press.test");
        if let Some(last) = last {
            request = request.header("last-event-id", last);
        }
        let response = bench.router.clone().oneshot(request.body(Body::empty()).expect("a request")).await;
        let response = response.expect("the router answers");
        let status = response.status();
        if status == StatusCode::OK {
            assert_eq!(response.headers()["content-type"], "text/event-stream");
            assert_eq!(response.headers()["cache-control"], "no-store");
        }
        Self { status, body: response.into_body().into_data_stream(), text: String::new() }
    }

    /// The next event's name, id and data; nothing at the end of the stream.
    async fn next(&mut self) -> Option<(String, String, Value)> {
        loop {
            if let Some((event, rest)) = self.text.split_once("\n\n").map(|(it, rest)| (it.to_owned(), rest.to_owned()))
            {
                self.text = rest;
                let field =
                    |name: &str| event.lines().find_map(|line| line.strip_prefix(name)).map(|it| it.trim().to_owned());
                if let Some(data) = field("data:") {
                    let data = serde_json::from_str(&data).expect("JSON");
                    return Some((field("event:").expect("a name"), field("id:").expect("an id"), data));
                }
                continue;
            }
            let chunk = tokio::time::timeout(LONG, self.body.next()).await.expect("something comes")?;
            self.text += std::str::from_utf8(&chunk.expect("a chunk")).expect("UTF-8");
        }
    }

    async fn names(mut self) -> Vec<String> {
        let mut names = Vec::new();
        while let Some((name, ..)) = self.next().await {
            names.push(name);
        }
        names
    }
}

#[tokio::test]
async fn one_who_waits_hears_of_the_change_at_once() {
    let bench = Bench::new().await;
    let (job, owner) = bench.running().await;
    let path = format!("/jobs/{}?wait=60", job.id);
    let change = async {
        tokio::time::sleep(Duration::from_millis(200)).await;
        fail(&bench, &job, owner).await;
        Instant::now()
    };
    let (answer, changed_at) = tokio::join!(bench.get(&path), change);
    assert_eq!(answer.json()["status"], "failed");
    assert!(changed_at.elapsed() < Duration::from_secs(5), "{:?}", changed_at.elapsed());
    let start = Instant::now();
    assert_eq!(bench.get(&path).await.json()["status"], "failed");
    assert!(start.elapsed() < LONG, "an ended job does not change any more");
}

#[tokio::test]
async fn one_who_waits_in_vain_gets_the_state() {
    let bench = Bench::new().await;
    let (job, _) = bench.running().await;
    let start = Instant::now();
    let answer = bench.get(&format!("/jobs/{}?wait=1", job.id)).await;
    assert_eq!((answer.status, answer.json()["status"].as_str()), (StatusCode::OK, Some("running")));
    assert!(start.elapsed() >= Duration::from_millis(900));

    let preferring = Request::get(format!("/jobs/{}", job.id)).header("prefer", "respond-async, wait=1");
    let answer = bench.send(preferring.body(Body::empty()).expect("a request")).await;
    assert_eq!((answer.json()["status"].as_str(), answer.header("preference-applied")), (Some("running"), "wait"));

    // The query goes before the preference, and other preferences are not met.
    for (query, preference) in [("?wait=0", "wait=1"), ("", "respond-async"), ("", "wait=soon")] {
        let other = Request::get(format!("/jobs/{}{query}", job.id)).header("prefer", preference);
        let answer = bench.send(other.body(Body::empty()).expect("a request")).await;
        assert_eq!((answer.status, answer.headers.get("preference-applied")), (StatusCode::OK, None), "{preference}");
    }
}

#[tokio::test]
async fn a_wait_that_makes_no_sense_is_refused() {
    let bench = Bench::new().await;
    let (job, _) = bench.running().await;
    for wait in ["61", "-1", "soon", "", "1.5", "999999999999999999999"] {
        let answer = bench.get(&format!("/jobs/{}?wait={wait}", job.id)).await;
        assert_eq!((answer.status.as_u16(), answer.problem().as_str()), (400, "invalid-query"), "{wait}");
    }
}

#[tokio::test]
async fn a_stream_tells_all_that_happens_and_ends() {
    let bench = Bench::new().await;
    let (job, owner) = bench.running().await;
    let mut events = Events::open(&bench, &job, None).await;
    let (name, first, data) = events.next().await.expect("an event");
    assert_eq!((name.as_str(), &data["status"], &data["id"]), ("queued", &json!("queued"), &json!(job.id)));
    let (name, second, data) = events.next().await.expect("an event");
    assert_eq!((name.as_str(), &data["attempts"]), ("running", &json!(1)));

    let (last, ()) = tokio::join!(events.next(), fail(&bench, &job, owner));
    let (name, third, data) = last.expect("an event");
    assert_eq!((name.as_str(), &data["error"]["title"]), ("failed", &json!("x")));
    assert_eq!(events.next().await, None, "the stream ends with the job");

    for (last, expected) in [
        (None, vec!["queued", "running", "failed"]),
        (Some(first), vec!["running", "failed"]),
        (Some(second), vec!["failed"]),
    ] {
        let resumed = Events::open(&bench, &job, last.as_deref()).await;
        assert_eq!(resumed.names().await, expected, "after {last:?}");
    }
    let told = Events::open(&bench, &job, Some(&third)).await;
    assert_eq!(told.status, StatusCode::NO_CONTENT, "so that a browser does not come back");
}

#[tokio::test]
async fn a_completed_job_has_its_report_in_the_event() {
    let bench = Bench::new().await;
    let job = bench.completed(b"%PDF-1.7 hello").await;
    let mut events = Events::open(&bench, &job, Some("0.1.0")).await;
    let (name, _, data) = events.next().await.expect("an event");
    assert_eq!((name.as_str(), &data["pages"]), ("completed", &json!(3)));
    assert_eq!(data["report_url"], format!("http://press.test/jobs/{}/report", job.id));
    assert_eq!(data.get("notified_at"), None);
}

#[tokio::test]
async fn a_stream_of_an_unknown_job_is_404() {
    let bench = Bench::new().await;
    let answer = bench.get(&format!("/jobs/{}/events", jobs::JobId::new())).await;
    assert_eq!((answer.status.as_u16(), answer.problem().as_str()), (404, "unknown-job"));
}

#[tokio::test]
async fn a_stream_whose_time_is_over_ends_and_is_taken_up_again() {
    let short = Some(Duration::from_millis(300));
    let bench = Bench::with(|listener| Listener { longest_stream: short, ..listener }).await;
    let (job, owner) = bench.running().await;
    assert_eq!(Events::open(&bench, &job, None).await.names().await, ["queued", "running"]);
    assert_eq!(Events::open(&bench, &job, Some("0.1.0")).await.names().await, Vec::<String>::new());
    fail(&bench, &job, owner).await;
    assert_eq!(Events::open(&bench, &job, Some("0.1.0")).await.names().await, ["failed"]);
}

#[tokio::test]
async fn a_stream_with_time_left_goes_on_to_the_end() {
    let bench = Bench::with(|listener| Listener { longest_stream: Some(LONG), ..listener }).await;
    let (job, owner) = bench.running().await;
    let mut events = Events::open(&bench, &job, None).await;
    for expected in ["queued", "running"] {
        assert_eq!(events.next().await.map(|(name, ..)| name).as_deref(), Some(expected));
    }
    let (names, ()) = tokio::join!(events.names(), fail(&bench, &job, owner));
    assert_eq!(names, ["failed"]);
}

#[tokio::test]
async fn jobs_are_listed_newest_first_a_page_at_a_time() {
    let bench = Bench::new().await;
    let mut expected = Vec::new();
    for _ in 0..3 {
        let answer = bench.post(good().to_string()).await.json();
        expected.insert(0, answer["id"].clone());
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    let completed = bench.completed(b"%PDF-1.7").await;
    expected.insert(0, json!(completed.id));

    let ids =
        |page: &Value| page["jobs"].as_array().expect("jobs").iter().map(|job| job["id"].clone()).collect::<Vec<_>>();
    let first = bench.get("/jobs?limit=3").await.json();
    assert_eq!(ids(&first), expected[..3]);
    let second = bench.get(&format!("/jobs?limit=3&cursor={}", first["next"].as_str().expect("more"))).await.json();
    assert_eq!((ids(&second), second.get("next")), (expected[3..].to_vec(), None));
    assert_eq!(ids(&bench.get("/jobs").await.json()), expected);
    assert_eq!(ids(&bench.get("/jobs?status=completed&template=list").await.json()), [json!(completed.id)]);
    assert_eq!(ids(&bench.get("/jobs?template=other").await.json()), Vec::<Value>::new());
    let one = bench.get("/jobs?status=completed").await.json()["jobs"][0].clone();
    assert_eq!(one, bench.get(&format!("/jobs/{}", completed.id)).await.json(), "a job is shown alike everywhere");
}

#[tokio::test]
async fn a_list_that_makes_no_sense_is_refused() {
    let bench = Bench::new().await;
    for query in ["limit=0", "limit=101", "limit=x", "status=done", "cursor=1", "order=asc"] {
        let answer = bench.get(&format!("/jobs?{query}")).await;
        assert_eq!((answer.status.as_u16(), answer.problem().as_str()), (400, "invalid-query"), "{query}");
    }
    let detail = bench.get("/jobs?order=asc").await.json()["detail"].clone();
    assert_eq!(detail, "`order` is not a parameter; use `status`, `template`, `cursor`, `limit`.");
    let long = bench.get(&format!("/jobs?{}=1", "%01".repeat(21_000))).await;
    assert!(long.status == 400 && long.bytes.len() < 1_000, "{} bytes", long.bytes.len());
    let (job, _) = bench.running().await;
    let twice = bench.get(&format!("/jobs/{}?wait=1&wait=2", job.id)).await.json()["detail"].clone();
    assert_eq!(twice, "give each of `wait` once at most.");
}

#[tokio::test]
async fn the_page_brings_its_policy_and_needs_no_token() {
    let bench = Bench::with(|listener| Listener { access: listener::Access::token("s3cret"), ..listener }).await;
    for (path, content_type) in [("/", "text/html"), ("/page.css", "text/css"), ("/page.js", "text/javascript")] {
        let answer = bench.get(path).await;
        assert_eq!(answer.status, StatusCode::OK, "{path}");
        assert!(answer.header("content-type").starts_with(content_type));
        assert!(answer.header("content-security-policy").contains("default-src 'none'"));
        assert!(!answer.bytes.is_empty());
    }
    assert_eq!(bench.get("/jobs").await.status, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn the_page_may_fetch_reports_from_where_they_are() {
    let origin = "https://bucket.s3.eu-central-1.amazonaws.com";
    let bench = Bench::with(|listener| Listener { reports_origin: Some(origin.into()), ..listener }).await;
    let policy = bench.get("/").await.header("content-security-policy").to_owned();
    assert!(policy.contains(&format!("connect-src 'self' {origin};")), "{policy}");
}
