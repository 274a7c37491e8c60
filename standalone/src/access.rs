//! Who may call `pressrun serve`: what its options say, and which of them do not go together.

use std::net::SocketAddr;
use std::sync::Arc;

use chrono::TimeDelta;
use clap::ValueEnum;
use jobs::local::Local;
use listener::Access;
use listener::access::{BadIssuer, BadTokens, BytesQuota, Issuer, Mode, Quotas, TokenBook, Tokens};

use crate::cli::{AccessOptions, Serve};

/// How callers are known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum AccessMode {
    /// By a bearer token
    Token,
    /// By a token of an OIDC issuer
    Jwt,
    /// Not at all
    None,
    /// By AWS; on AWS alone
    #[value(hide = true)]
    Iam,
}

/// Options that do not go together.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AccessError {
    #[error(
        "{0} can be reached from other machines, so callers must show a token: add --tokens-file or set PRESSRUN_TOKEN, or \
         listen on 127.0.0.1"
    )]
    TokenMissing(SocketAddr),
    #[error(
        "{0} can be reached from other machines, and --access none lets everybody there in: add --accept-anybody if that \
         is what you want, or listen on 127.0.0.1"
    )]
    Anybody(SocketAddr),
    #[error("--access iam is for AWS, which checks who calls before it calls Pressrun. Use token or jwt here")]
    Iam,
    #[error("there are tokens, which --access {0} takes none of. Leave out --token, --tokens and --tokens-file")]
    TokensUnused(&'static str),
    #[error("--access jwt needs --jwt-issuer and --jwt-audience")]
    IssuerMissing,
    #[error("--jwt-issuer and --jwt-audience are for --access jwt")]
    IssuerUnused,
    #[error("the tokens make no sense: {0}")]
    Tokens(#[from] BadTokens),
    #[error("--access jwt: {0}")]
    Issuer(#[from] BadIssuer),
}

/// Who may call, and how much each may ask for, of a server that listens at `addr`.
pub(crate) fn access(options: &Serve, mode: Mode, addr: SocketAddr, local: &Local) -> Access {
    let AccessOptions { quota_requests: requests, quota_jobs: jobs, quota_bytes, shared_jobs, .. } = options.access;
    let AccessOptions { cors_origins, allowed_hosts, .. } = &options.access;
    let hosts = || allowed_hosts.clone().of_server(addr, options.public_url.as_deref());
    let kept = TimeDelta::days(options.retention_days.into());
    let bytes = quota_bytes.map(|most| BytesQuota { most, kept });
    Access {
        shared_jobs,
        quotas: Quotas::given(requests, jobs, bytes, Arc::new(local.usage.clone())),
        origins: cors_origins.clone(),
        // A page that reaches this machine by a name of its own has no token to show.
        hosts: matches!(mode, Mode::Anybody).then(hosts),
        ..Access::by(mode)
    }
}

/// Whether those who call are on this machine, and need not say who they are.
pub(crate) fn is_own_machines(options: &Serve, mode: &Mode) -> bool {
    matches!(mode, Mode::Anybody) && options.addr.ip().to_canonical().is_loopback()
}

/// How callers are known, if the options go together.
pub(crate) fn mode(options: &Serve) -> Result<Mode, AccessError> {
    let AccessOptions { access, ref jwt_issuer, ref jwt_audience, ref jwt_rights_claim, accept_anybody, .. } =
        options.access;
    let is_open = !options.addr.ip().to_canonical().is_loopback();
    let book = book(options)?;
    match (access, &book) {
        (AccessMode::Jwt, Some(_)) => return Err(AccessError::TokensUnused("jwt")),
        (AccessMode::None, Some(_)) => return Err(AccessError::TokensUnused("none")),
        _ => {}
    }
    let (issuer, audience) = (given(jwt_issuer), given(jwt_audience));
    if access != AccessMode::Jwt && (issuer.is_some() || audience.is_some()) {
        return Err(AccessError::IssuerUnused);
    }
    match access {
        AccessMode::Token => match book {
            Some(book) => Ok(Mode::Tokens(book)),
            None if is_open => Err(AccessError::TokenMissing(options.addr)),
            None => Ok(Mode::Anybody),
        },
        AccessMode::Jwt => match (issuer, audience) {
            (Some(issuer), Some(audience)) => {
                Ok(Mode::Jwt(Issuer::new(issuer, audience, true)?.with_rights_in(jwt_rights_claim)))
            }
            _ => Err(AccessError::IssuerMissing),
        },
        AccessMode::None if is_open && !accept_anybody => Err(AccessError::Anybody(options.addr)),
        AccessMode::None => Ok(Mode::Anybody),
        AccessMode::Iam => Err(AccessError::Iam),
    }
}

/// An option's text; an empty one is none.
fn given(text: &Option<String>) -> Option<&str> {
    text.as_deref().filter(|text| !text.is_empty())
}

/// The tokens that were given, if any were.
fn book(options: &Serve) -> Result<Option<TokenBook>, AccessError> {
    // An empty token is a mistake, such as a variable that is not set, and no reason to let everybody in.
    let fixed = Tokens::given(options.token.as_deref(), given(&options.access.tokens))?;
    match &options.access.tokens_file {
        Some(file) => Ok(Some(TokenBook::with_file(fixed, file)?)),
        None if fixed.is_empty() => Ok(None),
        None => Ok(Some(fixed.into())),
    }
}
