//! A job's data, from the file it came in to what its template reads: all of it at once, or row by row.

use std::fs::File;
use std::io::{self, BufWriter, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use input::{Budget, CHECK_TIME, Fault, Format, Head, InputError, Json, NotRead, Spooled, Template, Unusable};
use jobs::{Dialect, Failure, Message, UploadFormat, Violation, Warning};
use sha2::Digest;
use typesetter::RowsOf;

use crate::digest::{Digest32, Digesting};
use crate::failure::{failure, invalid_data};
use crate::sections::Rows;
use crate::trouble::Trouble;
use crate::turns::{Gate, Hand, Turn};

/// Data in a file, and what belongs to it.
pub(crate) struct Source {
    /// What it is written in.
    pub(crate) format: Format,
    /// The file.
    pub(crate) file: PathBuf,
    /// The data beside its rows, where it holds rows only.
    pub(crate) head: Option<Json>,
    /// How the data came.
    pub(crate) origin: Origin,
}

/// How data came, which says where its lines are counted and how it is sent again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Origin {
    /// In the request.
    Request,
    /// In a file that was uploaded.
    Upload,
}

impl Origin {
    /// How data comes for this job.
    pub(crate) fn of(message: &Message) -> Self {
        if message.input.is_some() { Self::Upload } else { Self::Request }
    }

    /// The failure of data with these faults.
    pub(crate) fn invalid(self, faults: Vec<Fault>) -> Trouble {
        self.refused(faults.into_iter().map(violation_of).collect())
    }

    /// The failure of data with these violations.
    pub(crate) fn refused(self, mut violations: Vec<Violation>) -> Trouble {
        if self == Self::Upload {
            return Trouble::Permanent(invalid_data(violations, "Mend the data, upload it again and queue it again."));
        }
        // The message's lines are not those of the request.
        violations.iter_mut().for_each(|violation| (violation.line, violation.column) = (None, None));
        Trouble::Permanent(invalid_data(violations, "Mend the data and queue it again."))
    }
}

/// Reads data that was parked or queued.
pub(crate) fn read_json(text: &[u8]) -> Result<Json, Trouble> {
    Json::read(text).map_err(|error| match error {
        NotRead::Syntax(error) => error.into(),
        NotRead::Numbers(faults) => Origin::Request.invalid(faults),
    })
}

/// Which data is typeset in sections.
#[derive(Debug, Clone, Copy)]
pub struct Cutting {
    /// That with more rows than this, which a section has, or than 1,000; none if 0.
    pub section_rows: u64,
    /// Not that of a report with tags, or of an archival standard: sections can have neither.
    pub whole: bool,
    /// The most data that is typeset whole, in bytes of JSON.
    pub most_bytes: u64,
}

/// Data that was checked.
pub(crate) enum Data {
    /// In a file, for a report that is typeset whole.
    Whole {
        /// The rows, if the template declares any.
        rows: Option<RowsOf>,
        /// Doubts about the data.
        warnings: Vec<Warning>,
    },
    /// Row by row, for one that is typeset in sections; and a digest of all of it.
    Rows(Box<Rows>, Digest32),
}

/// The most rows of a report that is typeset whole with nobody asking for it: its tags take most of the time.
const FEW_ROWS: u64 = 1_000;

/// The most rows of a report that must be typeset whole: its tags take more memory than anything else.
const MOST_WHOLE_ROWS: u64 = 5_000;

/// Checks data against the template in `template`. The rows lie in `spool`; data that is typeset whole is written to `data`
/// as one JSON text. It does so in the report's turns, and ends early once nobody waits for it.
pub(crate) async fn unpack(
    turn: &Turn,
    source: Source,
    template: PathBuf,
    spool: PathBuf,
    data: PathBuf,
    cutting: Cutting,
) -> Result<Data, Trouble> {
    let asking = turn.ask();
    asking.granted().await;
    let end = EndOnDrop(Arc::default());
    let gate = end.0.clone();
    let _working = asking.work(Hand::Thread(gate.clone()));
    let unpacked = tokio::task::spawn_blocking(move || {
        let template = Template::read(&template).map_err(|error| unusable(error, &template))?;
        let (spooled, digest) = to_spool(source, &template, &spool, cutting.most_bytes, gate)?;
        let rows = Rows { template, spooled, spool };
        if cutting.cuts(rows.spooled.rows).map_err(Trouble::Permanent)? {
            return Ok(Data::Rows(Box::new(rows), digest));
        }
        to_data(&rows, &data, cutting.most_bytes)?;
        Ok(Data::Whole { rows: rows.known(), warnings: rows.spooled.warnings })
    });
    unpacked.await.unwrap_or_else(|error| std::panic::resume_unwind(error.into_panic()))
}

impl Cutting {
    /// Whether so many rows are typeset in sections.
    ///
    /// # Errors
    ///
    /// They would have to be, and may not be.
    pub fn cuts(self, rows: u64) -> Result<bool, Failure> {
        let cuts = self.section_rows > 0 && rows > self.section_rows.min(FEW_ROWS);
        if cuts && self.whole && rows > MOST_WHOLE_ROWS {
            let detail = format!(
                "A report of {rows} rows is typeset in sections, which have no tags and are neither PDF/A nor PDF/UA nor \
                 PDF 1.4. Ask for none of these, or send {MOST_WHOLE_ROWS} rows at most."
            );
            return Err(failure("options-refused", detail));
        }
        Ok(cuts && !self.whole)
    }
}

/// Reads and checks the data; its rows go to `spool`. Answers also with a digest of the data.
fn to_spool(
    from: Source,
    template: &Template,
    spool: &Path,
    rest_bytes: u64,
    gate: Arc<Gate>,
) -> Result<(Spooled, Digest32), Trouble> {
    let origin = from.origin;
    // The listener takes nothing but an object.
    let head = from.head.and_then(|head| Head::try_from(head).ok()).unwrap_or_default();
    let limits = input::Limits { rest_bytes, check: Budget::default().until(gate.ended()), ..input::Limits::default() };
    let source = Gated { source: File::open(&from.file)?, gate };
    let mut rows = Digesting::new(BufWriter::new(File::create(spool)?));
    let spooled = input::spool(source, from.format, head, template, &limits, &mut rows)
        .map_err(|error| trouble(error, origin))?;
    rows.flush()?;
    // What was read is of no more use, and the disk may be small.
    std::fs::remove_file(&from.file)?;
    let digest = rows.digest.chain_update(spooled.rest.to_string()).finalize();
    Ok((spooled, digest.into()))
}

/// What reads an upload of this format; CSV in this dialect.
pub fn format_of(upload: UploadFormat, Dialect { separator, decimal_comma }: Dialect) -> Format {
    match upload {
        UploadFormat::Json => Format::Json,
        UploadFormat::Ndjson => Format::Ndjson,
        UploadFormat::Csv => {
            // All separators are ASCII.
            let separator = u8::try_from(separator.character()).unwrap_or(b',');
            Format::Csv(input::Dialect { separator, decimal_comma })
        }
    }
}

/// These violations with the lines of the upload in `file` that they are on. `rows` is the property that is its rows.
pub(crate) async fn with_lines(
    violations: Vec<Violation>,
    format: Format,
    file: PathBuf,
    rows: Option<String>,
) -> Result<Vec<Violation>, Trouble> {
    let fault = |Violation { line, column, pointer, detail }| Fault { line, column, pointer, detail };
    let mut faults: Vec<_> = violations.into_iter().map(fault).collect();
    let found = tokio::task::spawn_blocking(move || {
        input::find_lines(File::open(&file)?, format, rows.as_deref(), &mut faults).map_err(io::Error::other)?;
        Ok(faults.into_iter().map(violation_of).collect())
    });
    found.await.unwrap_or_else(|error| std::panic::resume_unwind(error.into_panic()))
}

/// A fault as a job's failure tells of it.
pub fn violation_of(Fault { line, column, pointer, detail }: Fault) -> Violation {
    Violation { line, column, pointer, detail }
}

/// Puts the data together, if that is within the data limit.
fn to_data(rows: &Rows, data: &Path, most_bytes: u64) -> Result<(), Trouble> {
    let bytes = rows.spooled.whole_bytes(rows.template.rows());
    if bytes > most_bytes {
        return Err(too_large(bytes, most_bytes));
    }
    Ok(rows.write_whole(data)?)
}

fn too_large(bytes: u64, most_bytes: u64) -> Trouble {
    let detail =
        format!("The data has {bytes} bytes and may have {most_bytes}. Send less of it, or raise the data limit.");
    Trouble::Permanent(failure("data-limit-exceeded", detail))
}

fn trouble(error: InputError, origin: Origin) -> Trouble {
    match error {
        InputError::Invalid(faults) => origin.invalid(faults),
        InputError::RestTooLarge(limit) => {
            let detail = format!(
                "Beside its rows it has more than {limit} bytes, which is the data limit. Send less, or raise that limit."
            );
            Trouble::Permanent(failure("data-limit-exceeded", detail))
        }
        InputError::TooCostly(pointer) => {
            let detail = format!(
                "The template's schema takes more than {} s to check the data at `{pointer}`. Send data that is nested less \
                 deep, or have the schema simplified.",
                CHECK_TIME.as_secs()
            );
            Trouble::Permanent(failure("schema-too-costly", detail))
        }
        InputError::Stopped => io::Error::other(STOPPED).into(),
        InputError::Read(error) | InputError::Write(error) => error.into(),
    }
}

/// The template in `folder` cannot be used. Callers are not told where on this machine that is.
fn unusable(error: Unusable, folder: &Path) -> Trouble {
    match error {
        Unusable::Io { source, .. } => source.into(),
        Unusable::Broken { path, reason } => {
            let path = folder.parent().and_then(|templates| path.strip_prefix(templates).ok()).unwrap_or(&path).into();
            Trouble::Permanent(failure("template-error", format!("{}.", Unusable::Broken { path, reason })))
        }
    }
}

/// Why a thread ends for which nobody waits any more.
const STOPPED: &str = "the run was stopped";

/// Tells a thread that nobody waits for it any more.
struct EndOnDrop(Arc<Gate>);

impl Drop for EndOnDrop {
    fn drop(&mut self) {
        self.0.end();
    }
}

/// A file that is read through a gate.
struct Gated {
    source: File,
    gate: Arc<Gate>,
}

impl Read for Gated {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if !self.gate.pass() {
            return Err(io::Error::other(STOPPED));
        }
        self.source.read(buffer)
    }
}

impl Seek for Gated {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.source.seek(to)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use serde_json::{Value, json};

    use super::*;

    /// The first object in a JSON value whose member `name` has this value.
    fn found<'a>(value: &'a Value, name: &str, wanted: &str) -> Option<&'a Value> {
        let has_it = value.get(name).is_some_and(|member| member == wanted);
        let members = || value.as_object().into_iter().flatten().map(|(_, member)| member);
        let elements = || value.as_array().into_iter().flatten();
        if has_it { Some(value) } else { members().chain(elements()).find_map(|part| found(part, name, wanted)) }
    }

    #[test]
    fn the_example_of_a_misfit_is_true() {
        let document = include_str!("../../resources/openapi.json");
        let document: Value = serde_json::from_str(document).expect("JSON");
        let job = found(&document, "input", "01a1fd87-9c3e-7b11-8f60-2c51d7a0e4b9.semicolon.decimal-comma.csv");
        let job = job.expect("an example");
        let template = Template::read(Path::new("../templates/statement")).expect("a template");
        let head = json!({
            "locale": "en-GB", "currency": "GBP", "issuer": {"name": "B", "address": ["x"]},
            "holder": {"name": "H", "address": ["x"]}, "account": {"number": "1"},
            "period": {"from": "2026-07-01", "to": "2026-07-31"}, "opening_balance": 0,
        });
        let head = Head::from(head.as_object().expect("an object").clone());
        let rows = "date;description;amount\n2026-07-01;a;1,5\n2026-07-35;b;1,5\n";
        let format = Format::Csv(input::Dialect { separator: b';', decimal_comma: true });
        let limits = input::Limits::default();
        let refused = input::spool(Cursor::new(rows), format, head, &template, &limits, &mut Vec::new());
        let Err(Trouble::Permanent(failure)) = refused.map_err(|error| trouble(error, Origin::Upload)) else {
            panic!("it is taken")
        };
        assert_eq!(job["error"]["detail"], failure.detail);
        assert_eq!(job["error"]["errors"], json!(failure.errors));
    }
    #[test]
    fn a_broken_template_is_named_without_its_place_on_this_machine() {
        let folder = tempfile::tempdir().expect("a folder");
        let template = folder.path().join("mine");
        std::fs::create_dir(&template).expect("a folder");
        std::fs::write(template.join("schema.json"), "{").expect("a file");
        let error = Template::read(&template).expect_err("it is broken");
        let Trouble::Permanent(failure) = unusable(error, &template) else { panic!("it may pass") };
        assert!(failure.detail.starts_with("mine/schema.json is not what it should be: "), "{}", failure.detail);
    }
}
