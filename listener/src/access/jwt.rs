//! Callers by the tokens of an OIDC issuer (RFC 7519): who is who, and why not.

use jsonwebtoken::errors::ErrorKind;
use jsonwebtoken::{Validation, decode, decode_header};
use serde::Deserialize;

use super::issuer::{Issuer, unreachable};
use super::{Caller, refused};
use crate::Problem;

/// By how many seconds the clocks of issuer and listener may differ.
const LEEWAY_SECONDS: u64 = 60;

/// The longest `sub` that OpenID Connect permits.
const MAX_SUBJECT_BYTES: usize = 255;

/// What is wrong with a token that is none.
const MALFORMED: &str = "The token is no signed JWT with an `alg` of RS256, ES256 or EdDSA, and a `kid`.";

/// What is wrong with a token for somebody else.
const WRONG_AUDIENCE: &str = "The token is for another audience. Ask the issuer for one for this server.";

#[derive(Deserialize)]
struct Claims {
    sub: String,
    aud: Option<Audiences>,
    client_id: Option<String>,
    token_use: Option<String>,
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
}

/// Whom a token of this issuer names in `sub`.
pub(super) async fn subject(issuer: &Issuer, token: &str) -> Result<Caller, Problem> {
    let header = decode_header(token).map_err(|_| refused(MALFORMED))?;
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
    Ok(Caller::named(&claims.sub))
}

fn said(error: &ErrorKind) -> String {
    match error {
        ErrorKind::ExpiredSignature => "The token has expired. Ask the issuer for a new one.".into(),
        ErrorKind::ImmatureSignature => "The token is not valid yet. Compare the clocks.".into(),
        ErrorKind::InvalidIssuer => "The token is of another issuer.".into(),
        ErrorKind::InvalidAlgorithm => "The token's `alg` is not that of its key.".into(),
        ErrorKind::InvalidSignature => "The token's signature does not fit.".into(),
        ErrorKind::MissingRequiredClaim(claim) => format!("The token has no `{claim}`, or one that makes no sense."),
        _ => "The token's claims make no sense.".into(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

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
            assert_eq!(fits(claims.clone()), good, "{claims}");
        }
    }
}
