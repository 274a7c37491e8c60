//! WebSockets where API Gateway holds the connections: this program is called for each thing that a client does, and
//! for each change of a followed job, and speaks through [`Connections`].
//!
//! A client receives a job's events from one sender at a time, and so in their order. When it begins to follow a job, it
//! receives the job's state at once. The follower is then recorded, which changes the job's record. All further events are
//! sent as the changes of that record arrive, one after the other.

mod event;
mod tell;

use std::sync::Arc;

use axum::http::HeaderMap;
use axum::response::IntoResponse;
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use chrono::TimeDelta;
use findings::visible_json;
use jobs::event::events;
use jobs::followers::{Connected, Connections, Follower, Followers, MAX_POSTED_BYTES, Posted};
use jobs::job::now;
use jobs::{JobId, Unavailable};
use serde_json::{Value, json};

pub use event::{Change, Client, Event, Message};

use crate::access::{Caller, Delay, Mode, Origin, Peer, identify, unauthorized};
use crate::base_url::base_url;
use crate::protocol::{self, Granted, broken_off, frame};
use crate::socket::{MAX_FOLLOWED, too_many};
use crate::{Listener, Problem, observe};

/// How long API Gateway keeps a connection at most, and so how long a follower is kept.
const LONGEST_CONNECTION: TimeDelta = TimeDelta::seconds(crate::socket::LONGEST_CONNECTION.as_secs() as i64);

/// The listener behind a WebSocket API.
pub struct Gateway {
    /// Handles the clients' requests. Its `public_url` must be set, since no request has it.
    pub listener: Listener,
    /// Who follows which job.
    pub followers: Arc<dyn Followers>,
    /// The way to the clients.
    pub connections: Arc<dyn Connections>,
}

impl Gateway {
    /// Deals with one event and answers what its sender is to get.
    pub async fn handle(&self, event: Event) -> Result<Value, Unavailable> {
        match event {
            Event::Client(client) => self.attend(client).await,
            Event::Changes(changes) => {
                let undone = self.tell_of(&changes).await;
                let failures: Vec<_> = undone.iter().map(|number| json!({ "itemIdentifier": number })).collect();
                Ok(json!({ "batchItemFailures": failures }))
            }
        }
    }

    async fn attend(&self, client: Client) -> Result<Value, Unavailable> {
        let Client { connection, message, arn, peer } = client;
        match message {
            Message::Connect(headers) => {
                // A handshake that is not answered with 200 is refused with this status.
                let origin = Origin { arn: arn.as_deref(), peer: peer.map_or(Peer::Unknown, Peer::At) };
                return match observe::handshake(identify(&self.listener, &headers, origin)).await {
                    Ok(caller) => self.remember(&connection, &caller).await.map(|()| accepted()),
                    Err(problem) => {
                        let refused = refused(&problem);
                        Delay::wait(problem.into_response()).await;
                        Ok(refused)
                    }
                };
            }
            Message::Text(text) => self.answer(&connection, &text).await?,
            Message::Disconnect => self.followers.forget(&connection).await?,
        }
        Ok(accepted())
    }

    /// A connection's messages do not say who sent them.
    async fn remember(&self, connection: &str, caller: &Caller) -> Result<(), Unavailable> {
        if matches!(self.listener.access.mode, Mode::Anybody) {
            return Ok(());
        }
        let who = Connected { caller: caller.name().to_owned(), rights: caller.rights().to_string() };
        self.followers.remember(connection, &who, now() + LONGEST_CONNECTION).await
    }

    async fn caller_of(&self, connection: &str) -> Result<Option<Caller>, Unavailable> {
        if matches!(self.listener.access.mode, Mode::Anybody) {
            return Ok(Some(Caller::anybody()));
        }
        let who = self.followers.caller_of(connection).await?;
        // A right that a later build gave is none to this one.
        Ok(who.map(|who| Caller::holder(&who.caller, who.rights.parse().unwrap_or_default())))
    }

    /// Does what a message asks for, answers it, and has its sender follow the job.
    async fn answer(&self, connection: &str, text: &str) -> Result<(), Unavailable> {
        let base_url = self.base_url();
        let Granted { answer, job, last } = match observe::message(self.take(connection, &base_url, text)).await {
            Ok(granted) => granted,
            Err(problem) => return self.post(connection, problem.to_json()).await.map(|_| ()),
        };
        if self.post(connection, answer).await? == Posted::Gone {
            return Ok(());
        }
        let (id, ended, mut told) = (job.id, job.status.is_final(), last);
        for event in events(&job, last) {
            told = Some(event.id);
            if self.post(connection, frame(&self.listener, event, &base_url)).await? == Posted::Gone {
                return Ok(());
            }
        }
        if !ended {
            self.follow(id, Follower { connection: connection.to_owned(), last: told }).await?;
        }
        Ok(())
    }

    async fn take(&self, connection: &str, base_url: &str, text: &str) -> Result<Granted, Problem> {
        let caller = self.caller_of(connection).await?.ok_or_else(connected_before)?;
        if self.followers.followed_by(connection, MAX_FOLLOWED).await? >= MAX_FOLLOWED {
            return Err(too_many());
        }
        protocol::take(&self.listener, &caller, base_url, text).await
    }

    async fn follow(&self, job: JobId, follower: Follower) -> Result<(), Unavailable> {
        let Err(error) = self.followers.add(job, &follower, now() + LONGEST_CONNECTION).await else { return Ok(()) };
        tracing::error!(%error, job_id = %job, "cannot record a follower");
        // The client shall not wait for what does not come.
        self.post(&follower.connection, broken_off(job)).await.map(|_| ())
    }

    async fn post(&self, connection: &str, frame: Value) -> Result<Posted, Unavailable> {
        self.connections.post(connection, &fitting(frame)).await
    }

    fn base_url(&self) -> String {
        base_url(&self.listener, &HeaderMap::new())
    }
}

/// Connections of before an update, when callers were not remembered, last for two hours.
fn connected_before() -> Problem {
    unauthorized("The caller of this connection is no longer known. Connect again.")
}

/// What API Gateway gets; clients see nothing of it.
fn accepted() -> Value {
    json!({ "statusCode": 200 })
}

fn refused(problem: &Problem) -> Value {
    let body = problem.to_json();
    json!({ "statusCode": body["status"], "body": body.to_string() })
}

/// Where a frame holds lists that may be long: a problem's violations, those of a job that failed, and a job's warnings.
const LONG_LISTS: [&str; 4] = ["/errors", "/job/error/errors", "/job/error/diagnostics", "/job/warnings"];

/// The frame as text, with as much of its lists as API Gateway passes on.
fn fitting(mut frame: Value) -> String {
    loop {
        let text = visible_json(frame.to_string());
        let mut shortened = false;
        for list in LONG_LISTS.iter().filter(|_| text.len() > MAX_POSTED_BYTES) {
            if let Some(list) = frame.pointer_mut(list).and_then(Value::as_array_mut).filter(|list| !list.is_empty()) {
                list.truncate(list.len() / 2);
                shortened = true;
            }
        }
        if !shortened {
            return text;
        }
    }
}

/// A message's text; API Gateway hands over binary ones in Base64.
fn text_of(body: &str, is_base64: bool) -> String {
    let bytes = if is_base64 { BASE64_STANDARD.decode(body).unwrap_or_default() } else { body.as_bytes().to_vec() };
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use jobs::job::MAX_TEXT_CHARS;
    use jobs::{Job, Warning};

    use super::*;

    #[test]
    fn a_frame_fits_whatever_its_warnings_say() {
        let warning = |number: usize| {
            let message = "\u{1}".repeat(MAX_TEXT_CHARS);
            Warning::new(&format!("{number}{message}"), message.clone(), Some(message))
        };
        let job = Job { warnings: (0..50).map(warning).collect(), ..Job::queued(JobId::new(), "letter", now()) };
        let frame = json!({"event": "completed", "id": "0.1.2", "job": job});
        assert!(frame.to_string().len() > MAX_POSTED_BYTES);
        let text = fitting(frame);
        let cut: Value = serde_json::from_str(&text).expect("JSON");
        assert!(text.len() <= MAX_POSTED_BYTES, "{} bytes", text.len());
        assert!(cut["job"]["warnings"].as_array().is_some_and(|warnings| !warnings.is_empty()));
    }
}
