//! The five ports on one machine: SQLite and a folder.
//!
//! ```text
//! DIR/pressrun.db    the queues and the job record (SQLite, write-ahead log)
//! DIR/objects/       reports, parked data and uploads
//! DIR/outbox/        announcements, one .eml file each
//! DIR/link.key       what signs the links in announcements
//! DIR/webhook.secret what signs webhooks, for receivers to check them with
//! DIR/work/          files of runs and uploads in progress
//! DIR/lock           held while a process works here, as the folder itself is
//! ```
//!
//! All of it is for the user alone who runs the process: the folder lets no other in.

mod breaker;
mod changes;
mod database;
mod deliveries;
mod expiry;
mod keys;
mod listing;
mod mail;
mod objects;
mod outbox;
mod private;
mod queue;
mod readers;
mod store;
mod uploads;
mod usage;
mod writer;

use std::fmt;
use std::fs::{self, File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};

use database::Refusal;
pub use deliveries::SqliteDeliveries;
pub use expiry::Expiry;
pub use mail::Smtp;
pub use objects::Folder;
use objects::write_whole;
pub use outbox::Outbox;
pub use queue::SqliteQueue;
pub use store::SqliteStore;
pub use usage::SqliteUsage;

use crate::upload::UPLOADS;

/// What a new `link.key` ends.
const LINKS_END: &str = "the links that were sent so far then stop working";

/// What a new `webhook.secret` ends.
const RECEIVERS_REFUSE: &str = "receivers then refuse webhooks until they are given the new one";

/// The fewest characters of a key: those of 128 random bits.
const MIN_KEY_CHARS: usize = 32;

/// A data folder, opened for this process alone.
pub struct Local {
    /// The queue.
    pub queue: SqliteQueue,
    /// The delivery queue.
    pub deliveries: SqliteDeliveries,
    /// The record of jobs.
    pub jobs: SqliteStore,
    /// How much callers use.
    pub usage: SqliteUsage,
    /// Reports, parked data and uploads.
    pub objects: Folder,
    /// Announcements.
    pub outbox: Outbox,
    /// What removes that which is kept no longer.
    pub expiry: Expiry,
    /// Where runs keep their files while they run; empty when the folder is opened.
    pub work: PathBuf,
    /// The secret that signs links; made when the folder was.
    pub link_key: Vec<u8>,
    /// The secret that signs webhooks, as `whsec_…`; made when the folder was.
    pub webhook_secret: String,
    _locks: Vec<File>,
}

/// Its secrets are not for any log.
impl fmt::Debug for Local {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Local").field("work", &self.work).finish_non_exhaustive()
    }
}

/// Why a data folder cannot be worked in.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// A file or folder could not be made, read or written.
    #[error(
        "cannot use {path}: {source}. Check that the folder exists, is writable and has room, or name another with --data"
    )]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A secret's file is there and holds none.
    #[error("{path} is empty. Restore it from a copy, or delete it to get a new secret: {loss}")]
    EmptySecret {
        /// The file.
        path: PathBuf,
        /// What a new secret ends.
        loss: &'static str,
    },
    /// A secret's file does not hold what Pressrun makes there.
    #[error(
        "{path} is damaged: it should hold one line of {MIN_KEY_CHARS} letters and digits or more. Restore it from a copy, or delete \
         it to get a new secret: {loss}"
    )]
    DamagedSecret {
        /// The file.
        path: PathBuf,
        /// What a new secret ends.
        loss: &'static str,
    },
    /// Another process works in the folder.
    #[error("{0} is in use by another pressrun. Stop that one, or name another folder with --data")]
    InUse(PathBuf),
    /// The database is damaged.
    #[error(
        "the database {path} is damaged: {how}. Nothing was changed. Restore the file from a copy, or move it away to start empty"
    )]
    Damaged {
        /// The database file.
        path: PathBuf,
        /// What SQLite found.
        how: String,
    },
    /// A later version of Pressrun wrote the database.
    #[error("a later version of pressrun wrote the database {0}. Use that version, or name another folder with --data")]
    Later(PathBuf),
    /// The database does not open.
    #[error(
        "cannot use the database {path}: {source}. Nothing was changed. Check that the folder is writable and has room"
    )]
    Database {
        /// The database file.
        path: PathBuf,
        /// What SQLite said.
        source: sqlx::Error,
    },
}

impl Local {
    /// Opens `folder`, making it if need be, and takes back what a killed predecessor had in hand. A message
    /// delivered `max_receives` times is set aside instead of being delivered again.
    pub async fn open(folder: &Path, max_receives: u32) -> Result<Self, OpenError> {
        let locks = lock(folder)?;
        private::tighten(folder).map_err(io_error(folder))?;
        let link_key = link_key(&folder.join("link.key"))?.into_bytes();
        let webhook_secret = secret(&folder.join("webhook.secret"), "whsec_", RECEIVERS_REFUSE)?;
        let path = folder.join("pressrun.db");
        let database = database::open(&path).await.map_err(|refusal| match refusal {
            Refusal::Damaged(how) => OpenError::Damaged { path, how },
            Refusal::Later => OpenError::Later(path),
            Refusal::Unusable(source) => OpenError::Database { path, source },
        })?;
        let objects = folder.join("objects");
        let outbox = folder.join("outbox");
        let work = folder.join("work");
        if work.exists() {
            fs::remove_dir_all(&work).map_err(io_error(&work))?;
        }
        for folder in [&objects.join("reports"), &objects.join("inputs"), &objects.join(UPLOADS), &outbox, &work] {
            fs::create_dir_all(folder).map_err(io_error(folder))?;
        }
        let deliveries = SqliteDeliveries::open(database.clone()).await;
        let deliveries =
            deliveries.map_err(|source| OpenError::Database { path: folder.join("pressrun.db"), source })?;
        Ok(Self {
            queue: SqliteQueue::new(database.clone(), max_receives),
            deliveries,
            jobs: SqliteStore::new(database.clone()),
            usage: SqliteUsage::new(database.clone()),
            expiry: Expiry { database: database.clone(), objects: objects.clone(), outbox: outbox.clone() },
            objects: Folder::new(objects, work.clone(), database),
            outbox: Outbox::new(outbox),
            work,
            link_key,
            webhook_secret,
            _locks: locks,
        })
    }
}

/// Locks the folder, and the file in it that earlier versions lock. A file may be deleted while it is locked; the folder is
/// the same whatever is deleted in it, and under every path.
fn lock(folder: &Path) -> Result<Vec<File>, OpenError> {
    fs::create_dir_all(folder).map_err(io_error(folder))?;
    let path = folder.join("lock");
    let file = File::create(&path).map_err(io_error(&path))?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => return Err(OpenError::InUse(folder.to_owned())),
        Err(TryLockError::Error(source)) => return Err(OpenError::Io { path, source }),
    }
    // Some file systems lock no folders, and some systems open none.
    let Ok(itself) = File::open(folder) else { return Ok(vec![file]) };
    match itself.try_lock() {
        Err(TryLockError::WouldBlock) => Err(OpenError::InUse(folder.to_owned())),
        Ok(()) | Err(TryLockError::Error(_)) => Ok(vec![file, itself]),
    }
}

/// The key in a file, made if there is none. One that could be guessed would sign links for anybody.
fn link_key(path: &Path) -> Result<String, OpenError> {
    let key = secret(path, "", LINKS_END)?;
    let digits = key.trim();
    let is_key = digits.len() >= MIN_KEY_CHARS
        && digits.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+/=-_".contains(&byte));
    if is_key { Ok(key) } else { Err(OpenError::DamagedSecret { path: path.to_owned(), loss: LINKS_END }) }
}

/// The secret in a file, made if there is none: 64 characters, behind `prefix`, that base64 reads as 48 bytes. `loss` is what
/// a new one ends.
fn secret(path: &Path, prefix: &str, loss: &'static str) -> Result<String, OpenError> {
    match fs::read_to_string(path) {
        Ok(secret) if secret.trim().is_empty() => Err(OpenError::EmptySecret { path: path.to_owned(), loss }),
        Ok(secret) => Ok(secret),
        Err(error) if error.kind() == io::ErrorKind::NotFound => make_secret(path, prefix),
        Err(error) if error.kind() == io::ErrorKind::InvalidData => {
            Err(OpenError::DamagedSecret { path: path.to_owned(), loss })
        }
        Err(error) => Err(io_error(path)(error)),
    }
}

fn make_secret(path: &Path, prefix: &str) -> Result<String, OpenError> {
    // Two version 4 UUIDs carry 244 random bits from the system.
    let [first, second] = [uuid::Uuid::new_v4(), uuid::Uuid::new_v4()].map(|id| id.simple().to_string());
    let secret = format!("{prefix}{first}{second}");
    // Whole or not at all: an empty file would be an error at the next start.
    write_whole(path, secret.as_bytes(), None).map_err(io_error(path))?;
    Ok(secret)
}

fn io_error(path: &Path) -> impl FnOnce(io::Error) -> OpenError {
    let path = path.to_owned();
    move |source| OpenError::Io { path, source }
}
