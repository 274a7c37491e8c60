//! Idempotency keys as a table: each stands for one job until its time is over.

use chrono::{DateTime, Utc};
use sqlx::{Row, SqliteConnection};

use super::store::{decode, read_id, read_time};
use crate::ports::{Reservation, Reserved};

/// Ties a key to a job, unless it is tied to one already.
pub(super) async fn reserve(
    writer: &mut SqliteConnection,
    reservation: &Reservation,
    now: DateTime<Utc>,
) -> Result<Reserved, sqlx::Error> {
    let taken = sqlx::query(
        "INSERT INTO idempotency_keys (key, fingerprint, job_id, enqueued_at, expires_at)
         VALUES (?1, ?2, ?3, ?4, ?5)
         ON CONFLICT (key) DO UPDATE SET
             fingerprint = excluded.fingerprint, job_id = excluded.job_id, enqueued_at = excluded.enqueued_at,
             expires_at = excluded.expires_at, confirmed = 0
         WHERE expires_at <= ?6",
    )
    .bind(&reservation.key)
    .bind(&reservation.fingerprint)
    .bind(reservation.id.to_string())
    .bind(reservation.enqueued_at.timestamp_millis())
    .bind(reservation.expires_at.timestamp_millis())
    .bind(now.timestamp_millis())
    .execute(&mut *writer)
    .await?;
    if taken.rows_affected() == 1 {
        return Ok(Reserved::Fresh);
    }
    let row = sqlx::query("SELECT * FROM idempotency_keys WHERE key = ?1")
        .bind(&reservation.key)
        .fetch_one(&mut *writer)
        .await?;
    if row.try_get::<String, _>("fingerprint")? != reservation.fingerprint {
        return Ok(Reserved::Differs);
    }
    Ok(Reserved::Repeated {
        id: read_id(&row, "job_id")?,
        enqueued_at: read_time(&row, "enqueued_at")?.ok_or_else(|| decode("no time of acceptance"))?,
        confirmed: row.try_get("confirmed")?,
    })
}

/// Records that the job tied to `key` was accepted.
pub(super) async fn confirm(writer: &mut SqliteConnection, key: &str) -> Result<(), sqlx::Error> {
    sqlx::query("UPDATE idempotency_keys SET confirmed = 1 WHERE key = ?1").bind(key).execute(writer).await?;
    Ok(())
}
