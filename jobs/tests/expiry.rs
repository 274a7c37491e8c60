//! What a data folder keeps no longer goes at once, however much it is.

use std::fs;

use chrono::TimeDelta;
use jobs::job::now;
use jobs::local::Local;
use jobs::{
    Claim, Claimed, Completed, Content, Held, Job, JobId, JobStore, ObjectStore, Purpose, Status, Terms, UploadFormat,
    UploadId,
};
use tempfile::TempDir;
use uuid::Uuid;

/// More than one statement removes.
const EXPIRED: usize = 450;

/// Puts a job on record that is kept for `kept`, ends it, and stores its report.
async fn ended(local: &Local, kept: TimeDelta) -> JobId {
    let (job, owner) = (Job::queued(JobId::new(), "letter", now()), Uuid::new_v4());
    let terms = Terms { overdue_at: now(), expires_at: now() + kept };
    let lease_until = now() + TimeDelta::minutes(1);
    let claim = Claim { owner, now: now(), lease_until, purpose: Purpose::Run, terms };
    assert!(matches!(local.jobs.claim(&job, &claim).await, Ok(Claimed::Run(_))));
    let completed = Completed { pages: 1, bytes: 4, warnings: &[], at: now() };
    assert_eq!(local.jobs.complete(job.id, owner, &completed).await.ok(), Some(Held::Yes));
    let content = Content::Bytes(b"%PDF");
    local.objects.put(&job.id.report_key(), "application/pdf", content).await.expect("stored");
    job.id
}

#[tokio::test]
async fn all_that_is_due_goes_and_nothing_else() {
    let folder = TempDir::new().expect("a folder");
    let local = Local::open(folder.path(), 10).await.expect("it opens");
    let kept = ended(&local, TimeDelta::days(1)).await;
    for _ in 0..EXPIRED {
        ended(&local, TimeDelta::seconds(-1)).await;
    }
    let waiting = Job::queued(JobId::new(), "letter", now());
    let terms = Terms { overdue_at: now(), expires_at: now() - TimeDelta::seconds(1) };
    local.jobs.record(&waiting, terms).await.expect("recorded");

    assert_eq!(local.expiry.remove_expired(now()).await.ok(), Some(EXPIRED));
    let reports = fs::read_dir(folder.path().join("objects/reports")).expect("a folder").count();
    assert_eq!(reports, 1);
    assert!(local.jobs.get(kept).await.expect("the store answers").is_some());
    let status = local.jobs.get(waiting.id).await.expect("the store answers").map(|job| job.status);
    assert_eq!(status, Some(Status::Queued), "what has not ended is not removed");
}

#[tokio::test]
async fn what_cannot_be_removed_stops_nothing_else_and_goes_later() {
    let folder = TempDir::new().expect("a folder");
    let local = Local::open(folder.path(), 10).await.expect("it opens");
    let mut stuck = Vec::new();
    // More than one look finds, and before all others.
    for number in 0..EXPIRED {
        let id = ended(&local, TimeDelta::seconds(-60)).await;
        if number < 250 {
            let report = folder.path().join("objects").join(id.report_key());
            fs::remove_file(&report).expect("removed");
            fs::create_dir(&report).expect("a folder in its place");
            stuck.push((id, report));
        }
    }
    let last = ended(&local, TimeDelta::seconds(-1)).await;
    for (round, removed) in [("the first", EXPIRED - 250 + 1), ("the second", 0)] {
        assert_eq!(local.expiry.remove_expired(now()).await.ok(), Some(removed), "{round}");
    }
    assert_eq!(local.jobs.get(last).await.expect("the store answers"), None);
    for (id, report) in &stuck {
        assert!(local.jobs.get(*id).await.expect("the store answers").is_some(), "it is known what to remove");
        fs::remove_dir(report).expect("removed");
    }
    assert_eq!(local.expiry.remove_expired(now()).await.ok(), Some(250));
}

async fn upload(local: &Local) -> UploadId {
    let id = UploadId::new(UploadFormat::Json);
    local.objects.put(&id.key(), "application/json", Content::Bytes(b"{}")).await.expect("stored");
    id
}

#[tokio::test]
async fn an_upload_is_kept_by_the_job_that_names_it_whoever_wrote_the_folder() {
    let folder = TempDir::new().expect("a folder");
    let local = Local::open(folder.path(), 10).await.expect("it opens");
    let (named, unnamed) = (upload(&local).await, upload(&local).await);
    let job = Job { input: Some(named), ..Job::queued(JobId::new(), "letter", now()) };
    local.jobs.record(&job, Terms::of(&job, now(), TimeDelta::days(1), TimeDelta::days(30))).await.expect("recorded");
    drop(local);

    let local = Local::open(folder.path(), 10).await.expect("it opens");
    let (past, future) = (now() - TimeDelta::days(30), now() + TimeDelta::hours(1));
    assert_eq!(local.expiry.remove_uploads(past, future).await.ok(), Some(1));
    assert_eq!(local.objects.size(&unnamed.key()).await.expect("answers"), None);
    assert_eq!(local.objects.keep(&named.key(), false).await.expect("answers"), Some(2));
    assert_eq!(local.expiry.remove_uploads(future, past).await.ok(), Some(1), "its own time is over");
    let left = fs::read_dir(folder.path().join("objects/uploads")).expect("a folder").count();
    assert_eq!(left, 0);
}

#[tokio::test]
async fn an_upload_that_cannot_be_removed_stops_no_other() {
    let folder = TempDir::new().expect("a folder");
    let local = Local::open(folder.path(), 10).await.expect("it opens");
    let uploads = [upload(&local).await, upload(&local).await, upload(&local).await];
    for stuck in &uploads[..2] {
        let file = folder.path().join("objects").join(stuck.key());
        fs::remove_file(&file).expect("removed");
        fs::create_dir(&file).expect("a folder in its place");
    }
    let future = now() + TimeDelta::hours(1);
    assert_eq!(local.expiry.remove_uploads(now() - TimeDelta::days(30), future).await.ok(), Some(1));
    assert_eq!(local.expiry.remove_uploads(future, future).await.ok(), Some(0), "nor where all go");
}
