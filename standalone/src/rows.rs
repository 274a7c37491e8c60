//! Data whose rows are in a file of their own, put together for `pressrun render` by what reads uploads for a server.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::Path;

use input::{InputError, Limits, Template};
use jobs::{UploadFormat, Violation};
use processor::{format_of, violation_of};
use serde_json::Value;

/// Why rows were not put together.
pub(crate) enum RowsError {
    /// They do not fit.
    Invalid(Vec<Violation>),
    /// The template, or the data beside the rows, is not fit for it. Says why.
    Unusable(String),
    /// A file could not be read or written.
    Io(io::Error),
}

impl From<io::Error> for RowsError {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

/// Checks the rows in `source` and `head`, the data beside them, and writes all of it to `data`.
pub(crate) fn put_together(
    source: &Path,
    format: UploadFormat,
    head: Value,
    template: &Path,
    data: &Path,
) -> Result<(), RowsError> {
    let Value::Object(head) = head else {
        return Err(RowsError::Unusable("what --head names is not a JSON object".into()));
    };
    let template = Template::read(template).map_err(|error| RowsError::Unusable(error.to_string()))?;
    let spool = data.with_file_name("rows.ndjson");
    let mut rows = BufWriter::new(File::create(&spool)?);
    let (source, format) = (File::open(source)?, format_of(format));
    let spooled = input::spool(source, format, head, &template, &Limits::default(), &mut rows)?;
    rows.flush()?;
    let mut file = BufWriter::new(File::create(data)?);
    spooled.write_whole(template.rows(), File::open(spool)?, &mut file)?;
    Ok(file.flush()?)
}

impl From<InputError> for RowsError {
    fn from(error: InputError) -> Self {
        match error {
            InputError::Invalid(faults) => Self::Invalid(faults.into_iter().map(violation_of).collect()),
            InputError::RestTooLarge(_) => Self::Unusable(error.to_string()),
            InputError::Read(error) | InputError::Write(error) => Self::Io(error),
        }
    }
}
