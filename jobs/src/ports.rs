//! The four ports a job passes, as traits that each backend implements.
//!
//! Two rules hold behind every port. A call that returned `Ok` is durable. A call that returned [`Unavailable`]
//! may or may not have happened, and may be made again.

use std::path::{Path, PathBuf};
use std::time::Duration;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use uuid::Uuid;

use crate::announcement::Announcement;
use crate::job::{Failure, Job, JobId};

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

    /// Gives a message back, to be delivered again after `delay`.
    async fn release(&self, ticket: &Ticket, delay: Duration) -> Result<(), Unavailable>;

    /// How many messages were set aside after too many deliveries.
    async fn dead_letters(&self) -> Result<u64, Unavailable>;
}

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
    /// Puts an accepted job on record until `expires_at`. Changes nothing if it is there already: the message may
    /// have overtaken the record.
    async fn record(&self, job: &Job, expires_at: DateTime<Utc>) -> Result<(), Unavailable>;

    /// The job, if it is on record.
    async fn get(&self, id: JobId) -> Result<Option<Job>, Unavailable>;

    /// Claims a job for one run, putting it on record first if its message overtook its record.
    async fn claim(&self, job: &Job, claim: &Claim) -> Result<Claimed, Unavailable>;

    /// Records the report, if the claim still holds. Saying it twice is the same as once.
    async fn complete(
        &self,
        id: JobId,
        owner: Uuid,
        pages: u64,
        bytes: u64,
        at: DateTime<Utc>,
    ) -> Result<Held, Unavailable>;

    /// Records the failure, if the claim still holds. Saying it twice is the same as once.
    async fn fail(&self, id: JobId, owner: Uuid, failure: &Failure, at: DateTime<Utc>) -> Result<Held, Unavailable>;

    /// Gives the claim back, if it still holds: a running job is `queued` again, and one that ended can be announced
    /// by the next run at once.
    async fn release(&self, id: JobId, owner: Uuid) -> Result<Held, Unavailable>;

    /// Records that the job's end was announced, if the claim still holds.
    async fn mark_notified(&self, id: JobId, owner: Uuid, at: DateTime<Utc>) -> Result<Held, Unavailable>;
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
    /// Until when the job is kept on record.
    pub expires_at: DateTime<Utc>,
}

/// What came of a claim.
#[derive(Debug, Clone, PartialEq)]
pub enum Claimed {
    /// The job is this run's: typeset it. Holds the number of the attempt, from 1.
    Run(u32),
    /// The job ended but nobody was told, and telling is now this run's duty.
    Announce(Box<Job>),
    /// Another run holds the job until then.
    Busy(DateTime<Utc>),
    /// The job ended and was announced: nothing is left to do.
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

    /// Where a reader gets the object, to be saved as `file_name`; nothing if it is not there.
    async fn open(&self, key: &str, file_name: &str) -> Result<Option<Opened>, Unavailable>;
}

/// What to store.
#[derive(Debug, Clone, Copy)]
pub enum Content<'a> {
    /// These bytes.
    Bytes(&'a [u8]),
    /// The bytes of this file.
    File(&'a Path),
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
    /// Sends one announcement.
    async fn announce(&self, announcement: &Announcement) -> Result<(), Unavailable>;
}
