//! CSV as RFC 4180 has it: a line of names, then a row a line; text in quotes may hold anything, line breaks too.
//!
//! `csv-core` takes the text apart; what is read and counted around it is our own, since the line that a row begins on,
//! and a limit on a row's length, are more than the reader of the crate `csv` tells or holds.

use std::collections::HashSet;
use std::io::{BufRead, Write};

use csv_core::{ReadRecordResult, Reader};
use serde_json::{Map, Number, Value};

use crate::fault::{Fault, InputError};
use crate::schema::escaped;
use crate::sink::{At, Sink, Stop};
use crate::template::Kind;

/// A column: its name, and what its text is read as.
struct Column {
    name: String,
    kind: Option<Kind>,
}

/// Reads every record after the first into the sink.
pub(crate) fn read<W: Write>(source: impl BufRead, sink: &mut Sink<'_, W>) -> Result<(), Stop> {
    let mut records = Records::new(source);
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
            match header(sink, &record) {
                Ok(named) => columns = Some(named),
                Err(detail) => {
                    let fault = Fault::new(sink.template.pointer(), detail).at(line, None);
                    sink.stop(vec![fault]);
                    return Err(Stop);
                }
            }
            continue;
        };
        match row(columns, &record) {
            Ok(row) => sink.row(&row, At::Line(line))?,
            Err((name, detail)) => {
                let pointer =
                    name.map_or_else(|| sink.pointer(), |name| format!("{}/{}", sink.pointer(), escaped(name)));
                sink.unreadable(Fault::new(pointer, detail).at(line, None))?;
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

fn header<W: Write>(sink: &Sink<'_, W>, record: &Record<'_>) -> Result<Vec<Column>, String> {
    let (mut columns, mut names): (Vec<Column>, HashSet<String>) = Default::default();
    for number in 0..record.len() {
        let name = record.field(number).ok_or("the first line names the fields, and is not UTF-8")?;
        if name.is_empty() {
            return Err(format!("the first line names the fields, and has no name for field {}", number + 1));
        }
        if !names.insert(name.to_owned()) {
            return Err(format!("the first line names `{name}` twice"));
        }
        columns.push(Column { name: name.to_owned(), kind: sink.template.kinds.get(name).copied() });
    }
    Ok(columns)
}

type NotARow<'a> = (Option<&'a str>, String);

fn row<'a>(columns: &'a [Column], record: &Record<'_>) -> Result<Value, NotARow<'a>> {
    if record.len() != columns.len() {
        let (found, named) = (record.len(), columns.len());
        return Err((None, format!("the row has {found} fields, and the first line names {named}")));
    }
    let mut row = Map::with_capacity(columns.len());
    for (number, column) in columns.iter().enumerate() {
        let text = record.field(number).ok_or_else(|| (Some(column.name.as_str()), "it is not UTF-8".to_owned()))?;
        if !text.is_empty() {
            row.insert(column.name.clone(), value(text, column.kind));
        }
    }
    Ok(row.into())
}

/// What a field's text means. Text that is not what the schema wants stays text, which the schema then refuses.
fn value(text: &str, kind: Option<Kind>) -> Value {
    let meant = match (kind, text) {
        (Some(Kind::Number), number) => serde_json::from_str::<Number>(number).ok().map(Value::Number),
        (Some(Kind::Boolean), "true") => Some(true.into()),
        (Some(Kind::Boolean), "false") => Some(false.into()),
        _ => None,
    };
    meant.unwrap_or_else(|| text.into())
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
    fn new(source: R) -> Self {
        Self { source, reader: Reader::new(), line: 1, fields: vec![0; 4096], ends: vec![0; 64] }
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
