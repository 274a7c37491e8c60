//! The ports a job passes, as traits that each backend implements.
//!
//! Two rules hold behind every port. A call that returned `Ok` is durable; only what is done again if it is lost, such as
//! the steps of a run, may go with the power of the one machine it was done on, the last of it first. A call that returned
//! [`Unavailable`] may or may not have happened, and may be made again.

use std::path::{Path, PathBuf};
use std::time::Duration;

use async_trait::async_trait;
use chrono::{DateTime, TimeDelta, Utc};
use findings::Warning;
use tokio::time::{Instant, sleep, sleep_until};
use uuid::Uuid;

use crate::announcement::Announcement;
use crate::data::Data;
use crate::delivery::{AnnouncementRecord, Channel, DeliveryMessage, Recorded, Sent};
use crate::event::is_news;
use crate::job::{Failure, Job, JobId, Progress, Status};

/// A queue or store did not answer, or refused; the same call may work later.
#[derive(Debug, thiserror::Error)]
#[error("{attempted}: {source}")]
pub struct Unavailable {
    /// What was tried, and with what, for example `put the job on record`.
    pub attempted: String,
    /// What the backend said.
    #[source]
    pub source: Box<dyn std::error::Error + Send + Sync>,
}

impl Unavailable {
    /// Says what was tried when `source` happened; for `map_err`.
    pub fn when<E>(attempted: impl Into<String>) -> impl FnOnce(E) -> Self
    where
        E: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        let attempted = attempted.into();
        move |source| Self { attempted, source: source.into() }
    }
}

/// Delivers each message at least once, and hides it from others while one holds it.
#[async_trait]
pub trait Queue: Send + Sync {
    /// Puts a message in.
    async fn push(&self, body: &str) -> Result<(), Unavailable>;

    /// Takes the next message and hides it for `visibility`, waiting up to `wait` for one to arrive.
    async fn receive(&self, visibility: Duration, wait: Duration) -> Result<Option<Delivery>, Unavailable>;

    /// Removes a message that is dealt with. A ticket that a later delivery replaced may remove nothing.
    async fn acknowledge(&self, ticket: &Ticket) -> Result<(), Unavailable>;

    /// Takes the next message of a caller other than these, if one waits. A backend that serves callers by turns passes
    /// over the others. Once it has begun it must be heard to the end: what it takes may be taken before it returns.
    async fn take(&self, visibility: Duration, passed_over: &[String]) -> Result<Option<Delivery>, Unavailable> {
        _ = passed_over;
        self.receive(visibility, Duration::ZERO).await
    }

    /// Returns when it is time to look for messages again. It takes nothing, and may be given up at any time.
    async fn arrival(&self) {
        sleep(LOOK_AGAIN).await;
    }

    /// Hides a message that is in hand for `visibility` from now on.
    async fn hold(&self, ticket: &Ticket, visibility: Duration) -> Result<(), Unavailable> {
        _ = (ticket, visibility);
        Ok(())
    }

    /// Gives a message back, to be delivered again after `delay`.
    async fn release(&self, ticket: &Ticket, delay: Duration) -> Result<(), Unavailable>;

    /// Gives a message back as if it had never been delivered, to be delivered after `delay`. One who is killed in it may
    /// leave a second copy of the message, and never none.
    async fn requeue(&self, delivery: &Delivery, delay: Duration) -> Result<(), Unavailable> {
        _ = delay;
        self.push(&delivery.body).await?;
        self.acknowledge(&delivery.ticket).await
    }

    /// Some messages that were set aside after too many deliveries, hidden for a minute so that the next call answers
    /// others; none when all have been seen. They stay where they are.
    async fn dead_letters(&self) -> Result<Vec<Delivery>, Unavailable>;

    /// Shows dead letters again that are hidden.
    async fn show_dead_letters(&self, tickets: &[Ticket]) -> Result<(), Unavailable>;
}

/// How often one who waits looks for messages whose time has come.
pub(crate) const LOOK_AGAIN: Duration = Duration::from_millis(500);

/// A message in hand.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delivery {
    /// What was pushed.
    pub body: String,
    /// How often it has been delivered, this time included.
    pub receives: u32,
    /// What acknowledges or releases this delivery.
    pub ticket: Ticket,
}

/// The right to acknowledge or release one delivery (SQS calls it a receipt handle).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ticket(pub String);

/// Keeps the record of every job, and lets one run at a time change it.
///
/// A run [claims](JobStore::claim) a job with an owner token and a lease. Every later write of that run carries the
/// token and changes nothing once another run has taken over.
#[async_trait]
pub trait JobStore: Send + Sync {
    /// Puts an accepted job on record. If it is there already it stays as it is, since the message may have overtaken
    /// the record; only a job that is still `queued` gets the new terms.
    async fn record(&self, job: &Job, terms: Terms) -> Result<(), Unavailable>;

    /// The job, if it is on record.
    async fn get(&self, id: JobId) -> Result<Option<Job>, Unavailable>;

    /// The job, once its record tells of another [event](crate::event) than `seen` does, or after `wait`; nothing if it is
    /// not on record any more.
    async fn changed(&self, seen: &Job, wait: Duration) -> Result<Option<Job>, Unavailable> {
        let (end, mut pause) = (Instant::now() + wait, SHORTEST_LOOK);
        loop {
            let job = self.get(seen.id).await?;
            if is_news(job.as_ref(), seen) || Instant::now() >= end {
                return Ok(job);
            }
            sleep_until(end.min(Instant::now() + pause)).await;
            pause = (pause * 3 / 2).min(LONGEST_LOOK);
        }
    }

    /// Makes sure that something can be written.
    async fn check_writable(&self) -> Result<(), Unavailable> {
        Ok(())
    }

    /// Jobs in the order of their ids, the newest first.
    async fn list(&self, listing: &Listing) -> Result<Listed, Unavailable>;

    /// Claims a job for one run, putting it on record first if its message overtook its record.
    async fn claim(&self, job: &Job, claim: &Claim) -> Result<Claimed, Unavailable>;

    /// Moves the end of the lease, if the claim still holds and the job still runs.
    async fn renew(&self, id: JobId, owner: Uuid, lease_until: DateTime<Utc>) -> Result<Held, Unavailable>;

    /// Records how far the run is, if the claim still holds and the job still runs.
    async fn progress(&self, id: JobId, owner: Uuid, progress: Progress) -> Result<Held, Unavailable>;

    /// Records that the run brought the job further than any before, if the claim still holds: attempts are counted anew.
    async fn advanced(&self, id: JobId, owner: Uuid) -> Result<Held, Unavailable>;

    /// Records the report, if the claim still holds. Saying it twice is the same as once.
    async fn complete(&self, id: JobId, owner: Uuid, completed: &Completed<'_>) -> Result<Held, Unavailable>;

    /// Records the failure, if the claim still holds. Saying it twice is the same as once.
    async fn fail(&self, id: JobId, owner: Uuid, failed: &Failed<'_>) -> Result<Held, Unavailable>;

    /// Gives the claim back, if it still holds: a running job is `queued` again, and one that ended can be announced
    /// by the next run at once. An attempt that is `forgiven` does not count.
    async fn release(&self, id: JobId, owner: Uuid, forgiven: bool) -> Result<Held, Unavailable>;

    /// Records that the deliveries of the job's end were handed over, if the claim still holds. `announcement` goes on
    /// record unless the delivery queue has recorded more of it.
    async fn mark_notified(
        &self,
        id: JobId,
        owner: Uuid,
        at: DateTime<Utc>,
        announcement: &AnnouncementRecord,
    ) -> Result<Held, Unavailable>;

    /// Records where a delivery stands, if the job still is as `message` tells; nothing replaces a delivery that was
    /// made.
    async fn record_delivery(&self, message: &DeliveryMessage, recorded: &Recorded) -> Result<Held, Unavailable>;

    /// The data that was kept when the job failed.
    async fn kept_input(&self, id: JobId) -> Result<Option<Data>, Unavailable>;

    /// Makes a failed job `queued` once more and counts the retry. Until a run claims it, saying it again is the same
    /// as once. Nothing comes back, and nothing changes, if the job has not failed, or is [about to go](LAST_REOPENED).
    async fn reopen(&self, id: JobId, terms: Terms) -> Result<Option<Job>, Unavailable>;

    /// Jobs that should have ended by `now`, with their deliveries handed over, and that no message will bring further; `most` of them
    /// at the most. A job that a run holds may be among them.
    async fn overdue(&self, now: DateTime<Utc>, most: usize) -> Result<Vec<Job>, Unavailable>;

    /// Ties an idempotency key to a job, unless it is tied to one already.
    async fn reserve(&self, reservation: &Reservation, now: DateTime<Utc>) -> Result<Reserved, Unavailable>;

    /// Records that the job tied to `key` was accepted: it is on record and in the queue.
    async fn confirm(&self, key: &str) -> Result<(), Unavailable>;
}

/// How often a store that cannot tell of changes is looked at, at first.
const SHORTEST_LOOK: Duration = Duration::from_millis(200);

/// The same, after some time.
const LONGEST_LOOK: Duration = Duration::from_secs(1);

/// Which jobs to list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listing {
    /// Those of this caller; everybody's where absent.
    pub caller: Option<String>,
    /// Those that stand so; all where absent.
    pub status: Option<Status>,
    /// Those of this template; all where absent.
    pub template: Option<String>,
    /// Those before this job; the newest where absent.
    pub before: Option<JobId>,
    /// Those since then: no older ones are kept.
    pub since: DateTime<Utc>,
    /// So many at the most. A store may look at some thousand jobs and then answer fewer.
    pub limit: usize,
}

/// Some jobs of a list.
#[derive(Debug, Clone, PartialEq)]
pub struct Listed {
    /// The jobs.
    pub jobs: Vec<Job>,
    /// Where the list goes on: [before](Listing::before) this one. Nothing if it does not.
    pub next: Option<JobId>,
}

/// How long a job may take and is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Terms {
    /// When its message is gone from every queue, so that a job that has not ended by then never will by itself.
    pub overdue_at: DateTime<Utc>,
    /// Until when it is kept on record.
    pub expires_at: DateTime<Utc>,
}

impl Terms {
    /// The terms of a job whose message is at most as old as `now`, in a queue that keeps messages for `queue_life`;
    /// it is [kept](kept_until) for `retention`.
    pub fn of(job: &Job, now: DateTime<Utc>, queue_life: TimeDelta, retention: TimeDelta) -> Self {
        Self { overdue_at: now + queue_life, expires_at: kept_until(job, now, retention) }
    }
}

/// How long a job is kept from its last run or retry at the least, so that a late report does not go as it comes.
pub const LEAST_KEPT: TimeDelta = TimeDelta::days(1);

/// Until when a job is kept that last began to run, or was queued, at `began`: for `retention` from its acceptance, and
/// [`LEAST_KEPT`] from then, or less where the retention is less.
pub fn kept_until(job: &Job, began: DateTime<Utc>, retention: TimeDelta) -> DateTime<Utc> {
    (job.enqueued_at + retention).max(began + retention.min(LEAST_KEPT))
}

/// What a run claims a job with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Claim {
    /// The run's own token.
    pub owner: Uuid,
    /// This moment: a lease that ended before it may be taken over.
    pub now: DateTime<Utc>,
    /// When the claim ends by itself.
    pub lease_until: DateTime<Utc>,
    /// What the job is claimed for.
    pub purpose: Purpose,
    /// From now on, when the job is overdue and how long it is kept.
    pub terms: Terms,
}

/// How long a claim holds by itself, at the most.
pub const LEASE: TimeDelta = TimeDelta::seconds(60);

/// How long before it is removed a job may be queued again: its data goes with it, and it needs time to run.
pub const LAST_REOPENED: TimeDelta = TimeDelta::hours(1);

/// A lease that ends later than this after the moment it is looked at was written before the clock was stepped back, and
/// counts as over. Twice the longest, since the clocks of two machines differ.
pub(crate) const FARTHEST_LEASE: TimeDelta = TimeDelta::seconds(120);

/// How many attempts there were, this one included.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Attempt {
    /// Those that began since the job was queued, but for those that were [forgiven](JobStore::release).
    pub number: u32,
    /// Those that count towards the most there may be: since the job was last [brought further](JobStore::advanced), without
    /// those that ended with their whole server.
    pub counted: u32,
}

impl Attempt {
    /// The first of a job.
    pub const FIRST: Self = Self::nth(1);

    /// One that came after others which all count.
    pub const fn nth(number: u32) -> Self {
        Self { number, counted: number }
    }
}

/// What a job is claimed for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// To make its report: one more attempt. A failed job whose message was [set aside](Failed::set_aside) runs again,
    /// since only a redrive can have brought the message back.
    Run,
    /// To end it without a report, or to hand over the deliveries of its end: no attempt.
    Settle,
}

/// The report of a completed job.
#[derive(Debug, Clone, Copy)]
pub struct Completed<'a> {
    /// Its pages.
    pub pages: u64,
    /// Its size in bytes.
    pub bytes: u64,
    /// Doubts about what it shows.
    pub warnings: &'a [Warning],
    /// When it was ready.
    pub at: DateTime<Utc>,
}

/// How a job failed.
#[derive(Debug, Clone, Copy)]
pub struct Failed<'a> {
    /// Why.
    pub failure: &'a Failure,
    /// The data that its message carried, kept so that the job can be queued again.
    pub input: Option<&'a Data>,
    /// Whether its message lies among the dead letters.
    pub set_aside: bool,
    /// When.
    pub at: DateTime<Utc>,
}

/// An idempotency key, and the job it is to stand for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reservation {
    /// The key, in a form that is safe to store.
    pub key: String,
    /// What tells one request from another under the same key.
    pub fingerprint: String,
    /// The job.
    pub id: JobId,
    /// When the job is accepted.
    pub enqueued_at: DateTime<Utc>,
    /// Until when the key stands for the job.
    pub expires_at: DateTime<Utc>,
}

/// What came of a reservation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reserved {
    /// The key is this job's.
    Fresh,
    /// The same request came before.
    Repeated {
        /// Its job.
        id: JobId,
        /// When that job was accepted.
        enqueued_at: DateTime<Utc>,
        /// Whether that job is known to be on record and in the queue.
        confirmed: bool,
    },
    /// Another request came before under this key.
    Differs,
}

/// What came of a claim.
#[derive(Debug, Clone, PartialEq)]
pub enum Claimed {
    /// The job has not ended and is this run's.
    Run(Attempt),
    /// The job ended but its deliveries were not handed over, which is now this run's duty.
    Announce(Box<Job>),
    /// Another run holds the job until then.
    Busy(DateTime<Utc>),
    /// The job ended and its deliveries were handed over: nothing is left to do.
    Settled,
}

/// Whether the claim held when a run wrote.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub enum Held {
    /// It held, and the write took effect.
    Yes,
    /// Another run has taken over: nothing was written, and this run must stop.
    No,
}

/// Keeps reports and parked data by key.
#[async_trait]
pub trait ObjectStore: Send + Sync {
    /// Stores an object whole, replacing one of the same key. No reader ever sees part of it.
    async fn put(&self, key: &str, content_type: &str, content: Content<'_>) -> Result<(), Unavailable>;

    /// The object's bytes, if it is there.
    async fn get(&self, key: &str) -> Result<Option<Vec<u8>>, Unavailable>;

    /// The object's size in bytes, if it is there.
    async fn size(&self, key: &str) -> Result<Option<u64>, Unavailable>;

    /// Writes the object's bytes to a file, piece by piece; answers whether it is there.
    async fn fetch(&self, key: &str, file: &Path) -> Result<bool, Unavailable>;

    /// How a caller gets an object of this type and size in, within `time`.
    async fn accept(&self, key: &str, content_type: &str, bytes: u64, time: Duration) -> Result<Accepts, Unavailable>;

    /// Removes every object whose key starts with `prefix`, which ends with a slash.
    async fn remove_under(&self, prefix: &str) -> Result<(), Unavailable>;

    /// Where a reader gets the object, to be saved as `file_name`; nothing if it is not there.
    async fn open(&self, key: &str, file_name: &str) -> Result<Option<Opened>, Unavailable>;

    /// Keeps an upload for as long as jobs are kept, since a job is to name it, which is put on record at once; answers its
    /// size, or nothing if it is not there. One that is not `fresh` must be kept already: it may be removed at any moment.
    async fn keep(&self, key: &str, fresh: bool) -> Result<Option<u64>, Unavailable> {
        _ = fresh;
        self.size(key).await
    }

    /// What is missing to store `bytes` more, and to leave the reserve to work that was accepted before; nothing where there
    /// is room.
    async fn shortage(&self, bytes: u64) -> Result<Option<Shortage>, Unavailable> {
        _ = bytes;
        Ok(None)
    }
}

/// There is too little room for new work.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shortage {
    /// How many bytes are free.
    pub free: u64,
    /// How many of them are for work that was accepted before.
    pub reserve: u64,
}

/// What to store.
#[derive(Debug, Clone, Copy)]
pub enum Content<'a> {
    /// These bytes.
    Bytes(&'a [u8]),
    /// The bytes of this file.
    File(&'a Path),
    /// This file, which may become the object: it is not to be used any more.
    Draft(&'a Path),
}

/// How a caller gets an object in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Accepts {
    /// By a PUT to this signed URL, of exactly the type and size that was asked for.
    Url {
        /// The URL.
        url: String,
        /// What the PUT's header `x-amz-tagging` says.
        tagging: &'static str,
    },
    /// Through the listener, which writes to this file, not there yet, and then [puts](ObjectStore::put) it.
    Draft(PathBuf),
}

/// Where a reader gets an object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Opened {
    /// A file on this machine.
    File(PathBuf),
    /// A signed URL, good for a few minutes.
    Url(String),
}

/// Tells people that a job ended.
#[async_trait]
pub trait Notifier: Send + Sync {
    /// Where announcements go.
    fn channel(&self) -> Channel;

    /// Makes one attempt to send an announcement.
    async fn announce(&self, announcement: &Announcement) -> Sent;
}

/// Keeps deliveries until they are made or given up.
#[async_trait]
pub trait Deliveries: Send + Sync {
    /// Puts a delivery in, to be attempted at once.
    async fn push(&self, message: &DeliveryMessage) -> Result<(), Unavailable>;
}

/// The deliveries that wait on one machine, for the one process that works there. On AWS the event source hands them
/// out.
#[async_trait]
pub trait DueDeliveries: Send + Sync {
    /// Deliveries that are due and that `busy` does not exclude, at most `most`, no two of them to the same destination of the
    /// same caller: the next in their turns. They stay where they are.
    async fn due(&self, busy: &Busy, most: usize) -> Result<Vec<DueDelivery>, Unavailable>;

    /// Removes a delivery that was made or given up.
    async fn remove(&self, id: i64) -> Result<(), Unavailable>;

    /// Counts an attempt and makes the delivery due again after `pause`.
    async fn postpone(&self, id: i64, pause: Duration) -> Result<(), Unavailable>;

    /// Returns after a push.
    async fn pushed(&self);
}

/// What is not to be handed out now.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Busy {
    /// Deliveries in hand.
    pub ids: Vec<i64>,
    /// Destinations that have as many attempts under way as they may.
    pub destinations: Vec<String>,
    /// Callers that do.
    pub callers: Vec<String>,
}

/// A delivery that is due.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DueDelivery {
    /// What it is removed or postponed by.
    pub id: i64,
    /// Whose server gets it.
    pub destination: String,
    /// Whose job it tells of.
    pub caller: String,
    /// How many attempts were made.
    pub attempts: u32,
    /// The message.
    pub body: String,
}
