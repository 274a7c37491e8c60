//! `pressrun render`: template and data in, file out, with errors and exit statuses that a script can use.

use std::fs;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use chrono::{DateTime, NaiveTime, Utc};
use jobs::job::is_template_name;
use listener::catalogue::{Template, Unusable, Violation};
use processor::{Limits, Press, PressError, failure_of};
use serde_json::Value;
use tempfile::TempDir;
use typesetter::{Options, OutputLimits, Report, Request};

use crate::cli::Render;
use crate::output::place;

/// Why there is no file. Each kind has an exit status of its own.
#[derive(Debug, thiserror::Error)]
enum RenderError {
    #[error("{0}")]
    Usage(String),
    #[error("{name} does not fit the schema of `{template}`")]
    Data { name: String, template: String, violations: Vec<Violation> },
    #[error("{name} is not JSON: {source}")]
    NotJson { name: String, source: serde_json::Error },
    #[error(transparent)]
    Template(#[from] Unusable),
    #[error(transparent)]
    Press(#[from] PressError),
    #[error("cannot {attempted}: {source}")]
    Io { attempted: String, source: io::Error },
}

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

fn run(options: &Render) -> Result<(), RenderError> {
    let folder = template_folder(options)?;
    let template = Template::read(&options.template, &folder)?;
    let data = read_data(options, &folder)?;
    let violations = template.violations(&data.json, "");
    if !violations.is_empty() {
        return Err(RenderError::Data { name: data.name, template: options.template.clone(), violations });
    }
    let work = TempDir::with_prefix("pressrun-").map_err(failed_to("make a temporary folder"))?;
    let request = request(options, &folder, work.path())?;
    fs::write(&request.data, data.json.to_string()).map_err(failed_to("write to the temporary folder"))?;
    let report = typeset(options, &request)?;
    for warning in &report.warnings {
        eprintln!("{warning}\n");
    }
    write(options, &folder, &report)
}

#[tokio::main(flavor = "current_thread")]
async fn typeset(options: &Render, request: &Request) -> Result<Report, RenderError> {
    let limits = Limits::from(&options.limits);
    let press = Press::of_this_program(1, limits).map_err(PressError::Unusable)?;
    Ok(press.typeset(request, limits.time).await?)
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
    json: Value,
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
            let name = path.display().to_string();
            let bytes = fs::read(&path).map_err(failed_to(format!("read {name}")))?;
            (name, bytes)
        }
    };
    match serde_json::from_slice(&bytes) {
        Ok(json) => Ok(Data { name, json }),
        Err(source) => Err(RenderError::NotJson { name, source }),
    }
}

fn request(options: &Render, template: &Path, work: &Path) -> Result<Request, RenderError> {
    let name = template.file_name().map(|name| name.to_string_lossy().into_owned());
    let mut chosen = Options::new(timestamp(options)?, name.unwrap_or_default());
    chosen.format = options.format;
    chosen.pdf_standard = options.pdf_standard;
    chosen.tagged = !options.no_tags;
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
            eprintln!("error: {error}:");
            for violation in violations {
                let pointer = if violation.pointer.is_empty() { "/" } else { &violation.pointer };
                eprintln!("  {pointer}: {}", violation.detail);
            }
        }
        RenderError::Press(PressError::Typesetter(error)) if !error.diagnostics().is_empty() => {
            for diagnostic in error.diagnostics() {
                eprintln!("{diagnostic}\n");
            }
        }
        RenderError::Press(press) => match failure_of(press) {
            Some(failure) => eprintln!("error: {} {}", failure.title, failure.detail),
            None => eprintln!("error: {press}"),
        },
        _ => eprintln!("error: {error}"),
    }
}

fn status_of(error: &RenderError) -> u8 {
    use typesetter::Error as Typesetter;
    match error {
        RenderError::Press(PressError::TimeLimit(_) | PressError::MemoryLimit(_))
        | RenderError::Press(PressError::Typesetter(Typesetter::OutputTooLarge { .. })) => 4,
        RenderError::Usage(_) | RenderError::Press(PressError::Typesetter(Typesetter::Options { .. })) => 2,
        RenderError::Data { .. } | RenderError::NotJson { .. } => 3,
        RenderError::Io { .. }
        | RenderError::Template(Unusable::Io { .. })
        | RenderError::Press(PressError::Unusable(_) | PressError::Typesetter(Typesetter::Io { .. })) => 5,
        RenderError::Template(_) | RenderError::Press(_) => 1,
    }
}
