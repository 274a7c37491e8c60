//! `pressrun render`: template and data in, file out, with errors and exit statuses that a script can use.

use std::fs;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::thread::available_parallelism;

use chrono::{DateTime, NaiveTime, Utc};
use input::{Budget, Costly, CutOff, Head, Json, NotRead};
use jobs::UploadFormat;
use jobs::job::is_template_name;
use listener::catalogue::{Template, Unusable, Violations};
use processor::{Cutting, Limits, LongError, LongReport, Press, PressError, Rows, failure_of, format_of, violation_of};
use tempfile::TempDir;
use typesetter::{Format, Options, OutputLimits, PdfStandard, Report, Request};

use crate::caller::{complain, place as place_of};
use crate::cli::Render;
use crate::output::place;
use crate::progress::Progress;
use crate::rows::{self, RowsError, Shown};
use crate::send::format_of_rows;

/// Why there is no file. Each kind has an exit status of its own.
#[derive(Debug, thiserror::Error)]
enum RenderError {
    #[error("{0}")]
    Usage(String),
    #[error("{name} does not fit the schema of `{template}`")]
    Data { name: String, template: String, violations: Violations },
    /// The same for a file of rows.
    #[error("{name} does not fit the schema of `{template}`")]
    Rows { name: String, template: String, violations: Vec<jobs::Violation> },
    #[error("{name} has numbers of too many digits")]
    Numbers { name: String, violations: Vec<jobs::Violation> },
    #[error("{0}")]
    Unusable(String),
    #[error("{name} cannot be read: {detail}")]
    NotUtf8 { name: String, detail: String },
    #[error("{name} is not JSON: {source}")]
    NotJson { name: String, source: serde_json::Error },
    #[error("{name} is not a JSON object, with the data beside the rows")]
    NotAnObject { name: String },
    #[error("{0}")]
    TooLarge(String),
    #[error(transparent)]
    Template(#[from] Unusable),
    #[error(transparent)]
    Press(#[from] PressError),
    #[error(transparent)]
    Long(LongError),
    #[error("interrupted")]
    Interrupted,
    #[error("cannot {attempted}: {source}")]
    Io { attempted: String, source: io::Error },
}

impl From<LongError> for RenderError {
    fn from(error: LongError) -> Self {
        match error {
            LongError::Press(error) => Self::Press(error),
            LongError::Io(source) => failed_to("work in the temporary folder")(source),
            error => Self::Long(error),
        }
    }
}

impl RenderError {
    fn too_costly(cut: CutOff) -> Self {
        Self::TooLarge(cut.to_string())
    }
}

/// From this many children's worth of data on, they learn the template while it is read.
const REHEARSED: usize = 16;

/// Renders one report and says how it went.
pub(crate) fn render(options: Render) -> ExitCode {
    match run(&options) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            print(&error);
            ExitCode::from(status_of(&error))
        }
    }
}

#[tokio::main(flavor = "current_thread")]
async fn run(options: &Render) -> Result<(), RenderError> {
    let folder = template_folder(options)?;
    let work = TempDir::with_prefix("pressrun-").map_err(failed_to("make a temporary folder"))?;
    let request = request(options, &folder, work.path())?;
    let cores = available_parallelism().map_or(1, usize::from);
    let press = Press::of_this_program(cores, Limits::from(&options.limits)).map_err(PressError::Unusable)?;
    // While the data is read.
    for _ in 0..children_for(options, &folder).min(press.slots()) {
        press.warm_up().map_err(PressError::Unusable)?;
    }
    let report = match read_rows(options, &folder, work.path(), &press, &request).await? {
        Some(rows) => typeset_rows(options, &press, request, rows).await?,
        None => {
            copy_data(options, &folder, &request.data)?;
            typeset(&press, &request).await?
        }
    };
    for diagnostic in &report.diagnostics {
        complain(format!("{diagnostic}\n"));
    }
    for warning in &report.warnings {
        complain(format!("warning: {warning}"));
    }
    write(options, &folder, &report)
}

/// How many children have something to do, as far as the size of the data tells.
fn children_for(options: &Render, folder: &Path) -> usize {
    const BYTES_EACH: u64 = 128 << 10;
    let cut = options.format == Format::Pdf && options.limits.section_rows > 0;
    let file = options.data.as_deref().filter(|_| cut && folder.join("template.json").is_file());
    let bytes = file.and_then(|path| fs::metadata(path).ok()).map_or(0, |file| file.len());
    usize::try_from(bytes / BYTES_EACH).unwrap_or(usize::MAX).max(1)
}

/// Checks the data and writes it where the template reads it.
fn copy_data(options: &Render, folder: &Path, to: &Path) -> Result<(), RenderError> {
    let template = Template::read(&options.template, folder)?;
    if options.head.is_some() {
        return Err(RenderError::Usage("--head goes with rows: name a .ndjson or .csv file with --data".into()));
    }
    let data = read_data(options, folder)?;
    warn_of_costly(&template.costly);
    let violations = template.violations(&data.json, "", &Budget::default()).map_err(RenderError::too_costly)?;
    if !violations.is_empty() {
        return Err(RenderError::Data { name: data.name, template: options.template.clone(), violations });
    }
    fs::write(to, data.json.exact().to_string()).map_err(failed_to("write to the temporary folder"))
}

/// Says what of the template's schema can make checks take too long.
fn warn_of_costly(costly: &[Costly]) {
    for costly in costly {
        eprintln!("warning: {costly}");
    }
}

/// Reads the data row by row, if the template declares rows and the data is in a file.
async fn read_rows(
    options: &Render,
    folder: &Path,
    work: &Path,
    press: &Press,
    request: &Request,
) -> Result<Option<Rows>, RenderError> {
    let (given, sample) = (options.data.as_deref(), folder.join("sample.json"));
    let path = given.unwrap_or(&sample);
    let rows = format_of_rows(path);
    options.csv.check(rows).map_err(RenderError::Usage)?;
    let format = match rows {
        Some(format) => format,
        None if folder.join("template.json").is_file() && options.head.is_none() => UploadFormat::Json,
        None => return Ok(None),
    };
    let (name, path) = match path.as_os_str() == "-" {
        true => ("standard input".to_owned(), spooled_stdin(work)?),
        false => (path.display().to_string(), path.to_owned()),
    };
    let head = options.head.as_deref().map(read_head).transpose()?.unwrap_or_default();
    let explain = |error| match error {
        RowsError::Invalid(violations) => RenderError::Rows { name, template: options.template.clone(), violations },
        RowsError::Unusable(reason) => RenderError::Unusable(reason),
        RowsError::TooLarge(detail) => RenderError::TooLarge(detail),
        RowsError::TooCostly(detail) => RenderError::TooLarge(detail),
        RowsError::Io(source) => failed_to(format!("read {name} into the temporary folder"))(source),
    };
    let read = async {
        let template = input::Template::read(folder)?;
        warn_of_costly(&template.costly());
        // With little data it would be what the data waits for.
        if children_for(options, folder) > REHEARSED
            && let Some(rehearsal) = rows::rehearsal(request, &template)
        {
            press.rehearse(&rehearsal).await;
        }
        rows::read(&path, format_of(format, options.csv.dialect()), head, template, work)
    };
    read.await.map(Some).map_err(explain)
}

/// The data beside the rows.
fn read_head(path: &Path) -> Result<Head, RenderError> {
    let Data { name, json } = read_json(path)?;
    Head::try_from(json).map_err(|_| RenderError::NotAnObject { name })
}

/// Standard input as a file.
fn spooled_stdin(work: &Path) -> Result<PathBuf, RenderError> {
    let path = work.join("stdin.json");
    let copied = fs::File::create(&path).and_then(|mut file| io::copy(&mut io::stdin().lock(), &mut file));
    copied.map_err(failed_to("read standard input"))?;
    Ok(path)
}

async fn typeset_rows(
    options: &Render,
    press: &Press,
    mut request: Request,
    rows: Rows,
) -> Result<Report, RenderError> {
    let cutting = Cutting {
        section_rows: if options.format == Format::Pdf { options.limits.section_rows } else { 0 },
        whole: options.pdf_standard.is_some_and(PdfStandard::is_for_whole_documents),
        most_bytes: u64::MAX,
    };
    if cutting.cuts(rows.spooled.rows).map_err(|failure| RenderError::Usage(failure.detail))? {
        return typeset_long(options, press, request, rows).await;
    }
    rows.write_whole(&request.data).map_err(failed_to("write to the temporary folder"))?;
    request.rows = rows.known();
    let mut report = typeset(press, &request).await?;
    findings::merge(&mut report.warnings, rows.spooled.warnings);
    Ok(report)
}

async fn typeset_long(
    options: &Render,
    press: &Press,
    mut request: Request,
    rows: Rows,
) -> Result<Report, RenderError> {
    request.options.tagged = false;
    let output = request.output.join("report.pdf");
    let (section_rows, progress) = (options.limits.section_rows, Progress::new());
    let turn = press.begin("");
    let long =
        LongReport { press, turn: &turn, request, rows: Arc::new(rows), section_rows, time: press.limits().time };
    let shown = Shown(progress.clone());
    let made = tokio::select! {
        made = long.make(&shown, &output) => made.map_err(RenderError::from),
        () = interrupted() => Err(RenderError::Interrupted),
    };
    progress.end();
    made
}

async fn typeset(press: &Press, request: &Request) -> Result<Report, RenderError> {
    let turn = press.begin("");
    tokio::select! {
        report = press.typeset(&turn, request, press.limits().time) => Ok(report?),
        () = interrupted() => Err(RenderError::Interrupted),
    }
}

/// Returns when somebody presses Ctrl-C: the temporary folder is to be removed.
async fn interrupted() {
    if tokio::signal::ctrl_c().await.is_err() {
        std::future::pending().await
    }
}

/// A name is a template's in the folder of templates; anything else, or a name that is not there, is a path.
fn template_folder(options: &Render) -> Result<PathBuf, RenderError> {
    let named = options.templates.join(&options.template);
    let is_template = |folder: &Path| folder.join("main.typ").is_file();
    let folder = match is_template_name(&options.template) && is_template(&named) {
        true => named.clone(),
        false => PathBuf::from(&options.template),
    };
    if !is_template(&folder) {
        let detail = format!("there is no template `{}`: no main.typ in {}", options.template, named.display());
        return Err(RenderError::Usage(detail));
    }
    fs::canonicalize(folder).map_err(failed_to("find the template's folder"))
}

/// Data, and what to call it in a message.
struct Data {
    name: String,
    json: Json,
}

fn read_data(options: &Render, folder: &Path) -> Result<Data, RenderError> {
    let (name, bytes) = match &options.data {
        Some(path) if path.as_os_str() == "-" => {
            let mut bytes = Vec::new();
            io::stdin().read_to_end(&mut bytes).map_err(failed_to("read standard input"))?;
            ("standard input".to_owned(), bytes)
        }
        other => {
            let path = other.clone().unwrap_or_else(|| folder.join("sample.json"));
            return read_json(&path);
        }
    };
    parsed(name, &bytes)
}

fn read_json(path: &Path) -> Result<Data, RenderError> {
    let name = path.display().to_string();
    let bytes = fs::read(path).map_err(failed_to(format!("read {name}")))?;
    parsed(name, &bytes)
}

fn parsed(name: String, bytes: &[u8]) -> Result<Data, RenderError> {
    let text = match input::utf8(bytes) {
        Ok(text) => text,
        Err(detail) => return Err(RenderError::NotUtf8 { name, detail }),
    };
    match Json::read(text) {
        Ok(json) => Ok(Data { name, json }),
        Err(NotRead::Syntax(source)) => Err(RenderError::NotJson { name, source }),
        Err(NotRead::Numbers(faults)) => {
            Err(RenderError::Numbers { name, violations: faults.into_iter().map(violation_of).collect() })
        }
    }
}

fn request(options: &Render, template: &Path, work: &Path) -> Result<Request, RenderError> {
    let name = template.file_name().map(|name| name.to_string_lossy().into_owned());
    let mut chosen = Options::new(timestamp(options)?, name.unwrap_or_default());
    chosen.format = options.format;
    chosen.pdf_standard = options.pdf_standard;
    chosen.tagged = !options.no_tags;
    chosen.on_missing_glyph = options.on_missing_glyph;
    chosen.ppi = options.ppi;
    let limits = Limits::from(&options.limits);
    let templates = std::path::absolute(&options.templates).map_err(failed_to("find the folder of templates"))?;
    Ok(Request {
        template: template.to_owned(),
        kit: templates.join("kit"),
        data: work.join("data.json"),
        output: work.to_owned(),
        options: chosen,
        limits: OutputLimits { max_output_bytes: limits.output_bytes, max_pages: limits.pages },
        section: None,
        rows: None,
    })
}

/// The same bytes all day without being told a date, and for ever with one.
fn timestamp(options: &Render) -> Result<DateTime<Utc>, RenderError> {
    if let Some(timestamp) = options.timestamp {
        return Ok(timestamp);
    }
    let Ok(epoch) = std::env::var("SOURCE_DATE_EPOCH") else {
        return Ok(Utc::now().with_time(NaiveTime::MIN).single().unwrap_or_default());
    };
    let time = epoch.parse().ok().and_then(|seconds| DateTime::from_timestamp(seconds, 0));
    time.ok_or_else(|| {
        RenderError::Usage(format!("SOURCE_DATE_EPOCH is `{epoch}`, not a number of seconds since 1970"))
    })
}

/// Puts the pages where they were asked for. A file appears under its name only when it is whole.
fn write(options: &Render, template: &Path, report: &Report) -> Result<(), RenderError> {
    let default = || {
        let name = template.file_name().unwrap_or_default();
        PathBuf::from(format!("{}.{}", name.to_string_lossy(), options.format))
    };
    let output = options.output.clone().unwrap_or_else(default);
    if output.as_os_str() == "-" {
        return write_to_stdout(&report.files);
    }
    let width = report.files.len().to_string().len();
    for (index, file) in report.files.iter().enumerate() {
        let target = match report.files.len() {
            1 => output.clone(),
            _ => numbered(&output, index + 1, width),
        };
        place(file, &target).map_err(failed_to(format!("write {}", target.display())))?;
    }
    Ok(())
}

fn write_to_stdout(files: &[PathBuf]) -> Result<(), RenderError> {
    let [file] = files else {
        let detail =
            format!("standard output takes one file, and there are {} pages: name a file with -o", files.len());
        return Err(RenderError::Usage(detail));
    };
    let bytes = fs::read(file).map_err(failed_to("read the report"))?;
    io::stdout().write_all(&bytes).and_then(|()| io::stdout().flush()).map_err(failed_to("write to standard output"))
}

/// `page.png` becomes `page-01.png`.
fn numbered(output: &Path, number: usize, width: usize) -> PathBuf {
    let stem = output.file_stem().unwrap_or_default().to_string_lossy();
    let extension = output.extension().map(|it| format!(".{}", it.to_string_lossy())).unwrap_or_default();
    output.with_file_name(format!("{stem}-{number:0width$}{extension}"))
}

fn failed_to(attempted: impl Into<String>) -> impl FnOnce(io::Error) -> RenderError {
    let attempted = attempted.into();
    move |source| RenderError::Io { attempted, source }
}

fn print(error: &RenderError) {
    match error {
        RenderError::Data { violations, .. } => {
            complain(format!("error: {error}:"));
            for violation in &violations.listed {
                complain(format!("  {}: {}", place_of(&violation.pointer), violation.detail));
            }
            if violations.more > 0 {
                complain(format!("  and {} more", violations.more));
            }
        }
        RenderError::Rows { violations, .. } | RenderError::Numbers { violations, .. } => {
            complain(format!("error: {error}:"));
            for violation in violations {
                complain(format!("  {violation}"));
            }
        }
        RenderError::Press(PressError::Typesetter(typesetter::Error::InvalidData { violations })) => {
            complain("error: the data does not fit the template:");
            for violation in violations {
                complain(format!("  {violation}"));
            }
        }
        RenderError::Press(PressError::Typesetter(error)) if !error.diagnostics().is_empty() => {
            for diagnostic in error.diagnostics() {
                complain(format!("{diagnostic}\n"));
            }
        }
        RenderError::Press(press) => match failure_of(press) {
            Some(failure) => complain(format!("error: {} {}", failure.title, failure.detail)),
            None => complain(format!("error: {press}")),
        },
        _ => complain(format!("error: {error}")),
    }
}

fn status_of(error: &RenderError) -> u8 {
    use typesetter::Error as Typesetter;
    match error {
        RenderError::TooLarge(_)
        | RenderError::Press(PressError::TimeLimit(_) | PressError::MemoryLimit(_))
        | RenderError::Press(PressError::Typesetter(
            Typesetter::OutputTooLarge { .. } | Typesetter::TooManyPages { .. },
        )) => 4,
        RenderError::Usage(_) | RenderError::Press(PressError::Typesetter(Typesetter::Options { .. })) => 2,
        RenderError::Data { .. }
        | RenderError::Rows { .. }
        | RenderError::Numbers { .. }
        | RenderError::NotUtf8 { .. }
        | RenderError::NotJson { .. }
        | RenderError::NotAnObject { .. }
        | RenderError::Press(PressError::Typesetter(Typesetter::InvalidData { .. })) => 3,
        RenderError::Io { .. }
        | RenderError::Template(Unusable::Io { .. })
        | RenderError::Press(PressError::Unusable(_) | PressError::Typesetter(Typesetter::Io { .. })) => 5,
        RenderError::Interrupted => 130,
        RenderError::Template(_) | RenderError::Unusable(_) | RenderError::Press(_) | RenderError::Long(_) => 1,
    }
}
