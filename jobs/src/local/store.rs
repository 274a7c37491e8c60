//! The record of jobs as a table. Every claim and every fenced write is one conditional statement.

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use sqlx::sqlite::{SqliteArguments, SqliteRow};
use sqlx::{Row, Sqlite, SqlitePool};
use uuid::Uuid;

use crate::job::{Failure, Job, JobId, Status};
use crate::ports::{Claim, Claimed, Held, JobStore, Unavailable};

/// A job store in SQLite.
#[derive(Debug, Clone)]
pub struct SqliteStore {
    pool: SqlitePool,
}

type Query = sqlx::query::Query<'static, Sqlite, SqliteArguments>;

impl SqliteStore {
    pub(super) fn new(pool: SqlitePool) -> Self {
        Self { pool }
    }

    async fn row(&self, id: JobId) -> Result<Option<SqliteRow>, sqlx::Error> {
        sqlx::query("SELECT * FROM jobs WHERE id = ?1").bind(id.to_string()).fetch_optional(&self.pool).await
    }

    async fn write(&self, attempted: &str, query: Query) -> Result<Held, Unavailable> {
        let done = query.execute(&self.pool).await.map_err(Unavailable::when(attempted))?;
        Ok(if done.rows_affected() == 1 { Held::Yes } else { Held::No })
    }

    async fn try_claim(&self, job: &Job, claim: &Claim) -> Result<Claimed, sqlx::Error> {
        let claimed = sqlx::query(
            "INSERT INTO jobs (id, template, status, attempts, enqueued_at, started_at, owner, lease_until, expires_at)
             VALUES (?1, ?2, 'running', 1, ?3, ?4, ?5, ?6, ?7)
             ON CONFLICT (id) DO UPDATE SET
                owner       = excluded.owner,
                lease_until = excluded.lease_until,
                attempts    = attempts + (status IN ('queued', 'running')),
                started_at  = iif(status IN ('queued', 'running'), excluded.started_at, started_at),
                status      = iif(status IN ('queued', 'running'), 'running', status)
             WHERE lease_until <= ?4 AND notified_at IS NULL
             RETURNING *",
        )
        .bind(job.id.to_string())
        .bind(job.template.clone())
        .bind(job.enqueued_at.timestamp_millis())
        .bind(claim.now.timestamp_millis())
        .bind(claim.owner.to_string())
        .bind(claim.lease_until.timestamp_millis())
        .bind(claim.expires_at.timestamp_millis())
        .fetch_optional(&self.pool)
        .await?;
        if let Some(row) = claimed {
            let job = read_job(&row)?;
            return Ok(if job.status.is_final() {
                Claimed::Announce(Box::new(job))
            } else {
                Claimed::Run(job.attempts)
            });
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
    async fn record(&self, job: &Job, expires_at: DateTime<Utc>) -> Result<(), Unavailable> {
        sqlx::query(
            "INSERT INTO jobs (id, template, status, enqueued_at, expires_at) VALUES (?1, ?2, 'queued', ?3, ?4)
             ON CONFLICT (id) DO NOTHING",
        )
        .bind(job.id.to_string())
        .bind(job.template.clone())
        .bind(job.enqueued_at.timestamp_millis())
        .bind(expires_at.timestamp_millis())
        .execute(&self.pool)
        .await
        .map_err(Unavailable::when("put the job on record"))?;
        Ok(())
    }

    async fn get(&self, id: JobId) -> Result<Option<Job>, Unavailable> {
        let row = self.row(id).await.map_err(Unavailable::when("read the job's record"))?;
        row.as_ref().map(read_job).transpose().map_err(Unavailable::when("understand the job's record"))
    }

    async fn claim(&self, job: &Job, claim: &Claim) -> Result<Claimed, Unavailable> {
        self.try_claim(job, claim).await.map_err(Unavailable::when("claim the job"))
    }

    async fn complete(
        &self,
        id: JobId,
        owner: Uuid,
        pages: u64,
        bytes: u64,
        at: DateTime<Utc>,
    ) -> Result<Held, Unavailable> {
        let query = sqlx::query(
            "UPDATE jobs SET status = 'completed', pages = ?3, bytes = ?4, finished_at = ?5
             WHERE id = ?1 AND owner = ?2 AND status IN ('running', 'completed')",
        );
        let query = query.bind(id.to_string()).bind(owner.to_string());
        let query = query.bind(pages.cast_signed()).bind(bytes.cast_signed()).bind(at.timestamp_millis());
        self.write("record the report", query).await
    }

    async fn fail(&self, id: JobId, owner: Uuid, failure: &Failure, at: DateTime<Utc>) -> Result<Held, Unavailable> {
        let error = serde_json::to_string(failure).map_err(Unavailable::when("write the failure down"))?;
        let query = sqlx::query(
            "UPDATE jobs SET status = 'failed', error = ?3, finished_at = ?4
             WHERE id = ?1 AND owner = ?2 AND status IN ('running', 'failed')",
        );
        let query = query.bind(id.to_string()).bind(owner.to_string()).bind(error).bind(at.timestamp_millis());
        self.write("record the failure", query).await
    }

    async fn release(&self, id: JobId, owner: Uuid) -> Result<Held, Unavailable> {
        let query = sqlx::query(
            "UPDATE jobs SET status = iif(status = 'running', 'queued', status), owner = NULL, lease_until = 0
             WHERE id = ?1 AND owner = ?2",
        );
        self.write("put the job back", query.bind(id.to_string()).bind(owner.to_string())).await
    }

    async fn mark_notified(&self, id: JobId, owner: Uuid, at: DateTime<Utc>) -> Result<Held, Unavailable> {
        let query = sqlx::query(
            "UPDATE jobs SET notified_at = ?3, lease_until = 0
             WHERE id = ?1 AND owner = ?2 AND status IN ('completed', 'failed')",
        );
        let query = query.bind(id.to_string()).bind(owner.to_string()).bind(at.timestamp_millis());
        self.write("record the announcement", query).await
    }
}

fn read_job(row: &SqliteRow) -> Result<Job, sqlx::Error> {
    let decode = |error: Box<dyn std::error::Error + Send + Sync>| sqlx::Error::Decode(error);
    let error: Option<String> = row.try_get("error")?;
    Ok(Job {
        id: row.try_get::<String, _>("id")?.parse::<JobId>().map_err(|error| decode(error.into()))?,
        template: row.try_get("template")?,
        status: row.try_get::<String, _>("status")?.parse::<Status>().map_err(|error| decode(error.into()))?,
        attempts: row.try_get("attempts")?,
        enqueued_at: read_time(row, "enqueued_at")?.ok_or_else(|| decode("no time of acceptance".into()))?,
        started_at: read_time(row, "started_at")?,
        finished_at: read_time(row, "finished_at")?,
        pages: row.try_get::<Option<i64>, _>("pages")?.map(i64::cast_unsigned),
        bytes: row.try_get::<Option<i64>, _>("bytes")?.map(i64::cast_unsigned),
        error: error.map(|text| serde_json::from_str(&text)).transpose().map_err(|error| decode(error.into()))?,
        notified_at: read_time(row, "notified_at")?,
    })
}

fn read_time(row: &SqliteRow, column: &str) -> Result<Option<DateTime<Utc>>, sqlx::Error> {
    let millis: Option<i64> = row.try_get(column)?;
    Ok(millis.and_then(DateTime::from_timestamp_millis))
}
