//! Who may call `pressrun serve`: what its options say, and which of them do not go together.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use chrono::TimeDelta;
use clap::ValueEnum;
use jobs::local::Local;
use listener::Access;
use listener::access::{BadIssuer, BadTokens, BytesQuota, Hosts, Issuer, Mode, Quotas, TokenBook, Tokens};
use reqwest::Url;

use crate::cli::{AccessOptions, Serve};

/// How callers are identified.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum AccessMode {
    /// By a bearer token
    Token,
    /// By a token of an OIDC issuer
    Jwt,
    /// Callers are not identified
    None,
    /// By AWS; on AWS alone
    #[value(hide = true)]
    Iam,
}

/// Options that do not go together.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AccessError {
    #[error(
        "{0} can be reached from other machines, so callers must send a token: add --tokens-file or set PRESSRUN_TOKEN, use \
         --access jwt, or listen on 127.0.0.1. To admit everyone, use --access none --accept-anybody"
    )]
    TokenMissing(SocketAddr),
    #[error(
        "{0} can be reached from other machines, and --access none admits everyone there: add --accept-anybody if that \
         is what you want, or listen on 127.0.0.1"
    )]
    Anybody(SocketAddr),
    #[error("--access iam is for AWS, which checks who calls before it calls Pressrun. Use token or jwt here")]
    Iam,
    #[error("--access {0} takes no tokens. Leave out --token, --tokens and --tokens-file")]
    TokensUnused(&'static str),
    #[error("--access jwt needs --jwt-issuer and --jwt-audience")]
    IssuerMissing,
    #[error("--jwt-issuer and --jwt-audience are for --access jwt")]
    IssuerUnused,
    #[error("invalid tokens: {0}")]
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

/// What in the options has no effect, or more than the operator may expect.
pub(crate) fn warnings(options: &Serve, mode: &Mode) -> Vec<String> {
    let AccessOptions { accept_anybody, ref allowed_hosts, .. } = options.access;
    let mut warnings = Vec::new();
    if !matches!(mode, Mode::Anybody) {
        let unused = [(accept_anybody, "--accept-anybody"), (*allowed_hosts != Hosts::default(), "--allowed-hosts")];
        for (_, option) in unused.into_iter().filter(|(given, _)| *given) {
            warnings.push(format!("{option} has no effect: callers are identified, and may use any host"));
        }
        return warnings;
    }
    let public = options.public_url.as_deref().filter(|url| !is_on_this_machine(url));
    if let Some(url) = public.filter(|_| !accept_anybody) {
        let webhooks = if is_own_machines(options, mode) { ", and their webhooks may go to this machine" } else { "" };
        warnings.push(format!(
            "there is no token, so everyone who reaches {url} is admitted{webhooks}; set tokens with --tokens-file or \
             PRESSRUN_TOKEN"
        ));
    }
    warnings
}

/// Whether a URL leads to this machine only.
fn is_on_this_machine(url: &str) -> bool {
    let url = Url::parse(url).ok();
    let host = url.as_ref().and_then(|url| url.host_str()).unwrap_or_default();
    let address = host.trim_matches(['[', ']']).parse::<IpAddr>();
    host == "localhost" || address.is_ok_and(|address| address.to_canonical().is_loopback())
}

/// How callers are identified, if the options go together.
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
    // An empty token is a mistake, such as a variable that is not set, and no reason to admit everyone.
    let fixed = Tokens::given(options.token.as_deref(), given(&options.access.tokens))?;
    match &options.access.tokens_file {
        Some(file) => Ok(Some(TokenBook::with_file(fixed, file)?)),
        None if fixed.is_empty() => Ok(None),
        None => Ok(Some(fixed.into())),
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::cli::{Cli, Command};

    fn warned(arguments: &[&str]) -> String {
        let Command::Serve(serve) = Cli::parse_from([&["pressrun", "serve"], arguments].concat()).command else {
            panic!("not a server")
        };
        let mode = mode(&serve).unwrap_or_else(|error| panic!("{arguments:?}: {error}"));
        warnings(&serve, &mode).join("\n")
    }

    #[test]
    fn a_server_without_a_token_that_others_may_reach_is_warned_about() {
        for url in ["https://reports.example.org", "http://192.168.1.5:9000", "http://localhost.example.org"] {
            let warned = warned(&["--public-url", url]);
            assert!(
                warned.contains(url) && warned.contains("webhooks") && warned.contains("--tokens-file"),
                "{warned}"
            );
        }
        let token = ["--token", "x-of-16-characters"];
        for silent in [
            &[][..],
            &["--public-url", "http://localhost:9000"],
            &["--public-url", "https://127.0.0.2"],
            &["--public-url", "http://[::1]:9000"],
            &[&["--public-url", "https://reports.example.org"][..], &token].concat(),
            &["--public-url", "https://reports.example.org", "--access", "none", "--accept-anybody"],
        ] {
            assert_eq!(warned(silent), "", "{silent:?}");
        }
    }

    #[test]
    fn options_without_effect_are_warned_about() {
        let token = ["--token", "x-of-16-characters"];
        for option in [&["--accept-anybody"][..], &["--allowed-hosts", "press"]] {
            let warned = warned(&[option, &token].concat());
            assert!(warned.starts_with(&format!("{} has no effect", option[0])), "{warned}");
        }
        assert_eq!(warned(&["--allowed-hosts", "press"]), "");
    }
}
