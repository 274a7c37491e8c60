//! The HTTP server: connections that are bounded in number, and in how long they may keep the server waiting.
//!
//! Hyper speaks HTTP/1.1. The bounds that it leaves to its user are here: the number of connections, and the time of each for a
//! request's head or without a request (`connections`); the least speed (`pace`) of a request's body (`request_body`) and of
//! a client that reads an answer (`stream`). `unread` reads what is left of a body. `descriptors` says how many connections the process has file descriptors for.

mod connections;
mod descriptors;
mod host;
mod pace;
mod request_body;
mod response_body;
mod stream;
mod unread;

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::ConnectInfo;
use axum::response::IntoResponse;
use futures_util::FutureExt;
use futures_util::future::OptionFuture;
use hyper::body::{Body as _, Incoming};
use hyper::header::EXPECT;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use listener::access::Delay;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::time::{MissedTickBehavior, interval, sleep};
use tower::Service;

pub(crate) use connections::Bounds;
use connections::{Connection, Connections};
pub(crate) use descriptors::{TooFewDescriptors, reserve};
use request_body::PacedBody;
use response_body::TrackedBody;
use stream::ClientStream;
use unread::{ReturnedBody, Unread, discard};

/// How long no connection is accepted after the system refused one: it may be out of descriptors.
const PAUSE: Duration = Duration::from_millis(100);

/// How often waiting connections are checked for their time limits.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Serves `router` until `stopped` turns true and every request in progress is answered.
pub(crate) async fn serve(socket: TcpListener, router: Router, bounds: Bounds, stopped: watch::Receiver<bool>) {
    let connections = Arc::new(Connections::new(bounds));
    let mut stopping = stopped.clone();
    tokio::select! {
        _ = stopping.wait_for(|stopped| *stopped) => {}
        () = accept(&socket, &router, &connections, &stopped) => {}
        () = close_overdue(&connections) => {}
    }
    drop(socket);
    connections.close_waiting();
    connections.all_closed().await;
}

/// Accepts connections until it is cancelled.
async fn accept(
    socket: &TcpListener,
    router: &Router,
    connections: &Arc<Connections>,
    stopped: &watch::Receiver<bool>,
) {
    loop {
        match socket.accept().await {
            Ok((stream, peer)) => admit(stream, peer, router, connections, stopped),
            Err(error) if is_of_one_connection(&error) => {}
            Err(error) => {
                connections.note_not_accepted(&error);
                connections.make_room();
                sleep(PAUSE).await;
            }
        }
    }
}

/// Whether accepting failed because the client had gone again.
fn is_of_one_connection(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset)
}

async fn close_overdue(connections: &Connections) {
    let mut clock = interval(LOOK_EVERY);
    clock.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        clock.tick().await;
        connections.close_overdue();
        connections.report();
    }
}

/// Serves a connection in a separate task, or closes it if there are too many.
fn admit(
    stream: TcpStream,
    peer: SocketAddr,
    router: &Router,
    connections: &Arc<Connections>,
    stopped: &watch::Receiver<bool>,
) {
    let Some((connection, slot)) = connections.admit(peer.ip()) else { return };
    let stream = ClientStream::new(stream, connection.clone(), slot);
    let task = tokio::spawn(serve_connection(stream, peer, router.clone(), connection.clone(), stopped.clone()));
    connection.set_task(task.abort_handle());
}

async fn serve_connection(
    stream: ClientStream,
    peer: SocketAddr,
    router: Router,
    connection: Arc<Connection>,
    mut stopped: watch::Receiver<bool>,
) {
    let service = service_fn(move |request| answer(request, peer, router.clone(), connection.clone()));
    let serving = http1::Builder::new().serve_connection(TokioIo::new(stream), service).with_upgrades();
    let mut serving = std::pin::pin!(serving);
    let mut stopping = std::pin::pin!(async move { _ = stopped.wait_for(|stopped| *stopped).await }.fuse());
    loop {
        tokio::select! {
            ended = serving.as_mut() => {
                if let Err(error) = ended {
                    tracing::debug!(%error, "a connection ended early");
                }
                return;
            }
            () = &mut stopping => serving.as_mut().graceful_shutdown(),
        }
    }
}

/// The connection is being closed; the request was not begun.
#[derive(Debug, thiserror::Error)]
#[error("the connection is being closed")]
struct Closing;

async fn answer(
    request: Request<Incoming>,
    peer: SocketAddr,
    mut router: Router,
    connection: Arc<Connection>,
) -> Result<Response<TrackedBody>, Closing> {
    if !connection.begin_request() {
        return Err(Closing);
    }
    let refusal = host::refusal(&request);
    let (mut request, unread) = with_unread(request);
    let response = match refusal {
        Some(problem) => problem.into_response(),
        None => {
            request.extensions_mut().insert(ConnectInfo(peer));
            let Ok(response): Result<_, Infallible> = router.call(request).await;
            response
        }
    };
    let (rest, delay) = (unread.and_then(Unread::rest), response.extensions().get().map(|Delay(time)| *time));
    if rest.is_some() || delay.is_some() {
        connection.hold_back();
        tokio::join!(
            OptionFuture::from(rest.map(|rest| discard(rest, response.status()))),
            OptionFuture::from(delay.map(sleep))
        );
        if !connection.begin_request() {
            return Err(Closing);
        }
    }
    if response.status() == StatusCode::SWITCHING_PROTOCOLS {
        connection.upgrade();
    }
    Ok(response.map(|body| TrackedBody::new(body, connection)))
}

/// The request as it is handled, and what will be left of its body.
fn with_unread(request: Request<Incoming>) -> (Request<Body>, Option<Unread<PacedBody>>) {
    let (head, incoming) = request.into_parts();
    if incoming.is_end_stream() {
        return (Request::from_parts(head, Body::empty()), None);
    }
    let (body, unread) = ReturnedBody::new(PacedBody::new(incoming), !head.headers.contains_key(EXPECT));
    (Request::from_parts(head, Body::new(body)), Some(unread))
}
