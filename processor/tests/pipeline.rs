//! Runs of jobs over the ports of one machine, with the typesetter in real child processes.

#[allow(dead_code, reason = "each test file uses some of it")]
mod bench;

use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use bench::{Bench, mail_count};
use chrono::{DateTime, TimeDelta, Utc};
use jobs::job::{MEBIBYTE, ON_MISSING_GLYPH, PDF_STANDARDS, now};
use jobs::{
    Announcement, Announcing, Attempt, Channel, Claim, Claimed, Completed, Content, Data, DeliveryRecord,
    DeliveryStatus, Failure, Job, JobId, JobStore, Message, Notifier, ObjectStore, Options, Payload, Purpose, Sent,
    Status, Terms, UploadFormat, UploadId,
};
use processor::{Limits, Verdict, title_of};
use serde_json::{Value, json};
use typesetter::PdfStandard;
use uuid::Uuid;

const HELLO: &str = r#"#set document(title: "Hello")
#set text(lang: "en")
= Hello #json("/data.json").name"#;

fn message(template: &str) -> Message {
    let job = Job::queued(JobId::new(), template, now());
    Message::new(&job, Some(json!({"name": "world"}).into()))
}

fn claim(now: DateTime<Utc>, lease_until: DateTime<Utc>) -> Claim {
    let terms = Terms { overdue_at: now + TimeDelta::days(4), expires_at: now + TimeDelta::days(30) };
    Claim { owner: Uuid::new_v4(), now, lease_until, purpose: Purpose::Run, terms }
}

async fn failure_of(bench: &Bench, template: &str) -> Failure {
    let message = message(template);
    assert_eq!(bench.process(&message).await, Verdict::Acknowledge);
    let job = bench.job(message.id).await;
    assert_eq!(job.status, Status::Failed, "{job:?}");
    assert!(job.notified_at.is_some(), "a failure is announced as loudly as a success");
    let failure = job.error.expect("a failure has a reason");
    assert!(bench.mail(message.id, Status::Failed).contains(&failure.title));
    failure
}

#[tokio::test]
async fn a_message_becomes_a_report_and_a_mail() {
    let bench = Bench::new(&[("hello", HELLO)]).await;
    let message = message("hello");
    assert_eq!(bench.process(&message).await, Verdict::Acknowledge);

    let job = bench.job(message.id).await;
    assert_eq!((job.status, job.attempts, job.pages), (Status::Completed, 1, Some(1)));
    assert!(job.notified_at.is_some());
    let report = bench.report(message.id).await.expect("a report");
    assert!(report.starts_with(b"%PDF-1.7"));
    assert_eq!(job.bytes, Some(report.len() as u64));
    let mail = bench.mail(message.id, Status::Completed);
    assert!(mail.contains(&format!("https://press.test/r/{}?expires=", message.id)), "{mail}");
}

/// A template that prints its rows, with a schema and a manifest.
fn template_with_rows(bench: &Bench) {
    let folder = bench.processor.templates.join("rows");
    std::fs::create_dir_all(&folder).expect("a folder");
    let main = r#"#let data = json("/data.json")
        #assert.eq(data.lines.map(line => line.qty).sum(default: 0), data.sum)"#;
    let schema = json!({
        "required": ["sum", "lines"],
        "properties": {"lines": {"type": "array", "items": {"properties": {"qty": {"type": "integer", "minimum": 0}}}}},
    });
    for (file, text) in [
        ("main.typ", main),
        ("schema.json", &schema.to_string()),
        ("template.json", r#"{"rows": {"field": "lines", "totals": ["qty"]}}"#),
    ] {
        std::fs::write(folder.join(file), text).expect("a file");
    }
}

/// A message whose job has that text as its upload, if there is to be any, and that data beside it.
async fn uploaded(bench: &Bench, format: UploadFormat, text: Option<&str>, data: Option<Value>) -> Message {
    template_with_rows(bench);
    let input = UploadId::new(format);
    if let Some(text) = text {
        let content = Content::Bytes(text.as_bytes());
        bench.local.objects.put(&input.key(), format.content_type(), content).await.expect("the store answers");
    }
    let job = Job { input: Some(input), ..Job::queued(JobId::new(), "rows", now()) };
    Message::new(&job, data.map(Data::from))
}

#[tokio::test]
async fn an_upload_becomes_the_data_in_every_format() {
    let bench = Bench::new(&[]).await;
    let sum = Some(json!({"sum": 3}));
    for (format, text, data) in [
        (UploadFormat::Json, r#"{"lines": [{"qty": 1}, {"qty": 2}], "sum": 3}"#, None),
        (UploadFormat::Ndjson, "{\"qty\": 1}\n\n{\"qty\": 2}", sum.clone()),
        (UploadFormat::Csv, "qty\r\n1\r\n2\r\n", sum),
    ] {
        let message = uploaded(&bench, format, Some(text), data).await;
        assert_eq!(bench.process(&message).await, Verdict::Acknowledge);
        let job = bench.job(message.id).await;
        assert_eq!((job.status, job.input), (Status::Completed, message.input), "{format:?} {job:?}");
        assert!(bench.report(message.id).await.is_some());
    }
}

#[tokio::test]
async fn an_upload_that_does_not_fit_fails_with_its_lines() {
    let bench = Bench::new(&[]).await;
    let text = "{\"qty\": 1}\n{\"qty\": -1}\n{\"qty\": 0.5}\n";
    let message = uploaded(&bench, UploadFormat::Ndjson, Some(text), Some(json!({"sum": 0}))).await;
    assert_eq!(bench.process(&message).await, Verdict::Acknowledge);
    let failure = bench.job(message.id).await.error.expect("a failure has a reason");
    assert_eq!(failure.name(), "invalid-data");
    assert!(
        failure.detail.contains("2 violations. The first, line 2, column 9, at /lines/1/qty: -1 is"),
        "{failure:?}"
    );
    assert_eq!(failure.errors.iter().map(|it| it.line).collect::<Vec<_>>(), [Some(2), Some(3)]);
    assert!(bench.mail(message.id, Status::Failed).contains("line 3, column 9, at /lines/2/qty"));

    let message = uploaded(&bench, UploadFormat::Csv, None, Some(json!({"sum": 0}))).await;
    assert_eq!(bench.process(&message).await, Verdict::Acknowledge);
    assert_eq!(bench.job(message.id).await.error.expect("a reason").name(), "input-missing");
}

#[tokio::test]
async fn what_a_template_refuses_of_an_upload_has_its_line() {
    let bench = Bench::new(&[]).await;
    let sum = Some(json!({"sum": 3}));
    for (format, text, data, place) in [
        (UploadFormat::Json, "{\"sum\": 3,\n \"lines\": [{\"qty\": 1},\n  {\"qty\": 2}]}", None, (Some(3), Some(11))),
        (UploadFormat::Ndjson, "{\"qty\": 1}\n\n{\"qty\": 2}", sum.clone(), (Some(3), Some(9))),
        (UploadFormat::Csv, "qty\r\n1\r\n2\r\n", sum, (Some(3), None)),
    ] {
        let message = uploaded(&bench, format, Some(text), data).await;
        let main = bench.processor.templates.join("rows/main.typ");
        std::fs::write(main, "#pressrun.refuse(\"/lines/1/qty\", \"it is odd\")").expect("a template");
        assert_eq!(bench.process(&message).await, Verdict::Acknowledge);
        let failure = bench.job(message.id).await.error.expect("a failure has a reason");
        let errors: Vec<_> = failure.errors.iter().map(|it| ((it.line, it.column), it.pointer.as_str())).collect();
        assert_eq!(errors, [(place, "/lines/1/qty")], "{format:?} {failure:?}");
        assert!(failure.detail.contains("The first, line 3"), "{failure:?}");
    }
}

#[tokio::test]
async fn an_empty_upload_is_a_report_without_rows() {
    let bench = Bench::new(&[]).await;
    let message = uploaded(&bench, UploadFormat::Ndjson, Some(""), Some(json!({"sum": 0}))).await;
    assert_eq!(bench.process(&message).await, Verdict::Acknowledge);
    assert_eq!(bench.job(message.id).await.status, Status::Completed);
}

#[tokio::test]
async fn uploaded_data_over_the_limit_is_not_put_together() {
    let limits = Limits { data_bytes: 1_000, ..Limits::default() };
    let bench = Bench::with_limits(&[], limits).await;
    let text = "{\"qty\": 1}\n".repeat(200);
    let message = uploaded(&bench, UploadFormat::Ndjson, Some(&text), Some(json!({"sum": 200}))).await;
    assert_eq!(bench.process(&message).await, Verdict::Acknowledge);
    assert_eq!(bench.job(message.id).await.error.expect("a reason").name(), "data-limit-exceeded");
}

#[tokio::test]
async fn the_end_of_a_job_with_a_webhook_waits_for_the_courier() {
    let bench = Bench::new(&[("hello", HELLO), ("broken", "#nothing")]).await;
    for (template, status) in [("hello", Status::Completed), ("broken", Status::Failed)] {
        let mut message = message(template);
        message.notify.webhook = Some("https://example.org/hook".into());
        assert_eq!(bench.process(&message).await, Verdict::Acknowledge);
        let told = bench.delivery().await.expect("an event");
        let Payload::Webhook { url, event } = told.payload else { panic!("{told:?}") };
        assert_eq!((told.id, told.status, url.as_str()), (message.id, status, "https://example.org/hook"));
        let (job, data) = (bench.job(message.id).await, &event["data"]);
        assert_eq!(event["type"], format!("job.{status}"));
        assert_eq!(
            (&data["attempts"], &data["finished_at"]),
            (&json!(1), &json!(job.finished_at.as_ref().map(jobs::rfc3339::text)))
        );
        let link = data["link"].as_str().unwrap_or_default();
        assert_eq!(link.starts_with("https://press.test/r/"), status == Status::Completed, "{data}");
        assert_eq!(data["error"]["type"].is_string(), status == Status::Failed, "{data}");
    }
    assert_eq!(bench.process(&message("hello")).await, Verdict::Acknowledge);
    assert_eq!(bench.delivery().await, None, "nobody asked for it");
}

#[tokio::test]
async fn a_second_delivery_changes_nothing() {
    let bench = Bench::new(&[("hello", HELLO)]).await;
    let message = message("hello");
    bench.process(&message).await;
    let (job, report) = (bench.job(message.id).await, bench.report(message.id).await);
    assert_eq!(bench.process(&message).await, Verdict::Acknowledge);
    assert_eq!((bench.job(message.id).await, bench.report(message.id).await), (job, report));
    assert_eq!(mail_count(&bench), 1);
}

#[tokio::test]
async fn a_job_that_another_run_holds_is_left_to_it() {
    let bench = Bench::new(&[("hello", HELLO)]).await;
    let (message, now) = (message("hello"), now());
    let lease_until = now + TimeDelta::seconds(30);
    let claim = claim(now, lease_until);
    assert_eq!(bench.local.jobs.claim(&message.job(), &claim).await.expect("claimed"), Claimed::Run(Attempt::FIRST));
    match bench.process(&message).await {
        Verdict::Requeue(pause) => {
            assert!(pause > Duration::from_secs(20) && pause < Duration::from_secs(40), "{pause:?}")
        }
        other => panic!("{other:?}"),
    }
    assert_eq!(bench.job(message.id).await.attempts, 1);
}

#[tokio::test]
async fn a_completed_job_that_nobody_heard_of_is_announced_and_not_made_again() {
    let bench = Bench::new(&[("hello", HELLO)]).await;
    let (message, past) = (message("hello"), now() - TimeDelta::minutes(5));
    let claim = claim(past, past);
    assert_eq!(bench.local.jobs.claim(&message.job(), &claim).await.expect("claimed"), Claimed::Run(Attempt::FIRST));
    _ = bench
        .local
        .jobs
        .complete(message.id, claim.owner, &Completed { pages: 1, bytes: 1, warnings: &[], at: past })
        .await
        .expect("completed");

    assert_eq!(bench.process(&message).await, Verdict::Acknowledge);
    assert!(bench.job(message.id).await.notified_at.is_some());
    bench.mail(message.id, Status::Completed);
    assert_eq!(bench.report(message.id).await, None, "the run only told what another had made");
}

#[tokio::test]
async fn parked_data_is_fetched_and_missing_data_fails_the_job() {
    let bench = Bench::new(&[("hello", HELLO)]).await;
    let parked = Message { data: None, ..message("hello") };
    let content = jobs::Content::Bytes(br#"{"name": "parked"}"#);
    let key = parked.id.input_key();
    bench.local.objects.put(&key, "application/json", content).await.expect("parked");
    bench.process(&parked).await;
    assert_eq!(bench.job(parked.id).await.status, Status::Completed);

    let lost = Message { data: None, ..message("hello") };
    assert_eq!(bench.process(&lost).await, Verdict::Acknowledge);
    assert_eq!(bench.job(lost.id).await.error.expect("a reason").kind, "urn:pressrun:problem:input-missing");
}

#[tokio::test]
async fn a_templates_error_is_told_with_its_place() {
    let bench = Bench::new(&[("broken", "#let x = 1\n\nHere: #nothing")]).await;
    let failure = failure_of(&bench, "broken").await;
    assert_eq!(failure.kind, "urn:pressrun:problem:template-error");
    let [diagnostic] = failure.diagnostics.as_slice() else { panic!("{failure:?}") };
    assert_eq!((diagnostic.file.as_deref(), diagnostic.line, diagnostic.column), (Some("main.typ"), Some(3), Some(8)));
    assert!(
        diagnostic.rendered.contains("main.typ:3:8") && diagnostic.rendered.contains('^'),
        "{}",
        diagnostic.rendered
    );
}

#[tokio::test]
async fn a_template_that_is_gone_fails_the_job() {
    let bench = Bench::new(&[]).await;
    let failure = failure_of(&bench, "gone").await;
    assert_eq!(failure.kind, "urn:pressrun:problem:template-missing");
    assert_eq!(failure.detail, "No template at gone: a template is a folder that holds main.typ.");
}

#[tokio::test]
async fn each_limit_has_its_name_and_the_next_job_is_served() {
    let templates = [
        ("endless", "#for a in range(100000) { for b in range(100000) { let c = a * b } }"),
        ("greedy", "#let all = range(1000000000)"),
        ("boundless", "#let all = (1,) * 900000000000000000"),
        ("huge", "#for n in range(1000) [#n #pagebreak()]"),
        ("hello", HELLO),
    ];
    let limits = Limits {
        time: Duration::from_secs(2),
        memory_bytes: 512 * MEBIBYTE,
        output_bytes: 64 * 1024,
        ..Limits::default()
    };
    let bench = Bench::with_limits(&templates, limits).await;
    for (template, name) in
        [("endless", "time-limit-exceeded"), ("greedy", "memory-limit-exceeded"), ("huge", "output-limit-exceeded")]
    {
        let start = Instant::now();
        let failure = failure_of(&bench, template).await;
        assert_eq!(failure.kind, format!("urn:pressrun:problem:{name}"), "{failure:?}");
        assert!(start.elapsed() < Duration::from_secs(30), "{template} took {:?}", start.elapsed());
        let next = message("hello");
        bench.process(&next).await;
        assert_eq!(bench.job(next.id).await.status, Status::Completed, "after {template}");
    }
}

#[tokio::test]
async fn a_template_reads_nothing_outside_its_folder() {
    let secret = "#read(\"../hello/main.typ\")";
    let bench = Bench::new(&[("thief", secret), ("hello", HELLO)]).await;
    let failure = failure_of(&bench, "thief").await;
    assert_eq!(failure.kind, "urn:pressrun:problem:template-error");
}

#[cfg(unix)]
#[tokio::test]
async fn an_attempt_that_found_no_file_to_open_does_not_count_for_a_day() {
    let bench = Bench::new(&[("hello", HELLO)]).await;
    let fresh = message("hello");
    bench.objects.run_out_of_files();
    for _ in 0..=bench::MAX_ATTEMPTS {
        let verdict = bench.process(&fresh).await;
        assert!(matches!(verdict, Verdict::Requeue(pause) if !pause.is_zero()), "{verdict:?}");
        assert_eq!(bench.job(fresh.id).await.attempts, 0);
    }
    let job = Job { enqueued_at: now() - TimeDelta::days(2), ..Job::queued(JobId::new(), "hello", now()) };
    let old = Message::new(&job, Some(json!({"name": "world"}).into()));
    assert!(matches!(bench.process(&old).await, Verdict::Release(_)), "it may be what uses them up");
    assert_eq!(bench.job(old.id).await.attempts, 1);
    bench.objects.mend();
    assert_eq!(bench.process(&fresh).await, Verdict::Acknowledge);
    let job = bench.job(fresh.id).await;
    assert_eq!((job.status, job.attempts), (Status::Completed, 1), "{job:?}");
}

#[tokio::test]
async fn trouble_that_may_pass_is_tried_again_and_then_given_up() {
    let bench = Bench::new(&[("hello", HELLO)]).await;
    bench.objects.break_down();
    let message = message("hello");
    for receives in 1..bench::MAX_ATTEMPTS {
        let verdict = bench.process_delivery(&message, receives).await;
        let Verdict::Release(pause) = verdict else { panic!("{verdict:?}") };
        let longest = Duration::from_secs(5 << receives);
        assert!(pause <= longest && pause >= longest * 3 / 4, "{pause:?} is not up to a quarter less than {longest:?}");
        assert_eq!(bench.job(message.id).await.status, Status::Queued);
    }
    assert_eq!(bench.process_delivery(&message, bench::MAX_ATTEMPTS).await, Verdict::Acknowledge);
    let job = bench.job(message.id).await;
    assert_eq!((job.status, job.attempts), (Status::Failed, bench::MAX_ATTEMPTS));
    let failure = job.error.expect("a reason");
    assert_eq!(failure.kind, "urn:pressrun:problem:attempts-exhausted");
    assert!(failure.detail.contains("the store is broken"), "{failure:?}");
    bench.mail(message.id, Status::Failed);
}

#[tokio::test]
async fn trouble_that_passes_costs_only_an_attempt() {
    let bench = Bench::new(&[("hello", HELLO)]).await;
    bench.objects.break_down();
    let message = message("hello");
    assert!(matches!(bench.process_delivery(&message, 1).await, Verdict::Release(_)));
    bench.objects.mend();
    assert_eq!(bench.process_delivery(&message, 2).await, Verdict::Acknowledge);
    let job = bench.job(message.id).await;
    assert_eq!((job.status, job.attempts), (Status::Completed, 2));
}

#[tokio::test]
async fn a_job_whose_every_attempt_was_killed_is_failed_by_the_next_delivery() {
    let bench = Bench::new(&[("hello", HELLO)]).await;
    let (message, past) = (message("hello"), now() - TimeDelta::minutes(5));
    for attempt in 1..=bench::MAX_ATTEMPTS {
        let claimed = bench.local.jobs.claim(&message.job(), &claim(past, past)).await;
        assert_eq!(claimed.expect("claimed"), Claimed::Run(Attempt::nth(attempt)));
    }

    assert_eq!(bench.process_delivery(&message, bench::MAX_ATTEMPTS + 1).await, Verdict::Acknowledge);
    let failure = bench.job(message.id).await.error.expect("a reason");
    assert_eq!(failure.kind, "urn:pressrun:problem:attempts-exhausted");
    bench.mail(message.id, Status::Failed);
    assert_eq!(bench.report(message.id).await, None);
}

#[tokio::test]
async fn an_announcement_that_fails_is_left_to_the_delivery_queue() {
    let bench = Bench::new(&[("hello", HELLO)]).await;
    let message = message("hello");
    bench.outbox_is_there(false);
    assert_eq!(bench.process(&message).await, Verdict::Acknowledge);
    let job = bench.job(message.id).await;
    assert_eq!((job.status, job.notified_at.is_some()), (Status::Completed, true));
    let announcement = job.announcement.expect("an attempt is on record");
    assert_eq!((announcement.channel, announcement.delivery.status), (Channel::Outbox, DeliveryStatus::Pending));
    let error = announcement.delivery.latest[0].error.as_deref().expect("a reason");
    assert_eq!(error, "The mail could not be written: No such file or directory (os error 2).");
    let left = bench.delivery().await.expect("the announcement");
    assert!(matches!(left.payload, Payload::Announcement(ref words) if words.job_id == message.id), "{left:?}");
}

/// A mail server that does what it is told to.
struct Mailer {
    hangs: bool,
    answer: Sent,
}

#[async_trait]
impl Notifier for Mailer {
    fn channel(&self) -> Channel {
        Channel::Topic
    }

    async fn announce(&self, _: &Announcement) -> Sent {
        if self.hangs {
            std::future::pending::<()>().await;
        }
        self.answer.clone()
    }
}

#[tokio::test]
async fn a_run_announces_in_one_attempt_of_a_few_seconds() {
    let later = Sent::later("busy");
    for (hangs, answer, status, is_left) in [
        (true, later.clone(), DeliveryStatus::Pending, true),
        (false, later, DeliveryStatus::Pending, true),
        (false, Sent::refused("never"), DeliveryStatus::Refused, false),
        (false, Sent::taken(None), DeliveryStatus::Delivered, false),
    ] {
        let mut bench = Bench::new(&[("hello", HELLO)]).await;
        bench.processor.closing.announcing = Announcing::InRun(Arc::new(Mailer { hangs, answer }));
        let message = message("hello");
        let start = Instant::now();
        assert_eq!(bench.process(&message).await, Verdict::Acknowledge);
        assert!(start.elapsed() < Duration::from_secs(20), "{:?}", start.elapsed());
        let job = bench.job(message.id).await;
        let delivery = job.announcement.expect("it is on record").delivery;
        assert_eq!((job.status, delivery.status, delivery.attempts), (Status::Completed, status, 1));
        assert_eq!(bench.delivery().await.is_some(), is_left, "{status:?}");
    }
}

#[tokio::test]
async fn a_run_leaves_what_takes_its_time_to_the_delivery_queue() {
    let mut bench = Bench::new(&[("hello", HELLO)]).await;
    bench.processor.closing.announcing = Announcing::Queued(Channel::Mail);
    let message = message("hello");
    assert_eq!(bench.process(&message).await, Verdict::Acknowledge);
    let announcement = bench.job(message.id).await.announcement.expect("it is on record");
    assert_eq!((announcement.channel, announcement.delivery), (Channel::Mail, DeliveryRecord::pending()));
    assert!(bench.delivery().await.is_some());
    assert_eq!(mail_count(&bench), 0);
}

/// Data with numbers that a double does not hold.
const LONG: &str = r#"{"n": 9007199254740993.010, "lines": [{"qty": 9223372036854775808}]}"#;

#[tokio::test]
async fn templates_read_numbers_as_they_were_written() {
    let main = "#let data = json(\"/data.json\")\n#assert.eq(data.n, \"9007199254740993.010\")\n\
                #assert.eq(data.lines.first().qty, \"9223372036854775808\")\nx";
    let bench = Bench::new(&[("plain", main), ("rows", main)]).await;
    std::fs::write(
        bench.processor.templates.join("rows/template.json"),
        r#"{"rows": {"field": "lines", "totals": ["qty"]}}"#,
    )
    .expect("a manifest");
    for template in ["plain", "rows"] {
        let message = Message::new(&Job::queued(JobId::new(), template, now()), serde_json::from_str(LONG).ok());
        bench.process(&message).await;
        let job = bench.job(message.id).await;
        assert_eq!((job.status, &job.error), (Status::Completed, &None), "{template}");
    }
}

#[tokio::test]
async fn a_number_of_too_many_digits_is_the_datas_fault() {
    let bench = Bench::new(&[("plain", "x")]).await;
    let data = serde_json::from_str(&LONG.replace(".010", &"1".repeat(20))).expect("JSON");
    let message = Message::new(&Job::queued(JobId::new(), "plain", now()), Some(data));
    bench.process(&message).await;
    let failure = bench.job(message.id).await.error.expect("a failure");
    assert!(failure.kind.ends_with(":invalid-data") && failure.errors[0].pointer == "/n", "{failure:?}");
    assert!(failure.detail.ends_with("Mend the data and queue it again."), "{failure:?}");
}

#[tokio::test]
async fn a_failed_job_keeps_its_data() {
    let bench = Bench::new(&[("broken", "#nothing")]).await;
    let message = message("broken");
    bench.process(&message).await;
    assert_eq!(bench.local.jobs.kept_input(message.id).await.expect("the store answers"), message.data);
}

#[tokio::test]
async fn too_much_data_fails_the_job() {
    let limits = Limits { data_bytes: 15, ..Limits::default() };
    let bench = Bench::with_limits(&[("hello", HELLO)], limits).await;
    assert_eq!(failure_of(&bench, "hello").await.kind, "urn:pressrun:problem:data-limit-exceeded");
}

#[tokio::test]
async fn trouble_that_passes_within_a_moment_costs_nothing() {
    let bench = Bench::new(&[("hello", HELLO)]).await;
    bench.objects.break_down_once();
    let message = message("hello");
    assert_eq!(bench.process(&message).await, Verdict::Acknowledge);
    let job = bench.job(message.id).await;
    assert_eq!((job.status, job.attempts), (Status::Completed, 1));
}

#[tokio::test]
async fn a_run_that_panics_fails_its_job_and_no_other() {
    let bench = Bench::new(&[("hello", HELLO)]).await;
    bench.objects.panic_once();
    let failure = failure_of(&bench, "hello").await;
    assert_eq!(failure.kind, "urn:pressrun:problem:processor-panicked");
    assert!(failure.detail.contains("the store panicked"), "{failure:?}");
    let next = message("hello");
    bench.process(&next).await;
    assert_eq!(bench.job(next.id).await.status, Status::Completed);
}

#[tokio::test]
async fn an_interrupted_run_gives_its_job_back_at_once() {
    let bench =
        Bench::new(&[("endless", "#for a in range(100000) { for b in range(100000) { let c = a * b } }")]).await;
    let message = message("endless");
    let interrupt = async {
        while bench.local.jobs.get(message.id).await.expect("the store answers").is_none() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        bench.interruption.send(true).expect("the processor listens");
    };
    let (verdict, ()) = tokio::join!(bench.process(&message), interrupt);
    assert_eq!(verdict, Verdict::Requeue(Duration::ZERO));
    let job = bench.job(message.id).await;
    assert_eq!((job.status, job.attempts, job.error), (Status::Queued, 0, None));
}

#[tokio::test]
async fn deliveries_without_attempts_are_no_reason_to_give_up() {
    let bench = Bench::new(&[("hello", HELLO)]).await;
    let message = message("hello");
    for receives in [bench::MAX_ATTEMPTS, bench::MAX_ATTEMPTS + 7] {
        assert_eq!(bench.process_delivery(&message, receives).await, Verdict::Requeue(Duration::ZERO));
        let job = bench.job(message.id).await;
        assert_eq!((job.status, job.attempts), (Status::Queued, 0));
    }
    assert_eq!(bench.process(&message).await, Verdict::Acknowledge);
    assert_eq!(bench.job(message.id).await.status, Status::Completed);
}

#[tokio::test]
async fn a_run_that_lost_its_claim_puts_nothing_in_the_store() {
    let bench = Bench::new(&[("hello", HELLO)]).await;
    let message = message("hello");
    let later = now() + TimeDelta::hours(1);
    let taken_over = async || {
        // As another run would, an hour later by its clock.
        let claimed = bench.local.jobs.claim(&message.job(), &claim(later, later + TimeDelta::minutes(1))).await;
        assert_eq!(claimed.expect("claimed"), Claimed::Run(Attempt::nth(2)));
    };
    let takeover = async {
        while bench.local.jobs.get(message.id).await.expect("the store answers").is_none() {
            tokio::task::yield_now().await;
        }
        taken_over().await;
    };
    let (verdict, ()) = tokio::join!(bench.process(&message), takeover);
    assert!(matches!(verdict, Verdict::Release(_)), "{verdict:?}");
    assert_eq!(bench.report(message.id).await, None);
    assert_eq!(bench.job(message.id).await.status, Status::Running, "the other run goes on");
    assert_eq!(mail_count(&bench), 0);
}

#[tokio::test]
async fn a_message_that_is_not_ours_is_rejected() {
    let bench = Bench::new(&[]).await;
    let deadline = Instant::now() + Duration::from_secs(60);
    for body in ["", "hello", "{}", r#"{"version": 99}"#] {
        assert_eq!(bench.processor.process(body, 1, deadline).await, Verdict::Reject, "{body}");
    }
}

#[tokio::test]
async fn every_standard_that_the_listener_takes_is_known_to_the_typesetter() {
    assert_eq!(PDF_STANDARDS, PdfStandard::ALL.map(PdfStandard::as_str));
    let bench = Bench::new(&[("hello", HELLO)]).await;
    for standard in ["a-2b", "ua-1"] {
        let options = Options { pdf_standard: Some(standard.into()), ..Options::default() };
        let message = Message { options, ..message("hello") };
        bench.process(&message).await;
        let job = bench.job(message.id).await;
        assert_eq!(job.status, Status::Completed, "{job:?}");
    }
}

#[tokio::test]
async fn every_way_to_treat_missing_glyphs_is_known_to_the_typesetter() {
    let bench = Bench::new(&[("hello", HELLO)]).await;
    for way in ON_MISSING_GLYPH {
        let options = Options { on_missing_glyph: Some(way.into()), ..Options::default() };
        let message = Message { options, ..message("hello") };
        bench.process(&message).await;
        let job = bench.job(message.id).await;
        assert_eq!(job.status, Status::Completed, "{job:?}");
    }
}

#[test]
fn every_error_of_the_typesetter_has_a_title() {
    for name in [
        "template-error",
        "output-limit-exceeded",
        "page-limit-exceeded",
        "options-refused",
        "section-refused",
        "template-missing",
        "typesetter-panicked",
    ] {
        assert!(title_of(name).is_some(), "{name}");
    }
}
