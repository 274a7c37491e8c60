//! How much callers use, as items in the table of jobs: `requests#{caller}#{minute}` counts a minute's requests, and
//! `in-flight#{caller}` has the set of its jobs in flight.
//!
//! Nobody takes a job that ended out of its set: when a set is full, its jobs are looked at, and those that have ended go.
//! So the ends of jobs cost nothing more, and no lost write can make the count drift.

use std::collections::HashMap;

use async_trait::async_trait;
use aws_config::SdkConfig;
use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::operation::update_item::builders::UpdateItemFluentBuilder;
use aws_sdk_dynamodb::types::AttributeValue;
use chrono::{DateTime, TimeDelta, Utc};

use super::bytes::{self, Bytes};
use super::item::{number, text, update_if};
use super::refused;
use super::store::DynamoStore;
use crate::job::{Job, JobId};
use crate::ports::Unavailable;
use crate::usage::{BytesUsed, RECORDED_WITHIN, Usage};

/// How long a caller's set is kept after it was last added to: longer than any queue keeps a message.
const SET_LIFE: TimeDelta = TimeDelta::days(15);

/// How many jobs are read at a time.
const JOBS_AT_A_TIME: usize = 50;

/// How much callers use, in the table of jobs.
#[derive(Debug, Clone)]
pub struct DynamoUsage {
    client: Client,
    table: String,
    jobs: DynamoStore,
    bytes: Bytes,
}

/// A job in flight, as the sets hold it: `{milliseconds since 1970}#{job id}`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Flight {
    taken_off_at: i64,
    job: JobId,
}

impl Flight {
    fn read(text: &str) -> Option<Self> {
        let (at, job) = text.split_once('#')?;
        Some(Self { taken_off_at: at.parse().ok()?, job: job.parse().ok()? })
    }

    fn write(self) -> String {
        format!("{}#{}", self.taken_off_at, self.job)
    }

    /// Whether it counts no more, where `job` is what is on record.
    fn has_landed(self, job: Option<&Job>, now: DateTime<Utc>) -> bool {
        let died = self.taken_off_at <= (now - RECORDED_WITHIN).timestamp_millis();
        match job {
            Some(job) if !job.status.is_final() => false,
            Some(job) => died || job.finished_at.is_some_and(|at| at.timestamp_millis() >= self.taken_off_at),
            None => died,
        }
    }
}

impl DynamoUsage {
    /// The usage in `table`, the table of jobs.
    pub fn new(config: &SdkConfig, table: impl Into<String>) -> Self {
        let table = table.into();
        let client = Client::new(config);
        let bytes = Bytes { client: client.clone(), table: table.clone() };
        Self { client, jobs: DynamoStore::new(config, &table), table, bytes }
    }

    fn update(&self, key: &str) -> UpdateItemFluentBuilder {
        self.client.update_item().table_name(&self.table).key("id", text(key))
    }

    async fn add(&self, key: &str, flight: Flight, now: DateTime<Utc>, most: u32) -> Result<bool, Unavailable> {
        let update = self
            .update(key)
            .condition_expression("attribute_not_exists(#jobs) OR size(#jobs) < :most")
            .update_expression("ADD #jobs :flight SET expires_at = :expires")
            .expression_attribute_names("#jobs", "jobs")
            .expression_attribute_values(":flight", AttributeValue::Ss(vec![flight.write()]))
            .expression_attribute_values(":most", number(most.into()))
            .expression_attribute_values(":expires", number((now + SET_LIFE).timestamp()));
        Ok(update_if("count the jobs in flight", update).await?.is_some())
    }

    /// Takes out of a set what counts no more, and what counts for `job`, which is about to be added.
    async fn remove_landed(&self, key: &str, job: JobId, now: DateTime<Utc>) -> Result<(), Unavailable> {
        let attempted = "count the jobs in flight";
        let request = self.client.get_item().table_name(&self.table).key("id", text(key)).consistent_read(true);
        let item = request.send().await.map_err(refused(attempted))?.item.unwrap_or_default();
        let flights = item.get("jobs").and_then(|set| set.as_ss().ok()).map_or(&[][..], Vec::as_slice);
        let landed = self.landed(flights, job, now).await?;
        if landed.is_empty() {
            return Ok(());
        }
        let update = self
            .update(key)
            .update_expression("DELETE #jobs :landed")
            .expression_attribute_names("#jobs", "jobs")
            .expression_attribute_values(":landed", AttributeValue::Ss(landed));
        update.send().await.map_err(refused(attempted))?;
        Ok(())
    }

    async fn landed(&self, flights: &[String], own: JobId, now: DateTime<Utc>) -> Result<Vec<String>, Unavailable> {
        let mut latest: HashMap<JobId, Flight> = HashMap::new();
        for flight in flights.iter().filter_map(|text| Flight::read(text)) {
            let known = latest.entry(flight.job).or_insert(flight);
            if known.taken_off_at < flight.taken_off_at {
                *known = flight;
            }
        }
        let ids: Vec<_> = latest.keys().copied().collect();
        let mut jobs = HashMap::new();
        for ids in ids.chunks(JOBS_AT_A_TIME) {
            jobs.extend(self.jobs.get_all(ids.to_vec()).await?.into_iter().map(|job| (job.id, job)));
        }
        let counts = |text: &&String| {
            Flight::read(text).is_some_and(|flight| {
                flight.job != own
                    && latest.get(&flight.job) == Some(&flight)
                    && !flight.has_landed(jobs.get(&flight.job), now)
            })
        };
        Ok(flights.iter().filter(|text| !counts(text)).cloned().collect())
    }
}

#[async_trait]
impl Usage for DynamoUsage {
    async fn count_request(&self, caller: &str, now: DateTime<Utc>, most: u32) -> Result<bool, Unavailable> {
        let minute = now.timestamp().div_euclid(60);
        let update = self
            .update(&format!("requests#{caller}#{minute}"))
            .condition_expression("attribute_not_exists(#count) OR #count < :most")
            .update_expression("ADD #count :one SET expires_at = :expires")
            .expression_attribute_names("#count", "count")
            .expression_attribute_values(":one", number(1))
            .expression_attribute_values(":most", number(most.into()))
            .expression_attribute_values(":expires", number((minute + 10) * 60));
        Ok(update_if("count the caller's requests", update).await?.is_some())
    }

    async fn take_off(&self, caller: &str, job: JobId, now: DateTime<Utc>, most: u32) -> Result<bool, Unavailable> {
        let (key, flight) = (format!("in-flight#{caller}"), Flight { taken_off_at: now.timestamp_millis(), job });
        if self.add(&key, flight, now, most).await? {
            return Ok(true);
        }
        self.remove_landed(&key, job, now).await?;
        self.add(&key, flight, now, most).await
    }

    /// What is refused is taken back. So a request may be refused for another of the same moment that is refused as well.
    async fn count_bytes(
        &self,
        caller: &str,
        bytes: u64,
        now: DateTime<Utc>,
        kept: TimeDelta,
        most: u64,
    ) -> Result<Option<BytesUsed>, Unavailable> {
        let added = i64::try_from(bytes).map_err(Unavailable::when("count the caller's bytes"))?;
        if added == 0 {
            return Ok(bytes::used(&self.bytes.get(caller).await?, now, kept).if_full(most));
        }
        let item = self.bytes.add(caller, added, now).await?;
        if bytes::used(&item, now, kept).if_beyond(0, most).is_none() {
            self.bytes.forget(caller, &item, now, kept).await?;
            return Ok(None);
        }
        let item = self.bytes.add(caller, -added, now).await?;
        Ok(Some(bytes::used(&item, now, kept)))
    }
}
