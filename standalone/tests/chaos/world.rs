//! A world to run jobs in: the ports of one machine with faults before and after every call, and a clock that can be
//! moved.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fs;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use chrono::{DateTime, TimeDelta, Utc};
use courier::{Courier, Poster, SystemLookup};
use jobs::job::now;
use jobs::local::Local;
use jobs::{
    Announcing, Channel, Closing, DeliveryStatus, Destinations, Job, JobId, JobStore, LinkSigner, Message, Notify,
    ObjectStore, Patience, Status,
};
use listener::{Catalogue, Listener};
use processor::{DEFAULT_SECTION_ROWS, Limits, Press, Processor, Scratch, Verdict};
use sweeper::Sweeper;
use tempfile::TempDir;
use tokio::sync::watch;

use crate::faults::Faults;
use crate::ports::Ports;
use crate::queue::{Entry, Messages};

/// After how many deliveries a job that meets trouble fails.
pub(crate) const MAX_ATTEMPTS: u32 = 3;

/// No scenario takes more deliveries than this; one that does goes round in circles.
const MAX_DELIVERIES: usize = 200;

const QUEUE_LIFE: TimeDelta = TimeDelta::days(4);

/// What all processes share.
pub(crate) struct World {
    pub(crate) local: Local,
    pub(crate) dice: Mutex<fastrand::Rng>,
    messages: Mutex<Messages>,
    ahead: Mutex<TimeDelta>,
    announced: Mutex<Vec<(JobId, Status)>>,
    told: Mutex<Vec<(JobId, Status)>>,
    /// Announcements that wait for the courier, and how often it got each.
    deliveries: Mutex<VecDeque<(String, u32)>>,
    stored: Mutex<BTreeMap<String, BTreeSet<Vec<u8>>>>,
    seen: Mutex<BTreeSet<JobId>>,
    announcing: FirstAttempt,
    folder: TempDir,
}

/// Who makes the first attempt to announce an end: the run as on AWS, or the queue as with a mail server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum FirstAttempt {
    OfTheRun,
    OfTheQueue,
}

/// One process and what goes wrong in it.
pub(crate) struct Process {
    pub(crate) faults: Arc<Faults>,
    processor: Processor,
    world: Arc<World>,
}

/// What a delivery came to.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    Killed,
    Done(Verdict),
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().expect("no panic in here")
}

impl World {
    pub(crate) async fn new(seed: u64) -> Arc<Self> {
        Self::announcing(FirstAttempt::OfTheQueue, seed).await
    }

    pub(crate) async fn announcing(announcing: FirstAttempt, seed: u64) -> Arc<Self> {
        let folder = TempDir::new().expect("a folder");
        for (name, main) in [("good", "= Hello\n#json(\"/data.json\").name"), ("broken", "#nothing")] {
            let template = folder.path().join("templates").join(name);
            fs::create_dir_all(&template).expect("a folder");
            fs::write(template.join("main.typ"), main).expect("a template");
        }
        let local = Local::open(&folder.path().join("data"), 9).await.expect("a fresh data folder opens");
        Arc::new(Self {
            local,
            dice: Mutex::new(fastrand::Rng::with_seed(seed)),
            messages: Mutex::default(),
            ahead: Mutex::default(),
            announced: Mutex::default(),
            told: Mutex::default(),
            deliveries: Mutex::default(),
            stored: Mutex::default(),
            seen: Mutex::default(),
            announcing,
            folder,
        })
    }

    pub(crate) fn messages(&self) -> MutexGuard<'_, Messages> {
        lock(&self.messages)
    }

    /// How far this world's clock is ahead of the machine's.
    pub(crate) fn ahead(&self) -> TimeDelta {
        *lock(&self.ahead)
    }

    pub(crate) fn now(&self) -> DateTime<Utc> {
        now() + self.ahead()
    }

    pub(crate) fn advance(&self, by: TimeDelta) {
        *lock(&self.ahead) += by;
    }

    pub(crate) fn see(&self, id: JobId) {
        lock(&self.seen).insert(id);
    }

    pub(crate) fn announce(&self, id: JobId, status: Status) {
        lock(&self.announced).push((id, status));
    }

    pub(crate) fn tell(&self, id: JobId, status: Status) {
        lock(&self.told).push((id, status));
    }

    pub(crate) fn deliver_later(&self, body: &str) {
        lock(&self.deliveries).push_back((body.to_owned(), 0));
    }

    pub(crate) fn store(&self, key: &str, bytes: Vec<u8>) {
        lock(&self.stored).entry(key.to_owned()).or_default().insert(bytes);
    }

    pub(crate) fn announcements(&self, id: JobId) -> Vec<Status> {
        lock(&self.announced).iter().filter(|(of, _)| *of == id).map(|(_, status)| *status).collect()
    }

    pub(crate) async fn job(&self, id: JobId) -> Option<Job> {
        self.local.jobs.get(id).await.expect("the store answers")
    }

    /// The jobs that a queue or store has seen since the last scenario.
    pub(crate) fn seen(&self) -> Vec<JobId> {
        lock(&self.seen).iter().copied().collect()
    }

    pub(crate) async fn local_report(&self, id: JobId) -> Option<Vec<u8>> {
        self.local.objects.get(&id.report_key()).await.expect("the store answers")
    }

    fn ports(self: &Arc<Self>, faults: &Arc<Faults>) -> Arc<Ports> {
        Arc::new(Ports { world: self.clone(), faults: faults.clone() })
    }

    fn closing(self: &Arc<Self>, faults: &Arc<Faults>) -> Closing {
        Closing {
            jobs: self.ports(faults),
            announcing: match self.announcing {
                FirstAttempt::OfTheRun => Announcing::InRun(self.ports(faults)),
                FirstAttempt::OfTheQueue => Announcing::Queued(Channel::Mail),
            },
            deliveries: self.ports(faults),
            links: LinkSigner::new(b"key"),
            public_url: "https://press.test".into(),
            retention: TimeDelta::days(30),
            patience: Patience { retries: 1, first_pause: Duration::from_millis(1) },
        }
    }

    pub(crate) fn process(self: &Arc<Self>) -> Process {
        let faults = Arc::default();
        let processor = Processor {
            closing: self.closing(&faults),
            objects: self.ports(&faults),
            press: Press::new(env!("CARGO_BIN_EXE_pressrun"), 1, Limits::default()),
            templates: self.folder.path().join("templates"),
            scratch: Scratch::new(self.local.work.clone()),
            queue_life: QUEUE_LIFE,
            max_attempts: MAX_ATTEMPTS,
            section_rows: DEFAULT_SECTION_ROWS,
            interrupt: watch::channel(false).1,
        };
        Process { faults, processor, world: self.clone() }
    }

    pub(crate) fn listener(self: &Arc<Self>, faults: &Arc<Faults>) -> axum::Router {
        let listener = Listener {
            webhooks: Destinations::default(),
            queue: self.ports(faults),
            jobs: self.ports(faults),
            objects: self.ports(faults),
            catalogue: Catalogue::new(self.folder.path().join("templates")),
            checks: listener::Checks::default(),
            access: listener::Access::anybody(),
            links: LinkSigner::new(b"key"),
            retention: TimeDelta::days(30),
            queue_life: QUEUE_LIFE,
            max_data_bytes: u64::MAX,
            reports_origin: None,
            longest_wait: Duration::from_secs(60),
            longest_stream: None,
            public_url: None,
        };
        listener.router()
    }

    /// One sweep, when every message that is in no queue must be lost.
    pub(crate) async fn sweep(self: &Arc<Self>) {
        self.advance(QUEUE_LIFE + TimeDelta::hours(1));
        let faults = Arc::default();
        let sweeper = Sweeper { queue: self.ports(&faults), closing: self.closing(&faults) };
        sweeper.sweep().await.expect("nothing goes wrong");
    }

    /// Makes the deliveries that wait, until none is left.
    pub(crate) async fn deliver(self: &Arc<Self>) {
        self.deliver_with(&Arc::default()).await;
    }

    /// The same by a courier that `faults` may stop; what it had in hand waits again then.
    pub(crate) async fn deliver_with(self: &Arc<Self>, faults: &Arc<Faults>) {
        let secrets = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw".parse().expect("a secret");
        let poster = Poster::new(Destinations::default(), Arc::new(SystemLookup), secrets, Duration::from_secs(1));
        let (poster, patience) = (poster.expect("a client"), Patience { retries: 0, first_pause: Duration::ZERO });
        let courier = Courier { jobs: self.ports(faults), poster, notifier: self.ports(faults), patience };
        for _ in 0..MAX_DELIVERIES {
            let Some((body, receives)) = lock(&self.deliveries).pop_front() else { return };
            let verdict = tokio::select! {
                verdict = courier.deliver(&body, receives + 1, self.now()) => Some(verdict),
                () = faults.killed() => None,
            };
            match verdict {
                Some(courier::Verdict::Acknowledge) => continue,
                Some(courier::Verdict::Release(pause)) => self.advance(TimeDelta::from_std(pause).expect("short")),
                Some(courier::Verdict::Reject) => panic!("one of ours was rejected"),
                None => {}
            }
            lock(&self.deliveries).push_front((body, receives + 1));
            if verdict.is_none() {
                return;
            }
        }
        panic!("{MAX_DELIVERIES} attempts and no end");
    }

    /// Queues a job as an accepted one is, its data in the message or parked.
    pub(crate) async fn accept(&self, template: &str, parked: bool) -> JobId {
        let notify = Notify { webhook: Some("https://hooks.test".into()), ..Notify::default() };
        let job = Job { notify, ..Job::queued(JobId::new(), template, now()) };
        let data = serde_json::json!({"name": job.id.to_string()});
        let terms = jobs::Terms::of(&job, self.now(), QUEUE_LIFE, TimeDelta::days(30));
        self.local.jobs.record(&job, terms).await.expect("the store answers");
        if parked {
            let bytes = data.to_string();
            let content = jobs::Content::Bytes(bytes.as_bytes());
            let key = job.id.input_key();
            self.local.objects.put(&key, "application/json", content).await.expect("the store answers");
        }
        self.messages().push(&Message::new(&job, (!parked).then(|| data.into())).encode(), self.now());
        self.see(job.id);
        job.id
    }

    /// The job's message was delivered so often, and each time its run was killed.
    pub(crate) async fn try_in_vain(&self, id: JobId, attempts: u32) {
        self.messages().age(attempts);
        let job = self.job(id).await.expect("on record");
        for _ in 0..attempts {
            let (owner, now) = (uuid::Uuid::new_v4(), self.now());
            let terms = jobs::Terms::of(&job, now, QUEUE_LIFE, TimeDelta::days(30));
            let claim = jobs::Claim { owner, now, lease_until: now, purpose: jobs::Purpose::Run, terms };
            self.local.jobs.claim(&job, &claim).await.expect("the store answers");
        }
    }

    /// The next delivery, at the time it is due.
    pub(crate) fn next_delivery(&self) -> Option<Entry> {
        loop {
            let due = self.messages().next_visible()?;
            let wait = due - self.now();
            if wait > TimeDelta::zero() {
                self.advance(wait);
            }
            if let Some(entry) = self.messages().receive(self.now(), &mut lock(&self.dice)) {
                return Some(entry);
            }
        }
    }

    /// What must hold once no run is left to do and the courier is done: every job ended, was announced as it ended, to its webhook too if it
    /// has one, and has one report or none.
    pub(crate) async fn check(self: &Arc<Self>, told: &str) {
        self.deliver().await;
        let seen = lock(&self.seen).clone();
        for id in seen {
            // A job that was queued but neither accepted nor ever run is not on record.
            let Some(job) = self.job(id).await else { continue };
            assert!(job.status.is_final() && job.notified_at.is_some(), "{id} did not end ({told}): {job:?}");
            let announced = self.announcements(id);
            assert!(announced.contains(&job.status), "{id} was announced as {announced:?} ({told}): {job:?}");
            let recorded = job.announcement.as_ref().expect("it is on record");
            assert_eq!(recorded.delivery.status, DeliveryStatus::Delivered, "{id} ({told}): {job:?}");
            let told_of = job.notify.webhook.is_none() || lock(&self.told).contains(&(id, job.status));
            assert!(told_of, "{id} has a webhook and no event ({told}): {job:?}");
            let reports = lock(&self.stored).get(&id.report_key()).cloned().unwrap_or_default();
            assert!(reports.len() <= 1, "{id} has {} different reports ({told})", reports.len());
            if job.status == Status::Completed {
                let report = self.local_report(id).await;
                let report = report.unwrap_or_else(|| panic!("{id} completed without a report ({told})"));
                assert_eq!(job.bytes, Some(report.len() as u64), "{id} ({told})");
            }
        }
    }

    /// Forgets the jobs so far, so that the next scenario is judged by its own.
    pub(crate) fn forget(&self) {
        lock(&self.seen).clear();
        lock(&self.stored).clear();
        lock(&self.announced).clear();
        lock(&self.told).clear();
        self.messages().dead.clear();
    }
}

impl Process {
    /// Runs one delivery until it ends or the process is gone.
    pub(crate) async fn run(&self, entry: &Entry) -> Outcome {
        let run = async {
            let deadline = Instant::now() + Duration::from_secs(120);
            let verdict = self.processor.process(&entry.body, entry.receives, deadline).await;
            self.answer(entry, verdict.clone()).await;
            verdict
        };
        tokio::select! {
            verdict = run => Outcome::Done(verdict),
            () = self.faults.killed() => Outcome::Killed,
        }
    }

    /// Does with the message what the run said.
    async fn answer(&self, entry: &Entry, verdict: Verdict) {
        // A queue that does not answer delivers the message once more.
        if self.faults.gate("before the answer").await.is_err() {
            return;
        }
        match verdict {
            Verdict::Acknowledge => self.world.messages().acknowledge(entry.ticket),
            Verdict::Release(pause) => {
                let visible_at = self.world.now() + TimeDelta::from_std(pause).expect("a short pause");
                self.world.messages().release(entry.ticket, visible_at);
            }
            Verdict::Requeue(pause) => {
                let visible_at = self.world.now() + TimeDelta::from_std(pause).expect("a short pause");
                self.world.messages().push(&entry.body, visible_at);
                self.world.messages().acknowledge(entry.ticket);
            }
            Verdict::PassOn(body) => {
                self.world.messages().push(&body, self.world.now());
                self.world.messages().acknowledge(entry.ticket);
            }
            Verdict::Reject => {}
        }
        _ = self.faults.gate("after the answer").await;
    }

    /// Runs deliveries until no message is left.
    pub(crate) async fn drain(&self) {
        for _ in 0..MAX_DELIVERIES {
            let Some(entry) = self.world.next_delivery() else { return };
            self.run(&entry).await;
        }
        panic!("{MAX_DELIVERIES} deliveries and no end");
    }
}
