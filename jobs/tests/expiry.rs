//! What a data folder keeps no longer goes at once, however much it is.

use std::fs;

use chrono::TimeDelta;
use jobs::job::now;
use jobs::local::Local;
use jobs::{Claim, Claimed, Completed, Content, Held, Job, JobId, JobStore, ObjectStore, Purpose, Status, Terms};
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
