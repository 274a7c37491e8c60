//! Lines of NDJSON: one JSON object a line, each a row. Blank lines are skipped.

use std::fmt;
use std::io::{BufRead, Read, Write};

use serde::Deserializer as _;
use serde::de::{MapAccess, Visitor};
use serde_json::{Deserializer, Map, Value};

use crate::fault::{Fault, InputError};
use crate::numbers;
use crate::sink::{At, Row, Sink, Stop};

/// Reads every line into the sink; `first` is the number of the first one.
pub(crate) fn read<W: Write>(mut source: impl BufRead, first: u64, sink: &mut Sink<'_, W>) -> Result<(), Stop> {
    let (mut text, mut members) = (Vec::new(), Map::new());
    for line in first.. {
        text.clear();
        // One byte more, for the line break.
        let read = source.by_ref().take(sink.limits.row_bytes.saturating_add(1)).read_until(b'\n', &mut text);
        match read {
            Err(error) => return sink.fail(InputError::Read(error)),
            Ok(0) => break,
            Ok(_) => {}
        }
        if text.len() as u64 > sink.limits.row_bytes && !text.ends_with(b"\n") {
            let fault = Fault::too_long(sink.pointer(), sink.limits.row_bytes);
            sink.stop(vec![fault.at(line, None)]);
            return Err(Stop);
        }
        // Without its break, what is wrong at the end of a line is wrong on that line.
        let text = text.trim_ascii_end();
        if text.trim_ascii_start().is_empty() {
            continue;
        }
        read_row(text, At::Text(line, text), &mut members, sink)?;
    }
    Ok(())
}

/// Reads a row into the sink. Its members go where those of the row before were, which spares the greater part of the
/// allocations.
pub(crate) fn read_row<W: Write>(
    text: &[u8],
    at: At<'_>,
    members: &mut Map<String, Value>,
    sink: &mut Sink<'_, W>,
) -> Result<(), Stop> {
    let (exact, faults) = match numbers::exact(text) {
        Ok(exact) => (exact, Vec::new()),
        Err(faults) => {
            let row = sink.pointer();
            (None, faults.into_iter().map(|fault| fault.below(&row)).collect())
        }
    };
    let plain = parsed(text, members);
    let exact = exact.map(|text| serde_json::from_slice::<Value>(&text)).transpose();
    match plain.and_then(|plain| exact.map(|exact| (plain, exact))) {
        Ok((plain, exact)) => {
            sink.row(Row { plain: &plain, exact: exact.as_ref(), faults, at })?;
            if let Value::Object(row) = plain {
                *members = row;
            }
            Ok(())
        }
        Err(error) => {
            let fault = match at {
                At::Text(line, _) => Fault::of_syntax(sink.pointer(), &error, line),
                _ => Fault::of_syntax_anywhere(sink.pointer(), &error),
            };
            sink.unreadable(vec![fault], at)
        }
    }
}

fn parsed(text: &[u8], members: &mut Map<String, Value>) -> serde_json::Result<Value> {
    members.clear();
    let mut reader = Deserializer::from_slice(text);
    match reader.deserialize_map(Members(members)).and_then(|()| reader.end()) {
        Ok(()) => Ok(Value::Object(std::mem::take(members))),
        // Not an object, or not JSON.
        Err(_) => serde_json::from_slice(text),
    }
}

/// Takes the members of an object in.
struct Members<'a>(&'a mut Map<String, Value>);

impl<'de> Visitor<'de> for Members<'_> {
    type Value = ();

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some((name, value)) = map.next_entry()? {
            self.0.insert(name, value);
        }
        Ok(())
    }
}
