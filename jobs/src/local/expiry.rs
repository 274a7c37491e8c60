//! What is kept no longer: jobs past their retention with their reports, inputs and mails, what is left of them in the
//! other tables, and uploads.

use std::io;
use std::path::{Path, PathBuf};

use chrono::{DateTime, TimeDelta, Utc};

use super::database::Database;
use super::objects::kept_mark;
use super::store::read_id;
use super::usage::remove_landed;
use crate::job::{JobId, Status};
use crate::ports::Unavailable;
use crate::upload::{UPLOADS, UploadId};

/// How many jobs are removed at a time.
const MOST: i64 = 500;

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
    /// Removes jobs whose time is over by `now`, files first, some hundred at a time; answers how many.
    pub async fn remove_expired(&self, now: DateTime<Utc>) -> Result<usize, Unavailable> {
        let attempted = "remove expired jobs";
        let expired = self.expired(now).await.map_err(Unavailable::when(attempted))?;
        for id in &expired {
            self.remove_files(*id).await.map_err(Unavailable::when(format!("remove the files of job {id}")))?;
            let query = sqlx::query("DELETE FROM jobs WHERE id = ?1").bind(id.to_string());
            query.execute(&mut *self.database.writer().await).await.map_err(Unavailable::when(attempted))?;
        }
        self.remove_rows(now).await.map_err(Unavailable::when(attempted))?;
        Ok(expired.len())
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
                remove(&path).await?;
                remove(&mark).await?;
                removed += 1;
            }
        }
        Ok(removed)
    }

    /// Jobs that have ended, and whose time is over.
    async fn expired(&self, now: DateTime<Utc>) -> Result<Vec<JobId>, sqlx::Error> {
        let rows = sqlx::query("SELECT id FROM jobs WHERE expires_at <= ?1 AND notified_at IS NOT NULL LIMIT ?2");
        let rows = rows.bind(now.timestamp_millis()).bind(MOST).fetch_all(&mut *self.database.reader().await).await?;
        rows.iter().map(|row| read_id(row, "id")).collect()
    }

    async fn remove_files(&self, id: JobId) -> io::Result<()> {
        remove(&self.objects.join(id.report_key())).await?;
        remove(&self.objects.join(id.input_key())).await?;
        remove_folder(&self.objects.join(id.sections_prefix())).await?;
        for status in [Status::Completed, Status::Failed] {
            remove(&self.outbox.join(format!("{id}-{status}.eml"))).await?;
        }
        Ok(())
    }

    async fn remove_rows(&self, now: DateTime<Utc>) -> Result<(), sqlx::Error> {
        let mut writer = self.database.writer().await;
        let dead = sqlx::query("DELETE FROM messages WHERE dead_at <= ?1");
        dead.bind((now - DEAD_LETTER_LIFE).timestamp_millis()).execute(&mut *writer).await?;
        let keys = sqlx::query("DELETE FROM idempotency_keys WHERE expires_at <= ?1");
        keys.bind(now.timestamp_millis()).execute(&mut *writer).await?;
        remove_landed(&mut writer, now).await
    }
}

async fn remove(path: &Path) -> io::Result<()> {
    match tokio::fs::remove_file(path).await {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

async fn remove_folder(path: &Path) -> io::Result<()> {
    match tokio::fs::remove_dir_all(path).await {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}
