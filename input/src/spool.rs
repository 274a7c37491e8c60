//! From an upload to a spool: a file with one row a line, and what must be known to read any part of it.

use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom, Write};

use findings::Warning;
use rust_decimal::Decimal;
use serde_json::Value;

use crate::budget::Budget;
use crate::encoding::{self, MARK, TELLING_BYTES};
use crate::fault::{Fault, InputError};
use crate::head::Head;
use crate::plan::Plan;
use crate::sink::{Sink, Stop};
use crate::tally::Tally;
use crate::template::{Rows, Template, faults};
use crate::{csv, json, ndjson};

/// How many rows lie between two marks.
pub const MARK_EVERY: u64 = 100;

/// How much of an upload is read at a time, in bytes.
pub(crate) const CHUNK_BYTES: usize = 128 * 1024;

/// What an upload is written in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// The whole data as one JSON text.
    Json,
    /// A JSON object a line, each a row.
    Ndjson,
    /// RFC 4180: a line of names, then a line a row.
    Csv(Dialect),
}

/// How CSV is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Dialect {
    /// What separates fields: an ASCII character.
    pub separator: u8,
    /// Whether numbers are written as `1.234,50`.
    pub decimal_comma: bool,
}

impl Default for Dialect {
    /// That of RFC 4180.
    fn default() -> Self {
        Self { separator: b',', decimal_comma: false }
    }
}

/// What an upload may be.
#[derive(Debug, Clone)]
pub struct Limits {
    /// The longest row, in bytes of the upload.
    pub row_bytes: u64,
    /// The most data beside the rows, in bytes: it is kept in memory.
    pub rest_bytes: u64,
    /// The most rows: the marks of 100,000 take about 100 kB of memory.
    pub rows: u64,
    /// What the check of one row may cost, or of what is not rows.
    pub check: Budget,
}

impl Default for Limits {
    /// Rows of a mebibyte, 64 MiB beside them, and twenty million rows.
    fn default() -> Self {
        Self { row_bytes: 1024 * 1024, rest_bytes: 64 * 1024 * 1024, rows: 20_000_000, check: Budget::default() }
    }
}

/// What is known of a spool.
#[derive(Debug, Clone, PartialEq)]
pub struct Spooled {
    /// The data without its rows. For a template that declares no rows, all of it.
    pub rest: Value,
    /// How many rows there are.
    pub rows: u64,
    /// The spool's length, in bytes.
    pub bytes: u64,
    /// The fields that were summed.
    pub names: Vec<String>,
    /// Their sums over all rows, in the order of the names.
    pub totals: Vec<Decimal>,
    /// The first row and every [hundredth](MARK_EVERY) after it.
    pub marks: Vec<Mark>,
    /// Doubts about the rows.
    pub warnings: Vec<Warning>,
}

/// A row that can be found without reading those before it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mark {
    /// The row, from 0.
    pub row: u64,
    /// Where it begins in the spool, in bytes.
    pub offset: u64,
    /// The sums over all rows before it.
    pub totals: Vec<Decimal>,
}

/// Reads an upload, checks all of it and writes its rows to `spool`, one a line.
///
/// `head` is the data beside the rows where the upload holds rows only, as NDJSON and CSV do. For a template that declares
/// no rows, the upload is JSON, and nothing is written.
///
/// # Errors
///
/// Reading stops after [`MAX_FAULTS`](crate::MAX_FAULTS) faults, or where the text cannot be understood any further. What
/// was written to `spool` by then is of no use.
pub fn spool(
    mut source: impl Read + Seek,
    format: Format,
    head: impl Into<Head>,
    template: &Template,
    limits: &Limits,
    spool: &mut impl Write,
) -> Result<Spooled, InputError> {
    let start = skip_mark(&mut source)?;
    let head = head.into();
    let Some(rows) = template.rows() else { return whole(source, start, format, template, limits) };
    match format {
        Format::Json => json::read(source, start, rows, limits, spool),
        Format::Ndjson => listed(head, rows, limits, spool, |sink| ndjson::read(reader(source), sink)),
        Format::Csv(dialect) => listed(head, rows, limits, spool, |sink| csv::read(reader(source), dialect, sink)),
    }
}

/// An upload that is all the data, and none of it rows.
fn whole(
    mut source: impl Read + Seek,
    start: u64,
    format: Format,
    template: &Template,
    limits: &Limits,
) -> Result<Spooled, InputError> {
    if format != Format::Json {
        return Err(InputError::Invalid(vec![Fault::new(
            "",
            "the template declares no rows: upload its data as JSON",
        )]));
    }
    let read = json::read_whole(&mut source, limits.rest_bytes);
    let found = match (&read, &template.whole) {
        (Ok(data), Some(validator)) => faults(validator, &data.plain, data.exact.as_ref(), &limits.check)
            .map_err(|cut| InputError::of_check(cut, ""))?,
        _ => Vec::new(),
    };
    let found = match read {
        Ok(data) if found.is_empty() => return Ok(Spooled::without_rows(data.into_exact())),
        Ok(_) => found,
        Err(InputError::Invalid(faults)) => faults,
        Err(error) => return Err(error),
    };
    let seen = source.stream_position().map_err(InputError::Read)?;
    Err(json::located(source, start..seen, found))
}

/// An upload that is rows only.
fn listed<W: Write>(
    head: Head,
    rows: &Rows,
    limits: &Limits,
    spool: W,
    read: impl FnOnce(&mut Sink<'_, W>) -> Result<(), Stop>,
) -> Result<Spooled, InputError> {
    let faults = rows.faults_of_rest(&head.plain, &head.exact, true, &limits.check);
    let mut faults = faults.map_err(|cut| InputError::of_check(cut, ""))?;
    if head.plain.contains_key(rows.field()) {
        faults.push(Fault::new(rows.pointer(), "the rows are in the upload: leave them out here"));
    }
    if !faults.is_empty() {
        return Err(InputError::Invalid(faults));
    }
    let plan = Plan::new(rows, &head.plain).map_err(|fault| InputError::Invalid(vec![fault]))?;
    let mut sink = Sink::new(rows, limits, Tally::new(plan), spool);
    if read(&mut sink).is_ok() {
        _ = sink.end();
    }
    Ok(sink.spooled(head.exact)?.0)
}

pub(crate) fn reader(source: impl Read) -> impl BufRead {
    BufReader::with_capacity(CHUNK_BYTES, source)
}

/// Skips the byte order mark that some programs begin a text with; answers where the text itself begins.
pub(crate) fn skip_mark(source: &mut (impl Read + Seek)) -> Result<u64, InputError> {
    let mut first = Vec::new();
    source.by_ref().take(TELLING_BYTES as u64).read_to_end(&mut first).map_err(InputError::Read)?;
    if let Err(detail) = encoding::utf8(&first) {
        return Err(InputError::Invalid(vec![Fault::new("", detail).at(1, None)]));
    }
    let start = if first.starts_with(MARK) { MARK.len() as u64 } else { 0 };
    source.seek(SeekFrom::Start(start)).map_err(InputError::Read)
}

impl Spooled {
    /// Data without rows.
    fn without_rows(rest: Value) -> Self {
        let (names, totals, marks, warnings) = Default::default();
        Self { rest, rows: 0, bytes: 0, names, totals, marks, warnings }
    }

    /// The length of [all the data](Self::write_whole), in bytes.
    pub fn whole_bytes(&self, rows: Option<&Rows>) -> u64 {
        // Every row of the spool ends with a line break; of all but one a comma is made.
        let around = rows.map_or(0, |rows| Value::from(rows.field()).to_string().len() as u64 + 4);
        self.rest.to_string().len() as u64 + around + self.bytes
    }

    /// Writes all the data as one JSON text: the rest, then the rows, as they are read from the spool.
    pub fn write_whole(&self, rows: Option<&Rows>, spool: impl Read, mut to: impl Write) -> io::Result<()> {
        let rest = self.rest.to_string();
        let (Some(rows), Some(open)) = (rows, rest.strip_suffix('}')) else { return to.write_all(rest.as_bytes()) };
        to.write_all(open.as_bytes())?;
        let comma = if open.len() > 1 { "," } else { "" };
        write!(to, "{comma}{}:[", Value::from(rows.field()))?;
        let (mut reader, mut line, mut first) = (reader(spool), Vec::new(), true);
        while reader.read_until(b'\n', &mut line)? > 0 {
            if !first {
                to.write_all(b",")?;
            }
            first = false;
            to.write_all(line.strip_suffix(b"\n").unwrap_or(&line))?;
            line.clear();
        }
        to.write_all(b"]}")
    }
}
