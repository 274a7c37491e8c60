//! Objects that sections have in common (fonts, colour profiles, images, graphics states) are written once: equal
//! bytes, equal object.

use std::collections::HashMap;

use sha2::{Digest, Sha256};

/// Half a SHA-256: nobody finds two objects with the same one.
type Fingerprint = [u8; 16];

/// The numbers of the objects written so far, by what they are made of. Twenty bytes and a little an object.
#[derive(Default)]
pub(crate) struct Shared {
    numbers: HashMap<Fingerprint, u32>,
}

impl Shared {
    /// The number of an object with the same bytes, if there is one.
    pub(crate) fn find(&self, fingerprint: &Fingerprint) -> Option<u32> {
        self.numbers.get(fingerprint).copied()
    }

    /// Remembers an object for the sections to come.
    pub(crate) fn remember(&mut self, fingerprint: Fingerprint, number: u32) {
        self.numbers.insert(fingerprint, number);
    }
}

/// What tells an object from every other: its own bytes, with references already renumbered, and a stream's content.
pub(crate) fn fingerprint(body: &[u8], content: Option<&[u8]>) -> Fingerprint {
    let mut digest = Sha256::new();
    digest.update((body.len() as u64).to_le_bytes());
    digest.update(body);
    if let Some(content) = content {
        digest.update(content);
    }
    let mut half = Fingerprint::default();
    half.copy_from_slice(&digest.finalize()[..16]);
    half
}
