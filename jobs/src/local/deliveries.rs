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

#[cfg(test)]
mod tests {
    use tempfile::TempDir;

    use super::*;
    use crate::announcement::Announcement;
    use crate::delivery::Payload;
    use crate::job::{Failure, Job, JobId, Status};
    use crate::local::Local;

    fn message(caller: &str, url: Option<&str>) -> DeliveryMessage {
        let job = Job { status: Status::Failed, ..Job::queued(JobId::new(), "letter", now()) };
        let payload = match url {
            Some(url) => Payload::Webhook { url: url.into(), event: serde_json::json!({}) },
            None => Payload::Announcement(Announcement::failed(&job, &Failure::new("x", "x", "x"))),
        };
        DeliveryMessage::new(&Job { caller: Some(caller.into()), ..job }, payload)
    }

    async fn lanes(queue: &SqliteDeliveries, busy: &Busy) -> Vec<(String, String, i64)> {
        let due = queue.due(busy, 100).await.expect("the queue answers");
        due.into_iter().map(|it| (it.destination, it.caller, it.id)).collect()
    }

    #[tokio::test]
    async fn the_first_of_each_lane_is_due_unless_it_is_busy() {
        let folder = TempDir::new().expect("a folder");
        let queue = Local::open(folder.path(), 9).await.expect("it opens").deliveries;
        for _ in 0..3 {
            for (caller, url) in
                [("ann", Some("https://slow.test/a")), ("bob", Some("https://slow.test/b")), ("ann", None)]
            {
                queue.push(&message(caller, url)).await.expect("push");
            }
        }
        let lane = |destination: &str, caller: &str, id| (destination.to_owned(), caller.to_owned(), id);
        let (slow, mail) = ("slow.test:443", "announcements");
        let first = [lane(slow, "ann", 1), lane(slow, "bob", 2), lane(mail, "ann", 3)];
        assert_eq!(lanes(&queue, &Busy::default()).await, first);
        assert_eq!(lanes(&queue, &Busy::default()).await, first, "they stay where they are");
        let in_hand = Busy { ids: vec![1, 3], ..Busy::default() };
        let next = [lane(slow, "bob", 2), lane(slow, "ann", 4), lane(mail, "ann", 6)];
        assert_eq!(lanes(&queue, &in_hand).await, next);
        let slow_is_full = Busy { destinations: vec![slow.into()], ..Busy::default() };
        assert_eq!(lanes(&queue, &slow_is_full).await, [lane(mail, "ann", 3)]);
        let ann_is_full = Busy { callers: vec!["ann".into()], ..Busy::default() };
        assert_eq!(lanes(&queue, &ann_is_full).await, [lane(slow, "bob", 2)]);
        queue.remove(2).await.expect("it answers");
        queue.postpone(1, Duration::from_secs(60)).await.expect("it answers");
        assert_eq!(
            lanes(&queue, &Busy::default()).await,
            [lane(mail, "ann", 3), lane(slow, "ann", 4), lane(slow, "bob", 5)]
        );
        assert_eq!(queue.due(&Busy::default(), 2).await.expect("it answers").len(), 2);
    }

    #[tokio::test]
    async fn a_lane_with_many_deliveries_delays_no_other() {
        let folder = TempDir::new().expect("a folder");
        let queue = Local::open(folder.path(), 9).await.expect("it opens").deliveries;
        let body = message("ann", Some("https://slow.test/")).encode();
        let many = "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 100000)
                    INSERT INTO deliveries (body, destination, caller) SELECT ?1, 'slow.test:443', 'ann' FROM n";
        let mut writer = queue.database.writer().await;
        sqlx::query(many).bind(body).execute(&mut *writer).await.expect("it writes");
        drop(writer);
        queue.push(&message("bob", Some("https://quick.test/"))).await.expect("push");
        let busy = Busy { ids: (1..5).collect(), destinations: vec!["slow.test:443".into()], callers: Vec::new() };
        let start = std::time::Instant::now();
        for _ in 0..20 {
            assert_eq!(lanes(&queue, &busy).await.len(), 1);
        }
        assert!(start.elapsed() < Duration::from_secs(1), "{:?}", start.elapsed());
    }
}
