//! One run of a spool's rows, as the data of a section.

use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom, Write};

use rust_decimal::Decimal;
use serde_json::{Map, Value};

use crate::spool::{CHUNK_BYTES, MARK_EVERY, Spooled};
use crate::template::Rows;
use crate::totals::Sums;

impl Spooled {
    /// Writes the data of a section as one JSON text: the rest, then `count` rows from the row `first`, counted from 0.
    /// Answers with the sums over all rows before those, in the order of the [names](Spooled::names).
    pub fn write_section(
        &self,
        rows: &Rows,
        spool: impl Read + Seek,
        first: u64,
        count: u64,
        mut to: impl Write,
    ) -> io::Result<Vec<Decimal>> {
        let (mut lines, before) = self.seek(spool, first)?;
        let rest = self.rest.to_string();
        let open = rest.strip_suffix('}').ok_or_else(|| io::Error::other("the data beside the rows is no object"))?;
        let comma = if open.len() > 1 { "," } else { "" };
        write!(to, "{open}{comma}{}:[", Value::from(rows.field()))?;
        let mut line = Vec::new();
        for row in 0..count {
            read_row(&mut lines, &mut line)?;
            to.write_all(if row > 0 { b"," } else { b"" })?;
            to.write_all(&line)?;
        }
        to.write_all(b"]}")?;
        Ok(before)
    }

    /// A reader that stands before the row `first`, and the sums up to there.
    fn seek<S: Read + Seek>(&self, mut spool: S, first: u64) -> io::Result<(BufReader<S>, Vec<Decimal>)> {
        let Some(mark) = usize::try_from(first / MARK_EVERY).ok().and_then(|mark| self.marks.get(mark)) else {
            // A spool whose rows are a multiple of the marks' distance has no mark at its end.
            return Ok((BufReader::new(spool), self.totals.clone()));
        };
        spool.seek(SeekFrom::Start(mark.offset))?;
        let mut lines = BufReader::with_capacity(CHUNK_BYTES, spool);
        let mut sums = Sums::new(self.names.clone());
        sums.values.clone_from(&mark.totals);
        let mut line = Vec::new();
        for _ in mark.row..first {
            read_row(&mut lines, &mut line)?;
            let row: Map<String, Value> = serde_json::from_slice(&line)?;
            // The whole spool was summed when it was written.
            sums.add(&row).map_err(|unfit| io::Error::other(format!("a row that was summed is unfit: {unfit:?}")))?;
        }
        Ok((lines, sums.values))
    }
}

fn read_row(lines: &mut impl BufRead, line: &mut Vec<u8>) -> io::Result<()> {
    line.clear();
    if lines.read_until(b'\n', line)? == 0 {
        return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the spool has fewer rows than were counted"));
    }
    if line.last() == Some(&b'\n') {
        line.pop();
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use serde_json::json;

    use super::*;
    use crate::manifest::{RowsDeclaration, Totals};
    use crate::spool::{Format, Limits, spool};
    use crate::template::Template;

    fn rows() -> Rows {
        let totals = Totals::Names(vec!["amount".into()]);
        Rows::new(RowsDeclaration { totals, ..RowsDeclaration::new("entries") }, None).expect("no schema")
    }

    #[test]
    fn a_section_has_its_rows_and_the_sums_before_it() {
        let count = 300;
        let text: String = (1..=count).map(|n| format!("{{\"n\":{n},\"amount\":\"0.{n:03}\"}}\n")).collect();
        let template = Template::with_rows(rows());
        let head = Map::from_iter([("title".to_owned(), json!("x"))]);
        let mut file = Vec::new();
        let source = Cursor::new(text);
        let spooled =
            spool(source, Format::Ndjson, head, &template, &Limits::default(), &mut file).expect("rows as declared");
        for (first, rows_wanted) in [(0, 0), (0, 1), (0, 300), (99, 2), (100, 100), (150, 150), (299, 1), (300, 0)] {
            let mut data = Vec::new();
            let before = spooled
                .write_section(&rows(), Cursor::new(&file), first, rows_wanted, &mut data)
                .expect("a spool as it was written");
            let sum: u64 = (1..=first).sum();
            assert_eq!(before, [Decimal::new(sum.cast_signed(), 3)], "before row {first}");
            let data: Value = serde_json::from_slice(&data).expect("JSON");
            let numbers: Vec<_> =
                data["entries"].as_array().expect("rows").iter().map(|row| row["n"].as_u64()).collect();
            assert_eq!(numbers, (first + 1..=first + rows_wanted).map(Some).collect::<Vec<_>>());
            assert_eq!(data["title"], "x");
        }
    }
}
