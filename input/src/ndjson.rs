//! NDJSON: [lines], read in parts, as many at a time as there are cores.

use std::io::{self, BufRead, Read, Write};
use std::panic::resume_unwind;
use std::thread::{self, available_parallelism};

use crate::fault::InputError;
use crate::lines;
use crate::sink::{Sink, Stop, Taken};

/// The most parts that are read at a time: one thread cuts them and puts them together, and all are in memory.
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

fn read_in_parts<W: Write>(source: impl BufRead, sink: &mut Sink<'_, W>, cutting: Cutting) -> Result<(), Stop> {
    let mut parts = Parts::new(source, cutting.bytes, sink.limits.row_bytes);
    loop {
        let together: Vec<_> = parts.by_ref().take(cutting.together).collect();
        match together.split_first() {
            Some((first, others)) => read_together(first, others, sink)?,
            None => return parts.error.map_or(Ok(()), |error| sink.fail(InputError::Read(error))),
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
                Some(taken) if sink.append(&taken)? => {}
                // There was no thread for it, or it has large numbers or a fault, which is found row by row.
                _ => part.read(sink)?,
            }
        }
        Ok(())
    })
}

/// Some lines of an upload.
#[derive(Debug)]
struct Part {
    first: Place,
    text: Vec<u8>,
}

/// A place in an upload.
#[derive(Debug, Clone, Copy)]
struct Place {
    /// The number of a line, from 1.
    line: u64,
    /// The number of the next row, from 0.
    row: u64,
}

/// Cuts an upload into parts.
struct Parts<S> {
    source: S,
    bytes: usize,
    row_bytes: u64,
    next: Place,
    ended: bool,
    /// What ended it before its end.
    error: Option<io::Error>,
}

impl<S: BufRead> Parts<S> {
    fn new(source: S, bytes: usize, row_bytes: u64) -> Self {
        Self { source, bytes, row_bytes, next: Place { line: 1, row: 0 }, ended: false, error: None }
    }

    /// Takes a line off the source.
    fn take_line(&mut self, text: &mut Vec<u8>) -> io::Result<()> {
        let start = text.len();
        // One byte more, for the line break.
        let read = self.source.by_ref().take(self.row_bytes.saturating_add(1)).read_until(b'\n', text)?;
        // Nothing is read after a line that is too long.
        self.ended = read == 0 || (read as u64 > self.row_bytes && !text.ends_with(b"\n"));
        self.next.line += 1;
        self.next.row += u64::from(!text[start..].trim_ascii().is_empty());
        Ok(())
    }
}

impl<S: BufRead> Iterator for Parts<S> {
    type Item = Part;

    fn next(&mut self) -> Option<Part> {
        let mut part = Part { first: self.next, text: Vec::new() };
        while !self.ended && part.text.len() < self.bytes {
            if let Err(error) = self.take_line(&mut part.text) {
                (self.ended, self.error) = (true, Some(error));
            }
        }
        (!part.text.is_empty()).then_some(part)
    }
}

impl Part {
    fn read<W: Write>(&self, sink: &mut Sink<'_, W>) -> Result<(), Stop> {
        lines::read(self.text.as_slice(), self.first.line, sink)
    }

    /// Reads it into a sink of its own; nothing comes of it if there is a fault in it.
    fn take(&self, mut sink: Sink<'_, Vec<u8>>) -> Option<Taken> {
        self.read(&mut sink).ok()?;
        sink.taken()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Map, json};

    use super::*;
    use crate::manifest::RowsDeclaration;
    use crate::plan::Plan;
    use crate::spool::Limits;
    use crate::tally::Tally;
    use crate::template::Rows;

    /// What a reading comes to, in words that can be compared.
    fn outcome(
        text: &str,
        rows: u64,
        read: impl FnOnce(Source<'_>, &mut Sink<'_, Vec<u8>>) -> Result<(), Stop>,
    ) -> String {
        let declaration = json!({
            "field": "rows",
            "totals": ["n", "n<0"],
            "columns": [{"field": "day", "format": "date"}, {"field": "n"}, {"field": "m", "format": "number"}],
            "period": {"from": "/from", "to": "/to"},
        });
        let declaration: RowsDeclaration = serde_json::from_value(declaration).expect("a declaration");
        let schema = json!({"properties": {"rows": {"items": {"properties": {"n": {"type": "string"}}}}}});
        let template = Rows::new(declaration, Some(&schema)).expect("a schema");
        let limits = Limits { row_bytes: 60, rows, ..Limits::default() };
        let rest = Map::from_iter([("from", "2026-01-01"), ("to", "2026-12-31")].map(|(k, v)| (k.into(), v.into())));
        let tally = Tally::new(Plan::new(&template, &rest).expect("a plan"));
        let mut sink = Sink::new(&template, &limits, tally, Vec::new());
        let read = read(Source(text.as_bytes()), &mut sink).and_then(|()| sink.end());
        format!("{read:?}, {:?}", sink.spooled(Map::new()))
    }

    /// A source that breaks off at a sign.
    struct Source<'a>(&'a [u8]);

    impl Read for Source<'_> {
        fn read(&mut self, to: &mut [u8]) -> io::Result<usize> {
            let from = self.fill_buf()?;
            let read = from.len().min(to.len());
            to[..read].copy_from_slice(&from[..read]);
            self.consume(read);
            Ok(read)
        }
    }

    impl BufRead for Source<'_> {
        fn fill_buf(&mut self) -> io::Result<&[u8]> {
            let sign = self.0.iter().position(|byte| *byte == b'!').unwrap_or(self.0.len());
            match &self.0[..sign] {
                [] if !self.0.is_empty() => Err(io::Error::other("it breaks off")),
                before => Ok(before),
            }
        }

        fn consume(&mut self, bytes: usize) {
            self.0 = &self.0[bytes..];
        }
    }

    fn line() -> impl Strategy<Value = String> {
        let row = |n: &str| format!("{{\"n\":\"{n}\"}}\n");
        let right = (0..100_000u32).prop_map(|n| format!("{}.{:02}", n / 100, n % 100));
        let plain = prop::sample::select(vec!["0", "0.00", "7", "1.5", "-1.5", "-0.25"]).prop_map(str::to_owned);
        let amounts = ["39000000000000000000000000.00", "79228162514264337593543950.35"];
        let large = (prop::sample::select(amounts.to_vec()), prop::sample::select(vec!["", "-"]));
        let large = large.prop_map(|(amount, sign)| format!("{sign}{amount}"));
        let wrong = prop_oneof![
            Just("{\"n\":7}\n".to_owned()),
            Just(row("0.0000000000000000000000000001")),
            Just("{\"n\":\n".to_owned()),
            Just(row(&"1".repeat(60))),
            Just("!".to_owned()),
        ];
        let rows = prop_oneof![200 => right, 200 => plain, 8 => large].prop_map(move |n| row(&n));
        let others = [
            "\"day\":\"2026-06-30\"",
            "\"day\":\"2025-12-31\"",
            "\"day\":\"\"",
            "\"m\":9007199254740993.01",
            "\"x\":1",
        ];
        let others = prop::sample::select(others.map(|members| format!("{{{members}}}\n")).to_vec());
        let unfit = ["\"day\":\"2026-02-30\"", "\"m\":\"1,5\"", "\"m\":1e400"];
        let unfit = prop::sample::select(unfit.map(|members| format!("{{{members}}}\n")).to_vec());
        prop_oneof![408 => rows, 60 => others, 40 => Just(" \n".to_owned()), 1 => wrong, 1 => unfit]
    }

    proptest! {
        #[test]
        fn parts_come_to_what_the_whole_comes_to(
            lines in prop::collection::vec(line(), 0..400), bytes in 1..4_000usize, together in 1..=MOST_TOGETHER, rows in 200..400u64,
        ) {
            let text = lines.concat();
            let whole = outcome(&text, rows, |source, sink| lines::read(source, 1, sink));
            let cutting = Cutting { together, bytes };
            prop_assert_eq!(outcome(&text, rows, |source, sink| read_in_parts(source, sink, cutting)), whole);
        }
    }
}
