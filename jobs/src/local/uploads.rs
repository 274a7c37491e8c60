//! Which uploads jobs name: the record of jobs says so, which is durable before a job is accepted.

use std::collections::HashSet;

use sqlx::SqliteConnection;

use crate::upload::UploadId;

/// Those of these uploads that a job on record names.
pub(super) async fn named(reader: &mut SqliteConnection, ids: &[UploadId]) -> Result<HashSet<UploadId>, sqlx::Error> {
    let ids: Vec<_> = ids.iter().map(ToString::to_string).collect();
    let query =
        sqlx::query_scalar("SELECT DISTINCT upload FROM jobs WHERE upload IN (SELECT value FROM json_each(?1))");
    let named: Vec<String> = query.bind(serde_json::json!(ids).to_string()).fetch_all(reader).await?;
    Ok(named.iter().filter_map(|id| id.parse().ok()).collect())
}
