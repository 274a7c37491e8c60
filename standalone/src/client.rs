//! A Pressrun server as its callers see it: its calls, repeated while an error may be temporary.

use std::collections::HashMap;
use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::time::Duration;

use backon::{ExponentialBuilder, Retryable};
use jobs::{Data, Dialect, Job, JobId, Separator, Status, UploadFormat};
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderValue, LOCATION, RETRY_AFTER};
use reqwest::redirect::Policy;
use reqwest::{RequestBuilder, Response, StatusCode, Url};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio::io::AsyncReadExt;
use uuid::Uuid;

use crate::caller::{CallerError, Refusal, failed_to};
use crate::cli::Server;
use crate::progress::Progress;

/// How long a connection may take to come about.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// How long a server may be silent: longer than any [wait](LONG_POLL).
const SILENCE: Duration = Duration::from_secs(60);

/// How long an upload may take: its URL works no longer.
const UPLOAD_LIFE: Duration = Duration::from_secs(3600);

/// How much of a file is read at a time, in bytes.
const PIECE_BYTES: usize = 256 * 1024;

/// How long the server is asked to hold its answer about a job that does not change.
const LONG_POLL: Duration = Duration::from_secs(30);

/// The same for a running job: how far its run is, no server waits for.
const SHORT_POLL: Duration = Duration::from_secs(1);

/// How often a call is repeated while an error may be temporary.
const RETRIES: usize = 4;

/// The pause before the first of them; each is twice as long as the one before, and longer by chance.
const FIRST_PAUSE: Duration = Duration::from_millis(250);

/// The longest pause that a server may ask for.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// The most jobs that a page of the list has.
const PAGE: usize = 100;

/// One server, and the token it is shown.
pub(crate) struct Client {
    base: String,
    token: Option<HeaderValue>,
    /// Follows no redirect: a call to another address is for the person at the keyboard to make.
    calls: reqwest::Client,
    /// Follows redirects, on AWS to S3, and takes the token along to the same host only.
    downloads: reqwest::Client,
    /// Sends no token, and may be silent for as long as an upload takes.
    uploads: reqwest::Client,
    progress: Progress,
}

/// The answer to an upload that was begun.
#[derive(Debug, Deserialize)]
struct Upload {
    id: String,
    url: String,
    headers: HashMap<String, String>,
}

/// The answer to a request that was queued.
#[derive(Debug, Deserialize)]
pub(crate) struct Accepted {
    pub(crate) id: JobId,
    pub(crate) status_url: String,
}

/// The answer about a template.
#[derive(Debug, Deserialize)]
struct Template {
    sample: Option<Data>,
}

/// A job as the server returns it.
#[derive(Debug, Deserialize)]
#[serde(try_from = "Value")]
pub(crate) struct Record {
    pub(crate) job: Job,
    pub(crate) report_url: Option<String>,
    /// Where a person finds the report without the token.
    pub(crate) link: Option<String>,
    /// The whole answer.
    pub(crate) json: Value,
}

impl TryFrom<Value> for Record {
    type Error = serde_json::Error;

    fn try_from(json: Value) -> Result<Self, Self::Error> {
        let text = |member| json.get(member).and_then(Value::as_str).map(ToOwned::to_owned);
        Ok(Self { job: Job::deserialize(&json)?, report_url: text("report_url"), link: text("link"), json })
    }
}

/// Some jobs, the newest first.
#[derive(Debug, Deserialize)]
pub(crate) struct Page {
    pub(crate) jobs: Vec<Record>,
    /// Where the list goes on, if it does.
    pub(crate) next: Option<Value>,
}

/// Which jobs to list.
pub(crate) struct Listing<'a> {
    pub(crate) status: Option<Status>,
    pub(crate) template: Option<&'a str>,
    pub(crate) limit: usize,
}

impl Client {
    pub(crate) fn new(server: &Server, progress: Progress) -> Result<Self, CallerError> {
        Url::parse(&server.url).map_err(no_url)?;
        let token = server.token.as_deref().filter(|token| !token.is_empty());
        let bearer = |token| HeaderValue::from_str(&format!("Bearer {token}"));
        let unusable = |_| CallerError::Usage("the token has characters that no header may have".into());
        let mut token = token.map(bearer).transpose().map_err(unusable)?;
        if let Some(token) = &mut token {
            token.set_sensitive(true);
        }
        Ok(Self {
            base: server.url.clone(),
            token,
            calls: http(Policy::none, SILENCE)?,
            downloads: http(Policy::default, SILENCE)?,
            uploads: http(Policy::none, UPLOAD_LIFE)?,
            progress,
        })
    }

    /// The data that a template's author gives as an example, if there is any.
    pub(crate) async fn sample(&self, template: &str) -> Result<Option<Data>, CallerError> {
        let url = self.url(&format!("/templates/{template}"));
        let template: Template = self.insist(|| self.json(self.calls.get(&url), &url)).await?;
        Ok(template.sample)
    }

    /// Queues a request, once, however often it must be sent.
    pub(crate) async fn append_queue(&self, request: &impl Serialize) -> Result<Accepted, CallerError> {
        let url = self.url("/append_queue");
        let key = format!("\"{}\"", Uuid::new_v4());
        let body = serde_json::to_string(request).unwrap_or_else(|error| unreachable!("a request is JSON: {error}"));
        let post = || {
            let request = self.calls.post(&url).header(CONTENT_TYPE, "application/json");
            self.json(request.header("Idempotency-Key", &key).body(body.clone()), &url)
        };
        self.insist(post).await
    }

    /// Uploads a file; answers the upload's id.
    pub(crate) async fn upload(
        &self,
        file: &Path,
        format: UploadFormat,
        dialect: Dialect,
    ) -> Result<String, CallerError> {
        let failed = || failed_to(format!("read {}", file.display()));
        let bytes = std::fs::metadata(file).map_err(failed())?.len();
        let url = self.url("/uploads");
        let mut wanted = json!({ "content_type": format.content_type(), "bytes": bytes });
        if dialect.separator != Separator::default() {
            wanted["separator"] = dialect.separator.character().to_string().into();
        }
        if dialect.decimal_comma {
            wanted["decimal_comma"] = true.into();
        }
        let wanted = wanted.to_string();
        let begin = || {
            let request = self.calls.post(&url).header(CONTENT_TYPE, "application/json");
            self.json(request.body(wanted.clone()), &url)
        };
        let upload: Upload = self.insist(begin).await?;
        self.insist(|| self.put(&upload, file, bytes)).await?;
        Ok(upload.id)
    }

    /// Puts a file where an upload goes. That URL needs no token, and may be another server's.
    async fn put(&self, upload: &Upload, file: &Path, bytes: u64) -> Result<(), CallerError> {
        let file = tokio::fs::File::open(file).await.map_err(failed_to(format!("read {}", file.display())))?;
        let progress = self.progress.clone();
        progress.uploaded(0, bytes);
        let pieces = futures_util::stream::try_unfold((file, 0), move |(mut file, sent)| {
            let progress = progress.clone();
            async move {
                let mut piece = Vec::with_capacity(PIECE_BYTES);
                (&mut file).take(PIECE_BYTES as u64).read_to_end(&mut piece).await?;
                let sent = sent + piece.len() as u64;
                progress.uploaded(sent, bytes);
                Ok::<_, std::io::Error>((!piece.is_empty()).then_some((piece, (file, sent))))
            }
        });
        let mut request = self.uploads.put(&upload.url).body(reqwest::Body::wrap_stream(pieces));
        for (name, value) in &upload.headers {
            request = request.header(name, value);
        }
        let response = request.send().await.map_err(|source| self.unreachable(source))?;
        self.checked(response, &upload.url).await.map(|_| ())
    }

    /// A job as it stands.
    pub(crate) async fn job(&self, id: JobId) -> Result<Record, CallerError> {
        let url = self.url(&format!("/jobs/{id}"));
        self.insist(|| self.json(self.calls.get(&url), &url)).await
    }

    /// A job as soon as it changes, or after a while. A server may answer at once all the same.
    pub(crate) async fn job_when_changed(&self, seen: &Job) -> Result<Record, CallerError> {
        let wait = if seen.status == Status::Running { SHORT_POLL } else { LONG_POLL };
        let url = self.url(&format!("/jobs/{}?wait={}", seen.id, wait.as_secs()));
        self.insist(|| self.json(self.calls.get(&url), &url)).await
    }

    /// Jobs, the newest first, as many as asked for if there are so many.
    pub(crate) async fn jobs(&self, listing: &Listing<'_>) -> Result<Page, CallerError> {
        let mut all = Page { jobs: Vec::new(), next: None };
        loop {
            let limit = (listing.limit - all.jobs.len()).min(PAGE);
            let url = self.list_url(listing, limit, all.next.as_ref())?;
            let page: Page = self.insist(|| self.json(self.calls.get(&url), &url)).await?;
            all.jobs.extend(page.jobs);
            all.next = page.next;
            if all.next.is_none() || all.jobs.len() >= listing.limit {
                return Ok(all);
            }
        }
    }

    fn list_url(&self, listing: &Listing<'_>, limit: usize, cursor: Option<&Value>) -> Result<String, CallerError> {
        let mut query = vec![("limit", limit.to_string())];
        query.extend(listing.status.map(|status| ("status", status.to_string())));
        query.extend(listing.template.map(|template| ("template", template.to_owned())));
        query.extend(cursor.map(|cursor| ("cursor", cursor.as_str().map_or(cursor.to_string(), ToOwned::to_owned))));
        let url = Url::parse_with_params(&self.url("/jobs"), query);
        url.map(String::from).map_err(no_url)
    }

    /// Writes the report to a separate file, and returns its size in bytes.
    pub(crate) async fn download(&self, id: JobId, path: &Path) -> Result<u64, CallerError> {
        let url = self.report_url(id);
        self.insist(|| self.fetch(&url, path)).await
    }

    async fn fetch(&self, url: &str, path: &Path) -> Result<u64, CallerError> {
        let mut response = self.send(self.downloads.get(url), url).await?;
        let failed = || failed_to(format!("write {}", path.display()));
        let mut file = File::create(path).map_err(failed())?;
        let (mut bytes, total) = (0, response.content_length());
        while let Some(chunk) = response.chunk().await.map_err(|source| self.unreachable(source))? {
            file.write_all(&chunk).map_err(failed())?;
            bytes += chunk.len() as u64;
            self.progress.downloaded(bytes, total);
        }
        Ok(bytes)
    }

    /// Repeats a call while its error may be temporary; the last error is the result.
    async fn insist<T, F>(&self, call: impl FnMut() -> F) -> Result<T, CallerError>
    where
        F: Future<Output = Result<T, CallerError>>,
    {
        let pauses = ExponentialBuilder::default().with_min_delay(FIRST_PAUSE).with_max_times(RETRIES).with_jitter();
        call.retry(pauses)
            .when(CallerError::may_pass)
            .adjust(|error, pause| match error {
                CallerError::Unavailable(refusal) => {
                    pause.map(|pause| pause.max(refusal.retry_after.unwrap_or_default()))
                }
                _ => pause,
            })
            .notify(|error, pause| {
                let error = error.to_string();
                let error = error.trim_end_matches('.');
                self.progress.say(&format!("{error}; trying again in {:.1} s", pause.as_secs_f64()));
            })
            .await
    }

    /// Makes a call whose answer is JSON of this shape.
    async fn json<T: DeserializeOwned>(&self, request: RequestBuilder, url: &str) -> Result<T, CallerError> {
        let response = self.send(request, url).await?;
        let foreign = |found: String| CallerError::Foreign { url: url.to_owned(), found };
        if let Some(location) = location(&response) {
            return Err(foreign(format!("it sends callers on to {location}")));
        }
        let body = response.bytes().await.map_err(|source| self.unreachable(source))?;
        serde_json::from_slice(&body).map_err(|error| foreign(format!("its answer is not the expected JSON, {error}")))
    }

    /// Sends a request; an answer of 400 and more is an error.
    async fn send(&self, request: RequestBuilder, url: &str) -> Result<Response, CallerError> {
        let headers: HeaderMap = self.token.iter().map(|token| (AUTHORIZATION, token.clone())).collect();
        let response = request.headers(headers).send().await.map_err(|source| self.unreachable(source))?;
        self.checked(response, url).await
    }

    async fn checked(&self, response: Response, url: &str) -> Result<Response, CallerError> {
        let status = response.status();
        if !status.is_client_error() && !status.is_server_error() {
            return Ok(response);
        }
        let retry_after = response.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok()?.parse().ok());
        let retry_after = retry_after.map(|seconds| Duration::from_secs(seconds).min(LONGEST_PAUSE));
        let body = response.bytes().await.map_err(|source| self.unreachable(source))?;
        let refusal = Box::new(Refusal::new(url, status, retry_after, &body));
        // AWS answers 429 when every function that may run is running. An upload that broke off is in progress until the server
        // notices, which answers 409 and says when to try again.
        let may_pass = match status {
            // It lasts until reports or uploads expire, for weeks perhaps.
            StatusCode::TOO_MANY_REQUESTS if refusal.is("too-many-bytes") => false,
            StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_MANY_REQUESTS => true,
            StatusCode::CONFLICT => retry_after.is_some(),
            status => status.is_server_error(),
        };
        if may_pass {
            return Err(CallerError::Unavailable(refusal));
        }
        Err(CallerError::Refused(refusal))
    }

    fn url(&self, path: &str) -> String {
        format!("{}{path}", self.base)
    }

    fn report_url(&self, id: JobId) -> String {
        self.url(&format!("/jobs/{id}/report"))
    }

    fn unreachable(&self, source: reqwest::Error) -> CallerError {
        let url = source.url().map_or_else(|| self.base.clone(), ToString::to_string);
        CallerError::Unreachable { url, source }
    }
}

/// A client with this policy. A machine without any certificates can still make calls without TLS.
fn http(policy: fn() -> Policy, silence: Duration) -> Result<reqwest::Client, CallerError> {
    let builder = || {
        reqwest::Client::builder()
            .redirect(policy())
            .user_agent(concat!("pressrun/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(CONNECT_TIMEOUT)
            .read_timeout(silence)
            .referer(false)
    };
    let client = builder().build().or_else(|_| builder().tls_certs_only([]).build());
    client.map_err(|error| CallerError::Usage(format!("cannot set up HTTP: {error}")))
}

fn no_url(error: impl std::fmt::Display) -> CallerError {
    CallerError::Usage(format!("--url is not a URL: {error}"))
}

/// Where an answer sends its caller, if it does.
fn location(response: &Response) -> Option<String> {
    let location = response.headers().get(LOCATION).filter(|_| response.status().is_redirection())?;
    location.to_str().ok().map(ToOwned::to_owned)
}
