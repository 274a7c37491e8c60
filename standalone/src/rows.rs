//! Data row by row, read for `pressrun render` by what reads uploads for a server.

use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::Path;

use async_trait::async_trait;
use input::{Decimal, Format, Head, InputError, Limits, Template, Unusable};
use jobs::{Violation, Warning};
use processor::{LongError, Rows, Settled, Watch, violation_of};
use serde_json::{Map, Value};
use typesetter::{Request, Section};

use crate::progress::Progress;

/// Why rows were not put together.
pub(crate) enum RowsError {
    /// They do not fit.
    Invalid(Vec<Violation>),
    /// The template is not fit for it. Says why.
    Unusable(String),
    /// The data beside the rows is beyond its limit. Says which.
    TooLarge(String),
    /// The check of the data takes too long. Says of which.
    TooCostly(String),
    /// A file could not be read or written.
    Io(io::Error),
}

impl From<Unusable> for RowsError {
    fn from(error: Unusable) -> Self {
        Self::Unusable(error.to_string())
    }
}

impl From<io::Error> for RowsError {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

/// What lets a typesetter know a template before there is data: its sample, measured. `None` if it has no sample, or no rows.
pub(crate) fn rehearsal(request: &Request, template: &Template) -> Option<Request> {
    let data = request.template.join("sample.json");
    let rest: Map<String, Value> = serde_json::from_slice(&fs::read(&data).ok()?).ok()?;
    let summed = template.rows()?.summed(&rest).ok()?;
    let totals = summed.into_iter().map(|name| (name, Decimal::ZERO.to_string())).collect();
    let section = Some(Section { totals, ..Section::measuring() });
    Some(Request { data, section, ..request.clone() })
}

/// Checks the rows in `source` and `head`, the data beside them, and spools them in the folder `work`.
pub(crate) fn read(
    source: &Path,
    format: Format,
    head: Head,
    template: Template,
    work: &Path,
) -> Result<Rows, RowsError> {
    let spool = work.join("rows.ndjson");
    let mut rows = BufWriter::new(File::create(&spool)?);
    let source = File::open(source)?;
    let spooled = input::spool(source, format, head, &template, &Limits::default(), &mut rows)?;
    rows.flush()?;
    Ok(Rows { template, spooled, spool })
}

/// Shows how far a report is that is typeset in sections.
pub(crate) struct Shown(pub(crate) Progress);

#[async_trait]
impl Watch for Shown {
    async fn settled(&self) -> Result<Option<Settled>, LongError> {
        Ok(None)
    }

    async fn settle(&self, _: &Settled) -> Result<(), LongError> {
        Ok(())
    }

    async fn recall(&self, _: usize, _: &Path) -> Result<Option<Vec<Warning>>, LongError> {
        Ok(None)
    }

    async fn keep(&self, _: usize, _: &Path, _: &[Warning]) -> Result<(), LongError> {
        Ok(())
    }

    async fn hear(&self, progress: jobs::Progress) -> Result<(), LongError> {
        self.0.sections(&progress);
        Ok(())
    }
}

impl From<InputError> for RowsError {
    fn from(error: InputError) -> Self {
        match error {
            InputError::Invalid(faults) => Self::Invalid(faults.into_iter().map(violation_of).collect()),
            InputError::RestTooLarge(_) => Self::TooLarge(error.to_string()),
            InputError::TooCostly(_) | InputError::Stopped => Self::TooCostly(error.to_string()),
            InputError::Read(error) | InputError::Write(error) => Self::Io(error),
        }
    }
}
