//! Long reports: typeset in sections, taken up where an earlier run left them, and nothing of them left behind.

#[allow(dead_code, reason = "each test file uses some of it")]
mod bench;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use async_trait::async_trait;
use bench::Bench;
use chrono::TimeDelta;
use jobs::job::now;
use jobs::{
    Announcing, Attempt, Channel, Claim, Claimed, Content, Deliveries, DeliveryMessage, Job, JobId, JobStore, Message,
    ObjectStore, Options, Purpose, Status, Terms, Unavailable, UploadFormat, UploadId, Warning,
};
use processor::Verdict;
use serde_json::{Value, json};
use uuid::Uuid;

/// Rows of a section in these tests.
const SECTION_ROWS: u64 = 100;

/// A bench whose templates are the shipped ones.
async fn bench() -> Bench {
    let mut bench = Bench::new(&[]).await;
    bench.processor.templates =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../templates").canonicalize().expect("there");
    bench.processor.section_rows = SECTION_ROWS;
    bench
}

/// A ledger's data without its entries.
fn head() -> Value {
    let sample = Path::new(env!("CARGO_MANIFEST_DIR")).join("../templates/ledger/sample.json");
    let mut data: Value = serde_json::from_slice(&fs::read(sample).expect("a sample")).expect("JSON");
    for column in data["columns"].as_array_mut().expect("columns") {
        // The entries have four of the six.
        column["optional"] = true.into();
    }
    data.as_object_mut().expect("an object").remove("entries");
    data
}

fn entries(count: u64) -> String {
    let entry =
        |n| json!({"date": "2026-07-05", "document": format!("JE-{n}"), "text": "Entry", "debit": format!("{n}.25")});
    (1..=count).map(|n| format!("{}\n", entry(n))).collect()
}

/// The message of a job whose rows are in an upload.
async fn uploaded(bench: &Bench, rows: &str, options: Options) -> Message {
    let upload = UploadId::new(UploadFormat::Ndjson);
    let content = Content::Bytes(rows.as_bytes());
    bench.local.objects.put(&upload.key(), "application/x-ndjson", content).await.expect("the store answers");
    let job = Job { options, input: Some(upload), ..Job::queued(JobId::new(), "ledger", now()) };
    Message::new(&job, Some(head().into()))
}

fn sections_of(bench: &Bench, id: JobId) -> PathBuf {
    bench.data().join("objects").join(id.sections_prefix())
}

/// When each of a job's sections was kept.
fn kept(folder: &Path) -> BTreeMap<PathBuf, SystemTime> {
    let fingerprints = fs::read_dir(folder).into_iter().flatten().flatten();
    let files = fingerprints.flat_map(|entry| fs::read_dir(entry.path()).into_iter().flatten().flatten());
    let sections = files.filter(|file| file.path().extension().is_some_and(|extension| extension == "pdf"));
    sections.map(|file| (file.path(), file.metadata().and_then(|it| it.modified()).expect("a time"))).collect()
}

#[tokio::test]
async fn a_long_report_is_made_in_sections_and_they_are_removed() {
    let bench = bench().await;
    let message = uploaded(&bench, &entries(1_000), Options::default()).await;
    assert_eq!(bench.process(&message).await, Verdict::Acknowledge);
    let job = bench.job(message.id).await;
    assert_eq!(job.status, Status::Completed, "{job:?}");
    let report = bench.report(message.id).await.expect("a report");
    assert_eq!(job.bytes, Some(report.len() as u64));
    assert!(job.pages.is_some_and(|pages| pages > 10), "{job:?}");
    assert_eq!(job.progress, None, "it has ended");
    assert!(!sections_of(&bench, message.id).exists());
}

/// A delivery queue that takes nothing.
struct Closed;

#[async_trait]
impl Deliveries for Closed {
    async fn push(&self, _: &DeliveryMessage) -> Result<(), Unavailable> {
        Err(Unavailable::when("put the delivery in the queue")("it is closed"))
    }
}

#[tokio::test]
async fn sections_are_removed_though_nobody_can_be_told() {
    let mut bench = bench().await;
    bench.processor.closing.announcing = Announcing::Queued(Channel::Mail);
    let open = std::mem::replace(&mut bench.processor.closing.deliveries, Arc::new(Closed));
    let message = uploaded(&bench, &entries(1_000), Options::default()).await;
    assert!(matches!(bench.process(&message).await, Verdict::Release(_)));
    let job = bench.job(message.id).await;
    assert_eq!((job.status, job.notified_at), (Status::Completed, None));
    let folder = sections_of(&bench, message.id);
    assert!(!folder.exists());

    // A run that was killed before it removed them.
    fs::create_dir_all(folder.join("fingerprint")).expect("a folder");
    bench.processor.closing.deliveries = open;
    assert_eq!(bench.process_delivery(&message, 2).await, Verdict::Acknowledge);
    assert!(!folder.exists() && bench.job(message.id).await.notified_at.is_some());
}

#[tokio::test]
async fn a_run_goes_on_from_the_sections_of_the_one_before() {
    let bench = bench().await;
    let message = uploaded(&bench, &entries(3_000), Options::default()).await;
    let folder = sections_of(&bench, message.id);
    let interrupt = async {
        while kept(&folder).len() < 5 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        bench.interruption.send(true).expect("the processor listens");
    };
    let (verdict, ()) = tokio::join!(bench.process(&message), interrupt);
    assert_eq!(verdict, Verdict::Requeue(Duration::ZERO));
    let before = kept(&folder);
    assert!(before.len() >= 5);
    let warning = Warning::new("missing-glyph", "No font has it.", Some("/entries/7/text".into()));
    let section = before.keys().next().expect("a section");
    fs::write(section.with_extension("json"), json!([warning]).to_string()).expect("its warnings are kept");

    let bench = bench.resumed();
    let second = async {
        let mut after = before.clone();
        while !after.is_empty() && bench.report(message.id).await.is_none() {
            let seen = kept(&folder);
            after = if seen.is_empty() { after } else { seen };
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        after
    };
    let (verdict, after) = tokio::join!(bench.process_delivery(&message, 2), second);
    assert_eq!(verdict, Verdict::Acknowledge);
    let job = bench.job(message.id).await;
    assert_eq!((job.status, job.warnings), (Status::Completed, vec![warning]));
    for (section, at) in &before {
        assert_eq!(after.get(section), Some(at), "{} was made twice", section.display());
    }
}

#[tokio::test]
async fn a_run_whose_time_is_over_hands_over_what_it_has() {
    let bench = bench().await;
    let message = uploaded(&bench, &entries(3_000), Options::default()).await;
    // The mark that there may be sections, and one of them.
    bench.objects.hang_after(2);
    // Of a run's time half of the margin for recording is its own: five seconds and what typesetting gets.
    let deadline = Instant::now() + Duration::from_secs(14);
    let verdict = bench.processor.process(&message.encode(), 1, deadline).await;
    let Verdict::PassOn(next) = verdict else { panic!("{verdict:?} {:?}", bench.job(message.id).await) };
    assert_eq!(Message::decode(&next).map(|next| next.handovers).ok(), Some(1));
    let job = bench.job(message.id).await;
    assert_eq!((job.status, job.attempts), (Status::Queued, 1));
    let claim = Claim {
        owner: Uuid::new_v4(),
        now: now(),
        lease_until: now(),
        purpose: Purpose::Run,
        terms: Terms::of(&job, now(), TimeDelta::days(1), TimeDelta::days(1)),
    };
    let claimed = bench.local.jobs.claim(&message.job(), &claim).await.expect("claimed");
    assert_eq!(claimed, Claimed::Run(Attempt { number: 2, counted: 1 }), "the first brought the job further");
    assert_eq!(kept(&sections_of(&bench, message.id)).len(), 1);
}

#[tokio::test]
async fn a_malformed_row_fails_the_job_by_its_line_and_leaves_nothing() {
    let bench = bench().await;
    let rows = format!("{}{{\"date\": \"2026-07-05\", \"debit\": }}\n", entries(2_000));
    let message = uploaded(&bench, &rows, Options::default()).await;
    assert_eq!(bench.process(&message).await, Verdict::Acknowledge);
    let error = bench.job(message.id).await.error.expect("a failed job says why");
    assert_eq!(error.name(), "invalid-data");
    assert_eq!(error.errors[0].line, Some(2_001), "{error:?}");
    assert!(error.errors[0].column.is_some());
    assert!(bench.report(message.id).await.is_none());
    assert!(!sections_of(&bench, message.id).exists());
}

#[tokio::test]
async fn what_sections_cannot_be_is_refused() {
    let bench = bench().await;
    for options in [
        Options { tagged: Some(true), ..Options::default() },
        Options { pdf_standard: Some("a-2b".into()), ..Options::default() },
    ] {
        let message = uploaded(&bench, &entries(5_001), options).await;
        assert_eq!(bench.process(&message).await, Verdict::Acknowledge);
        let error = bench.job(message.id).await.error.expect("a failed job says why");
        assert_eq!(error.name(), "options-refused");
        assert!(error.detail.contains("5001 rows"), "{}", error.detail);
    }
}

#[tokio::test]
async fn a_report_of_few_rows_is_typeset_whole() {
    let bench = bench().await;
    let message = uploaded(&bench, &entries(SECTION_ROWS), Options::default()).await;
    assert_eq!(bench.process(&message).await, Verdict::Acknowledge);
    let report = bench.report(message.id).await.expect("a report");
    assert!(report.windows(9).any(|bytes| bytes == b"/MarkInfo"), "whole reports are tagged");
}
