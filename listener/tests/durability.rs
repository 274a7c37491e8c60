//! What a 202 promises: on record and in the queue, once a key, and again when it failed.

mod bench;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use axum::body::Body;
use axum::http::{Request, StatusCode};
use bench::{Answer, Bench, good, post};
use jobs::job::now;
use jobs::local::SqliteQueue;
use jobs::{
    AnnouncementRecord, Channel, Content, Data, Delivery, Failed, Failure, Job, JobId, JobStore, Message, ObjectStore,
    Queue, Ticket, Unavailable,
};
use listener::Listener;
use serde_json::{Value, json};

/// A queue that takes its time, or does not answer.
struct Slow {
    queue: SqliteQueue,
    down: AtomicBool,
}

#[async_trait]
impl Queue for Slow {
    async fn push(&self, body: &str) -> Result<(), Unavailable> {
        tokio::time::sleep(Duration::from_millis(200)).await;
        if self.down.load(Ordering::SeqCst) {
            return Err(Unavailable::when("put the job in the queue")("nobody is there"));
        }
        self.queue.push(body).await
    }

    async fn receive(&self, visibility: Duration, wait: Duration) -> Result<Option<Delivery>, Unavailable> {
        self.queue.receive(visibility, wait).await
    }

    async fn acknowledge(&self, ticket: &Ticket) -> Result<(), Unavailable> {
        self.queue.acknowledge(ticket).await
    }

    async fn release(&self, ticket: &Ticket, delay: Duration) -> Result<(), Unavailable> {
        self.queue.release(ticket, delay).await
    }

    async fn dead_letters(&self) -> Result<Vec<Delivery>, Unavailable> {
        self.queue.dead_letters().await
    }

    async fn show_dead_letters(&self, tickets: &[Ticket]) -> Result<(), Unavailable> {
        self.queue.show_dead_letters(tickets).await
    }
}

/// A bench whose queue takes its time, and that queue.
async fn slow() -> (Bench, Arc<Slow>) {
    let mut slow = None;
    let bench = Bench::with_local(|listener, local| {
        let queue = Arc::new(Slow { queue: local.queue.clone(), down: AtomicBool::new(false) });
        slow = Some(queue.clone());
        Listener { queue, ..listener }
    });
    let bench = bench.await;
    (bench, slow.expect("it was made"))
}

fn keyed(key: &str, body: &Value) -> Request<Body> {
    let mut request = post(body.to_string());
    request.headers_mut().insert("idempotency-key", key.parse().expect("a header's value"));
    request
}

fn id(answer: &Answer) -> JobId {
    assert_eq!(answer.status, StatusCode::ACCEPTED, "{}", answer.json());
    answer.json()["id"].as_str().expect("an id").parse().expect("a UUID")
}

async fn retry(bench: &Bench, id: JobId) -> Answer {
    bench.send(Request::post(format!("/jobs/{id}/retry")).body(Body::empty()).expect("a request")).await
}

async fn messages(bench: &Bench) -> Vec<Message> {
    let mut messages = Vec::new();
    let hidden = Duration::from_secs(60);
    while let Some(delivery) = bench.local.queue.receive(hidden, Duration::ZERO).await.expect("the queue answers") {
        messages.push(Message::decode(&delivery.body).expect("one of ours"));
    }
    messages
}

/// A job that failed, with `input` kept.
async fn failed(bench: &Bench, input: Option<&Data>) -> Job {
    let (job, owner) = bench.running().await;
    let failure = Failure::new("x", "x", "x");
    let failed = Failed { failure: &failure, input, set_aside: false, at: now() };
    _ = bench.local.jobs.fail(job.id, owner, &failed).await.expect("the store answers");
    _ = bench
        .local
        .jobs
        .mark_notified(job.id, owner, now(), &AnnouncementRecord::pending(Channel::Mail))
        .await
        .expect("the store answers");
    job
}

#[tokio::test]
async fn nobody_hears_202_before_the_job_is_on_record_and_in_the_queue() {
    let (bench, queue) = slow().await;
    let accepted = id(&bench.post(good().to_string()).await);
    assert_eq!(messages(&bench).await.iter().map(|message| message.id).collect::<Vec<_>>(), [accepted]);
    assert!(bench.local.jobs.get(accepted).await.expect("the store answers").is_some());

    queue.down.store(true, Ordering::SeqCst);
    let refused = bench.post(good().to_string()).await;
    assert_eq!((refused.status.as_u16(), refused.problem().as_str()), (503, "unavailable"));
}

#[tokio::test]
async fn nobody_hears_202_when_the_record_cannot_be_written() {
    let bench = Bench::new().await;
    bench.sql("DROP TABLE jobs").await;
    let refused = bench.post(good().to_string()).await;
    assert_eq!((refused.status.as_u16(), refused.problem().as_str()), (503, "unavailable"));
}

#[tokio::test]
async fn the_same_key_fifty_times_at_once_is_one_job() {
    let bench = Bench::new().await;
    let send = || bench.send(keyed("\"order-4711\"", &good()));
    let answers = futures_util::future::join_all((0..50).map(|_| send())).await;
    let first = answers[0].json();
    for answer in &answers {
        assert_eq!((answer.status, answer.json()), (StatusCode::ACCEPTED, first.clone()));
    }
    let messages = messages(&bench).await;
    assert!(!messages.is_empty() && messages.iter().all(|message| message.id == id(&answers[0])));

    assert_eq!(send().await.json(), first, "later, too");
    assert_eq!(self::messages(&bench).await, [], "and nothing is queued for it");
    assert_eq!(bench.send(keyed("order-4711", &good())).await.json(), first, "a bare key is the same key");
    assert_ne!(id(&bench.send(keyed("order-4712", &good())).await), id(&answers[0]), "another key is another job");
}

#[tokio::test]
async fn a_key_that_stands_for_another_request_is_refused() {
    let bench = Bench::new().await;
    id(&bench.send(keyed("a", &good())).await);
    messages(&bench).await;
    let mut other = good();
    other["data"]["name"] = json!("m");
    let answer = bench.send(keyed("a", &other)).await;
    assert_eq!((answer.status.as_u16(), answer.problem().as_str()), (422, "idempotency-key-reused"));
    assert_eq!(messages(&bench).await, []);
}

#[tokio::test]
async fn a_refused_request_does_not_use_up_its_key() {
    let bench = Bench::new().await;
    let bad = json!({"template": "list", "data": {}});
    assert_eq!(bench.send(keyed("a", &bad)).await.status, StatusCode::UNPROCESSABLE_ENTITY);
    id(&bench.send(keyed("a", &good())).await);
}

#[tokio::test]
async fn a_malformed_key_is_refused() {
    let bench = Bench::new().await;
    for key in ["\"\"", "\"open", "two words", "\"a\", \"b\"", &"x".repeat(256)] {
        let answer = bench.send(keyed(key, &good())).await;
        assert_eq!((answer.status.as_u16(), answer.problem().as_str()), (400, "invalid-idempotency-key"), "{key}");
    }
    let mut twice = keyed("a", &good());
    twice.headers_mut().append("idempotency-key", "b".parse().expect("a header's value"));
    assert_eq!(bench.send(twice).await.problem(), "invalid-idempotency-key");
    assert_eq!(messages(&bench).await, []);
}

#[tokio::test]
async fn a_request_that_died_before_its_message_was_queued_is_queued_by_the_next_under_its_key() {
    let (bench, queue) = slow().await;
    queue.down.store(true, Ordering::SeqCst);
    assert_eq!(bench.send(keyed("a", &good())).await.status, StatusCode::SERVICE_UNAVAILABLE);
    queue.down.store(false, Ordering::SeqCst);
    let accepted = id(&bench.send(keyed("a", &good())).await);
    assert_eq!(messages(&bench).await.iter().map(|message| message.id).collect::<Vec<_>>(), [accepted]);
}

#[tokio::test]
async fn a_key_that_was_never_confirmed_queues_its_own_job_once_more() {
    let bench = Bench::new().await;
    let body = good();
    let accepted = id(&bench.send(keyed("a", &body)).await);
    bench.sql("UPDATE idempotency_keys SET confirmed = 0").await;
    assert_eq!(id(&bench.send(keyed("a", &body)).await), accepted);
    assert_eq!(messages(&bench).await.iter().map(|message| message.id).collect::<Vec<_>>(), [accepted, accepted]);
}

#[tokio::test]
async fn a_job_that_was_failed_for_want_of_a_message_is_queued_by_the_next_request_under_its_key() {
    let (bench, queue) = slow().await;
    queue.down.store(true, Ordering::SeqCst);
    assert_eq!(bench.send(keyed("a", &good())).await.status, StatusCode::SERVICE_UNAVAILABLE);
    let swept = "UPDATE jobs SET status = 'failed', error = '{\"type\":\"x\",\"title\":\"x\",\"detail\":\"x\"}', notified_at = 1";
    bench.sql(swept).await;

    queue.down.store(false, Ordering::SeqCst);
    let accepted = id(&bench.send(keyed("a", &good())).await);
    assert_eq!(messages(&bench).await.iter().map(|message| message.id).collect::<Vec<_>>(), [accepted]);
    assert_eq!(bench.get(&format!("/jobs/{accepted}")).await.json()["status"], "queued");
}

#[tokio::test]
async fn a_failed_job_is_queued_again() {
    let bench = Bench::new().await;
    let data = Data::from(&good()["data"]);
    let job = failed(&bench, Some(&data)).await;
    let answer = retry(&bench, job.id).await;
    assert_eq!((answer.status, id(&answer)), (StatusCode::ACCEPTED, job.id));
    assert_eq!(answer.json()["status"], "queued");
    let record = bench.get(&format!("/jobs/{}", job.id)).await.json();
    assert_eq!((&record["status"], &record["retries"], &record["error"]), (&json!("queued"), &json!(1), &Value::Null));
    let messages = messages(&bench).await;
    let [message] = messages.as_slice() else { panic!("{messages:?}") };
    assert_eq!((message.id, message.retries, &message.data), (job.id, 1, &Some(data)));
    assert_eq!(message.enqueued_at, job.enqueued_at, "the report's date stays");
}

#[tokio::test]
async fn a_retry_that_could_not_be_queued_can_be_made_again() {
    let (bench, queue) = slow().await;
    let job = failed(&bench, Some(&Data::from(&good()["data"]))).await;
    queue.down.store(true, Ordering::SeqCst);
    assert_eq!(retry(&bench, job.id).await.status, StatusCode::SERVICE_UNAVAILABLE);
    queue.down.store(false, Ordering::SeqCst);
    assert_eq!(retry(&bench, job.id).await.status, StatusCode::ACCEPTED);
    assert_eq!(messages(&bench).await.iter().map(|message| message.retries).collect::<Vec<_>>(), [1]);
}

#[tokio::test]
async fn parked_data_is_used_for_a_retry() {
    let bench = Bench::new().await;
    let job = failed(&bench, None).await;
    let gone = retry(&bench, job.id).await;
    assert_eq!((gone.status.as_u16(), gone.problem().as_str()), (409, "input-not-kept"));
    assert_eq!(bench.get(&format!("/jobs/{}", job.id)).await.json()["status"], "failed");

    let parked = Content::Bytes(b"{}");
    bench.local.objects.put(&job.id.input_key(), "application/json", parked).await.expect("the store answers");
    assert_eq!(retry(&bench, job.id).await.status, StatusCode::ACCEPTED);
    assert_eq!(messages(&bench).await.iter().map(|message| &message.data).collect::<Vec<_>>(), [&None]);
}

#[tokio::test]
async fn only_a_failed_job_is_queued_again() {
    let bench = Bench::new().await;
    let queued = id(&bench.post(good().to_string()).await);
    let (running, _) = bench.running().await;
    let completed = bench.completed(b"%PDF-1.7").await;
    messages(&bench).await;
    for id in [queued, running.id, completed.id] {
        let answer = retry(&bench, id).await;
        assert_eq!((answer.status.as_u16(), answer.problem().as_str()), (409, "job-not-failed"));
    }
    assert_eq!(retry(&bench, JobId::new()).await.problem(), "unknown-job");
    assert_eq!(messages(&bench).await, []);
}
