//! NDJSON: [lines], read in parts, as many at a time as there are cores.

use std::io::{self, BufRead, Read, Write};
use std::panic::resume_unwind;
use std::thread::{self, available_parallelism};

use serde_json::Map;

use crate::fault::InputError;
use crate::lines;
use crate::sink::{Sink, Stop};
use crate::spool::Spooled;

/// The most parts that are read at a time: they are cut and put together by one thread.
const MOST_TOGETHER: usize = 4;

/// How an upload is cut into parts.
#[derive(Debug, Clone, Copy)]
struct Cutting {
    /// How many parts are read at a time.
    together: usize,
    /// How long a part is at the least, in bytes: its last line is whole.
    bytes: usize,
}

/// Reads every line into the sink.
pub(crate) fn read<W: Write>(source: impl BufRead, sink: &mut Sink<'_, W>) -> Result<(), Stop> {
    match available_parallelism().map_or(1, usize::from) {
        1 => lines::read(source, 1, sink),
        cores => read_in_parts(source, sink, Cutting { together: cores.min(MOST_TOGETHER), bytes: 512 * 1024 }),
    }
}

fn read_in_parts<W: Write>(mut source: impl BufRead, sink: &mut Sink<'_, W>, cutting: Cutting) -> Result<(), Stop> {
    let mut place = Place { line: 1, row: 0 };
    loop {
        let cut = |_| Part::cut(&mut source, &mut place, cutting.bytes, sink.limits.row_bytes);
        let parts: Vec<_> = match (0..cutting.together).map(cut).collect() {
            Ok(parts) => parts,
            Err(error) => return sink.fail(InputError::Read(error)),
        };
        match parts.split_first() {
            Some((first, others)) if !first.text.is_empty() => read_together(first, others, sink)?,
            _ => return Ok(()),
        }
    }
}

/// Reads parts that follow each other: the first into the sink, and those after it beside that.
fn read_together<W: Write>(first: &Part, others: &[Part], sink: &mut Sink<'_, W>) -> Result<(), Stop> {
    thread::scope(|scope| {
        let mut taken = Vec::new();
        for part in others {
            let sink = sink.beside(part.first.row);
            taken.push(thread::Builder::new().spawn_scoped(scope, move || part.take(sink)).ok());
        }
        first.read(sink)?;
        for (part, taken) in others.iter().zip(taken) {
            let taken = taken.and_then(|taken| taken.join().unwrap_or_else(|panic| resume_unwind(panic)));
            match taken {
                Some((spooled, written)) if sink.append(&spooled, &written)? => {}
                // There was no thread for it, or it has large numbers or a fault, which is found row by row.
                _ => part.read(sink)?,
            }
        }
        Ok(())
    })
}

/// A place in an upload.
#[derive(Debug, Clone, Copy)]
struct Place {
    /// The number of a line, from 1.
    line: u64,
    /// The number of the next row, from 0.
    row: u64,
}

/// Some lines of an upload; none at its end.
#[derive(Debug)]
struct Part {
    first: Place,
    text: Vec<u8>,
}

impl Part {
    /// Takes lines off the source until they have so many bytes, and leaves the place where those after them begin.
    fn cut(source: &mut impl BufRead, place: &mut Place, bytes: usize, row_bytes: u64) -> io::Result<Self> {
        let mut part = Self { first: *place, text: Vec::new() };
        while part.text.len() < bytes {
            let start = part.text.len();
            // One byte more, for the line break. A line that is longer ends the reading.
            if source.take(row_bytes.saturating_add(1)).read_until(b'\n', &mut part.text)? == 0 {
                break;
            }
            place.line += 1;
            place.row += u64::from(!part.text[start..].trim_ascii().is_empty());
        }
        Ok(part)
    }

    fn read<W: Write>(&self, sink: &mut Sink<'_, W>) -> Result<(), Stop> {
        lines::read(self.text.as_slice(), self.first.line, sink)
    }

    /// Reads it into a sink of its own; nothing comes of it if there is a fault in it.
    fn take(&self, mut sink: Sink<'_, Vec<u8>>) -> Option<(Spooled, Vec<u8>)> {
        self.read(&mut sink).ok()?;
        sink.spooled(Map::new()).ok()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;
    use crate::manifest::{RowsDeclaration, Totals};
    use crate::spool::Limits;
    use crate::template::Rows;
    use crate::totals::Sums;

    /// What a reading comes to, in words that can be compared.
    fn outcome(text: &str, rows: u64, read: impl FnOnce(&[u8], &mut Sink<'_, Vec<u8>>) -> Result<(), Stop>) -> String {
        let declaration = RowsDeclaration { field: "rows".into(), totals: Totals::Names(vec!["n".into()]) };
        let schema = json!({"properties": {"rows": {"items": {"properties": {"n": {"type": "string"}}}}}});
        let template = Rows::new(declaration, Some(&schema)).expect("a schema");
        let limits = Limits { row_bytes: 60, rows, ..Limits::default() };
        let mut sink = Sink::new(&template, &limits, Sums::new(vec!["n".into()]), Vec::new());
        let read = read(text.as_bytes(), &mut sink);
        format!("{read:?}, {:?}", sink.spooled(Map::new()))
    }

    fn line() -> impl Strategy<Value = String> {
        let right = (0..100_000u32).prop_map(|n| format!("{{\"n\":\"{}.{:02}\"}}\n", n / 100, n % 100));
        let wrong = prop_oneof![
            Just("{\"n\":7}\n".to_owned()),
            Just("{\"n\":\"0.0000000000000000000000000001\"}\n".to_owned()),
            Just("{\"n\":\n".to_owned()),
            Just(format!("{{\"n\":\"{}\"}}\n", "1".repeat(60))),
        ];
        let amounts = ["390000000000000000000000000.00", "792281625142643375935439503.35"];
        let large = (prop::sample::select(amounts.to_vec()), prop::sample::select(vec!["", "-"]))
            .prop_map(|(amount, sign)| format!("{{\"n\":\"{sign}{amount}\"}}\n"));
        prop_oneof![400 => right, 40 => Just(" \n".to_owned()), 8 => large, 1 => wrong]
    }

    proptest! {
        #[test]
        fn parts_come_to_what_the_whole_comes_to(
            lines in prop::collection::vec(line(), 0..400), bytes in 1..4_000usize, together in 1..4usize, rows in 200..400u64,
        ) {
            let text = lines.concat();
            let whole = outcome(&text, rows, |text, sink| lines::read(text, 1, sink));
            let cutting = Cutting { together, bytes };
            prop_assert_eq!(outcome(&text, rows, |text, sink| read_in_parts(text, sink, cutting)), whole);
        }
    }
}
