//! What a call leaves unread of a request's body is read before its answer: a client that is still sending would see a
//! broken connection in its place.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use http_body_util::BodyExt;
use hyper::StatusCode;
use hyper::body::{Body, Bytes, Frame, SizeHint};
use tokio::sync::oneshot::{Receiver, Sender, channel};
use tokio::time::timeout;

/// How long the rest of a body is read at the most.
const TIME: Duration = Duration::from_secs(60);

/// How long, and how many bytes, that of a client who may not call at all.
const STRANGERS: (Duration, usize) = (Duration::from_secs(10), 8 << 20);

/// A body that comes back when it is dropped before its end.
pub(super) struct ReturnedBody<B> {
    inner: Option<B>,
    /// Whether the client sends it, or waits until one asks for it.
    sent: bool,
    back: Option<Sender<B>>,
}

/// What may have come back.
pub(super) struct Unread<B>(Receiver<B>);

impl<B> ReturnedBody<B> {
    /// `sent` says whether the client sends it without being asked (RFC 9110, 10.1.1).
    pub(super) fn new(inner: B, sent: bool) -> (Self, Unread<B>) {
        let (back, unread) = channel();
        (Self { inner: Some(inner), sent, back: Some(back) }, Unread(unread))
    }
}

impl<B> Drop for ReturnedBody<B> {
    fn drop(&mut self) {
        if self.sent
            && let (Some(inner), Some(back)) = (self.inner.take(), self.back.take())
        {
            // Nobody waits for it any more once the connection is closed.
            _ = back.send(inner);
        }
    }
}

impl<B: Body + Unpin> Body for ReturnedBody<B> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<B::Data>, B::Error>>> {
        self.sent = true;
        match &mut self.inner {
            Some(inner) => Pin::new(inner).poll_frame(cx),
            None => Poll::Ready(None),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.inner.as_ref().is_none_or(Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.as_ref().map(Body::size_hint).unwrap_or_default()
    }
}

impl<B: Body + Unpin> Unread<B> {
    /// The rest of a body that came back before its end.
    pub(super) fn rest(mut self) -> Option<B> {
        self.0.try_recv().ok().filter(|body| !body.is_end_stream())
    }
}

/// Reads a body to its end, within bounds that depend on what the call came to.
pub(super) async fn discard(mut body: impl Body<Data = Bytes> + Unpin, status: StatusCode) {
    let (time, most) = match status {
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN | StatusCode::MISDIRECTED_REQUEST => STRANGERS,
        _ => (TIME, usize::MAX),
    };
    let read = async {
        let mut length = 0;
        while let Some(Ok(frame)) = body.frame().await {
            length += frame.data_ref().map_or(0, Bytes::len);
            if length > most {
                break;
            }
        }
    };
    _ = timeout(time, read).await;
}

#[cfg(test)]
mod tests {
    use axum::body::Body as Stream;
    use futures_util::stream;

    use super::*;

    fn pieces() -> Stream {
        Stream::from_stream(stream::iter((0..9).map(|_| Ok::<_, std::convert::Infallible>("piece"))))
    }

    #[tokio::test]
    async fn the_rest_of_a_body_comes_back() {
        let (mut body, unread) = ReturnedBody::new(pieces(), true);
        assert!(body.frame().await.is_some_and(|piece| piece.is_ok()));
        drop(body);
        let rest = unread.rest().expect("there is more").collect().await.expect("it arrives").to_bytes();
        assert_eq!(rest.len(), 8 * "piece".len());
    }

    #[tokio::test]
    async fn a_body_that_nobody_asked_for_is_not_awaited() {
        let (body, unread) = ReturnedBody::new(pieces(), false);
        drop(body);
        assert!(unread.rest().is_none());
        let (mut body, unread) = ReturnedBody::new(pieces(), false);
        assert!(body.frame().await.is_some(), "it is asked for");
        drop(body);
        assert!(unread.rest().is_some());
    }

    #[tokio::test]
    async fn one_that_is_still_being_read_does_not_come_back() {
        let (body, unread) = ReturnedBody::new(pieces(), true);
        assert!(unread.rest().is_none());
        assert_eq!(body.collect().await.expect("it arrives").to_bytes().len(), 9 * "piece".len());
    }
}
