//! How much callers use: requests in memory, since they are forgotten with their minute; jobs in flight and bytes as tables.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use chrono::{DateTime, TimeDelta, Utc};
use sqlx::sqlite::SqliteRow;
use sqlx::{Row, SqliteConnection};

use super::database::Database;
use crate::job::JobId;
use crate::ports::Unavailable;
use crate::usage::{BytesUsed, RECORDED_WITHIN, Usage, day, first_day};

/// Rows of jobs that have ended since they took off, and of those whose requests died before they were on record.
pub(super) const REMOVE_LANDED: &str = "
    DELETE FROM in_flight WHERE EXISTS (
        SELECT 1 FROM jobs
        WHERE id = job_id AND status IN ('completed', 'failed') AND finished_at >= taken_off_at
    ) OR (taken_off_at <= ?1 AND NOT EXISTS (
        SELECT 1 FROM jobs WHERE id = job_id AND status IN ('queued', 'running')
    ))";

/// How much callers of this process use.
#[derive(Debug, Clone)]
pub struct SqliteUsage {
    database: Database,
    minute: Arc<Mutex<Minute>>,
}

/// The requests of one minute, by caller.
#[derive(Debug, Default)]
struct Minute {
    number: i64,
    requests: HashMap<String, u32>,
}

impl SqliteUsage {
    pub(super) fn new(database: Database) -> Self {
        Self { database, minute: Arc::default() }
    }
}

#[async_trait]
impl Usage for SqliteUsage {
    async fn count_request(&self, caller: &str, now: DateTime<Utc>, most: u32) -> Result<bool, Unavailable> {
        let mut minute = self.minute.lock().unwrap_or_else(PoisonError::into_inner);
        let number = now.timestamp().div_euclid(60);
        if minute.number != number {
            *minute = Minute { number, requests: HashMap::new() };
        }
        let count = minute.requests.entry(caller.to_owned()).or_default();
        let counted = *count < most;
        *count += u32::from(counted);
        Ok(counted)
    }

    async fn take_off(&self, caller: &str, job: JobId, now: DateTime<Utc>, most: u32) -> Result<bool, Unavailable> {
        let attempted = "count the jobs in flight";
        let mut writer = self.database.writer().await;
        remove_landed(&mut writer, now).await.map_err(Unavailable::when(attempted))?;
        // One statement, so that of many requests at once no more get through than may.
        let taken = sqlx::query(
            "INSERT INTO in_flight (caller, job_id, taken_off_at) SELECT ?1, ?2, ?3
             WHERE (SELECT count(*) FROM in_flight WHERE caller = ?1 AND job_id <> ?2) < ?4
             ON CONFLICT (caller, job_id) DO UPDATE SET taken_off_at = excluded.taken_off_at",
        )
        .bind(caller)
        .bind(job.to_string())
        .bind(now.timestamp_millis())
        .bind(most)
        .execute(&mut *writer)
        .await
        .map_err(Unavailable::when(attempted))?;
        Ok(taken.rows_affected() == 1)
    }

    async fn count_bytes(
        &self,
        caller: &str,
        bytes: u64,
        now: DateTime<Utc>,
        kept: TimeDelta,
        most: u64,
    ) -> Result<Option<BytesUsed>, Unavailable> {
        let counted = self.add_bytes(caller, bytes, day(now), kept, most).await;
        counted.map_err(Unavailable::when("count the caller's bytes"))
    }
}

impl SqliteUsage {
    async fn add_bytes(
        &self,
        caller: &str,
        bytes: u64,
        today: i64,
        kept: TimeDelta,
        most: u64,
    ) -> Result<Option<BytesUsed>, sqlx::Error> {
        if bytes == 0 {
            return Ok(used(&mut *self.database.reader().await, caller, today, kept).await?.if_full(most));
        }
        // Held from the look to the write, so that of many requests at once no more get through than may.
        let mut writer = self.database.writer().await;
        let refused = used(&mut writer, caller, today, kept).await?.if_beyond(bytes, most);
        if refused.is_some() {
            return Ok(refused);
        }
        let old = sqlx::query("DELETE FROM bytes_used WHERE caller = ?1 AND day < ?2");
        old.bind(caller).bind(first_day(today, kept)).execute(&mut *writer).await?;
        let added = sqlx::query(
            "INSERT INTO bytes_used (caller, day, bytes) VALUES (?1, ?2, ?3)
             ON CONFLICT (caller, day) DO UPDATE SET bytes = bytes + excluded.bytes",
        );
        added.bind(caller).bind(today).bind(bytes.cast_signed()).execute(&mut *writer).await?;
        Ok(None)
    }
}

/// What counts of what a caller stored.
async fn used(
    connection: &mut SqliteConnection,
    caller: &str,
    today: i64,
    kept: TimeDelta,
) -> Result<BytesUsed, sqlx::Error> {
    let days = sqlx::query("SELECT day, bytes FROM bytes_used WHERE caller = ?1 AND day >= ?2");
    let days = days.bind(caller).bind(first_day(today, kept)).fetch_all(connection).await?;
    let read = |row: &SqliteRow| Ok((row.try_get("day")?, row.try_get::<i64, _>("bytes")?.cast_unsigned()));
    Ok(BytesUsed::of(days.iter().map(read).collect::<Result<Vec<_>, sqlx::Error>>()?, today, kept))
}

/// Removes what does not count any more.
pub(super) async fn remove_landed(writer: &mut SqliteConnection, now: DateTime<Utc>) -> Result<(), sqlx::Error> {
    let died_before = (now - RECORDED_WITHIN).timestamp_millis();
    sqlx::query(REMOVE_LANDED).bind(died_before).execute(writer).await.map(|_| ())
}
