//! The clock that messages are hidden by: the machine's may be set to another time, and this one goes on.

use std::time::Duration;

use tokio::time::Instant;

use crate::job::now;

/// Milliseconds since 1970 as they were when the queue was opened, and as they have passed since. What an earlier process
/// has hidden is ready when the folder is opened, so that no two clocks meet.
#[derive(Debug, Clone, Copy)]
pub(in crate::local) struct Clock {
    started: Instant,
    at: i64,
}

impl Default for Clock {
    fn default() -> Self {
        Self { started: Instant::now(), at: now().timestamp_millis() }
    }
}

impl Clock {
    pub(in crate::local) fn millis(&self) -> i64 {
        self.after(Duration::ZERO)
    }

    pub(in crate::local) fn after(&self, time: Duration) -> i64 {
        let passed = i64::try_from((self.started.elapsed() + time).as_millis());
        self.at.saturating_add(passed.unwrap_or(i64::MAX / 2))
    }
}
