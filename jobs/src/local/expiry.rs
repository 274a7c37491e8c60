//! What is kept no longer: jobs past their retention with their reports, inputs and mails, what is left of them in the
//! other tables, and uploads.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use chrono::{DateTime, TimeDelta, Utc};
use sqlx::Row;
use tokio::task::spawn_blocking;

use super::database::Database;
use super::uploads;
use super::usage::remove_landed;
use crate::job::{JobId, Status};
use crate::ports::Unavailable;
use crate::upload::{UPLOADS, UploadId};

/// How the name of a file ends by which earlier builds marked an upload.
const MARK: &[u8] = b".kept";

/// How many rows one statement removes: no caller waits for the writer longer than that takes.
const BATCH: usize = 200;

/// How long a message is kept once it was set aside, as on AWS.
const DEAD_LETTER_LIFE: TimeDelta = TimeDelta::days(14);

/// Removes what a data folder keeps no longer.
#[derive(Debug, Clone)]
pub struct Expiry {
    pub(super) database: Database,
    pub(super) objects: PathBuf,
    pub(super) outbox: PathBuf,
}

/// A job whose time is over, and since when.
#[derive(Debug, Clone)]
struct Expired {
    at: i64,
    id: String,
}

impl Expired {
    /// Before all of them.
    const FIRST: Self = Self { at: i64::MIN, id: String::new() };
}

impl Expiry {
    /// Removes all jobs whose time is over by `now`, files first, since their names are known by the jobs alone; returns how
    /// many. What cannot be removed is left for the next time, and keeps nothing else.
    pub async fn remove_expired(&self, now: DateTime<Utc>) -> Result<usize, Unavailable> {
        let attempted = "remove expired jobs";
        let (mut removed, mut after) = (0, Expired::FIRST);
        loop {
            let batch = self.expired(now, &after).await.map_err(Unavailable::when(attempted))?;
            let Some(last) = batch.last() else { break };
            after = last.clone();
            let gone = self.remove_files(&batch).await.map_err(Unavailable::when(attempted))?;
            self.remove_jobs(&gone).await.map_err(Unavailable::when(attempted))?;
            removed += gone.len();
        }
        self.remove_rows(now).await.map_err(Unavailable::when(attempted))?;
        Ok(removed)
    }

    /// Removes uploads that were begun before `begun_before`, and of those that no job on record names all that were begun
    /// before `unnamed_before`; returns how many.
    pub async fn remove_uploads(
        &self,
        begun_before: DateTime<Utc>,
        unnamed_before: DateTime<Utc>,
    ) -> Result<usize, Unavailable> {
        let attempted = "remove expired uploads";
        let (mut removed, mut doubtful) = (0, Vec::new());
        let folder = self.objects.join(UPLOADS);
        let mut entries = tokio::fs::read_dir(&folder).await.map_err(Unavailable::when(attempted))?;
        while let Some(entry) = entries.next_entry().await.map_err(Unavailable::when(attempted))? {
            let name = entry.file_name();
            if name.as_encoded_bytes().ends_with(MARK) {
                remove_upload(entry.path()).await;
            }
            let Some(id) = name.to_str().and_then(|name| name.parse::<UploadId>().ok()) else { continue };
            match id.made_at() {
                Some(begun_at) if begun_at < begun_before => removed += usize::from(remove_upload(entry.path()).await),
                Some(begun_at) if begun_at < unnamed_before => doubtful.push(id),
                _ => {}
            }
        }
        for ids in doubtful.chunks(BATCH) {
            let named = uploads::named(&mut *self.database.reader().await, ids).await;
            let named = named.map_err(Unavailable::when(attempted))?;
            for id in ids.iter().filter(|id| !named.contains(id)) {
                removed += usize::from(remove_upload(folder.join(id.to_string())).await);
            }
        }
        Ok(removed)
    }

    /// Jobs that have ended, and whose time is over, in its order. The `+` keeps SQLite to the index by time.
    async fn expired(&self, now: DateTime<Utc>, after: &Expired) -> Result<Vec<Expired>, sqlx::Error> {
        let rows = sqlx::query(
            "SELECT expires_at, id FROM jobs
             WHERE (expires_at, id) > (?1, ?2) AND expires_at <= ?3 AND +status IN ('completed', 'failed')
             ORDER BY expires_at, id LIMIT ?4",
        );
        let rows = rows.bind(after.at).bind(&after.id).bind(now.timestamp_millis()).bind(BATCH as i64);
        let rows = rows.fetch_all(&mut *self.database.reader().await).await?;
        rows.iter().map(|row| Ok(Expired { at: row.try_get("expires_at")?, id: row.try_get("id")? })).collect()
    }

    /// Removes the files of these jobs; returns the ids of those that have none any more.
    async fn remove_files(&self, jobs: &[Expired]) -> io::Result<Vec<String>> {
        let (objects, outbox) = (self.objects.clone(), self.outbox.clone());
        let mut ids: Vec<_> = jobs.iter().map(|job| job.id.clone()).collect();
        let removal = spawn_blocking(move || {
            ids.retain(|id| remove_files(&objects, &outbox, id));
            ids
        });
        removal.await.map_err(io::Error::other)
    }

    /// None of them was queued again meanwhile: [`JobStore::reopen`](crate::JobStore::reopen) takes none that is about to go.
    async fn remove_jobs(&self, ids: &[String]) -> Result<(), sqlx::Error> {
        let ids = serde_json::to_string(ids).map_err(|error| sqlx::Error::Encode(error.into()))?;
        let query = sqlx::query(
            "DELETE FROM jobs WHERE id IN (SELECT value FROM json_each(?1)) AND +status IN ('completed', 'failed')",
        );
        let query = query.bind(ids);
        query.execute(&mut *self.database.writer().await).await.map(|_| ())
    }

    async fn remove_rows(&self, now: DateTime<Utc>) -> Result<(), sqlx::Error> {
        let dead_before = now - DEAD_LETTER_LIFE;
        let dead = "DELETE FROM messages WHERE id IN (SELECT id FROM messages WHERE dead_at <= ?1 LIMIT ?2)";
        self.remove_until(dead, dead_before).await?;
        let keys = "DELETE FROM idempotency_keys
            WHERE key IN (SELECT key FROM idempotency_keys WHERE expires_at <= ?1 LIMIT ?2)";
        self.remove_until(keys, now).await?;
        remove_landed(&mut *self.database.writer().await, now).await
    }

    /// Removes rows by a statement that removes a batch of those that are older than `?1`.
    async fn remove_until(&self, statement: &'static str, before: DateTime<Utc>) -> Result<(), sqlx::Error> {
        loop {
            let query = sqlx::query(statement).bind(before.timestamp_millis()).bind(BATCH as i64);
            let removed = query.execute(&mut *self.database.writer().await).await?.rows_affected();
            if removed < BATCH as u64 {
                return Ok(());
            }
        }
    }
}

/// Removes the files of a job, all that can be; answers whether there are none any more.
fn remove_files(objects: &Path, outbox: &Path, id: &str) -> bool {
    let Ok(id) = id.parse::<JobId>() else { return true };
    let mails = [Status::Completed, Status::Failed].map(|status| outbox.join(format!("{id}-{status}.eml")));
    let sections = objects.join(id.sections_prefix());
    let mut all_gone = is_gone(&sections, fs::remove_dir_all(&sections));
    for file in [objects.join(id.report_key()), objects.join(id.input_key())].iter().chain(&mails) {
        all_gone &= is_gone(file, fs::remove_file(file));
    }
    all_gone
}

/// Removes an upload; answers whether it was.
async fn remove_upload(file: PathBuf) -> bool {
    is_gone(&file, tokio::fs::remove_file(&file).await)
}

/// Whether a file is not there any more. What was not there need not be removed.
fn is_gone(file: &Path, removed: io::Result<()>) -> bool {
    match removed {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            let file = file.display();
            tracing::error!(%file, %error, "cannot remove what is kept no longer, and tries again later");
            false
        }
        _ => true,
    }
}
