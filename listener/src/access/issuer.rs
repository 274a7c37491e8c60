//! An OIDC issuer and its keys: found by OpenID Connect Discovery, kept for an hour, fetched again when a token names one
//! that is not among them.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, Instant};

use axum::http::StatusCode;
use axum::http::header::RETRY_AFTER;
use jsonwebtoken::jwk::{AlgorithmParameters, EllipticCurve, Jwk, KeyAlgorithm, KeyOperations, PublicKeyUse};
use jsonwebtoken::{Algorithm, DecodingKey};
use reqwest::redirect::Policy;
use reqwest::{Client, Url};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use tokio::sync::Mutex;

use super::signature;
use crate::Problem;

/// After how long the keys are fetched again.
const FRESH: Duration = Duration::from_secs(60 * 60);

/// How long keys are used while the issuer does not answer.
const GOOD: Duration = Duration::from_secs(24 * 60 * 60);

/// How often the keys are fetched for a token whose key is not among them.
const BETWEEN_STRANGERS: Duration = Duration::from_secs(60);

/// How long an issuer that did not answer is left alone.
const AFTER_FAILURE: Duration = Duration::from_secs(5);

/// How long one call to the issuer may take.
const PATIENCE: Duration = Duration::from_secs(5);

/// How much of an answer is read.
const MAX_ANSWER_BYTES: usize = 512 * 1024;

/// The claim that rights are in where nothing else is said.
pub const RIGHTS_CLAIM: &str = "scope";

/// Where its configuration is, behind the issuer's URL.
const DISCOVERY: &str = "/.well-known/openid-configuration";

/// An issuer of tokens, for some audiences.
pub struct Issuer {
    pub(super) url: String,
    pub(super) audiences: Vec<String>,
    pub(super) rights_claim: String,
    loopback: bool,
    client: Client,
    keys: RwLock<Arc<Keys>>,
    fetching: Mutex<Fetching>,
}

/// Why there can be no such issuer.
#[derive(Debug, thiserror::Error)]
pub enum BadIssuer {
    /// The URL cannot be asked for keys.
    #[error("the issuer must be an https URL, as its tokens have it in `iss`, such as https://login.example.org/")]
    Url,
    /// There is no audience.
    #[error("there is no audience: name what the tokens must have in `aud`, or in `client_id`")]
    NoAudience,
    /// TLS cannot be set up.
    #[error("cannot set up TLS: {0}")]
    Tls(#[from] reqwest::Error),
}

/// A key that signs tokens, and the one algorithm that it is for.
pub(super) struct Key {
    pub(super) algorithm: Algorithm,
    pub(super) key: DecodingKey,
}

#[derive(Default)]
struct Keys {
    by_id: HashMap<String, Arc<Key>>,
    fetched_at: Option<Instant>,
}

impl Keys {
    fn are_younger_than(&self, age: Duration) -> bool {
        self.fetched_at.is_some_and(|at| at.elapsed() < age)
    }
}

/// When the keys may be fetched next.
#[derive(Default)]
struct Fetching {
    for_a_stranger: Option<Instant>,
    after_failure: Option<Instant>,
}

/// The issuer's keys cannot be fetched.
#[derive(Debug, thiserror::Error)]
#[error("{url}: {why}")]
pub(super) struct Unreachable {
    url: String,
    why: String,
}

#[derive(Deserialize)]
struct Configuration {
    issuer: String,
    jwks_uri: String,
}

#[derive(Deserialize)]
struct KeySet {
    keys: Vec<Value>,
}

impl Issuer {
    /// The issuer whose tokens have `url` in `iss` and one of `audiences`, separated by commas, in `aud`. An http URL is
    /// taken for this machine only, and only where `loopback` says so.
    pub fn new(url: &str, audiences: &str, loopback: bool) -> Result<Self, BadIssuer> {
        signature::install();
        let parsed = permitted(url, loopback).ok_or(BadIssuer::Url)?;
        let audiences: Vec<_> =
            audiences.split(',').map(str::trim).filter(|it| !it.is_empty()).map(Into::into).collect();
        if audiences.is_empty() {
            return Err(BadIssuer::NoAudience);
        }
        let client = || {
            let client = Client::builder().redirect(Policy::none()).timeout(PATIENCE).referer(false);
            if is_loopback(&parsed) { client.no_proxy() } else { client }
        };
        // A machine without any certificates can still ask itself.
        let client = client().build().or_else(|_| client().tls_certs_only([]).build())?;
        let (keys, fetching) = (RwLock::default(), Mutex::default());
        Ok(Self { url: url.to_owned(), audiences, rights_claim: RIGHTS_CLAIM.into(), loopback, client, keys, fetching })
    }

    /// The same, whose tokens have the rights of their subjects in this claim and not in [`RIGHTS_CLAIM`].
    #[must_use]
    pub fn with_rights_in(self, claim: impl Into<String>) -> Self {
        Self { rights_claim: claim.into(), ..self }
    }

    /// The key that a token names, if the issuer has it.
    pub(super) async fn key(&self, id: &str) -> Result<Option<Arc<Key>>, Unreachable> {
        let known = self.current();
        let key = known.by_id.get(id);
        if key.is_some() && known.are_younger_than(FRESH) {
            return Ok(key.cloned());
        }
        let mut fetching = match self.fetching.try_lock() {
            Ok(fetching) => fetching,
            Err(_) if key.is_some() && known.are_younger_than(GOOD) => return Ok(key.cloned()),
            Err(_) => self.fetching.lock().await,
        };
        self.fetch_if_due(id, &mut fetching).await;
        let known = self.current();
        if !known.are_younger_than(GOOD) {
            return Err(Unreachable { url: self.url.clone(), why: "its keys are not known".into() });
        }
        Ok(known.by_id.get(id).cloned())
    }

    fn current(&self) -> Arc<Keys> {
        self.keys.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Fetches the keys for a token that names this one, unless it is there or the issuer was asked just now.
    async fn fetch_if_due(&self, id: &str, fetching: &mut Fetching) {
        let known = self.current();
        let fresh = known.are_younger_than(FRESH);
        let is_past = |at: Option<Instant>| at.is_none_or(|at| at <= Instant::now());
        if fresh && (known.by_id.contains_key(id) || !is_past(fetching.for_a_stranger))
            || !is_past(fetching.after_failure)
        {
            return;
        }
        if fresh {
            fetching.for_a_stranger = Some(Instant::now() + BETWEEN_STRANGERS);
        }
        match self.fetch().await {
            Ok(by_id) => {
                tracing::info!(issuer = self.url, keys = by_id.len(), "fetched the issuer's keys");
                let keys = Arc::new(Keys { by_id, fetched_at: Some(Instant::now()) });
                *self.keys.write().unwrap_or_else(PoisonError::into_inner) = keys;
            }
            Err(error) => {
                tracing::error!(%error, "cannot fetch the issuer's keys");
                fetching.after_failure = Some(Instant::now() + AFTER_FAILURE);
            }
        }
    }

    async fn fetch(&self) -> Result<HashMap<String, Arc<Key>>, Unreachable> {
        let url = format!("{}{DISCOVERY}", self.url.trim_end_matches('/'));
        let configuration: Configuration = self.get(&url).await?;
        let fault = |why: String| Unreachable { url, why };
        if configuration.issuer != self.url {
            return Err(fault(format!("it is of the issuer {:?}, which is not {:?}", configuration.issuer, self.url)));
        }
        if permitted(&configuration.jwks_uri, self.loopback).is_none() {
            return Err(fault(format!("its keys are at {:?}, which is not https", configuration.jwks_uri)));
        }
        let set: KeySet = self.get(&configuration.jwks_uri).await?;
        Ok(set.keys.into_iter().filter_map(read_key).collect())
    }

    async fn get<T: DeserializeOwned>(&self, url: &str) -> Result<T, Unreachable> {
        let fault = |why: String| Unreachable { url: url.to_owned(), why };
        let broken = |error: reqwest::Error| fault(format!("{:?}", error.without_url()));
        let mut answer = self.client.get(url).send().await.map_err(broken)?;
        if !answer.status().is_success() {
            return Err(fault(format!("it answers {}", answer.status())));
        }
        let mut body = Vec::new();
        while let Some(chunk) = answer.chunk().await.map_err(broken)? {
            body.extend_from_slice(&chunk);
            if body.len() > MAX_ANSWER_BYTES {
                return Err(fault(format!("it answers more than {MAX_ANSWER_BYTES} bytes")));
            }
        }
        serde_json::from_slice(&body).map_err(|error| fault(error.to_string()))
    }
}

/// A URL that keys may come from.
fn permitted(url: &str, loopback: bool) -> Option<Url> {
    let parsed = Url::parse(url).ok()?;
    let plain = parsed.scheme() == "http" && loopback && is_loopback(&parsed);
    (parsed.has_host() && (parsed.scheme() == "https" || plain)).then_some(parsed)
}

fn is_loopback(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default();
    let address = host.trim_matches(['[', ']']).parse::<IpAddr>();
    host == "localhost" || address.is_ok_and(|address| address.is_loopback())
}

/// A key with its id; nothing if it is of a kind that signs nothing here.
fn read_key(value: Value) -> Option<(String, Arc<Key>)> {
    let jwk: Jwk = serde_json::from_value(value).ok()?;
    let common = &jwk.common;
    let signs = matches!(common.public_key_use, None | Some(PublicKeyUse::Signature));
    let verifies = common.key_operations.as_ref().is_none_or(|operations| operations.contains(&KeyOperations::Verify));
    if !signs || !verifies {
        return None;
    }
    // The key says what it is good for; what a token says of itself is compared with that.
    let (algorithm, its_name) = match &jwk.algorithm {
        AlgorithmParameters::RSA(_) => (Algorithm::RS256, KeyAlgorithm::RS256),
        AlgorithmParameters::EllipticCurve(key) if key.curve == EllipticCurve::P256 => {
            (Algorithm::ES256, KeyAlgorithm::ES256)
        }
        AlgorithmParameters::OctetKeyPair(key) if key.curve == EllipticCurve::Ed25519 => {
            (Algorithm::EdDSA, KeyAlgorithm::EdDSA)
        }
        _ => return None,
    };
    if common.key_algorithm.is_some_and(|said| said != its_name) {
        return None;
    }
    let key = DecodingKey::from_jwk(&jwk).ok()?;
    Some((jwk.common.key_id?, Arc::new(Key { algorithm, key })))
}

/// The refusal of a call whose token cannot be checked.
pub(crate) fn unreachable() -> Problem {
    let detail =
        "The issuer's keys could not be fetched, so no token can be checked. Send the request again in 5 seconds.";
    let title = "The issuer of tokens did not answer.";
    Problem::new(StatusCode::SERVICE_UNAVAILABLE, "issuer-unavailable", title, detail)
        .with_header(RETRY_AFTER, AFTER_FAILURE.as_secs())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_issuer_is_https_or_this_machine() {
        for (url, loopback, good) in [
            ("https://login.example.org/", false, true),
            ("https://cognito-idp.eu-central-1.amazonaws.com/eu-central-1_x", false, true),
            ("http://127.0.0.1:4000", true, true),
            ("http://localhost:4000", true, true),
            ("http://[::1]:4000", true, true),
            ("http://127.0.0.1:4000", false, false),
            ("http://login.example.org/", true, false),
            ("http://127.0.0.1.example.org/", true, false),
            ("login.example.org", true, false),
            ("file:///etc/passwd", true, false),
            ("", true, false),
        ] {
            assert_eq!(Issuer::new(url, "reports", loopback).is_ok(), good, "{url}");
        }
        assert!(matches!(Issuer::new("https://login.example.org/", " ,", false), Err(BadIssuer::NoAudience)));
    }

    #[test]
    fn keys_that_sign_nothing_here_are_passed_over() {
        signature::install();
        let (x, y) = ("f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU", "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0");
        let good = json!({"kid": "a", "kty": "EC", "crv": "P-256", "x": x, "y": y, "use": "sig", "alg": "ES256"});
        let with = |member: &str, value: Value| {
            let mut key = good.clone();
            key[member] = value;
            read_key(key).map(|(id, _)| id)
        };
        for (member, value) in
            [("x5t", json!("unknown")), ("alg", Value::Null), ("key_ops", json!(["verify"])), ("use", Value::Null)]
        {
            assert_eq!(with(member, value), Some("a".into()), "{member}");
        }
        for (member, value) in [
            ("use", json!("enc")),
            ("alg", json!("ES384")),
            ("alg", json!("RS256")),
            ("alg", json!("unheard-of")),
            ("key_ops", json!(["encrypt"])),
            ("key_ops", json!([])),
            ("crv", json!("P-384")),
            ("kty", json!("XYZ")),
            ("kid", Value::Null),
            ("x", json!("~")),
        ] {
            assert_eq!(with(member, value), None, "{member}");
        }
        let symmetric = json!({"kid": "a", "kty": "oct", "k": "c2VjcmV0", "alg": "HS256"});
        assert!(read_key(symmetric).is_none());
    }
}
