//! The record of jobs as a table. Every claim and every fenced write is one conditional statement.

use std::time::Duration;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use serde::Serialize;
use serde::de::DeserializeOwned;
use sqlx::sqlite::{SqliteArguments, SqliteRow};
use sqlx::{AssertSqlSafe, Row, Sqlite};
use tokio::time::{Instant, timeout_at};
use uuid::Uuid;

use super::changes::Changes;
use super::database::{self, Database};
use super::{keys, listing};
use crate::data::Data;
use crate::delivery::{AnnouncementRecord, DeliveryMessage, Recorded};
use crate::event::is_news;
use crate::job::{Job, JobId, Progress, Status, now};
use crate::ports::{
    Attempt, Claim, Claimed, Completed, FARTHEST_LEASE, Failed, Held, JobStore, LAST_REOPENED, Listed, Listing,
    Purpose, Reservation, Reserved, Terms, Unavailable,
};
use crate::upload::{NoUploadId, UploadId};

/// A job store in SQLite.
#[derive(Debug, Clone)]
pub struct SqliteStore {
    database: Database,
    changes: Changes,
}

type Query = sqlx::query::Query<'static, Sqlite, SqliteArguments>;

/// What a job is read from: all but its data, which may be large.
macro_rules! columns {
    () => {
        "id, template, status, attempts, enqueued_at, started_at, finished_at, pages, bytes, progress, warnings, error, \
         notified_at, retries, options, notify, webhook, announcement, upload, caller, lease_until, counted_attempts"
    };
}
pub(super) use columns;

const GET: &str = concat!("SELECT ", columns!(), " FROM jobs WHERE id = ?1");

/// `?12` is 1 for a run and 0 for settling.
const CLAIM: &str = concat!(
    "
    INSERT INTO jobs (id, template, enqueued_at, retries, options, notify, overdue_at, expires_at,
                      status, owner, lease_until, started_at, attempts, counted_attempts, upload, caller, settling)
    VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, 'running', ?9, ?10, iif(?12, ?11, NULL), ?12, ?12, ?13, ?15, NOT ?12)
    ON CONFLICT (id) DO UPDATE SET
        status      = 'running',
        owner       = excluded.owner,
        lease_until = excluded.lease_until,
        settling    = excluded.settling,
        started_at  = coalesce(excluded.started_at, started_at),
        attempts    = iif(set_aside, 0, attempts) + ?12,
        counted_attempts = iif(set_aside, 0, counted_attempts) + ?12,
        lost_servers = iif(set_aside, 0, lost_servers),
        options     = coalesce(options, excluded.options),
        notify      = coalesce(notify, excluded.notify),
        upload      = coalesce(upload, excluded.upload),
        caller      = coalesce(caller, excluded.caller),
        overdue_at  = excluded.overdue_at,
        expires_at  = excluded.expires_at,
        finished_at = NULL,
        progress    = NULL,
        warnings    = NULL,
        error       = NULL,
        notified_at = NULL,
        webhook     = NULL,
        announcement = NULL,
        set_aside   = 0,
        reopened    = 0
    WHERE (lease_until <= ?11 OR lease_until > ?14) AND (status IN ('queued', 'running') OR (set_aside AND ?12))
    RETURNING ",
    columns!()
);

const CLAIM_ANNOUNCEMENT: &str = concat!(
    "
    UPDATE jobs SET owner = ?2, lease_until = ?3
    WHERE id = ?1 AND status IN ('completed', 'failed') AND notified_at IS NULL AND (lease_until <= ?4 OR lease_until > ?5)
    RETURNING ",
    columns!()
);

/// The queue is in the same database, so a job whose message still is there is not overdue. Without the `+`, the
/// column's affinity would keep SQLite from using the index `messages_by_job`.
const OVERDUE: &str = concat!(
    "
    SELECT ",
    columns!(),
    " FROM jobs
    WHERE notified_at IS NULL AND overdue_at <= ?1 AND (lease_until <= ?1 OR lease_until > ?3) AND NOT EXISTS
        (SELECT 1 FROM messages WHERE iif(json_valid(body), body ->> '$.id', NULL) = +jobs.id AND dead_at IS NULL
            AND queue = 'jobs')
    LIMIT ?2"
);

impl SqliteStore {
    pub(super) fn new(database: Database) -> Self {
        Self { database, changes: Changes::default() }
    }

    async fn row(&self, id: JobId) -> Result<Option<SqliteRow>, sqlx::Error> {
        sqlx::query(GET).bind(id.to_string()).fetch_optional(&mut *self.database.reader().await).await
    }

    async fn write(&self, id: JobId, attempted: &str, query: Query) -> Result<Held, Unavailable> {
        let held = self.write_unheard(attempted, query).await?;
        self.changes.written(id);
        Ok(held)
    }

    async fn write_unheard(&self, attempted: &str, query: Query) -> Result<Held, Unavailable> {
        let done = query.execute(&mut *self.database.writer().await).await.map_err(Unavailable::when(attempted))?;
        Ok(if done.rows_affected() == 1 { Held::Yes } else { Held::No })
    }

    async fn claim_run(&self, job: &Job, claim: &Claim) -> Result<Option<SqliteRow>, sqlx::Error> {
        let query = sqlx::query(CLAIM)
            .bind(job.id.to_string())
            .bind(&job.template)
            .bind(job.enqueued_at.timestamp_millis())
            .bind(job.retries)
            .bind(to_json(&job.options)?)
            .bind(to_json(&job.notify)?)
            .bind(claim.terms.overdue_at.timestamp_millis())
            .bind(claim.terms.expires_at.timestamp_millis())
            .bind(claim.owner.to_string())
            .bind(claim.lease_until.timestamp_millis())
            .bind(claim.now.timestamp_millis())
            .bind(i32::from(claim.purpose == Purpose::Run))
            .bind(job.input.map(|input| input.to_string()))
            .bind((claim.now + FARTHEST_LEASE).timestamp_millis())
            .bind(job.caller.clone());
        database::write_one(query, &mut *self.database.writer().await).await
    }

    async fn try_claim(&self, job: &Job, claim: &Claim) -> Result<Claimed, sqlx::Error> {
        if let Some(row) = self.claim_run(job, claim).await? {
            let (number, counted) = (row.try_get("attempts")?, row.try_get("counted_attempts")?);
            return Ok(Claimed::Run(Attempt { number, counted }));
        }
        let unannounced = sqlx::query(CLAIM_ANNOUNCEMENT)
            .bind(job.id.to_string())
            .bind(claim.owner.to_string())
            .bind(claim.lease_until.timestamp_millis())
            .bind(claim.now.timestamp_millis())
            .bind((claim.now + FARTHEST_LEASE).timestamp_millis());
        if let Some(row) = database::write_one(unannounced, &mut *self.database.writer().await).await? {
            return Ok(Claimed::Announce(Box::new(read_job(&row)?)));
        }
        let Some(row) = self.row(job.id).await? else { return Err(sqlx::Error::RowNotFound) };
        if read_job(&row)?.notified_at.is_some() {
            return Ok(Claimed::Settled);
        }
        Ok(Claimed::Busy(read_time(&row, "lease_until")?.unwrap_or(claim.now)))
    }
}

#[async_trait]
impl JobStore for SqliteStore {
    async fn record(&self, job: &Job, terms: Terms) -> Result<(), Unavailable> {
        let attempted = "put the job on record";
        let recorded = sqlx::query(
            "INSERT INTO jobs
                 (id, template, status, enqueued_at, retries, options, notify, overdue_at, expires_at, upload, caller)
             VALUES (?1, ?2, 'queued', ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)
             ON CONFLICT (id) DO UPDATE SET overdue_at = excluded.overdue_at WHERE status = 'queued'",
        )
        .bind(job.id.to_string())
        .bind(&job.template)
        .bind(job.enqueued_at.timestamp_millis())
        .bind(job.retries)
        .bind(to_json(&job.options).map_err(Unavailable::when(attempted))?)
        .bind(to_json(&job.notify).map_err(Unavailable::when(attempted))?)
        .bind(terms.overdue_at.timestamp_millis())
        .bind(terms.expires_at.timestamp_millis())
        .bind(job.input.map(|input| input.to_string()))
        .bind(&job.caller)
        .execute(&mut *self.database.writer().await)
        .await;
        self.database.on_disk(recorded).await.map_err(Unavailable::when(attempted))?;
        Ok(())
    }

    async fn get(&self, id: JobId) -> Result<Option<Job>, Unavailable> {
        let row = self.row(id).await.map_err(Unavailable::when("read the job's record"))?;
        row.as_ref().map(read_job).transpose().map_err(Unavailable::when("understand the job's record"))
    }

    async fn changed(&self, seen: &Job, wait: Duration) -> Result<Option<Job>, Unavailable> {
        let end = Instant::now() + wait;
        let mut waiter = self.changes.wait_for(seen.id);
        loop {
            let job = self.get(seen.id).await?;
            if is_news(job.as_ref(), seen) || timeout_at(end, waiter.next()).await.is_err() {
                return Ok(job);
            }
        }
    }

    async fn check_writable(&self) -> Result<(), Unavailable> {
        let written = database::write_nothing(&mut *self.database.writer().await).await;
        written.map_err(Unavailable::when("write to the database"))
    }

    async fn list(&self, listing: &Listing) -> Result<Listed, Unavailable> {
        let rows = listing::query(listing)
            .build()
            .fetch_all(&mut *self.database.reader().await)
            .await
            .map_err(Unavailable::when("list the jobs"))?;
        let shown = &rows[..rows.len().min(listing.limit)];
        let last = shown.last().filter(|_| rows.len() > listing.limit);
        let next = last.map(|row| read_id(row, "id")).transpose().map_err(Unavailable::when("list the jobs"))?;
        Ok(Listed { jobs: readable(shown), next })
    }

    async fn claim(&self, job: &Job, claim: &Claim) -> Result<Claimed, Unavailable> {
        let claimed = self.try_claim(job, claim).await.map_err(Unavailable::when("claim the job"))?;
        self.changes.written(job.id);
        Ok(claimed)
    }

    async fn renew(&self, id: JobId, owner: Uuid, lease_until: DateTime<Utc>) -> Result<Held, Unavailable> {
        let query = sqlx::query("UPDATE jobs SET lease_until = ?3 WHERE id = ?1 AND owner = ?2 AND status = 'running'");
        let query = query.bind(id.to_string()).bind(owner.to_string()).bind(lease_until.timestamp_millis());
        // Nobody waits for this: it is no event.
        self.write_unheard("renew the lease", query).await
    }

    async fn progress(&self, id: JobId, owner: Uuid, progress: Progress) -> Result<Held, Unavailable> {
        let attempted = "record how far the run is";
        let query = sqlx::query("UPDATE jobs SET progress = ?3 WHERE id = ?1 AND owner = ?2 AND status = 'running'");
        let progress = to_json(&progress).map_err(Unavailable::when(attempted))?;
        self.write(id, attempted, query.bind(id.to_string()).bind(owner.to_string()).bind(progress)).await
    }

    async fn advanced(&self, id: JobId, owner: Uuid) -> Result<Held, Unavailable> {
        let query = sqlx::query(
            "UPDATE jobs SET counted_attempts = 0, lost_servers = 0 WHERE id = ?1 AND owner = ?2 AND status = 'running'",
        );
        let attempted = "record that the job came further";
        self.write_unheard(attempted, query.bind(id.to_string()).bind(owner.to_string())).await
    }

    async fn complete(&self, id: JobId, owner: Uuid, completed: &Completed<'_>) -> Result<Held, Unavailable> {
        let attempted = "record the report";
        let Completed { pages, bytes, warnings, at } = *completed;
        let query = sqlx::query(
            "UPDATE jobs SET status = 'completed', pages = ?3, bytes = ?4, finished_at = ?5, warnings = ?6,
                 progress = NULL, input = NULL
             WHERE id = ?1 AND owner = ?2 AND status IN ('running', 'completed')",
        );
        let warnings = Some(warnings).filter(|warnings| !warnings.is_empty()).map(|warnings| to_json(&warnings));
        let query = query
            .bind(id.to_string())
            .bind(owner.to_string())
            .bind(pages.cast_signed())
            .bind(bytes.cast_signed())
            .bind(at.timestamp_millis())
            .bind(warnings.transpose().map_err(Unavailable::when(attempted))?);
        self.write(id, attempted, query).await
    }

    async fn fail(&self, id: JobId, owner: Uuid, failed: &Failed<'_>) -> Result<Held, Unavailable> {
        let attempted = "record the failure";
        let query = sqlx::query(
            "UPDATE jobs SET status = 'failed', error = ?3, input = coalesce(?4, input), set_aside = ?5, finished_at = ?6,
                 progress = NULL
             WHERE id = ?1 AND owner = ?2 AND status IN ('running', 'failed')",
        );
        let input = failed.input.map(to_json).transpose().map_err(Unavailable::when(attempted))?;
        let query = query
            .bind(id.to_string())
            .bind(owner.to_string())
            .bind(to_json(failed.failure).map_err(Unavailable::when(attempted))?)
            .bind(input)
            .bind(failed.set_aside)
            .bind(failed.at.timestamp_millis());
        self.write(id, attempted, query).await
    }

    async fn release(&self, id: JobId, owner: Uuid, forgiven: bool) -> Result<Held, Unavailable> {
        let query = sqlx::query(
            "UPDATE jobs SET
                 attempts = attempts - iif(status = 'running', ?3, 0),
                 counted_attempts = max(counted_attempts - iif(status = 'running', ?3, 0), 0), status = iif(status = 'running', 'queued', status),
                 owner = NULL, lease_until = 0, progress = NULL
             WHERE id = ?1 AND owner = ?2",
        );
        self.write(id, "put the job back", query.bind(id.to_string()).bind(owner.to_string()).bind(forgiven)).await
    }

    async fn mark_notified(
        &self,
        id: JobId,
        owner: Uuid,
        at: DateTime<Utc>,
        announcement: &AnnouncementRecord,
    ) -> Result<Held, Unavailable> {
        let attempted = "record that the deliveries were handed over";
        let query = sqlx::query(
            "UPDATE jobs SET notified_at = ?3, announcement = coalesce(announcement, ?4), lease_until = 0
             WHERE id = ?1 AND owner = ?2 AND status IN ('completed', 'failed')",
        );
        let announcement = to_json(announcement).map_err(Unavailable::when(attempted))?;
        let query = query.bind(id.to_string()).bind(owner.to_string()).bind(at.timestamp_millis()).bind(announcement);
        self.write(id, attempted, query).await
    }

    async fn record_delivery(&self, message: &DeliveryMessage, recorded: &Recorded) -> Result<Held, Unavailable> {
        let attempted = "record the delivery";
        let column = recorded.column();
        // The column's name is one of ours.
        let query = sqlx::query(AssertSqlSafe(format!(
            "UPDATE jobs SET {column} = ?4
             WHERE id = ?1 AND retries = ?2 AND status = ?3 AND coalesce({column} ->> '$.status', '') <> 'delivered'"
        )));
        let query = query.bind(message.id.to_string()).bind(message.retries).bind(message.status.as_str());
        self.write(message.id, attempted, query.bind(to_json(recorded).map_err(Unavailable::when(attempted))?)).await
    }

    async fn kept_input(&self, id: JobId) -> Result<Option<Data>, Unavailable> {
        let attempted = "read the job's kept data";
        let query = sqlx::query("SELECT input FROM jobs WHERE id = ?1").bind(id.to_string());
        let row =
            query.fetch_optional(&mut *self.database.reader().await).await.map_err(Unavailable::when(attempted))?;
        let Some(row) = row else { return Ok(None) };
        from_json(&row, "input").map_err(Unavailable::when(attempted))
    }

    async fn reopen(&self, id: JobId, terms: Terms) -> Result<Option<Job>, Unavailable> {
        let attempted = "queue the job again";
        let query = sqlx::query(concat!(
            "UPDATE jobs SET
                 status = 'queued', attempts = 0, counted_attempts = 0, lost_servers = 0, retries = retries + (NOT reopened), reopened = 1,
                 overdue_at = ?2, expires_at = ?4, owner = NULL, lease_until = 0, error = NULL, finished_at = NULL, notified_at = NULL, set_aside = 0,
                 webhook = NULL, announcement = NULL
             WHERE id = ?1 AND (status = 'failed' OR (status = 'queued' AND reopened)) AND expires_at > ?3
             RETURNING ",
            columns!()
        ))
        .bind(id.to_string())
        .bind(terms.overdue_at.timestamp_millis())
        .bind((now() + LAST_REOPENED).timestamp_millis())
        .bind(terms.expires_at.timestamp_millis());
        let row = database::write_one(query, &mut *self.database.writer().await).await;
        let row = self.database.on_disk(row).await.map_err(Unavailable::when(attempted))?;
        self.changes.written(id);
        row.as_ref().map(read_job).transpose().map_err(Unavailable::when(attempted))
    }

    async fn overdue(&self, now: DateTime<Utc>, most: usize) -> Result<Vec<Job>, Unavailable> {
        let attempted = "look for overdue jobs";
        let rows = sqlx::query(OVERDUE)
            .bind(now.timestamp_millis())
            .bind(i64::try_from(most).unwrap_or(i64::MAX))
            .bind((now + FARTHEST_LEASE).timestamp_millis())
            .fetch_all(&mut *self.database.reader().await)
            .await
            .map_err(Unavailable::when(attempted))?;
        Ok(readable(&rows))
    }

    async fn reserve(&self, reservation: &Reservation, now: DateTime<Utc>) -> Result<Reserved, Unavailable> {
        let reserved = keys::reserve(&mut *self.database.writer().await, reservation, now).await;
        self.database.on_disk(reserved).await.map_err(Unavailable::when("reserve the idempotency key"))
    }

    async fn confirm(&self, key: &str) -> Result<(), Unavailable> {
        keys::confirm(&mut *self.database.writer().await, key)
            .await
            .map_err(Unavailable::when("confirm the idempotency key"))
    }
}

/// One record that cannot be read does not keep the others from being.
fn readable(rows: &[SqliteRow]) -> Vec<Job> {
    let skipped = |row: &SqliteRow, error: &sqlx::Error| {
        let job_id: Option<String> = row.try_get("id").ok();
        tracing::error!(job_id, %error, "skipped a job's record");
    };
    rows.iter().filter_map(|row| read_job(row).inspect_err(|error| skipped(row, error)).ok()).collect()
}

fn read_job(row: &SqliteRow) -> Result<Job, sqlx::Error> {
    Ok(Job {
        id: read_id(row, "id")?,
        caller: row.try_get("caller")?,
        template: row.try_get("template")?,
        status: row.try_get::<String, _>("status")?.parse::<Status>().map_err(decode)?,
        attempts: row.try_get("attempts")?,
        enqueued_at: read_time(row, "enqueued_at")?.ok_or_else(|| decode("no time of acceptance"))?,
        started_at: read_time(row, "started_at")?,
        finished_at: read_time(row, "finished_at")?,
        pages: row.try_get::<Option<i64>, _>("pages")?.map(i64::cast_unsigned),
        bytes: row.try_get::<Option<i64>, _>("bytes")?.map(i64::cast_unsigned),
        progress: from_json(row, "progress")?,
        warnings: from_json(row, "warnings")?.unwrap_or_default(),
        error: from_json(row, "error")?,
        notified_at: read_time(row, "notified_at")?,
        retries: row.try_get("retries")?,
        options: from_json(row, "options")?.unwrap_or_default(),
        notify: from_json(row, "notify")?.unwrap_or_default(),
        webhook: from_json(row, "webhook")?,
        announcement: from_json(row, "announcement")?,
        input: read_upload(row)?,
    })
}

pub(super) fn read_id(row: &SqliteRow, column: &str) -> Result<JobId, sqlx::Error> {
    row.try_get::<String, _>(column)?.parse().map_err(|error: uuid::Error| decode(error))
}

fn read_upload(row: &SqliteRow) -> Result<Option<UploadId>, sqlx::Error> {
    let id: Option<String> = row.try_get("upload")?;
    id.map(|id| id.parse()).transpose().map_err(|error: NoUploadId| decode(error))
}

pub(super) fn read_time(row: &SqliteRow, column: &str) -> Result<Option<DateTime<Utc>>, sqlx::Error> {
    let millis: Option<i64> = row.try_get(column)?;
    Ok(millis.and_then(DateTime::from_timestamp_millis))
}

fn to_json(value: &impl Serialize) -> Result<String, sqlx::Error> {
    serde_json::to_string(value).map_err(|error| sqlx::Error::Encode(error.into()))
}

fn from_json<T: DeserializeOwned>(row: &SqliteRow, column: &str) -> Result<Option<T>, sqlx::Error> {
    let text: Option<String> = row.try_get(column)?;
    text.map(|text| serde_json::from_str(&text)).transpose().map_err(decode)
}

pub(super) fn decode(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> sqlx::Error {
    sqlx::Error::Decode(error.into())
}
