//! Where rows go once they are read: checked, summed, marked and written to the spool.

use std::io::Write;

use serde_json::{Map, Value};

use crate::budget::CutOff;
use crate::fault::{Fault, InputError, MAX_FAULTS};
use crate::locate::locate;
use crate::spool::{Limits, MARK_EVERY, Mark, Spooled};
use crate::tally::{Seen, Tally};
use crate::template::{Rows, faults};

/// Reading must not go on; the [sink](Sink) knows why.
#[derive(Debug)]
pub(crate) struct Stop;

/// Where a row stands in its upload.
#[derive(Debug, Clone, Copy)]
pub(crate) enum At<'a> {
    /// It is found later, by its pointer.
    Anywhere,
    /// It begins on this line.
    Line(u64),
    /// It is this JSON text, which begins on this line.
    Text(u64, &'a [u8]),
}

/// A row as it was read.
#[derive(Debug)]
pub(crate) struct Row<'a> {
    /// As schemas are checked.
    pub(crate) plain: &'a Value,
    /// As it is spooled, where that is not the same.
    pub(crate) exact: Option<&'a Value>,
    /// What was found wrong with it when it was read.
    pub(crate) faults: Vec<Fault>,
    pub(crate) at: At<'a>,
}

/// What a sink took [beside](Sink::beside) another.
pub(crate) struct Taken {
    spooled: Spooled,
    written: Vec<u8>,
    seen: Seen,
}

/// Takes rows in.
pub(crate) struct Sink<'a, W> {
    pub(crate) template: &'a Rows,
    pub(crate) limits: &'a Limits,
    spool: W,
    pub(crate) tally: Tally,
    rows: u64,
    bytes: u64,
    marks: Vec<Mark>,
    line: Vec<u8>,
    faults: Vec<Fault>,
    /// What went wrong besides.
    error: Option<InputError>,
    stopped: bool,
}

impl<'a, W: Write> Sink<'a, W> {
    pub(crate) fn new(template: &'a Rows, limits: &'a Limits, tally: Tally, spool: W) -> Self {
        Self {
            template,
            limits,
            spool,
            tally,
            rows: 0,
            bytes: 0,
            marks: Vec::new(),
            line: Vec::new(),
            faults: Vec::new(),
            error: None,
            stopped: false,
        }
    }

    /// A sink for rows that come later, the first of them with this number: it takes them beside this one.
    pub(crate) fn beside(&self, first: u64) -> Sink<'a, Vec<u8>> {
        Sink { rows: first, ..Sink::new(self.template, self.limits, self.tally.beside(), Vec::new()) }
    }

    /// The pointer of the row that comes next.
    pub(crate) fn pointer(&self) -> String {
        format!("{}/{}", self.template.pointer(), self.rows)
    }

    /// Takes a row.
    pub(crate) fn row(&mut self, mut row: Row<'_>) -> Result<(), Stop> {
        let most = self.template.most.min(self.limits.rows);
        if self.rows >= most {
            let fault = Fault::new(self.pointer(), format!("there may be {most} rows, and this is one more"));
            self.stop(placed(vec![fault], row.at));
            return Err(Stop);
        }
        self.mark();
        let mut found = std::mem::take(&mut row.faults);
        if let Err(cut) = self.check(&row, &mut found) {
            return self.fail(InputError::of_check(cut, self.pointer()));
        }
        if found.is_empty()
            && self.faults.is_empty()
            && let Err(error) = self.write(row.exact.unwrap_or(row.plain))
        {
            return self.fail(InputError::Write(error));
        }
        self.rows += 1;
        if found.is_empty() { Ok(()) } else { self.note(placed(found, row.at)) }
    }

    /// Takes rows that a sink [beside](Self::beside) this one took and wrote, where they fit to those before them; answers
    /// whether they do. If they do not, they are to be taken row by row.
    pub(crate) fn append(&mut self, Taken { spooled: taken, written, seen }: &Taken) -> Result<bool, Stop> {
        let moved = |mark: &Mark| {
            let totals = self.tally.sums.plus(&mark.totals)?;
            Some(Mark { row: mark.row, offset: self.bytes + mark.offset, totals })
        };
        let marks: Option<Vec<_>> = taken.marks.iter().map(moved).collect();
        let (Some(marks), Some(totals)) = (marks, self.tally.sums.plus(&taken.totals)) else { return Ok(false) };
        if self.faults.is_empty()
            && let Err(error) = self.spool.write_all(written)
        {
            self.fail(InputError::Write(error))?;
        }
        self.marks.extend(marks);
        self.tally.sums.values = totals;
        self.tally.join(seen);
        self.rows = taken.rows;
        self.bytes += taken.bytes;
        Ok(true)
    }

    /// Takes a row that could not be read; those after it may be.
    pub(crate) fn unreadable(&mut self, faults: Vec<Fault>, at: At<'_>) -> Result<(), Stop> {
        self.rows += 1;
        self.note(placed(faults, at))
    }

    /// Takes the last faults: what comes after them cannot be understood.
    pub(crate) fn stop(&mut self, faults: Vec<Fault>) {
        _ = self.note(faults);
        self.stopped = true;
    }

    /// Takes an error that has nothing to do with what was read.
    pub(crate) fn fail(&mut self, error: InputError) -> Result<(), Stop> {
        self.error = Some(error);
        self.stopped = true;
        Err(Stop)
    }

    /// Whether reading was told to stop.
    pub(crate) fn is_stopped(&self) -> bool {
        self.stopped
    }

    /// Says that there are no more rows.
    pub(crate) fn end(&mut self) -> Result<(), Stop> {
        let least = self.template.least;
        if self.rows < least {
            let detail = format!("there must be {least} rows, and there are {}", self.rows);
            self.note(vec![Fault::new(self.template.pointer(), detail)])?;
        }
        // Rows with faults may have been left out of the tally.
        if self.rows > 0 && self.faults.is_empty() { self.note(self.tally.faults()) } else { Ok(()) }
    }

    /// Makes a mark, if the next row is to have one.
    fn mark(&mut self) {
        if self.rows.is_multiple_of(MARK_EVERY) {
            self.marks.push(Mark { row: self.rows, offset: self.bytes, totals: self.tally.sums.values.clone() });
        }
    }

    /// Adds to `found` what is wrong with a row in other places.
    fn check(&mut self, row: &Row<'_>, found: &mut Vec<Fault>) -> Result<(), CutOff> {
        let exact = row.exact.unwrap_or(row.plain);
        let Some(members) = exact.as_object() else {
            found.push(Fault::new(self.pointer(), "a row is a JSON object"));
            return Ok(());
        };
        if let Some(validator) = &self.template.row {
            let broken = faults(validator, row.plain, row.exact, &self.limits.check)?;
            add_new(found, broken.into_iter().map(|fault| fault.below(&self.pointer())).collect());
        }
        let unfit = self.tally.add(members, self.rows);
        add_new(found, unfit.iter().map(|unfit| self.template.fault(self.rows, unfit)).collect());
        Ok(())
    }

    fn write(&mut self, row: &Value) -> std::io::Result<()> {
        self.line.clear();
        serde_json::to_writer(&mut self.line, row)?;
        self.line.push(b'\n');
        self.bytes += self.line.len() as u64;
        self.spool.write_all(&self.line)
    }

    /// Takes faults.
    pub(crate) fn note(&mut self, faults: Vec<Fault>) -> Result<(), Stop> {
        self.faults.extend(faults);
        if self.faults.len() < MAX_FAULTS {
            return Ok(());
        }
        self.faults.truncate(MAX_FAULTS);
        self.stopped = true;
        Err(Stop)
    }

    /// What came of it all, and where it was written.
    pub(crate) fn spooled(self, rest: Map<String, Value>) -> Result<(Spooled, W), InputError> {
        if let Some(error) = self.error {
            return Err(error);
        }
        if !self.faults.is_empty() {
            return Err(InputError::Invalid(self.faults));
        }
        let spooled = Spooled {
            rest: rest.into(),
            rows: self.rows,
            bytes: self.bytes,
            warnings: self.tally.warnings(self.template),
            names: self.tally.sums.names,
            totals: self.tally.sums.values,
            marks: self.marks,
        };
        Ok((spooled, self.spool))
    }
}

impl Sink<'_, Vec<u8>> {
    /// What it took, if there was no fault in it.
    pub(crate) fn taken(self) -> Option<Taken> {
        let seen = self.tally.seen();
        let (spooled, written) = self.spooled(Map::new()).ok()?;
        Some(Taken { spooled, written, seen })
    }
}

/// Adds those faults that are about other values than those known.
fn add_new(known: &mut Vec<Fault>, more: Vec<Fault>) {
    let values = known.len();
    let is_new = |fault: &Fault| !known[..values].iter().any(|known| known.is_of(&fault.pointer));
    let more: Vec<_> = more.into_iter().filter(is_new).collect();
    known.extend(more);
}

/// Says where faults of a row are.
pub(crate) fn placed(mut faults: Vec<Fault>, at: At<'_>) -> Vec<Fault> {
    match at {
        At::Anywhere => {}
        At::Line(line) => faults.iter_mut().for_each(|fault| fault.line = Some(line)),
        At::Text(line, text) => {
            // Within its row, a fault has a pointer without the row's own two tokens.
            let within =
                |pointer: &str| pointer.splitn(4, '/').nth(3).map(|path| format!("/{path}")).unwrap_or_default();
            let pointers: Vec<_> = faults.iter().map(|fault| fault.pointer.clone()).collect();
            faults.iter_mut().for_each(|fault| fault.pointer = within(&fault.pointer));
            locate(text, line, &mut faults);
            faults.iter_mut().zip(pointers).for_each(|(fault, pointer)| fault.pointer = pointer);
        }
    }
    faults
}
