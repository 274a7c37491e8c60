//! A circuit breaker for the mail server: while it hangs, one attempt at a time waits for it, and all others fail at once.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// How many attempts in a row must have hung.
const HUNG_IN_A_ROW: u32 = 3;

/// How long the server is left alone at first; each time twice as long.
const SHORTEST_REST: Duration = Duration::from_secs(5);

/// The same, in the end.
const LONGEST_REST: Duration = Duration::from_secs(60);

/// Whether attempts are made.
#[derive(Debug, Clone, Default)]
pub(super) struct Breaker(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    hung_in_a_row: u32,
    rests_until: Option<Instant>,
    rest: Duration,
}

/// The permission to make one attempt. If it is dropped, nobody knows what came of the attempt.
#[derive(Debug)]
pub(super) struct Permit(Breaker);

impl Breaker {
    /// Permits an attempt, unless the server is to be left alone. One is permitted when its rest is over, and begins the next.
    pub(super) fn permit(&self, now: Instant) -> Option<Permit> {
        let mut state = self.state();
        if state.hung_in_a_row >= HUNG_IN_A_ROW {
            if state.rests_until.is_some_and(|until| now < until) {
                return None;
            }
            state.rest_from(now);
        }
        drop(state);
        Some(Permit(self.clone()))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn rest_from(&mut self, now: Instant) {
        self.rest = (self.rest * 2).clamp(SHORTEST_REST, LONGEST_REST);
        self.rests_until = Some(now + self.rest);
    }
}

impl Permit {
    /// The server did something within its time, were it to refuse.
    pub(super) fn answered(self) {
        *self.0.state() = State::default();
    }

    /// It did not.
    pub(super) fn hung(self, now: Instant) {
        let mut state = self.0.state();
        state.hung_in_a_row = state.hung_in_a_row.saturating_add(1);
        if state.hung_in_a_row == HUNG_IN_A_ROW {
            state.rest_from(now);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn hang(breaker: &Breaker, now: Instant) {
        breaker.permit(now).expect("a permit").hung(now);
    }

    #[test]
    fn a_server_that_hangs_is_asked_ever_more_seldom_until_it_answers() {
        let (breaker, mut now) = (Breaker::default(), Instant::now());
        for _ in 0..HUNG_IN_A_ROW {
            hang(&breaker, now);
        }
        for rest in [5, 10, 20, 40, 60, 60] {
            assert!(breaker.permit(now).is_none());
            now += SECOND * (rest - 1);
            assert!(breaker.permit(now).is_none(), "{rest}");
            now += SECOND;
            let probe = breaker.permit(now).expect("its rest is over");
            assert!(breaker.permit(now).is_none(), "one at a time");
            probe.hung(now);
        }
        now += LONGEST_REST;
        drop(breaker.permit(now).expect("its rest is over"));
        assert!(breaker.permit(now).is_none(), "what was cut off tells nothing");
        now += LONGEST_REST;
        breaker.permit(now).expect("its rest is over").answered();
        for _ in 0..HUNG_IN_A_ROW {
            hang(&breaker, now);
        }
        assert!(breaker.permit(now + SHORTEST_REST).is_some(), "rests begin anew");
    }

    #[test]
    fn an_answer_between_them_says_that_the_server_works() {
        let (breaker, now) = (Breaker::default(), Instant::now());
        for _ in 0..9 {
            hang(&breaker, now);
            hang(&breaker, now);
            breaker.permit(now).expect("a permit").answered();
        }
    }
}
