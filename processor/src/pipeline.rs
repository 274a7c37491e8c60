//! One run of one job, step by step. Any step may be the last this process makes: the message comes back, and the
//! next run finds on record how far the job got.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use chrono::{TimeDelta, Utc};
use jobs::job::now;
use jobs::{
    Announcement, Claim, Claimed, Content, Failure, Held, Job, JobStore, LinkSigner, Message, Notifier, ObjectStore,
    Status, Unavailable,
};
use tokio::time::timeout;
use typesetter::{Options, OutputLimits, Report, Request, UnknownName};
use uuid::Uuid;

use crate::failure::failure;
use crate::press::Press;
use crate::trouble::{Trouble, pause_after};

/// How long before its deadline a run stops typesetting, so that it can still record how the job ended.
pub const RECORDING_MARGIN: Duration = Duration::from_secs(10);

/// What a run works with.
pub struct Processor {
    /// Where jobs are on record.
    pub jobs: Arc<dyn JobStore>,
    /// Where reports go, and large data comes from.
    pub objects: Arc<dyn ObjectStore>,
    /// Who tells people.
    pub notifier: Arc<dyn Notifier>,
    /// What typesets.
    pub press: Press,
    /// The folder of templates, with the shared kit in `kit/`.
    pub templates: PathBuf,
    /// Where a run keeps its files while it runs.
    pub work: PathBuf,
    /// Signs the links in mails.
    pub links: LinkSigner,
    /// Where those links lead, without a slash at the end.
    pub public_url: String,
    /// How long jobs and reports are kept.
    pub retention: TimeDelta,
    /// After how many deliveries a job that meets transient trouble fails for good. The queue must deliver a message
    /// at least once more, so that a job whose every attempt was killed can be failed too.
    pub max_attempts: u32,
}

/// What is to become of the message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It is dealt with: remove it.
    Acknowledge,
    /// Deliver it again after this pause.
    Release(Duration),
    /// It is not ours: leave it, and the queue sets it aside after a few deliveries.
    Reject,
}

/// One run's hold on one job.
struct Run<'a> {
    processor: &'a Processor,
    message: Message,
    claim: Claim,
    receives: u32,
    deadline: Instant,
}

impl Processor {
    /// Runs the job that a message is about, until `deadline` at the latest. `receives` counts the message's
    /// deliveries, this one included.
    pub async fn process(&self, body: &str, receives: u32, deadline: Instant) -> Verdict {
        let message = match Message::decode(body) {
            Ok(message) => message,
            Err(error) => {
                tracing::error!(%error, receives, "rejected a message");
                return Verdict::Reject;
            }
        };
        let now = now();
        let left = deadline.saturating_duration_since(Instant::now());
        let claim = Claim {
            owner: Uuid::new_v4(),
            now,
            lease_until: now + TimeDelta::from_std(left).unwrap_or_default(),
            expires_at: message.enqueued_at + self.retention,
        };
        let run = Run { processor: self, message, claim, receives, deadline };
        match run.start().await {
            Ok(verdict) => verdict,
            Err(Interrupted(reason)) => run.give_back(&reason).await,
        }
    }
}

/// A run could not go on, and another may. Says what happened.
struct Interrupted(String);

impl From<Unavailable> for Interrupted {
    fn from(error: Unavailable) -> Self {
        Self(error.to_string())
    }
}

impl Run<'_> {
    async fn start(&self) -> Result<Verdict, Interrupted> {
        let job = self.message.job();
        match self.processor.jobs.claim(&job, &self.claim).await? {
            Claimed::Run(_) if self.receives > self.processor.max_attempts => self.give_up().await,
            Claimed::Run(attempt) => self.run(attempt).await,
            Claimed::Announce(job) => self.announce(&job).await,
            Claimed::Settled => Ok(Verdict::Acknowledge),
            Claimed::Busy(until) => {
                let left = (until - Utc::now()).to_std().unwrap_or_default();
                Ok(Verdict::Release(left + Duration::from_secs(1)))
            }
        }
    }

    async fn run(&self, attempt: u32) -> Result<Verdict, Interrupted> {
        tracing::info!(job_id = %self.message.id, template = self.message.template, attempt, "running");
        let time = self.left().saturating_sub(RECORDING_MARGIN / 2);
        let made = timeout(time, self.make_report()).await;
        match made.unwrap_or_else(|_| Err(Trouble::Transient("the run's time was over".into()))) {
            Ok(report) => self.complete(&report).await,
            Err(Trouble::Permanent(failure)) => self.fail(&failure).await,
            Err(Trouble::Transient(reason)) if self.receives >= self.processor.max_attempts => {
                let detail = format!("The last of {attempt} attempts said: {reason}.");
                self.fail(&failure("attempts-exhausted", detail)).await
            }
            Err(Trouble::Transient(reason)) => Err(Interrupted(reason)),
        }
    }

    /// Fails a job whose every attempt was killed before it could say why.
    async fn give_up(&self) -> Result<Verdict, Interrupted> {
        let detail = "Each was killed before it could record why. Look at the processor's memory and timeout.";
        self.fail(&failure("attempts-exhausted", detail)).await
    }

    /// Gives the claim back, so that the next run need not wait for the lease to end.
    async fn give_back(&self, reason: &str) -> Verdict {
        tracing::warn!(job_id = %self.message.id, receives = self.receives, reason, "will try again");
        if let Err(error) = self.processor.jobs.release(self.message.id, self.claim.owner).await {
            tracing::warn!(job_id = %self.message.id, %error, "the next run waits for the lease to end");
        }
        Verdict::Release(pause_after(self.receives))
    }

    /// The time until the deadline.
    fn left(&self) -> Duration {
        self.deadline.saturating_duration_since(Instant::now())
    }

    /// Typesets the report and puts it in the object store.
    async fn make_report(&self) -> Result<Report, Trouble> {
        let folder = tempfile::Builder::new().prefix("pressrun-").tempdir_in(&self.processor.work)?;
        let request = self.request(folder.path())?;
        self.load(&request.data).await?;
        let time = self.processor.press.limits().time.min(self.left().saturating_sub(RECORDING_MARGIN));
        let report = self.processor.press.typeset(&request, time).await?;
        for warning in &report.warnings {
            tracing::warn!(job_id = %self.message.id, template = self.message.template, "{}", warning.headline());
        }
        let [file] = report.files.as_slice() else {
            return Err(Trouble::Transient(format!("the typesetter wrote {} files for one PDF", report.files.len())));
        };
        let key = self.message.id.report_key();
        self.processor.objects.put(&key, "application/pdf", Content::File(file)).await?;
        Ok(report)
    }

    fn request(&self, folder: &Path) -> Result<Request, Trouble> {
        let refused = |error: UnknownName| Trouble::Permanent(failure("options-refused", format!("{error}.")));
        let asked = &self.message.options;
        let mut options = Options::new(self.message.enqueued_at, self.message.id.to_string());
        options.pdf_standard = asked.pdf_standard.as_deref().map(str::parse).transpose().map_err(refused)?;
        options.tagged = asked.tagged.unwrap_or(true);
        Ok(Request {
            template: self.processor.templates.join(&self.message.template),
            kit: self.processor.templates.join("kit"),
            data: folder.join("data.json"),
            output: folder.to_owned(),
            options,
            limits: OutputLimits { max_output_bytes: self.processor.press.limits().output_bytes },
        })
    }

    /// Writes the job's data to `file`.
    async fn load(&self, file: &Path) -> Result<(), Trouble> {
        let bytes = match &self.message.data {
            Some(data) => data.to_string().into_bytes(),
            None => self.parked().await?,
        };
        Ok(tokio::fs::write(file, bytes).await?)
    }

    async fn parked(&self) -> Result<Vec<u8>, Trouble> {
        let key = self.message.id.input_key();
        self.processor.objects.get(&key).await?.ok_or_else(|| {
            let detail = format!("There is no {key} in the object store. Queue the job again with its data.");
            Trouble::Permanent(failure("input-missing", detail))
        })
    }

    async fn complete(&self, report: &Report) -> Result<Verdict, Interrupted> {
        let (id, at, pages) = (self.message.id, now(), report.pages as u64);
        match self.processor.jobs.complete(id, self.claim.owner, pages, report.bytes, at).await? {
            Held::No => Ok(self.fenced_off()),
            Held::Yes => {
                tracing::info!(job_id = %id, pages, bytes = report.bytes, "completed");
                let job = Job {
                    status: Status::Completed,
                    pages: Some(pages),
                    bytes: Some(report.bytes),
                    ..self.message.job()
                };
                self.announce(&job).await
            }
        }
    }

    async fn fail(&self, failure: &Failure) -> Result<Verdict, Interrupted> {
        let id = self.message.id;
        match self.processor.jobs.fail(id, self.claim.owner, failure, now()).await? {
            Held::No => Ok(self.fenced_off()),
            Held::Yes => {
                tracing::warn!(job_id = %id, kind = failure.kind, detail = failure.detail, "failed");
                let job = Job { status: Status::Failed, error: Some(failure.clone()), ..self.message.job() };
                self.announce(&job).await
            }
        }
    }

    /// Tells how the job ended, then records that it was told: a run that dies in between tells it twice.
    async fn announce(&self, job: &Job) -> Result<Verdict, Interrupted> {
        let notify = &self.message.notify;
        let announcement = match &job.error {
            Some(failure) => Announcement::failed(job, notify, failure),
            None => {
                let expires_at = job.enqueued_at + self.processor.retention;
                let link = self.processor.links.sign(&self.processor.public_url, job.id, expires_at);
                Announcement::completed(job, notify, &link, expires_at)
            }
        };
        self.processor.notifier.announce(&announcement).await?;
        match self.processor.jobs.mark_notified(job.id, self.claim.owner, now()).await? {
            Held::No => Ok(self.fenced_off()),
            Held::Yes => Ok(Verdict::Acknowledge),
        }
    }

    /// A run that lost its claim leaves the job, and its message, to the run that took over.
    fn fenced_off(&self) -> Verdict {
        tracing::warn!(job_id = %self.message.id, "another run took over");
        Verdict::Release(pause_after(self.receives))
    }
}
