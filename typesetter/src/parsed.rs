//! Sources that were parsed for an earlier report: a file that says the same is not parsed again.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use typst::syntax::{FileId, Source};

/// How many files are remembered.
const MAX_FILES: usize = 200;
/// The longest text that is remembered, in bytes.
const MAX_BYTES: usize = 256 * 1024;

/// The sources of the files that were read last.
#[derive(Default)]
pub(crate) struct Parsed(Mutex<HashMap<FileId, Source>>);

impl Parsed {
    /// The source of a file with this text.
    pub(crate) fn source(&self, id: FileId, text: &str) -> Source {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(source) = known.get(&id).filter(|source| source.text() == text) {
            return source.clone();
        }
        let source = Source::new(id, text.to_owned());
        if text.len() <= MAX_BYTES {
            if known.len() >= MAX_FILES {
                known.clear();
            }
            known.insert(id, source.clone());
        }
        source
    }
}
