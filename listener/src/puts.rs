//! The uploads that are being put on one machine: one `PUT` of each at a time, and room on the disk for all of them.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use jobs::UploadId;

/// The `PUT`s in progress, and how many bytes of each are not written yet.
#[derive(Debug, Default)]
pub(crate) struct Puts(Mutex<HashMap<UploadId, u64>>);

/// One `PUT`. It ends when this is dropped.
#[derive(Debug)]
pub(crate) struct Put {
    puts: Arc<Puts>,
    upload: UploadId,
}

impl Puts {
    fn unwritten(&self) -> MutexGuard<'_, HashMap<UploadId, u64>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Begins to put so many bytes; nothing if the upload is being put already.
    pub(crate) fn begin(self: &Arc<Self>, upload: UploadId, bytes: u64) -> Option<Put> {
        match self.unwritten().entry(upload) {
            Entry::Occupied(_) => None,
            Entry::Vacant(free) => {
                free.insert(bytes);
                Some(Put { puts: self.clone(), upload })
            }
        }
    }

    /// How many bytes are going to be written.
    pub(crate) fn unwritten_bytes(&self) -> u64 {
        self.unwritten().values().fold(0, |sum, bytes| sum.saturating_add(*bytes))
    }
}

impl Put {
    /// So many bytes of it were written.
    pub(crate) fn wrote(&self, bytes: u64) {
        if let Some(left) = self.puts.unwritten().get_mut(&self.upload) {
            *left = left.saturating_sub(bytes);
        }
    }
}

impl Drop for Put {
    fn drop(&mut self) {
        self.puts.unwritten().remove(&self.upload);
    }
}
