//! `pressrun send`: queues a request on a server and, if asked to, follows the job to its report.

use std::fs;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use indicatif::HumanBytes;
use jobs::{Failure, JobId, Status, UploadFormat};
use serde::Serialize;
use serde_json::{Value, json};
use tokio::time::{Instant, sleep_until};

use crate::caller::{self, CallerError, failed_to};
use crate::cli::SendJob;
use crate::client::{Client, Record};
use crate::output::Output;
use crate::progress::Progress;

/// The largest file that is sent within its request: a function URL takes 6 MB, in which every quote is escaped.
const LARGEST_INLINE_BYTES: u64 = 4_000_000;

/// How long a job that has not changed is left alone, whatever the server does about long polls.
const SHORTEST_ASK: Duration = Duration::from_millis(250);

/// Sends one request and says how it went.
pub(crate) fn send(options: SendJob) -> ExitCode {
    caller::exit(run(&options))
}

#[tokio::main(flavor = "current_thread")]
async fn run(options: &SendJob) -> Result<(), CallerError> {
    let output = options.output.as_deref().map(Output::new).transpose()?;
    let data = read_data(options)?;
    let progress = Progress::new();
    let client = Client::new(&options.server, progress.clone())?;
    let request = request(options, sent(data, &client, options).await?);
    let job = client.append_queue(&request).await?;
    tell(output.as_ref(), &format!("job        {}\nstatus     {}\n", job.id, job.status_url))?;
    if !options.wait && output.is_none() {
        return Ok(());
    }
    let ended = finish(&client, &progress, job.id, output.as_ref()).await;
    progress.end();
    ended.inspect_err(|error| {
        if !error.is_the_jobs() {
            eprintln!("The server has the job. To see where it stands: pressrun job {}", job.id);
        }
    })
}

/// What is to be sent.
enum Data {
    /// The template's sample.
    Sample,
    /// This.
    Inline(jobs::Data),
    /// A file, uploaded first, and what there is beside the rows in it.
    File(PathBuf, UploadFormat, Option<jobs::Data>),
}

/// The body of a request.
#[derive(Default, Serialize)]
pub(crate) struct Request {
    template: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    data: Option<jobs::Data>,
    #[serde(skip_serializing_if = "Option::is_none")]
    input: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    options: Option<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    notify: Option<Value>,
}

fn read_data(options: &SendJob) -> Result<Data, CallerError> {
    let rows = options.data.as_deref().and_then(format_of_rows);
    options.csv.check(rows).map_err(CallerError::Usage)?;
    let head = options.head.as_deref().map(read_json).transpose()?;
    let Some(path) = &options.data else { return Ok(Data::Sample) };
    if rows.is_none() && head.is_some() {
        return Err(CallerError::Usage("--head goes with rows: name a .ndjson or .csv file with --data".into()));
    }
    let size = fs::metadata(path).map(|metadata| metadata.len()).unwrap_or_default();
    match rows {
        Some(format) => Ok(Data::File(path.clone(), format, head)),
        None if size > LARGEST_INLINE_BYTES => Ok(Data::File(path.clone(), UploadFormat::Json, None)),
        None => read_json(path).map(Data::Inline),
    }
}

/// The format of a file that holds rows and nothing else, by its name.
pub(crate) fn format_of_rows(path: &Path) -> Option<UploadFormat> {
    let extension = path.extension()?.to_str()?.to_ascii_lowercase();
    [UploadFormat::Ndjson, UploadFormat::Csv].into_iter().find(|format| format.extension() == extension)
}

fn read_json(path: &Path) -> Result<jobs::Data, CallerError> {
    let (name, bytes) = if path.as_os_str() == "-" {
        let mut bytes = Vec::new();
        io::stdin().read_to_end(&mut bytes).map_err(failed_to("read standard input"))?;
        ("standard input".to_owned(), bytes)
    } else {
        let name = path.display().to_string();
        let bytes = fs::read(path).map_err(failed_to(format!("read {name}")))?;
        (name, bytes)
    };
    let text = match input::utf8(&bytes) {
        Ok(text) => text,
        Err(detail) => return Err(CallerError::NotUtf8 { name, detail }),
    };
    serde_json::from_slice(text).map_err(|source| CallerError::NotJson { name, source })
}

/// The request's members that are its data; a file is uploaded first.
async fn sent(data: Data, client: &Client, options: &SendJob) -> Result<Request, CallerError> {
    match data {
        Data::Inline(data) => return Ok(Request { data: Some(data), ..Request::default() }),
        Data::File(file, format, head) => {
            let input = client.upload(&file, format, options.csv.dialect()).await?;
            return Ok(Request { input: Some(input), data: head, ..Request::default() });
        }
        Data::Sample => {}
    }
    let missing = || CallerError::Usage(format!("`{}` has no sample: say what to send with --data", options.template));
    let sample = client.sample(&options.template).await?.ok_or_else(missing)?;
    Ok(Request { data: Some(sample), ..Request::default() })
}

fn request(options: &SendJob, mut request: Request) -> Request {
    request.template.clone_from(&options.template);
    request.notify = options.subject.as_ref().map(|subject| json!({ "subject": subject }));
    request.options = options.on_missing_glyph.map(|wanted| json!({ "on_missing_glyph": wanted }));
    request
}

/// Follows the job to its end, and puts its report where it was asked for.
async fn finish(client: &Client, progress: &Progress, id: JobId, output: Option<&Output>) -> Result<(), CallerError> {
    let record = follow(client, progress, id).await?;
    if record.job.status == Status::Failed {
        let unknown = || Failure::new("unknown", "The job failed.", "The server does not say why.");
        return Err(CallerError::Failed(Box::new(record.job.error.unwrap_or_else(unknown))));
    }
    let (pages, bytes) = (record.job.pages.unwrap_or_default(), record.job.bytes.unwrap_or_default());
    for warning in &record.job.warnings {
        progress.say(&format!("warning: {warning}"));
    }
    let pages = if pages == 1 { "1 page".to_owned() } else { format!("{pages} pages") };
    let summary = format!("report     {pages}, {}\n", HumanBytes(bytes));
    let Some(output) = output else {
        progress.end();
        let link = record.link.or(record.report_url).map(|link| format!("link       {link}\n"));
        return tell(None, &format!("{summary}{}", link.unwrap_or_default()));
    };
    let received = client.download(id, &output.draft()).await?;
    progress.end();
    if record.job.bytes.is_some_and(|bytes| bytes != received) {
        let found = format!("its report has {received} bytes, and its job says {bytes}");
        return Err(CallerError::Foreign { url: record.report_url.unwrap_or_default(), found });
    }
    output.publish()?;
    tell(Some(output), &summary)
}

/// Asks about the job until it has ended.
async fn follow(client: &Client, progress: &Progress, id: JobId) -> Result<Record, CallerError> {
    let mut record = client.job(id).await?;
    progress.step(&record.job);
    while !record.job.status.is_final() {
        let (asked, seen) = (Instant::now(), record.job);
        record = client.job_when_changed(&seen).await?;
        if record.job == seen {
            sleep_until(asked + SHORTEST_ASK).await;
        } else {
            progress.step(&record.job);
        }
    }
    Ok(record)
}

/// Prints what a script may want to read, out of the way of a report on standard output.
fn tell(output: Option<&Output>, lines: &str) -> Result<(), CallerError> {
    if output.is_some_and(Output::is_stdout) {
        eprint!("{lines}");
        return Ok(());
    }
    caller::print(lines)
}
