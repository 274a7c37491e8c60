//! `GET /jobs`: the jobs, the newest first, a page at a time.

use std::sync::Arc;

use axum::extract::{Extension, State};
use axum::http::HeaderMap;
use axum::http::header::CACHE_CONTROL;
use axum::response::IntoResponse;
use jobs::job::now;
use jobs::{JobId, LEAST_KEPT, Listing, Status};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, IntoResponses, ToSchema};

use crate::access::Caller;
use crate::base_url::base_url;
use crate::job::Answer;
use crate::json::Json;
use crate::openapi::{Responses, example, guarded_refusals};
use crate::problem::{defect, unavailable};
use crate::query::{Parameters, invalid_query};
use crate::{Listener, Problem};

/// How many jobs a page has at most unless the caller asks for another number.
const DEFAULT_LIMIT: usize = 20;

/// The most jobs a page may have.
const MAX_LIMIT: usize = 100;

/// The most bytes that the jobs of a page have, but for a single one.
const MAX_PAGE_BYTES: usize = 1024 * 1024;

/// What a caller may ask for.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct Asked {
    /// Only jobs of this status.
    #[param(value_type = Option<Status>, nullable = false)]
    status: Option<String>,
    /// Only jobs of this template.
    #[param(nullable = false, example = "letter")]
    template: Option<String>,
    /// Where the page begins: the `next` of the page before.
    #[param(value_type = Option<JobId>, nullable = false)]
    cursor: Option<String>,
    /// How many jobs a page has at most, 20 by default. It has fewer if they have more than a megabyte.
    #[param(value_type = Option<u64>, nullable = false, minimum = 1, maximum = 100)]
    limit: Option<String>,
}

/// A page of jobs.
#[derive(Serialize, ToSchema)]
#[schema(as = JobPage)]
pub(crate) struct Page {
    /// The newest first.
    jobs: Vec<Answer>,
    /// The `cursor` of the next page, if there may be one.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    next: Option<JobId>,
}

/// The caller's jobs, the newest first.
///
/// A caller with the right `admin` receives those of all callers.
#[utoipa::path(
    get,
    path = "/jobs",
    operation_id = "jobs",
    tag = "jobs",
    params(Asked),
    responses(
        (
            status = 200, description = "A page of them.",
            body = Page, example = json!(Page { jobs: vec![example::answer(Status::Completed)], next: None })
        ),
        ListRefusals,
    )
)]
pub(crate) async fn list(
    State(listener): State<Arc<Listener>>,
    Extension(caller): Extension<Caller>,
    headers: HeaderMap,
    asked: Result<Parameters<Asked>, Problem>,
) -> Result<impl IntoResponse, Problem> {
    let listing = asked?.0.listing(&listener, &caller)?;
    let listed = listener.jobs.list(&listing).await?;
    let base_url = base_url(&listener, &headers);
    let jobs = listed.jobs.into_iter().map(|job| Answer::new(&listener, job, &base_url)).collect();
    Ok(([(CACHE_CONTROL, "no-store")], Json(Page { jobs, next: listed.next }.within(MAX_PAGE_BYTES)?)))
}

impl Page {
    /// The page without the jobs that are beyond so many bytes: they are on the next one.
    fn within(mut self, most: usize) -> Result<Self, Problem> {
        let mut bytes = 0;
        for at in 0..self.jobs.len() {
            bytes += serde_json::to_vec(&self.jobs[at]).map_err(|_| defect())?.len();
            if bytes > most && at > 0 {
                self.jobs.truncate(at);
                self.next = self.jobs.last().map(Answer::id);
                break;
            }
        }
        Ok(self)
    }
}

struct ListRefusals;

impl IntoResponses for ListRefusals {
    fn responses() -> Responses {
        guarded_refusals([invalid_limit(), unavailable("list the jobs")])
    }
}

impl Asked {
    fn listing(self, listener: &Listener, caller: &Caller) -> Result<Listing, Problem> {
        let status: Option<Status> = self
            .status
            .map(|status| status.parse())
            .transpose()
            .map_err(|_| invalid_query("`status` is queued, running, completed or failed"))?;
        let before: Option<JobId> = self
            .cursor
            .map(|cursor| cursor.parse())
            .transpose()
            .map_err(|_| invalid_query("`cursor` is the `next` of the page before"))?;
        let limit = self.limit.map_or(Some(DEFAULT_LIMIT), |limit| limit.parse().ok());
        let limit = limit.filter(|limit| (1..=MAX_LIMIT).contains(limit));
        let limit = limit.ok_or_else(invalid_limit)?;
        let (template, caller, since) =
            (self.template, listener.access.shown_to(caller), now() - listener.retention - LEAST_KEPT);
        Ok(Listing { status, template, caller, before, since, limit })
    }
}

fn invalid_limit() -> Problem {
    invalid_query(&format!("`limit` is a number from 1 to {MAX_LIMIT}"))
}

#[cfg(test)]
mod tests {
    use jobs::Job;

    use super::*;

    #[test]
    fn a_page_ends_with_the_last_job_that_fits_and_has_one_at_least() {
        let job = || example::told(Job { id: JobId::new(), ..example::job(Status::Failed) });
        let page = |jobs| Page { jobs: (0..jobs).map(|_| job()).collect(), next: None };
        let size = serde_json::to_vec(&page(1).jobs[0]).expect("JSON").len();
        for (most, jobs) in [(3 * size, 3), (3 * size - 1, 2), (1, 1), (5 * size, 5)] {
            let within = page(5).within(most).expect("JSON");
            assert_eq!(within.jobs.len(), jobs);
            assert_eq!(within.next, within.jobs.last().map(Answer::id).filter(|_| jobs < 5), "{most}");
        }
    }
}
