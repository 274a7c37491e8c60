//! The least speed of a client that the server waits for.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::time::{Instant, Sleep, sleep};

/// How many bytes a client transfers in a second of the time that the server waits for it.
const BYTES_PER_SECOND: u64 = 1_000;

/// How many times its first patience the server may have for a client that was faster before.
const MOST_TIMES: u32 = 2;

/// The client transfers too little.
#[derive(Debug)]
pub(super) struct TooSlow;

/// Measures a client's speed, by the time that the server waits for it: waiting uses up patience, and what is transferred
/// renews it.
pub(super) struct Pace {
    /// For how many bytes the server waits how long.
    bytes: u64,
    time: Duration,
    patience: Duration,
    waiting: Option<Waiting>,
}

/// The server waits for the client.
struct Waiting {
    since: Instant,
    timer: Pin<Box<Sleep>>,
}

impl Pace {
    /// A thousand bytes a second, and so many seconds of patience at first.
    pub(super) fn over(seconds: u64) -> Self {
        Self::of(seconds * BYTES_PER_SECOND, Duration::from_secs(seconds))
    }

    /// So many bytes in so long a time, which is the patience at first.
    pub(super) fn of(bytes: u64, time: Duration) -> Self {
        Self { bytes, time, patience: time, waiting: None }
    }

    /// Nothing can be transferred now. Ready once the client is too slow.
    pub(super) fn poll_wait(&mut self, cx: &mut Context<'_>) -> Poll<TooSlow> {
        let patience = self.patience;
        let begin = || Waiting { since: Instant::now(), timer: Box::pin(sleep(patience)) };
        self.waiting.get_or_insert_with(begin).timer.as_mut().poll(cx).map(|()| TooSlow)
    }

    /// So many bytes were transferred.
    pub(super) fn transferred(&mut self, bytes: usize) {
        if let Some(waiting) = self.waiting.take() {
            self.patience = self.patience.saturating_sub(waiting.since.elapsed());
        }
        let share = (bytes as f64 / self.bytes as f64).min(MOST_TIMES.into());
        self.patience = (self.patience + self.time.mul_f64(share)).min(self.time * MOST_TIMES);
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use tokio::time::timeout;

    use super::*;

    const TIME: Duration = Duration::from_millis(200);

    fn pace() -> Pace {
        Pace::of(1_000, TIME)
    }

    /// Whether the client is too slow if it lets the server wait so long.
    async fn is_too_slow(pace: &mut Pace, waited: Duration) -> bool {
        timeout(waited, poll_fn(|cx| pace.poll_wait(cx))).await.is_ok()
    }

    #[tokio::test]
    async fn one_that_transfers_nothing_has_its_first_patience() {
        assert!(!is_too_slow(&mut pace(), TIME / 2).await);
        assert!(is_too_slow(&mut pace(), TIME * 2).await);
    }

    #[tokio::test]
    async fn one_above_the_least_speed_goes_on_and_one_below_it_ends() {
        for (bytes, ends) in [(1_000, false), (10, true)] {
            let (mut pace, mut rounds) = (pace(), 0);
            while rounds < 20 && !is_too_slow(&mut pace, TIME / 4).await {
                pace.transferred(bytes);
                rounds += 1;
            }
            assert_eq!(rounds < 20, ends, "{bytes} bytes each time");
        }
    }

    #[tokio::test]
    async fn one_that_was_fast_may_be_silent_for_longer() {
        let mut pace = pace();
        pace.transferred(100_000_000);
        assert!(!is_too_slow(&mut pace, TIME * 3 / 2).await);
        assert!(is_too_slow(&mut pace, TIME).await);
    }
}
