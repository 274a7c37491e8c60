//! How a run meets trouble that may pass: it makes the same call again, after pauses that grow and are never the same.

use std::time::Duration;

use backon::{ExponentialBuilder, Retryable};

use crate::ports::Unavailable;

/// How often, and after what pauses, a call to a port is made again within one run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Patience {
    /// How often a call is made again; 0 for never.
    pub retries: usize,
    /// The pause before the first retry. Each is twice as long as the one before, and up to once more as long by chance,
    /// so that many runs that met the same trouble do not come back together.
    pub first_pause: Duration,
}

impl Default for Patience {
    /// Three retries, the first after 200 ms: about two seconds in all.
    fn default() -> Self {
        Self { retries: 3, first_pause: Duration::from_millis(200) }
    }
}

impl Patience {
    /// Makes a call until it succeeds or patience is at its end; then the last error is the answer.
    pub async fn insist<T, F>(&self, call: impl FnMut() -> F) -> Result<T, Unavailable>
    where
        F: Future<Output = Result<T, Unavailable>>,
    {
        let pauses =
            ExponentialBuilder::default().with_min_delay(self.first_pause).with_max_times(self.retries).with_jitter();
        call.retry(pauses).notify(|error, pause| tracing::warn!(%error, ?pause, "trying the call again")).await
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    async fn calls_until_the_end(retries: usize, failures: u32) -> (u32, bool) {
        let calls = Cell::new(0);
        let patience = Patience { retries, first_pause: Duration::from_millis(1) };
        let answer = patience.insist(async || {
            calls.set(calls.get() + 1);
            if calls.get() <= failures { Err(Unavailable::when("try")("not yet")) } else { Ok(()) }
        });
        let succeeded = answer.await.is_ok();
        (calls.get(), succeeded)
    }

    #[tokio::test]
    async fn a_call_is_made_again_until_it_succeeds_or_patience_ends() {
        assert_eq!(calls_until_the_end(3, 0).await, (1, true));
        assert_eq!(calls_until_the_end(3, 2).await, (3, true));
        assert_eq!(calls_until_the_end(3, 9).await, (4, false));
        assert_eq!(calls_until_the_end(0, 9).await, (1, false));
    }
}
