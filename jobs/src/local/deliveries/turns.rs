//! Which deliveries are next. Destinations are gone through by turns, and at each of them its callers, so that an index
//! finds the next in one step however many deliveries wait.
//!
//! Where a caller has as many attempts under way as it may, callers come first instead. So what is passed over is never
//! more than a few names: every destination that is not full has a delivery to make if no caller is full, and every caller
//! that is not full has one if no destination is.

use std::collections::HashMap;

use sqlx::sqlite::SqliteRow;
use sqlx::{AssertSqlSafe, Row, SqliteConnection};

use crate::local::queue::turn::{self, Stretch};
use crate::ports::{Busy, DueDelivery};

/// How many names one look goes through at the most; the next look goes on from there.
const MOST_STEPS: usize = 256;

/// Of how many names it is remembered who was served last.
const MOST_REMEMBERED: usize = 1_024;

/// What is gone through first, and what second.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Order {
    Destinations,
    Callers,
}

impl Order {
    fn of(busy: &Busy) -> Self {
        if busy.callers.is_empty() { Self::Destinations } else { Self::Callers }
    }

    fn columns(self) -> (&'static str, &'static str) {
        match self {
            Self::Destinations => ("destination", "caller"),
            Self::Callers => ("caller", "destination"),
        }
    }

    fn passed_over(self, busy: &Busy) -> (&[String], &[String]) {
        match self {
            Self::Destinations => (&busy.destinations, &busy.callers),
            Self::Callers => (&busy.callers, &busy.destinations),
        }
    }
}

/// Who was served last.
#[derive(Debug, Default)]
pub(super) struct Turns {
    destinations: Served,
    callers: Served,
}

#[derive(Debug, Default)]
struct Served {
    first: String,
    second: HashMap<String, String>,
}

impl Served {
    fn remember(&mut self, first: &str, second: &str) {
        if self.second.len() >= MOST_REMEMBERED {
            self.second.clear();
        }
        self.second.insert(first.to_owned(), second.to_owned());
    }
}

impl Turns {
    /// The next deliveries that are ready, one for each name that is gone through first.
    pub(super) async fn next(
        &mut self,
        reader: &mut SqliteConnection,
        busy: &Busy,
        most: usize,
    ) -> Result<Vec<DueDelivery>, sqlx::Error> {
        let order = Order::of(busy);
        let served = match order {
            Order::Destinations => &mut self.destinations,
            Order::Callers => &mut self.callers,
        };
        let look =
            Look { order, in_hand: serde_json::json!(busy.ids).to_string(), passed_over: order.passed_over(busy) };
        let (mut due, mut steps) = (Vec::new(), 0);
        for mut stretch in turn::stretches(&served.first, look.passed_over.0) {
            while due.len() < most && steps < MOST_STEPS {
                let Some(name) = look.first(reader, &stretch).await? else { break };
                if let Some((delivery, second)) = look.second(reader, &name, served).await? {
                    served.remember(&name, &second);
                    due.push(delivery);
                }
                stretch.from = turn::after(&name);
                served.first = name;
                steps += 1;
            }
        }
        Ok(due)
    }
}

/// One look at the table. In SQLite's order every blob comes after every text.
struct Look<'a> {
    order: Order,
    in_hand: String,
    passed_over: (&'a [String], &'a [String]),
}

impl Look<'_> {
    /// The first name in a stretch of them that has deliveries.
    async fn first(&self, reader: &mut SqliteConnection, stretch: &Stretch) -> Result<Option<String>, sqlx::Error> {
        let (first, _) = self.order.columns();
        let query = sqlx::query_scalar(AssertSqlSafe(format!(
            "SELECT {first} FROM deliveries WHERE hidden = 0 AND {first} >= ?1 AND {first} < coalesce(?2, x'')
             ORDER BY {first} LIMIT 1"
        )));
        query.bind(stretch.from.clone()).bind(stretch.before.clone()).fetch_optional(reader).await
    }

    /// The next delivery under that name, and whose it is in the second place.
    async fn second(
        &self,
        reader: &mut SqliteConnection,
        name: &str,
        served: &Served,
    ) -> Result<Option<(DueDelivery, String)>, sqlx::Error> {
        let (first, second) = self.order.columns();
        let last = served.second.get(name).map_or("", String::as_str);
        for stretch in turn::stretches(last, self.passed_over.1) {
            let query = sqlx::query(AssertSqlSafe(format!(
                "SELECT id, destination, caller, attempts, body FROM deliveries
                 WHERE hidden = 0 AND {first} = ?1 AND {second} >= ?2 AND {second} < coalesce(?3, x'')
                     AND id NOT IN (SELECT value FROM json_each(?4))
                 ORDER BY {second}, due_at, id LIMIT 1"
            )));
            let query = query.bind(name).bind(stretch.from).bind(stretch.before).bind(&self.in_hand);
            if let Some(row) = query.fetch_optional(&mut *reader).await? {
                return Ok(Some((read(&row)?, row.try_get(second)?)));
            }
        }
        Ok(None)
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
