//! What every backend owes, as one set of test bodies that runs against each.
//!
//! The AWS half wants `AWS_ENDPOINT_URL` to be an emulator's; `make test` starts one.

mod bench;

use std::time::Duration;

use bench::{Bench, MAX_RECEIVES};
use chrono::{DateTime, Utc};
use jobs::job::now;
use jobs::{
    Announcement, Claim, Claimed, Content, Delivery, Diagnostic, Failure, Held, Job, JobId, Notify, Opened, Status,
};
use uuid::Uuid;

macro_rules! contract {
    ($($name:ident),* $(,)?) => {
        mod local {
            $(#[tokio::test]
            async fn $name() {
                super::$name(&super::Bench::local().await).await;
            })*
        }
        mod aws {
            $(#[tokio::test]
            #[ignore = "needs the emulator: make test"]
            async fn $name() {
                super::$name(&super::Bench::aws().await).await;
            })*
        }
    };
}

contract! {
    a_message_is_delivered_and_hidden,
    a_released_message_is_delivered_again,
    an_acknowledged_message_is_gone,
    a_message_delivered_too_often_is_set_aside,
    an_empty_queue_answers_when_the_wait_is_over,
    a_job_is_read_as_it_was_recorded,
    a_record_never_overwrites_a_run,
    a_claim_puts_an_unrecorded_job_on_record,
    a_live_lease_keeps_others_out,
    an_expired_lease_is_taken_over_and_its_owner_fenced_off,
    of_many_claims_at_once_one_wins,
    a_released_job_is_claimed_again,
    a_failure_is_kept_whole,
    an_unannounced_end_is_announced_by_the_next_run,
    a_run_that_gives_up_announcing_leaves_it_to_the_next,
    an_object_is_read_as_it_was_put,
    an_object_is_replaced_whole,
    a_missing_object_is_nothing,
    an_announcement_arrives,
}

const LONG: Duration = Duration::from_secs(60);
const SOON: Duration = Duration::from_secs(5);
const NOW: Duration = Duration::ZERO;

async fn take(bench: &Bench) -> Delivery {
    let delivery = bench.queue.receive(LONG, SOON).await.expect("the queue answers");
    delivery.expect("a message is waiting")
}

async fn a_message_is_delivered_and_hidden(bench: &Bench) {
    bench.queue.push("Grüße").await.expect("push");
    let delivery = take(bench).await;
    assert_eq!((delivery.body.as_str(), delivery.receives), ("Grüße", 1));
    assert_eq!(bench.queue.receive(LONG, NOW).await.expect("the queue answers"), None);
}

async fn a_released_message_is_delivered_again(bench: &Bench) {
    bench.queue.push("again").await.expect("push");
    let first = take(bench).await;
    bench.queue.release(&first.ticket, NOW).await.expect("release");
    let second = take(bench).await;
    assert_eq!((second.body.as_str(), second.receives), ("again", 2));
}

async fn an_acknowledged_message_is_gone(bench: &Bench) {
    bench.queue.push("once").await.expect("push");
    let delivery = bench.queue.receive(Duration::from_secs(1), SOON).await.expect("the queue answers").expect("one");
    bench.queue.acknowledge(&delivery.ticket).await.expect("acknowledge");
    // Longer than it was hidden for.
    assert_eq!(bench.queue.receive(LONG, Duration::from_secs(2)).await.expect("the queue answers"), None);
}

async fn a_message_delivered_too_often_is_set_aside(bench: &Bench) {
    bench.queue.push("poison").await.expect("push");
    for receives in 1..=MAX_RECEIVES {
        let delivery = take(bench).await;
        assert_eq!(delivery.receives, receives);
        bench.queue.release(&delivery.ticket, NOW).await.expect("release");
    }
    bench.queue.push("next").await.expect("push");
    assert_eq!(take(bench).await.body, "next");
    assert_eq!(bench.queue.dead_letters().await.expect("the queue answers"), 1);
}

async fn an_empty_queue_answers_when_the_wait_is_over(bench: &Bench) {
    assert_eq!(bench.queue.receive(LONG, Duration::from_secs(1)).await.expect("the queue answers"), None);
}

fn job() -> Job {
    Job::queued(JobId::new(), "invoice", now())
}

fn in_a_month() -> DateTime<Utc> {
    now() + chrono::Duration::days(30)
}

/// A claim made `at` seconds from now, with a lease of ten seconds.
fn claim(at: i64) -> Claim {
    let now = now() + chrono::Duration::seconds(at);
    Claim { owner: Uuid::new_v4(), now, lease_until: now + chrono::Duration::seconds(10), expires_at: in_a_month() }
}

async fn get(bench: &Bench, id: JobId) -> Job {
    bench.jobs.get(id).await.expect("the store answers").expect("the job is on record")
}

async fn run(bench: &Bench, job: &Job, claim: &Claim) -> u32 {
    match bench.jobs.claim(job, claim).await.expect("the store answers") {
        Claimed::Run(attempt) => attempt,
        other => panic!("expected a run, got {other:?}"),
    }
}

async fn a_job_is_read_as_it_was_recorded(bench: &Bench) {
    let job = job();
    assert_eq!(bench.jobs.get(job.id).await.expect("the store answers"), None);
    bench.jobs.record(&job, in_a_month()).await.expect("record");
    assert_eq!(get(bench, job.id).await, job);
}

async fn a_record_never_overwrites_a_run(bench: &Bench) {
    let job = job();
    run(bench, &job, &claim(0)).await;
    bench.jobs.record(&job, in_a_month()).await.expect("a late record is no error");
    assert_eq!(get(bench, job.id).await.status, Status::Running);
}

async fn a_claim_puts_an_unrecorded_job_on_record(bench: &Bench) {
    let (job, claim) = (job(), claim(0));
    assert_eq!(run(bench, &job, &claim).await, 1);
    let recorded = get(bench, job.id).await;
    let expected = Job { status: Status::Running, attempts: 1, started_at: Some(claim.now), ..job };
    assert_eq!(recorded, expected);
}

async fn a_live_lease_keeps_others_out(bench: &Bench) {
    let (job, first) = (job(), claim(0));
    bench.jobs.record(&job, in_a_month()).await.expect("record");
    run(bench, &job, &first).await;
    let second = bench.jobs.claim(&job, &claim(9)).await.expect("the store answers");
    assert_eq!(second, Claimed::Busy(first.lease_until));
    assert_eq!(get(bench, job.id).await.attempts, 1);
}

async fn an_expired_lease_is_taken_over_and_its_owner_fenced_off(bench: &Bench) {
    let (job, stale, fresh) = (job(), claim(0), claim(10));
    run(bench, &job, &stale).await;
    assert_eq!(run(bench, &job, &fresh).await, 2);

    let failure = Failure::new("x", "x", "x");
    let at = fresh.now;
    assert_eq!(bench.jobs.complete(job.id, stale.owner, 1, 1, at).await.expect("answers"), Held::No);
    assert_eq!(bench.jobs.fail(job.id, stale.owner, &failure, at).await.expect("answers"), Held::No);
    assert_eq!(bench.jobs.release(job.id, stale.owner).await.expect("answers"), Held::No);
    assert_eq!(get(bench, job.id).await.status, Status::Running);

    for _ in ["once", "again, as after a lost answer"] {
        assert_eq!(bench.jobs.complete(job.id, fresh.owner, 2, 345, at).await.expect("answers"), Held::Yes);
    }
    assert_eq!(bench.jobs.mark_notified(job.id, stale.owner, at).await.expect("answers"), Held::No);
    let completed = get(bench, job.id).await;
    assert_eq!((completed.status, completed.pages, completed.bytes), (Status::Completed, Some(2), Some(345)));
    assert_eq!((completed.finished_at, completed.notified_at), (Some(at), None));
}

async fn of_many_claims_at_once_one_wins(bench: &Bench) {
    let job = job();
    bench.jobs.record(&job, in_a_month()).await.expect("record");
    let claims = [claim(0), claim(0), claim(0), claim(0)];
    let (a, b, c, d) = tokio::join!(
        bench.jobs.claim(&job, &claims[0]),
        bench.jobs.claim(&job, &claims[1]),
        bench.jobs.claim(&job, &claims[2]),
        bench.jobs.claim(&job, &claims[3]),
    );
    let runs = [a, b, c, d].into_iter().filter(|claimed| matches!(claimed, Ok(Claimed::Run(1)))).count();
    assert_eq!(runs, 1);
}

async fn a_released_job_is_claimed_again(bench: &Bench) {
    let (job, first) = (job(), claim(0));
    run(bench, &job, &first).await;
    assert_eq!(bench.jobs.release(job.id, first.owner).await.expect("answers"), Held::Yes);
    assert_eq!(get(bench, job.id).await.status, Status::Queued);
    assert_eq!(run(bench, &job, &claim(1)).await, 2);
    assert_eq!(bench.jobs.complete(job.id, first.owner, 1, 1, now()).await.expect("answers"), Held::No);
}

async fn a_failure_is_kept_whole(bench: &Bench) {
    let (job, claim) = (job(), claim(0));
    run(bench, &job, &claim).await;
    let mut failure = Failure::new("template-error", "The template has an error.", "Mend main.typ.");
    failure.diagnostics.push(Diagnostic {
        message: "unknown variable: tütal".into(),
        file: Some("main.typ".into()),
        line: Some(3),
        column: Some(7),
        hints: vec!["did you mean total?".into()],
        rendered: "error: unknown variable\n --> main.typ:3:7".into(),
    });
    for _ in ["once", "again, as after a lost answer"] {
        assert_eq!(bench.jobs.fail(job.id, claim.owner, &failure, now()).await.expect("answers"), Held::Yes);
    }
    let failed = get(bench, job.id).await;
    assert_eq!((failed.status, failed.error), (Status::Failed, Some(failure)));
}

async fn an_unannounced_end_is_announced_by_the_next_run(bench: &Bench) {
    let (job, first, second) = (job(), claim(0), claim(10));
    run(bench, &job, &first).await;
    let completed = bench.jobs.complete(job.id, first.owner, 1, 1, first.now).await.expect("answers");
    assert_eq!(completed, Held::Yes);

    let early = bench.jobs.claim(&job, &claim(5)).await.expect("answers");
    assert_eq!(early, Claimed::Busy(first.lease_until), "the first run may be announcing still");
    match bench.jobs.claim(&job, &second).await.expect("answers") {
        Claimed::Announce(ended) => assert_eq!((ended.status, ended.attempts), (Status::Completed, 1)),
        other => panic!("expected an announcement to make, got {other:?}"),
    }
    assert_eq!(bench.jobs.mark_notified(job.id, first.owner, now()).await.expect("answers"), Held::No);
    assert_eq!(bench.jobs.mark_notified(job.id, second.owner, now()).await.expect("answers"), Held::Yes);
    assert_eq!(bench.jobs.claim(&job, &claim(99)).await.expect("answers"), Claimed::Settled);
}

async fn a_run_that_gives_up_announcing_leaves_it_to_the_next(bench: &Bench) {
    let (job, first) = (job(), claim(0));
    run(bench, &job, &first).await;
    let completed = bench.jobs.complete(job.id, first.owner, 1, 1, first.now).await.expect("answers");
    assert_eq!(completed, Held::Yes);
    assert_eq!(bench.jobs.release(job.id, first.owner).await.expect("answers"), Held::Yes);
    assert_eq!(get(bench, job.id).await.status, Status::Completed);
    assert!(matches!(bench.jobs.claim(&job, &claim(1)).await.expect("answers"), Claimed::Announce(_)));
}

async fn an_object_is_read_as_it_was_put(bench: &Bench) {
    let key = JobId::new().report_key();
    let file = tempfile::NamedTempFile::new().expect("a file");
    std::fs::write(file.path(), b"%PDF-1.7").expect("write");
    bench.objects.put(&key, "application/pdf", Content::File(file.path())).await.expect("put");
    assert_eq!(bench.objects.get(&key).await.expect("answers").as_deref(), Some(&b"%PDF-1.7"[..]));
    match bench.objects.open(&key, "invoice.pdf").await.expect("answers").expect("it is there") {
        Opened::File(path) => assert_eq!(std::fs::read(path).expect("read"), b"%PDF-1.7"),
        Opened::Url(url) => {
            assert!(url.contains(&key) && url.contains("X-Amz-Signature=") && url.contains("invoice.pdf"), "{url}");
        }
    }
}

async fn an_object_is_replaced_whole(bench: &Bench) {
    let key = JobId::new().input_key();
    for content in ["a long first text", "short"] {
        bench.objects.put(&key, "application/json", Content::Bytes(content.as_bytes())).await.expect("put");
    }
    assert_eq!(bench.objects.get(&key).await.expect("answers").as_deref(), Some(&b"short"[..]));
}

async fn a_missing_object_is_nothing(bench: &Bench) {
    let key = JobId::new().report_key();
    assert_eq!(bench.objects.get(&key).await.expect("answers"), None);
    assert_eq!(bench.objects.open(&key, "x.pdf").await.expect("answers"), None);
}

async fn an_announcement_arrives(bench: &Bench) {
    let announcement = Announcement::completed(&job(), &Notify::default(), "https://example.org/r/1", in_a_month());
    bench.notifier.announce(&announcement).await.expect("announce");
    let mail = bench.next_mail().await;
    for part in [&announcement.subject, &announcement.job_id.to_string(), "https://example.org/r/1", "completed"] {
        assert!(mail.contains(part), "{part} is missing in {mail}");
    }
}
