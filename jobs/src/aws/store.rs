//! The record of jobs in DynamoDB. Every claim and every fenced write is one conditional update.

use std::collections::HashMap;

use async_trait::async_trait;
use aws_config::SdkConfig;
use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::operation::update_item::builders::UpdateItemFluentBuilder;
use aws_sdk_dynamodb::types::{AttributeValue, ReturnValue};
use chrono::{DateTime, Utc};
use serde::Serialize;
use serde::de::DeserializeOwned;
use uuid::Uuid;

use super::refused;
use crate::job::{Failure, Job, JobId, Status};
use crate::ports::{Claim, Claimed, Held, JobStore, Unavailable};

type Item = HashMap<String, AttributeValue>;

/// A job store in DynamoDB: partition key `id`, time to live in `expires_at`.
#[derive(Debug, Clone)]
pub struct DynamoStore {
    client: Client,
    table: String,
}

impl DynamoStore {
    /// The store in `table`.
    pub fn new(config: &SdkConfig, table: impl Into<String>) -> Self {
        Self { client: Client::new(config), table: table.into() }
    }

    async fn item(&self, id: JobId) -> Result<Option<Item>, Unavailable> {
        let request = self.client.get_item().table_name(&self.table).key("id", text(id)).consistent_read(true);
        Ok(request.send().await.map_err(refused("read the job's record"))?.item)
    }

    fn update(&self, id: JobId) -> UpdateItemFluentBuilder {
        // `status`, `bytes`, `error` and `owner` are reserved words of DynamoDB's expressions.
        self.client.update_item().table_name(&self.table).key("id", text(id)).return_values(ReturnValue::AllNew)
    }

    /// Sends an update; nothing comes back if its condition did not hold.
    async fn send(&self, attempted: &str, update: UpdateItemFluentBuilder) -> Result<Option<Item>, Unavailable> {
        match update.send().await {
            Ok(done) => Ok(Some(done.attributes.unwrap_or_default())),
            Err(error) => match error.as_service_error() {
                Some(service) if service.is_conditional_check_failed_exception() => Ok(None),
                _ => Err(refused(attempted)(error)),
            },
        }
    }

    async fn fenced(&self, attempted: &str, update: UpdateItemFluentBuilder, owner: Uuid) -> Result<Held, Unavailable> {
        let update =
            update.expression_attribute_names("#owner", "owner").expression_attribute_names("#status", "status");
        let held = self.send(attempted, update.expression_attribute_values(":owner", text(owner))).await?;
        Ok(if held.is_some() { Held::Yes } else { Held::No })
    }

    async fn claim_run(&self, job: &Job, claim: &Claim) -> Result<Option<Item>, Unavailable> {
        let update = self
            .update(job.id)
            .condition_expression(
                "attribute_not_exists(id) OR #status = :queued \
                 OR (#status = :running AND (lease_until <= :now OR #owner = :owner))",
            )
            .update_expression(
                "SET #status = :running, #owner = :owner, lease_until = :lease, started_at = :started, \
                 attempts = if_not_exists(attempts, :zero) + :one, \
                 #template = if_not_exists(#template, :template), \
                 enqueued_at = if_not_exists(enqueued_at, :enqueued), \
                 expires_at = if_not_exists(expires_at, :expires)",
            )
            .expression_attribute_names("#status", "status")
            .expression_attribute_names("#owner", "owner")
            .expression_attribute_names("#template", "template")
            .expression_attribute_values(":queued", text(Status::Queued))
            .expression_attribute_values(":running", text(Status::Running))
            .expression_attribute_values(":owner", text(claim.owner))
            .expression_attribute_values(":now", number(claim.now.timestamp_millis()))
            .expression_attribute_values(":lease", number(claim.lease_until.timestamp_millis()))
            .expression_attribute_values(":started", json(&claim.now)?)
            .expression_attribute_values(":zero", number(0))
            .expression_attribute_values(":one", number(1))
            .expression_attribute_values(":template", text(&job.template))
            .expression_attribute_values(":enqueued", json(&job.enqueued_at)?)
            .expression_attribute_values(":expires", number(claim.expires_at.timestamp()));
        self.send("claim the job", update).await
    }

    async fn claim_announcement(&self, job: &Job, claim: &Claim) -> Result<Option<Item>, Unavailable> {
        let update = self
            .update(job.id)
            .condition_expression(
                "#status IN (:completed, :failed) AND attribute_not_exists(notified_at) AND lease_until <= :now",
            )
            .update_expression("SET #owner = :owner, lease_until = :lease")
            .expression_attribute_names("#status", "status")
            .expression_attribute_names("#owner", "owner")
            .expression_attribute_values(":completed", text(Status::Completed))
            .expression_attribute_values(":failed", text(Status::Failed))
            .expression_attribute_values(":owner", text(claim.owner))
            .expression_attribute_values(":now", number(claim.now.timestamp_millis()))
            .expression_attribute_values(":lease", number(claim.lease_until.timestamp_millis()));
        self.send("claim the announcement", update).await
    }
}

#[async_trait]
impl JobStore for DynamoStore {
    async fn record(&self, job: &Job, expires_at: DateTime<Utc>) -> Result<(), Unavailable> {
        let put = self
            .client
            .put_item()
            .table_name(&self.table)
            .item("id", text(job.id))
            .item("template", text(&job.template))
            .item("status", text(job.status))
            .item("attempts", number(job.attempts.into()))
            .item("enqueued_at", json(&job.enqueued_at)?)
            .item("expires_at", number(expires_at.timestamp()))
            .condition_expression("attribute_not_exists(id)");
        match put.send().await {
            Ok(_) => Ok(()),
            Err(error) => match error.as_service_error() {
                Some(service) if service.is_conditional_check_failed_exception() => Ok(()),
                _ => Err(refused("put the job on record")(error)),
            },
        }
    }

    async fn get(&self, id: JobId) -> Result<Option<Job>, Unavailable> {
        self.item(id).await?.as_ref().map(read_job).transpose()
    }

    async fn claim(&self, job: &Job, claim: &Claim) -> Result<Claimed, Unavailable> {
        if let Some(item) = self.claim_run(job, claim).await? {
            return Ok(Claimed::Run(read_job(&item)?.attempts));
        }
        if let Some(item) = self.claim_announcement(job, claim).await? {
            return Ok(Claimed::Announce(Box::new(read_job(&item)?)));
        }
        let item = self.item(job.id).await?.ok_or_else(|| Unavailable::when("claim the job")("its record is gone"))?;
        if read_job(&item)?.notified_at.is_some() {
            return Ok(Claimed::Settled);
        }
        let lease = read_number(&item, "lease_until").and_then(DateTime::from_timestamp_millis);
        Ok(Claimed::Busy(lease.unwrap_or(claim.now)))
    }

    async fn complete(
        &self,
        id: JobId,
        owner: Uuid,
        pages: u64,
        bytes: u64,
        at: DateTime<Utc>,
    ) -> Result<Held, Unavailable> {
        let update = self
            .update(id)
            .condition_expression("#owner = :owner AND #status IN (:running, :completed)")
            .update_expression("SET #status = :completed, pages = :pages, #bytes = :bytes, finished_at = :at")
            .expression_attribute_names("#bytes", "bytes")
            .expression_attribute_values(":running", text(Status::Running))
            .expression_attribute_values(":completed", text(Status::Completed))
            .expression_attribute_values(":pages", number(pages.cast_signed()))
            .expression_attribute_values(":bytes", number(bytes.cast_signed()))
            .expression_attribute_values(":at", json(&at)?);
        self.fenced("record the report", update, owner).await
    }

    async fn fail(&self, id: JobId, owner: Uuid, failure: &Failure, at: DateTime<Utc>) -> Result<Held, Unavailable> {
        let update = self
            .update(id)
            .condition_expression("#owner = :owner AND #status IN (:running, :failed)")
            .update_expression("SET #status = :failed, #error = :error, finished_at = :at")
            .expression_attribute_names("#error", "error")
            .expression_attribute_values(":running", text(Status::Running))
            .expression_attribute_values(":failed", text(Status::Failed))
            .expression_attribute_values(":error", json(failure)?)
            .expression_attribute_values(":at", json(&at)?);
        self.fenced("record the failure", update, owner).await
    }

    async fn release(&self, id: JobId, owner: Uuid) -> Result<Held, Unavailable> {
        let requeue = self
            .update(id)
            .condition_expression("#owner = :owner AND #status = :running")
            .update_expression("SET #status = :queued REMOVE #owner, lease_until")
            .expression_attribute_values(":running", text(Status::Running))
            .expression_attribute_values(":queued", text(Status::Queued));
        if self.fenced("put the job back", requeue, owner).await? == Held::Yes {
            return Ok(Held::Yes);
        }
        let end_lease = self
            .update(id)
            .condition_expression("#owner = :owner AND #status IN (:completed, :failed)")
            .update_expression("SET lease_until = :past")
            .expression_attribute_values(":completed", text(Status::Completed))
            .expression_attribute_values(":failed", text(Status::Failed))
            .expression_attribute_values(":past", number(0));
        self.fenced("end the lease", end_lease, owner).await
    }

    async fn mark_notified(&self, id: JobId, owner: Uuid, at: DateTime<Utc>) -> Result<Held, Unavailable> {
        let update = self
            .update(id)
            .condition_expression("#owner = :owner AND #status IN (:completed, :failed)")
            .update_expression("SET notified_at = :at REMOVE lease_until")
            .expression_attribute_values(":completed", text(Status::Completed))
            .expression_attribute_values(":failed", text(Status::Failed))
            .expression_attribute_values(":at", json(&at)?);
        self.fenced("record the announcement", update, owner).await
    }
}

fn text(value: impl ToString) -> AttributeValue {
    AttributeValue::S(value.to_string())
}

fn number(value: i64) -> AttributeValue {
    AttributeValue::N(value.to_string())
}

/// Times and failures are kept as the JSON they have in answers; a string without its quotes.
fn json(value: &impl Serialize) -> Result<AttributeValue, Unavailable> {
    match serde_json::to_value(value).map_err(Unavailable::when("write the job's record"))? {
        serde_json::Value::String(text) => Ok(AttributeValue::S(text)),
        value => Ok(AttributeValue::S(value.to_string())),
    }
}

fn read_job(item: &Item) -> Result<Job, Unavailable> {
    Ok(Job {
        id: read_string(item, "id")?.parse().map_err(Unavailable::when("read the job's id"))?,
        template: read_string(item, "template")?.to_owned(),
        status: read_string(item, "status")?.parse().map_err(Unavailable::when("read the job's status"))?,
        attempts: read_number(item, "attempts").unwrap_or(0),
        enqueued_at: read_time(item, "enqueued_at")?
            .ok_or_else(|| Unavailable::when("read the job's record")("it has no `enqueued_at`"))?,
        started_at: read_time(item, "started_at")?,
        finished_at: read_time(item, "finished_at")?,
        pages: read_number(item, "pages"),
        bytes: read_number(item, "bytes"),
        error: read_failure(item)?,
        notified_at: read_time(item, "notified_at")?,
    })
}

fn read_string<'a>(item: &'a Item, name: &str) -> Result<&'a str, Unavailable> {
    let value = item.get(name).and_then(|value| value.as_s().ok());
    value.map(String::as_str).ok_or_else(|| Unavailable::when("read the job's record")(format!("it has no `{name}`")))
}

fn read_number<T: std::str::FromStr>(item: &Item, name: &str) -> Option<T> {
    item.get(name).and_then(|value| value.as_n().ok()).and_then(|digits| digits.parse().ok())
}

fn read_time(item: &Item, name: &str) -> Result<Option<DateTime<Utc>>, Unavailable> {
    let Some(text) = item.get(name).and_then(|value| value.as_s().ok()) else { return Ok(None) };
    let time = DateTime::parse_from_rfc3339(text).map_err(Unavailable::when(format!("read the job's `{name}`")))?;
    Ok(Some(time.to_utc()))
}

fn read_failure<T: DeserializeOwned>(item: &Item) -> Result<Option<T>, Unavailable> {
    let Some(text) = item.get("error").and_then(|value| value.as_s().ok()) else { return Ok(None) };
    serde_json::from_str(text).map(Some).map_err(Unavailable::when("read the job's failure"))
}
