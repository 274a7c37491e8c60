//! Lists of jobs: every filter is answered from an index that holds the jobs in the order of the list.

use sqlx::{QueryBuilder, Sqlite};

use super::store::columns;
use crate::job::Status;
use crate::ports::Listing;

/// The query for a page and one job more, which says whether there is another page.
pub(super) fn query(listing: &Listing) -> QueryBuilder<Sqlite> {
    let mut query = QueryBuilder::new(concat!("SELECT ", columns!(), " FROM jobs WHERE id IN ("));
    let every_status = [Status::Queued, Status::Running, Status::Completed, Status::Failed];
    match (listing.status, &listing.caller, &listing.template) {
        (None, None, None) => push_ids(&mut query, listing, None),
        (Some(status), ..) => push_ids(&mut query, listing, Some(status)),
        // The indexes hold the jobs of each status in order, and this merges them.
        (None, ..) => {
            for (index, status) in every_status.into_iter().enumerate() {
                query.push(if index == 0 { "" } else { " UNION ALL " });
                push_ids(&mut query, listing, Some(status));
            }
        }
    }
    query.push(") ORDER BY id DESC LIMIT ").push_bind(limit(listing));
    query
}

/// Selects the ids of a page's jobs, or of those of one status.
fn push_ids(query: &mut QueryBuilder<Sqlite>, listing: &Listing, status: Option<Status>) {
    query.push("SELECT id FROM (SELECT id FROM jobs WHERE TRUE");
    if let Some(before) = listing.before {
        query.push(" AND id < ").push_bind(before.to_string());
    }
    if let Some(caller) = &listing.caller {
        query.push(" AND caller = ").push_bind(caller.clone());
    }
    if let Some(template) = &listing.template {
        query.push(" AND template = ").push_bind(template.clone());
    }
    if let Some(status) = status {
        query.push(" AND status = ").push_bind(status.as_str());
    }
    query.push(" ORDER BY id DESC LIMIT ").push_bind(limit(listing)).push(")");
}

fn limit(listing: &Listing) -> i64 {
    i64::try_from(listing.limit + 1).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;
    use sqlx::{AssertSqlSafe, Execute, Row};
    use tempfile::TempDir;

    use super::*;
    use crate::job::JobId;
    use crate::local::database;

    fn listings() -> Vec<Listing> {
        let mut listings = Vec::new();
        for caller in [None, Some("billing".to_owned())] {
            for template in [None, Some("invoice".to_owned())] {
                for status in [None, Some(Status::Failed)] {
                    for before in [None, Some(JobId::new())] {
                        let (caller, template, since) = (caller.clone(), template.clone(), DateTime::UNIX_EPOCH);
                        listings.push(Listing { caller, status, template, before, since, limit: 20 });
                    }
                }
            }
        }
        listings
    }

    #[tokio::test]
    async fn no_list_looks_at_jobs_that_it_does_not_show() {
        let folder = TempDir::new().expect("a folder");
        let Ok(database) = database::open(&folder.path().join("pressrun.db")).await else { panic!("it opens") };
        for listing in listings() {
            let mut query = query(&listing);
            let sql = format!("EXPLAIN QUERY PLAN {}", query.build().sql().as_str());
            let plan = sqlx::query(AssertSqlSafe(sql)).fetch_all(&mut *database.reader().await).await.expect("a plan");
            let steps: Vec<String> = plan.iter().map(|step| step.get("detail")).collect();
            let filters = listing.caller.is_some() || listing.template.is_some() || listing.status.is_some();
            let scans = steps.iter().any(|step| step.starts_with("SCAN jobs"));
            assert!(!(scans && filters), "{listing:?}: {steps:#?}");
            let wanted =
                usize::from(listing.caller.is_some()) + usize::from(listing.template.is_some()) + usize::from(filters);
            let used =
                steps.iter().filter(|step| step.matches("=?").count() >= wanted && step.contains("INDEX")).count();
            let parts = if listing.status.is_none() && filters { 4 } else { usize::from(filters) };
            assert!(used >= parts, "{listing:?}: {steps:#?}");
        }
    }
}
