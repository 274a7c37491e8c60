//! One run of one job, step by step. Any step may be the last this process makes: the message comes back, and the
//! next run finds on record how far the job got.

use std::panic::AssertUnwindSafe;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use chrono::{DateTime, TimeDelta, Utc};
use futures_util::FutureExt;
use jobs::job::{now, shortened};
use jobs::{
    Attempt, Claim, Claimed, Closing, Completed, Failed, Failure, Held, Job, LEASE, Message, ObjectStore, Purpose,
    Terms, Unavailable, caller_of,
};
use telemetry::{metrics, trace};
use tokio::sync::watch;
use tokio::time::sleep;
use tracing::Span;
use tracing::field::Empty;
use typesetter::Report;
use uuid::Uuid;

use crate::failure::failure_of_panic;
use crate::lack::Lack;
use crate::press::Press;
use crate::scratch::Scratch;
use crate::trouble::{Trouble, pause_after};
use crate::turns::Turn;

/// How long before its deadline a run stops typesetting, so that it can still record how the job ended.
pub const RECORDING_MARGIN: Duration = Duration::from_secs(10);

/// How much of the last attempt's trouble is told, in characters.
const MAX_REASON_CHARS: usize = 4_000;

/// For how long a job's attempts do not count that end for want of what the machine lacks. One that is queued longer may be
/// what uses it up.
const FORGIVEN_FOR: TimeDelta = TimeDelta::days(1);

/// How long a message at the most waits for another run that holds its job.
const LONGEST_LOOK: Duration = Duration::from_secs(120);

/// How often a run renews its claim.
const RENEWAL: Duration = Duration::from_secs(20);

/// What a run works with.
pub struct Processor {
    /// Where jobs are on record, and how they end.
    pub closing: Closing,
    /// Where reports go, and large data comes from.
    pub objects: Arc<dyn ObjectStore>,
    /// What typesets.
    pub press: Press,
    /// The folder of templates, with the shared kit in `kit/`.
    pub templates: PathBuf,
    /// Where a run keeps its files while it runs.
    pub scratch: Scratch,
    /// How long the queue keeps a message.
    pub queue_life: TimeDelta,
    /// After how many attempts that [count](Attempt::counted) a job fails for good. The queue must deliver a message at least
    /// once more, so that a job whose every attempt was killed can be failed too.
    pub max_attempts: u32,
    /// How many rows make a section, about; a report with more is typeset in sections. 0 to typeset all reports whole.
    pub section_rows: u64,
    /// Turns true when runs are to give their jobs back rather than finish them.
    pub interrupt: watch::Receiver<bool>,
}

/// What is to become of the message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// It is dealt with: remove it.
    Acknowledge,
    /// Deliver it again after this pause.
    Release(Duration),
    /// Deliver it again after this pause, as if it had never been delivered.
    Requeue(Duration),
    /// Put this body into the queue, then remove it: the job goes on.
    PassOn(String),
    /// It is not ours: leave it, and the queue sets it aside after a few deliveries.
    Reject,
}

/// One run's hold on one job.
pub(crate) struct Run<'a> {
    pub(crate) processor: &'a Processor,
    pub(crate) message: Message,
    pub(crate) job: Job,
    pub(crate) owner: Uuid,
    pub(crate) receives: u32,
    pub(crate) deadline: Instant,
    /// The report's turns on the press. What it waits for them, and works to no end, moves its deadline.
    pub(crate) turn: Arc<Turn>,
    /// What the run had for typesetting when it began.
    pub(crate) time: Duration,
    /// Whether this run has kept something that the next one need not make.
    pub(crate) has_advanced: AtomicBool,
    /// Whether there may be sections in the object store.
    pub(crate) may_have_sections: AtomicBool,
}

impl Processor {
    /// Runs the job that a message is about, until `deadline` at the latest. `receives` counts the message's
    /// deliveries, this one included.
    pub async fn process(&self, body: &str, receives: u32, deadline: Instant) -> Verdict {
        self.process_by_turns(Arc::new(self.press.begin(&caller_of(body))), body, receives, deadline).await
    }

    /// The same, with turns on the press that began already.
    pub(crate) async fn process_by_turns(
        &self,
        turn: Arc<Turn>,
        body: &str,
        receives: u32,
        deadline: Instant,
    ) -> Verdict {
        let message = match Message::decode(body) {
            Ok(message) => message,
            Err(error) => {
                tracing::error!(error = error.kind(), receives, "rejected a message");
                return Verdict::Reject;
            }
        };
        let span = tracing::info_span!(
            "run",
            job_id = %message.id,
            template = %message.template,
            attempt = Empty,
            request_id = Empty,
            trace_id = Empty,
        );
        let origin = message.origin();
        trace::within(span, origin, self.run(turn, message, receives, deadline)).await
    }

    async fn run(&self, turn: Arc<Turn>, message: Message, receives: u32, deadline: Instant) -> Verdict {
        let job = message.job();
        let mut run = Run {
            processor: self,
            message,
            job,
            owner: Uuid::new_v4(),
            receives,
            deadline,
            turn,
            time: Duration::ZERO,
            has_advanced: AtomicBool::new(false),
            may_have_sections: AtomicBool::new(false),
        };
        run.time = run.typesetting_time();
        let ended = match AssertUnwindSafe(run.start()).catch_unwind().await {
            Ok(ended) => ended,
            Err(panic) => run.fail(&failure_of_panic(&*panic)).await,
        };
        match ended {
            Ok(verdict) => verdict,
            Err(interrupted) => run.give_back(interrupted).await,
        }
    }
}

/// Does what concerns the job of a message, in a span that names the job, as a part of its trace.
pub async fn concerning<T>(body: &str, work: impl Future<Output = T>) -> T {
    let Ok(message) = Message::decode(body) else { return work.await };
    let span = tracing::info_span!(
        "hand_back",
        job_id = %message.id,
        template = %message.template,
        request_id = Empty,
        trace_id = Empty,
    );
    trace::within(span, message.origin(), work).await
}

/// A run could not go on, and another may.
struct Interrupted {
    reason: String,
    /// What is to become of the message.
    verdict: Verdict,
    /// Whether the job had no part in it, so that the attempt does not count.
    forgiven: bool,
}

impl Interrupted {
    /// The job has no part in this: neither the attempt nor the delivery counts.
    fn forgiven(reason: &str) -> Self {
        Self { reason: reason.into(), verdict: Verdict::Requeue(Duration::ZERO), forgiven: true }
    }
}

impl Run<'_> {
    async fn start(&self) -> Result<Verdict, Interrupted> {
        let now = now();
        let claim = Claim {
            owner: self.owner,
            now,
            lease_until: self.lease_until(now),
            purpose: Purpose::Run,
            terms: Terms::of(&self.job, now, self.processor.queue_life, self.processor.closing.retention),
        };
        match self.processor.closing.jobs.claim(&self.job, &claim).await.map_err(|error| self.not_begun(&error))? {
            Claimed::Run(attempt) => {
                // An earlier attempt may have left some.
                self.may_have_sections.store(attempt.number > 1, Ordering::Relaxed);
                Span::current().record("attempt", attempt.number);
                if attempt.counted > self.processor.max_attempts {
                    return self.give_up().await;
                }
                if self.receives >= self.processor.max_attempts && self.receives > attempt.counted {
                    return Err(Interrupted::forgiven("its message is delivered anew, which was so too often"));
                }
                self.note(attempt, now);
                self.run(attempt.counted).await
            }
            Claimed::Announce(job) => {
                Span::current().record("attempt", job.attempts);
                // The run that made the report may have been killed before it removed its sections.
                self.may_have_sections.store(true, Ordering::Relaxed);
                self.announce(Some(*job)).await
            }
            Claimed::Settled => Ok(Verdict::Acknowledge),
            Claimed::Busy(until) => {
                let left = (until - Utc::now()).to_std().unwrap_or_default();
                // A lease is renewed, and to look at it is no attempt.
                Ok(Verdict::Requeue((left + Duration::from_secs(1)).clamp(pause_after(1), LONGEST_LOOK)))
            }
        }
    }

    /// Tells that a run begins.
    fn note(&self, attempt: Attempt, claimed_at: DateTime<Utc>) {
        tracing::info!(receives = self.receives, "running");
        if attempt.counted > 1 {
            metrics::retried();
        } else if attempt.number == 1 && self.receives == 1 && self.job.retries == 0 {
            metrics::queue_wait((claimed_at - self.job.enqueued_at).to_std().unwrap_or_default());
        }
    }

    async fn run(&self, attempt: u32) -> Result<Verdict, Interrupted> {
        let made = tokio::select! {
            made = self.make_report() => made,
            () = self.deadline_nears() => Err(self.out_of_time()),
            trouble = self.hold() => Err(trouble),
        };
        match made {
            Ok(report) => self.complete(&report).await,
            Err(Trouble::Permanent(failure)) => self.fail(&failure).await,
            Err(Trouble::Lack(lack, reason)) if self.is_forgiven(lack).await => {
                Err(Interrupted { reason, verdict: Verdict::Requeue(lack.pause()), forgiven: true })
            }
            Err(Trouble::Transient(reason) | Trouble::Lack(_, reason))
                if attempt >= self.processor.max_attempts && !self.has_advanced() =>
            {
                let reason = shortened(&reason, MAX_REASON_CHARS);
                let detail = format!("The last of {attempt} attempts said: {reason}.");
                self.fail(&Failure::attempts_exhausted(detail)).await
            }
            Err(Trouble::Transient(reason) | Trouble::Lack(_, reason)) => {
                Err(Interrupted { reason, verdict: Verdict::Release(pause_after(attempt)), forgiven: false })
            }
            Err(Trouble::Stopped) => Err(Interrupted::forgiven("the service is stopping")),
            Err(Trouble::HandedOver) => {
                let reason = "the run's time was over, and the next goes on from its sections".into();
                Err(Interrupted { reason, verdict: Verdict::PassOn(self.message.handed_over()), forgiven: false })
            }
            Err(Trouble::Overtaken) => Ok(self.verdict(Held::No)),
        }
    }

    /// Whether the job has no part in what the machine lacks: for some time, if a disk is still full that this run has left.
    async fn is_forgiven(&self, lack: Lack) -> bool {
        let still = match lack {
            Lack::Files => true,
            Lack::Room => matches!(self.processor.objects.shortage(0).await, Ok(Some(_))),
        };
        still && now() - self.job.enqueued_at < FORGIVEN_FOR
    }

    /// What it means that the run's time is over.
    fn out_of_time(&self) -> Trouble {
        match self.has_advanced() {
            true => Trouble::HandedOver,
            false => Trouble::Transient("the run's time was over".into()),
        }
    }

    fn has_advanced(&self) -> bool {
        self.has_advanced.load(Ordering::Relaxed)
    }

    /// Returns when there is no more time than it takes to record how the run ended.
    async fn deadline_nears(&self) {
        loop {
            match self.left().saturating_sub(RECORDING_MARGIN / 2) {
                Duration::ZERO => return,
                time => sleep(time).await,
            }
        }
    }

    /// How long the report may take from this moment.
    pub(crate) fn typesetting_time(&self) -> Duration {
        self.processor.press.limits().time.min(self.left().saturating_sub(RECORDING_MARGIN))
    }

    /// Keeps the claim for as long as the run goes on; returns when the run must not go on.
    async fn hold(&self) -> Trouble {
        let mut interrupt = self.processor.interrupt.clone();
        let stopped = async {
            if interrupt.wait_for(|interrupt| *interrupt).await.is_err() {
                // Nobody is left who could interrupt.
                std::future::pending::<()>().await;
            }
        };
        let overtaken = async {
            loop {
                sleep(RENEWAL).await;
                match self.renew().await {
                    Ok(Held::Yes) => {}
                    Ok(Held::No) => return,
                    Err(error) => tracing::warn!(%error, "the lease was not renewed"),
                }
            }
        };
        tokio::select! {
            () = stopped => Trouble::Stopped,
            () = overtaken => Trouble::Overtaken,
        }
    }

    pub(crate) async fn renew(&self) -> Result<Held, Unavailable> {
        self.processor.closing.jobs.renew(self.job.id, self.owner, self.lease_until(now())).await
    }

    /// A lease from `now`, which ends with the run's deadline at the latest.
    fn lease_until(&self, now: DateTime<Utc>) -> DateTime<Utc> {
        now + TimeDelta::from_std(self.left()).map_or(LEASE, |left| left.min(LEASE))
    }

    /// Fails a job whose every attempt was killed before it could say why.
    async fn give_up(&self) -> Result<Verdict, Interrupted> {
        let detail = "Each was killed before it could record why. Look at the processor's memory and timeout, then \
                      queue the job again with POST /jobs/{id}/retry.";
        self.fail(&Failure::attempts_exhausted(detail)).await
    }

    /// Gives the claim back, so that the next run need not wait for the lease to end.
    async fn give_back(&self, interrupted: Interrupted) -> Verdict {
        let Interrupted { reason, verdict, forgiven } = interrupted;
        tracing::warn!(receives = self.receives, reason, "will try again");
        let closing = &self.processor.closing;
        let release = || closing.jobs.release(self.job.id, self.owner, forgiven);
        if let Err(error) = closing.patience.insist(release).await {
            tracing::warn!(%error, "the claim ends with its lease");
        }
        verdict
    }

    /// No attempt began, so that nothing counts.
    fn not_begun(&self, error: &Unavailable) -> Interrupted {
        let verdict = Verdict::Requeue(pause_after(self.receives));
        Interrupted { reason: error.to_string(), verdict, forgiven: true }
    }

    /// What trouble outside of a report's making comes to.
    async fn unless_unavailable<T>(&self, answer: Result<T, Unavailable>) -> Result<T, Interrupted> {
        let error = match answer {
            Ok(answer) => return Ok(answer),
            Err(error) => error,
        };
        let reason = error.to_string();
        match Lack::behind(&error) {
            Some(lack) if self.is_forgiven(lack).await => {
                Err(Interrupted { reason, verdict: Verdict::Requeue(lack.pause()), forgiven: true })
            }
            _ => Err(Interrupted { reason, verdict: Verdict::Release(pause_after(self.receives)), forgiven: false }),
        }
    }

    /// The time until the deadline.
    fn left(&self) -> Duration {
        (self.deadline + self.turn.delayed()).saturating_duration_since(Instant::now())
    }

    async fn complete(&self, report: &Report) -> Result<Verdict, Interrupted> {
        let (pages, bytes, warnings) = (report.pages as u64, report.bytes, report.warnings.as_slice());
        let completed = Completed { pages, bytes, warnings, at: now() };
        let ended = self.processor.closing.complete(&self.job, self.owner, &completed).await;
        self.announce(self.unless_unavailable(ended).await?).await
    }

    async fn fail(&self, failure: &Failure) -> Result<Verdict, Interrupted> {
        let failed = Failed { failure, input: self.message.data.as_ref(), set_aside: false, at: now() };
        let ended = self.processor.closing.fail(&self.job, self.owner, &failed).await;
        self.announce(self.unless_unavailable(ended).await?).await
    }

    /// Hands over the deliveries of a job that ended, if it is this run's to do.
    async fn announce(&self, ended: Option<Job>) -> Result<Verdict, Interrupted> {
        let Some(ended) = ended else { return Ok(self.verdict(Held::No)) };
        // Nobody needs them any more, whatever becomes of the deliveries.
        self.clear().await;
        let announced = self.processor.closing.announce(&ended, self.owner).await;
        self.unless_unavailable(announced).await.map(|held| self.verdict(held))
    }

    /// A run that lost its claim leaves the job, and its message, to the run that took over.
    fn verdict(&self, held: Held) -> Verdict {
        match held {
            Held::Yes => Verdict::Acknowledge,
            Held::No => {
                tracing::warn!("another run took over");
                Verdict::Release(pause_after(self.receives))
            }
        }
    }
}
