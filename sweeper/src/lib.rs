//! Ends the jobs that no run will end.
//!
//! A message whose every delivery was killed lies among the dead letters while its job still says `running`; a message
//! may be lost altogether. [`Sweeper::sweep`] finds both, fails those jobs with a reason, and hands their deliveries over,
//! as it does for ends whose deliveries no run could hand over. It is a program of its own, so that it does not die of
//! what killed the processor.

use std::sync::Arc;
use std::time::{Duration, Instant};

use chrono::TimeDelta;
use jobs::job::now;
use jobs::{
    Claim, Claimed, Closing, Delivery, Failed, Failure, Held, Job, JobId, LEASE, Message, Purpose, Queue, Terms,
    Unavailable,
};
use telemetry::trace::{self, Origin};
use tracing::field::Empty;
use uuid::Uuid;

/// How many overdue jobs are looked for at a time: few, so that what was found is still so when its turn comes.
const BATCH: usize = 25;

/// How long a sweep goes on; the next one goes on from there.
const TIME: Duration = Duration::from_secs(30);

/// What a sweep works with.
pub struct Sweeper {
    /// Whose dead letters are looked at.
    pub queue: Arc<dyn Queue>,
    /// What ends jobs and announces it.
    pub closing: Closing,
}

impl Sweeper {
    /// Ends every job that will not end by itself; answers how many that were. Trouble with one job does not keep the
    /// others from being ended.
    pub async fn sweep(&self) -> Result<usize, Unavailable> {
        let dead = self.end_dead_letters().await;
        let overdue = self.end_overdue().await;
        Ok(dead? + overdue?)
    }

    async fn end_dead_letters(&self) -> Result<usize, Unavailable> {
        let (start, mut ended, mut seen) = (Instant::now(), 0, Vec::new());
        while start.elapsed() < TIME {
            let letters = self.queue.dead_letters().await?;
            if letters.is_empty() {
                break;
            }
            for Delivery { body, ticket, .. } in letters {
                // What is not a job was reported with each of its deliveries.
                if start.elapsed() < TIME
                    && let Ok(message) = Message::decode(&body)
                {
                    ended += counted(message.id, self.end_dead_letter(&message).await);
                }
                seen.push(ticket);
            }
        }
        self.queue.show_dead_letters(&seen).await?;
        Ok(ended)
    }

    async fn end_overdue(&self) -> Result<usize, Unavailable> {
        let (start, mut ended) = (Instant::now(), 0);
        while start.elapsed() < TIME {
            let mut progress = 0;
            for job in self.closing.jobs.overdue(now(), BATCH).await? {
                // An announcement may take seconds.
                if start.elapsed() >= TIME {
                    return Ok(ended + progress);
                }
                let failed = Failed { failure: &overdue(), input: None, set_aside: false, at: now() };
                progress += counted(job.id, self.end(&job, Origin::default(), &failed).await);
            }
            if progress == 0 {
                break;
            }
            ended += progress;
        }
        Ok(ended)
    }

    /// Ends the job of a dead letter, unless it ended already or was queued again since.
    async fn end_dead_letter(&self, message: &Message) -> Result<bool, Unavailable> {
        let job = match self.closing.jobs.get(message.id).await? {
            Some(job) if job.notified_at.is_some() || job.retries > message.retries => return Ok(false),
            Some(job) => job,
            // Its record was kept as long as it had to be.
            None if message.enqueued_at + self.closing.retention <= now() => return Ok(false),
            None => message.job(),
        };
        let failure = attempts_exhausted(job.attempts);
        let failed = Failed { failure: &failure, input: message.data.as_ref(), set_aside: true, at: now() };
        self.end(&job, message.origin(), &failed).await
    }

    async fn end(&self, job: &Job, origin: Origin, failed: &Failed<'_>) -> Result<bool, Unavailable> {
        let span = tracing::info_span!(
            "sweep",
            job_id = %job.id,
            template = %job.template,
            attempt = job.attempts,
            request_id = Empty,
            trace_id = Empty,
        );
        trace::within(span, origin, self.claim_and_end(job, failed)).await
    }

    async fn claim_and_end(&self, job: &Job, failed: &Failed<'_>) -> Result<bool, Unavailable> {
        let (owner, now) = (Uuid::new_v4(), now());
        let terms = Terms::of(job, now, TimeDelta::zero(), self.closing.retention);
        let claim = Claim { owner, now, lease_until: now + LEASE, purpose: Purpose::Settle, terms };
        let ended = match self.closing.jobs.claim(job, &claim).await? {
            Claimed::Run(_) => self.closing.fail(job, owner, failed).await?,
            Claimed::Announce(ended) => self.ended_before(*ended, owner, failed).await?,
            Claimed::Busy(_) | Claimed::Settled => return Ok(false),
        };
        match ended {
            Some(ended) => Ok(self.closing.announce(&ended, owner).await? == Held::Yes),
            None => Ok(false),
        }
    }

    /// A job that ended before the sweep, as it is to be announced.
    async fn ended_before(&self, ended: Job, owner: Uuid, failed: &Failed<'_>) -> Result<Option<Job>, Unavailable> {
        match &ended.error {
            // A run that gave the job up was killed before it could remove the message, which may come back.
            Some(failure) if failed.set_aside && failure.name() == Failure::ATTEMPTS_EXHAUSTED => {
                self.closing.fail(&ended, owner, &Failed { failure, ..*failed }).await
            }
            _ => Ok(Some(ended)),
        }
    }
}

/// Counts a job that was ended. Trouble with it is left to the next sweep.
fn counted(job_id: JobId, ended: Result<bool, Unavailable>) -> usize {
    match ended {
        Ok(ended) => usize::from(ended),
        Err(error) => {
            tracing::error!(%job_id, %error, "a job could not be swept; the next sweep tries again");
            0
        }
    }
}

fn attempts_exhausted(attempts: u32) -> Failure {
    Failure::attempts_exhausted(format!(
        "Its message was delivered again and again and no run could finish; {attempts} attempts began. Look at the \
         processor's log, memory and timeout, then queue the job again with POST /jobs/{{id}}/retry."
    ))
}

fn overdue() -> Failure {
    let detail = "Its message is in no queue any more, and no run holds it. Queue the job again with POST \
                  /jobs/{id}/retry or, if its data was not kept, with POST /append_queue.";
    Failure::new("job-overdue", "The job was not done in its time.", detail)
}
