//! JSON: one object, whose rows are taken as they come and never gathered.

use std::fmt;
use std::io::{BufReader, Read, Seek, SeekFrom, Write};
use std::ops::Range;

use serde::de::{DeserializeSeed, Deserializer, Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;
use serde_json::{Map, Value};

use crate::fault::{Fault, InputError, MAX_FAULTS, without_place};
use crate::lines::read_row;
use crate::locate::locate;
use crate::manifest::{Columns, Period, Totals};
use crate::meter::{Meter, Metered, Part};
use crate::numbers::{Json, NotRead};
use crate::plan::{Plan, first_token};
use crate::sink::{At, Sink, Stop};
use crate::spool::{CHUNK_BYTES, Limits, Spooled};
use crate::tally::Tally;
use crate::template::Rows;
use findings::escaped;

/// Reads a text that is all in all one value without rows.
pub(crate) fn read_whole(source: impl Read, most: u64) -> Result<Json, InputError> {
    let mut text = Vec::new();
    source.take(most.saturating_add(1)).read_to_end(&mut text).map_err(InputError::Read)?;
    if text.len() as u64 > most {
        return Err(InputError::RestTooLarge(most));
    }
    Json::read(&text).map_err(|error| match error {
        NotRead::Syntax(error) => InputError::Invalid(vec![Fault::of_syntax("", &error, 1)]),
        NotRead::Numbers(faults) => InputError::Invalid(faults),
    })
}

/// Reads an object with rows. The text begins at `start`, and is read once more where its faults are to be found, or where
/// the data itself says what is to be found in its rows.
pub(crate) fn read<W: Write>(
    mut source: impl Read + Seek,
    start: u64,
    rows: &Rows,
    limits: &Limits,
    spool: &mut W,
) -> Result<Spooled, InputError> {
    let mut rest = Rest::default();
    let mut seen = start;
    let declaration = rows.declaration();
    let asks = matches!(declaration.totals, Totals::Pointer(_)) || matches!(declaration.columns, Columns::Pointer(_));
    // Of a member that stands there twice the last one counts, but for a period alone, which leads to warnings only.
    let enough: Vec<_> = if asks { Vec::new() } else { declaration.period.iter().flat_map(members_of).collect() };
    if asks || declaration.period.is_some() {
        // What is wrong is told by the reading that counts.
        _ = parse::<W>(&mut source, rows, limits, Reading::Ahead(&enough), &mut rest);
        seen = source.stream_position().map_err(InputError::Read)?;
        source.seek(SeekFrom::Start(start)).map_err(InputError::Read)?;
    }
    let plan = match Plan::new(rows, &rest.plain) {
        Ok(plan) => plan,
        Err(fault) => return Err(located(source, start..seen, vec![fault])),
    };
    let mut rest = Rest::default();
    let mut sink = Sink::new(rows, limits, Tally::new(plan), spool);
    match parse(&mut source, rows, limits, Reading::Rows(&mut sink), &mut rest) {
        Err(_) if sink.is_stopped() => {}
        Ok(with_rows) => {
            let faults = match rest.faults.as_slice() {
                [] => rows
                    .faults_of_rest(&rest.plain, &rest.exact, with_rows, &limits.check)
                    .map_err(|cut| InputError::of_check(cut, ""))?,
                _ => rest.faults,
            };
            _ = sink.note(faults).and_then(|()| if with_rows { sink.end() } else { Ok(()) });
        }
        Err(Problem::Text(error)) => sink.stop(vec![Fault::of_syntax("", &error, 1)]),
        Err(Problem::TooLong(Part::Row)) => sink.stop(vec![Fault::too_long(sink.pointer(), limits.row_bytes)]),
        Err(Problem::TooLong(Part::Rest)) => return Err(InputError::RestTooLarge(limits.rest_bytes)),
        Err(Problem::Read(error)) => return Err(InputError::Read(error)),
    }
    rest.plain.extend(rest.exact);
    match sink.spooled(rest.plain) {
        Err(InputError::Invalid(faults)) => {
            let seen = source.stream_position().map_err(InputError::Read)?;
            Err(located(source, start..seen, faults))
        }
        spooled => Ok(spooled?.0),
    }
}

/// The members beside the rows.
#[derive(Default)]
struct Rest {
    /// As schemas are checked.
    plain: Map<String, Value>,
    /// Those that templates read otherwise.
    exact: Map<String, Value>,
    /// Numbers of too many digits.
    faults: Vec<Fault>,
}

impl Rest {
    /// Takes the text of a member in.
    fn insert(&mut self, name: String, text: &RawValue) -> serde_json::Result<()> {
        match Json::read(text.get().as_bytes()) {
            Ok(Json { plain, exact }) => {
                // Of two members of a name, the last one counts.
                self.exact.remove(&name);
                if let Some(exact) = exact {
                    self.exact.insert(name.clone(), exact);
                }
                self.plain.insert(name, plain);
            }
            Err(NotRead::Syntax(error)) => return Err(error),
            Err(NotRead::Numbers(faults)) => {
                let pointer = format!("/{}", escaped(&name));
                let room = MAX_FAULTS.saturating_sub(self.faults.len());
                self.faults.extend(faults.into_iter().take(room).map(|fault| fault.below(&pointer)));
            }
        }
        Ok(())
    }
}

/// These faults, each with its place in the text. No more is read again than was `seen` by the reading that met them, which
/// kept to the limits.
pub(crate) fn located(mut source: impl Read + Seek, seen: Range<u64>, mut faults: Vec<Fault>) -> InputError {
    if let Err(error) = source.seek(SeekFrom::Start(seen.start)) {
        return InputError::Read(error);
    }
    if faults.iter().any(|fault| fault.line.is_none()) {
        let source = source.take(seen.end.saturating_sub(seen.start));
        locate(BufReader::with_capacity(CHUNK_BYTES, source), 1, &mut faults);
    }
    faults.sort_by_key(|fault| (fault.line, fault.column));
    InputError::Invalid(faults)
}

/// Why a text could not be read to its end.
enum Problem {
    Read(std::io::Error),
    TooLong(Part),
    Text(serde_json::Error),
}

impl Problem {
    fn of(error: serde_json::Error, meter: &Meter) -> Self {
        match meter.overrun() {
            Some(part) => Self::TooLong(part),
            None if error.is_io() => Self::Read(error.into()),
            None => Self::Text(error),
        }
    }
}

/// Reads the text. What stands beside the rows goes into `rest`. Answers whether there were rows.
fn parse<W: Write>(
    source: impl Read,
    rows: &Rows,
    limits: &Limits,
    reading: Reading<'_, '_, W>,
    rest: &mut Rest,
) -> Result<bool, Problem> {
    let meter = Meter::new(Part::Rest, limits.rest_bytes);
    let mut deserializer = serde_json::Deserializer::from_reader(Metered::new(source, meter.clone()));
    let data = Data { field: rows.field(), limits, meter: &meter, reading, rest };
    let read = deserializer.deserialize_any(data).and_then(|with_rows| deserializer.end().map(|()| with_rows));
    read.map_err(|error| Problem::of(error, &meter))
}

/// The members that a period is in.
fn members_of(period: &Period) -> [String; 2] {
    [&period.from, &period.to].map(|pointer| first_token(pointer).unwrap_or_default())
}

/// What a text is read for.
enum Reading<'a, 'b, W> {
    /// Its rows, which go into the sink.
    Rows(&'a mut Sink<'b, W>),
    /// What stands beside them, until all members of these names are there; all of it, if there are no names.
    Ahead(&'a [String]),
}

/// Takes the object in.
struct Data<'a, 'b, W> {
    field: &'a str,
    limits: &'a Limits,
    meter: &'a Meter,
    reading: Reading<'a, 'b, W>,
    rest: &'a mut Rest,
}

impl<W> Data<'_, '_, W> {
    fn has_enough(&self) -> bool {
        let is_there = |name: &String| self.rest.plain.contains_key(name);
        matches!(&self.reading, Reading::Ahead(names) if !names.is_empty() && names.iter().all(is_there))
    }
}

impl<'de, W: Write> Visitor<'de> for Data<'_, '_, W> {
    type Value = bool;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the template's data, a JSON object")
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut map: A) -> Result<bool, A::Error> {
        let mut with_rows = false;
        while let Some(name) = map.next_key::<String>()? {
            if name != self.field {
                let text = map.next_value::<Box<RawValue>>()?;
                self.rest.insert(name, &text).map_err(|error| A::Error::custom(without_place(&error)))?;
                if self.has_enough() {
                    break;
                }
                continue;
            }
            if with_rows {
                return Err(A::Error::custom(format!("`{name}` stands here for the second time")));
            }
            with_rows = true;
            let left = self.meter.left();
            let sink = match &mut self.reading {
                Reading::Rows(sink) => Some(&mut **sink),
                Reading::Ahead(_) => None,
            };
            map.next_value_seed(Array { limits: self.limits, meter: self.meter, sink })?;
            self.meter.start(Part::Rest, left);
        }
        Ok(with_rows)
    }
}

/// Takes the rows in.
struct Array<'a, 'b, W> {
    limits: &'a Limits,
    meter: &'a Meter,
    sink: Option<&'a mut Sink<'b, W>>,
}

impl<'de, W: Write> DeserializeSeed<'de> for Array<'_, '_, W> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de, W: Write> Visitor<'de> for Array<'_, '_, W> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array of rows")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        let Some(sink) = self.sink else {
            self.meter.start(Part::Row, u64::MAX);
            while seq.next_element::<IgnoredAny>()?.is_some() {}
            return Ok(());
        };
        let mut members = Map::new();
        loop {
            self.meter.start(Part::Row, self.limits.row_bytes);
            let Some(row) = seq.next_element::<Box<RawValue>>()? else { return Ok(()) };
            let read = read_row(row.get().as_bytes(), At::Anywhere, &mut members, sink);
            read.map_err(|Stop| A::Error::custom("reading stopped"))?;
        }
    }
}
