//! A client's TCP connection, which ends if the client takes too little of what is sent to it.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

use super::connections::{Connection, Slot};
use super::pace::Pace;

/// The time over which it is measured how much a client takes, in seconds.
const WINDOW_SECONDS: u64 = 60;

/// The same where what waits in the system has no bound.
const LONG_WINDOW_SECONDS: u64 = 300;

/// How much of an answer waits in the system, besides what is on its way to the client. A larger buffer would be filled at
/// once, and empty again only after minutes of a slow client.
#[cfg(target_os = "linux")]
const UNSENT_BYTES: u32 = 64 * 1024;

/// How long a client may acknowledge nothing of what the system sends. It bounds what is left of an answer once the server
/// has written all of it.
#[cfg(target_os = "linux")]
const SILENCE: std::time::Duration = std::time::Duration::from_secs(WINDOW_SECONDS);

/// A TCP connection, and its place among the open ones.
pub(super) struct ClientStream {
    inner: TcpStream,
    connection: Arc<Connection>,
    pace: Pace,
    _slot: Slot,
}

impl ClientStream {
    pub(super) fn new(inner: TcpStream, connection: Arc<Connection>, slot: Slot) -> Self {
        let seconds = if bound_unsent(&inner) { WINDOW_SECONDS } else { LONG_WINDOW_SECONDS };
        Self { inner, connection, pace: Pace::over(seconds), _slot: slot }
    }

    /// Notes how much the system took, and fails if that has been too little for too long.
    fn watch(&mut self, cx: &mut Context<'_>, written: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        self.connection.set_unsent(written.is_pending());
        match written {
            Poll::Ready(written) => {
                self.pace.transferred(*written.as_ref().unwrap_or(&0));
                Poll::Ready(written)
            }
            Poll::Pending => self.pace.poll_wait(cx).map(|_| Err(io::ErrorKind::TimedOut.into())),
        }
    }
}

/// Bounds what the system holds of an answer, in bytes and in time. Answers whether it does: otherwise megabytes may wait in
/// it, and it takes nothing until a good part of them is sent.
#[cfg(target_os = "linux")]
fn bound_unsent(stream: &TcpStream) -> bool {
    let socket = socket2::SockRef::from(stream);
    let bounded = [socket.set_tcp_notsent_lowat(UNSENT_BYTES), socket.set_tcp_user_timeout(Some(SILENCE))];
    for error in bounded.iter().filter_map(|bounded| bounded.as_ref().err()) {
        tracing::debug!(%error, "what is unsent of a connection is not bounded");
    }
    bounded[0].is_ok()
}

#[cfg(not(target_os = "linux"))]
fn bound_unsent(_: &TcpStream) -> bool {
    false
}

impl AsyncRead for ClientStream {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let read = Pin::new(&mut self.inner).poll_read(cx, buffer);
        if buffer.filled().len() > before {
            self.connection.received();
        }
        read
    }
}

impl AsyncWrite for ClientStream {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.inner).poll_write(cx, bytes);
        self.watch(cx, written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.inner).poll_write_vectored(cx, slices);
        self.watch(cx, written)
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }
}
