//! A processor over a fresh data folder, with templates of the test's own.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use chrono::TimeDelta;
use jobs::local::{Folder, Local};
use jobs::{
    Accepts, Announcing, Busy, Closing, Content, DeliveryMessage, DueDeliveries, Job, JobId, JobStore, LinkSigner,
    Message, ObjectStore, Opened, Patience, Status, Unavailable,
};
use processor::{DEFAULT_SECTION_ROWS, Limits, Press, Processor, Scratch, Verdict};
use tempfile::TempDir;
use tokio::sync::watch;

pub(crate) const MAX_ATTEMPTS: u32 = 3;

pub(crate) struct Bench {
    pub(crate) processor: Processor,
    pub(crate) local: Local,
    pub(crate) objects: Arc<Breakable>,
    /// Interrupts runs when it is true.
    pub(crate) interruption: watch::Sender<bool>,
    folder: TempDir,
}

impl Bench {
    pub(crate) async fn new(templates: &[(&str, &str)]) -> Self {
        Self::with_limits(templates, Limits::default()).await
    }

    pub(crate) async fn with_limits(templates: &[(&str, &str)], limits: Limits) -> Self {
        let folder = TempDir::new().expect("a folder");
        for (name, main) in templates {
            let template = folder.path().join("templates").join(name);
            fs::create_dir_all(&template).expect("a folder");
            fs::write(template.join("main.typ"), main).expect("a template");
        }
        let local = Local::open(&folder.path().join("data"), MAX_ATTEMPTS).await.expect("a fresh data folder opens");
        let objects = Arc::new(Breakable { folder: local.objects.clone(), state: Mutex::new(State::Whole) });
        let (interruption, interrupt) = watch::channel(false);
        let processor = Processor {
            closing: Closing {
                jobs: Arc::new(local.jobs.clone()),
                announcing: Announcing::InRun(Arc::new(local.outbox.clone())),
                deliveries: Arc::new(local.deliveries.clone()),
                links: LinkSigner::new(b"key"),
                public_url: "https://press.test".into(),
                retention: TimeDelta::days(30),
                patience: Patience { retries: 1, first_pause: Duration::from_millis(1) },
            },
            objects: objects.clone(),
            press: Press::new(env!("CARGO_BIN_EXE_processor"), 1, limits),
            templates: folder.path().join("templates"),
            scratch: Scratch::new(local.work.clone()),
            queue_life: TimeDelta::days(4),
            max_attempts: MAX_ATTEMPTS,
            section_rows: DEFAULT_SECTION_ROWS,
            interrupt,
        };
        Self { processor, local, objects, interruption, folder }
    }

    /// The same, with runs that are not interrupted any more.
    pub(crate) fn resumed(mut self) -> Self {
        (self.interruption, self.processor.interrupt) = watch::channel(false);
        self
    }

    pub(crate) async fn process(&self, message: &Message) -> Verdict {
        self.process_delivery(message, 1).await
    }

    pub(crate) async fn process_delivery(&self, message: &Message, receives: u32) -> Verdict {
        self.processor.process(&message.encode(), receives, Instant::now() + Duration::from_secs(60)).await
    }

    pub(crate) async fn job(&self, id: JobId) -> Job {
        self.local.jobs.get(id).await.expect("the store answers").expect("on record")
    }

    pub(crate) async fn report(&self, id: JobId) -> Option<Vec<u8>> {
        self.local.objects.get(&id.report_key()).await.expect("the store answers")
    }

    /// Takes a delivery out of its queue.
    pub(crate) async fn delivery(&self) -> Option<DeliveryMessage> {
        let due = self.local.deliveries.due(&Busy::default(), 1).await.expect("the queue answers").pop()?;
        self.local.deliveries.remove(due.id).await.expect("the queue answers");
        Some(DeliveryMessage::decode(&due.body).expect("one of ours"))
    }

    /// The data folder.
    pub(crate) fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    /// Takes the outbox away, or puts it back.
    pub(crate) fn outbox_is_there(&self, there: bool) {
        let outbox = self.folder.path().join("data/outbox");
        let made = if there { fs::create_dir(outbox) } else { fs::remove_dir(outbox) };
        made.expect("the outbox can be changed");
    }

    pub(crate) fn mail(&self, id: JobId, status: Status) -> String {
        let path = self.folder.path().join("data/outbox").join(format!("{id}-{status}.eml"));
        fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
    }
}

pub(crate) fn mail_count(bench: &Bench) -> usize {
    fs::read_dir(bench.folder.path().join("data/outbox")).expect("an outbox").count()
}

/// A folder of objects that can be made to fail.
pub(crate) struct Breakable {
    folder: Folder,
    state: Mutex<State>,
}

#[derive(Clone, Copy)]
enum State {
    Whole,
    Broken,
    BrokenOnce,
    /// Finds no descriptor free.
    WithoutFiles,
    PanicsOnce,
    /// Takes so many more objects, and does not answer from then on.
    HangsAfter(usize),
}

impl Breakable {
    pub(crate) fn break_down(&self) {
        self.set(State::Broken);
    }

    pub(crate) fn break_down_once(&self) {
        self.set(State::BrokenOnce);
    }

    pub(crate) fn run_out_of_files(&self) {
        self.set(State::WithoutFiles);
    }

    pub(crate) fn panic_once(&self) {
        self.set(State::PanicsOnce);
    }

    pub(crate) fn hang_after(&self, objects: usize) {
        self.set(State::HangsAfter(objects));
    }

    pub(crate) fn mend(&self) {
        self.set(State::Whole);
    }

    fn set(&self, state: State) -> State {
        std::mem::replace(&mut *self.state.lock().expect("nobody panics in here"), state)
    }

    /// The state of this call, and the one after it.
    fn met(&self) -> State {
        let met = self.set(State::Whole);
        match met {
            State::Broken => self.break_down(),
            State::WithoutFiles => self.run_out_of_files(),
            State::HangsAfter(objects) => self.hang_after(objects.saturating_sub(1)),
            State::Whole | State::BrokenOnce | State::PanicsOnce => {}
        }
        met
    }
}

#[async_trait]
impl ObjectStore for Breakable {
    async fn put(&self, key: &str, content_type: &str, content: Content<'_>) -> Result<(), Unavailable> {
        match self.met() {
            State::HangsAfter(0) => std::future::pending().await,
            State::Whole | State::HangsAfter(_) => {}
            State::Broken | State::BrokenOnce => {
                return Err(Unavailable::when("store the report")("the store is broken"));
            }
            State::WithoutFiles => {
                const EMFILE: i32 = 24;
                return Err(Unavailable::when("store the report")(std::io::Error::from_raw_os_error(EMFILE)));
            }
            State::PanicsOnce => panic!("the store panicked"),
        }
        self.folder.put(key, content_type, content).await
    }

    async fn get(&self, key: &str) -> Result<Option<Vec<u8>>, Unavailable> {
        self.folder.get(key).await
    }

    async fn size(&self, key: &str) -> Result<Option<u64>, Unavailable> {
        self.folder.size(key).await
    }

    async fn fetch(&self, key: &str, file: &Path) -> Result<bool, Unavailable> {
        self.folder.fetch(key, file).await
    }

    async fn accept(&self, key: &str, content_type: &str, bytes: u64, time: Duration) -> Result<Accepts, Unavailable> {
        self.folder.accept(key, content_type, bytes, time).await
    }

    async fn remove_under(&self, prefix: &str) -> Result<(), Unavailable> {
        self.folder.remove_under(prefix).await
    }

    async fn open(&self, key: &str, file_name: &str) -> Result<Option<Opened>, Unavailable> {
        self.folder.open(key, file_name).await
    }
}
