//! What every backend owes, as one set of test bodies that runs against each.
//!
//! The AWS half wants `AWS_ENDPOINT_URL` to be an emulator's; `make test` starts one.

mod bench;

use std::time::Duration;

use bench::{Bench, MAX_RECEIVES};
use chrono::{DateTime, TimeDelta, Utc};
use jobs::job::now;
use jobs::{
    Accepts, Announcement, AnnouncementRecord, Attempt, BytesUsed, Channel, Claim, Claimed, Completed, Content, Data,
    Delivery, DeliveryMessage, DeliveryRecord, Diagnostic, Failed, Failure, Held, Job, JobId, Listing, Message, Notify,
    Opened, Options, Payload, Progress, Purpose, Recorded, Reservation, Reserved, Sent, Status, Terms, UploadFormat,
    UploadId, Violation, Warning, Webhook, webhook,
};
use serde_json::json;
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
    a_message_queued_again_is_as_new,
    messages_of_callers_come_whatever_else_waits,
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
    a_forgiven_attempt_does_not_count,
    attempts_count_anew_once_a_run_brought_the_job_further,
    a_lease_from_before_the_clock_was_stepped_back_is_over,
    a_failure_is_kept_whole,
    warnings_are_on_record_with_the_report,
    an_unannounced_end_is_announced_by_the_next_run,
    a_run_that_gives_up_announcing_leaves_it_to_the_next,
    a_lease_is_renewed_by_its_owner_alone,
    a_run_tells_how_far_it_is_until_it_ends,
    settling_a_job_is_no_attempt,
    a_failed_job_is_queued_again_with_the_data_that_was_kept,
    a_job_that_has_not_failed_is_not_queued_again,
    a_run_and_a_retry_say_anew_how_long_a_job_is_kept,
    a_job_that_is_about_to_go_is_not_queued_again,
    a_job_that_was_set_aside_runs_again_when_its_message_comes_back,
    a_job_is_overdue_from_its_time_until_it_is_announced,
    jobs_are_listed_newest_first_page_by_page,
    a_list_is_of_one_caller_status_or_template,
    a_list_is_of_one_caller,
    one_who_waits_hears_of_a_change_at_once,
    one_who_waits_in_vain_hears_the_state,
    what_became_of_a_delivery_is_on_record,
    a_delivery_of_an_earlier_end_is_not_on_record,
    handing_over_replaces_nothing_that_the_delivery_queue_recorded,
    a_delivery_of_each_kind_waits_in_its_queue,
    a_key_stands_for_the_first_job_that_reserved_it,
    of_many_reservations_at_once_one_is_fresh,
    a_key_is_free_again_when_its_time_is_over,
    an_object_is_read_as_it_was_put,
    an_object_is_replaced_whole,
    a_missing_object_is_nothing,
    an_object_is_fetched_to_a_file,
    an_upload_is_taken_as_it_was_announced,
    an_announcement_arrives,
    requests_are_counted_by_caller_and_minute,
    of_many_requests_at_once_no_more_are_counted_than_may_be,
    jobs_are_in_flight_until_they_end,
    bytes_count_for_as_long_as_they_are_kept,
    of_many_uploads_at_once_no_more_are_counted_than_may_be,
    a_report_counts_once_for_its_caller,
    an_upload_is_kept_once_a_job_names_it,
    of_many_jobs_at_once_no_more_take_off_than_may,
    a_job_that_is_queued_again_is_in_flight_again,
    a_job_whose_request_died_is_in_flight_for_a_minute,
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

async fn a_message_queued_again_is_as_new(bench: &Bench) {
    bench.queue.push("again").await.expect("push");
    for _ in 0..2 * MAX_RECEIVES {
        let delivery = take(bench).await;
        assert_eq!((delivery.body.as_str(), delivery.receives), ("again", 1));
        bench.queue.requeue(&delivery, NOW).await.expect("queue again");
    }
    let delivery = take(bench).await;
    bench.queue.requeue(&delivery, Duration::from_secs(2)).await.expect("queue again");
    assert_eq!(bench.queue.receive(LONG, NOW).await.expect("the queue answers"), None, "not yet");
    assert_eq!(take(bench).await.body, "again");
    assert_eq!(bench.queue.receive(LONG, NOW).await.expect("the queue answers"), None, "there is but one");
}

async fn messages_of_callers_come_whatever_else_waits(bench: &Bench) {
    let message = |caller: Option<&str>, number: u32| {
        let job = Job { caller: caller.map(ToOwned::to_owned), ..job() };
        Message::new(&job, Some(json!(number).into())).encode()
    };
    let messages = [message(Some("a"), 1), message(Some("ü@b"), 2), message(None, 3)];
    for message in &messages {
        bench.queue.push(message).await.expect("push");
    }
    let mut taken = Vec::new();
    for _ in &messages {
        let delivery = bench.queue.take(LONG, &[]).await.expect("the queue answers").expect("a message is waiting");
        bench.queue.hold(&delivery.ticket, LONG).await.expect("it is in hand");
        bench.queue.acknowledge(&delivery.ticket).await.expect("acknowledge");
        taken.push(delivery.body);
    }
    assert!(messages.iter().all(|message| taken.contains(message)), "{taken:?}");
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
    for _ in ["a look", "another look: looking takes nothing away"] {
        let dead = bench.queue.dead_letters().await.expect("the queue answers");
        assert_eq!(dead.iter().map(|letter| letter.body.as_str()).collect::<Vec<_>>(), ["poison"]);
        assert_eq!(bench.queue.dead_letters().await.expect("the queue answers"), [], "it has been seen");
        let tickets: Vec<_> = dead.into_iter().map(|letter| letter.ticket).collect();
        bench.queue.show_dead_letters(&tickets).await.expect("the queue answers");
    }
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

/// Overdue in four days.
fn terms() -> Terms {
    Terms { overdue_at: now() + chrono::Duration::days(4), expires_at: in_a_month() }
}

/// A claim made `at` seconds from now, with a lease of ten seconds.
fn claim(at: i64) -> Claim {
    let now = now() + chrono::Duration::seconds(at);
    let lease_until = now + chrono::Duration::seconds(10);
    Claim { owner: Uuid::new_v4(), now, lease_until, purpose: Purpose::Run, terms: terms() }
}

/// The same, for settling.
fn settling(at: i64) -> Claim {
    Claim { purpose: Purpose::Settle, ..claim(at) }
}

/// A report of one page and one byte, without warnings.
fn completed(at: DateTime<Utc>) -> Completed<'static> {
    Completed { pages: 1, bytes: 1, warnings: &[], at }
}

fn failed(failure: &Failure) -> Failed<'_> {
    Failed { failure, input: None, set_aside: false, at: now() }
}

async fn get(bench: &Bench, id: JobId) -> Job {
    bench.jobs.get(id).await.expect("the store answers").expect("the job is on record")
}

async fn run(bench: &Bench, job: &Job, claim: &Claim) -> u32 {
    match bench.jobs.claim(job, claim).await.expect("the store answers") {
        Claimed::Run(attempt) => attempt.number,
        other => panic!("expected a run, got {other:?}"),
    }
}

async fn a_job_is_read_as_it_was_recorded(bench: &Bench) {
    let options =
        Options { pdf_standard: Some("a-2b".into()), tagged: Some(false), on_missing_glyph: Some("fail".into()) };
    let job = Job {
        options,
        notify: Notify {
            subject: Some("Month end".into()),
            tags: vec!["a".into(), "b".into()],
            webhook: Some("https://example.org/hook".into()),
        },
        input: Some(UploadId::new(UploadFormat::Csv)),
        caller: Some("billing".into()),
        ..job()
    };
    assert_eq!(bench.jobs.get(job.id).await.expect("the store answers"), None);
    bench.jobs.record(&job, terms()).await.expect("record");
    assert_eq!(get(bench, job.id).await, job);
}

async fn a_record_never_overwrites_a_run(bench: &Bench) {
    let job = job();
    run(bench, &job, &claim(0)).await;
    bench.jobs.record(&job, terms()).await.expect("a late record is no error");
    assert_eq!(get(bench, job.id).await.status, Status::Running);
}

async fn a_claim_puts_an_unrecorded_job_on_record(bench: &Bench) {
    let (input, caller) = (Some(UploadId::new(UploadFormat::Ndjson)), Some("billing".into()));
    let (job, claim) = (Job { input, caller, ..job() }, claim(0));
    assert_eq!(run(bench, &job, &claim).await, 1);
    let recorded = get(bench, job.id).await;
    let expected = Job { status: Status::Running, attempts: 1, started_at: Some(claim.now), ..job };
    assert_eq!(recorded, expected);
}

async fn a_live_lease_keeps_others_out(bench: &Bench) {
    let (job, first) = (job(), claim(0));
    bench.jobs.record(&job, terms()).await.expect("record");
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
    assert_eq!(bench.jobs.complete(job.id, stale.owner, &completed(at)).await.expect("answers"), Held::No);
    assert_eq!(bench.jobs.fail(job.id, stale.owner, &failed(&failure)).await.expect("answers"), Held::No);
    assert_eq!(bench.jobs.renew(job.id, stale.owner, in_a_month()).await.expect("answers"), Held::No);
    assert_eq!(bench.jobs.release(job.id, stale.owner, false).await.expect("answers"), Held::No);
    assert_eq!(get(bench, job.id).await.status, Status::Running);

    let report = Completed { pages: 2, bytes: 345, ..completed(at) };
    for _ in ["once", "again, as after a lost answer"] {
        assert_eq!(bench.jobs.complete(job.id, fresh.owner, &report).await.expect("answers"), Held::Yes);
    }
    assert_eq!(mark_notified(bench, &job, &stale).await, Held::No);
    let ended = get(bench, job.id).await;
    assert_eq!((ended.status, ended.pages, ended.bytes), (Status::Completed, Some(2), Some(345)));
    assert_eq!((ended.finished_at, ended.notified_at, ended.warnings), (Some(at), None, vec![]));
}

async fn of_many_claims_at_once_one_wins(bench: &Bench) {
    let job = job();
    bench.jobs.record(&job, terms()).await.expect("record");
    let claims = [claim(0), claim(0), claim(0), claim(0)];
    let (a, b, c, d) = tokio::join!(
        bench.jobs.claim(&job, &claims[0]),
        bench.jobs.claim(&job, &claims[1]),
        bench.jobs.claim(&job, &claims[2]),
        bench.jobs.claim(&job, &claims[3]),
    );
    let runs = [a, b, c, d].into_iter().filter(|claimed| matches!(claimed, Ok(Claimed::Run(Attempt::FIRST)))).count();
    assert_eq!(runs, 1);
}

async fn a_released_job_is_claimed_again(bench: &Bench) {
    let (job, first) = (job(), claim(0));
    run(bench, &job, &first).await;
    assert_eq!(bench.jobs.release(job.id, first.owner, false).await.expect("answers"), Held::Yes);
    assert_eq!(get(bench, job.id).await.status, Status::Queued);
    assert_eq!(run(bench, &job, &claim(1)).await, 2);
    assert_eq!(bench.jobs.complete(job.id, first.owner, &completed(now())).await.expect("answers"), Held::No);
}

async fn a_forgiven_attempt_does_not_count(bench: &Bench) {
    let (job, first) = (job(), claim(0));
    run(bench, &job, &first).await;
    assert_eq!(bench.jobs.release(job.id, first.owner, true).await.expect("answers"), Held::Yes);
    assert_eq!(get(bench, job.id).await.attempts, 0);
    assert_eq!(run(bench, &job, &claim(1)).await, 1);
}

async fn attempts_count_anew_once_a_run_brought_the_job_further(bench: &Bench) {
    let (job, first, second, third) = (job(), claim(0), claim(10), claim(20));
    let claimed = async |claim: &Claim| bench.jobs.claim(&job, claim).await.expect("the store answers");
    assert_eq!(claimed(&first).await, Claimed::Run(Attempt::FIRST));
    assert_eq!(claimed(&second).await, Claimed::Run(Attempt::nth(2)));
    assert_eq!(bench.jobs.advanced(job.id, first.owner).await.expect("answers"), Held::No);
    for _ in ["once", "again, as after a lost answer"] {
        assert_eq!(bench.jobs.advanced(job.id, second.owner).await.expect("answers"), Held::Yes);
    }
    assert_eq!(claimed(&third).await, Claimed::Run(Attempt { number: 3, counted: 1 }));
    assert_eq!(bench.jobs.advanced(job.id, third.owner).await.expect("answers"), Held::Yes);
    assert_eq!(bench.jobs.release(job.id, third.owner, true).await.expect("answers"), Held::Yes);
    let Claimed::Run(attempt) = claimed(&claim(30)).await else { panic!("it is free") };
    assert_eq!((attempt.number, attempt.counted <= 1), (3, true), "{attempt:?}");
}

async fn a_lease_from_before_the_clock_was_stepped_back_is_over(bench: &Bench) {
    let (job, other, before) = (job(), job(), claim(300));
    run(bench, &job, &before).await;
    assert_eq!(run(bench, &job, &claim(0)).await, 2);
    run(bench, &other, &before).await;
    assert_eq!(bench.jobs.complete(other.id, before.owner, &completed(now())).await.expect("answers"), Held::Yes);
    let announced = bench.jobs.claim(&other, &claim(0)).await.expect("answers");
    assert!(matches!(announced, Claimed::Announce(_)), "{announced:?}");
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
    failure.errors.push(Violation {
        line: Some(1_000_000),
        column: None,
        pointer: "/entries/999999/ämount".into(),
        detail: "-1 is less than the minimum of 0".into(),
    });
    for _ in ["once", "again, as after a lost answer"] {
        assert_eq!(bench.jobs.fail(job.id, claim.owner, &failed(&failure)).await.expect("answers"), Held::Yes);
    }
    let ended = get(bench, job.id).await;
    assert_eq!((ended.status, ended.error), (Status::Failed, Some(failure)));
}

async fn warnings_are_on_record_with_the_report(bench: &Bench) {
    let (job, first, second) = (job(), claim(0), claim(10));
    let warnings = [
        Warning::of_character("missing-glyph", "no font has it", Some("/to/näme".into()), '😀'),
        Warning { page: Some(3), count: 2, ..Warning::new("text-outside-page", "a text leaves its page", None) },
    ];
    let report = Completed { warnings: &warnings, ..completed(now()) };
    run(bench, &job, &first).await;
    for _ in ["once", "again, as after a lost answer"] {
        assert_eq!(bench.jobs.complete(job.id, first.owner, &report).await.expect("answers"), Held::Yes);
        assert_eq!(get(bench, job.id).await.warnings, warnings);
    }
    match bench.jobs.claim(&job, &second).await.expect("answers") {
        Claimed::Announce(ended) => assert_eq!(ended.warnings, warnings, "the next run tells of them"),
        other => panic!("expected an announcement to make, got {other:?}"),
    }
    let listing = Listing { since: now() - LONG, ..listing(10) };
    let listed = bench.jobs.list(&listing).await.expect("answers").jobs;
    assert_eq!(listed.into_iter().find(|it| it.id == job.id).expect("it is listed").warnings, warnings);
}

async fn an_unannounced_end_is_announced_by_the_next_run(bench: &Bench) {
    let (job, first, second) = (job(), claim(0), claim(10));
    run(bench, &job, &first).await;
    let held = bench.jobs.complete(job.id, first.owner, &completed(first.now)).await.expect("answers");
    assert_eq!(held, Held::Yes);

    let early = bench.jobs.claim(&job, &claim(5)).await.expect("answers");
    assert_eq!(early, Claimed::Busy(first.lease_until), "the first run may be announcing still");
    match bench.jobs.claim(&job, &second).await.expect("answers") {
        Claimed::Announce(ended) => assert_eq!((ended.status, ended.attempts), (Status::Completed, 1)),
        other => panic!("expected an announcement to make, got {other:?}"),
    }
    assert_eq!(mark_notified(bench, &job, &first).await, Held::No);
    assert_eq!(mark_notified(bench, &job, &second).await, Held::Yes);
    assert_eq!(bench.jobs.claim(&job, &claim(99)).await.expect("answers"), Claimed::Settled);
}

async fn a_run_that_gives_up_announcing_leaves_it_to_the_next(bench: &Bench) {
    let (job, first) = (job(), claim(0));
    run(bench, &job, &first).await;
    let held = bench.jobs.complete(job.id, first.owner, &completed(first.now)).await.expect("answers");
    assert_eq!(held, Held::Yes);
    assert_eq!(bench.jobs.release(job.id, first.owner, false).await.expect("answers"), Held::Yes);
    assert_eq!(get(bench, job.id).await.status, Status::Completed);
    assert!(matches!(bench.jobs.claim(&job, &claim(1)).await.expect("answers"), Claimed::Announce(_)));
}

async fn a_lease_is_renewed_by_its_owner_alone(bench: &Bench) {
    let (job, first) = (job(), claim(0));
    run(bench, &job, &first).await;
    let longer = first.lease_until + chrono::Duration::seconds(10);
    assert_eq!(bench.jobs.renew(job.id, first.owner, longer).await.expect("answers"), Held::Yes);
    assert_eq!(bench.jobs.renew(job.id, Uuid::new_v4(), in_a_month()).await.expect("answers"), Held::No);
    assert_eq!(bench.jobs.claim(&job, &claim(15)).await.expect("answers"), Claimed::Busy(longer));
    assert_eq!(run(bench, &job, &claim(20)).await, 2);
}

async fn a_run_tells_how_far_it_is_until_it_ends(bench: &Bench) {
    let (job, first, second) = (job(), claim(0), claim(10));
    let progress = Progress { sections_done: 3, sections: 40, pages: 120 };
    run(bench, &job, &first).await;
    assert_eq!(bench.jobs.progress(job.id, first.owner, progress).await.expect("answers"), Held::Yes);
    assert_eq!(get(bench, job.id).await.progress, Some(progress));
    run(bench, &job, &second).await;
    assert_eq!(get(bench, job.id).await.progress, None, "a run begins anew");
    assert_eq!(bench.jobs.progress(job.id, first.owner, progress).await.expect("answers"), Held::No);
    assert_eq!(bench.jobs.progress(job.id, second.owner, progress).await.expect("answers"), Held::Yes);
    assert_eq!(bench.jobs.complete(job.id, second.owner, &completed(now())).await.expect("answers"), Held::Yes);
    assert_eq!(get(bench, job.id).await.progress, None);
    assert_eq!(bench.jobs.progress(job.id, second.owner, progress).await.expect("answers"), Held::No);
}

async fn settling_a_job_is_no_attempt(bench: &Bench) {
    let (job, first) = (job(), claim(0));
    run(bench, &job, &first).await;
    let early = bench.jobs.claim(&job, &settling(5)).await.expect("answers");
    assert_eq!(early, Claimed::Busy(first.lease_until), "a run in progress is not settled");
    assert_eq!(run(bench, &job, &settling(10)).await, 1);
    let recorded = get(bench, job.id).await;
    assert_eq!((recorded.attempts, recorded.started_at), (1, Some(first.now)));
}

/// An announcement that was sent at the first attempt.
fn announced() -> AnnouncementRecord {
    let (delivery, _) = DeliveryRecord::pending().after(Sent::taken(Some(250)), (now(), now()), now());
    AnnouncementRecord { channel: Channel::Mail, delivery }
}

async fn mark_notified(bench: &Bench, job: &Job, claim: &Claim) -> Held {
    bench.jobs.mark_notified(job.id, claim.owner, now(), &announced()).await.expect("answers")
}

/// Fails a job, announced, with `data` kept.
async fn fail(bench: &Bench, job: &Job, data: &Data, set_aside: bool) {
    let claim = claim(-60);
    run(bench, job, &claim).await;
    let failure = Failure::new("x", "x", "x");
    let failed = Failed { input: Some(data), set_aside, ..failed(&failure) };
    assert_eq!(bench.jobs.fail(job.id, claim.owner, &failed).await.expect("answers"), Held::Yes);
    assert_eq!(mark_notified(bench, job, &claim).await, Held::Yes);
}

async fn a_failed_job_is_queued_again_with_the_data_that_was_kept(bench: &Bench) {
    let long = serde_json::from_str(r#"{"n": 9007199254740993.010}"#).expect("JSON");
    for data in [json!({"z": 1, "a": ["ü", null]}).into(), json!(null).into(), json!("text").into(), long] {
        let job = job();
        bench.jobs.record(&job, terms()).await.expect("record");
        assert_eq!(bench.jobs.kept_input(job.id).await.expect("answers"), None);
        fail(bench, &job, &data, false).await;

        for _ in ["once", "again, as after a lost answer"] {
            assert_eq!(bench.jobs.kept_input(job.id).await.expect("answers").as_ref(), Some(&data));
            let reopened = bench.jobs.reopen(job.id, terms()).await.expect("answers").expect("it had failed");
            assert_eq!(reopened, Job { retries: 1, started_at: reopened.started_at, ..job.clone() });
            assert_eq!(get(bench, job.id).await, reopened);
        }
        let again = claim(0);
        assert_eq!(run(bench, &job, &again).await, 1, "attempts are counted anew");
        assert_eq!(bench.jobs.reopen(job.id, terms()).await.expect("answers"), None, "it runs");
        let failure = Failure::new("x", "x", "x");
        assert_eq!(bench.jobs.fail(job.id, again.owner, &failed(&failure)).await.expect("answers"), Held::Yes);
        let kept = bench.jobs.kept_input(job.id).await.expect("answers");
        assert_eq!(kept, Some(data), "what was kept once is kept on");
    }
}

async fn a_job_that_has_not_failed_is_not_queued_again(bench: &Bench) {
    let (job, claim) = (job(), claim(0));
    assert_eq!(bench.jobs.reopen(job.id, terms()).await.expect("answers"), None, "it is not there");
    assert_eq!(bench.jobs.kept_input(job.id).await.expect("answers"), None);
    bench.jobs.record(&job, terms()).await.expect("record");
    assert_eq!(bench.jobs.reopen(job.id, terms()).await.expect("answers"), None, "it is queued");
    run(bench, &job, &claim).await;
    assert_eq!(bench.jobs.complete(job.id, claim.owner, &completed(now())).await.expect("answers"), Held::Yes);
    assert_eq!(bench.jobs.reopen(job.id, terms()).await.expect("answers"), None, "it completed");
    assert_eq!(get(bench, job.id).await.status, Status::Completed);
}

async fn a_run_and_a_retry_say_anew_how_long_a_job_is_kept(bench: &Bench) {
    let (job, claim) = (job(), claim(0));
    let about_to_go = Terms { expires_at: now() + chrono::Duration::minutes(59), ..terms() };
    bench.jobs.record(&job, about_to_go).await.expect("record");
    run(bench, &job, &Claim { terms: terms(), ..claim }).await;
    let failure = Failure::new("x", "x", "x");
    assert_eq!(bench.jobs.fail(job.id, claim.owner, &failed(&failure)).await.expect("answers"), Held::Yes);
    assert!(bench.jobs.reopen(job.id, about_to_go).await.expect("answers").is_some(), "the run was late");
    assert_eq!(bench.jobs.reopen(job.id, terms()).await.expect("answers"), None, "the retry said so");
}

async fn a_job_that_is_about_to_go_is_not_queued_again(bench: &Bench) {
    for (minutes, reopened) in [(59, false), (61, true)] {
        let (job, claim) = (job(), claim(0));
        let about_to_go = Terms { expires_at: now() + chrono::Duration::minutes(minutes), ..terms() };
        bench.jobs.record(&job, about_to_go).await.expect("record");
        run(bench, &job, &Claim { terms: about_to_go, ..claim }).await;
        let failure = Failure::new("x", "x", "x");
        assert_eq!(bench.jobs.fail(job.id, claim.owner, &failed(&failure)).await.expect("answers"), Held::Yes);
        let answer = bench.jobs.reopen(job.id, terms()).await.expect("answers");
        assert_eq!(answer.is_some(), reopened, "{minutes}");
        let status = if reopened { Status::Queued } else { Status::Failed };
        assert_eq!(get(bench, job.id).await.status, status);
    }
}

async fn a_job_that_was_set_aside_runs_again_when_its_message_comes_back(bench: &Bench) {
    let job = job();
    fail(bench, &job, &json!(1).into(), true).await;
    assert_eq!(bench.jobs.claim(&job, &settling(0)).await.expect("answers"), Claimed::Settled, "a sweep ends it once");
    assert_eq!(run(bench, &job, &claim(0)).await, 1, "attempts are counted anew");
    let recorded = get(bench, job.id).await;
    assert_eq!((recorded.status, recorded.error, recorded.notified_at), (Status::Running, None, None));

    let other = Job { id: JobId::new(), ..job };
    fail(bench, &other, &json!(1).into(), false).await;
    assert_eq!(bench.jobs.claim(&other, &claim(0)).await.expect("answers"), Claimed::Settled, "a repeated message");
}

async fn a_job_is_overdue_from_its_time_until_it_is_announced(bench: &Bench) {
    let (job, claim) = (job(), claim(0));
    let terms = Terms { overdue_at: now() + chrono::Duration::seconds(60), ..terms() };
    bench.jobs.record(&job, terms).await.expect("record");
    let overdue = async |at: i64| {
        let found = bench.jobs.overdue(now() + chrono::Duration::seconds(at), 9).await.expect("answers");
        found.into_iter().map(|job| job.id).collect::<Vec<_>>()
    };
    assert_eq!(overdue(30).await, []);
    assert_eq!(overdue(90).await, [job.id]);
    let later = Terms { overdue_at: now() + chrono::Duration::seconds(120), ..terms };
    bench.jobs.record(&job, later).await.expect("recorded again, with its message");
    assert_eq!(overdue(90).await, []);
    let claim = Claim { terms, ..claim };
    run(bench, &job, &claim).await;
    let failure = Failure::new("x", "x", "x");
    assert_eq!(bench.jobs.fail(job.id, claim.owner, &failed(&failure)).await.expect("answers"), Held::Yes);
    assert_eq!(overdue(90).await, [job.id], "nobody was told");
    assert_eq!(mark_notified(bench, &job, &claim).await, Held::Yes);
    assert_eq!(overdue(90).await, []);
    let again = Terms { overdue_at: now() + chrono::Duration::seconds(200), ..terms };
    bench.jobs.reopen(job.id, again).await.expect("answers").expect("it had failed");
    assert_eq!(overdue(90).await, []);
    assert_eq!(overdue(230).await, [job.id]);
}

fn listing(limit: usize) -> Listing {
    let since = now() - chrono::Duration::days(40);
    Listing { caller: None, status: None, template: None, before: None, since, limit }
}

fn ids(jobs: &[Job]) -> Vec<JobId> {
    jobs.iter().map(|job| job.id).collect()
}

async fn jobs_are_listed_newest_first_page_by_page(bench: &Bench) {
    let mut expected = Vec::new();
    for _ in 0..5 {
        let job = job();
        bench.jobs.record(&job, terms()).await.expect("record");
        expected.insert(0, job.id);
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    let (mut listed, mut before) = (Vec::new(), None);
    for _ in 0..9 {
        let page = bench.jobs.list(&Listing { before, ..listing(2) }).await.expect("answers");
        assert!(page.jobs.len() <= 2);
        listed.extend(ids(&page.jobs));
        before = page.next;
        if before.is_none() {
            break;
        }
    }
    assert_eq!(listed, expected);
    let first = bench.jobs.list(&listing(1)).await.expect("answers");
    assert_eq!(first.jobs, [get(bench, expected[0]).await]);
}

async fn a_list_is_of_one_caller(bench: &Bench) {
    let (crm, billing) = (format!("crm-{}", JobId::new()), format!("billing-{}", JobId::new()));
    let mut expected = Vec::new();
    for number in 0..5 {
        let caller = Some(if number % 2 == 0 { &crm } else { &billing }.clone());
        let job = Job { caller, ..Job::queued(JobId::new(), "letter", now()) };
        // A message may overtake the record.
        if number == 2 {
            run(bench, &job, &claim(0)).await;
        }
        tokio::time::sleep(Duration::from_millis(2)).await;
        bench.jobs.record(&job, terms()).await.expect("answers");
        if number % 2 == 0 {
            expected.insert(0, job.id);
        }
    }
    let of = |caller: &str| Listing { caller: Some(caller.to_owned()), ..listing(9) };
    let found = bench.jobs.list(&of(&crm)).await.expect("answers").jobs;
    assert_eq!(ids(&found), expected);
    assert!(found.iter().all(|job| job.caller.as_ref() == Some(&crm)));
    let next = Listing { before: Some(expected[0]), limit: 1, ..of(&crm) };
    assert_eq!(ids(&bench.jobs.list(&next).await.expect("answers").jobs), expected[1..2]);
    assert_eq!(bench.jobs.list(&of("nobody")).await.expect("answers").jobs, []);
}

async fn a_list_is_of_one_caller_status_or_template(bench: &Bench) {
    let (queued, running) = (Job { caller: Some("billing".into()), ..job() }, job());
    let letter = Job { template: "letter".into(), caller: Some("crm".into()), ..job() };
    bench.jobs.record(&queued, terms()).await.expect("record");
    bench.jobs.record(&letter, terms()).await.expect("record");
    run(bench, &running, &claim(0)).await;
    let of = async |caller: Option<&str>, status, template: Option<&str>| {
        let (caller, template) = (caller.map(str::to_owned), template.map(str::to_owned));
        let listing = Listing { caller, status, template, ..listing(9) };
        let mut found = ids(&bench.jobs.list(&listing).await.expect("answers").jobs);
        found.sort();
        found
    };
    let sorted = |mut ids: Vec<JobId>| {
        ids.sort();
        ids
    };
    assert_eq!(of(None, Some(Status::Running), None).await, [running.id]);
    assert_eq!(of(None, None, Some("letter")).await, [letter.id]);
    assert_eq!(of(None, Some(Status::Queued), None).await, sorted(vec![queued.id, letter.id]));
    assert_eq!(of(None, Some(Status::Queued), Some("invoice")).await, [queued.id]);
    assert_eq!(of(None, Some(Status::Failed), None).await, []);
    assert_eq!(of(Some("billing"), None, None).await, [queued.id]);
    assert_eq!(of(Some("billing"), Some(Status::Queued), Some("invoice")).await, [queued.id]);
    assert_eq!(of(Some("billing"), Some(Status::Running), None).await, []);
    assert_eq!(of(Some("crm"), None, Some("letter")).await, [letter.id]);
    assert_eq!(of(Some("crm"), None, Some("invoice")).await, []);
    assert_eq!(of(Some("nobody"), None, None).await, []);
}

async fn one_who_waits_hears_of_a_change_at_once(bench: &Bench) {
    let job = job();
    bench.jobs.record(&job, terms()).await.expect("record");
    let wait = bench.jobs.changed(&job, LONG);
    let change = async {
        tokio::time::sleep(Duration::from_millis(300)).await;
        run(bench, &job, &claim(0)).await;
        std::time::Instant::now()
    };
    let (heard, changed_at) = tokio::join!(wait, change);
    assert_eq!(heard.expect("answers").map(|job| job.status), Some(Status::Running));
    assert!(changed_at.elapsed() < SOON, "it heard {:?} later", changed_at.elapsed());

    let known = get(bench, job.id).await;
    let missed = bench.jobs.changed(&job, LONG).await.expect("answers");
    assert_eq!(missed, Some(known), "what changed before is heard of at once, too");
}

async fn one_who_waits_in_vain_hears_the_state(bench: &Bench) {
    let job = job();
    bench.jobs.record(&job, terms()).await.expect("record");
    let heard = bench.jobs.changed(&job, Duration::from_millis(300)).await.expect("answers");
    assert_eq!(heard, Some(job));
}

fn reservation(key: &str, fingerprint: &str) -> Reservation {
    let expires_at = now() + chrono::Duration::hours(24);
    let (key, fingerprint) = (key.to_owned(), fingerprint.to_owned());
    Reservation { key, fingerprint, id: JobId::new(), enqueued_at: now(), expires_at }
}

/// A job that ended, and the message about its end.
async fn ended(bench: &Bench, job: &Job, claim: &Claim) -> DeliveryMessage {
    run(bench, job, claim).await;
    let failure = Failure::new("x", "x", "x");
    let failed = Failed { set_aside: true, ..failed(&failure) };
    assert_eq!(bench.jobs.fail(job.id, claim.owner, &failed).await.expect("answers"), Held::Yes);
    webhook::delivery(&get(bench, job.id).await, "https://example.org/hook", "https://press.test", None)
}

/// A delivery of each kind, in that state.
fn recorded(delivery: &DeliveryRecord) -> [Recorded; 2] {
    let (url, delivery) = ("https://example.org/hook".to_owned(), delivery.clone());
    let announcement = AnnouncementRecord { channel: Channel::Topic, delivery: delivery.clone() };
    [Recorded::Webhook(Webhook { url, delivery }), Recorded::Announcement(announcement)]
}

/// What is on record of deliveries of that kind.
fn on_record(job: &Job, like: &Recorded) -> Option<Recorded> {
    match like {
        Recorded::Webhook(_) => job.webhook.clone().map(Recorded::Webhook),
        Recorded::Announcement(_) => job.announcement.clone().map(Recorded::Announcement),
    }
}

async fn what_became_of_a_delivery_is_on_record(bench: &Bench) {
    let job = job();
    let message = ended(bench, &job, &claim(0)).await;
    let answered = Sent { status: Some(500), ..Sent::later("Oh \"no\": ü") };
    let (pending, _) = DeliveryRecord::pending().after(answered, (now(), now()), now());
    let (delivered, _) = pending.clone().after(Sent::taken(Some(204)), (now(), now()), now());
    for (pending, delivered) in recorded(&pending).iter().zip(&recorded(&delivered)) {
        assert_eq!(on_record(&get(bench, job.id).await, pending), None);
        for state in [pending, delivered] {
            assert_eq!(bench.jobs.record_delivery(&message, state).await.expect("answers"), Held::Yes);
            assert_eq!(on_record(&get(bench, job.id).await, state).as_ref(), Some(state));
        }
        let late = bench.jobs.record_delivery(&message, pending).await.expect("answers");
        assert_eq!(late, Held::No, "a copy of the message was slower");
        assert_eq!(on_record(&get(bench, job.id).await, delivered).as_ref(), Some(delivered));
    }
}

async fn a_delivery_of_an_earlier_end_is_not_on_record(bench: &Bench) {
    for state in recorded(&DeliveryRecord::pending()) {
        let (retried, moved_back) = (job(), job());
        for job in [&retried, &moved_back] {
            let message = ended(bench, job, &claim(0)).await;
            assert_eq!(bench.jobs.record_delivery(&message, &state).await.expect("answers"), Held::Yes);
            let again = if job.id == retried.id {
                bench.jobs.reopen(job.id, terms()).await.expect("answers").expect("it failed")
            } else {
                run(bench, job, &claim(11)).await;
                get(bench, job.id).await
            };
            assert_eq!(on_record(&again, &state), None, "there is no end to tell of");
            assert_eq!(bench.jobs.record_delivery(&message, &state).await.expect("answers"), Held::No);
            assert_eq!(on_record(&get(bench, job.id).await, &state), None);
        }
        let message = ended(bench, &retried, &claim(22)).await;
        assert_eq!(message.retries, 1);
        assert_eq!(bench.jobs.record_delivery(&message, &state).await.expect("answers"), Held::Yes);
    }
}

async fn handing_over_replaces_nothing_that_the_delivery_queue_recorded(bench: &Bench) {
    let (job, claim) = (job(), claim(0));
    let message = ended(bench, &job, &claim).await;
    let first = AnnouncementRecord::pending(Channel::Mail);
    let pending = Recorded::Announcement(first.clone());
    assert_eq!(bench.jobs.record_delivery(&message, &pending).await.expect("answers"), Held::Yes);
    assert_eq!(mark_notified(bench, &job, &claim).await, Held::Yes);
    assert_eq!(get(bench, job.id).await.announcement, Some(first));

    let (job, claim) = (self::job(), self::claim(0));
    ended(bench, &job, &claim).await;
    assert_eq!(mark_notified(bench, &job, &claim).await, Held::Yes);
    let recorded = get(bench, job.id).await.announcement.expect("it is on record");
    assert_eq!((recorded.channel, recorded.delivery.attempts), (Channel::Mail, 1));
}

async fn a_delivery_of_each_kind_waits_in_its_queue(bench: &Bench) {
    let job = Job { status: Status::Failed, ..job() };
    let words = Announcement::failed(&job, &Failure::new("x", "x", "x"));
    let webhook = Payload::Webhook { url: "https://example.org/ü hook".into(), event: json!({"n": 1}) };
    for payload in [webhook, Payload::Announcement(words)] {
        let message = DeliveryMessage::new(&job, payload);
        bench.deliveries.push(&message).await.expect("push");
        assert_eq!(DeliveryMessage::decode(&bench.next_delivery().await).expect("one of ours"), message);
    }
}

async fn a_key_stands_for_the_first_job_that_reserved_it(bench: &Bench) {
    let first = reservation("key", "one request");
    let reserve = async |it: &Reservation| bench.jobs.reserve(it, now()).await.expect("answers");
    assert_eq!(reserve(&first).await, Reserved::Fresh);
    let repeated = |confirmed| Reserved::Repeated { id: first.id, enqueued_at: first.enqueued_at, confirmed };
    assert_eq!(reserve(&reservation("key", "one request")).await, repeated(false));
    bench.jobs.confirm("key").await.expect("answers");
    assert_eq!(reserve(&reservation("key", "one request")).await, repeated(true));
    assert_eq!(reserve(&reservation("key", "another request")).await, Reserved::Differs);
    assert_eq!(reserve(&reservation("another key", "one request")).await, Reserved::Fresh);
    assert_eq!(bench.jobs.get(first.id).await.expect("answers"), None, "a reservation is no record");
}

async fn of_many_reservations_at_once_one_is_fresh(bench: &Bench) {
    let (a, b, c) = (reservation("key", "same"), reservation("key", "same"), reservation("key", "same"));
    let (x, y, z) =
        tokio::join!(bench.jobs.reserve(&a, now()), bench.jobs.reserve(&b, now()), bench.jobs.reserve(&c, now()));
    let fresh = [x, y, z].into_iter().filter(|reserved| matches!(reserved, Ok(Reserved::Fresh))).count();
    assert_eq!(fresh, 1);
}

async fn a_key_is_free_again_when_its_time_is_over(bench: &Bench) {
    let first = reservation("key", "one request");
    bench.jobs.reserve(&first, now()).await.expect("answers");
    bench.jobs.confirm("key").await.expect("answers");
    let later = first.expires_at + chrono::Duration::seconds(1);
    let second =
        Reservation { expires_at: later + chrono::Duration::hours(24), ..reservation("key", "another request") };
    assert_eq!(bench.jobs.reserve(&second, later).await.expect("answers"), Reserved::Fresh);
    let repeated = Reserved::Repeated { id: second.id, enqueued_at: second.enqueued_at, confirmed: false };
    assert_eq!(bench.jobs.reserve(&second, later).await.expect("answers"), repeated);
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

async fn an_object_is_fetched_to_a_file(bench: &Bench) {
    let (key, folder) = (UploadId::new(UploadFormat::Json).key(), tempfile::TempDir::new().expect("a folder"));
    let file = folder.path().join("fetched");
    assert!(!bench.objects.fetch(&key, &file).await.expect("answers"), "it is not there");
    assert_eq!(bench.objects.size(&key).await.expect("answers"), None);
    for content in ["a long first text", "short"] {
        bench.objects.put(&key, "application/json", Content::Bytes(content.as_bytes())).await.expect("put");
        assert_eq!(bench.objects.size(&key).await.expect("answers"), Some(content.len() as u64));
        assert!(bench.objects.fetch(&key, &file).await.expect("answers"));
        assert_eq!(std::fs::read_to_string(&file).expect("a file"), content, "also in place of an earlier one");
    }
    bench.objects.put(&key, "application/json", Content::Bytes(b"another")).await.expect("put");
    assert_eq!(std::fs::read_to_string(&file).expect("a file"), "short", "what was fetched stays as it is");
}

async fn an_upload_is_taken_as_it_was_announced(bench: &Bench) {
    let id = UploadId::new(UploadFormat::Csv);
    let accepts = bench.objects.accept(&id.key(), id.format().content_type(), 5, LONG).await.expect("answers");
    let draft = match accepts {
        Accepts::Url { url, tagging } => {
            assert!(url.contains(&id.key()) && url.contains("X-Amz-Signature="), "{url}");
            assert!(url.contains("X-Amz-SignedHeaders=content-length%3Bcontent-type%3Bhost%3Bx-amz-tagging"), "{url}");
            assert_eq!(tagging, "pressrun-named=no");
            return;
        }
        Accepts::Draft(draft) => draft,
    };
    std::fs::write(&draft, "qty\n1").expect("a draft");
    bench.objects.put(&id.key(), id.format().content_type(), Content::Draft(&draft)).await.expect("put");
    assert_eq!(bench.objects.get(&id.key()).await.expect("answers").as_deref(), Some(&b"qty\n1"[..]));
    assert!(!draft.exists(), "a draft becomes the object");
}

async fn an_announcement_arrives(bench: &Bench) {
    let notify = Notify { tags: vec!["month-end".into(), "eu".into()], ..Notify::default() };
    let announcement = Announcement::completed(&Job { notify, ..job() }, "https://example.org/r/1", in_a_month());
    let sent = bench.notifier.announce(&announcement).await;
    assert_eq!(sent, Sent::taken(None));
    let mail = bench.next_mail().await;
    for part in
        [&announcement.subject, &announcement.job_id.to_string(), "https://example.org/r/1", "completed", "month-end"]
    {
        assert!(mail.contains(part), "{part} is missing in {mail}");
    }
}

async fn requests_are_counted_by_caller_and_minute(bench: &Bench) {
    let count = |caller: &'static str, at: DateTime<Utc>| async move {
        bench.usage.count_request(caller, at, 2).await.expect("the store answers")
    };
    let minute = "2026-11-21T10:00:00Z".parse::<DateTime<Utc>>().expect("a time");
    let later = |seconds| minute + chrono::TimeDelta::seconds(seconds);
    assert!(count("crm", minute).await && count("crm", later(59)).await);
    assert!(!count("crm", later(59)).await, "a third in that minute");
    assert!(count("billing", later(59)).await, "another caller has a count of its own");
    assert!(count("crm", later(60)).await, "the next minute begins at naught");
}

async fn of_many_requests_at_once_no_more_are_counted_than_may_be(bench: &Bench) {
    let now = now();
    let all = (0..20).map(|_| bench.usage.count_request("crm", now, 7));
    let counted = futures_util::future::join_all(all).await;
    assert_eq!(counted.into_iter().filter(|counted| *counted.as_ref().expect("the store answers")).count(), 7);
}

async fn take_off(bench: &Bench, caller: &str, id: JobId, most: u32) -> bool {
    bench.usage.take_off(caller, id, now(), most).await.expect("the store answers")
}

async fn jobs_are_in_flight_until_they_end(bench: &Bench) {
    let (first, second, third) = (job(), job(), job());
    for job in [&first, &second] {
        assert!(take_off(bench, "crm", job.id, 2).await);
        bench.jobs.record(job, terms()).await.expect("the store answers");
    }
    assert!(!take_off(bench, "crm", third.id, 2).await, "two are queued");
    assert!(take_off(bench, "crm", first.id, 2).await, "a request that is repeated asks for no more");
    assert!(!take_off(bench, "crm", third.id, 2).await, "nor for less");
    assert!(take_off(bench, "billing", third.id, 1).await, "another caller has none");
    let claim = claim(0);
    run(bench, &first, &claim).await;
    assert!(!take_off(bench, "crm", third.id, 2).await, "one is queued and one runs");
    _ = bench.jobs.complete(first.id, claim.owner, &completed(now())).await.expect("the store answers");
    assert!(take_off(bench, "crm", third.id, 2).await, "one has ended");
    assert!(!take_off(bench, "crm", job().id, 2).await, "and that one's place is taken");
    fail(bench, &second, &json!({}).into(), false).await;
    assert!(take_off(bench, "crm", job().id, 2).await, "a failure is an end");
}

async fn count_bytes(bench: &Bench, caller: &str, bytes: u64, at: DateTime<Utc>) -> Option<BytesUsed> {
    bench.usage.count_bytes(caller, bytes, at, TimeDelta::days(30), 100).await.expect("the store answers")
}

async fn bytes_count_for_as_long_as_they_are_kept(bench: &Bench) {
    let day = |day| "2026-11-21T10:00:00Z".parse::<DateTime<Utc>>().expect("a time") + TimeDelta::days(day);
    assert_eq!(count_bytes(bench, "crm", 60, day(0)).await, None);
    let used = BytesUsed { bytes: 60, falls_at: "2026-12-22T00:00:00Z".parse().ok() };
    assert_eq!(count_bytes(bench, "crm", 41, day(1)).await, Some(used), "that would be 101");
    assert_eq!(count_bytes(bench, "crm", 40, day(1)).await, None, "what was refused does not count");
    assert_eq!(count_bytes(bench, "billing", 100, day(1)).await, None, "another caller has a count of its own");
    let used = BytesUsed { bytes: 100, ..used };
    assert_eq!(count_bytes(bench, "crm", 0, day(30)).await, Some(used), "all that may be is there");
    assert_eq!(count_bytes(bench, "crm", 0, day(31)).await, None, "the oldest is gone");
    assert_eq!(count_bytes(bench, "crm", 60, day(31)).await, None);
    assert_eq!(count_bytes(bench, "crm", 1, day(31)).await.map(|used| used.bytes), Some(100));
}

async fn of_many_uploads_at_once_no_more_are_counted_than_may_be(bench: &Bench) {
    let now = now();
    let counted = futures_util::future::join_all((0..20).map(|_| count_bytes(bench, "crm", 30, now))).await;
    assert!(counted.into_iter().filter(Option::is_none).count() <= 3);
}

async fn a_report_counts_once_for_its_caller(bench: &Bench) {
    let job = Job { caller: Some("crm".into()), ..job() };
    let claim = claim(0);
    bench.jobs.record(&job, terms()).await.expect("the store answers");
    run(bench, &job, &claim).await;
    let at = now();
    for _ in 0..2 {
        let completed = Completed { pages: 1, bytes: 100, warnings: &[], at };
        assert_eq!(bench.jobs.complete(job.id, claim.owner, &completed).await.expect("the store answers"), Held::Yes);
    }
    assert_eq!(count_bytes(bench, "crm", 0, at).await.map(|used| used.bytes), Some(100));
    assert_eq!(count_bytes(bench, "billing", 0, at).await, None);
}

async fn an_upload_is_kept_once_a_job_names_it(bench: &Bench) {
    let upload = UploadId::new(UploadFormat::Json);
    let key = upload.key();
    assert_eq!(bench.objects.keep(&key, true).await.expect("answers"), None, "it is not there");
    bench.objects.put(&key, "application/json", Content::Bytes(b"{}")).await.expect("put");
    bench.tag_as_callers_do(&key).await;
    assert_eq!(bench.objects.keep(&key, false).await.expect("answers"), None, "its day is over");
    assert_eq!(bench.objects.keep(&key, true).await.expect("answers"), Some(2));
    bench.jobs.record(&Job { input: Some(upload), ..job() }, terms()).await.expect("record");
    assert_eq!(bench.objects.keep(&key, false).await.expect("answers"), Some(2), "it was named in time");
    assert_eq!(bench.objects.get(&key).await.expect("answers").as_deref(), Some(&b"{}"[..]));
}

async fn of_many_jobs_at_once_no_more_take_off_than_may(bench: &Bench) {
    let all = (0..20).map(|_| take_off(bench, "crm", JobId::new(), 7));
    let taken = futures_util::future::join_all(all).await;
    assert_eq!(taken.into_iter().filter(|taken| *taken).count(), 7);
}

async fn a_job_that_is_queued_again_is_in_flight_again(bench: &Bench) {
    let job = job();
    assert!(take_off(bench, "crm", job.id, 1).await);
    bench.jobs.record(&job, terms()).await.expect("the store answers");
    fail(bench, &job, &json!({}).into(), false).await;
    tokio::time::sleep(Duration::from_millis(2)).await;
    assert!(take_off(bench, "crm", job.id, 1).await, "it has failed");
    assert!(!take_off(bench, "crm", JobId::new(), 1).await, "it is about to be reopened");
    bench.jobs.reopen(job.id, terms()).await.expect("the store answers").expect("it is reopened");
    assert!(!take_off(bench, "crm", JobId::new(), 1).await, "it is queued once more");
}

async fn a_job_whose_request_died_is_in_flight_for_a_minute(bench: &Bench) {
    let (lost, at) = (JobId::new(), now());
    let later = |seconds| at + chrono::TimeDelta::seconds(seconds);
    assert!(bench.usage.take_off("crm", lost, at, 1).await.expect("the store answers"));
    assert!(!bench.usage.take_off("crm", JobId::new(), later(59), 1).await.expect("the store answers"));
    assert!(bench.usage.take_off("crm", JobId::new(), later(60), 1).await.expect("the store answers"));
}
