//! What is kept no longer: jobs past their retention with their reports, inputs and mails, what is left of them in the
//! other tables, and uploads.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use chrono::{DateTime, TimeDelta, Utc};
use tokio::task::spawn_blocking;

use super::database::Database;
use super::objects::kept_mark;
use super::store::read_id;
use super::usage::remove_landed;
use crate::job::{JobId, Status};
use crate::ports::Unavailable;
use crate::upload::{UPLOADS, UploadId};

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

impl Expiry {
    /// Removes all jobs whose time is over by `now`, files first; returns how many.
    pub async fn remove_expired(&self, now: DateTime<Utc>) -> Result<usize, Unavailable> {
        let attempted = "remove expired jobs";
        let mut removed = 0;
        loop {
            let expired = self.expired(now).await.map_err(Unavailable::when(attempted))?;
            self.remove_files(&expired).await.map_err(Unavailable::when("remove the files of expired jobs"))?;
            self.remove_jobs(&expired).await.map_err(Unavailable::when(attempted))?;
            removed += expired.len();
            if expired.len() < BATCH {
                break;
            }
        }
        self.remove_rows(now).await.map_err(Unavailable::when(attempted))?;
        Ok(removed)
    }

    /// Removes uploads that were begun before `begun_before`, and of those that no job has named since all that were begun
    /// before `unnamed_before`; answers how many.
    pub async fn remove_uploads(
        &self,
        begun_before: DateTime<Utc>,
        unnamed_before: DateTime<Utc>,
    ) -> Result<usize, Unavailable> {
        let removed = self.remove_old_uploads(begun_before, unnamed_before).await;
        removed.map_err(Unavailable::when("remove expired uploads"))
    }

    async fn remove_old_uploads(
        &self,
        begun_before: DateTime<Utc>,
        unnamed_before: DateTime<Utc>,
    ) -> io::Result<usize> {
        let mut removed = 0;
        let mut entries = tokio::fs::read_dir(self.objects.join(UPLOADS)).await?;
        while let Some(entry) = entries.next_entry().await? {
            let id = entry.file_name().to_str().and_then(|name| name.parse::<UploadId>().ok());
            let Some(begun_at) = id.and_then(|id| id.made_at()) else { continue };
            let (path, mark) = (entry.path(), kept_mark(&entry.path()));
            if begun_at < begun_before || (begun_at < unnamed_before && !tokio::fs::try_exists(&mark).await?) {
                is_gone(tokio::fs::remove_file(&path).await)?;
                is_gone(tokio::fs::remove_file(&mark).await)?;
                removed += 1;
            }
        }
        Ok(removed)
    }

    /// Jobs that have ended, and whose time is over. The `+` keeps SQLite to the index by time.
    async fn expired(&self, now: DateTime<Utc>) -> Result<Vec<JobId>, sqlx::Error> {
        let rows =
            sqlx::query("SELECT id FROM jobs WHERE expires_at <= ?1 AND +status IN ('completed', 'failed') LIMIT ?2");
        let rows =
            rows.bind(now.timestamp_millis()).bind(BATCH as i64).fetch_all(&mut *self.database.reader().await).await?;
        rows.iter().map(|row| read_id(row, "id")).collect()
    }

    async fn remove_files(&self, ids: &[JobId]) -> io::Result<()> {
        let (objects, outbox, ids) = (self.objects.clone(), self.outbox.clone(), ids.to_vec());
        let removed = spawn_blocking(move || ids.iter().try_for_each(|id| remove_files(&objects, &outbox, *id)));
        removed.await.map_err(io::Error::other)?
    }

    /// One that was queued again meanwhile stays.
    async fn remove_jobs(&self, ids: &[JobId]) -> Result<(), sqlx::Error> {
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

fn remove_files(objects: &Path, outbox: &Path, id: JobId) -> io::Result<()> {
    is_gone(fs::remove_file(objects.join(id.report_key())))?;
    is_gone(fs::remove_file(objects.join(id.input_key())))?;
    is_gone(fs::remove_dir_all(objects.join(id.sections_prefix())))?;
    for status in [Status::Completed, Status::Failed] {
        is_gone(fs::remove_file(outbox.join(format!("{id}-{status}.eml"))))?;
    }
    Ok(())
}

/// What was not there need not be removed.
fn is_gone(removed: io::Result<()>) -> io::Result<()> {
    match removed {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}
