//! How many bytes a caller stored, as an item `bytes#{caller}` in the table of jobs with an attribute a day, `d{day}`.
//!
//! A day's bytes are added at once and summed by whoever adds or asks, so that one request does both. A report that is counted
//! by a run which dies in that moment may be left out.

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::types::{AttributeValue, ReturnValue};
use chrono::{DateTime, TimeDelta, Utc};

use super::item::{Item, number, text};
use super::refused;
use crate::ports::Unavailable;
use crate::usage::{BytesUsed, day, first_day};

const ATTEMPTED: &str = "count the caller's bytes";

/// How much longer than any retention an item is kept after it was last added to.
const LIFE: TimeDelta = TimeDelta::days(3652);

/// The counts in one table.
#[derive(Debug, Clone)]
pub(super) struct Bytes {
    pub(super) client: Client,
    pub(super) table: String,
}

impl Bytes {
    /// Adds to what a caller stored; answers what there is then.
    pub(super) async fn add(&self, caller: &str, bytes: i64, now: DateTime<Utc>) -> Result<Item, Unavailable> {
        let update = self.client.update_item().table_name(&self.table).key("id", text(key(caller)));
        let update = update
            .update_expression("ADD #day :bytes SET expires_at = :expires")
            .expression_attribute_names("#day", attribute(day(now)))
            .expression_attribute_values(":bytes", number(bytes))
            .expression_attribute_values(":expires", number((now + LIFE).timestamp()))
            .return_values(ReturnValue::AllNew);
        Ok(update.send().await.map_err(refused(ATTEMPTED))?.attributes.unwrap_or_default())
    }

    /// What a caller stored.
    pub(super) async fn get(&self, caller: &str) -> Result<Item, Unavailable> {
        let get = self.client.get_item().table_name(&self.table).key("id", text(key(caller)));
        Ok(get.send().await.map_err(refused(ATTEMPTED))?.item.unwrap_or_default())
    }

    /// Takes the days out of an item that count no more.
    pub(super) async fn forget(
        &self,
        caller: &str,
        item: &Item,
        now: DateTime<Utc>,
        kept: TimeDelta,
    ) -> Result<(), Unavailable> {
        let first = first_day(day(now), kept);
        let old: Vec<_> = item.keys().filter(|name| day_of(name).is_some_and(|day| day < first)).collect();
        if old.is_empty() {
            return Ok(());
        }
        let update = self.client.update_item().table_name(&self.table).key("id", text(key(caller)));
        let names: Vec<_> = (0..old.len()).map(|number| format!("#d{number}")).collect();
        let update = update.update_expression(format!("REMOVE {}", names.join(", ")));
        let update = names
            .into_iter()
            .zip(old)
            .fold(update, |update, (name, attribute)| update.expression_attribute_names(name, attribute));
        update.send().await.map_err(refused(ATTEMPTED))?;
        Ok(())
    }
}

/// What counts of an item.
pub(super) fn used(item: &Item, now: DateTime<Utc>, kept: TimeDelta) -> BytesUsed {
    let bytes = |value: &AttributeValue| value.as_n().ok().and_then(|text| text.parse::<u64>().ok());
    let days = item.iter().filter_map(|(name, value)| Some((day_of(name)?, bytes(value)?)));
    BytesUsed::of(days, day(now), kept)
}

fn key(caller: &str) -> String {
    format!("bytes#{caller}")
}

fn attribute(day: i64) -> String {
    format!("d{day}")
}

fn day_of(attribute: &str) -> Option<i64> {
    attribute.strip_prefix('d')?.parse().ok()
}
