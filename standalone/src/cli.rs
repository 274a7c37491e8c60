//! The command line: its words, their defaults, and what `--help` says about them. None of it is `Debug`, so that no token or
//! password of it gets into a log.

use std::fmt::{self, Display};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use chrono::{DateTime, Utc};
use clap::builder::BoolishValueParser;
use clap::{Args, Parser, Subcommand, ValueEnum};
use jobs::job::{MEBIBYTE, is_template_name};
use jobs::{Dialect, Hosts, JobId, Separator, Status, UploadFormat};
use lettre::message::{Mailbox, Mailboxes};
use listener::access::{Hosts as OwnHosts, Origins, RIGHTS_CLAIM};
use processor::{DEFAULT_SECTION_ROWS, Limits};
use telemetry::logs;
use typesetter::{Format, OnMissingGlyph, PdfStandard};

use crate::access::AccessMode;

/// Queue a report, get a PDF.
#[derive(Parser)]
#[command(version, about, max_term_width = 100)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Subcommand)]
pub(crate) enum Command {
    /// Listen for requests, make their reports, announce them
    #[command(after_long_help = SERVE_EXAMPLES)]
    Serve(Box<Serve>),
    /// Make one report now, without a queue
    #[command(after_long_help = RENDER_EXAMPLES)]
    Render(Render),
    /// Queue a report on a server, and wait for it if asked to
    #[command(after_long_help = SEND_EXAMPLES)]
    Send(SendJob),
    /// Show one job of a server
    #[command(after_long_help = JOB_EXAMPLES)]
    Job(ShowJob),
    /// List the jobs of a server, the newest first
    #[command(after_long_help = JOBS_EXAMPLES)]
    Jobs(ListJobs),
}

const SERVE_EXAMPLES: &str = "\
Examples:
  pressrun serve
      Listen on 127.0.0.1:9000 and keep everything in ./pressrun-data.
  pressrun serve --addr 0.0.0.0:80 --tokens-file tokens --public-url https://reports.example.org
      Serve callers with a token from the file; links in mails start with the public URL.
      `echo \"crm $(openssl rand -hex 32)\" >> tokens` adds a caller. PRESSRUN_TOKEN can hold a single token.

The README describes the HTTP API: POST /append_queue, then GET /jobs/{id}.";

const RENDER_EXAMPLES: &str = "\
Examples:
  pressrun render invoice
      The sample of the template `invoice`, as invoice.pdf.
  pressrun render invoice --data order.json -o order.pdf
  pressrun render statement --data transactions.csv --head account.json
  jq .order big.json | pressrun render invoice --data - -o - > order.pdf
  pressrun render ./my-template --format png -o page.png

Exit status:
  0  the report is written
  1  the template has an error (printed as main.typ:LINE:COLUMN)
  2  the command line is not valid
  3  the data does not fit the template or its schema, or is not JSON
  4  a limit was exceeded
  5  a file could not be read or written

Warnings about a report that was made are printed, and the exit status is 0. No file is written
unless the report could be made.";

const SEND_EXAMPLES: &str = "\
Examples:
  pressrun send invoice
      Queue the sample of the template `invoice`; print the job's id and where to ask for it.
  pressrun send invoice --data order.json -o order.pdf
      Wait for the report and write it.
  pressrun send statement --data transactions.csv --head account.json -o statement.pdf
      Upload the rows first.
  jq .order big.json | pressrun send invoice --data - -o - > order.pdf
  PRESSRUN_TOKEN=\"$SECRET\" pressrun send letter --url https://reports.example.org --wait
      Wait for the report and print a link to it.

Exit status:
  0  the report is queued, or what else was asked for is done
  1  the job failed
  2  the command line is not valid
  3  the server refused the request, perhaps because the data does not fit; or the data is not JSON
  4  the server cannot be reached, or returns an error
  5  a file could not be read or written

A request is sent again while the error may be temporary, under one Idempotency-Key, so that it is
queued once. No file is written unless the whole report is there.";

const JOB_EXAMPLES: &str = "\
Examples:
  pressrun job 01a1fd88-28fa-7243-a82c-05f04864e387
  pressrun job 01a1fd88-28fa-7243-a82c-05f04864e387 --json | jq -r .status

Exit status:
  0  the job is shown, whatever became of it
  2  the command line is not valid
  3  the server refused to show it, or does not have it
  4  the server cannot be reached, or returns an error
  5  standard output could not be written";

const JOBS_EXAMPLES: &str = "\
Examples:
  pressrun jobs --status failed
  pressrun jobs --template invoice --limit 500 --json | jq -r '.jobs[].id'

Exit status:
  0  the jobs are listed, if there are any
  2  the command line is not valid
  3  the server refused to list them
  4  the server cannot be reached, or returns an error
  5  standard output could not be written";

#[derive(Args)]
pub(crate) struct Serve {
    /// Where to listen; any address but loopback needs tokens, --access jwt, or --access none --accept-anybody
    #[arg(long, env = "PRESSRUN_ADDR", value_name = "IP:PORT", default_value = "127.0.0.1:9000", value_parser = address)]
    pub(crate) addr: SocketAddr,
    /// Folder for the queue, the reports and the outbox; made if it is not there
    #[arg(long, env = "PRESSRUN_DATA", value_name = "DIR", default_value = "pressrun-data")]
    pub(crate) data: PathBuf,
    /// Folder of templates
    #[arg(long, env = "PRESSRUN_TEMPLATES", value_name = "DIR", default_value = "templates")]
    pub(crate) templates: PathBuf,
    /// Reports made at the same time, one a core at most
    #[arg(long, env = "PRESSRUN_WORKERS", value_name = "N", value_parser = clap::value_parser!(u16).range(1..=256))]
    pub(crate) workers: Option<u16>,
    /// Bearer token of the caller `default`, who sees the jobs of all callers. Without one, everyone on this machine has
    /// access. Set it in the environment: other users of this machine see command lines
    #[arg(long, env = "PRESSRUN_TOKEN", hide_env_values = true)]
    pub(crate) token: Option<String>,
    /// URL that callers use: links, `status_url` and upload URLs start with it
    #[arg(long, env = "PRESSRUN_PUBLIC_URL", value_name = "URL", value_parser = public_url)]
    pub(crate) public_url: Option<String>,
    /// Days for which jobs and reports are kept, and links in mails work
    #[arg(long, env = "PRESSRUN_RETENTION_DAYS", value_name = "DAYS", default_value_t = 30,
          value_parser = clap::value_parser!(u32).range(1..=3650))]
    pub(crate) retention_days: u32,
    /// How long a stopped server goes on with the reports in progress, before it leaves them to its next start
    #[arg(long, env = "PRESSRUN_STOP_TIMEOUT_SECONDS", value_name = "SECONDS", default_value_t = 25,
          value_parser = clap::value_parser!(u64).range(0..=86_400))]
    pub(crate) stop_timeout: u64,
    /// Most concurrent connections; the limit of open files may lower it
    #[arg(long, env = "PRESSRUN_MAX_CONNECTIONS", value_name = "N", default_value_t = 2048,
          value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub(crate) max_connections: u32,
    /// Most concurrent connections from one address. Default: three quarters of --max-connections. Behind a proxy, set it
    /// to --max-connections
    #[arg(long, env = "PRESSRUN_MAX_CONNECTIONS_PER_ADDRESS", value_name = "N",
          value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub(crate) max_connections_per_address: Option<u32>,
    /// Free space kept for accepted work. Default: 1024, or 5 % of the disk if less. 0: none
    #[arg(long, env = "PRESSRUN_MIN_FREE_SPACE_MB", value_name = "MIB",
          value_parser = clap::value_parser!(u64).range(0..=1_073_741_824))]
    pub(crate) min_free_space: Option<u64>,
    /// How the log's lines look: human-readable, or as one JSON object a line
    #[arg(long, env = "PRESSRUN_LOG_FORMAT", value_name = "FORMAT", default_value_t = LogFormat::Human)]
    pub(crate) log_format: LogFormat,
    #[command(flatten)]
    pub(crate) limits: LimitOptions,
    #[command(flatten)]
    pub(crate) mail: MailOptions,
    #[command(flatten)]
    pub(crate) webhooks: WebhookOptions,
    #[command(flatten)]
    pub(crate) access: AccessOptions,
}

/// Who may call, and how much each may ask for.
#[derive(Debug, Args)]
#[command(next_help_heading = "Access")]
pub(crate) struct AccessOptions {
    /// How callers are identified
    #[arg(long, env = "PRESSRUN_ACCESS", value_enum, value_name = "MODE", default_value = "token")]
    pub(crate) access: AccessMode,
    /// Tokens of several callers, as `name token`, separated by commas; set them in the environment
    #[arg(long, env = "PRESSRUN_TOKENS", hide_env_values = true, value_name = "TOKENS")]
    pub(crate) tokens: Option<String>,
    /// File of tokens, `name token` a line, which is read again when it changes; a caller may have two for a while.
    /// Add `admin` after the token of a caller who may see all jobs
    #[arg(long, env = "PRESSRUN_TOKENS_FILE", value_name = "FILE")]
    pub(crate) tokens_file: Option<PathBuf>,
    /// OIDC issuer, as its tokens have it in `iss`
    #[arg(long, env = "PRESSRUN_JWT_ISSUER", value_name = "URL")]
    pub(crate) jwt_issuer: Option<String>,
    /// What tokens must have in `aud`; any of several, separated by commas
    #[arg(long, env = "PRESSRUN_JWT_AUDIENCE", value_name = "AUDIENCES")]
    pub(crate) jwt_audience: Option<String>,
    /// Claim that has callers' rights, such as `pressrun:admin`, as a list or separated by blanks
    #[arg(long, env = "PRESSRUN_JWT_RIGHTS_CLAIM", value_name = "CLAIM", default_value = RIGHTS_CLAIM)]
    pub(crate) jwt_rights_claim: String,
    /// Let every caller see, follow and retry the jobs of all, and use their uploads
    #[arg(long, env = "PRESSRUN_SHARED_JOBS", value_parser = BoolishValueParser::new())]
    pub(crate) shared_jobs: bool,
    /// Without a token: hosts that calls may be for besides this machine's and that of --public-url, separated by commas
    #[arg(long, env = "PRESSRUN_ALLOWED_HOSTS", value_name = "HOSTS", default_value = "", hide_default_value = true)]
    pub(crate) allowed_hosts: OwnHosts,
    /// With --access none: admit everyone who can reach the address
    #[arg(long, env = "PRESSRUN_ACCEPT_ANYBODY", value_parser = BoolishValueParser::new())]
    pub(crate) accept_anybody: bool,
    /// Requests a minute that one caller may make for jobs and uploads
    #[arg(long, env = "PRESSRUN_QUOTA_REQUESTS", value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) quota_requests: Option<u32>,
    /// Jobs of one caller that may be queued or running
    #[arg(long, env = "PRESSRUN_QUOTA_JOBS", value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) quota_jobs: Option<u32>,
    /// Bytes of reports and uploads that are kept of one caller
    #[arg(long, env = "PRESSRUN_QUOTA_BYTES", value_name = "BYTES", value_parser = bytes)]
    pub(crate) quota_bytes: Option<u64>,
    /// Other sites whose pages may call, as scheme and host, separated by commas; * for every site
    #[arg(long, env = "PRESSRUN_CORS_ORIGINS", value_name = "ORIGINS", default_value = "", hide_default_value = true)]
    pub(crate) cors_origins: Origins,
}

/// How the log's lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum LogFormat {
    Human,
    Json,
}

impl Display for LogFormat {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        logs::Format::from(*self).fmt(formatter)
    }
}

impl From<LogFormat> for logs::Format {
    fn from(format: LogFormat) -> Self {
        match format {
            LogFormat::Human => Self::Human,
            LogFormat::Json => Self::Json,
        }
    }
}

/// How webhooks are sent.
#[derive(Args)]
#[command(next_help_heading = "Webhooks")]
pub(crate) struct WebhookOptions {
    /// Secrets that sign webhooks, each as whsec_…, separated by commas; made once and kept in DIR/webhook.secret
    /// without one
    #[arg(long, env = "PRESSRUN_WEBHOOK_SECRET", hide_env_values = true, value_name = "SECRETS")]
    pub(crate) webhook_secret: Option<String>,
    /// Hosts that webhooks may go to, such as example.com,*.example.org; any public address without one
    #[arg(long, env = "PRESSRUN_WEBHOOK_HOSTS", value_name = "HOSTS", default_value = "", hide_default_value = true)]
    pub(crate) webhook_hosts: Hosts,
    /// Let webhooks go to this machine too, also over http; the default on loopback without a token
    #[arg(long, env = "PRESSRUN_WEBHOOK_LOOPBACK", value_parser = BoolishValueParser::new())]
    pub(crate) webhook_loopback: bool,
}

/// The mail server that announcements go through; without one they stay in the outbox.
#[derive(Args)]
#[command(next_help_heading = "Mail")]
pub(crate) struct MailOptions {
    /// Mail server, such as smtps://user:password@mail.example.org; without it, mails stay in the outbox
    #[arg(
        long,
        env = "PRESSRUN_SMTP_URL",
        hide_env_values = true,
        value_name = "URL",
        requires = "mail_from",
        requires = "mail_to"
    )]
    pub(crate) smtp_url: Option<String>,
    /// Sender of the mails
    #[arg(long, env = "PRESSRUN_MAIL_FROM", value_name = "ADDRESS", requires = "smtp_url", value_parser = mailbox)]
    pub(crate) mail_from: Option<Mailbox>,
    /// Recipients of the mails, separated by commas
    #[arg(long, env = "PRESSRUN_MAIL_TO", value_name = "ADDRESSES", requires = "smtp_url", value_parser = mailboxes)]
    pub(crate) mail_to: Option<Mailboxes>,
}

#[derive(Args)]
pub(crate) struct Render {
    /// A template's name, or the path of its folder
    pub(crate) template: String,
    /// JSON file with the data, `-` for standard input; the template's sample unless said otherwise. A .ndjson or .csv
    /// file has the rows of the data
    #[arg(long, short, value_name = "FILE|-")]
    pub(crate) data: Option<PathBuf>,
    /// JSON file with the data beside the rows, where --data has the rows
    #[arg(long, value_name = "FILE", requires = "data")]
    pub(crate) head: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) csv: Csv,
    /// File to write, `-` for standard output; TEMPLATE.FORMAT unless said otherwise. Several pages of images get
    /// their number before the extension
    #[arg(long, short, value_name = "FILE|-")]
    pub(crate) output: Option<PathBuf>,
    /// pdf, png or svg
    #[arg(long, default_value_t)]
    pub(crate) format: Format,
    /// PDF standard to conform to: 1.4 to 2.0, a-1b to a-4e, ua-1; PDF 1.7 unless said otherwise
    #[arg(long, value_name = "STANDARD")]
    pub(crate) pdf_standard: Option<PdfStandard>,
    /// Leave out the tags that assistive technology reads; the file is smaller
    #[arg(long)]
    pub(crate) no_tags: bool,
    /// What becomes of a character that no font has: a stand-in is shown, with a warning, or there is no report
    #[arg(long, value_name = "warn|fail", default_value = "warn")]
    pub(crate) on_missing_glyph: OnMissingGlyph,
    /// Resolution of png, in pixels an inch
    #[arg(long, default_value_t = typesetter::Options::DEFAULT_PPI)]
    pub(crate) ppi: f32,
    /// The report's own date (RFC 3339); today at midnight UTC unless this or SOURCE_DATE_EPOCH says otherwise
    #[arg(long, value_name = "TIME")]
    pub(crate) timestamp: Option<DateTime<Utc>>,
    /// Folder of templates
    #[arg(long, env = "PRESSRUN_TEMPLATES", value_name = "DIR", default_value = "templates")]
    pub(crate) templates: PathBuf,
    #[command(flatten)]
    pub(crate) limits: LimitOptions,
}

/// How a .csv file is written.
#[derive(Args)]
pub(crate) struct Csv {
    /// What separates the fields of a .csv file: `,` `;` `|` or tab
    #[arg(long, value_name = "CHARACTER")]
    separator: Option<Separator>,
    /// Read numbers of a .csv file as 1.234,50
    #[arg(long)]
    decimal_comma: bool,
}

impl Csv {
    /// The same for what reads uploads.
    pub(crate) fn dialect(&self) -> Dialect {
        Dialect { separator: self.separator.unwrap_or_default(), decimal_comma: self.decimal_comma }
    }

    /// Refuses what says how CSV is written where rows are in another format, or in no file.
    pub(crate) fn check(&self, rows: Option<UploadFormat>) -> Result<(), String> {
        let option = match self {
            _ if rows == Some(UploadFormat::Csv) => return Ok(()),
            Self { separator: Some(_), .. } => "--separator",
            Self { decimal_comma: true, .. } => "--decimal-comma",
            _ => return Ok(()),
        };
        Err(format!("{option} goes with a .csv file: name one with --data, or leave it out"))
    }
}

#[derive(Args)]
pub(crate) struct SendJob {
    /// A template's name
    #[arg(value_parser = template_name)]
    pub(crate) template: String,
    /// JSON file with the data, `-` for standard input; the template's sample unless said otherwise. A .ndjson or .csv
    /// file has the rows of the data. Such a file, and a large one, is uploaded first
    #[arg(long, short, value_name = "FILE|-")]
    pub(crate) data: Option<PathBuf>,
    /// JSON file with the data beside the rows, where --data has the rows
    #[arg(long, value_name = "FILE", requires = "data")]
    pub(crate) head: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) csv: Csv,
    /// Subject of the mail that announces the report
    #[arg(long, value_name = "TEXT")]
    pub(crate) subject: Option<String>,
    /// What becomes of a character that no font has: a stand-in is shown, with a warning, or the job fails
    #[arg(long, value_name = "warn|fail")]
    pub(crate) on_missing_glyph: Option<OnMissingGlyph>,
    /// Wait until the job has ended, and print a link to its report
    #[arg(long, short)]
    pub(crate) wait: bool,
    /// File to write the report to, `-` for standard output; waits for it
    #[arg(long, short, value_name = "FILE|-")]
    pub(crate) output: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) server: Server,
}

#[derive(Args)]
pub(crate) struct ShowJob {
    /// The job's id
    pub(crate) id: JobId,
    /// Print what the server answers, as JSON
    #[arg(long)]
    pub(crate) json: bool,
    #[command(flatten)]
    pub(crate) server: Server,
}

#[derive(Args)]
pub(crate) struct ListJobs {
    /// Those that are queued, running, completed or failed
    #[arg(long)]
    pub(crate) status: Option<Status>,
    /// Those of this template
    #[arg(long, value_parser = template_name)]
    pub(crate) template: Option<String>,
    /// How many at most
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u16).range(1..=10_000))]
    pub(crate) limit: u16,
    /// Print what the server answers, as JSON
    #[arg(long)]
    pub(crate) json: bool,
    #[command(flatten)]
    pub(crate) server: Server,
}

/// Which server to call.
#[derive(Args)]
#[command(next_help_heading = "Server")]
pub(crate) struct Server {
    /// Where the server is
    #[arg(long, env = "PRESSRUN_URL", default_value = "http://127.0.0.1:9000", value_parser = public_url)]
    pub(crate) url: String,
    /// Bearer token to show it; set it in the environment
    #[arg(long, env = "PRESSRUN_TOKEN", hide_env_values = true)]
    pub(crate) token: Option<String>,
}

fn template_name(text: &str) -> Result<String, String> {
    match is_template_name(text) {
        true => Ok(text.to_owned()),
        false => Err("a template's name has lower-case letters, digits and hyphens only".into()),
    }
}

fn address(text: &str) -> Result<SocketAddr, &'static str> {
    text.parse().map_err(|_| "write an IP address and a port, such as 127.0.0.1:9000")
}

fn bytes(text: &str) -> Result<u64, &'static str> {
    let bytes = text.parse().ok().filter(|bytes| *bytes > 0);
    bytes.ok_or("not a whole number of bytes from 1 on, such as 5000000")
}

fn mailbox(text: &str) -> Result<Mailbox, &'static str> {
    text.parse().map_err(|_| "not an address, such as reports@example.org")
}

fn mailboxes(text: &str) -> Result<Mailboxes, &'static str> {
    text.parse().map_err(|_| "not an address; several are separated by commas")
}

/// A URL without the slash at its end.
fn public_url(text: &str) -> Result<String, String> {
    let rest = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"));
    match rest.map(|rest| rest.trim_end_matches('/')) {
        Some(rest) if !rest.is_empty() && !rest.contains(char::is_whitespace) => {
            Ok(text.trim_end_matches('/').to_owned())
        }
        _ => Err("must be like https://reports.example.org".into()),
    }
}

/// What one report may cost.
#[derive(Args)]
#[command(next_help_heading = "Limits of one report")]
pub(crate) struct LimitOptions {
    /// Wall time of typesetting
    #[arg(long, env = "PRESSRUN_TIME_LIMIT_SECONDS", value_name = "SECONDS", default_value_t = 300,
          value_parser = clap::value_parser!(u64).range(1..=86_400))]
    time_limit: u64,
    /// Memory of typesetting
    #[arg(long, env = "PRESSRUN_MEMORY_LIMIT_MB", value_name = "MIB", default_value_t = 2048,
          value_parser = clap::value_parser!(u64).range(64..=1_048_576))]
    memory_limit: u64,
    /// Size of the report
    #[arg(long, env = "PRESSRUN_OUTPUT_LIMIT_MB", value_name = "MIB", default_value_t = 256,
          value_parser = clap::value_parser!(u64).range(1..=1_048_576))]
    output_limit: u64,
    /// Pages of the report
    #[arg(long, env = "PRESSRUN_PAGE_LIMIT", value_name = "PAGES", default_value_t = 100_000,
          value_parser = clap::value_parser!(u64).range(1..=10_000_000))]
    page_limit: u64,
    /// Rows of a section, about: a report with more rows, or more than 1,000, is typeset in sections; 0 for none in sections
    #[arg(long, env = "PRESSRUN_SECTION_ROWS", value_name = "ROWS", default_value_t = DEFAULT_SECTION_ROWS)]
    pub(crate) section_rows: u64,
    /// Size of the data
    #[arg(long, env = "PRESSRUN_DATA_LIMIT_MB", value_name = "MIB", default_value_t = 64,
          value_parser = clap::value_parser!(u64).range(1..=1_048_576))]
    data_limit: u64,
}

impl From<&LimitOptions> for Limits {
    fn from(options: &LimitOptions) -> Self {
        Self {
            time: Duration::from_secs(options.time_limit),
            memory_bytes: options.memory_limit * MEBIBYTE,
            output_bytes: options.output_limit * MEBIBYTE,
            pages: usize::try_from(options.page_limit).unwrap_or(usize::MAX),
            data_bytes: options.data_limit * MEBIBYTE,
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn the_limits_are_the_processors_own_unless_said_otherwise() {
        let cli = Cli::parse_from(["pressrun", "render", "letter"]);
        let Command::Render(render) = cli.command else { panic!("not a render") };
        assert_eq!(Limits::from(&render.limits), Limits::default());
    }
}
