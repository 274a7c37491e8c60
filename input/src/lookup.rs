//! The lines of an upload for faults that are found once its rows are spooled.

use std::collections::BTreeMap;
use std::io::{self, BufRead, Read, Seek};

use findings::escaped;

use crate::csv;
use crate::fault::{Fault, InputError};
use crate::locate::locate;
use crate::sink::{At, placed};
use crate::spool::{Format, reader, skip_mark};

/// Gives each fault the line of the part of the upload that its pointer leads to, and the column where the format has one.
/// Faults of what is not in the upload get none. `rows` is the property that is the rows. Ends at the last row with a fault.
pub fn find_lines(
    mut source: impl Read + Seek,
    format: Format,
    rows: Option<&str>,
    faults: &mut [Fault],
) -> Result<(), InputError> {
    skip_mark(&mut source)?;
    let mut wanted = Wanted::new(rows, faults);
    match format {
        Format::Json => locate(reader(source), 1, faults),
        Format::Ndjson => of_lines(reader(source), &mut wanted, faults).map_err(InputError::Read)?,
        Format::Csv(dialect) => {
            for (line, row) in csv::row_lines(reader(source), dialect).zip(0..) {
                if wanted.is_done() {
                    break;
                }
                wanted.place(row, At::Line(line), faults);
            }
        }
    }
    Ok(())
}

fn of_lines(mut source: impl BufRead, wanted: &mut Wanted, faults: &mut [Fault]) -> io::Result<()> {
    let (mut text, mut row) = (Vec::new(), 0);
    for line in 1.. {
        text.clear();
        if wanted.is_done() || source.read_until(b'\n', &mut text)? == 0 {
            break;
        }
        let text = text.trim_ascii_end();
        if !text.is_empty() {
            wanted.place(row, At::Text(line, text), faults);
            row += 1;
        }
    }
    Ok(())
}

/// The rows that have faults, and which faults these are.
struct Wanted(BTreeMap<u64, Vec<usize>>);

impl Wanted {
    fn new(rows: Option<&str>, faults: &[Fault]) -> Self {
        let before = rows.map(|rows| format!("/{}/", escaped(rows)));
        let mut wanted: BTreeMap<_, Vec<_>> = BTreeMap::new();
        for (index, fault) in faults.iter().enumerate() {
            let row =
                before.as_ref().and_then(|before| fault.pointer.strip_prefix(before)?.split('/').next()?.parse().ok());
            if let Some(row) = row {
                wanted.entry(row).or_default().push(index);
            }
        }
        Self(wanted)
    }

    fn is_done(&self) -> bool {
        self.0.is_empty()
    }

    /// Gives the faults of a row the place of the row, or of the part that they are about.
    fn place(&mut self, row: u64, at: At<'_>, faults: &mut [Fault]) {
        for index in self.0.remove(&row).into_iter().flatten() {
            let found = placed(vec![faults[index].clone()], at);
            faults[index..].iter_mut().zip(found).for_each(|(fault, found)| *fault = found);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use super::*;
    use crate::spool::Dialect;

    #[test]
    fn a_fault_gets_the_line_of_its_row() {
        let json = "{\"title\": \"T\",\n \"rows\": [{},\n  {\"name\": \"a\"}]}";
        let ndjson = "\u{feff}{}\n\n{\"x\": 1, \"name\": \"a\"}\n{}\n";
        let csv = "name\r\n\"a\r\nb\"\r\n\r\nc\r\n";
        for (text, format, places) in [
            (json, Format::Json, [(Some(3), Some(12)), (Some(1), Some(11))]),
            (ndjson, Format::Ndjson, [(Some(3), Some(18)), (None, None)]),
            (csv, Format::Csv(Dialect::default()), [(Some(5), None), (None, None)]),
        ] {
            let mut faults = ["/rows/1/name", "/title"].map(|pointer| Fault::new(pointer, "x"));
            find_lines(Cursor::new(text), format, Some("rows"), &mut faults).expect("a text");
            assert_eq!(faults.each_ref().map(|fault| (fault.line, fault.column)), places, "{format:?}");
            assert_eq!(faults[0].pointer, "/rows/1/name");
        }
    }
}
