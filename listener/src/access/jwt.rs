//! Callers by the tokens of an OIDC issuer (RFC 7519).

use jsonwebtoken::errors::ErrorKind;
use jsonwebtoken::{Validation, decode, decode_header};
use serde::Deserialize;
use serde_json::{Map, Value};

use super::caller::Caller;
use super::issuer::{Issuer, unreachable};
use super::refused;
use super::rights::{Right, Rights};
use crate::Problem;

/// By how many seconds the clocks of issuer and listener may differ.
const LEEWAY_SECONDS: u64 = 60;

/// The longest `sub` that OpenID Connect permits.
const MAX_SUBJECT_BYTES: usize = 255;

/// What is wrong with a token that is none.
const MALFORMED: &str = "The token is no signed JWT with an `alg` of RS256, ES256 or EdDSA, and a `kid`.";

/// What the `typ` of a token may be that lets callers in, in lower case and without `application/`: what RFC 9068 gives
/// access tokens, and what most issuers write.
const TYPES: [&str; 2] = ["at+jwt", "jwt"];

/// What is wrong with a token of another type.
const WRONG_TYPE: &str = "The token is for another purpose: its `typ` is neither at+jwt nor JWT.";

/// What the names of rights begin with in tokens, before a colon or a slash.
const RIGHTS_PREFIX: &str = "pressrun";

/// What is wrong with a token for somebody else.
const WRONG_AUDIENCE: &str = "The token is for another audience. Ask the issuer for one for this server.";

#[derive(Deserialize)]
struct Claims {
    sub: String,
    /// Compared with the issuer's by `jsonwebtoken`, which takes a list as well.
    #[serde(rename = "iss")]
    _issuer: String,
    aud: Option<Audiences>,
    client_id: Option<String>,
    token_use: Option<String>,
    #[serde(flatten)]
    others: Map<String, Value>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Audiences {
    One(String),
    Several(Vec<String>),
}

impl Claims {
    /// Whether the token is for one of these. Cognito's access tokens have no `aud`, but the client they were issued to.
    fn are_for(&self, wanted: &[String]) -> bool {
        match (&self.aud, &self.client_id) {
            (Some(Audiences::One(audience)), _) => wanted.contains(audience),
            (Some(Audiences::Several(audiences)), _) => audiences.iter().any(|it| wanted.contains(it)),
            (None, Some(client)) => self.token_use.as_deref() == Some("access") && wanted.contains(client),
            (None, None) => false,
        }
    }

    /// The rights in a claim, which is a list or one text of words. What else it holds is for others.
    fn rights(&self, claim: &str) -> Rights {
        let words = match self.others.get(claim) {
            Some(Value::String(text)) => text.split_whitespace().collect(),
            Some(Value::Array(words)) => words.iter().filter_map(Value::as_str).collect(),
            _ => Vec::new(),
        };
        words.into_iter().filter_map(right).collect()
    }
}

/// The right that a word such as `pressrun:admin` gives. Cognito separates by a slash.
fn right(word: &str) -> Option<Right> {
    word.strip_prefix(RIGHTS_PREFIX)?.strip_prefix([':', '/'])?.parse().ok()
}

fn is_fitting(typ: &str) -> bool {
    let typ = typ.to_ascii_lowercase();
    TYPES.contains(&typ.strip_prefix("application/").unwrap_or(&typ))
}

/// Whom a token of this issuer names in `sub`.
pub(super) async fn caller(issuer: &Issuer, token: &str) -> Result<Caller, Problem> {
    let header = decode_header(token).map_err(|_| refused(MALFORMED))?;
    if header.typ.as_deref().is_some_and(|typ| !is_fitting(typ)) {
        return Err(refused(WRONG_TYPE));
    }
    // Nothing that a token calls critical is understood here (RFC 7515, section 4.1.11).
    let id = header.kid.filter(|_| header.crit.is_none()).ok_or_else(|| refused(MALFORMED))?;
    let key = issuer.key(&id).await.map_err(|error| {
        tracing::error!(%error, "cannot check a token");
        unreachable()
    })?;
    let key = key.ok_or_else(|| refused("The token is signed with a key that is none of the issuer's."))?;
    let mut validation = Validation::new(key.algorithm);
    validation.leeway = LEEWAY_SECONDS;
    validation.validate_nbf = true;
    validation.validate_aud = false; // See `are_for`.
    validation.set_issuer(&[&issuer.url]);
    validation.set_required_spec_claims(&["exp", "iss", "sub"]);
    let claims = decode::<Claims>(token, &key.key, &validation).map_err(|error| refused(&said(error.kind())))?.claims;
    if !claims.are_for(&issuer.audiences) {
        return Err(refused(WRONG_AUDIENCE));
    }
    if claims.sub.is_empty() || claims.sub.len() > MAX_SUBJECT_BYTES {
        return Err(refused("The token's `sub` is empty, or longer than 255 characters."));
    }
    if Caller::is_reserved(&claims.sub) {
        return Err(refused("The token's `sub` is a name that this server gives to callers without one."));
    }
    Ok(Caller::new(&claims.sub, claims.rights(&issuer.rights_claim)))
}

fn said(error: &ErrorKind) -> String {
    match error {
        ErrorKind::ExpiredSignature => "The token has expired. Ask the issuer for a new one.".into(),
        ErrorKind::ImmatureSignature => "The token is not valid yet. Compare the clocks.".into(),
        ErrorKind::InvalidIssuer => "The token is of another issuer.".into(),
        ErrorKind::InvalidAlgorithm => "The token's `alg` is not that of its key.".into(),
        ErrorKind::InvalidSignature => "The token's signature does not fit.".into(),
        ErrorKind::MissingRequiredClaim(claim) => format!("The token has no valid `{claim}`."),
        _ => "The token's claims are not valid.".into(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_token_is_for_an_audience_by_aud_or_as_an_access_token_of_cognito() {
        let wanted = ["reports".to_owned(), "6hb31l7fe4".to_owned()];
        let fits = |claims: Value| serde_json::from_value::<Claims>(claims).expect("claims").are_for(&wanted);
        for (claims, good) in [
            (json!({"sub": "x", "aud": "reports"}), true),
            (json!({"sub": "x", "aud": ["other", "6hb31l7fe4"]}), true),
            (json!({"sub": "x", "client_id": "6hb31l7fe4", "token_use": "access"}), true),
            (json!({"sub": "x", "client_id": "6hb31l7fe4", "token_use": "id"}), false),
            (json!({"sub": "x", "client_id": "6hb31l7fe4"}), false),
            (json!({"sub": "x", "aud": "other", "client_id": "6hb31l7fe4", "token_use": "access"}), false),
            (json!({"sub": "x", "aud": ["other"]}), false),
            (json!({"sub": "x", "aud": []}), false),
            (json!({"sub": "x"}), false),
        ] {
            assert_eq!(fits(with_issuer(&claims)), good, "{claims}");
        }
    }

    fn with_issuer(claims: &Value) -> Value {
        let mut claims = claims.clone();
        claims["iss"] = json!("https://login.example.org/");
        claims
    }

    #[test]
    fn rights_are_the_words_of_a_claim_that_are_ours() {
        let admin = |scope: Value| {
            let claims = with_issuer(&json!({"sub": "x", "scope": scope}));
            let claims: Claims = serde_json::from_value(claims).expect("claims");
            claims.rights("scope").include(Right::Admin)
        };
        for scope in [
            json!("openid pressrun:admin"),
            json!(["pressrun:admin"]),
            json!("pressrun/admin"),
            json!([7, "pressrun/admin"]),
        ] {
            assert!(admin(scope.clone()), "{scope}");
        }
        for scope in [
            json!("admin"),
            json!("pressrun:admins"),
            json!("pressrun"),
            json!("xpressrun:admin"),
            json!(["openid pressrun:admin"]),
            json!({"pressrun:admin": true}),
            Value::Null,
        ] {
            assert!(!admin(scope.clone()), "{scope}");
        }
    }

    #[test]
    fn a_token_is_of_a_type_that_lets_callers_in() {
        for typ in ["JWT", "jwt", "at+jwt", "AT+JWT", "application/at+jwt"] {
            assert!(is_fitting(typ), "{typ}");
        }
        for typ in ["", "logout+jwt", "application/logout+jwt", "dpop+jwt", "JWE", "secevent+jwt", "at+jwt "] {
            assert!(!is_fitting(typ), "{typ}");
        }
    }
}
