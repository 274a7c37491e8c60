//! A client's TCP connection, which ends if the client takes nothing of what is sent to it.

use std::future::Future;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::{Sleep, sleep};

use super::connections::{Connection, Slot};

/// How long a client may take nothing of an answer. Linux measures it, by what the client has acknowledged.
const STALL_TIMEOUT: Duration = Duration::from_secs(30);

/// How long the system may take nothing of an answer. It takes the next piece when a third of its buffer of some megabytes
/// is free again, which a slow client needs minutes for.
const BLOCKED_TIMEOUT: Duration = Duration::from_secs(300);

/// A TCP connection, and its place among the open ones.
pub(super) struct ClientStream {
    inner: TcpStream,
    connection: Arc<Connection>,
    /// Runs while the system takes nothing.
    blocked: Option<Pin<Box<Sleep>>>,
    _slot: Slot,
}

impl ClientStream {
    pub(super) fn new(inner: TcpStream, connection: Arc<Connection>, slot: Slot) -> Self {
        limit_stall(&inner);
        Self { inner, connection, blocked: None, _slot: slot }
    }

    /// Notes whether the system took something, and fails if it has not for too long.
    fn watch<T>(&mut self, cx: &mut Context<'_>, written: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if written.is_ready() {
            if self.blocked.take().is_some() {
                self.connection.set_unsent(false);
            }
            return written;
        }
        let connection = &self.connection;
        let blocked = self.blocked.get_or_insert_with(|| {
            connection.set_unsent(true);
            Box::pin(sleep(BLOCKED_TIMEOUT))
        });
        blocked.as_mut().poll(cx).map(|()| Err(io::ErrorKind::TimedOut.into()))
    }
}

/// Has the system end the connection if the client takes nothing.
#[cfg(target_os = "linux")]
fn limit_stall(stream: &TcpStream) {
    // Without it the connection has the longer time.
    _ = socket2::SockRef::from(stream).set_tcp_user_timeout(Some(STALL_TIMEOUT));
}

#[cfg(not(target_os = "linux"))]
fn limit_stall(_: &TcpStream) {}

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
