//! What is said over a WebSocket, be it this program's own or API Gateway's.
//!
//! A client sends what it would POST to `/append_queue` and gets the same answer, then the job's events. It sends
//! `{"subscribe": "{job id}"}` for the events of a job that it knows, with `"last_event_id"` for those after that one.

use axum::http::StatusCode;
use jobs::event::{Event, EventId};
use jobs::{Job, JobId};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::access::Caller;
use crate::append_queue::{Acceptance, submit};
use crate::catalogue::Violation;
use crate::checks::SMALL_BYTES;
use crate::examine::examine;
use crate::job::{Answer, find_by_id, unknown};
use crate::request::Invalid;
use crate::{Listener, Problem};

/// The longest subscription, in bytes.
const MAX_SUBSCRIPTION_BYTES: usize = 1024;

/// What a client sends besides requests.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Subscription {
    subscribe: String,
    last_event_id: Option<String>,
}

/// A message that was granted: its answer, and the job whose events follow, those after `last`.
pub(crate) struct Granted {
    pub(crate) answer: Value,
    pub(crate) job: Job,
    pub(crate) last: Option<EventId>,
}

/// Does what a client's message asks for.
pub(crate) async fn take(listener: &Listener, caller: &Caller, base_url: &str, text: &str) -> Result<Granted, Problem> {
    let Some(asked) = subscription(text) else {
        listener.access.count_request(caller).await?;
        let _turn = if text.len() > SMALL_BYTES { Some(listener.checks.body(caller).await?) } else { None };
        let examined = examine(listener, caller, text.into(), None).await?;
        let job = submit(listener, caller, examined, None).await?;
        return Ok(Granted { answer: json!(Acceptance::new(&job, base_url)), job, last: None });
    };
    let asked: Subscription = serde_json::from_value(asked).map_err(|error| {
        let detail = format!("{error}; a subscription is {{\"subscribe\": \"<job id>\"}}");
        Invalid::Request.problem(&[Violation::new("", detail)])
    })?;
    let id: JobId = asked.subscribe.parse().map_err(|_| unknown())?;
    let job = find_by_id(listener, caller, id).await?;
    let last = asked.last_event_id.and_then(|id| id.parse().ok());
    Ok(Granted { answer: json!({ "subscribed": id }), job, last })
}

/// A message that subscribes to a job, or means to. It is so small that it is parsed at once.
fn subscription(text: &str) -> Option<Value> {
    let text = Some(text).filter(|text| text.len() <= MAX_SUBSCRIPTION_BYTES)?;
    let message: Value = serde_json::from_str(text).ok()?;
    message.get("subscribe").is_some().then_some(message)
}

/// An event, with the link that needs no token once there is a report.
pub(crate) fn frame(listener: &Listener, event: Event, base_url: &str) -> Value {
    let Event { id, job } = event;
    let mut frame = json!({ "event": job.status, "id": id.to_string() });
    let answer = Answer::new(listener, job, base_url);
    if let Some(link) = answer.link() {
        frame["link"] = link.into();
    }
    frame["job"] = serde_json::to_value(answer).unwrap_or_default();
    frame
}

/// Told in place of the events that do not come.
pub(crate) fn broken_off(id: JobId) -> Value {
    let detail = "The job's record could not be read, or is kept no longer. Subscribe to the job again.";
    let title = "The job cannot be followed any more.";
    let problem = Problem::new(StatusCode::SERVICE_UNAVAILABLE, "unavailable", title, detail);
    problem.with("job_id", id.to_string()).to_json()
}
