//! The record of jobs in DynamoDB. Every claim and every fenced write is one conditional update.

use std::collections::HashMap;
use std::time::Duration;

use async_trait::async_trait;
use aws_config::SdkConfig;
use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::operation::update_item::builders::UpdateItemFluentBuilder;
use aws_sdk_dynamodb::types::{AttributeValue, KeysAndAttributes, ReturnValue};
use chrono::{DateTime, Datelike, Utc};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use uuid::Uuid;

use super::bytes::Bytes;
use super::item::{Item, number, put_if, text, update_if};
use super::refused;
use crate::data::Data;
use crate::delivery::{AnnouncementRecord, DeliveryMessage, DeliveryStatus, Recorded};
use crate::job::{Job, JobId, Progress, Status, now};
use crate::ports::{
    Attempt, Claim, Claimed, Completed, FARTHEST_LEASE, Failed, Held, JobStore, LAST_REOPENED, Listed, Listing,
    Purpose, Reservation, Reserved, Terms, Unavailable,
};
use crate::upload::UploadId;

/// The index of jobs that have not ended or were not announced: partition key `open`, sort key `overdue_at`.
const OPEN_JOBS: &str = "open-jobs";

/// The index of all jobs: partition key `month`, sort key `id`.
const JOBS_BY_MONTH: &str = "jobs-by-month";

/// The index of each caller's jobs: partition key `caller_month`, sort key `id`.
const JOBS_BY_CALLER: &str = "jobs-by-caller";

/// How many ids are read at a time; no more than one batch of records.
const IDS_AT_A_TIME: i32 = 50;

/// After how many records a list is cut short, however few of them were wanted.
const MOST_LOOKED_AT: usize = 1_000;

/// How often records that DynamoDB left out of a batch are asked for again.
const MOST_ROUNDS: u32 = 5;

/// What a job is read from: all but its data, which may be large.
const COLUMNS: [&str; 20] = [
    "id",
    "template",
    "status",
    "attempts",
    "enqueued_at",
    "started_at",
    "finished_at",
    "pages",
    "bytes",
    "progress",
    "warnings",
    "error",
    "notified_at",
    "retries",
    "options",
    "notify",
    "webhook",
    "announcement",
    "upload",
    "caller",
];

/// The names of [`COLUMNS`] behind placeholders, since some are reserved words.
fn column_names() -> HashMap<String, String> {
    COLUMNS.iter().map(|name| (format!("#{name}"), (*name).to_owned())).collect()
}

/// What `open` holds while a job is in that index. A job that is settled has no such attribute.
const OPEN: &str = "yes";

/// The owner may claim again: its first call may have been answered into a broken connection.
const CLAIM_OPEN: &str = "attribute_not_exists(id) OR #status = :queued \
    OR (#status = :running AND (lease_until <= :now OR lease_until > :farthest OR #owner = :owner))";

/// A job whose message came back from the dead letters; its attempts are counted anew.
const CLAIM_SET_ASIDE: &str = "#status = :failed AND set_aside = :true \
    AND (attribute_not_exists(lease_until) OR lease_until <= :now OR lease_until > :farthest)";

const CLAIM: &str = "#status = :running, #owner = :owner, lease_until = :lease, overdue_at = :overdue, \
    attempts = if_not_exists(attempts, :zero) + :counted, \
    counted_attempts = if_not_exists(counted_attempts, :zero) + :counted, retries = if_not_exists(retries, :retries), \
    #template = if_not_exists(#template, :template), \
    enqueued_at = if_not_exists(enqueued_at, :enqueued), \
    #options = if_not_exists(#options, :options), \
    notify = if_not_exists(notify, :notify), \
    #open = :open, #month = :month, \
    expires_at = :expires \
    REMOVE #error, finished_at, notified_at, set_aside, reopened, progress, warnings, webhook, webhook_status, announcement, announcement_status";

const REOPEN: &str = "SET #status = :queued, attempts = :zero, counted_attempts = :zero, retries = if_not_exists(retries, :zero) + :counted, reopened = :true, \
    overdue_at = :overdue, expires_at = :expires, #open = :open \
    REMOVE #owner, lease_until, #error, finished_at, notified_at, set_aside, webhook, webhook_status, announcement, announcement_status";

/// Idempotency keys share the table; their items are `idempotency#{key}`.
const KEY_PREFIX: &str = "idempotency#";

/// A job store in DynamoDB: partition key `id`, time to live in `expires_at`.
#[derive(Debug, Clone)]
pub struct DynamoStore {
    client: Client,
    table: String,
    /// Counts the reports of callers, where they have a quota.
    bytes: Option<Bytes>,
}

impl DynamoStore {
    /// The store in `table`.
    pub fn new(config: &SdkConfig, table: impl Into<String>) -> Self {
        Self { client: Client::new(config), table: table.into(), bytes: None }
    }

    /// The same, and it counts how many bytes each caller's reports have.
    #[must_use]
    pub fn counting_bytes(self) -> Self {
        let bytes = Bytes { client: self.client.clone(), table: self.table.clone() };
        Self { bytes: Some(bytes), ..self }
    }

    async fn item(&self, id: JobId) -> Result<Option<Item>, Unavailable> {
        let request = self.client.get_item().table_name(&self.table).key("id", text(id)).consistent_read(true);
        Ok(request.send().await.map_err(refused("read the job's record"))?.item)
    }

    /// The newest ids of a month before this one, of one caller or of all, some dozens at the most.
    async fn ids_of(
        &self,
        month: &str,
        caller: Option<&str>,
        before: Option<JobId>,
    ) -> Result<Vec<JobId>, Unavailable> {
        let attempted = "list the jobs";
        let (index, partition, value) = match caller {
            None => (JOBS_BY_MONTH, "month", month.to_owned()),
            Some(caller) => (JOBS_BY_CALLER, "caller_month", caller_month(month, caller)),
        };
        let mut query = self
            .client
            .query()
            .table_name(&self.table)
            .index_name(index)
            .scan_index_forward(false)
            .limit(IDS_AT_A_TIME)
            .expression_attribute_names("#partition", partition)
            .expression_attribute_values(":partition", text(value));
        query = match before {
            None => query.key_condition_expression("#partition = :partition"),
            Some(before) => query
                .key_condition_expression("#partition = :partition AND id < :before")
                .expression_attribute_values(":before", text(before)),
        };
        let found = query.send().await.map_err(refused(attempted))?.items.unwrap_or_default();
        let id = |item: &Item| read_string(item, "id")?.parse().map_err(Unavailable::when(attempted));
        found.iter().map(id).collect()
    }

    /// The jobs with these ids, in their order, without those that are gone.
    pub(super) async fn get_all(&self, ids: Vec<JobId>) -> Result<Vec<Job>, Unavailable> {
        let attempted = "list the jobs";
        let columns = COLUMNS.map(|name| format!("#{name}")).join(", ");
        let mut found = HashMap::new();
        let mut keys: Vec<Item> = ids.iter().map(|id| HashMap::from([("id".to_owned(), text(id))])).collect();
        for round in 0..MOST_ROUNDS {
            if keys.is_empty() {
                break;
            }
            tokio::time::sleep(Duration::from_millis(50) * round).await;
            let wanted = KeysAndAttributes::builder().set_keys(Some(std::mem::take(&mut keys)));
            let wanted =
                wanted.projection_expression(columns.clone()).set_expression_attribute_names(Some(column_names()));
            let wanted = wanted.build().map_err(Unavailable::when(attempted))?;
            let answer = self.client.batch_get_item().request_items(&self.table, wanted).send().await;
            let answer = answer.map_err(refused(attempted))?;
            for item in answer.responses.unwrap_or_default().remove(&self.table).unwrap_or_default() {
                match read_job(&item) {
                    Ok(job) => _ = found.insert(job.id, job),
                    Err(error) => {
                        let job_id = item.get("id").and_then(|id| id.as_s().ok());
                        tracing::error!(job_id, %error, "skipped a job's record");
                    }
                }
            }
            let left = answer.unprocessed_keys.unwrap_or_default().remove(&self.table);
            keys = left.map(|left| left.keys).unwrap_or_default();
        }
        Ok(ids.iter().filter_map(|id| found.remove(id)).collect())
    }

    fn update(&self, id: JobId) -> UpdateItemFluentBuilder {
        // `status`, `bytes`, `error` and `owner` are reserved words of DynamoDB's expressions.
        self.client.update_item().table_name(&self.table).key("id", text(id)).return_values(ReturnValue::AllNew)
    }

    async fn fenced(&self, attempted: &str, update: UpdateItemFluentBuilder, owner: Uuid) -> Result<Held, Unavailable> {
        let held = self.fenced_item(attempted, update, owner).await?;
        Ok(if held.is_some() { Held::Yes } else { Held::No })
    }

    async fn fenced_item(
        &self,
        attempted: &str,
        update: UpdateItemFluentBuilder,
        owner: Uuid,
    ) -> Result<Option<Item>, Unavailable> {
        let update =
            update.expression_attribute_names("#owner", "owner").expression_attribute_names("#status", "status");
        update_if(attempted, update.expression_attribute_values(":owner", text(owner))).await
    }

    /// Counts a report that was completed, where `before` is the record until then.
    async fn count(&self, before: &Item, bytes: u64, at: DateTime<Utc>) {
        let Some(counts) = &self.bytes else { return };
        let was = |name| before.get(name).and_then(|value| value.as_s().ok());
        let (Some(caller), false) = (was("caller"), was("status").is_some_and(|it| it == Status::Completed.as_str()))
        else {
            return;
        };
        // The report is there; that it counts less is no reason to make it again.
        if let Err(error) = counts.add(caller, bytes.cast_signed(), at).await {
            tracing::warn!(%error, "a report does not count towards its caller's quota");
        }
    }

    fn claiming(&self, job: &Job, claim: &Claim, how: &str) -> Result<UpdateItemFluentBuilder, Unavailable> {
        let (started, counted) = match claim.purpose {
            Purpose::Run => ("started_at = :started, ", 1),
            Purpose::Settle => ("", 0),
        };
        let upload = if job.input.is_some() { "upload = if_not_exists(upload, :upload), " } else { "" };
        let caller = match job.caller {
            Some(_) => {
                "#caller = if_not_exists(#caller, :caller), caller_month = if_not_exists(caller_month, :caller_month), "
            }
            None => "",
        };
        let update = self
            .update(job.id)
            .update_expression(format!("SET {started}{upload}{caller}{how}"))
            .expression_attribute_names("#status", "status")
            .expression_attribute_names("#owner", "owner")
            .expression_attribute_names("#template", "template")
            .expression_attribute_names("#options", "options")
            .expression_attribute_names("#open", "open")
            .expression_attribute_names("#error", "error")
            .expression_attribute_names("#month", "month")
            .expression_attribute_values(":month", text(month_of(job.id)))
            .expression_attribute_values(":running", text(Status::Running))
            .expression_attribute_values(":owner", text(claim.owner))
            .expression_attribute_values(":now", number(claim.now.timestamp_millis()))
            .expression_attribute_values(":farthest", number((claim.now + FARTHEST_LEASE).timestamp_millis()))
            .expression_attribute_values(":lease", number(claim.lease_until.timestamp_millis()))
            .expression_attribute_values(":counted", number(counted))
            .expression_attribute_values(":retries", number(job.retries.into()))
            .expression_attribute_values(":template", text(&job.template))
            .expression_attribute_values(":enqueued", json(&job.enqueued_at)?)
            .expression_attribute_values(":options", json(&job.options)?)
            .expression_attribute_values(":notify", json(&job.notify)?)
            .expression_attribute_values(":open", text(OPEN))
            .expression_attribute_values(":overdue", number(claim.terms.overdue_at.timestamp_millis()))
            .expression_attribute_values(":expires", number(claim.terms.expires_at.timestamp()));
        // What has no upload has no such attribute.
        let update = match &job.input {
            Some(upload) => update.expression_attribute_values(":upload", text(upload)),
            None => update,
        };
        let update = match &job.caller {
            Some(caller) => update
                .expression_attribute_names("#caller", "caller")
                .expression_attribute_values(":caller", text(caller))
                .expression_attribute_values(":caller_month", text(caller_month(&month_of(job.id), caller))),
            None => update,
        };
        Ok(match claim.purpose {
            Purpose::Run => update.expression_attribute_values(":started", json(&claim.now)?),
            Purpose::Settle => update,
        })
    }

    async fn claim_open(&self, job: &Job, claim: &Claim) -> Result<Option<Item>, Unavailable> {
        let update = self
            .claiming(job, claim, CLAIM)?
            .condition_expression(CLAIM_OPEN)
            .expression_attribute_values(":zero", number(0))
            .expression_attribute_values(":queued", text(Status::Queued));
        update_if("claim the job", update).await
    }

    async fn claim_set_aside(&self, job: &Job, claim: &Claim) -> Result<Option<Item>, Unavailable> {
        let afresh = CLAIM
            .replace("if_not_exists(attempts, :zero) + ", "")
            .replace("if_not_exists(counted_attempts, :zero) + ", "");
        let update = self
            .claiming(job, claim, &afresh)?
            .condition_expression(CLAIM_SET_ASIDE)
            .expression_attribute_values(":failed", text(Status::Failed))
            .expression_attribute_values(":true", AttributeValue::Bool(true));
        update_if("claim the job", update).await
    }

    async fn claim_announcement(&self, job: &Job, claim: &Claim) -> Result<Option<Item>, Unavailable> {
        let update = self
            .update(job.id)
            .condition_expression(
                "#status IN (:completed, :failed) AND attribute_not_exists(notified_at) \
                 AND (attribute_not_exists(lease_until) OR lease_until <= :now OR lease_until > :farthest \
                 OR #owner = :owner)",
            )
            .update_expression("SET #owner = :owner, lease_until = :lease")
            .expression_attribute_names("#status", "status")
            .expression_attribute_names("#owner", "owner")
            .expression_attribute_values(":completed", text(Status::Completed))
            .expression_attribute_values(":failed", text(Status::Failed))
            .expression_attribute_values(":owner", text(claim.owner))
            .expression_attribute_values(":now", number(claim.now.timestamp_millis()))
            .expression_attribute_values(":farthest", number((claim.now + FARTHEST_LEASE).timestamp_millis()))
            .expression_attribute_values(":lease", number(claim.lease_until.timestamp_millis()));
        update_if("claim the announcement", update).await
    }
}

#[async_trait]
impl JobStore for DynamoStore {
    async fn record(&self, job: &Job, terms: Terms) -> Result<(), Unavailable> {
        let put = self
            .client
            .put_item()
            .table_name(&self.table)
            .item("id", text(job.id))
            .item("template", text(&job.template))
            .item("status", text(job.status))
            .item("attempts", number(job.attempts.into()))
            .item("enqueued_at", json(&job.enqueued_at)?)
            .item("options", json(&job.options)?)
            .item("notify", json(&job.notify)?)
            .item("month", text(month_of(job.id)))
            .item("open", text(OPEN))
            .item("overdue_at", number(terms.overdue_at.timestamp_millis()))
            .item("expires_at", number(terms.expires_at.timestamp()))
            .condition_expression("attribute_not_exists(id)");
        let put = match &job.input {
            Some(upload) => put.item("upload", text(upload)),
            None => put,
        };
        let put = match &job.caller {
            Some(caller) => {
                put.item("caller", text(caller)).item("caller_month", text(caller_month(&month_of(job.id), caller)))
            }
            None => put,
        };
        if put_if("put the job on record", put).await? {
            return Ok(());
        }
        let renew = self
            .update(job.id)
            .condition_expression("#status = :queued")
            .update_expression("SET overdue_at = :overdue")
            .expression_attribute_names("#status", "status")
            .expression_attribute_values(":queued", text(Status::Queued))
            .expression_attribute_values(":overdue", number(terms.overdue_at.timestamp_millis()));
        update_if("put the job on record", renew).await.map(|_| ())
    }

    async fn get(&self, id: JobId) -> Result<Option<Job>, Unavailable> {
        self.item(id).await?.as_ref().map(read_job).transpose()
    }

    async fn list(&self, listing: &Listing) -> Result<Listed, Unavailable> {
        let wanted = |job: &Job| {
            listing.status.is_none_or(|status| job.status == status)
                && listing.template.as_ref().is_none_or(|template| job.template == *template)
        };
        let (mut jobs, mut looked_at, mut before) = (Vec::new(), 0, listing.before);
        let newest = before.and_then(|id| id.made_at()).map_or_else(Utc::now, |at| at.min(Utc::now()));
        for month in months(newest, listing.since) {
            loop {
                let ids = self.ids_of(&month, listing.caller.as_deref(), before).await?;
                let Some(last) = ids.last().copied() else { break };
                before = Some(last);
                looked_at += ids.len();
                jobs.extend(self.get_all(ids).await?.into_iter().filter(wanted));
                if jobs.len() >= listing.limit {
                    jobs.truncate(listing.limit);
                    return Ok(Listed { next: jobs.last().map(|job| job.id), jobs });
                }
                if looked_at >= MOST_LOOKED_AT {
                    return Ok(Listed { next: before, jobs });
                }
            }
        }
        Ok(Listed { jobs, next: None })
    }

    async fn claim(&self, job: &Job, claim: &Claim) -> Result<Claimed, Unavailable> {
        if let Some(item) = self.claim_open(job, claim).await? {
            return Ok(Claimed::Run(attempt_of(&item)));
        }
        if claim.purpose == Purpose::Run
            && let Some(item) = self.claim_set_aside(job, claim).await?
        {
            return Ok(Claimed::Run(attempt_of(&item)));
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

    async fn renew(&self, id: JobId, owner: Uuid, lease_until: DateTime<Utc>) -> Result<Held, Unavailable> {
        let update = self
            .update(id)
            .condition_expression("#owner = :owner AND #status = :running")
            .update_expression("SET lease_until = :lease")
            .expression_attribute_values(":running", text(Status::Running))
            .expression_attribute_values(":lease", number(lease_until.timestamp_millis()));
        self.fenced("renew the lease", update, owner).await
    }

    async fn progress(&self, id: JobId, owner: Uuid, progress: Progress) -> Result<Held, Unavailable> {
        let update = self
            .update(id)
            .condition_expression("#owner = :owner AND #status = :running")
            .update_expression("SET progress = :progress")
            .expression_attribute_values(":running", text(Status::Running))
            .expression_attribute_values(":progress", json(&progress)?);
        self.fenced("record how far the run is", update, owner).await
    }

    async fn advanced(&self, id: JobId, owner: Uuid) -> Result<Held, Unavailable> {
        let update = self
            .update(id)
            .condition_expression("#owner = :owner AND #status = :running")
            .update_expression("SET counted_attempts = :zero")
            .expression_attribute_values(":running", text(Status::Running))
            .expression_attribute_values(":zero", number(0));
        self.fenced("record that the job came further", update, owner).await
    }

    async fn complete(&self, id: JobId, owner: Uuid, completed: &Completed<'_>) -> Result<Held, Unavailable> {
        let Completed { pages, bytes, warnings, at } = *completed;
        // What has no warnings has no such attribute.
        let warned = if warnings.is_empty() { "" } else { ", warnings = :warnings" };
        let update = self
            .update(id)
            .condition_expression("#owner = :owner AND #status IN (:running, :completed)")
            .update_expression(format!(
                "SET #status = :completed, pages = :pages, #bytes = :bytes, finished_at = :at{warned} \
                 REMOVE #input, progress"
            ))
            .expression_attribute_names("#bytes", "bytes")
            .expression_attribute_names("#input", "input")
            .expression_attribute_values(":running", text(Status::Running))
            .expression_attribute_values(":completed", text(Status::Completed))
            .expression_attribute_values(":pages", number(pages.cast_signed()))
            .expression_attribute_values(":bytes", number(bytes.cast_signed()))
            .expression_attribute_values(":at", json(&at)?);
        let update = match warnings {
            [] => update,
            warnings => update.expression_attribute_values(":warnings", json(&warnings)?),
        };
        let before = self.fenced_item("record the report", update.return_values(ReturnValue::AllOld), owner).await?;
        let Some(before) = before else { return Ok(Held::No) };
        self.count(&before, bytes, at).await;
        Ok(Held::Yes)
    }

    async fn fail(&self, id: JobId, owner: Uuid, failed: &Failed<'_>) -> Result<Held, Unavailable> {
        let (keep, input) = match failed.input {
            Some(input) => (", #input = :input", Some(json_text(input)?)),
            None => ("", None),
        };
        let mut update = self
            .update(id)
            .condition_expression("#owner = :owner AND #status IN (:running, :failed)")
            .update_expression(format!(
                "SET #status = :failed, #error = :error, finished_at = :at, set_aside = :set_aside{keep} REMOVE progress"
            ))
            .expression_attribute_names("#error", "error")
            .expression_attribute_values(":running", text(Status::Running))
            .expression_attribute_values(":failed", text(Status::Failed))
            .expression_attribute_values(":error", json(failed.failure)?)
            .expression_attribute_values(":set_aside", AttributeValue::Bool(failed.set_aside))
            .expression_attribute_values(":at", json(&failed.at)?);
        if let Some(input) = input {
            update = update
                .expression_attribute_names("#input", "input")
                .expression_attribute_values(":input", AttributeValue::S(input));
        }
        self.fenced("record the failure", update, owner).await
    }

    async fn release(&self, id: JobId, owner: Uuid, forgiven: bool) -> Result<Held, Unavailable> {
        let requeue = self
            .update(id)
            .condition_expression("#owner = :owner AND #status = :running")
            .update_expression(
                "SET #status = :queued, attempts = attempts - :forgiven, counted_attempts = if_not_exists(counted_attempts, :forgiven) - :forgiven \
                 REMOVE #owner, lease_until, progress",
            )
            .expression_attribute_values(":forgiven", number(forgiven.into()))
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

    async fn mark_notified(
        &self,
        id: JobId,
        owner: Uuid,
        at: DateTime<Utc>,
        announcement: &AnnouncementRecord,
    ) -> Result<Held, Unavailable> {
        let update = self
            .update(id)
            .condition_expression("#owner = :owner AND #status IN (:completed, :failed)")
            .update_expression(
                "SET notified_at = :at, announcement = if_not_exists(announcement, :announcement), \
                 announcement_status = if_not_exists(announcement_status, :announcement_status) \
                 REMOVE lease_until, overdue_at, #open",
            )
            .expression_attribute_names("#open", "open")
            .expression_attribute_values(":completed", text(Status::Completed))
            .expression_attribute_values(":failed", text(Status::Failed))
            .expression_attribute_values(":announcement", json(announcement)?)
            .expression_attribute_values(":announcement_status", text(announcement.delivery.status.as_str()))
            .expression_attribute_values(":at", json(&at)?);
        self.fenced("record that the deliveries were handed over", update, owner).await
    }

    async fn record_delivery(&self, message: &DeliveryMessage, recorded: &Recorded) -> Result<Held, Unavailable> {
        let column = recorded.column();
        let update = self
            .update(message.id)
            .condition_expression(
                "#job_status = :ended AND retries = :retries \
                 AND (attribute_not_exists(#delivery_status) OR #delivery_status <> :delivered)",
            )
            .update_expression("SET #delivery = :delivery, #delivery_status = :delivery_status")
            .expression_attribute_names("#job_status", "status")
            .expression_attribute_names("#delivery", column)
            .expression_attribute_names("#delivery_status", format!("{column}_status"))
            .expression_attribute_values(":ended", text(message.status))
            .expression_attribute_values(":retries", number(message.retries.into()))
            .expression_attribute_values(":delivered", text(DeliveryStatus::Delivered.as_str()))
            .expression_attribute_values(":delivery_status", text(recorded.delivery().status.as_str()))
            .expression_attribute_values(":delivery", json(recorded)?);
        let held = update_if("record the delivery", update).await?;
        Ok(if held.is_some() { Held::Yes } else { Held::No })
    }

    async fn kept_input(&self, id: JobId) -> Result<Option<Data>, Unavailable> {
        let Some(item) = self.item(id).await? else { return Ok(None) };
        read_json(&item, "input")
    }

    async fn reopen(&self, id: JobId, terms: Terms) -> Result<Option<Job>, Unavailable> {
        let update = |condition: &str, counted: i64| {
            self.update(id)
                .condition_expression(format!("{condition} AND expires_at > :last"))
                .update_expression(REOPEN)
                .expression_attribute_names("#status", "status")
                .expression_attribute_names("#owner", "owner")
                .expression_attribute_names("#error", "error")
                .expression_attribute_names("#open", "open")
                .expression_attribute_values(":queued", text(Status::Queued))
                .expression_attribute_values(":zero", number(0))
                .expression_attribute_values(":counted", number(counted))
                .expression_attribute_values(":true", AttributeValue::Bool(true))
                .expression_attribute_values(":open", text(OPEN))
                .expression_attribute_values(":overdue", number(terms.overdue_at.timestamp_millis()))
                .expression_attribute_values(":expires", number(terms.expires_at.timestamp()))
                .expression_attribute_values(":last", number((now() + LAST_REOPENED).timestamp()))
        };
        let failed = update("#status = :failed", 1).expression_attribute_values(":failed", text(Status::Failed));
        let mut reopened = update_if("queue the job again", failed).await?;
        if reopened.is_none() {
            // A job that was reopened and not claimed since has had its retry counted.
            reopened = update_if("queue the job again", update("#status = :queued AND reopened = :true", 0)).await?;
        }
        reopened.as_ref().map(read_job).transpose()
    }

    async fn overdue(&self, now: DateTime<Utc>, most: usize) -> Result<Vec<Job>, Unavailable> {
        let query = self
            .client
            .query()
            .table_name(&self.table)
            .index_name(OPEN_JOBS)
            .key_condition_expression("#open = :open AND overdue_at <= :now")
            .expression_attribute_names("#open", "open")
            .expression_attribute_values(":open", text(OPEN))
            .expression_attribute_values(":now", number(now.timestamp_millis()))
            .limit(i32::try_from(most).unwrap_or(i32::MAX));
        let found = query.send().await.map_err(refused("look for overdue jobs"))?;
        let mut jobs = Vec::new();
        for key in found.items.unwrap_or_default() {
            // The index is behind the table by a moment.
            let id = read_string(&key, "id")?.parse().map_err(Unavailable::when("read the job's id"))?;
            let Some(item) = self.item(id).await? else { continue };
            let overdue = read_number(&item, "overdue_at").is_some_and(|at: i64| at <= now.timestamp_millis());
            match read_job(&item) {
                Ok(job) if overdue && job.notified_at.is_none() => jobs.push(job),
                Ok(_) => {}
                Err(error) => tracing::error!(%id, %error, "skipped a job's record"),
            }
        }
        Ok(jobs)
    }

    async fn reserve(&self, reservation: &Reservation, now: DateTime<Utc>) -> Result<Reserved, Unavailable> {
        let attempted = "reserve the idempotency key";
        let key = format!("{KEY_PREFIX}{}", reservation.key);
        let put = self
            .client
            .put_item()
            .table_name(&self.table)
            .item("id", text(&key))
            .item("fingerprint", text(&reservation.fingerprint))
            .item("job_id", text(reservation.id))
            .item("enqueued_at", json(&reservation.enqueued_at)?)
            .item("expires_at", number(reservation.expires_at.timestamp()))
            // DynamoDB removes an item some time after its own has ended.
            .condition_expression("attribute_not_exists(id) OR expires_at <= :now")
            .expression_attribute_values(":now", number(now.timestamp()));
        if put_if(attempted, put).await? {
            return Ok(Reserved::Fresh);
        }
        let get = self.client.get_item().table_name(&self.table).key("id", text(&key)).consistent_read(true);
        let item = get.send().await.map_err(refused(attempted))?.item;
        let item = item.ok_or_else(|| Unavailable::when(attempted)("it was removed meanwhile"))?;
        if read_string(&item, "fingerprint")? != reservation.fingerprint {
            return Ok(Reserved::Differs);
        }
        Ok(Reserved::Repeated {
            id: read_string(&item, "job_id")?.parse().map_err(Unavailable::when(attempted))?,
            enqueued_at: read_time(&item, "enqueued_at")?
                .ok_or_else(|| Unavailable::when(attempted)("it has no `enqueued_at`"))?,
            confirmed: item.contains_key("confirmed"),
        })
    }

    async fn confirm(&self, key: &str) -> Result<(), Unavailable> {
        let update = self
            .client
            .update_item()
            .table_name(&self.table)
            .key("id", text(format!("{KEY_PREFIX}{key}")))
            .condition_expression("attribute_exists(id)")
            .update_expression("SET confirmed = :true")
            .expression_attribute_values(":true", AttributeValue::Bool(true));
        // A key whose time is over needs no confirmation.
        update_if("confirm the idempotency key", update).await.map(|_| ())
    }
}

/// The months from `newest` back to `oldest`, as `2026-11`.
fn months(newest: DateTime<Utc>, oldest: DateTime<Utc>) -> impl Iterator<Item = String> {
    let count = |time: DateTime<Utc>| time.year() * 12 + time.month0().cast_signed();
    let name = |month: i32| format!("{:04}-{:02}", month.div_euclid(12), month.rem_euclid(12) + 1);
    (count(oldest)..=count(newest)).rev().map(name)
}

/// The month that a job is listed under.
fn month_of(id: JobId) -> String {
    id.made_at().unwrap_or_default().format("%Y-%m").to_string()
}

/// The month and the caller that a job is listed under.
fn caller_month(month: &str, caller: &str) -> String {
    format!("{month}#{caller}")
}

/// Times and failures are kept as the JSON they have in answers; a string without its quotes.
fn json(value: &impl Serialize) -> Result<AttributeValue, Unavailable> {
    match serde_json::to_value(value).map_err(Unavailable::when("write the job's record"))? {
        Value::String(text) => Ok(AttributeValue::S(text)),
        value => Ok(AttributeValue::S(value.to_string())),
    }
}

/// A caller's data, which may be a string and keeps its quotes.
fn json_text(value: &Data) -> Result<String, Unavailable> {
    Ok(value.get().to_owned())
}

fn read_job(item: &Item) -> Result<Job, Unavailable> {
    Ok(Job {
        id: read_string(item, "id")?.parse().map_err(Unavailable::when("read the job's id"))?,
        caller: item.get("caller").and_then(|value| value.as_s().ok()).cloned(),
        template: read_string(item, "template")?.to_owned(),
        status: read_string(item, "status")?.parse().map_err(Unavailable::when("read the job's status"))?,
        attempts: read_number(item, "attempts").unwrap_or(0),
        enqueued_at: read_time(item, "enqueued_at")?
            .ok_or_else(|| Unavailable::when("read the job's record")("it has no `enqueued_at`"))?,
        started_at: read_time(item, "started_at")?,
        finished_at: read_time(item, "finished_at")?,
        pages: read_number(item, "pages"),
        bytes: read_number(item, "bytes"),
        progress: read_json(item, "progress")?,
        warnings: read_json(item, "warnings")?.unwrap_or_default(),
        error: read_json(item, "error")?,
        notified_at: read_time(item, "notified_at")?,
        retries: read_number(item, "retries").unwrap_or(0),
        options: read_json(item, "options")?.unwrap_or_default(),
        notify: read_json(item, "notify")?.unwrap_or_default(),
        webhook: read_json(item, "webhook")?,
        announcement: read_json(item, "announcement")?,
        input: read_upload(item)?,
    })
}

fn attempt_of(item: &Item) -> Attempt {
    // An attempt that was forgiven after the job came further leaves -1.
    let counted = read_number::<i64>(item, "counted_attempts").and_then(|counted| u32::try_from(counted).ok());
    Attempt { number: read_number(item, "attempts").unwrap_or(0), counted: counted.unwrap_or(0) }
}

fn read_upload(item: &Item) -> Result<Option<UploadId>, Unavailable> {
    let id = item.get("upload").and_then(|value| value.as_s().ok());
    id.map(|id| id.parse()).transpose().map_err(Unavailable::when("read the job's upload"))
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

fn read_json<T: DeserializeOwned>(item: &Item, name: &str) -> Result<Option<T>, Unavailable> {
    let Some(text) = item.get(name).and_then(|value| value.as_s().ok()) else { return Ok(None) };
    serde_json::from_str(text).map(Some).map_err(Unavailable::when(format!("read the job's `{name}`")))
}
