//! Who may call, as whom, and how much each may ask for.
//!
//! `tokens` knows callers by bearer tokens, `jwt` by the tokens of an OIDC issuer whose keys are in `issuer`, and AWS
//! itself by IAM. `quotas` bounds what each may ask for, and `origins` says from which sites' pages.

mod issuer;
mod jwt;
mod origins;
mod quotas;
mod signature;
mod tokens;

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::header::{AUTHORIZATION, HOST, ORIGIN, WWW_AUTHENTICATE};
use axum::http::{Extensions, HeaderMap, HeaderValue, Method, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use crate::{Listener, Problem};

pub use issuer::{BadIssuer, Issuer};
pub use origins::{BadOrigin, Origins};
pub(crate) use quotas::refusals as quota_refusals;
pub use quotas::{BytesQuota, Quotas};
pub use tokens::{BadTokens, TokenBook, Tokens};

/// The detail of a refusal of a call without a token.
const NO_TOKEN: &str = "Send the token in the header `Authorization: Bearer <token>`.";

/// Who holds a token that has no name.
const DEFAULT: &str = "default";

/// What callers are called where nobody asks who they are.
const ANYBODY: &str = "anybody";

/// Who is let in, and how much each may ask for.
pub struct Access {
    /// How callers are known.
    pub mode: Mode,
    /// How much each caller may ask for; anything where absent.
    pub quotas: Option<Quotas>,
    /// The other sites whose pages may call.
    pub origins: Origins,
}

/// How callers are known.
pub enum Mode {
    /// They are not: everybody is let in.
    Anybody,
    /// By the bearer tokens (RFC 6750) that they show.
    Tokens(TokenBook),
    /// By the tokens (RFC 7519) of an issuer that they show.
    Jwt(Issuer),
    /// By AWS, which has checked their signatures before it called this program.
    Iam,
}

impl Access {
    /// This way to know callers, with no quotas, and no pages of other sites.
    pub fn by(mode: Mode) -> Self {
        Self { mode, quotas: None, origins: Origins::default() }
    }

    /// Lets everybody in.
    pub fn anybody() -> Self {
        Self::by(Mode::Anybody)
    }

    /// Lets in who shows this token.
    pub fn token(token: &str) -> Self {
        Self::by(Mode::Tokens(Tokens::default().with(DEFAULT, token).into()))
    }
}

/// Who calls.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Caller(Arc<str>);

impl Caller {
    /// The caller of this name.
    pub(crate) fn named(name: &str) -> Self {
        Self(name.into())
    }

    pub(crate) fn name(&self) -> &str {
        &self.0
    }

    /// A caller's key as another's cannot be. Where callers have no names of their own, it is as it was before there were any.
    pub(crate) fn own(&self, key: String) -> String {
        match self.name() {
            DEFAULT | ANYBODY => key,
            name => format!("{name}\n{key}"),
        }
    }
}

/// How a call may be refused before it reaches its handler.
pub(crate) fn refusals() -> [Problem; 3] {
    [unauthorized(NO_TOKEN), foreign(), issuer::unreachable()]
}

/// Lets a request through if its caller may make it, with the [`Caller`] in its extensions.
pub(crate) async fn admit(State(listener): State<Arc<Listener>>, mut request: Request, next: Next) -> Response {
    let (arn, counts) = (iam_arn(request.extensions()), request.method() == Method::POST);
    match admitted(&listener, request.headers(), arn.as_deref(), counts).await {
        Ok(caller) => {
            request.extensions_mut().insert(caller);
            next.run(request).await
        }
        Err(problem) => problem.into_response(),
    }
}

async fn admitted(
    listener: &Listener,
    headers: &HeaderMap,
    arn: Option<&str>,
    counts: bool,
) -> Result<Caller, Problem> {
    let caller = identify(listener, headers, arn).await?;
    if counts {
        listener.access.count_request(&caller).await?;
    }
    Ok(caller)
}

/// Who sent these headers; `arn` is whom AWS says it was, where AWS was asked.
pub(crate) async fn identify(listener: &Listener, headers: &HeaderMap, arn: Option<&str>) -> Result<Caller, Problem> {
    match &listener.access.mode {
        Mode::Anybody if is_foreign(listener, headers) => Err(foreign()),
        Mode::Anybody => Ok(Caller::named(ANYBODY)),
        Mode::Tokens(tokens) => {
            let holder = tokens.holder(shown_token(headers)?).await;
            holder.ok_or_else(|| {
                refused("The token is not one of this server's. Check it for a missing or an extra character.")
            })
        }
        Mode::Jwt(issuer) => jwt::subject(issuer, shown_token(headers)?).await,
        Mode::Iam => arn.map(|arn| Caller::named(principal(arn))).ok_or_else(unsigned),
    }
}

/// The user or role of an ARN: the name of a role's session is the caller's to choose.
fn principal(arn: &str) -> &str {
    let session = if arn.contains(":assumed-role/") { arn.rsplit_once('/') } else { None };
    session.map_or(arn, |(role, _)| role)
}

/// Whom AWS says a request comes from.
#[cfg(feature = "lambda")]
fn iam_arn(extensions: &Extensions) -> Option<String> {
    use lambda_http::RequestExt;
    use lambda_http::request::RequestContext;

    match extensions.request_context_ref()? {
        RequestContext::ApiGatewayV2(context) => context.authorizer.as_ref()?.iam.as_ref()?.user_arn.clone(),
        _ => None,
    }
}

#[cfg(not(feature = "lambda"))]
fn iam_arn(_: &Extensions) -> Option<String> {
    None
}

fn unsigned() -> Problem {
    unauthorized(
        "Sign the request with AWS Signature Version 4; the function URL's authorization type must be AWS_IAM.",
    )
}

/// Whether a browser sent the request for a page of another site that may not call. Without a token nothing else keeps
/// such a page from queueing jobs on a server that only this machine can reach.
fn is_foreign(listener: &Listener, headers: &HeaderMap) -> bool {
    let Some(value) = headers.get(ORIGIN) else { return false };
    let origin = value.to_str().unwrap_or_default();
    let host = headers.get(HOST).and_then(|host| host.to_str().ok());
    let own = origin.split_once("://").is_some_and(|(_, authority)| Some(authority) == host);
    !own && listener.public_url.as_deref() != Some(origin) && !listener.access.origins.admit(value)
}

fn foreign() -> Problem {
    let detail = "A browser sent it for a page of another site. Give the server a token, and show it from there; or \
                  admit the site.";
    Problem::new(StatusCode::FORBIDDEN, "foreign-origin", "This call came from another site.", detail)
}

fn shown_token(headers: &HeaderMap) -> Result<&str, Problem> {
    let shown = headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok()?.split_once(' '));
    let bearer = shown.filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"));
    bearer.map(|(_, token)| token.trim()).ok_or_else(|| unauthorized(NO_TOKEN))
}

fn unauthorized(detail: &str) -> Problem {
    Problem::new(StatusCode::UNAUTHORIZED, "unauthorized", "This call needs a token.", detail)
        .with_header(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"))
}

/// The refusal of a token that was shown.
fn refused(detail: &str) -> Problem {
    unauthorized(detail).with_header(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer error=\"invalid_token\""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_role_is_one_caller_whatever_its_sessions_are_called() {
        let role = "arn:aws:sts::123456789012:assumed-role/Billing";
        assert_eq!(principal(&format!("{role}/i-0abc")), role);
        assert_eq!(principal(&format!("{role}/other")), role);
        let user = "arn:aws:iam::123456789012:user/office/jane";
        assert_eq!(principal(user), user);
    }
}
