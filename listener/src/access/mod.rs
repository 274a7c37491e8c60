//! Authentication, rights and quotas of callers.
//!
//! A `caller` is a name with `rights`. `tokens` knows callers by bearer tokens, `jwt` by the tokens of an OIDC issuer whose
//! keys are in `issuer`, and AWS itself by IAM (`iam`). `quotas` bounds what each may ask for. `origins` admits the pages
//! of other sites, `hosts` the names of the server, and `throttle` slows down guesses of tokens.

mod caller;
mod hosts;
mod iam;
mod issuer;
mod jwt;
mod origins;
mod quotas;
mod rights;
mod signature;
mod throttle;
mod tokens;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::{ConnectInfo, Request, State};
use axum::http::header::{AUTHORIZATION, HOST, ORIGIN, WWW_AUTHENTICATE};
use axum::http::{Extensions, HeaderMap, HeaderValue, Method, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use jobs::{Job, UploadId};

use crate::{Listener, Problem};
use caller::DEFAULT;

pub(crate) use caller::Caller;
pub use hosts::{BadHost, Hosts};
pub(crate) use hosts::{check as check_host, refusals as host_refusals};
pub use iam::{BadPrincipals, Principals};
pub use issuer::{BadIssuer, Issuer, RIGHTS_CLAIM};
pub use origins::{BadOrigin, Origins};
pub use quotas::{BytesQuota, Quotas};
pub(crate) use quotas::{refusals as quota_refusals, upload_refusals as upload_quota_refusals};
pub use rights::{Right, Rights, UnknownRight};
pub(crate) use throttle::Peer;
pub use throttle::{Delay, Throttle};
pub use tokens::{BadTokens, Place, TokenBook, Tokens};

/// The detail of a refusal of a call without a token.
const NO_TOKEN: &str = "Send the token in the header `Authorization: Bearer <token>`.";

/// The longest delay of the answer to a wrong token.
const LONGEST_WAIT: Duration = Duration::from_secs(2);

/// How callers are authenticated, and what each may ask for.
pub struct Access {
    /// How callers are identified.
    pub mode: Mode,
    /// Whether every caller sees the jobs and uploads of all.
    pub shared_jobs: bool,
    /// How much each caller may ask for; anything where absent.
    pub quotas: Option<Quotas>,
    /// The other sites whose pages may call.
    pub origins: Origins,
    /// The hosts that calls may be for; any where absent.
    pub hosts: Option<Hosts>,
    /// What slows down guesses of tokens.
    pub throttle: Throttle,
}

/// How callers are identified.
pub enum Mode {
    /// They are not: all callers are admitted.
    Anybody,
    /// By the bearer tokens (RFC 6750) that they send.
    Tokens(TokenBook),
    /// By the tokens (RFC 7519) of an issuer that they send.
    Jwt(Issuer),
    /// By AWS, which has checked their signatures before it called this program; these principals have rights.
    Iam(Principals),
}

impl Access {
    /// This way to identify callers, with no quotas, for any host, and no pages of other sites.
    pub fn by(mode: Mode) -> Self {
        let throttle = Throttle::new(LONGEST_WAIT);
        Self { mode, shared_jobs: false, quotas: None, origins: Origins::default(), hosts: None, throttle }
    }

    /// Admits all callers.
    pub fn anybody() -> Self {
        Self::by(Mode::Anybody)
    }

    /// Admits callers with this token.
    pub fn token(token: &str) -> Self {
        Self::by(Mode::Tokens(Tokens::default().with(DEFAULT, token).into()))
    }

    /// Whether a caller sees the jobs and uploads of all callers.
    fn shows_all(&self, caller: &Caller) -> bool {
        self.shared_jobs || caller.may(Right::Admin)
    }

    /// Whether a caller sees a job. One that an earlier build recorded has no caller.
    pub(crate) fn shows(&self, caller: &Caller, job: &Job) -> bool {
        self.shows_all(caller) || job.caller.as_deref() == Some(caller.name())
    }

    /// The only caller whose jobs a caller sees; it sees all jobs where absent.
    pub(crate) fn shown_to(&self, caller: &Caller) -> Option<String> {
        (!self.shows_all(caller)).then(|| caller.name().to_owned())
    }

    /// Whether a caller may use an upload.
    pub(crate) fn lends(&self, caller: &Caller, upload: UploadId) -> bool {
        self.shows_all(caller) || upload.owner() == caller.upload_owner()
    }
}

/// The origin of a call, as far as it is not in its headers.
pub(crate) struct Origin<'a> {
    /// The ARN that AWS reports, where AWS authenticated the caller.
    pub(crate) arn: Option<&'a str>,
    /// The other end of the connection.
    pub(crate) peer: Peer,
}

/// How a call may be refused before it reaches its handler.
pub(crate) fn refusals() -> [Problem; 3] {
    [unauthorized(NO_TOKEN), foreign(), issuer::unreachable()]
}

/// Lets a request through if its caller may make it, with the [`Caller`] in its extensions.
pub(crate) async fn admit(State(listener): State<Arc<Listener>>, mut request: Request, next: Next) -> Response {
    let counts = request.method() == Method::POST;
    let (arn, peer) = (iam_arn(request.extensions()), peer(request.extensions()));
    match admitted(&listener, request.headers(), Origin { arn: arn.as_deref(), peer }, counts).await {
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
    origin: Origin<'_>,
    counts: bool,
) -> Result<Caller, Problem> {
    let caller = identify(listener, headers, origin).await?;
    if counts {
        listener.access.count_request(&caller).await?;
    }
    Ok(caller)
}

/// The caller who sent these headers.
pub(crate) async fn identify(listener: &Listener, headers: &HeaderMap, origin: Origin<'_>) -> Result<Caller, Problem> {
    let access = &listener.access;
    let caller = match &access.mode {
        Mode::Anybody if is_foreign(listener, headers) => return Err(foreign()),
        Mode::Anybody => return Ok(Caller::anybody()),
        Mode::Tokens(tokens) => {
            let holder = tokens.holder(shown_token(headers)?).await;
            holder.ok_or_else(|| {
                refused(
                    "This server does not know the token. Check it for a missing or extra character, or ask the operator for \
                     a current one.",
                )
            })
        }
        Mode::Jwt(issuer) => jwt::caller(issuer, shown_token(headers)?).await,
        Mode::Iam(principals) => {
            return principals.caller(origin.arn.ok_or_else(unsigned)?).ok_or_else(federated);
        }
    };
    caller.map_err(|problem| match problem.status {
        StatusCode::UNAUTHORIZED => problem.after(access.throttle.delay(origin.peer)),
        _ => problem,
    })
}

/// The other end of a call. Any AWS account may invoke the function behind a public URL, with an event of its own.
#[cfg(feature = "lambda")]
fn peer(extensions: &Extensions) -> Peer {
    use lambda_http::RequestExt;
    use lambda_http::request::RequestContext;

    match extensions.request_context_ref() {
        Some(RequestContext::ApiGatewayV2(context)) => {
            let address = context.http.source_ip.as_deref().and_then(|address| address.parse().ok());
            address.map_or(Peer::Unknown, Peer::Claimed)
        }
        _ => connected_peer(extensions),
    }
}

#[cfg(not(feature = "lambda"))]
fn peer(extensions: &Extensions) -> Peer {
    connected_peer(extensions)
}

fn connected_peer(extensions: &Extensions) -> Peer {
    let connection = extensions.get::<ConnectInfo<SocketAddr>>();
    connection.map_or(Peer::Unknown, |ConnectInfo(address)| Peer::At(address.ip()))
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

fn federated() -> Problem {
    unauthorized("A federated user has no name of its own. Sign the request as an IAM user, or as a role.")
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
    let detail = "A browser sent it for a page of another site. Set tokens and let the page send one, or allow the site with \
                  `--cors-origins https://app.example.org`.";
    Problem::new(StatusCode::FORBIDDEN, "foreign-origin", "This call came from another site.", detail)
}

fn shown_token(headers: &HeaderMap) -> Result<&str, Problem> {
    let shown = headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok()?.split_once(' '));
    let bearer = shown.filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"));
    bearer.map(|(_, token)| token.trim()).ok_or_else(|| unauthorized(NO_TOKEN))
}

pub(crate) fn unauthorized(detail: &str) -> Problem {
    Problem::new(StatusCode::UNAUTHORIZED, "unauthorized", "The token is missing or not valid.", detail)
        .with_header(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"))
}

/// The refusal of a token that was shown.
fn refused(detail: &str) -> Problem {
    unauthorized(detail).with_header(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer error=\"invalid_token\""))
}
