//! The uploads that are being put on one machine: one `PUT` of each at a time.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use jobs::UploadId;

/// The `PUT`s in progress.
#[derive(Debug, Default)]
pub(crate) struct Puts(Mutex<HashSet<UploadId>>);

/// One `PUT`. It ends when this is dropped.
#[derive(Debug)]
pub(crate) struct Put {
    puts: Arc<Puts>,
    upload: UploadId,
}

impl Puts {
    fn uploads(&self) -> MutexGuard<'_, HashSet<UploadId>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Begins to put an upload; nothing if it is being put already.
    pub(crate) fn begin(self: &Arc<Self>, upload: UploadId) -> Option<Put> {
        self.uploads().insert(upload).then(|| Put { puts: self.clone(), upload })
    }
}

impl Drop for Put {
    fn drop(&mut self) {
        self.puts.uploads().remove(&self.upload);
    }
}
