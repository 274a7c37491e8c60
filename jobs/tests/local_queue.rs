//! The queue on one machine: turns between callers, clocks that are set, and what a new process makes of an old one's work.

use std::time::{Duration, Instant};

use chrono::TimeDelta;
use jobs::job::now;
use jobs::local::Local;
use jobs::{Attempt, Claim, Claimed, Held, Job, JobId, JobStore, Message, Purpose, Queue, Terms};
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions, Executor, SqliteConnection};
use tempfile::TempDir;
use uuid::Uuid;

const LONG: Duration = Duration::from_secs(60);

async fn open(folder: &TempDir) -> Local {
    Local::open(folder.path(), 10).await.expect("the data folder opens")
}

/// The database, beside the process that works on it.
async fn database(folder: &TempDir) -> SqliteConnection {
    let options = SqliteConnectOptions::new().filename(folder.path().join("pressrun.db"));
    options.connect().await.expect("the database opens")
}

fn message(caller: &str) -> String {
    let job = Job { caller: Some(caller.to_owned()), ..Job::queued(JobId::new(), "letter", now()) };
    Message::new(&job, None).encode()
}

async fn taken(local: &Local, passed_over: &[&str]) -> Option<String> {
    let passed_over: Vec<_> = passed_over.iter().map(|name| (*name).to_owned()).collect();
    local.queue.take(LONG, &passed_over).await.expect("the queue answers").map(|delivery| delivery.body)
}

#[tokio::test]
async fn callers_are_served_by_turns_and_each_in_its_order() {
    let folder = TempDir::new().expect("a folder");
    let local = open(&folder).await;
    let (a, b, c) = ([(); 4].map(|()| message("a")), [(); 2].map(|()| message("b")), message("c"));
    for message in a.iter().chain(&b).chain([&c]) {
        local.queue.push(message).await.expect("push");
    }
    for expected in [&a[0], &b[0], &c, &a[1], &b[1], &a[2], &a[3]] {
        assert_eq!(taken(&local, &[]).await.as_ref(), Some(expected));
    }
    assert_eq!(taken(&local, &[]).await, None);
}

#[tokio::test]
async fn callers_that_are_passed_over_wait() {
    let folder = TempDir::new().expect("a folder");
    let local = open(&folder).await;
    let messages = ["a", "b", "c"].map(message);
    for message in &messages {
        local.queue.push(message).await.expect("push");
    }
    assert_eq!(taken(&local, &["a", "b", "x"]).await.as_ref(), Some(&messages[2]));
    assert_eq!(taken(&local, &["a", "b"]).await, None);
    let many: Vec<_> = (0..2_000).map(|number| format!("b{number}")).collect();
    let many: Vec<_> = many.iter().map(String::as_str).chain(["b"]).collect();
    assert_eq!(taken(&local, &many).await.as_ref(), Some(&messages[0]));
}

#[tokio::test]
async fn a_hundred_thousand_messages_of_one_caller_are_in_nobodys_way() {
    let folder = TempDir::new().expect("a folder");
    let local = open(&folder).await;
    let many = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 100000)
        INSERT INTO messages (body, visible_at, queue, caller) SELECT 'x' || i, 0, 'jobs', 'm' FROM n";
    database(&folder).await.execute(many).await.expect("many messages");
    let (before, after) = (message("a"), message("z"));
    for message in [&before, &after] {
        local.queue.push(message).await.expect("push");
    }
    let start = Instant::now();
    assert_eq!(taken(&local, &["m"]).await, Some(before));
    assert_eq!(taken(&local, &["m"]).await, Some(after));
    assert_eq!(taken(&local, &["m"]).await, None);
    for number in 1..=50 {
        assert_eq!(taken(&local, &["a"]).await, Some(format!("x{number}")));
    }
    assert!(start.elapsed() < Duration::from_secs(2), "{:?}", start.elapsed());
}

#[tokio::test]
async fn what_has_no_pause_is_ready_whatever_the_time_was_when_it_was_pushed() {
    let folder = TempDir::new().expect("a folder");
    let local = open(&folder).await;
    local.queue.push("at once").await.expect("push");
    let visible_at = sqlx::query_scalar("SELECT visible_at FROM messages");
    let visible_at: i64 = visible_at.fetch_one(&mut database(&folder).await).await.expect("a message");
    assert_eq!(visible_at, 0, "no clock has a say");
    let delivery = local.queue.take(LONG, &[]).await.expect("the queue answers").expect("a message");
    local.queue.release(&delivery.ticket, Duration::ZERO).await.expect("release");
    assert_eq!(taken(&local, &[]).await.as_deref(), Some("at once"));
}

#[tokio::test]
async fn what_a_process_with_a_clock_ahead_has_hidden_is_ready_for_the_next() {
    let folder = TempDir::new().expect("a folder");
    let local = open(&folder).await;
    local.queue.push("hidden").await.expect("push");
    let delivery = local.queue.take(LONG, &[]).await.expect("the queue answers").expect("a message");
    local.queue.release(&delivery.ticket, Duration::from_secs(3_600)).await.expect("release");
    assert_eq!(taken(&local, &[]).await, None);
    drop(local);
    assert_eq!(taken(&open(&folder).await, &[]).await.as_deref(), Some("hidden"));
}

fn claim(job: &Job) -> Claim {
    let (now, day) = (now(), TimeDelta::days(1));
    let lease_until = now + TimeDelta::seconds(60);
    Claim { owner: Uuid::new_v4(), now, lease_until, purpose: Purpose::Run, terms: Terms::of(job, now, day, day) }
}

#[tokio::test]
async fn a_job_that_was_being_settled_when_its_server_ended_was_in_no_attempt() {
    let folder = TempDir::new().expect("a folder");
    let job = Job::queued(JobId::new(), "letter", now());
    let (local, run) = (open(&folder).await, claim(&job));
    assert!(matches!(local.jobs.claim(&job, &run).await.expect("answers"), Claimed::Run(_)));
    assert_eq!(local.jobs.release(job.id, run.owner, false).await.expect("answers"), Held::Yes);
    let settle = Claim { purpose: Purpose::Settle, ..claim(&job) };
    assert!(matches!(local.jobs.claim(&job, &settle).await.expect("answers"), Claimed::Run(_)));
    drop(local);
    let claimed = open(&folder).await.jobs.claim(&job, &claim(&job)).await.expect("answers");
    assert_eq!(claimed, Claimed::Run(Attempt { number: 2, counted: 2 }));
}

#[tokio::test]
async fn attempts_that_ended_with_their_server_count_only_after_fifty() {
    let folder = TempDir::new().expect("a folder");
    let job = Job::queued(JobId::new(), "letter", now());
    for number in 1..=53 {
        let claimed = open(&folder).await.jobs.claim(&job, &claim(&job)).await.expect("the store answers");
        let counted = number.max(51) - 50;
        assert_eq!(claimed, Claimed::Run(Attempt { number, counted }));
    }
    let (local, last) = (open(&folder).await, claim(&job));
    assert!(matches!(local.jobs.claim(&job, &last).await.expect("answers"), Claimed::Run(_)));
    assert_eq!(local.jobs.advanced(job.id, last.owner).await.expect("answers"), Held::Yes);
    drop(local);
    let claimed = open(&folder).await.jobs.claim(&job, &claim(&job)).await.expect("answers");
    assert_eq!(claimed, Claimed::Run(Attempt { number: 55, counted: 1 }), "it came further");
}
