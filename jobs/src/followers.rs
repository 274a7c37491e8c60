//! Two ports more, where clients are connected to a gateway and not to this program: who follows which job, and the
//! way to tell them.

use async_trait::async_trait;
use chrono::{DateTime, Utc};

use crate::event::EventId;
use crate::job::JobId;
use crate::ports::Unavailable;

/// One connection that follows one job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Follower {
    /// The connection, as the gateway names it.
    pub connection: String,
    /// The last event it was told; none where absent.
    pub last: Option<EventId>,
}

/// Who is at the other end of a connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Connected {
    /// The caller's name.
    pub caller: String,
    /// The names of the caller's rights, separated by blanks.
    pub rights: String,
}

/// Keeps who follows which job.
#[async_trait]
pub trait Followers: Send + Sync {
    /// Has a connection follow a job until `expires_at`, from the event after its last. If it follows the job already it
    /// goes on from there. Whatever happened to the job before this call returned, a change of the job comes by after it.
    async fn add(&self, job: JobId, follower: &Follower, expires_at: DateTime<Utc>) -> Result<(), Unavailable>;

    /// Everyone who follows a job at this moment.
    async fn of(&self, job: JobId) -> Result<Vec<Follower>, Unavailable>;

    /// Records what a connection was told last, if it still follows the job.
    async fn advance(&self, job: JobId, connection: &str, last: EventId) -> Result<(), Unavailable>;

    /// Ends one connection's following of one job.
    async fn remove(&self, job: JobId, connection: &str) -> Result<(), Unavailable>;

    /// How many jobs a connection follows, counted to `most`. What it began to follow within the last moment may be missing.
    async fn followed_by(&self, connection: &str, most: usize) -> Result<usize, Unavailable>;

    /// Remembers until `expires_at` who is at the other end of a connection.
    async fn remember(&self, connection: &str, who: &Connected, expires_at: DateTime<Utc>) -> Result<(), Unavailable>;

    /// Who is at the other end of a connection, if that was remembered.
    async fn caller_of(&self, connection: &str) -> Result<Option<Connected>, Unavailable>;

    /// Forgets who a connection is, and ends whatever it follows. What it began to follow within the last moment may be left, until it expires.
    async fn forget(&self, connection: &str) -> Result<(), Unavailable>;
}

/// Reaches clients over their connections.
#[async_trait]
pub trait Connections: Send + Sync {
    /// Sends one text message, [`MAX_POSTED_BYTES`] long at the most.
    async fn post(&self, connection: &str, text: &str) -> Result<Posted, Unavailable>;
}

/// The largest message that API Gateway passes on, in bytes.
pub const MAX_POSTED_BYTES: usize = 128 * 1024;

/// What became of a message to a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub enum Posted {
    /// It is on its way.
    Yes,
    /// There is no such connection any more.
    Gone,
}
