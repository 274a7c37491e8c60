//! `GET /jobs`: the jobs, the newest first, a page at a time.

use std::sync::Arc;

use axum::Json;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::http::header::CACHE_CONTROL;
use axum::http::{HeaderMap, StatusCode};
use axum::response::IntoResponse;
use jobs::job::now;
use jobs::{JobId, Listing, Status};
use serde::Deserialize;
use serde_json::json;

use crate::base_url::base_url;
use crate::job::Answer;
use crate::{Listener, Problem};

/// How many jobs a page has where nothing else is asked for.
const DEFAULT_LIMIT: usize = 20;

/// The most jobs a page may have.
const MAX_LIMIT: usize = 100;

/// What a caller may ask for.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Asked {
    status: Option<String>,
    template: Option<String>,
    cursor: Option<String>,
    limit: Option<String>,
}

pub(crate) async fn list(
    State(listener): State<Arc<Listener>>,
    headers: HeaderMap,
    asked: Result<Query<Asked>, QueryRejection>,
) -> Result<impl IntoResponse, Problem> {
    let Query(asked) = asked.map_err(|error| invalid_query(&error.body_text()))?;
    let listing = asked.listing(&listener)?;
    let listed = listener.jobs.list(&listing).await?;
    let base_url = base_url(&listener, &headers);
    let jobs: Vec<_> = listed.jobs.into_iter().map(|job| Answer::new(job, &base_url)).collect();
    let mut answer = json!({ "jobs": jobs });
    if let Some(next) = listed.next {
        answer["next"] = json!(next);
    }
    Ok(([(CACHE_CONTROL, "no-store")], Json(answer)))
}

impl Asked {
    fn listing(self, listener: &Listener) -> Result<Listing, Problem> {
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
        let limit = limit.ok_or_else(|| invalid_query(&format!("`limit` is a number from 1 to {MAX_LIMIT}")))?;
        Ok(Listing { status, template: self.template, before, since: now() - listener.retention, limit })
    }
}

/// A query that makes no sense.
pub(crate) fn invalid_query(what: &str) -> Problem {
    Problem::new(StatusCode::BAD_REQUEST, "invalid-query", "The URL's query makes no sense.", format!("{what}."))
}
