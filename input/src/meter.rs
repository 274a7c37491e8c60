//! How much of an upload may be read before the next pause: what keeps a row, or the rest, from filling the memory.

use std::cell::Cell;
use std::io::{self, Read};
use std::rc::Rc;

use crate::spool::CHUNK_BYTES;

/// What is being read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Part {
    Row,
    Rest,
}

/// An allowance in bytes, shared by a reader, which spends it, and by whoever knows what is being read.
#[derive(Debug)]
pub(crate) struct Meter {
    left: Cell<u64>,
    part: Cell<Part>,
    overrun: Cell<bool>,
}

impl Meter {
    pub(crate) fn new(part: Part, allowance: u64) -> Rc<Self> {
        Rc::new(Self { left: Cell::new(allowance), part: Cell::new(part), overrun: Cell::new(false) })
    }

    /// Starts a part with its own allowance.
    pub(crate) fn start(&self, part: Part, allowance: u64) {
        self.part.set(part);
        self.left.set(allowance);
    }

    /// What is left of the allowance, in bytes.
    pub(crate) fn left(&self) -> u64 {
        self.left.get()
    }

    /// The part whose allowance did not last.
    pub(crate) fn overrun(&self) -> Option<Part> {
        self.overrun.get().then(|| self.part.get())
    }

    #[inline]
    fn spend(&self, bytes: usize) -> io::Result<()> {
        match self.left.get().checked_sub(bytes as u64) {
            Some(left) => self.left.set(left),
            None => {
                self.overrun.set(true);
                return Err(io::Error::other("more bytes than may be"));
            }
        }
        Ok(())
    }
}

/// A reader that spends from a [`Meter`]. With a buffer of its own, since a JSON parser reads byte by byte.
pub(crate) struct Metered<R> {
    reader: R,
    meter: Rc<Meter>,
    buffer: Box<[u8]>,
    /// What of the buffer is still to be read.
    unread: std::ops::Range<usize>,
}

impl<R: Read> Metered<R> {
    pub(crate) fn new(reader: R, meter: Rc<Meter>) -> Self {
        Self { reader, meter, buffer: vec![0; CHUNK_BYTES].into(), unread: 0..0 }
    }

    #[cold]
    fn fill(&mut self) -> io::Result<()> {
        self.unread = 0..self.reader.read(&mut self.buffer)?;
        Ok(())
    }
}

impl<R: Read> Read for Metered<R> {
    #[inline]
    fn read(&mut self, to: &mut [u8]) -> io::Result<usize> {
        if self.unread.is_empty() {
            self.fill()?;
        }
        let from = &self.buffer[self.unread.clone()];
        let bytes = from.len().min(to.len());
        if bytes == 1 {
            to[0] = from[0];
        } else {
            to[..bytes].copy_from_slice(&from[..bytes]);
        }
        self.unread.start += bytes;
        self.meter.spend(bytes)?;
        Ok(bytes)
    }
}
