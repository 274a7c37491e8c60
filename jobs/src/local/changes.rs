//! Who waits for which job, so that a write wakes them and nobody else.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;

use crate::job::JobId;

/// The jobs that somebody waits for.
#[derive(Debug, Clone, Default)]
pub(super) struct Changes {
    waited_for: Arc<Mutex<HashMap<JobId, watch::Sender<()>>>>,
}

/// One who waits for a job. Sees every write from its making on.
#[derive(Debug)]
pub(super) struct Waiter {
    changes: Changes,
    id: JobId,
    /// Absent only while the waiter is dropped.
    written: Option<watch::Receiver<()>>,
}

impl Changes {
    /// Waits for writes to a job.
    pub(super) fn wait_for(&self, id: JobId) -> Waiter {
        let written = self.lock().entry(id).or_insert_with(|| watch::channel(()).0).subscribe();
        Waiter { changes: self.clone(), id, written: Some(written) }
    }

    /// Wakes those who wait for a job.
    pub(super) fn written(&self, id: JobId) {
        if let Some(sender) = self.lock().get(&id) {
            sender.send_replace(());
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<JobId, watch::Sender<()>>> {
        self.waited_for.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Waiter {
    /// Returns after the next write.
    pub(super) async fn next(&mut self) {
        if let Some(written) = &mut self.written {
            // The sender goes with its last waiter, and this one is there.
            _ = written.changed().await;
        }
    }
}

impl Drop for Waiter {
    fn drop(&mut self) {
        let mut waited_for = self.changes.lock();
        drop(self.written.take());
        if waited_for.get(&self.id).is_some_and(|sender| sender.receiver_count() == 0) {
            waited_for.remove(&self.id);
        }
    }
}
