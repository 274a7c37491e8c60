//! The delivery queue as a table. A delivery is ready, or hidden until `due_at`; of those that are ready, the one that was
//! due first goes first. One process works in the folder, so that it remembers what it has in hand; what a killed process had
//! in hand is still ready.

mod turns;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use sqlx::Row;
use tokio::sync::{Mutex, Notify};

use self::turns::Turns;
use super::database::Database;
use super::queue::clock::Clock;
use crate::delivery::DeliveryMessage;
use crate::delivery::schedule::BEYOND_ANY_PAUSE;
use crate::ports::{Busy, Deliveries, DueDeliveries, DueDelivery, Unavailable};

/// How many rows one statement changes: no caller waits for the writer longer than that takes.
const BATCH: i64 = 200;

/// A delivery queue in SQLite.
#[derive(Debug, Clone)]
pub struct SqliteDeliveries {
    database: Database,
    pushed: Arc<Notify>,
    clock: Clock,
    turns: Arc<Mutex<Turns>>,
}

impl SqliteDeliveries {
    /// Opens the queue, whatever clock and build wrote it.
    pub(super) async fn open(database: Database) -> Result<Self, sqlx::Error> {
        let queue = Self { database, pushed: Arc::default(), clock: Clock::default(), turns: Arc::default() };
        queue.identify().await?;
        // What is hidden for longer than anything may be was hidden before the clock was stepped back.
        sqlx::query("UPDATE deliveries SET due_at = ?1 WHERE hidden = 1 AND due_at > ?2")
            .bind(queue.clock.millis())
            .bind(queue.clock.after(BEYOND_ANY_PAUSE))
            .execute(&mut *queue.database.writer().await)
            .await?;
        Ok(queue)
    }

    /// Gives the deliveries of earlier builds their identity and destination; of copies, one is kept.
    async fn identify(&self) -> Result<(), sqlx::Error> {
        let mut writer = self.database.writer().await;
        loop {
            let query = sqlx::query("SELECT id, body FROM deliveries WHERE identity IS NULL LIMIT ?1").bind(BATCH);
            let rows = query.fetch_all(&mut *writer).await?;
            if rows.is_empty() {
                return Ok(());
            }
            sqlx::raw_sql("BEGIN IMMEDIATE").execute(&mut *writer).await?;
            for row in rows {
                let (id, body): (i64, String) = (row.try_get("id")?, row.try_get("body")?);
                let message = DeliveryMessage::decode(&body).ok();
                let identity = message.as_ref().map_or_else(|| format!("unreadable {id}"), DeliveryMessage::identity);
                sqlx::query(
                    "UPDATE OR REPLACE deliveries SET identity = ?2, destination = coalesce(?3, ''), caller = coalesce(?4, '')
                     WHERE id = ?1",
                )
                .bind(id)
                .bind(identity)
                .bind(message.as_ref().map(DeliveryMessage::destination))
                .bind(message.as_ref().map(DeliveryMessage::caller))
                .execute(&mut *writer)
                .await?;
            }
            sqlx::raw_sql("COMMIT").execute(&mut *writer).await?;
        }
    }

    /// Makes ready what was hidden until now.
    async fn wake(&self) -> Result<(), sqlx::Error> {
        let now = self.clock.millis();
        let query = sqlx::query("SELECT 1 FROM deliveries WHERE hidden = 1 AND due_at <= ?1 LIMIT 1").bind(now);
        if query.fetch_optional(&mut *self.database.reader().await).await?.is_none() {
            return Ok(());
        }
        let query = sqlx::query(
            "UPDATE deliveries SET hidden = 0
             WHERE id IN (SELECT id FROM deliveries WHERE hidden = 1 AND due_at <= ?1 ORDER BY due_at LIMIT ?2)",
        );
        query.bind(now).bind(BATCH).execute(&mut *self.database.writer().await).await.map(|_| ())
    }

    async fn next(&self, busy: &Busy, most: usize) -> Result<Vec<DueDelivery>, sqlx::Error> {
        self.wake().await?;
        self.turns.lock().await.next(&mut *self.database.reader().await, busy, most).await
    }
}

#[async_trait]
impl Deliveries for SqliteDeliveries {
    /// A step of a run: if the machine's power takes it, it takes what the run did after it too. A copy of what waits takes
    /// its place.
    async fn push(&self, message: &DeliveryMessage) -> Result<(), Unavailable> {
        sqlx::query(
            "INSERT INTO deliveries (identity, body, destination, caller, due_at) VALUES (?1, ?2, ?3, ?4, ?5)
             ON CONFLICT (identity) DO UPDATE SET body = excluded.body",
        )
        .bind(message.identity())
        .bind(message.encode())
        .bind(message.destination())
        .bind(message.caller())
        .bind(self.clock.millis())
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
        self.next(busy, most).await.map_err(Unavailable::when("look for deliveries that are due"))
    }

    async fn remove(&self, id: i64) -> Result<(), Unavailable> {
        let query = sqlx::query("DELETE FROM deliveries WHERE id = ?1").bind(id);
        let done = query.execute(&mut *self.database.writer().await).await;
        done.map(|_| ()).map_err(Unavailable::when("remove the delivery"))
    }

    async fn postpone(&self, id: i64, pause: Duration) -> Result<(), Unavailable> {
        let query = sqlx::query("UPDATE deliveries SET hidden = 1, due_at = ?2, attempts = attempts + 1 WHERE id = ?1");
        let query = query.bind(id).bind(self.clock.after(pause));
        let done = query.execute(&mut *self.database.writer().await).await;
        done.map(|_| ()).map_err(Unavailable::when("postpone the delivery"))
    }

    async fn pushed(&self) {
        self.pushed.notified().await;
    }
}

#[cfg(test)]
mod tests {
    use tempfile::TempDir;

    use super::*;
    use crate::announcement::Announcement;
    use crate::delivery::Payload;
    use crate::job::{Failure, Job, JobId, Status, now};
    use crate::local::Local;

    async fn open(folder: &TempDir) -> SqliteDeliveries {
        Local::open(folder.path(), 9).await.expect("it opens").deliveries
    }

    fn message(caller: &str, url: Option<&str>) -> DeliveryMessage {
        let job = Job { status: Status::Failed, ..Job::queued(JobId::new(), "letter", now()) };
        let payload = match url {
            Some(url) => Payload::Webhook { url: url.into(), event: serde_json::json!({}) },
            None => Payload::Announcement(Announcement::failed(&job, &Failure::new("x", "x", "x"))),
        };
        DeliveryMessage::new(&Job { caller: Some(caller.into()), ..job }, payload)
    }

    /// Takes deliveries, each in hand from then on, until there are no more.
    async fn all(queue: &SqliteDeliveries, mut busy: Busy) -> Vec<(String, String, i64)> {
        let mut taken = Vec::new();
        loop {
            let due = queue.due(&busy, 1).await.expect("the queue answers");
            let Some(next) = due.into_iter().next() else { return taken };
            busy.ids.push(next.id);
            taken.push((next.destination, next.caller, next.id));
        }
    }

    fn ids(taken: &[(String, String, i64)]) -> Vec<i64> {
        taken.iter().map(|(_, _, id)| *id).collect()
    }

    /// Writes rows for `n` from 1 to `many`.
    async fn fill(queue: &SqliteDeliveries, many: usize, destination: &str, caller: &str) {
        let rows = format!(
            "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {many})
             INSERT INTO deliveries (identity, body, destination, caller)
                 SELECT {caller} || ' ' || i, 'x', {destination}, {caller} FROM n"
        );
        let mut writer = queue.database.writer().await;
        sqlx::query(sqlx::AssertSqlSafe(rows)).execute(&mut *writer).await.expect("it writes");
    }

    const SLOW: &str = "slow.test:443";

    #[tokio::test]
    async fn destinations_take_turns_and_at_each_of_them_callers() {
        let folder = TempDir::new().expect("a folder");
        let queue = open(&folder).await;
        for (caller, url) in [
            ("ann", Some("https://slow.test/1")),
            ("ann", Some("https://slow.test/2")),
            ("ann", Some("https://slow.test/3")),
            ("bob", Some("https://slow.test/4")),
            ("ann", None),
            ("ann", None),
        ] {
            queue.push(&message(caller, url)).await.expect("push");
        }
        let together = queue.due(&Busy::default(), 9).await.expect("the queue answers");
        assert_eq!(together.iter().map(|it| it.id).collect::<Vec<_>>(), [5, 1], "one of each destination");
        drop(queue);
        assert_eq!(ids(&all(&open(&folder).await, Busy::default()).await), [5, 1, 6, 4, 2, 3]);
        let queue = open(&folder).await;
        let slow_is_full = Busy { destinations: vec![SLOW.into()], ..Busy::default() };
        assert_eq!(ids(&all(&queue, slow_is_full).await), [5, 6]);
        let ann_is_full = Busy { callers: vec!["ann".into()], ..Busy::default() };
        assert_eq!(ids(&all(&queue, ann_is_full).await), [4]);
        let both = Busy { callers: vec!["bob".into()], destinations: vec![SLOW.into()], ..Busy::default() };
        assert_eq!(ids(&all(&queue, both).await), [5, 6]);
    }

    #[tokio::test]
    async fn a_retry_goes_before_what_came_after_it_was_due() {
        let folder = TempDir::new().expect("a folder");
        let queue = open(&folder).await;
        for _ in 0..2 {
            queue.push(&message("ann", None)).await.expect("push");
        }
        queue.postpone(1, Duration::from_millis(20)).await.expect("it answers");
        assert_eq!(ids(&all(&queue, Busy::default()).await), [2], "it is hidden");
        tokio::time::sleep(Duration::from_millis(40)).await;
        queue.push(&message("ann", None)).await.expect("push");
        assert_eq!(ids(&all(&queue, Busy::default()).await), [2, 1, 3]);
        queue.remove(2).await.expect("it answers");
        assert_eq!(queue.due(&Busy::default(), 9).await.expect("it answers")[0].attempts, 1);
    }

    #[tokio::test]
    async fn a_copy_takes_the_place_of_what_waits() {
        let folder = TempDir::new().expect("a folder");
        let queue = open(&folder).await;
        let webhook = message("ann", Some("https://slow.test/"));
        let mut copy = webhook.clone();
        copy.request_id = Some("another run".into());
        for message in [&webhook, &copy] {
            queue.push(message).await.expect("push");
        }
        let due = queue.due(&Busy::default(), 9).await.expect("it answers");
        assert_eq!(due.iter().map(|it| it.body.as_str()).collect::<Vec<_>>(), [copy.encode()]);
        let mut next_end = webhook;
        next_end.retries = 1;
        queue.push(&next_end).await.expect("push");
        assert_eq!(all(&queue, Busy::default()).await.len(), 2, "another end is another delivery");
    }

    #[tokio::test]
    async fn a_pause_that_a_clock_ahead_has_written_is_over_for_the_next_process() {
        let folder = TempDir::new().expect("a folder");
        let queue = open(&folder).await;
        queue.push(&message("ann", None)).await.expect("push");
        queue.postpone(1, Duration::from_secs(365 * 86_400)).await.expect("it answers");
        assert_eq!(all(&queue, Busy::default()).await, []);
        drop(queue);
        assert_eq!(ids(&all(&open(&folder).await, Busy::default()).await), [1]);
    }

    /// Looks twenty times, and finds bob's each time.
    async fn finds_bobs(queue: &SqliteDeliveries, busy: Busy) {
        let start = std::time::Instant::now();
        for _ in 0..20 {
            let due = queue.due(&busy, 32).await.expect("the queue answers");
            assert!(due.iter().any(|it| it.caller == "bob"), "{due:?}");
        }
        assert!(start.elapsed() < Duration::from_secs(1), "{:?}", start.elapsed());
    }

    #[tokio::test]
    async fn a_hundred_thousand_deliveries_to_one_destination_delay_no_other() {
        let folder = TempDir::new().expect("a folder");
        let queue = open(&folder).await;
        fill(&queue, 100_000, "'slow.test:443'", "'ann'").await;
        queue.push(&message("bob", Some("https://quick.test/"))).await.expect("push");
        let busy = Busy { ids: (1..5).collect(), destinations: vec![SLOW.into()], callers: Vec::new() };
        finds_bobs(&queue, busy).await;
    }

    #[tokio::test]
    async fn a_caller_with_a_hundred_thousand_destinations_delays_no_other() {
        let folder = TempDir::new().expect("a folder");
        let queue = open(&folder).await;
        fill(&queue, 100_000, "'h' || i || '.test:443'", "'ann'").await;
        queue.push(&message("bob", Some("https://quick.test/"))).await.expect("push");
        let busy = Busy { ids: (1..17).collect(), destinations: Vec::new(), callers: vec!["ann".into()] };
        finds_bobs(&queue, busy).await;
    }

    #[tokio::test]
    async fn a_destination_with_a_hundred_thousand_callers_delays_no_other() {
        let folder = TempDir::new().expect("a folder");
        let queue = open(&folder).await;
        fill(&queue, 100_000, "'slow.test:443'", "'caller ' || i").await;
        queue.push(&message("bob", Some("https://quick.test/"))).await.expect("push");
        let busy = Busy { ids: (1..5).collect(), destinations: vec![SLOW.into()], callers: Vec::new() };
        finds_bobs(&queue, busy).await;
    }

    #[tokio::test]
    async fn a_hundred_thousand_that_are_hidden_cost_nothing() {
        let folder = TempDir::new().expect("a folder");
        let queue = open(&folder).await;
        fill(&queue, 100_000, "'h' || i || '.test:443'", "'caller ' || i").await;
        let hide = sqlx::query("UPDATE deliveries SET hidden = 1, due_at = ?1").bind(i64::MAX);
        hide.execute(&mut *queue.database.writer().await).await.expect("it writes");
        queue.push(&message("bob", Some("https://quick.test/"))).await.expect("push");
        finds_bobs(&queue, Busy::default()).await;
    }
}
