//! The queue as a table: a message is hidden until its `visible_at`, and each delivery writes a new ticket.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use sqlx::Row;
use sqlx::sqlite::SqliteRow;
use tokio::sync::Notify;
use tokio::time::{Instant, timeout_at};
use uuid::Uuid;

use super::database::{self, Database};
use crate::job::now;
use crate::ports::{Delivery, Queue, Ticket, Unavailable};

/// How often a waiting receiver looks for messages whose time has come. Pushed ones wake it at once.
const LOOK_AGAIN: Duration = Duration::from_millis(500);

/// How long a dead letter is hidden from others while one looks at it.
const GLANCE: Duration = Duration::from_secs(60);

const LOOK_ASIDE: &str = "
    UPDATE messages SET visible_at = ?2, ticket = lower(hex(randomblob(16)))
    WHERE id IN (
        SELECT id FROM messages
        WHERE queue = ?3 AND dead_at IS NOT NULL AND visible_at <= ?1 AND NOT EXISTS
            (SELECT 1 FROM jobs
             WHERE jobs.id = iif(json_valid(body), body ->> '$.id', NULL) AND notified_at IS NOT NULL)
        LIMIT 10)
    RETURNING body, receives, ticket";

/// A queue in SQLite.
#[derive(Debug, Clone)]
pub struct SqliteQueue {
    database: Database,
    name: &'static str,
    max_receives: u32,
    arrived: Arc<Notify>,
}

impl SqliteQueue {
    /// The queue of this name, one of many in the table.
    pub(super) fn new(database: Database, name: &'static str, max_receives: u32) -> Self {
        Self { database, name, max_receives, arrived: Arc::default() }
    }

    /// Sets aside what was delivered too often and comes back once more.
    async fn set_aside(&self, now: i64) -> Result<(), sqlx::Error> {
        sqlx::query(
            "UPDATE messages SET dead_at = ?1
             WHERE queue = ?3 AND dead_at IS NULL AND receives > 1 AND receives >= ?2 AND visible_at <= ?1",
        )
        .bind(now)
        .bind(self.max_receives)
        .bind(self.name)
        .execute(&mut *self.database.writer().await)
        .await?;
        Ok(())
    }

    async fn look_aside(&self) -> Result<Vec<Delivery>, sqlx::Error> {
        let now = now().timestamp_millis();
        self.set_aside(now).await?;
        let rows = sqlx::query(LOOK_ASIDE).bind(now).bind(now + millis(GLANCE)).bind(self.name);
        let rows = rows.fetch_all(&mut *self.database.writer().await).await?;
        let delivery = |row: &SqliteRow| {
            let ticket = Ticket(row.try_get("ticket")?);
            Ok(Delivery { body: row.try_get("body")?, receives: row.try_get("receives")?, ticket })
        };
        rows.iter().map(delivery).collect()
    }

    async fn take(&self, visibility: Duration) -> Result<Option<Delivery>, sqlx::Error> {
        let now = now().timestamp_millis();
        let ticket = Uuid::new_v4().to_string();
        let query = sqlx::query(
            "UPDATE messages SET visible_at = ?2, receives = receives + 1, ticket = ?3
             WHERE id = (SELECT id FROM messages
                         WHERE queue = ?4 AND dead_at IS NULL AND visible_at <= ?1 AND (receives <= 1 OR receives < ?5)
                         ORDER BY visible_at, id LIMIT 1)
             RETURNING body, receives",
        )
        .bind(now)
        .bind(now + millis(visibility))
        .bind(&ticket)
        .bind(self.name)
        .bind(self.max_receives);
        let row = database::write_one(query, &mut *self.database.writer().await).await?;
        row.map(|row| {
            Ok(Delivery { body: row.try_get("body")?, receives: row.try_get("receives")?, ticket: Ticket(ticket) })
        })
        .transpose()
    }
}

#[async_trait]
impl Queue for SqliteQueue {
    async fn push(&self, body: &str) -> Result<(), Unavailable> {
        sqlx::query("INSERT INTO messages (body, visible_at, queue) VALUES (?1, ?2, ?3)")
            .bind(body)
            .bind(now().timestamp_millis())
            .bind(self.name)
            .execute(&mut *self.database.durable_writer().await)
            .await
            .map_err(Unavailable::when("put the message in the queue"))?;
        self.arrived.notify_one();
        Ok(())
    }

    async fn receive(&self, visibility: Duration, wait: Duration) -> Result<Option<Delivery>, Unavailable> {
        let end = Instant::now() + wait;
        loop {
            let delivery = self.take(visibility).await.map_err(Unavailable::when("take a message from the queue"))?;
            if delivery.is_some() {
                // One arrival wakes one receiver; there may be more to take.
                self.arrived.notify_one();
                return Ok(delivery);
            }
            let aside = self.set_aside(now().timestamp_millis()).await;
            aside.map_err(Unavailable::when("set messages aside"))?;
            if Instant::now() >= end {
                return Ok(None);
            }
            // Either way, look again.
            _ = timeout_at(end.min(Instant::now() + LOOK_AGAIN), self.arrived.notified()).await;
        }
    }

    async fn acknowledge(&self, ticket: &Ticket) -> Result<(), Unavailable> {
        sqlx::query("DELETE FROM messages WHERE ticket = ?1")
            .bind(&ticket.0)
            .execute(&mut *self.database.writer().await)
            .await
            .map_err(Unavailable::when("acknowledge the message"))?;
        Ok(())
    }

    async fn release(&self, ticket: &Ticket, delay: Duration) -> Result<(), Unavailable> {
        sqlx::query("UPDATE messages SET visible_at = ?2 WHERE ticket = ?1")
            .bind(&ticket.0)
            .bind(now().timestamp_millis() + millis(delay))
            .execute(&mut *self.database.writer().await)
            .await
            .map_err(Unavailable::when("give the message back"))?;
        self.arrived.notify_one();
        Ok(())
    }

    /// Those of jobs that have not ended or were not announced, and those that are no jobs.
    async fn dead_letters(&self) -> Result<Vec<Delivery>, Unavailable> {
        self.look_aside().await.map_err(Unavailable::when("look at the dead letters"))
    }

    async fn show_dead_letters(&self, tickets: &[Ticket]) -> Result<(), Unavailable> {
        for ticket in tickets {
            let shown = sqlx::query("UPDATE messages SET visible_at = 0 WHERE ticket = ?1 AND dead_at IS NOT NULL");
            shown
                .bind(&ticket.0)
                .execute(&mut *self.database.writer().await)
                .await
                .map_err(Unavailable::when("show the dead letters again"))?;
        }
        Ok(())
    }
}

fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX / 2)
}
