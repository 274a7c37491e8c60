//! A processor over a fresh data folder, with templates of the test's own.

use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use chrono::TimeDelta;
use jobs::local::{Folder, Local};
use jobs::{Content, Job, JobId, JobStore, LinkSigner, Message, ObjectStore, Opened, Status, Unavailable};
use processor::{Limits, Press, Processor, Verdict};
use tempfile::TempDir;

pub(crate) const MAX_ATTEMPTS: u32 = 3;

pub(crate) struct Bench {
    pub(crate) processor: Processor,
    pub(crate) local: Local,
    pub(crate) objects: Arc<Breakable>,
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
        let objects = Arc::new(Breakable { folder: local.objects.clone(), broken: AtomicBool::new(false) });
        let processor = Processor {
            jobs: Arc::new(local.jobs.clone()),
            objects: objects.clone(),
            notifier: Arc::new(local.outbox.clone()),
            press: Press::new(env!("CARGO_BIN_EXE_processor"), 1, limits),
            templates: folder.path().join("templates"),
            work: local.work.clone(),
            links: LinkSigner::new(b"key"),
            public_url: "https://press.test".into(),
            retention: TimeDelta::days(30),
            max_attempts: MAX_ATTEMPTS,
        };
        Self { processor, local, objects, folder }
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
    broken: AtomicBool,
}

impl Breakable {
    pub(crate) fn break_down(&self) {
        self.broken.store(true, Ordering::SeqCst);
    }

    pub(crate) fn mend(&self) {
        self.broken.store(false, Ordering::SeqCst);
    }
}

#[async_trait]
impl ObjectStore for Breakable {
    async fn put(&self, key: &str, content_type: &str, content: Content<'_>) -> Result<(), Unavailable> {
        if self.broken.load(Ordering::SeqCst) {
            return Err(Unavailable::when("store the report")("the store is broken"));
        }
        self.folder.put(key, content_type, content).await
    }

    async fn get(&self, key: &str) -> Result<Option<Vec<u8>>, Unavailable> {
        self.folder.get(key).await
    }

    async fn open(&self, key: &str, file_name: &str) -> Result<Option<Opened>, Unavailable> {
        self.folder.open(key, file_name).await
    }
}
