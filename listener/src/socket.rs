//! `GET /ws`: requests, their answers and their jobs' events, all over one WebSocket (RFC 6455), as `protocol` says.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::ws::rejection::WebSocketUpgradeRejection;
use axum::extract::ws::{CloseFrame, Message, WebSocket, WebSocketUpgrade, close_code};
use axum::extract::{Extension, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use findings::visible_json;
use jobs::Job;
use jobs::event::EventId;
use serde_json::Value;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep, sleep_until, timeout};
use utoipa::IntoResponses;

use crate::access::Caller;
use crate::base_url::base_url;
use crate::body::MAX_BODY_BYTES;
use crate::events::Follower;
use crate::openapi::{Responses, guarded_refusals};
use crate::protocol::{self, Granted, broken_off, frame};
use crate::{Listener, Problem, observe};

/// How often a client is asked whether it is still there.
const PING: Duration = Duration::from_secs(20);

/// After how long without a sign of life a client is forgotten.
const SILENCE: Duration = Duration::from_secs(60);

/// How long a connection may last, the same as at API Gateway: its caller is authenticated only once.
pub(crate) const LONGEST_CONNECTION: Duration = Duration::from_secs(2 * 60 * 60);

/// How many frames may wait for a client that reads slowly.
const WAITING_FRAMES: usize = 64;

/// How many jobs one connection may follow at a time, here and at a gateway.
pub(crate) const MAX_FOLLOWED: usize = 1_000;

/// One client.
struct Client {
    listener: Arc<Listener>,
    caller: Caller,
    base_url: String,
    frames: mpsc::Sender<Value>,
    /// Those who follow jobs for it; they end with the connection.
    followers: JoinSet<()>,
}

/// Everything over one connection.
///
/// A WebSocket, which OpenAPI cannot describe; on AWS, at the address that `terraform output websocket_url` names. Send
/// what you would POST to `/append_queue`, and get the same answer and then frames like
/// `{"event": "completed", "id": "0.1.2", "job": {…}, "link": "…"}`; send `{"subscribe": "<job id>"}`, with
/// `"last_event_id"` if you like, for the events of a job that you know. Problems come as frames too.
#[utoipa::path(
    get,
    path = "/ws",
    operation_id = "socket",
    tag = "jobs",
    responses((status = 101, description = "The connection is a WebSocket from here on."), SocketRefusals)
)]
pub(crate) async fn socket(
    State(listener): State<Arc<Listener>>,
    Extension(caller): Extension<Caller>,
    headers: HeaderMap,
    upgrade: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
) -> Result<Response, Problem> {
    let upgrade = upgrade.map_err(|error| no_websocket(&error.body_text()))?;
    let base_url = base_url(&listener, &headers);
    let upgrade = upgrade.max_message_size(MAX_BODY_BYTES);
    Ok(upgrade.on_upgrade(async |socket| serve(listener, caller, base_url, socket).await))
}

fn no_websocket(reason: &str) -> Problem {
    let detail = format!(
        "{reason}. Use a WebSocket client; on AWS, with the address that `terraform output websocket_url` names."
    );
    Problem::new(StatusCode::BAD_REQUEST, "websocket-expected", "This path speaks WebSocket only.", detail)
}

struct SocketRefusals;

impl IntoResponses for SocketRefusals {
    fn responses() -> Responses {
        guarded_refusals([no_websocket("Connection header did not include 'upgrade'")])
    }
}

/// Serves a client until it leaves or is gone.
async fn serve(listener: Arc<Listener>, caller: Caller, base_url: String, mut socket: WebSocket) {
    let (frames, mut waiting) = mpsc::channel(WAITING_FRAMES);
    let mut client = Client { listener, caller, base_url, frames, followers: JoinSet::new() };
    let (mut ping, mut heard_at) = (interval(PING), Instant::now());
    ping.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut over = pin!(sleep(LONGEST_CONNECTION));
    loop {
        let sent = tokio::select! {
            () = &mut over => {
                let reason = "The connection is two hours old. Connect again.".into();
                _ = send(&mut socket, Message::Close(Some(CloseFrame { code: close_code::AWAY, reason }))).await;
                None
            }
            message = socket.recv() => {
                let sent = match message {
                    Some(Ok(message @ (Message::Text(_) | Message::Binary(_)))) => {
                        let answer = client.answer(message.to_text().unwrap_or_default()).await;
                        send(&mut socket, json_text(&answer)).await
                    }
                    // What is to be said to a close or a ping is said with the next look.
                    Some(Ok(_)) => Some(()),
                    Some(Err(_)) | None => None,
                };
                // While a long answer was made, nothing of the client was read.
                heard_at = Instant::now();
                sent
            }
            Some(frame) = waiting.recv() => send(&mut socket, json_text(&frame)).await,
            _ = ping.tick(), if heard_at.elapsed() <= SILENCE => send(&mut socket, Message::Ping(Vec::new().into())).await,
            _ = sleep_until(heard_at + SILENCE + PING) => None,
            Some(_) = client.followers.join_next() => Some(()),
        };
        if sent.is_none() {
            return;
        }
    }
}

/// Sends to a client that reads; nothing comes back of one that does not.
async fn send(socket: &mut WebSocket, message: Message) -> Option<()> {
    timeout(SILENCE, socket.send(message)).await.ok()?.ok()
}

fn json_text(frame: &Value) -> Message {
    Message::Text(visible_json(frame.to_string()).into())
}

impl Client {
    async fn answer(&mut self, text: &str) -> Value {
        match observe::message(self.take(text)).await {
            Ok(answer) => answer,
            Err(problem) => problem.to_json(),
        }
    }

    async fn take(&mut self, text: &str) -> Result<Value, Problem> {
        if self.followers.len() >= MAX_FOLLOWED {
            return Err(too_many());
        }
        let Granted { answer, job, last } = protocol::take(&self.listener, &self.caller, &self.base_url, text).await?;
        self.follow(job, last);
        Ok(answer)
    }

    fn follow(&mut self, job: Job, last: Option<EventId>) {
        let (frames, base_url, listener) = (self.frames.clone(), self.base_url.clone(), self.listener.clone());
        let id = job.id;
        let mut follower = Follower::new(listener.clone(), job, last);
        self.followers.spawn(async move {
            while let Some(event) = follower.next().await {
                if frames.send(frame(&listener, event, &base_url)).await.is_err() {
                    return;
                }
            }
            if !follower.is_done() {
                // This fails if the connection is gone.
                _ = frames.send(broken_off(id)).await;
            }
        });
    }
}

pub(crate) fn too_many() -> Problem {
    let detail =
        format!("One connection follows {MAX_FOLLOWED} jobs at a time. Wait for some to end, or open another.");
    let title = "This connection follows too many jobs.";
    Problem::new(StatusCode::TOO_MANY_REQUESTS, "too-many-followed", title, detail)
}
