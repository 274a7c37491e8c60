//! Big data in: JSON, NDJSON and CSV, read one row at a time, checked against a schema and spooled. No more than a row of
//! it is in memory at once, of NDJSON no more than four parts of half a megabyte and a row. Pure and synchronous: no network, no clock, no Typst.
//!
//! Read in this order: [`Manifest`] (what a template declares about its rows), [`Template`] (that and its schema, ready to
//! check), [`spool()`] (from an upload to a file of rows), [`Spooled`] (what is known of that file). One file a format:
//! `json`, `ndjson` (with `lines`), `csv`.

mod budget;
mod comparison;
mod costly;
mod csv;
mod dates;
mod decimal_comma;
mod encoding;
mod explain;
mod fault;
mod figures;
mod head;
mod header;
mod json;
mod keyword;
mod linear;
mod lines;
mod locate;
mod lookup;
mod manifest;
mod meter;
mod names;
mod ndjson;
mod node;
mod numbers;
mod pattern;
mod plan;
mod quotes;
mod schema;
mod section;
mod sink;
mod spool;
mod tally;
mod template;
mod totals;

pub use budget::{Budget, CHECK_TIME, CutOff};
pub use costly::Costly;
pub use encoding::utf8;
pub use explain::Validator;
pub use fault::{Fault, InputError, MAX_FAULTS};
pub use figures::MOST_DIGITS;
pub use findings::Violations;
pub use findings::Warning;
pub use head::{Head, NotAnObject};
pub use lookup::find_lines;
pub use manifest::{Column, ColumnFormat, Columns, Manifest, Period, RowsDeclaration, Totals};
pub use numbers::{Json, NotRead, exact};
pub use rust_decimal::Decimal;
pub use schema::validator;
pub use spool::{Dialect, Format, Limits, MARK_EVERY, Mark, Spooled, spool};
pub use template::{Rows, Template, Unusable};
