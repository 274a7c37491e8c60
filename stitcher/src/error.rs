//! Why there is no stitched report.

use std::io;

/// Why a report could not be stitched. The output written so far is to be thrown away.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A section cannot become part of a report.
    #[error("section {number} {fault}")]
    Section {
        /// Which one, counted from 1.
        number: u32,
        /// What is wrong with it.
        fault: Fault,
    },
    /// The output does not take any more bytes.
    #[error("cannot write the stitched report: {0}")]
    Write(#[from] io::Error),
    /// No section was appended, and a PDF without pages is none.
    #[error("a report needs at least one section")]
    Empty,
    /// An earlier call failed in the middle of the output.
    #[error("an earlier section could not be stitched: start again with a new output")]
    Spoiled,
}

/// What is wrong with a section. Each reads on from "section 3 …".
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Fault {
    /// It does not follow the rules of PDF.
    #[error("is not a sound PDF: {0}")]
    Corrupt(String),
    /// It carries a structure tree, and those of several sections do not add up to one.
    #[error("is tagged, and tags cannot be stitched: typeset the sections without tags")]
    Tagged,
    /// It promises what the whole report could not keep.
    #[error("claims to be {0}, which a stitched report could not keep: typeset the sections without that standard")]
    Archival(&'static str),
    /// It has something that belongs to a document as a whole and cannot be put together from parts.
    #[error("has {0}, which cannot be stitched")]
    Unsupported(String),
    /// Its version of PDF is not that of the first section, or older than PDF 1.5.
    #[error("is PDF {found}, and has to be PDF {wanted}")]
    Version {
        /// The section's version.
        found: String,
        /// What it should be, such as `1.7` or `1.5 or later`.
        wanted: String,
    },
}

impl Fault {
    pub(crate) fn corrupt(message: impl Into<String>) -> Self {
        Fault::Corrupt(message.into())
    }
}

/// What stops an append, before it is known by which section.
pub(crate) enum Stop {
    Fault(Fault),
    Write(io::Error),
}

impl From<Fault> for Stop {
    fn from(fault: Fault) -> Self {
        Stop::Fault(fault)
    }
}

impl From<io::Error> for Stop {
    fn from(error: io::Error) -> Self {
        Stop::Write(error)
    }
}
