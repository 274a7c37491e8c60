//! A thread of this process that stands still in others' turns, as a child does that is stopped.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};

/// What a thread passes from time to time, and waits at while it is shut.
#[derive(Debug, Default)]
pub(crate) struct Gate {
    shut: Mutex<bool>,
    changed: Condvar,
    ended: Arc<AtomicBool>,
}

impl Gate {
    /// Waits while the gate is shut. Answers whether the thread is to go on.
    pub(crate) fn pass(&self) -> bool {
        let mut shut = self.shut.lock().unwrap_or_else(PoisonError::into_inner);
        while *shut && !self.is_ended() {
            shut = self.changed.wait(shut).unwrap_or_else(PoisonError::into_inner);
        }
        !self.is_ended()
    }

    pub(super) fn set_shut(&self, now: bool) {
        *self.shut.lock().unwrap_or_else(PoisonError::into_inner) = now;
        self.changed.notify_all();
    }

    /// Nobody waits any more for what the thread does.
    pub(crate) fn end(&self) {
        self.ended.store(true, Ordering::Relaxed);
        // Not between a look at it and the wait.
        self.set_shut(false);
    }

    /// Turns true when the thread is to end, for what it does between two passes.
    pub(crate) fn ended(&self) -> Arc<AtomicBool> {
        self.ended.clone()
    }

    fn is_ended(&self) -> bool {
        self.ended.load(Ordering::Relaxed)
    }
}
