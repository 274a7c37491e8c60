//! Where webhooks may go, as far as a URL tells: what its name resolves to is the courier's to check.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use url::{Host, Url};

/// The longest URL a caller may give, in characters.
pub const MAX_URL_CHARS: usize = 2_048;

/// Which URLs webhooks may go to.
#[derive(Debug, Clone, Default)]
pub struct Destinations {
    /// The hosts.
    pub hosts: Hosts,
    /// Whether this machine is among the destinations, even without TLS.
    pub loopback: bool,
}

/// Why a webhook may not go to a URL, as a clause without a full stop.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Refused(String);

impl Destinations {
    /// The URL that a caller gives, if webhooks may go there.
    pub fn parse(&self, text: &str) -> Result<Url, Refused> {
        // A browser drops such characters; a caller should see them.
        if text.chars().any(|char| char.is_whitespace() || char.is_control()) {
            return Err(Refused("a URL has no white space".into()));
        }
        let url = Url::parse(text).map_err(|error| Refused(format!("this is not a URL: {error}")))?;
        if url.fragment().is_some() {
            return Err(Refused("a fragment is not sent to a server: leave out what begins with #".into()));
        }
        self.check(&url)?;
        Ok(url)
    }

    /// Whether webhooks may go on to `next` from a server that redirects. To this machine only from this machine: whoever
    /// owns another shall not choose what is called here. What a name in `next` resolves to is the courier's to check.
    pub fn check_redirect(&self, from: &Url, next: &Url) -> Result<(), Refused> {
        if is_local(next) && !is_local(from) {
            return Err(Refused("this machine is not for other servers to redirect to".into()));
        }
        self.check(next)
    }

    /// Whether webhooks may go to a URL.
    pub fn check(&self, url: &Url) -> Result<(), Refused> {
        let Some(host) = url.host() else { return Err(Refused("the URL must name a host".into())) };
        if !url.username().is_empty() || url.password().is_some() {
            return Err(Refused("the URL must not contain a user name or password".into()));
        }
        if !self.loopback && is_this_machine(&host) {
            return Err(Refused(
                "webhooks may not go to the server's own machine. Use a public https URL, or ask the operator for \
                 `--webhook-loopback`"
                    .into(),
            ));
        }
        match url.scheme() {
            "https" => {}
            "http" if self.loopback && is_loopback(&host) => {}
            _ if self.loopback => return Err(Refused("the URL must be https, or http to this machine".into())),
            _ => return Err(Refused("the URL must be https".into())),
        }
        if !self.hosts.permit(&host) {
            return Err(Refused(format!("the host {host} is not among those that webhooks may go to: {}", self.hosts)));
        }
        Ok(())
    }
}

/// A URL without what may be secret in it: user name, password, query and fragment.
pub fn without_secrets(url: &str) -> String {
    let end = url.find(['?', '#']).unwrap_or(url.len());
    let shown = &url[..end];
    let Some((scheme, rest)) = shown.split_once("://") else { return shown.to_owned() };
    let authority = rest.find(['/', '\\']).unwrap_or(rest.len());
    match rest[..authority].rfind('@') {
        Some(at) => format!("{scheme}://{}", &rest[at + 1..]),
        None => shown.to_owned(),
    }
}

/// Whether a URL leads to this machine, as far as its host's name tells.
pub fn is_local(url: &Url) -> bool {
    url.host().is_some_and(|host| is_loopback(&host))
}

/// Whether a host is this machine, as far as its name tells.
fn is_loopback(host: &Host<&str>) -> bool {
    match host {
        Host::Domain(name) => *name == "localhost",
        Host::Ipv4(address) => address.is_loopback(),
        Host::Ipv6(address) => IpAddr::V6(*address).to_canonical().is_loopback(),
    }
}

/// The same, in any spelling: for what is refused.
fn is_this_machine(host: &Host<&str>) -> bool {
    match host {
        Host::Domain(name) => {
            let name = name.strip_suffix('.').unwrap_or(name);
            name == "localhost" || name.ends_with(".localhost")
        }
        Host::Ipv4(address) => address.is_loopback() || address.is_unspecified(),
        Host::Ipv6(address) => {
            let address = IpAddr::V6(*address).to_canonical();
            address.is_loopback() || address.is_unspecified()
        }
    }
}

/// The hosts that webhooks may go to, separated by commas or white space: `example.com` is that one host,
/// `*.example.com` every host below it. Any host where there is none.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Hosts(Vec<Pattern>);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Pattern {
    Exactly(Host),
    /// Begins with a full stop.
    Below(String),
}

impl Hosts {
    fn permit(&self, host: &Host<&str>) -> bool {
        // A full stop at the end of a name says that it is whole.
        let host = match host {
            Host::Domain(name) => Host::Domain(name.strip_suffix('.').unwrap_or(name).to_owned()),
            address => address.to_owned(),
        };
        let permits = |pattern: &Pattern| match (pattern, &host) {
            (Pattern::Exactly(permitted), host) => permitted == host,
            (Pattern::Below(end), Host::Domain(name)) => name.len() > end.len() && name.ends_with(end),
            (Pattern::Below(_), _) => false,
        };
        self.0.is_empty() || self.0.iter().any(permits)
    }
}

impl FromStr for Hosts {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let words = text.split([',', ' ', '\t', '\n']).filter(|word| !word.is_empty());
        words.map(str::parse).collect::<Result<_, _>>().map(Self)
    }
}

impl FromStr for Pattern {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let refused = || format!("`{text}` is not a host: write it like example.com or *.example.com");
        let (below, name) = match text.strip_prefix("*.") {
            Some(name) => (true, name),
            None => (false, text),
        };
        match Host::parse(name).map_err(|_| refused())? {
            Host::Domain(name) if name.contains('*') || name.starts_with('.') || name.ends_with('.') => Err(refused()),
            Host::Domain(name) if below => Ok(Self::Below(format!(".{name}"))),
            _ if below => Err(refused()),
            host => Ok(Self::Exactly(host)),
        }
    }
}

impl fmt::Display for Hosts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, pattern) in self.0.iter().enumerate() {
            let comma = if number > 0 { ", " } else { "" };
            match pattern {
                Pattern::Exactly(host) => write!(f, "{comma}{host}")?,
                Pattern::Below(end) => write!(f, "{comma}*{end}")?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn destinations(hosts: &str, loopback: bool) -> Destinations {
        Destinations { hosts: hosts.parse().expect("hosts"), loopback }
    }

    #[test]
    fn elsewhere_only_https_goes() {
        let elsewhere = destinations("", false);
        for url in [
            "https://example.org/hook?a=b",
            "https://169.254.169.254/",
            "https://localhost.org",
            "https://müller.example",
        ] {
            assert!(elsewhere.parse(url).is_ok(), "{url}");
        }
        for url in [
            "",
            "example.org",
            "/hook",
            "http://example.org",
            "http://127.0.0.1:8080/",
            "http://localhost/",
            "https://127.0.0.1:8443/",
            "https://2130706433/",
            "https://localhost/",
            "https://LOCALHOST./",
            "https://x.localhost/",
            "https://[::1]:8443",
            "https://[::ffff:127.0.0.1]/",
            "https://0.0.0.0/",
            "https://[::]/",
            "ftp://example.org",
            "file:///etc/passwd",
            "data:,x",
            "https://",
            "https://user@example.org",
            "https://user:secret@example.org",
            "https://example.org/#part",
            "https://exam ple.org",
            "https://example.org/\n",
            " https://example.org",
        ] {
            assert!(elsewhere.parse(url).is_err(), "{url}");
        }
    }

    #[test]
    fn this_machine_is_reached_without_tls_where_it_may_be() {
        let here = destinations("", true);
        for url in [
            "http://127.0.0.1:8080/",
            "http://localhost:1/x",
            "http://[::1]/",
            "http://127.9.9.9",
            "http://2130706433/",
        ] {
            assert!(here.parse(url).is_ok(), "{url}");
        }
        for url in
            ["http://example.org", "http://localhost.example.org", "http://10.0.0.1", "http://0.0.0.0/", "http://[::]"]
        {
            assert!(here.parse(url).is_err(), "{url}");
        }
    }

    #[test]
    fn this_machine_is_reached_where_it_may_be_and_not_where_the_list_alone_names_it() {
        let (listed, refused) =
            (destinations("localhost 127.0.0.1", false), "webhooks may not go to the server's own machine");
        for url in ["https://localhost/", "https://127.0.0.1:1/", "http://localhost/"] {
            assert!(listed.parse(url).expect_err(url).to_string().starts_with(refused), "{url}");
        }
        let (from, next) = ("https://example.org/", "https://localhost/");
        let [from, next] = [from, next].map(|url| Url::parse(url).expect("a URL"));
        assert!(destinations("", false).check_redirect(&from, &next).is_err());
        assert!(destinations("", true).check_redirect(&from, &next).is_err());
        assert!(destinations("", true).check_redirect(&next, &next).is_ok());
    }

    #[test]
    fn only_hosts_of_the_list_are_permitted() {
        let listed = destinations("example.com, *.Example.org 192.0.2.7", false);
        for url in [
            "https://example.com",
            "https://EXAMPLE.com.:8443/x",
            "https://a.example.org",
            "https://a.b.example.org",
            "https://192.0.2.7",
        ] {
            assert!(listed.parse(url).is_ok(), "{url}");
        }
        for url in [
            "https://www.example.com",
            "https://example.org",
            "https://badexample.org",
            "https://a.example.org.evil.test",
            "https://192.0.2.8",
        ] {
            let refused = listed.parse(url).expect_err(url).to_string();
            assert!(refused.ends_with("example.com, *.example.org, 192.0.2.7"), "{refused}");
        }
    }

    #[test]
    fn a_url_is_shown_without_its_secrets() {
        for (url, shown) in [
            ("https://example.org", "https://example.org"),
            ("https://example.org/a/b?token=s3cret#s3cret", "https://example.org/a/b"),
            ("https://example.org?token=s3cret", "https://example.org"),
            ("https://user:s3cret@example.org:8443/a@b?x=@", "https://example.org:8443/a@b"),
            ("https://s3cret@s3cret@example.org", "https://example.org"),
            ("s3cret?s3cret", "s3cret"),
        ] {
            assert_eq!(without_secrets(url), shown, "{url}");
        }
    }

    #[test]
    fn what_is_no_host_is_no_list() {
        for list in ["*", "*.", "a.*.example.org", "https://example.org", "example.org/x", "*.192.0.2.7", "a:443"] {
            assert!(list.parse::<Hosts>().is_err(), "{list}");
        }
        assert_eq!(" , ".parse(), Ok(Hosts::default()));
    }
}
