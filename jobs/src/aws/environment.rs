//! The environment variables of the Lambda functions. The function behind the optional WebSocket API is the listener
//! once more, and reads what the listener does besides what is marked *WebSockets*.
//!
//! | variable | read by | holds |
//! |---|---|---|
//! | [`QUEUE_URL`] | all but the courier | URL of the SQS queue |
//! | [`TABLE`] | all | name of the DynamoDB table |
//! | [`SERVICE`] | all | name of the deployment, which its metrics have as a dimension; `pressrun` where absent |
//! | [`LINK_KEY`] | all but the courier | secret that signs the links in mails |
//! | [`RETENTION_DAYS`] | all but the courier | for how many days jobs and reports are kept; 30 where absent |
//! | [`BUCKET`] | listener, processor | name of the S3 bucket |
//! | [`TEMPLATES`] | listener, processor | folder of templates; `templates` beside the executable where absent |
//! | [`QUEUE_RETENTION`] | listener, processor | for how many seconds the queue keeps a message; four days where absent |
//! | [`DATA_LIMIT`] | listener, processor | size of a job's data in MiB; 64 where absent |
//! | [`TOPIC_ARN`] | processor, sweeper | ARN of the SNS topic |
//! | [`PUBLIC_URL`] | processor, sweeper, WebSockets | where callers reach the listener |
//! | [`ACCESS`] | listener | how callers are known: `token`, `iam`, `jwt` or `none`; `token` where absent |
//! | [`TOKEN`] | listener | bearer token of the caller `default` |
//! | [`TOKENS`] | listener | tokens of others, as `name token` or `name sha256:digest`, with rights behind it, one a line or separated by commas |
//! | [`JWT_ISSUER`] | listener | OIDC issuer whose tokens are good |
//! | [`JWT_AUDIENCE`] | listener | audiences that they must be for, separated by commas |
//! | [`JWT_RIGHTS_CLAIM`] | listener | claim that has their subjects' rights; `scope` where absent |
//! | [`RIGHTS`] | listener | rights of IAM users and roles, as `right ARN`, separated by commas |
//! | [`SHARED_JOBS`] | listener | `yes` where every caller sees the jobs of all |
//! | [`ACCEPT_ANYBODY`] | listener | `yes` where [`ACCESS`] is `none`, and means it |
//! | [`QUOTA_REQUESTS`] | listener | requests a minute of one caller; any number where absent |
//! | [`QUOTA_JOBS`] | listener | jobs of one caller that have not ended; any number where absent |
//! | [`QUOTA_BYTES`] | listener, processor | bytes of reports and uploads that one caller may store; any number where absent |
//! | [`CORS_ORIGINS`] | listener | other sites whose pages may call, separated by commas, or `*`; none where absent |
//! | [`REPORTS_ORIGIN`] | listener | origin of signed URLs, from which the page fetches reports; none where absent |
//! | [`STREAM_SECONDS`] | listener | how long one stream of events or one long poll may last; 25 where absent |
//! | [`WEBHOOKS_URL`] | processor, sweeper, courier | URL of the SQS queue of deliveries: webhooks, and announcements that failed at first |
//! | [`WEBHOOK_HOSTS`] | listener, courier | hosts that webhooks may go to, separated by commas; any where absent |
//! | [`WEBHOOK_SECRET`] | courier | secrets that sign webhooks, each as `whsec_…`, separated by commas |
//! | [`CONNECTIONS_URL`] | WebSockets | where messages to connections go; makes of the listener the function behind the WebSocket API |
//! | [`FOLLOWERS_TABLE`] | WebSockets | name of the DynamoDB table of who follows which job |
//! | [`DEAD_LETTERS_URL`] | sweeper | URL of the SQS queue of dead letters |
//! | [`MAX_ATTEMPTS`] | processor | after how many deliveries a job fails for good, less than the queue's `maxReceiveCount`; 4 where absent |
//! | [`TIME_LIMIT`] | processor | wall time of typesetting in seconds; the function's own limit where absent |
//! | [`MEMORY_LIMIT`] | processor | memory of typesetting in MiB; the function's less 192 where absent |
//! | [`OUTPUT_LIMIT`] | processor | size of a report in MiB; 256 where absent |
//! | [`PAGE_LIMIT`] | processor | pages of a report; 100,000 where absent |
//! | [`SECTION_ROWS`] | processor | rows of a section, about; 0 to typeset every report whole; 2,500 where absent |

use std::env;
use std::fmt::Display;
use std::path::PathBuf;
use std::str::FromStr;

use chrono::TimeDelta;

/// See the [table](self).
pub use telemetry::SERVICE;
/// See the [table](self).
pub const QUEUE_URL: &str = "PRESSRUN_QUEUE_URL";
/// See the [table](self).
pub const TABLE: &str = "PRESSRUN_TABLE";
/// See the [table](self).
pub const BUCKET: &str = "PRESSRUN_BUCKET";
/// See the [table](self).
pub const LINK_KEY: &str = "PRESSRUN_LINK_KEY";
/// See the [table](self).
pub const RETENTION_DAYS: &str = "PRESSRUN_RETENTION_DAYS";
/// See the [table](self).
pub const TEMPLATES: &str = "PRESSRUN_TEMPLATES";
/// See the [table](self).
pub const TOKEN: &str = "PRESSRUN_TOKEN";
/// See the [table](self).
pub const ACCESS: &str = "PRESSRUN_ACCESS";
/// See the [table](self).
pub const TOKENS: &str = "PRESSRUN_TOKENS";
/// See the [table](self).
pub const JWT_ISSUER: &str = "PRESSRUN_JWT_ISSUER";
/// See the [table](self).
pub const JWT_AUDIENCE: &str = "PRESSRUN_JWT_AUDIENCE";
/// See the [table](self).
pub const JWT_RIGHTS_CLAIM: &str = "PRESSRUN_JWT_RIGHTS_CLAIM";
/// See the [table](self).
pub const RIGHTS: &str = "PRESSRUN_RIGHTS";
/// See the [table](self).
pub const SHARED_JOBS: &str = "PRESSRUN_SHARED_JOBS";
/// See the [table](self).
pub const ACCEPT_ANYBODY: &str = "PRESSRUN_ACCEPT_ANYBODY";
/// See the [table](self).
pub const QUOTA_REQUESTS: &str = "PRESSRUN_QUOTA_REQUESTS";
/// See the [table](self).
pub const QUOTA_JOBS: &str = "PRESSRUN_QUOTA_JOBS";
/// See the [table](self).
pub const QUOTA_BYTES: &str = "PRESSRUN_QUOTA_BYTES";
/// See the [table](self).
pub const CORS_ORIGINS: &str = "PRESSRUN_CORS_ORIGINS";
/// See the [table](self).
pub const TOPIC_ARN: &str = "PRESSRUN_TOPIC_ARN";
/// See the [table](self).
pub const PUBLIC_URL: &str = "PRESSRUN_PUBLIC_URL";
/// See the [table](self).
pub const MAX_ATTEMPTS: &str = "PRESSRUN_MAX_ATTEMPTS";
/// See the [table](self).
pub const TIME_LIMIT: &str = "PRESSRUN_TIME_LIMIT_SECONDS";
/// See the [table](self).
pub const MEMORY_LIMIT: &str = "PRESSRUN_MEMORY_LIMIT_MB";
/// See the [table](self).
pub const OUTPUT_LIMIT: &str = "PRESSRUN_OUTPUT_LIMIT_MB";

/// See the [table](self).
pub const PAGE_LIMIT: &str = "PRESSRUN_PAGE_LIMIT";
/// See the [table](self).
pub const SECTION_ROWS: &str = "PRESSRUN_SECTION_ROWS";
/// See the [table](self).
pub const DATA_LIMIT: &str = "PRESSRUN_DATA_LIMIT_MB";
/// See the [table](self).
pub const QUEUE_RETENTION: &str = "PRESSRUN_QUEUE_RETENTION_SECONDS";
/// See the [table](self).
pub const REPORTS_ORIGIN: &str = "PRESSRUN_REPORTS_ORIGIN";
/// See the [table](self).
pub const STREAM_SECONDS: &str = "PRESSRUN_STREAM_SECONDS";
/// See the [table](self).
pub const CONNECTIONS_URL: &str = "PRESSRUN_CONNECTIONS_URL";
/// See the [table](self).
pub const FOLLOWERS_TABLE: &str = "PRESSRUN_FOLLOWERS_TABLE";
/// See the [table](self).
pub const DEAD_LETTERS_URL: &str = "PRESSRUN_DEAD_LETTERS_URL";

/// See the [table](self).
pub const WEBHOOKS_URL: &str = "PRESSRUN_WEBHOOKS_URL";
/// See the [table](self).
pub const WEBHOOK_HOSTS: &str = "PRESSRUN_WEBHOOK_HOSTS";
/// See the [table](self).
pub const WEBHOOK_SECRET: &str = "PRESSRUN_WEBHOOK_SECRET";

/// A variable that is missing or makes no sense.
#[derive(Debug, thiserror::Error)]
#[error("the environment variable {name} {problem}")]
pub struct BadVariable {
    name: &'static str,
    problem: String,
}

/// A variable that must be there.
pub fn required(name: &'static str) -> Result<String, BadVariable> {
    optional(name).ok_or_else(|| BadVariable { name, problem: "is not set".into() })
}

/// A variable that may be absent; an empty one is.
pub fn optional(name: &'static str) -> Option<String> {
    env::var(name).ok().filter(|value| !value.is_empty())
}

/// A variable that may be absent, and is a number or the like where it is not.
pub fn parsed<T: FromStr<Err: Display>>(name: &'static str) -> Result<Option<T>, BadVariable> {
    let Some(value) = optional(name) else { return Ok(None) };
    let bad = |error| BadVariable { name, problem: format!("is `{value}`: {error}") };
    value.parse().map(Some).map_err(bad)
}

/// For how long the queue keeps a message: [`QUEUE_RETENTION`], or SQS's own default.
pub fn queue_life() -> Result<TimeDelta, BadVariable> {
    Ok(parsed(QUEUE_RETENTION)?.map_or(TimeDelta::days(4), TimeDelta::seconds))
}

/// The folder of templates: [`TEMPLATES`], or what Lambda unpacked beside the executable.
pub fn templates() -> PathBuf {
    let unpacked = || PathBuf::from(env::var_os("LAMBDA_TASK_ROOT").unwrap_or_default()).join("templates");
    optional(TEMPLATES).map_or_else(unpacked, PathBuf::from)
}
