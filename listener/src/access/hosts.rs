//! The hosts that a server without a token answers to.
//!
//! A browser lets a page read what came from the page's own host, and the owner of a name can make it resolve to this
//! machine at any moment (DNS rebinding). Such a request still has the name in `Host`.

use std::fmt::{self, Display};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::str::FromStr;
use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::http::header::HOST;
use axum::http::uri::Authority;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use reqwest::Url;

use crate::{Listener, Problem};

/// How much of a host is quoted, in characters.
const MAX_QUOTED_CHARS: usize = 100;

/// Hosts that requests may be for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Hosts {
    hosts: Vec<Host>,
    /// Whether any address without a name is one: no name leads to it, so that no page can have another's.
    every_address: bool,
    /// The ports that go with a host which names none.
    ports: Vec<u16>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Host {
    name: Name,
    ports: Ports,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Name {
    Address(IpAddr),
    /// In lower case.
    Domain(String),
}

/// Which ports may stand behind a host. None need to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ports {
    /// Those that the server is reached by.
    Own,
    One(u16),
    Any,
}

/// What is not a host.
#[derive(Debug, thiserror::Error)]
#[error("{0:?} is no host: write it like press.example.org or press:9000; several are separated by commas")]
pub struct BadHost(String);

impl FromStr for Hosts {
    type Err = BadHost;

    /// Reads hosts separated by commas, each with a port, or without one for any port.
    fn from_str(text: &str) -> Result<Self, BadHost> {
        let words = text.split(',').map(str::trim).filter(|word| !word.is_empty());
        let hosts = words.map(|word| {
            let (name, port) = read(word).ok_or_else(|| BadHost(word.into()))?;
            Ok(Host { name, ports: port.map_or(Ports::Any, Ports::One) })
        });
        Ok(Self { hosts: hosts.collect::<Result<_, _>>()?, ..Self::default() })
    }
}

impl Hosts {
    /// These, and those of a server that listens at `addr` and that callers reach by `public_url`: its address, `localhost`
    /// and the loopback addresses, and the URL's host.
    #[must_use]
    pub fn of_server(mut self, addr: SocketAddr, public_url: Option<&str>) -> Self {
        let public = public_url.and_then(|url| Url::parse(url).ok());
        let public_name = public.as_ref().and_then(|url| Some(read(url.host_str()?)?.0));
        self.every_address = addr.ip().is_unspecified();
        self.ports =
            [Some(addr.port()), public.and_then(|url| url.port_or_known_default())].into_iter().flatten().collect();
        self.ports.dedup();
        let listening = (!self.every_address).then_some(Name::Address(addr.ip().to_canonical()));
        let loopback = [Name::Domain("localhost".into()), Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()];
        for name in loopback.into_iter().chain(listening).chain(public_name) {
            if !self.hosts.iter().any(|host| host.name == name) {
                self.hosts.push(Host { name, ports: Ports::Own });
            }
        }
        self
    }

    /// Whether a request for this host, with or without a port, is for this server.
    fn admit(&self, host: &str) -> bool {
        let Some((name, port)) = read(host) else { return false };
        let fits = |ports: Ports| match (port, ports) {
            (None, _) | (_, Ports::Any) => true,
            (Some(port), Ports::One(one)) => port == one,
            (Some(port), Ports::Own) => self.ports.contains(&port),
        };
        let named = self.hosts.iter().any(|host| host.name == name && fits(host.ports));
        named || self.every_address && matches!(name, Name::Address(_)) && fits(Ports::Own)
    }

    /// The refusal of a request that is for another host than these.
    fn misdirected(&self, request: &Request) -> Option<Problem> {
        let of_header = request.headers().get_all(HOST).iter().map(|host| host.to_str().unwrap_or_default());
        let mut named = of_header.chain(request.uri().authority().map(Authority::as_str));
        let stranger = named.find(|host| !self.admit(host))?;
        Some(misdirected(stranger, self))
    }
}

/// Refuses a request for a host that is not one of the server's.
pub(crate) async fn check(State(listener): State<Arc<Listener>>, request: Request, next: Next) -> Response {
    match listener.access.hosts.as_ref().and_then(|hosts| hosts.misdirected(&request)) {
        Some(problem) => problem.into_response(),
        None => next.run(request).await,
    }
}

/// How a call may be refused for its host.
pub(crate) fn refusals() -> [Problem; 1] {
    let own = Hosts::default().of_server((Ipv4Addr::LOCALHOST, 9000).into(), None);
    [misdirected("press.example.org", &own)]
}

fn misdirected(host: &str, own: &Hosts) -> Problem {
    let host: String = host.chars().filter(|char| !char.is_control()).take(MAX_QUOTED_CHARS).collect();
    let allowed = read(host.as_str()).map(|(name, _)| format!(" {name}")).unwrap_or_default();
    let detail = format!(
        "The request is for {host:?}. Without a token, this server accepts {own}. Use one of these, or add \
         `--allowed-hosts{allowed}`, or set tokens."
    );
    Problem::new(StatusCode::MISDIRECTED_REQUEST, "misdirected", "This call is for another host.", detail)
}

/// A host and its port, if it has one; nothing if it is no host.
fn read(text: &str) -> Option<(Name, Option<u16>)> {
    let end = text.rfind(']').map_or_else(|| text.find(':'), |bracket| Some(bracket + 1)).unwrap_or(text.len());
    let (name, port) = text.split_at_checked(end)?;
    let port = match port.strip_prefix(':') {
        Some("") => None,
        Some(digits) if digits.bytes().all(|byte| byte.is_ascii_digit()) => Some(digits.parse().ok()?),
        None if port.is_empty() => None,
        _ => return None,
    };
    let name = match name.strip_prefix('[').and_then(|name| name.strip_suffix(']')) {
        Some(address) => Name::Address(IpAddr::from(address.parse::<Ipv6Addr>().ok()?).to_canonical()),
        None => match name.parse() {
            Ok(address) => Name::Address(IpAddr::V4(address)),
            Err(_) if is_domain(name) => Name::Domain(name.to_ascii_lowercase()),
            Err(_) => return None,
        },
    };
    Some((name, port))
}

fn is_domain(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte))
}

impl From<Ipv4Addr> for Name {
    fn from(address: Ipv4Addr) -> Self {
        Self::Address(address.into())
    }
}

impl From<Ipv6Addr> for Name {
    fn from(address: Ipv6Addr) -> Self {
        Self::Address(address.into())
    }
}

impl Display for Hosts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (own, allowed): (Vec<_>, Vec<_>) = self.hosts.iter().partition(|host| host.ports == Ports::Own);
        let any = self.every_address.then(|| "any IP address".to_owned());
        let own = own.iter().map(ToString::to_string).chain(any);
        let ports = self.ports.iter().map(ToString::to_string);
        write!(f, "{}, without a port or with port {}", list(own, "and"), list(ports, "or"))?;
        if allowed.is_empty() {
            return Ok(());
        }
        write!(f, "; also {}", list(allowed.iter().map(ToString::to_string), "and"))
    }
}

/// Words as a list, the last after `and` or another such word.
fn list(words: impl Iterator<Item = String>, before_last: &str) -> String {
    let words: Vec<_> = words.collect();
    match words.split_last() {
        Some((last, rest)) if !rest.is_empty() => format!("{} {before_last} {last}", rest.join(", ")),
        _ => words.concat(),
    }
}

impl Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.name)?;
        if let Ports::One(port) = self.ports { write!(f, ":{port}") } else { Ok(()) }
    }
}

impl Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Address(IpAddr::V6(address)) => write!(f, "[{address}]"),
            Self::Address(address) => write!(f, "{address}"),
            Self::Domain(name) => f.write_str(name),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_names_the_port_and_the_option() {
        let own = Hosts::default().of_server("127.0.0.1:19300".parse().expect("an address"), None);
        let detail = |host| misdirected(host, &own).detail().to_owned();
        let accepted =
            "Without a token, this server accepts localhost, 127.0.0.1 and [::1], without a port or with port 19300.";
        let words = detail("localhost:8080");
        assert!(words.starts_with("The request is for \"localhost:8080\".") && words.contains(accepted), "{words}");
        assert!(words.contains("`--allowed-hosts localhost`"), "{words}");
        assert!(detail("a b").contains("`--allowed-hosts`"));
    }

    fn check(hosts: &Hosts, admitted: &[&str], refused: &[&str]) {
        for host in admitted {
            assert!(hosts.admit(host), "{host} is refused");
        }
        for host in refused {
            assert!(!hosts.admit(host), "{host} is admitted");
        }
    }

    #[test]
    fn a_server_on_loopback_answers_to_loopback_and_its_public_url() {
        let own = Hosts::default().of_server("127.0.0.5:9701".parse().expect("an address"), None);
        check(
            &own,
            &["localhost", "LOCALHOST:9701", "127.0.0.1:9701", "[::1]:9701", "[::1]", "127.0.0.5:9701", "localhost:"],
            &[
                "evil.example",
                "evil.example:9701",
                "localhost.evil.example",
                "localhost:9702",
                "localhost:99999",
                "localhost:9701x",
                "127.0.0.1.evil.example",
                "user@localhost",
                "localhost@evil.example",
                "10.0.0.1:9701",
                "[::2]",
                "[::1",
                "::1",
                "",
                ":9701",
                "localhost localhost",
            ],
        );
        let public = Some("https://press.example.org:8443/reports");
        let own = Hosts::default().of_server("127.0.0.1:9701".parse().expect("an address"), public);
        check(
            &own,
            &["press.example.org", "PRESS.example.org:8443", "press.example.org:9701", "127.0.0.1"],
            &["example.org", "x.press.example.org", "press.example.org:1", "press.example.org."],
        );
    }

    #[test]
    fn a_server_on_every_address_answers_to_addresses_and_to_names_that_are_allowed() {
        let allowed: Hosts = "press:9000, intra.example.org,".parse().expect("hosts");
        let own = allowed.of_server("0.0.0.0:9000".parse().expect("an address"), None);
        check(
            &own,
            &["192.168.1.5:9000", "[fe80::1]:9000", "press:9000", "press", "intra.example.org:80", "localhost:9000"],
            &["evil.example:9000", "192.168.1.5:9001", "press:9001"],
        );
        assert_eq!(
            own.to_string(),
            "localhost, 127.0.0.1, [::1] and any IP address, without a port or with port 9000; also press:9000 and \
             intra.example.org"
        );
        for text in ["https://press", "press/x", "a b", "press:x", "*.example.org"] {
            assert!(text.parse::<Hosts>().is_err(), "{text}");
        }
    }
}
