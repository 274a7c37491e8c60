//! The queue as a table: a message whose `visible_at` is 0 is ready, any other is hidden until then, and each delivery
//! writes a new ticket. Callers are served by turns, each caller's messages in their order.

pub(super) mod clock;
pub(super) mod turn;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use sqlx::sqlite::SqliteRow;
use sqlx::{QueryBuilder, Row, Sqlite};
use tokio::sync::Notify;
use tokio::time::{Instant, timeout_at};
use uuid::Uuid;

use self::clock::Clock;
use self::turn::Stretch;
use super::database::{self, Database};
use crate::job::now;
use crate::message::caller_of;
use crate::ports::{Delivery, LOOK_AGAIN, Queue, Ticket, Unavailable};

/// How often messages whose time has come are made ready where none is.
const TEND_EVERY: Duration = Duration::from_millis(100);

/// How often they are while others are taken.
const TEND_AT_LEAST_EVERY: Duration = Duration::from_secs(1);

/// What its rows say in the column `queue`: there were others once.
const QUEUE: &str = "jobs";

/// How many stretches of callers one statement looks through: a function of SQLite has 1,000 arguments at the most.
const STRETCHES_AT_ONCE: usize = 500;

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
    max_receives: u32,
    arrived: Arc<Notify>,
    clock: Clock,
    state: Arc<Mutex<State>>,
}

#[derive(Debug, Default)]
struct State {
    /// The caller that was served last.
    served: String,
    /// When messages whose time had come were last made ready.
    tended_at: Option<Instant>,
}

impl SqliteQueue {
    pub(super) fn new(database: Database, max_receives: u32) -> Self {
        let (arrived, clock, state) = (Arc::default(), Clock::default(), Arc::default());
        Self { database, max_receives, arrived, clock, state }
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sets aside what was delivered too often and comes back once more.
    async fn set_aside(&self) -> Result<(), sqlx::Error> {
        sqlx::query(
            "UPDATE messages SET dead_at = ?1
             WHERE queue = ?3 AND dead_at IS NULL AND receives > 1 AND receives >= ?2 AND visible_at <= ?4",
        )
        .bind(now().timestamp_millis())
        .bind(self.max_receives)
        .bind(QUEUE)
        .bind(self.clock.millis())
        .execute(&mut *self.database.writer().await)
        .await?;
        Ok(())
    }

    async fn look_aside(&self) -> Result<Vec<Delivery>, sqlx::Error> {
        let now = self.clock.millis();
        self.set_aside().await?;
        let rows = sqlx::query(LOOK_ASIDE).bind(now).bind(self.clock.after(GLANCE)).bind(QUEUE);
        let rows = rows.fetch_all(&mut *self.database.writer().await).await?;
        let delivery = |row: &SqliteRow| {
            let ticket = Ticket(row.try_get("ticket")?);
            Ok(Delivery { body: row.try_get("body")?, receives: row.try_get("receives")?, ticket })
        };
        rows.iter().map(delivery).collect()
    }

    /// Makes ready what was hidden until now and sets aside what came back too often. Returns whether it looked, which it
    /// does from time to time.
    async fn tend(&self, every: Duration) -> Result<bool, sqlx::Error> {
        {
            let mut state = self.state();
            if state.tended_at.is_some_and(|at| at.elapsed() < every) {
                return Ok(false);
            }
            state.tended_at = Some(Instant::now());
        }
        let woken = sqlx::query(
            "UPDATE messages SET visible_at = 0
             WHERE queue = ?1 AND dead_at IS NULL AND visible_at > 0 AND visible_at <= ?2",
        );
        woken.bind(QUEUE).bind(self.clock.millis()).execute(&mut *self.database.writer().await).await?;
        self.set_aside().await?;
        Ok(true)
    }

    /// Takes the oldest message of the caller whose turn it is.
    async fn take_next(&self, visibility: Duration, passed_over: &[String]) -> Result<Option<Delivery>, sqlx::Error> {
        self.tend(TEND_AT_LEAST_EVERY).await?;
        let taken = self.take_ready(visibility, passed_over).await?;
        if taken.is_none() && self.tend(TEND_EVERY).await? {
            return self.take_ready(visibility, passed_over).await;
        }
        Ok(taken)
    }

    /// Takes the oldest of the messages that are ready of the caller whose turn it is.
    async fn take_ready(&self, visibility: Duration, passed_over: &[String]) -> Result<Option<Delivery>, sqlx::Error> {
        let ticket = Uuid::new_v4().to_string();
        let stretches = turn::stretches(&self.state().served, passed_over);
        for stretches in stretches.chunks(STRETCHES_AT_ONCE) {
            let mut query = self.taking(stretches, &ticket, visibility);
            if let Some(row) = database::write_one(query.build(), &mut *self.database.writer().await).await? {
                self.state().served = row.try_get("caller")?;
                let (body, receives) = (row.try_get("body")?, row.try_get("receives")?);
                return Ok(Some(Delivery { body, receives, ticket: Ticket(ticket) }));
            }
        }
        Ok(None)
    }

    /// Takes the oldest message of the first caller in the first stretch that has one.
    fn taking(&self, stretches: &[Stretch], ticket: &str, visibility: Duration) -> QueryBuilder<Sqlite> {
        let mut query = QueryBuilder::new("UPDATE messages SET visible_at = ");
        query.push_bind(self.clock.after(visibility));
        query.push(", receives = receives + 1, ticket = ").push_bind(ticket.to_owned());
        query.push(" WHERE id = coalesce(NULL");
        for stretch in stretches {
            query.push(", (SELECT id FROM messages WHERE queue = ").push_bind(QUEUE);
            query.push(" AND dead_at IS NULL AND visible_at = 0 AND caller >= ").push_bind(stretch.from.clone());
            if let Some(before) = &stretch.before {
                query.push(" AND caller < ").push_bind(before.clone());
            }
            query.push(" AND (receives <= 1 OR receives < ").push_bind(self.max_receives);
            query.push(") ORDER BY caller, id LIMIT 1)");
        }
        query.push(", NULL) RETURNING body, receives, caller");
        query
    }

    /// When a message that is hidden for `time` is ready.
    fn ready_after(&self, time: Duration) -> i64 {
        if time.is_zero() { 0 } else { self.clock.after(time) }
    }
}

#[async_trait]
impl Queue for SqliteQueue {
    async fn push(&self, body: &str) -> Result<(), Unavailable> {
        let query = sqlx::query("INSERT INTO messages (body, visible_at, queue, caller) VALUES (?1, 0, ?2, ?3)");
        let query = query.bind(body).bind(QUEUE).bind(caller_of(body));
        let pushed = query.execute(&mut *self.database.writer().await).await;
        self.database.on_disk(pushed).await.map_err(Unavailable::when("put the message in the queue"))?;
        self.arrived.notify_one();
        Ok(())
    }

    async fn receive(&self, visibility: Duration, wait: Duration) -> Result<Option<Delivery>, Unavailable> {
        let end = Instant::now() + wait;
        loop {
            let delivery = self.take(visibility, &[]).await?;
            if delivery.is_some() {
                // One arrival wakes one receiver; there may be more to take.
                self.arrived.notify_one();
            }
            if delivery.is_some() || Instant::now() >= end {
                return Ok(delivery);
            }
            _ = timeout_at(end, self.arrival()).await;
        }
    }

    async fn take(&self, visibility: Duration, passed_over: &[String]) -> Result<Option<Delivery>, Unavailable> {
        let taken = self.take_next(visibility, passed_over).await;
        taken.map_err(Unavailable::when("take a message from the queue"))
    }

    async fn arrival(&self) {
        // Either way, look again.
        _ = timeout_at(Instant::now() + LOOK_AGAIN, self.arrived.notified()).await;
    }

    async fn acknowledge(&self, ticket: &Ticket) -> Result<(), Unavailable> {
        sqlx::query("DELETE FROM messages WHERE ticket = ?1")
            .bind(&ticket.0)
            .execute(&mut *self.database.writer().await)
            .await
            .map_err(Unavailable::when("acknowledge the message"))?;
        Ok(())
    }

    async fn hold(&self, ticket: &Ticket, visibility: Duration) -> Result<(), Unavailable> {
        sqlx::query("UPDATE messages SET visible_at = ?2 WHERE ticket = ?1 AND dead_at IS NULL")
            .bind(&ticket.0)
            .bind(self.clock.after(visibility))
            .execute(&mut *self.database.writer().await)
            .await
            .map_err(Unavailable::when("keep the message hidden"))?;
        Ok(())
    }

    async fn release(&self, ticket: &Ticket, delay: Duration) -> Result<(), Unavailable> {
        sqlx::query("UPDATE messages SET visible_at = ?2 WHERE ticket = ?1")
            .bind(&ticket.0)
            .bind(self.ready_after(delay))
            .execute(&mut *self.database.writer().await)
            .await
            .map_err(Unavailable::when("give the message back"))?;
        self.arrived.notify_one();
        Ok(())
    }

    async fn requeue(&self, delivery: &Delivery, delay: Duration) -> Result<(), Unavailable> {
        sqlx::query("UPDATE messages SET visible_at = ?2, receives = 0 WHERE ticket = ?1")
            .bind(&delivery.ticket.0)
            .bind(self.ready_after(delay))
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
