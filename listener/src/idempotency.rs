//! The header `Idempotency-Key`: the same request under the same key is the same job (IETF
//! draft-ietf-httpapi-idempotency-key-header).

use axum::http::{HeaderMap, StatusCode};
use chrono::TimeDelta;
use jobs::job::now;
use jobs::{Job, Reservation, Reserved};
use sfv::{BareItem, Parser};
use sha2::{Digest, Sha256};

use crate::access::Caller;
use crate::fingerprint::hexadecimal;
use crate::{Listener, Problem};

const HEADER: &str = "idempotency-key";

/// How long a key identifies its job.
const LIFE: TimeDelta = TimeDelta::hours(24);

/// The longest key, in bytes.
const MAX_KEY_BYTES: usize = 255;

/// A request's key.
pub(crate) struct Key(String);

/// Whether a request with a key was seen before.
pub(crate) enum Seen {
    /// It is the first.
    Fresh(Job),
    /// It came before, and may have been accepted as this job.
    Unconfirmed(Job),
    /// It was accepted before, as this job.
    Accepted(Job),
}

impl Key {
    /// The key of a request, if it has one; it is its caller's own.
    pub(crate) fn of(headers: &HeaderMap, caller: &Caller) -> Result<Option<Self>, Problem> {
        let mut values = headers.get_all(HEADER).iter();
        let Some(value) = values.next() else { return Ok(None) };
        let key = value.to_str().ok().and_then(read).filter(|_| values.next().is_none()).ok_or_else(malformed)?;
        let key = digest(caller.own(key).as_bytes());
        Ok(Some(Self(key)))
    }

    /// Ties the key to `job`, or finds the job that it is tied to. The fingerprint identifies the request.
    pub(crate) async fn reserve(&self, listener: &Listener, job: Job, fingerprint: String) -> Result<Seen, Problem> {
        let now = now();
        let reservation = Reservation {
            key: self.0.clone(),
            fingerprint,
            id: job.id,
            enqueued_at: job.enqueued_at,
            expires_at: now + LIFE,
        };
        match listener.jobs.reserve(&reservation, now).await? {
            Reserved::Fresh => Ok(Seen::Fresh(job)),
            Reserved::Repeated { id, enqueued_at, confirmed } => {
                let first = Job { id, enqueued_at, ..job };
                Ok(if confirmed { Seen::Accepted(first) } else { Seen::Unconfirmed(first) })
            }
            Reserved::Differs => Err(reused()),
        }
    }

    /// Records that the key's job was accepted. If it cannot be, the next request under the key queues the job once
    /// more, which changes nothing.
    pub(crate) async fn confirm(&self, listener: &Listener) {
        if let Err(error) = listener.jobs.confirm(&self.0).await {
            tracing::warn!(%error, "the idempotency key is not confirmed");
        }
    }
}

/// A string of RFC 8941, as the draft wants it, or the bare text that most clients send.
fn read(value: &str) -> Option<String> {
    let value = value.trim();
    let key = if value.starts_with('"') {
        match Parser::new(value).parse::<sfv::Item>().ok()?.bare_item {
            BareItem::String(text) => text.as_str().to_owned(),
            _ => return None,
        }
    } else {
        value.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'"').then(|| value.to_owned())?
    };
    (1..=MAX_KEY_BYTES).contains(&key.len()).then_some(key)
}

fn digest(bytes: &[u8]) -> String {
    hexadecimal(&Sha256::digest(bytes))
}

/// How a key may be refused.
pub(crate) fn refusals() -> [Problem; 2] {
    [malformed(), reused()]
}

fn malformed() -> Problem {
    let detail = format!(
        "Send it once, as a string of 1 to {MAX_KEY_BYTES} ASCII characters, for example \
         Idempotency-Key: \"8e03978e-40d5-43dd-bc93-6894a57f9324\"."
    );
    let title = "The header Idempotency-Key is malformed.";
    Problem::new(StatusCode::BAD_REQUEST, "invalid-idempotency-key", title, detail)
}

fn reused() -> Problem {
    let detail = "Within the last 24 hours another request came under it. Use another key for another request.";
    let title = "This Idempotency-Key was used for another request.";
    Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "idempotency-key-reused", title, detail)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_a_quoted_string_or_bare_text() {
        for (value, key) in [
            ("\"8e03978e-40d5\"", Some("8e03978e-40d5")),
            ("8e03978e-40d5", Some("8e03978e-40d5")),
            (" \"a b\" ", Some("a b")),
            (r#""a \"quoted\" \\ key""#, Some(r#"a "quoted" \ key"#)),
            ("", None),
            ("\"\"", None),
            ("\"open", None),
            ("a b", None),
            ("a\"b", None),
            ("\"a\", \"b\"", None),
        ] {
            assert_eq!(read(value).as_deref(), key, "{value}");
        }
        assert_eq!(read(&"x".repeat(MAX_KEY_BYTES)).map(|key| key.len()), Some(MAX_KEY_BYTES));
        assert_eq!(read(&"x".repeat(MAX_KEY_BYTES + 1)), None);
    }
}
