//! SHA-256 of what is written, on its way to where it goes.

use std::io::{self, Write};

use sha2::{Digest, Sha256};

/// A SHA-256 digest.
pub(crate) type Digest32 = [u8; 32];

/// Takes a digest of what is written.
pub(crate) struct Digesting<W> {
    /// Where it goes.
    pub(crate) to: W,
    /// What was written so far.
    pub(crate) digest: Sha256,
}

impl<W> Digesting<W> {
    /// With nothing written yet.
    pub(crate) fn new(to: W) -> Self {
        Self { to, digest: Sha256::new() }
    }
}

impl<W: Write> Write for Digesting<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.to.write(bytes)?;
        self.digest.update(&bytes[..written]);
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.to.flush()
    }
}
