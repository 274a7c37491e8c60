//! One attempt: a signed POST, redirects followed by hand, and what the answer means.

use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use jobs::delivery::root_cause;
use jobs::destination::is_local;
use jobs::job::now;
use jobs::{DeliveryOutcome, Destinations, Sent};
use reqwest::header::{CONTENT_TYPE, HeaderMap, LOCATION, RETRY_AFTER};
use reqwest::redirect::Policy;
use reqwest::{Client, Response, StatusCode, Url};
use serde_json::Value;
use tokio::time::timeout;

use crate::guard::{Forbidden, Guard, Lookup, Reach};
use crate::secrets::Secrets;

/// How many redirects are followed.
const MAX_REDIRECTS: usize = 3;

/// How much of an answer's body is read, so that a short one is not cut off.
const MAX_ANSWER_BYTES: usize = 4 * 1024;

/// How long that may take.
const READING: Duration = Duration::from_secs(1);

/// What makes attempts.
pub struct Poster {
    /// For public addresses alone.
    public: Client,
    /// Absent where this machine is no destination.
    local: Option<Local>,
    destinations: Destinations,
    secrets: Secrets,
    time_limit: Duration,
}

/// What also reaches this machine.
struct Local {
    secure: Client,
    /// For this machine alone.
    plain: Client,
}

/// The event may not go there, now or later.
fn forbidden(why: impl std::fmt::Display) -> Sent {
    Sent::refused(format!("Refused: {why}."))
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
        let local = || {
            let plain = client(Reach::Loopback).tls_certs_only([]).build()?;
            Ok(Local { secure: secure(Reach::PublicAndLoopback)?, plain })
        };
        let local = destinations.loopback.then(local).transpose()?;
        Ok(Self { public: secure(Reach::Public)?, local, destinations, secrets, time_limit })
    }

    /// What sends the event to `url`, where a redirect of the server at `from` leads to it, and which addresses it reaches.
    /// Whoever owns another server may have a name for this machine.
    fn client(&self, url: &Url, from: Option<&Url>) -> (&Client, Reach) {
        match &self.local {
            Some(local) if from.is_none_or(is_local) => match url.scheme() {
                "http" => (&local.plain, Reach::Loopback),
                _ => (&local.secure, Reach::PublicAndLoopback),
            },
            _ => (&self.public, Reach::Public),
        }
    }

    /// Makes one attempt.
    pub(crate) async fn post(&self, id: &str, url: &str, event: &Value) -> Sent {
        let url = match self.destinations.parse(url) {
            Ok(url) => url,
            Err(refused) => return forbidden(refused),
        };
        let (id, timestamp, body) = (id.to_owned(), now().timestamp(), event.to_string());
        let signature = match self.secrets.sign(&id, timestamp, &body) {
            Ok(signature) => signature,
            Err(error) => return Sent::later(format!("The event could not be signed: {error}.")),
        };
        let signed = Signed { id, timestamp, signature, body };
        let limit = format!("The receiver did not answer within {} s.", self.time_limit.as_secs_f32());
        timeout(self.time_limit, self.follow(url, &signed)).await.unwrap_or_else(|_| Sent::later(limit))
    }

    /// Sends the event, and sends it again where the receiver says it should go.
    async fn follow(&self, mut url: Url, signed: &Signed) -> Sent {
        let mut from = None;
        for _ in 0..=MAX_REDIRECTS {
            let response = match self.send(&url, from.as_ref(), signed).await {
                Ok(response) => response,
                Err(answer) => return answer,
            };
            let status = response.status();
            if !is_redirect(status) {
                return judged(response).await;
            }
            let location = response.headers().get(LOCATION).and_then(|location| location.to_str().ok());
            let Some(mut next) = location.and_then(|location| url.join(location).ok()) else {
                let answer = Sent::later(format!("The receiver answered {status} and named no other place."));
                return Sent { status: Some(status.as_u16()), ..answer };
            };
            next.set_fragment(None);
            if let Err(refused) = self.destinations.check_redirect(&url, &next) {
                let answer = forbidden(format!("the receiver redirects to {}: {refused}", place(&next)));
                return Sent { status: Some(status.as_u16()), ..answer };
            }
            let last = std::mem::replace(&mut url, next);
            if last.origin() != url.origin() {
                from = Some(last);
            }
        }
        Sent::later(format!("The receiver redirects more than {MAX_REDIRECTS} times."))
    }

    /// Sends the event to one place, if its address is within reach.
    async fn send(&self, url: &Url, from: Option<&Url>, signed: &Signed) -> Result<Response, Sent> {
        let (client, reach) = self.client(url, from);
        reach.check(url).map_err(forbidden)?;
        let request = client
            .post(url.clone())
            .header(CONTENT_TYPE, "application/json")
            .header("webhook-id", &signed.id)
            .header("webhook-timestamp", signed.timestamp)
            .header("webhook-signature", &signed.signature)
            .body(signed.body.clone());
        request.send().await.map_err(|error| match find::<Forbidden>(&error) {
            Some(out_of_reach) => {
                tracing::warn!(address = %out_of_reach.address, "a webhook's host resolves to an address that is not allowed");
                forbidden(out_of_reach)
            }
            None => Sent::later(format!("{} could not be reached: {}.", place(url), root_cause(&error))),
        })
    }
}

/// The answer of a receiver that does not redirect.
async fn judged(response: Response) -> Sent {
    let status = response.status();
    let retry_after = retry_after(response.headers(), now());
    _ = timeout(READING, read(response)).await;
    let (outcome, error) = match status {
        status if status.is_success() => (DeliveryOutcome::Taken, None),
        StatusCode::GONE => (DeliveryOutcome::Unwanted, Some("wants no more events")),
        _ => (DeliveryOutcome::Later { retry_after }, Some("did not take the event")),
    };
    let error = error.map(|what| format!("The receiver answered {status}: it {what}."));
    Sent { status: Some(status.as_u16()), error, outcome }
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

fn causes<'a>(error: &'a (dyn Error + 'static)) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    std::iter::successors(Some(error), |cause| {
        let cause: &'a (dyn Error + 'static) = *cause;
        cause.source()
    })
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::net::IpAddr;

    use async_trait::async_trait;

    use super::*;

    /// Every name is one of this machine.
    struct Here;

    #[async_trait]
    impl Lookup for Here {
        async fn addresses(&self, _: &str) -> io::Result<Vec<IpAddr>> {
            Ok(vec![IpAddr::from([127, 0, 0, 1])])
        }
    }

    #[tokio::test]
    async fn a_name_of_this_machine_is_reached_by_nobody_elses_redirect() {
        let destinations = Destinations { loopback: true, ..Destinations::default() };
        let secrets = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw".parse().expect("a secret");
        let poster = Poster::new(destinations, Arc::new(Here), secrets, Duration::from_secs(9)).expect("a client");
        let signed = Signed { id: String::new(), timestamp: 0, signature: String::new(), body: String::new() };
        let (elsewhere, own) = (Url::parse("https://example.org/"), Url::parse("http://localhost/"));
        let (elsewhere, own) = (elsewhere.expect("a URL"), own.expect("a URL"));
        // Nothing listens there.
        let url = Url::parse("https://here.test:1/").expect("a URL");
        for (from, outcome) in [
            (None, DeliveryOutcome::Later { retry_after: None }),
            (Some(&own), DeliveryOutcome::Later { retry_after: None }),
            (Some(&elsewhere), DeliveryOutcome::Refused),
        ] {
            let sent = poster.send(&url, from, &signed).await.expect_err("nothing answers");
            assert_eq!(sent.outcome, outcome, "{from:?}: {:?}", sent.error);
        }
    }

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
