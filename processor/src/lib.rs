//! One message in, one report out: claim, typeset, store, complete, notify, acknowledge.
//!
//! [`Processor::process`] is one run of one job, and the same on AWS Lambda (`main.rs`) and on one machine (the
//! `pressrun` package). It leaves the typesetting to a [`Press`], which keeps it in child processes held to
//! [`Limits`].

mod checkpoints;
mod digest;
mod failure;
mod input;
mod lack;
mod limits;
mod pipeline;
mod press;
mod report;
mod scratch;
mod sections;
mod signals;
mod stitching;
mod trouble;
mod turns;
mod worker;

pub use failure::{failure_of, title_of};
pub use input::{Cutting, format_of, violation_of};
pub use limits::Limits;
pub use pipeline::{Processor, RECORDING_MARGIN, Verdict, concerning};
pub use press::{Press, PressError};
pub use scratch::Scratch;
pub use sections::{DEFAULT_SECTION_ROWS, LongError, LongReport, Rows, Settled, Watch};
pub use turns::Turn;
pub use worker::{MOST_IN_HAND, work};
