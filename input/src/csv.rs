//! CSV as RFC 4180 has it: a line of names, then a row a line; text in quotes may hold anything, line breaks too.
//!
//! `csv-core` takes the text apart; what is read and counted around it is our own, since the line that a row begins on,
//! and a limit on a row's length, are more than the reader of the crate `csv` tells or holds.

use std::collections::HashSet;
use std::io::{BufRead, Write};

use csv_core::{ReadRecordResult, Reader, ReaderBuilder};
use serde_json::{Map, Value};

use crate::fault::{Fault, InputError};
use crate::figures::too_long;
use crate::header;
use crate::names::quoted;
use crate::numbers::{Json, NotRead};
use crate::sink::{At, Row, Sink, Stop};
use crate::spool::Dialect;
use crate::template::Kind;
use findings::escaped;

/// A column: its name, and what its text is read as.
struct Column {
    name: String,
    kind: Option<Kind>,
    /// Whether it has numbers with a decimal comma.
    decimal_comma: bool,
}

/// Reads every record after the first into the sink.
pub(crate) fn read<W: Write>(source: impl BufRead, dialect: Dialect, sink: &mut Sink<'_, W>) -> Result<(), Stop> {
    let mut records = Records::new(source, dialect.separator);
    let mut columns: Option<Vec<Column>> = None;
    loop {
        let record = match records.next(sink.limits.row_bytes) {
            Ok(Some(record)) => record,
            Ok(None) => break,
            Err(Broken::Read(error)) => return sink.fail(InputError::Read(error)),
            Err(Broken::TooLong(line)) => {
                let fault = Fault::too_long(sink.pointer(), sink.limits.row_bytes);
                sink.stop(vec![fault.at(line, None)]);
                return Err(Stop);
            }
            Err(Broken::Open(line)) => {
                let fault = Fault::new(sink.pointer(), "a quotation mark in this row is never closed");
                sink.stop(vec![fault.at(line, None)]);
                return Err(Stop);
            }
        };
        let line = record.line;
        let Some(columns) = &columns else {
            let named = names(&record).and_then(|names| header::check(&names, dialect.separator, sink).map(|()| names));
            match named {
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
        match row(columns, &record) {
            Ok((plain, exact)) => sink.row(Row { plain: &plain, exact: exact.as_ref(), at: At::Line(line) })?,
            Err((name, detail)) => {
                let pointer =
                    name.map_or_else(|| sink.pointer(), |name| format!("{}/{}", sink.pointer(), escaped(name)));
                sink.unreadable(vec![Fault::new(pointer, detail)], At::Line(line))?;
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

impl Column {
    fn new<W>(name: String, dialect: Dialect, sink: &Sink<'_, W>) -> Self {
        let kind = sink.template.kinds.get(&name).copied();
        let is_figure = kind == Some(Kind::Number) || sink.tally.is_figure(&name);
        Self { decimal_comma: dialect.decimal_comma && is_figure, kind, name }
    }
}

/// The names in the first line, or what is wrong with them.
fn names(record: &Record<'_>) -> Result<Vec<String>, Vec<String>> {
    let (mut names, mut known): (Vec<String>, HashSet<&str>) = Default::default();
    for number in 0..record.len() {
        let name =
            record.field(number).ok_or_else(|| vec!["the first line names the fields, and is not UTF-8".into()])?;
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

type NotARow<'a> = (Option<&'a str>, String);

/// A row as schemas are checked, and as it is spooled where that is not the same.
fn row<'a>(columns: &'a [Column], record: &Record<'_>) -> Result<(Value, Option<Value>), NotARow<'a>> {
    if record.len() != columns.len() {
        let (found, named) = (record.len(), columns.len());
        return Err((None, format!("the row has {found} fields, and the first line names {named}")));
    }
    let (mut row, mut exact) = (Map::with_capacity(columns.len()), Vec::new());
    for (number, column) in columns.iter().enumerate() {
        let unfit = |detail| (Some(column.name.as_str()), detail);
        let text = record.field(number).ok_or_else(|| unfit("it is not UTF-8".to_owned()))?;
        if !text.is_empty() {
            let Json { plain, exact: otherwise } = match column.decimal_comma {
                true => value(&with_point(text).map_err(unfit)?, column.kind),
                false => value(text, column.kind),
            }
            .map_err(unfit)?;
            row.insert(column.name.clone(), plain);
            exact.extend(otherwise.map(|value| (column.name.clone(), value)));
        }
    }
    let exact = (!exact.is_empty()).then(|| {
        let mut all = row.clone();
        all.extend(exact);
        all.into()
    });
    Ok((row.into(), exact))
}

/// A number with a decimal comma, and perhaps with points or blanks between groups of three digits, as one with a point.
fn with_point(text: &str) -> Result<String, String> {
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let (sign, unsigned) = if let Some(rest) = text.strip_prefix('-') { ("-", rest) } else { ("", text) };
    let (whole, fraction) = unsigned.split_once(',').map_or((unsigned, None), |(whole, it)| (whole, Some(it)));
    let groups: Vec<&str> = whole.split(['.', ' ', '\u{a0}', '\u{202f}']).collect();
    let (first, others) = groups.split_first().ok_or_else(String::new)?;
    let grouped = others.is_empty() || (first.len() <= 3 && others.iter().all(|group| group.len() == 3));
    if !grouped || !groups.iter().copied().chain(fraction).all(digits) {
        return Err(format!("{} is not a number with a decimal comma, such as 1.234,50", quoted(text)));
    }
    let point = fraction.map(|fraction| format!(".{fraction}")).unwrap_or_default();
    Ok(format!("{sign}{}{point}", groups.concat()))
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
    /// The line that comes next.
    line: u64,
    /// The fields of a record, one after the other.
    fields: Vec<u8>,
    /// Where each field ends.
    ends: Vec<usize>,
}

/// Why there is no further record.
enum Broken {
    Read(std::io::Error),
    /// The record that begins on this line is too long.
    TooLong(u64),
    /// The text ends within quotes that were opened in the record that begins on this line.
    Open(u64),
}

impl<R: BufRead> Records<R> {
    fn new(source: R, separator: u8) -> Self {
        let reader = ReaderBuilder::new().delimiter(separator).build();
        Self { source, reader, line: 1, fields: vec![0; 4096], ends: vec![0; 64] }
    }

    /// The next record, of so many bytes at the most.
    fn next(&mut self, most: u64) -> Result<Option<Record<'_>>, Broken> {
        self.skip_line_breaks().map_err(Broken::Read)?;
        let (line, mut length, mut quotes, mut written, mut ended) = (self.line, 0, 0, 0, 0);
        loop {
            let text = self.source.fill_buf().map_err(Broken::Read)?;
            let at_end = text.is_empty();
            let (fields, ends) = (&mut self.fields[written..], &mut self.ends[ended..]);
            let (result, read, wrote, closed) = self.reader.read_record(text, fields, ends);
            let count = |byte| text[..read].iter().filter(|it| **it == byte).count();
            quotes += count(b'"');
            self.line += count(b'\n') as u64;
            self.source.consume(read);
            (length, written, ended) = (length + read as u64, written + wrote, ended + closed);
            if length > most {
                return Err(Broken::TooLong(line));
            }
            match result {
                ReadRecordResult::InputEmpty => {}
                ReadRecordResult::OutputFull => self.fields.resize(self.fields.len() * 2, 0),
                ReadRecordResult::OutputEndsFull => self.ends.resize(self.ends.len() * 2, 0),
                ReadRecordResult::Record if at_end && quotes % 2 == 1 => return Err(Broken::Open(line)),
                ReadRecordResult::Record => {
                    return Ok(Some(Record { line, fields: &self.fields[..written], ends: &self.ends[..ended] }));
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
            self.line += text[..breaks].iter().filter(|byte| **byte == b'\n').count() as u64;
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
    fields: &'a [u8],
    ends: &'a [usize],
}

impl Record<'_> {
    fn len(&self) -> usize {
        self.ends.len()
    }

    fn field(&self, number: usize) -> Option<&str> {
        let start = if number == 0 { 0 } else { self.ends[number - 1] };
        std::str::from_utf8(&self.fields[start..self.ends[number]]).ok()
    }
}
