//! Sweeps over the ports of one machine.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use chrono::TimeDelta;
use jobs::job::now;
use jobs::local::Local;
use jobs::{
    Announcing, Claim, Claimed, Closing, Completed, Held, Job, JobId, JobStore, LinkSigner, Message, Patience, Purpose,
    Queue, Status, Terms,
};
use serde_json::json;
use sweeper::Sweeper;
use tempfile::TempDir;
use uuid::Uuid;

const MAX_RECEIVES: u32 = 2;

struct Bench {
    sweeper: Sweeper,
    local: Local,
    folder: TempDir,
}

impl Bench {
    async fn new() -> Self {
        let folder = TempDir::new().expect("a folder");
        let local = Local::open(folder.path(), MAX_RECEIVES).await.expect("a fresh data folder opens");
        let closing = Closing {
            jobs: Arc::new(local.jobs.clone()),
            announcing: Announcing::InRun(Arc::new(local.outbox.clone())),
            deliveries: Arc::new(local.deliveries.clone()),
            links: LinkSigner::new(b"key"),
            public_url: "https://press.test".into(),
            retention: TimeDelta::days(30),
            patience: Patience::default(),
        };
        Self { sweeper: Sweeper { queue: Arc::new(local.queue.clone()), closing }, local, folder }
    }

    async fn sweep(&self) -> usize {
        self.sweeper.sweep().await.expect("the ports answer")
    }

    /// A job on record that is overdue `in_seconds` from now.
    async fn record(&self, in_seconds: i64) -> Job {
        let job = Job::queued(JobId::new(), "letter", now());
        let terms = Terms::of(&job, now(), TimeDelta::seconds(in_seconds), TimeDelta::days(1));
        self.local.jobs.record(&job, terms).await.expect("record");
        job
    }

    /// Queues a message for `job` and delivers it until it is set aside.
    async fn set_aside(&self, job: &Job) {
        self.local.queue.push(&Message::new(job, Some(json!({"n": 1}).into())).encode()).await.expect("push");
        self.deliver_until_dead().await;
    }

    async fn deliver_until_dead(&self) {
        let hidden = Duration::from_secs(60);
        while let Some(delivery) = self.local.queue.receive(hidden, Duration::ZERO).await.expect("the queue answers") {
            self.local.queue.release(&delivery.ticket, Duration::ZERO).await.expect("release");
        }
    }

    async fn claim(&self, job: &Job, lease: TimeDelta) -> Uuid {
        let (owner, now) = (Uuid::new_v4(), now());
        let terms = Terms::of(job, now, TimeDelta::seconds(-1), TimeDelta::days(1));
        let claim = Claim { owner, now, lease_until: now + lease, purpose: Purpose::Run, terms };
        assert!(matches!(self.local.jobs.claim(job, &claim).await.expect("claimed"), Claimed::Run(_)));
        owner
    }

    async fn job(&self, id: JobId) -> Job {
        self.local.jobs.get(id).await.expect("the store answers").expect("on record")
    }

    async fn failure(&self, id: JobId) -> String {
        let job = self.job(id).await;
        assert_eq!(job.status, Status::Failed, "{job:?}");
        assert!(job.notified_at.is_some(), "a failure is announced");
        job.error.expect("a reason").kind
    }
}

fn mails(folder: &Path) -> usize {
    std::fs::read_dir(folder.join("outbox")).expect("an outbox").count()
}

#[tokio::test]
async fn the_job_of_a_dead_letter_is_failed_and_announced_once() {
    let bench = Bench::new().await;
    let job = bench.record(3600).await;
    bench.claim(&job, TimeDelta::zero()).await;
    bench.set_aside(&job).await;
    assert_eq!(bench.sweep().await, 1);
    assert_eq!(bench.failure(job.id).await, "urn:pressrun:problem:attempts-exhausted");
    assert_eq!(bench.job(job.id).await.attempts, 1, "settling is no attempt");
    assert_eq!(bench.local.jobs.kept_input(job.id).await.expect("answers"), Some(json!({"n": 1}).into()));
    assert_eq!((bench.sweep().await, mails(bench.folder.path())), (0, 1));
}

#[tokio::test]
async fn a_dead_letter_whose_job_never_was_on_record_is_a_failed_job() {
    let bench = Bench::new().await;
    let job = Job::queued(JobId::new(), "letter", now());
    bench.set_aside(&job).await;
    assert_eq!(bench.sweep().await, 1);
    assert_eq!(bench.failure(job.id).await, "urn:pressrun:problem:attempts-exhausted");
}

#[tokio::test]
async fn a_run_in_progress_is_left_alone() {
    let bench = Bench::new().await;
    let job = bench.record(-1).await;
    bench.claim(&job, TimeDelta::seconds(60)).await;
    bench.set_aside(&job).await;
    assert_eq!(bench.sweep().await, 0);
    assert_eq!(bench.job(job.id).await.status, Status::Running);
}

#[tokio::test]
async fn a_job_that_was_queued_again_is_not_failed_for_its_old_message() {
    let bench = Bench::new().await;
    let job = bench.record(3600).await;
    bench.set_aside(&job).await;
    bench.sweep().await;
    let terms = Terms::of(&job, now(), TimeDelta::hours(1), TimeDelta::days(1));
    let reopened = bench.local.jobs.reopen(job.id, terms).await.expect("answers");
    assert_eq!(reopened.map(|job| job.status), Some(Status::Queued));
    assert_eq!(bench.sweep().await, 0);
    assert_eq!(bench.job(job.id).await.status, Status::Queued);
}

#[tokio::test]
async fn a_job_without_a_message_is_failed_when_its_time_is_over() {
    let bench = Bench::new().await;
    let (early, late) = (bench.record(3600).await, bench.record(-1).await);
    let waiting = bench.record(-1).await;
    bench.local.queue.push(&Message::new(&waiting, None).encode()).await.expect("push");
    assert_eq!(bench.sweep().await, 1);
    assert_eq!(bench.failure(late.id).await, "urn:pressrun:problem:job-overdue");
    assert_eq!(bench.job(early.id).await.status, Status::Queued);
    assert_eq!(bench.job(waiting.id).await.status, Status::Queued, "its message will come");
}

#[tokio::test]
async fn an_end_that_nobody_was_told_is_announced() {
    let bench = Bench::new().await;
    let job = bench.record(-1).await;
    let owner = bench.claim(&job, TimeDelta::zero()).await;
    assert_eq!(
        bench
            .local
            .jobs
            .complete(job.id, owner, &Completed { pages: 1, bytes: 1, warnings: &[], at: now() })
            .await
            .expect("answers"),
        Held::Yes
    );
    assert_eq!(bench.sweep().await, 1);
    let job = bench.job(job.id).await;
    assert_eq!((job.status, job.notified_at.is_some()), (Status::Completed, true));
    assert_eq!(mails(bench.folder.path()), 1);
}

#[tokio::test]
async fn more_dead_letters_than_one_look_shows_are_all_ended() {
    let bench = Bench::new().await;
    let mut jobs = Vec::new();
    for _ in 0..35 {
        let job = bench.record(3600).await;
        bench.local.queue.push(&Message::new(&job, None).encode()).await.expect("push");
        jobs.push(job);
    }
    bench.deliver_until_dead().await;
    assert_eq!(bench.sweep().await, 35);
    for job in jobs {
        bench.failure(job.id).await;
    }
}

#[tokio::test]
async fn a_dead_letter_that_outlived_its_record_is_let_lie() {
    let bench = Bench::new().await;
    let long_ago = now() - TimeDelta::days(31);
    let job = Job::queued(JobId::new(), "letter", long_ago);
    bench.set_aside(&job).await;
    assert_eq!(bench.sweep().await, 0);
    assert_eq!(bench.local.jobs.get(job.id).await.expect("answers"), None);
}

#[tokio::test]
async fn the_reason_that_a_run_gave_is_kept() {
    let bench = Bench::new().await;
    let job = bench.record(3600).await;
    let owner = bench.claim(&job, TimeDelta::zero()).await;
    let failure = jobs::Failure::attempts_exhausted("The store was broken.");
    let failed = jobs::Failed { failure: &failure, input: None, set_aside: false, at: now() };
    assert_eq!(bench.local.jobs.fail(job.id, owner, &failed).await.expect("answers"), Held::Yes);
    bench.set_aside(&job).await;
    assert_eq!(bench.sweep().await, 1);
    assert_eq!(bench.job(job.id).await.error, Some(failure));
}

#[tokio::test]
async fn what_is_not_a_job_stops_no_sweep() {
    let bench = Bench::new().await;
    bench.local.queue.push("hello").await.expect("push");
    let job = bench.record(3600).await;
    bench.set_aside(&job).await;
    assert_eq!(bench.sweep().await, 1);
}

#[tokio::test]
async fn what_is_kept_no_longer_is_removed_with_its_files() {
    let bench = Bench::new().await;
    let (job, kept) = (bench.record(-1).await, bench.record(-1).await);
    bench.sweep().await;
    assert_eq!(mails(bench.folder.path()), 2);
    let key = job.id.input_key();
    let content = jobs::Content::Bytes(b"{}");
    jobs::ObjectStore::put(&bench.local.objects, &key, "application/json", content).await.expect("put");

    assert_eq!(bench.local.expiry.remove_expired(now()).await.expect("answers"), 0);
    assert_eq!(bench.local.expiry.remove_expired(now() + TimeDelta::days(31)).await.expect("answers"), 2);
    assert_eq!(bench.local.jobs.get(job.id).await.expect("answers"), None);
    assert_eq!(bench.local.jobs.get(kept.id).await.expect("answers"), None);
    assert!(!bench.folder.path().join("objects").join(&key).exists());
    assert_eq!(mails(bench.folder.path()), 0);
}

#[tokio::test]
async fn an_end_that_could_not_be_announced_expires_all_the_same() {
    let bench = Bench::new().await;
    let job = bench.record(3600).await;
    let owner = bench.claim(&job, TimeDelta::zero()).await;
    let completed = Completed { pages: 1, bytes: 1, warnings: &[], at: now() };
    assert_eq!(bench.local.jobs.complete(job.id, owner, &completed).await.expect("answers"), Held::Yes);
    let running = bench.record(3600).await;
    bench.claim(&running, TimeDelta::zero()).await;
    assert_eq!(bench.local.expiry.remove_expired(now() + TimeDelta::days(2)).await.expect("answers"), 1);
    assert_eq!(bench.local.jobs.get(job.id).await.expect("answers"), None);
    assert_eq!(bench.job(running.id).await.status, Status::Running);
}

/// A mail server that hangs.
struct Hung;

#[async_trait::async_trait]
impl jobs::Notifier for Hung {
    fn channel(&self) -> jobs::Channel {
        jobs::Channel::Topic
    }

    async fn announce(&self, _: &jobs::Announcement) -> jobs::Sent {
        std::future::pending().await
    }
}

#[tokio::test]
async fn a_sweep_ends_though_announcing_hangs() {
    let mut bench = Bench::new().await;
    bench.sweeper.closing.announcing = Announcing::InRun(Arc::new(Hung));
    let jobs = [bench.record(-1).await, bench.record(-1).await];
    let start = std::time::Instant::now();
    assert_eq!(bench.sweep().await, 2);
    assert!(start.elapsed() < Duration::from_secs(15), "{:?}", start.elapsed());
    for job in jobs {
        bench.failure(job.id).await;
        let announcement = bench.job(job.id).await.announcement.expect("it is on record");
        assert_eq!(announcement.delivery.status, jobs::DeliveryStatus::Pending);
    }
}
