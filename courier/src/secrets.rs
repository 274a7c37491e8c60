//! The secrets that events are signed with.

use std::str::FromStr;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use standardwebhooks::{Webhook, WebhookError};

/// What a secret begins with.
const PREFIX: &str = "whsec_";

/// How long a secret may be, in bytes.
const BYTES: std::ops::RangeInclusive<usize> = 24..=64;

/// One secret or more, so that receivers can go over from one to the next: an event carries a signature by each.
pub struct Secrets(Vec<Webhook>);

/// A secret that is none. Does not hold it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "a webhook secret is whsec_ and 24 to 64 random bytes in base64, for example from: echo whsec_$(openssl rand -base64 32)"
)]
pub struct BadSecret;

impl Secrets {
    /// The signatures of a payload, as the header `webhook-signature` has them. `timestamp` is in seconds since 1970.
    pub(crate) fn sign(&self, id: &str, timestamp: i64, payload: &str) -> Result<String, WebhookError> {
        let signatures = self.0.iter().map(|secret| secret.sign(id, timestamp, payload.as_bytes()));
        Ok(signatures.collect::<Result<Vec<_>, _>>()?.join(" "))
    }
}

impl FromStr for Secrets {
    type Err = BadSecret;

    /// Reads secrets separated by commas or white space.
    fn from_str(text: &str) -> Result<Self, BadSecret> {
        let words = text.split(|char: char| char == ',' || char.is_whitespace()).filter(|word| !word.is_empty());
        let secrets = words.map(secret).collect::<Result<Vec<_>, _>>()?;
        if secrets.is_empty() { Err(BadSecret) } else { Ok(Self(secrets)) }
    }
}

fn secret(word: &str) -> Result<Webhook, BadSecret> {
    let bytes = word.strip_prefix(PREFIX).and_then(|encoded| STANDARD.decode(encoded).ok());
    let bytes = bytes.filter(|bytes| BYTES.contains(&bytes.len())).ok_or(BadSecret)?;
    Webhook::from_bytes(bytes).map_err(|_| BadSecret)
}

impl std::fmt::Debug for Secrets {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Secrets({} of them)", self.0.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of the specification's reference implementations.
    const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

    #[test]
    fn a_signature_is_that_of_other_implementations() {
        let secrets: Secrets = SECRET.parse().expect("a secret");
        let signed = secrets.sign("msg_p5jXN8AQM9LWM0D4loKWxJek", 1_614_265_330, r#"{"test": 2432232314}"#);
        assert_eq!(signed.expect("signed"), "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    }

    #[test]
    fn each_secret_signs() {
        let secrets: Secrets = format!("{SECRET}, whsec_{}", "A".repeat(64)).parse().expect("two");
        let signed = secrets.sign("id", 1, "{}").expect("signed");
        assert_eq!(signed.split(' ').filter(|signature| signature.starts_with("v1,")).count(), 2);
    }

    #[test]
    fn what_is_no_secret_is_refused_without_being_told() {
        for text in
            ["", " , ", "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "whsec_", "whsec_AAAA", "whsec_!", &format!("{SECRET} x")]
        {
            let refused = text.parse::<Secrets>().expect_err(text).to_string();
            assert!(!refused.contains("MfKQ9"), "{refused}");
        }
    }
}
