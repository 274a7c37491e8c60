//! Template and data in, PDF out: Typst with no network, no clock and no file it was not given.
//!
//! [`Engine::typeset`] takes a [`Request`] and gives a [`Report`] or an [`Error`]. The same template, data and
//! options give the same bytes, on every machine. An engine trusts nothing a template says, but it cannot stop a
//! template that loops for ever or eats all memory; a [`worker`] process can be stopped.
//!
//! Where to read on, from the outside in:
//!
//! | module | |
//! |---|---|
//! | `request`, `options` | what goes in and what comes out |
//! | `error`, `diagnostic` | why there is no report, and what is wrong with the template |
//! | `engine` | from a request to a report; what stays warm |
//! | `world`, `files`, `fonts` | all that a template can reach |
//! | `cleaning`, `coverage`, `direction` | the text of the data as it can be printed |
//! | `pieces`, `product`, `sum`, `currency`, `refuse` | what templates call as `pressrun` |
//! | `inspection`, `doubts` | what is in doubt about a report |
//! | `cells`, `kept` | what is done once for every cell of a page of rows |
//! | `section`, `plan` | one run of a long report's rows; which rows go on which page |
//! | `ruler`, `learnt`, `sheet`, `joined`, `grounds` | how wide a cell is, and where it goes |
//! | `clusters`, `export`, `pictures` | from a laid-out document to files |
//! | `plain` | pages of text and flat shapes as a PDF |
//! | `worker` | an engine in a child process |

mod cells;
mod cleaning;
mod clusters;
mod coverage;
mod currency;
mod diagnostic;
mod direction;
mod doubts;
mod engine;
mod error;
mod export;
mod files;
mod fonts;
mod grounds;
mod inspection;
mod joined;
mod kept;
mod learnt;
mod options;
mod parsed;
mod pictures;
mod pieces;
mod plain;
mod plan;
mod pointer;
mod product;
mod refuse;
mod request;
mod ruler;
mod section;
mod sheet;
mod sum;
pub mod worker;
mod world;

pub use diagnostic::{Caret, Diagnostic, Severity, TracePoint};
pub use engine::Engine;
pub use error::Error;
pub use findings::{Violation, Warning};
pub use options::{Format, OnMissingGlyph, Options, PdfStandard, UnknownName};
pub use plan::{Cut, Geometry, Plan, RowHeight, plan};
pub use request::{OutputLimits, Report, Request, RowsOf};
pub use section::Section;
