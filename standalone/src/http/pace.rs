//! The least speed of a client that the server waits for.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::time::{Instant, Sleep, sleep};

/// How many bytes a client transfers in a second of the time that the server waits for it.
const BYTES_PER_SECOND: u64 = 1_000;

/// The client transfers too little.
#[derive(Debug)]
pub(super) struct TooSlow;

/// Measures a client's speed, by the time that the server waits for it.
pub(super) struct Pace {
    time: Duration,
    bytes: u64,
    /// What was transferred since that many bytes were last, and how long the server has waited since.
    transferred: u64,
    waited: Duration,
    waiting: Option<Waiting>,
}

/// The server waits for the client.
struct Waiting {
    since: Instant,
    timer: Pin<Box<Sleep>>,
}

impl Pace {
    /// A thousand bytes a second, measured over so many seconds.
    pub(super) fn over(seconds: u64) -> Self {
        Self::of(seconds * BYTES_PER_SECOND, Duration::from_secs(seconds))
    }

    /// So many bytes in so long a time.
    pub(super) fn of(bytes: u64, time: Duration) -> Self {
        Self { time, bytes, transferred: 0, waited: Duration::ZERO, waiting: None }
    }

    /// Nothing can be transferred now. Ready once the client is too slow.
    pub(super) fn poll_wait(&mut self, cx: &mut Context<'_>) -> Poll<TooSlow> {
        let left = self.time.saturating_sub(self.waited);
        let begin = || Waiting { since: Instant::now(), timer: Box::pin(sleep(left)) };
        self.waiting.get_or_insert_with(begin).timer.as_mut().poll(cx).map(|()| TooSlow)
    }

    /// So many bytes were transferred.
    pub(super) fn transferred(&mut self, bytes: usize) {
        if let Some(waiting) = self.waiting.take() {
            self.waited += waiting.since.elapsed();
        }
        self.transferred += bytes as u64;
        if self.transferred >= self.bytes {
            (self.transferred, self.waited) = (0, Duration::ZERO);
        }
    }
}
