//! The delivery queue as a table. One process works in the folder, so that it remembers what it has in hand; what a
//! killed process had in hand is still due.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use sqlx::Row;
use sqlx::sqlite::SqliteRow;
use tokio::sync::Notify;

use super::database::Database;
use crate::delivery::DeliveryMessage;
use crate::job::now;
use crate::ports::{Busy, Deliveries, DueDeliveries, DueDelivery, Unavailable};

/// A lane is one caller's deliveries to one destination. Its first delivery is found by one step into the index, however
/// many wait behind it or in other lanes.
const DUE: &str = "
    WITH RECURSIVE lanes (lane) AS (
        SELECT min(lane) FROM deliveries
        UNION ALL
        SELECT (SELECT min(lane) FROM deliveries WHERE lane > lanes.lane) FROM lanes WHERE lanes.lane IS NOT NULL
    )
    SELECT id, destination, caller, attempts, body FROM deliveries
    WHERE id IN (
            SELECT (SELECT id FROM deliveries AS waiting
                    WHERE waiting.lane = lanes.lane AND due_at <= ?1 AND id NOT IN (SELECT value FROM json_each(?2))
                    ORDER BY due_at, id LIMIT 1)
            FROM lanes WHERE lane IS NOT NULL)
        AND destination NOT IN (SELECT value FROM json_each(?3))
        AND caller NOT IN (SELECT value FROM json_each(?4))
    ORDER BY due_at, id LIMIT ?5";

/// A delivery queue in SQLite.
#[derive(Debug, Clone)]
pub struct SqliteDeliveries {
    database: Database,
    pushed: Arc<Notify>,
}

impl SqliteDeliveries {
    pub(super) fn new(database: Database) -> Self {
        Self { database, pushed: Arc::default() }
    }

    async fn rows(&self, busy: &Busy, most: usize) -> Result<Vec<DueDelivery>, sqlx::Error> {
        let list = |texts: &[String]| serde_json::json!(texts).to_string();
        let query = sqlx::query(DUE)
            .bind(now().timestamp_millis())
            .bind(serde_json::json!(busy.ids).to_string())
            .bind(list(&busy.destinations))
            .bind(list(&busy.callers))
            .bind(i64::try_from(most).unwrap_or(i64::MAX));
        let rows = query.fetch_all(&mut *self.database.reader().await).await?;
        rows.iter().map(read).collect()
    }
}

fn read(row: &SqliteRow) -> Result<DueDelivery, sqlx::Error> {
    Ok(DueDelivery {
        id: row.try_get("id")?,
        destination: row.try_get("destination")?,
        caller: row.try_get("caller")?,
        attempts: row.try_get("attempts")?,
        body: row.try_get("body")?,
    })
}

#[async_trait]
impl Deliveries for SqliteDeliveries {
    /// A step of a run: if the machine's power takes it, it takes what the run did after it too.
    async fn push(&self, message: &DeliveryMessage) -> Result<(), Unavailable> {
        sqlx::query("INSERT INTO deliveries (body, destination, caller) VALUES (?1, ?2, ?3)")
            .bind(message.encode())
            .bind(message.destination())
            .bind(message.caller())
            .execute(&mut *self.database.writer().await)
            .await
            .map_err(Unavailable::when("put the delivery in the queue"))?;
        self.pushed.notify_one();
        Ok(())
    }
}

#[async_trait]
impl DueDeliveries for SqliteDeliveries {
    async fn due(&self, busy: &Busy, most: usize) -> Result<Vec<DueDelivery>, Unavailable> {
        self.rows(busy, most).await.map_err(Unavailable::when("look for deliveries that are due"))
    }

    async fn remove(&self, id: i64) -> Result<(), Unavailable> {
        let query = sqlx::query("DELETE FROM deliveries WHERE id = ?1").bind(id);
        let done = query.execute(&mut *self.database.writer().await).await;
        done.map(|_| ()).map_err(Unavailable::when("remove the delivery"))
    }

    async fn postpone(&self, id: i64, pause: Duration) -> Result<(), Unavailable> {
        let pause = i64::try_from(pause.as_millis()).unwrap_or(i64::MAX / 2);
        let query = sqlx::query("UPDATE deliveries SET due_at = ?2, attempts = attempts + 1 WHERE id = ?1");
        let query = query.bind(id).bind(now().timestamp_millis().saturating_add(pause));
        let done = query.execute(&mut *self.database.writer().await).await;
        done.map(|_| ()).map_err(Unavailable::when("postpone the delivery"))
    }

    async fn pushed(&self) {
        self.pushed.notified().await;
    }
}
