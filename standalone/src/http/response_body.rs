//! An answer's body, which notifies its connection of its end.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use axum::body::Body as Inner;
use hyper::body::{Body, Bytes, Frame, SizeHint};

use super::connections::Connection;

/// A body after which its connection waits for the next request.
pub(super) struct TrackedBody {
    inner: Inner,
    connection: Arc<Connection>,
}

impl TrackedBody {
    pub(super) fn new(inner: Inner, connection: Arc<Connection>) -> Self {
        Self { inner, connection }
    }
}

impl Drop for TrackedBody {
    fn drop(&mut self) {
        self.connection.end_request();
    }
}

impl Body for TrackedBody {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.inner).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}
