//! `pressrun job` and `pressrun jobs`: what a server has on record.

use std::fmt::Write;
use std::process::ExitCode;

use chrono::{DateTime, SecondsFormat, Utc};
use findings::{visible_json, visible_lines};
use indicatif::HumanBytes;
use jobs::{AnnouncementRecord, DeliveryRecord, Failure, Job, rfc3339};
use serde_json::{Value, json};

use crate::caller::{self, CallerError};
use crate::cli::{ListJobs, ShowJob};
use crate::client::{Client, Listing, Record};
use crate::progress::Progress;

/// Prints one job.
pub(crate) fn job(options: ShowJob) -> ExitCode {
    caller::exit(show(&options))
}

/// Prints a list of jobs.
pub(crate) fn jobs(options: ListJobs) -> ExitCode {
    caller::exit(list(&options))
}

#[tokio::main(flavor = "current_thread")]
async fn show(options: &ShowJob) -> Result<(), CallerError> {
    let record = Client::new(&options.server, Progress::new())?.job(options.id).await?;
    caller::print(&if options.json { pretty(&record.json) } else { visible_lines(&described(&record)) })
}

#[tokio::main(flavor = "current_thread")]
async fn list(options: &ListJobs) -> Result<(), CallerError> {
    let listing =
        Listing { status: options.status, template: options.template.as_deref(), limit: options.limit.into() };
    let page = Client::new(&options.server, Progress::new())?.jobs(&listing).await?;
    if options.json {
        let jobs: Vec<_> = page.jobs.into_iter().map(|record| record.json).collect();
        let mut json = json!({ "jobs": jobs });
        if let Some(next) = page.next {
            json["next"] = next;
        }
        return caller::print(&pretty(&json));
    }
    if page.jobs.is_empty() {
        eprintln!("There are no such jobs.");
        return Ok(());
    }
    caller::print(&visible_lines(&table(page.jobs.iter().map(|record| row(&record.job)).collect())))
}

fn pretty(json: &Value) -> String {
    visible_json(format!("{json:#}\n"))
}

fn described(record: &Record) -> String {
    let job = &record.job;
    let time = |time: Option<DateTime<Utc>>| time.map(|time| rfc3339::text(&time));
    let lines = [
        ("job", Some(job.id.to_string())),
        ("status", Some(job.status.to_string())),
        ("template", Some(job.template.clone())),
        ("queued", time(Some(job.enqueued_at))),
        ("started", time(job.started_at)),
        ("finished", time(job.finished_at)),
        ("attempts", Some(job.attempts.to_string())),
        ("retries", Some(job.retries).filter(|retries| *retries > 0).map(|retries| retries.to_string())),
        ("pages", job.pages.map(|pages| pages.to_string())),
        ("size", job.bytes.map(|bytes| HumanBytes(bytes).to_string())),
        ("warnings", Some(job.warnings.len()).filter(|warnings| *warnings > 0).map(|warnings| warnings.to_string())),
        ("report", record.report_url.clone()),
        ("link", record.link.clone()),
        ("webhook", job.webhook.as_ref().map(|webhook| told(&webhook.delivery))),
        ("announced", job.announcement.as_ref().map(announced)),
        ("error", job.error.as_ref().map(reason)),
    ];
    let known = lines.into_iter().filter_map(|(name, value)| Some((name, value?)));
    let mut text: String = known.map(|(name, value)| format!("{name:<10} {value}\n")).collect();
    for warning in &job.warnings {
        _ = writeln!(text, "  {warning}");
    }
    for violation in job.error.iter().flat_map(|error| &error.errors) {
        _ = writeln!(text, "  {violation}");
    }
    for diagnostic in job.error.iter().flat_map(|error| &error.diagnostics) {
        // A String takes whatever is written to it.
        _ = write!(text, "\n{}\n", diagnostic.rendered);
    }
    text
}

/// In one line: where the delivery stands and, if it has not succeeded, what came of the last attempt.
fn told(delivery: &DeliveryRecord) -> String {
    let (status, attempts) = (delivery.status.as_str(), delivery.attempts);
    let attempts = if attempts == 1 { "1 attempt".to_owned() } else { format!("{attempts} attempts") };
    match delivery.latest.last().and_then(|attempt| attempt.error.as_ref()) {
        Some(error) => format!("{status}, {attempts}. {error}"),
        None => format!("{status}, {attempts}"),
    }
}

/// The same of an announcement, with its channel.
fn announced(announcement: &AnnouncementRecord) -> String {
    format!("by {}: {}", announcement.channel.as_str(), told(&announcement.delivery))
}

/// In one line. Where there are diagnostics, they are the detail.
fn reason(error: &Failure) -> String {
    if error.diagnostics.is_empty() { format!("{} {}", error.title, error.detail) } else { error.title.clone() }
}

const COLUMNS: [&str; 7] = ["JOB", "STATUS", "TEMPLATE", "QUEUED", "PAGES", "SIZE", "ERROR OR WARNINGS"];

fn row(job: &Job) -> [String; 7] {
    [
        job.id.to_string(),
        job.status.to_string(),
        job.template.clone(),
        job.enqueued_at.to_rfc3339_opts(SecondsFormat::Secs, true),
        job.pages.map(|pages| pages.to_string()).unwrap_or_default(),
        job.bytes.map(|bytes| HumanBytes(bytes).to_string()).unwrap_or_default(),
        remark(job),
    ]
}

/// Why it failed, or how much is in doubt about its report.
fn remark(job: &Job) -> String {
    match (&job.error, job.warnings.len()) {
        (Some(error), _) => error.title.clone(),
        (None, 0) => String::new(),
        (None, 1) => "1 warning".to_owned(),
        (None, warnings) => format!("{warnings} warnings"),
    }
}

fn table(jobs: Vec<[String; 7]>) -> String {
    let head = COLUMNS.map(ToOwned::to_owned);
    let rows: Vec<_> = std::iter::once(head).chain(jobs).collect();
    let width = |column: usize| rows.iter().map(|row| row[column].len()).max().unwrap_or_default();
    let widths: Vec<_> = (0..COLUMNS.len()).map(width).collect();
    let line = |row: &[String; 7]| {
        let cells = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}"));
        format!("{}\n", cells.collect::<Vec<_>>().join("  ").trim_end())
    };
    rows.iter().map(line).collect()
}
