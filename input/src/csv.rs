//! CSV as RFC 4180 has it: a line of names, then a row a line; text in quotes may hold anything, line breaks too.
//!
//! `csv-core` takes the text apart; what is read and counted around it is our own, since the line that a row begins on,
//! and a limit on a row's length, are more than the reader of the crate `csv` tells or holds.

use std::collections::HashSet;
use std::io::{BufRead, Write};

use csv_core::{ReadRecordResult, Reader, ReaderBuilder};
use serde_json::{Map, Value};

use crate::decimal_comma;
use crate::fault::{Fault, InputError, NOT_UTF8};
use crate::figures::too_long;
use crate::header;
use crate::numbers::{Json, NotRead};
use crate::quotes::Trail;
use crate::sink::{At, Row, Sink, Stop};
use crate::spool::Dialect;
use crate::template::Kind;
use findings::escaped;

/// A column: its name, and what its text is read as.
struct Column {
    name: String,
    kind: Option<Kind>,
    comma: Comma,
}

/// What a comma is in a column.
enum Comma {
    /// Like any other character.
    Text,
    /// The decimal sign of its numbers.
    Decimal,
    /// A sign that its numbers do not have.
    Wrong,
}

const NEVER_CLOSED: &str =
    "the quotation mark that opens a field on this line is never closed; close it, or double it within quotes";

const GOES_ON: &str = "a field that opens with a quotation mark on this line goes on after the closing one; double each \
                       quotation mark that is text, and put quotation marks around the field";

/// Reads every record after the first into the sink.
pub(crate) fn read<W: Write>(source: impl BufRead, dialect: Dialect, sink: &mut Sink<'_, W>) -> Result<(), Stop> {
    let mut records = Records::new(source, dialect.separator);
    let mut columns: Option<Vec<Column>> = None;
    loop {
        let record = match records.next(sink.limits.row_bytes) {
            Ok(Some(record)) => record,
            Ok(None) => break,
            Err(broken) => return broken.stop(sink),
        };
        let line = record.line;
        let Some(columns) = &columns else {
            let broken = record.stray.map(|_| GOES_ON);
            let check = |names: Vec<_>| header::check(&names, dialect.separator, broken, sink).map(|()| names);
            match names(&record).and_then(check) {
                Ok(names) => {
                    sink.tally.name(&names);
                    columns = Some(names.into_iter().map(|name| Column::new(name, dialect, sink)).collect());
                }
                Err(details) => {
                    let fault = |detail| Fault::new(sink.template.pointer(), detail).at(line, None);
                    sink.stop(details.into_iter().map(fault).collect());
                    return Err(Stop);
                }
            }
            continue;
        };
        match misshapen(columns, &record) {
            Some((line, detail)) => sink.unreadable(vec![Fault::new(sink.pointer(), detail)], At::Line(line))?,
            None => {
                let Fields { plain, exact, unfit } = fields(columns, &record);
                let pointer = |name| format!("{}/{}", sink.pointer(), escaped(name));
                let faults = unfit.into_iter().map(|(name, detail)| Fault::new(pointer(name), detail)).collect();
                sink.row(Row { plain: &plain, exact: exact.as_ref(), faults, at: At::Line(line) })?;
            }
        }
    }
    if columns.is_none() {
        let fault = Fault::new(sink.template.pointer(), "the first line names the fields, and there is none");
        sink.stop(vec![fault.at(1, None)]);
        return Err(Stop);
    }
    Ok(())
}

/// The line that each row begins on, as far as the text can be read.
pub(crate) fn row_lines(source: impl BufRead, dialect: Dialect) -> impl Iterator<Item = u64> {
    let mut records = Records::new(source, dialect.separator);
    std::iter::from_fn(move || Some(records.next(u64::MAX).ok()??.line)).skip(1)
}

impl Column {
    fn new<W>(name: String, dialect: Dialect, sink: &Sink<'_, W>) -> Self {
        let kind = sink.template.kinds.get(&name).copied();
        let is_figure = kind == Some(Kind::Number) || sink.tally.is_figure(&name);
        let comma = match dialect.decimal_comma {
            _ if !is_figure => Comma::Text,
            true => Comma::Decimal,
            false => Comma::Wrong,
        };
        Self { name, kind, comma }
    }

    fn read(&self, text: &str) -> Result<Json, String> {
        match self.comma {
            Comma::Decimal => value(&decimal_comma::with_point(text)?, self.kind),
            Comma::Wrong if decimal_comma::is_meant(text) => Err(decimal_comma::hint(text)),
            Comma::Wrong | Comma::Text => value(text, self.kind),
        }
    }
}

/// The names in the first line, or what is wrong with them.
fn names(record: &Record<'_>) -> Result<Vec<String>, Vec<String>> {
    let (mut names, mut known): (Vec<String>, HashSet<&str>) = Default::default();
    for number in 0..record.len() {
        let name = record.field(number).ok_or_else(|| vec![format!("the first line names the fields: {NOT_UTF8}")])?;
        if name.is_empty() {
            return Err(vec![format!("the first line names the fields, and has no name for field {}", number + 1)]);
        }
        if !known.insert(name) {
            return Err(vec![format!("the first line names `{name}` twice")]);
        }
        names.push(name.to_owned());
    }
    Ok(names)
}

/// What keeps a record from being taken apart into fields, and the line that it is on.
fn misshapen(columns: &[Column], record: &Record<'_>) -> Option<(u64, String)> {
    if let Some(line) = record.stray {
        return Some((line, GOES_ON.into()));
    }
    let (found, named) = (record.len(), columns.len());
    let number = |count| if count == 1 { "1 field".to_owned() } else { format!("{count} fields") };
    (found != named).then(|| (record.line, format!("the row has {}, and the first line names {named}", number(found))))
}

/// A record's fields by their names.
struct Fields<'a> {
    /// As schemas are checked.
    plain: Value,
    /// As they are spooled, where that is not the same.
    exact: Option<Value>,
    /// Those that cannot be read as what they should be, and why. They are text above.
    unfit: Vec<(&'a str, String)>,
}

fn fields<'a>(columns: &'a [Column], record: &Record<'_>) -> Fields<'a> {
    let (mut plain, mut exact, mut unfit) = (Map::with_capacity(columns.len()), Vec::new(), Vec::new());
    for (number, column) in columns.iter().enumerate() {
        let value = match record.field(number) {
            Some("") => continue,
            Some(text) => column.read(text).map_err(|detail| (text.into(), detail)),
            None => Err((record.lossy_field(number), NOT_UTF8.to_owned())),
        };
        let value = value.unwrap_or_else(|(text, detail)| {
            unfit.push((column.name.as_str(), detail));
            Json { plain: text.into(), exact: None }
        });
        plain.insert(column.name.clone(), value.plain);
        exact.extend(value.exact.map(|value| (column.name.clone(), value)));
    }
    let exact = (!exact.is_empty()).then(|| {
        let mut all = plain.clone();
        all.extend(exact);
        all.into()
    });
    Fields { plain: plain.into(), exact, unfit }
}

/// What a field's text means. Text that is not what the schema wants stays text, which the schema then refuses.
fn value(text: &str, kind: Option<Kind>) -> Result<Json, String> {
    let meant = match (kind, text) {
        (Some(Kind::Number), number) => match Json::read(number.as_bytes()) {
            Ok(number) if number.plain.is_number() => return Ok(number),
            Err(NotRead::Numbers(_)) => return Err(too_long(text)),
            _ => None,
        },
        (Some(Kind::Boolean), "true") => Some(true.into()),
        (Some(Kind::Boolean), "false") => Some(false.into()),
        _ => None,
    };
    Ok(Json { plain: meant.unwrap_or_else(|| text.into()), exact: None })
}

/// Takes a text apart, record by record.
struct Records<R> {
    source: R,
    reader: Reader,
    trail: Trail,
    /// The fields of a record, one after the other.
    fields: Vec<u8>,
    /// Where each field ends.
    ends: Vec<usize>,
}

/// Why there is no further record.
enum Broken {
    Read(std::io::Error),
    /// The record that begins on `line` is too long. At its limit it is within quotes that were opened on `opened`.
    TooLong {
        line: u64,
        opened: Option<u64>,
    },
    /// The text ends within quotes that were opened on this line.
    Open(u64),
}

impl Broken {
    /// Stops the reading, and says why.
    fn stop<W: Write>(self, sink: &mut Sink<'_, W>) -> Result<(), Stop> {
        let fault = match self {
            Self::Read(error) => return sink.fail(InputError::Read(error)),
            Self::Open(line) => Fault::new(sink.pointer(), NEVER_CLOSED).at(line, None),
            Self::TooLong { line, opened } => {
                let mut fault = Fault::too_long(sink.pointer(), sink.limits.row_bytes).at(line, None);
                if let Some(opened) = opened {
                    fault.detail +=
                        &format!("; perhaps the quotation mark that opens a field on line {opened} is never closed");
                }
                fault
            }
        };
        sink.stop(vec![fault]);
        Err(Stop)
    }
}

impl<R: BufRead> Records<R> {
    fn new(source: R, separator: u8) -> Self {
        let reader = ReaderBuilder::new().delimiter(separator).build();
        Self { source, reader, trail: Trail::new(separator), fields: vec![0; 4096], ends: vec![0; 64] }
    }

    /// The next record, of so many bytes at the most.
    fn next(&mut self, most: u64) -> Result<Option<Record<'_>>, Broken> {
        self.skip_line_breaks().map_err(Broken::Read)?;
        let (line, mut length, mut written, mut ended) = (self.trail.line, 0, 0, 0);
        loop {
            let text = self.source.fill_buf().map_err(Broken::Read)?;
            if let Some(line) = self.trail.open().filter(|_| text.is_empty()) {
                return Err(Broken::Open(line));
            }
            let (fields, ends) = (&mut self.fields[written..], &mut self.ends[ended..]);
            let (result, read, wrote, closed) = self.reader.read_record(text, fields, ends);
            self.trail.follow(&text[..read]);
            self.source.consume(read);
            (length, written, ended) = (length + read as u64, written + wrote, ended + closed);
            if length > most {
                return Err(Broken::TooLong { line, opened: self.trail.open() });
            }
            match result {
                ReadRecordResult::InputEmpty => {}
                ReadRecordResult::OutputFull => self.fields.resize(self.fields.len() * 2, 0),
                ReadRecordResult::OutputEndsFull => self.ends.resize(self.ends.len() * 2, 0),
                ReadRecordResult::Record => {
                    let stray = self.trail.take_stray();
                    return Ok(Some(Record {
                        line,
                        stray,
                        fields: &self.fields[..written],
                        ends: &self.ends[..ended],
                    }));
                }
                ReadRecordResult::End => return Ok(None),
            }
        }
    }

    /// Blank lines are no records, and the second half of a line break belongs to the line it ends.
    fn skip_line_breaks(&mut self) -> std::io::Result<()> {
        loop {
            let text = self.source.fill_buf()?;
            let breaks = text.iter().take_while(|byte| b"\r\n".contains(byte)).count();
            self.trail.follow(&text[..breaks]);
            let all = breaks == text.len() && breaks > 0;
            self.source.consume(breaks);
            if !all {
                return Ok(());
            }
        }
    }
}

struct Record<'a> {
    line: u64,
    /// The line of a quotation mark that opens a field which goes on after the closing one.
    stray: Option<u64>,
    fields: &'a [u8],
    ends: &'a [usize],
}

impl Record<'_> {
    fn len(&self) -> usize {
        self.ends.len()
    }

    fn field(&self, number: usize) -> Option<&str> {
        std::str::from_utf8(self.bytes(number)).ok()
    }

    /// A field with U+FFFD for what is not UTF-8.
    fn lossy_field(&self, number: usize) -> String {
        String::from_utf8_lossy(self.bytes(number)).into_owned()
    }

    fn bytes(&self, number: usize) -> &[u8] {
        let start = if number == 0 { 0 } else { self.ends[number - 1] };
        &self.fields[start..self.ends[number]]
    }
}
