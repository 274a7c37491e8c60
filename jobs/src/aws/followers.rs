//! Who follows which job, in a DynamoDB table of its own: one item a follower, so that hundreds of them are told and
//! counted off one by one, and none waits for another's write.

use async_trait::async_trait;
use aws_config::SdkConfig;
use aws_sdk_dynamodb::Client;
use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::item::{Item, number, text, update_if};
use super::refused;
use crate::event::EventId;
use crate::followers::{Connected, Follower, Followers};
use crate::job::JobId;
use crate::ports::Unavailable;

/// The index that finds what a connection follows: partition key `connection`, sort key `job`.
const BY_CONNECTION: &str = "by-connection";

/// Stands in place of a job where an item tells who is at the other end of a connection.
const CALLER: &str = "caller";

/// The followers' table: partition key `job`, sort key `connection`, time to live in `expires_at`.
#[derive(Debug, Clone)]
pub struct DynamoFollowers {
    client: Client,
    table: String,
    jobs_table: String,
}

impl DynamoFollowers {
    /// The followers in `table` of the jobs in `jobs_table`.
    pub fn new(config: &SdkConfig, table: impl Into<String>, jobs_table: impl Into<String>) -> Self {
        Self { client: Client::new(config), table: table.into(), jobs_table: jobs_table.into() }
    }

    /// Changes the job's record, which its stream then tells, with this change and all later ones marked `followed`.
    async fn stir(&self, job: JobId) -> Result<(), Unavailable> {
        let update = self
            .client
            .update_item()
            .table_name(&self.jobs_table)
            .key("id", text(job))
            .condition_expression("attribute_exists(id)")
            .update_expression("SET followed = :anew")
            // A write that changes nothing is not told.
            .expression_attribute_values(":anew", text(Uuid::new_v4()));
        // A job that is gone has nothing to tell.
        update_if("mark the job as followed", update).await.map(|_| ())
    }

    async fn delete(&self, job: impl ToString, connection: &str) -> Result<(), Unavailable> {
        let delete = self.client.delete_item().table_name(&self.table);
        let delete = delete.key("job", text(job)).key("connection", text(connection));
        delete.send().await.map_err(refused("forget a follower"))?;
        Ok(())
    }
}

#[async_trait]
impl Followers for DynamoFollowers {
    async fn add(&self, job: JobId, follower: &Follower, expires_at: DateTime<Utc>) -> Result<(), Unavailable> {
        let mut put = self
            .client
            .put_item()
            .table_name(&self.table)
            .item("job", text(job))
            .item("connection", text(&follower.connection))
            .item("expires_at", number(expires_at.timestamp()));
        if let Some(last) = follower.last {
            put = put.item("last", text(last));
        }
        put.send().await.map_err(refused("record a follower"))?;
        self.stir(job).await
    }

    async fn of(&self, job: JobId) -> Result<Vec<Follower>, Unavailable> {
        let attempted = "look for followers";
        let pages = self
            .client
            .query()
            .table_name(&self.table)
            .consistent_read(true)
            .key_condition_expression("job = :job")
            .expression_attribute_values(":job", text(job))
            .into_paginator();
        let items: Result<Vec<_>, _> = pages.items().send().collect().await;
        items.map_err(refused(attempted))?.iter().map(|item| read_follower(item, attempted)).collect()
    }

    async fn advance(&self, job: JobId, connection: &str, last: EventId) -> Result<(), Unavailable> {
        let update = self
            .client
            .update_item()
            .table_name(&self.table)
            .key("job", text(job))
            .key("connection", text(connection))
            .condition_expression("attribute_exists(job)")
            .update_expression("SET #last = :last")
            .expression_attribute_names("#last", "last")
            .expression_attribute_values(":last", text(last));
        update_if("record what a follower was told", update).await.map(|_| ())
    }

    async fn remove(&self, job: JobId, connection: &str) -> Result<(), Unavailable> {
        self.delete(job, connection).await
    }

    async fn followed_by(&self, connection: &str, most: usize) -> Result<usize, Unavailable> {
        // The item that tells who is connected may be among them.
        let limit = i32::try_from(most.saturating_add(1)).unwrap_or(i32::MAX);
        let query = self.client.query().table_name(&self.table).index_name(BY_CONNECTION).limit(limit);
        let query = query
            .key_condition_expression("#connection = :connection")
            .expression_attribute_names("#connection", "connection")
            .expression_attribute_values(":connection", text(connection));
        let items = query.send().await.map_err(refused("count what a connection follows"))?.items.unwrap_or_default();
        let jobs = items.iter().filter(|item| item.get("job") != Some(&text(CALLER))).count();
        Ok(jobs.min(most))
    }

    async fn remember(&self, connection: &str, who: &Connected, expires_at: DateTime<Utc>) -> Result<(), Unavailable> {
        let put = self
            .client
            .put_item()
            .table_name(&self.table)
            .item("job", text(CALLER))
            .item("connection", text(connection))
            .item("caller", text(&who.caller))
            .item("rights", text(&who.rights))
            .item("expires_at", number(expires_at.timestamp()));
        put.send().await.map_err(refused("remember who is connected"))?;
        Ok(())
    }

    async fn caller_of(&self, connection: &str) -> Result<Option<Connected>, Unavailable> {
        let request = self.client.get_item().table_name(&self.table).consistent_read(true);
        let request = request.key("job", text(CALLER)).key("connection", text(connection));
        let item = request.send().await.map_err(refused("recall who is connected"))?.item.unwrap_or_default();
        let member = |name| item.get(name).and_then(|value| value.as_s().ok()).cloned();
        // An earlier build wrote no rights.
        Ok(member("caller").map(|caller| Connected { caller, rights: member("rights").unwrap_or_default() }))
    }

    async fn forget(&self, connection: &str) -> Result<(), Unavailable> {
        let attempted = "look for what a connection follows";
        let pages = self
            .client
            .query()
            .table_name(&self.table)
            .index_name(BY_CONNECTION)
            .key_condition_expression("#connection = :connection")
            .expression_attribute_names("#connection", "connection")
            .expression_attribute_values(":connection", text(connection))
            .into_paginator();
        let items: Result<Vec<_>, _> = pages.items().send().collect().await;
        for item in items.map_err(refused(attempted))? {
            self.delete(read_string(&item, "job", attempted)?, connection).await?;
        }
        Ok(())
    }
}

fn read_follower(item: &Item, attempted: &str) -> Result<Follower, Unavailable> {
    let last = item.get("last").and_then(|value| value.as_s().ok()).and_then(|id| id.parse().ok());
    Ok(Follower { connection: read_string(item, "connection", attempted)?.to_owned(), last })
}

fn read_string<'a>(item: &'a Item, name: &str, attempted: &str) -> Result<&'a str, Unavailable> {
    let value = item.get(name).and_then(|value| value.as_s().ok());
    value.map(String::as_str).ok_or_else(|| Unavailable::when(attempted)(format!("an item has no `{name}`")))
}
