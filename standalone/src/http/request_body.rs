//! A request's body, which ends in an error if it arrives too slowly.

use std::pin::Pin;
use std::task::{Context, Poll};

use hyper::body::{Body, Bytes, Frame, Incoming, SizeHint};
use listener::BodyTimeout;

use super::pace::Pace;

/// The time over which a body's speed is measured, in seconds.
const WINDOW_SECONDS: u64 = 10;

type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// A body whose client may be slow, but not idle.
pub(super) struct PacedBody<B = Incoming> {
    inner: B,
    pace: Pace,
}

impl<B> PacedBody<B> {
    pub(super) fn new(inner: B) -> Self {
        Self { inner, pace: Pace::over(WINDOW_SECONDS) }
    }
}

impl<B: Body<Data = Bytes, Error: Into<BoxError>> + Unpin> Body for PacedBody<B> {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        match Pin::new(&mut self.inner).poll_frame(cx) {
            Poll::Ready(frame) => {
                let bytes = frame.as_ref().and_then(|frame| frame.as_ref().ok()?.data_ref()).map_or(0, Bytes::len);
                self.pace.transferred(bytes);
                Poll::Ready(frame.map(|frame| frame.map_err(Into::into)))
            }
            Poll::Pending => self.pace.poll_wait(cx).map(|_| Some(Err(BodyTimeout.into()))),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;
    use std::time::Duration;

    use axum::body;
    use futures_util::{StreamExt, stream};
    use tokio::time::{Instant, sleep};

    use super::*;

    const WINDOW: Duration = Duration::from_millis(500);

    /// Reads a body that has `bytes` after each pause, and pauses itself after each piece.
    async fn read(pieces: usize, bytes: usize, pause: Duration, own_pause: Duration) -> Result<usize, BoxError> {
        let pieces = stream::iter(0..pieces).then(move |_| async move {
            sleep(pause).await;
            Ok::<_, Infallible>(Bytes::from(vec![0; bytes]))
        });
        let body = PacedBody { inner: body::Body::from_stream(pieces), pace: Pace::of(10_000, WINDOW) };
        let mut stream = body::Body::new(body).into_data_stream();
        let mut length = 0;
        while let Some(piece) = stream.next().await {
            length += piece.map_err(axum::Error::into_inner)?.len();
            sleep(own_pause).await;
        }
        Ok(length)
    }

    #[tokio::test]
    async fn a_slow_body_passes_and_one_that_drips_does_not() {
        let (pause, none) = (WINDOW / 10, Duration::ZERO);
        assert_eq!(read(25, 5_000, pause, none).await.expect("that is more than enough"), 125_000);
        assert_eq!(read(4, 1, pause, none).await.expect("a short body has the window"), 4);
        let error = read(100, 900, pause, none).await.expect_err("that is not enough");
        assert!(error.is::<BodyTimeout>(), "{error}");
        let begun = Instant::now();
        let error = read(1, 1_000_000, WINDOW * 100, none).await.expect_err("nothing arrives");
        assert!(error.is::<BodyTimeout>(), "{error}");
        assert!(begun.elapsed() >= WINDOW);
    }

    #[tokio::test]
    async fn the_servers_own_pauses_do_not_count() {
        let (short, long) = (Duration::from_millis(1), WINDOW / 4);
        assert_eq!(read(12, 200, short, long).await.expect("the client is fast"), 2_400);
    }
}
