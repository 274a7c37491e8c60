//! One attempt: a signed POST, redirects followed by hand, and what the answer means.

use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use jobs::job::{now, shortened};
use jobs::{Destinations, WebhookMessage};
use reqwest::header::{CONTENT_TYPE, HeaderMap, LOCATION, RETRY_AFTER};
use reqwest::redirect::Policy;
use reqwest::{Client, Response, StatusCode, Url};
use tokio::time::timeout;

use crate::guard::{Forbidden, Guard, Lookup, Reach};
use crate::secrets::Secrets;

/// How many redirects are followed.
const MAX_REDIRECTS: usize = 3;

/// How much of an answer's body is read, so that a short one is not cut off.
const MAX_ANSWER_BYTES: usize = 4 * 1024;

/// How long that may take.
const READING: Duration = Duration::from_secs(1);

/// How much of an error is told, in characters.
const MAX_ERROR_CHARS: usize = 300;

/// What makes attempts.
pub struct Poster {
    secure: Client,
    /// For this machine alone; absent where that is no destination.
    plain: Option<Client>,
    destinations: Destinations,
    secrets: Secrets,
    time_limit: Duration,
}

/// What came of an attempt.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: Option<u16>,
    pub(crate) error: Option<String>,
    pub(crate) outcome: Outcome,
}

/// What an answer means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// The receiver has the event.
    Taken,
    /// The receiver wants no events any more.
    Unwanted,
    /// The event may not go there, now or later.
    Forbidden,
    /// Another attempt may do better.
    Trouble { retry_after: Option<Duration> },
}

impl Answer {
    fn forbidden(why: impl std::fmt::Display) -> Self {
        Self { status: None, error: Some(format!("Refused: {why}.")), outcome: Outcome::Forbidden }
    }

    fn trouble(error: impl Into<String>) -> Self {
        Self { status: None, error: Some(error.into()), outcome: Outcome::Trouble { retry_after: None } }
    }
}

/// What is sent, the same to every host of a chain of redirects.
struct Signed {
    id: String,
    timestamp: i64,
    signature: String,
    body: String,
}

impl Poster {
    /// What the `user-agent` says.
    const USER_AGENT: &str = concat!("Pressrun/", env!("CARGO_PKG_VERSION"));

    /// Makes attempts that go to `destinations`, by the addresses that `lookup` finds, signed with `secrets`, each within
    /// `time_limit`, redirects included.
    pub fn new(
        destinations: Destinations,
        lookup: Arc<dyn Lookup>,
        secrets: Secrets,
        time_limit: Duration,
    ) -> Result<Self, reqwest::Error> {
        let client = |reach| {
            let guard = Guard { lookup: lookup.clone(), reach };
            let client = Client::builder().dns_resolver(Arc::new(guard)).redirect(Policy::none()).no_proxy();
            // A connection that is kept would not be looked up again.
            client.pool_max_idle_per_host(0).user_agent(Self::USER_AGENT).referer(false)
        };
        // A machine without any certificates can still tell its own servers.
        let secure = |reach| client(reach).build().or_else(|_| client(reach).tls_certs_only([]).build());
        Ok(Self {
            secure: secure(Self::secure_reach(&destinations))?,
            plain: if destinations.loopback { Some(client(Reach::Loopback).tls_certs_only([]).build()?) } else { None },
            destinations,
            secrets,
            time_limit,
        })
    }

    fn secure_reach(destinations: &Destinations) -> Reach {
        if destinations.loopback { Reach::PublicAndLoopback } else { Reach::Public }
    }

    /// Makes one attempt.
    pub(crate) async fn post(&self, message: &WebhookMessage) -> Answer {
        let url = match self.destinations.parse(&message.url) {
            Ok(url) => url,
            Err(refused) => return Answer::forbidden(refused),
        };
        let (id, timestamp, body) = (message.webhook_id(), now().timestamp(), message.event.to_string());
        let signature = match self.secrets.sign(&id, timestamp, &body) {
            Ok(signature) => signature,
            Err(error) => return Answer::trouble(format!("The event could not be signed: {error}.")),
        };
        let signed = Signed { id, timestamp, signature, body };
        let limit = format!("The receiver did not answer within {} s.", self.time_limit.as_secs_f32());
        timeout(self.time_limit, self.follow(url, &signed)).await.unwrap_or_else(|_| Answer::trouble(limit))
    }

    /// Sends the event, and sends it again where the receiver says it should go.
    async fn follow(&self, mut url: Url, signed: &Signed) -> Answer {
        for _ in 0..=MAX_REDIRECTS {
            let response = match self.send(&url, signed).await {
                Ok(response) => response,
                Err(answer) => return answer,
            };
            let status = response.status();
            if !is_redirect(status) {
                return judged(response).await;
            }
            let location = response.headers().get(LOCATION).and_then(|location| location.to_str().ok());
            let Some(mut next) = location.and_then(|location| url.join(location).ok()) else {
                let answer = Answer::trouble(format!("The receiver answered {status} and named no other place."));
                return Answer { status: Some(status.as_u16()), ..answer };
            };
            next.set_fragment(None);
            if let Err(refused) = self.destinations.check_redirect(&url, &next) {
                let answer = Answer::forbidden(format!("the receiver redirects to {}: {refused}", place(&next)));
                return Answer { status: Some(status.as_u16()), ..answer };
            }
            url = next;
        }
        Answer::trouble(format!("The receiver redirects more than {MAX_REDIRECTS} times."))
    }

    /// Sends the event to one place, if its address is within reach.
    async fn send(&self, url: &Url, signed: &Signed) -> Result<Response, Answer> {
        let (client, reach) = match (&self.plain, url.scheme()) {
            (Some(plain), "http") => (plain, Reach::Loopback),
            _ => (&self.secure, Self::secure_reach(&self.destinations)),
        };
        reach.check(url).map_err(Answer::forbidden)?;
        let request = client
            .post(url.clone())
            .header(CONTENT_TYPE, "application/json")
            .header("webhook-id", &signed.id)
            .header("webhook-timestamp", signed.timestamp)
            .header("webhook-signature", &signed.signature)
            .body(signed.body.clone());
        request.send().await.map_err(|error| match find::<Forbidden>(&error) {
            Some(forbidden) => Answer::forbidden(forbidden),
            None => {
                let why = shortened(root(&error), MAX_ERROR_CHARS);
                Answer::trouble(format!("{} could not be reached: {why}.", place(url)))
            }
        })
    }
}

/// The answer of a receiver that does not redirect.
async fn judged(response: Response) -> Answer {
    let status = response.status();
    let retry_after = retry_after(response.headers(), now());
    _ = timeout(READING, read(response)).await;
    let (outcome, error) = match status {
        status if status.is_success() => (Outcome::Taken, None),
        StatusCode::GONE => (Outcome::Unwanted, Some("wants no more events")),
        _ => (Outcome::Trouble { retry_after }, Some("did not take the event")),
    };
    let error = error.map(|what| format!("The receiver answered {status}: it {what}."));
    Answer { status: Some(status.as_u16()), error, outcome }
}

/// Reads the beginning of an answer's body, and does nothing with it.
async fn read(mut response: Response) {
    let mut bytes = 0;
    while bytes < MAX_ANSWER_BYTES
        && let Ok(Some(chunk)) = response.chunk().await
    {
        bytes += chunk.len();
    }
}

/// Those that name another place for the same request. A browser would turn some of them into a GET.
fn is_redirect(status: StatusCode) -> bool {
    matches!(status.as_u16(), 301 | 302 | 303 | 307 | 308)
}

/// A URL's host and port, which is all of it that an error tells.
fn place(url: &Url) -> String {
    match url.port() {
        Some(port) => format!("{}:{port}", url.host_str().unwrap_or_default()),
        None => url.host_str().unwrap_or_default().to_owned(),
    }
}

/// How long a receiver asks to be left alone: seconds, or an HTTP date.
fn retry_after(headers: &HeaderMap, now: DateTime<Utc>) -> Option<Duration> {
    let value = headers.get(RETRY_AFTER)?.to_str().ok()?;
    match value.parse() {
        Ok(seconds) => Some(Duration::from_secs(seconds)),
        Err(_) => (DateTime::parse_from_rfc2822(value).ok()?.to_utc() - now).to_std().ok(),
    }
}

/// The error of this type among the causes of another.
fn find<'a, E: Error + 'static>(error: &'a (dyn Error + 'static)) -> Option<&'a E> {
    causes(error).find_map(|cause| cause.downcast_ref())
}

/// The first cause of an error.
fn root<'a>(error: &'a (dyn Error + 'static)) -> &'a (dyn Error + 'static) {
    causes(error).last().unwrap_or(error)
}

fn causes<'a>(error: &'a (dyn Error + 'static)) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    std::iter::successors(Some(error), |cause| {
        let cause: &'a (dyn Error + 'static) = *cause;
        cause.source()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_receiver_says_in_two_ways_when_to_come_back() {
        let now = DateTime::parse_from_rfc3339("2026-11-21T09:55:21Z").expect("a time").to_utc();
        let asked = |value: &str| {
            let headers = HeaderMap::from_iter([(RETRY_AFTER, value.parse().expect("a value"))]);
            retry_after(&headers, now)
        };
        assert_eq!(asked("120"), Some(Duration::from_secs(120)));
        assert_eq!(asked("Sat, 21 Nov 2026 09:56:21 GMT"), Some(Duration::from_secs(60)));
        for value in ["", "soon", "-1", "Sat, 21 Nov 2026 09:54:21 GMT"] {
            assert_eq!(asked(value), None, "{value}");
        }
    }
}
