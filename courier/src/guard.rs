//! What keeps an event from going where it may not: a name's addresses are checked as they are looked up for a
//! connection, so that what was checked is what is connected to.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use async_trait::async_trait;
use reqwest::Url;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};

use crate::address::is_public;

/// Asks for the addresses of a name.
#[async_trait]
pub trait Lookup: Send + Sync {
    /// The addresses of a name at this moment.
    async fn addresses(&self, name: &str) -> io::Result<Vec<IpAddr>>;
}

/// Asks the system.
#[derive(Debug, Clone, Copy)]
pub struct SystemLookup;

#[async_trait]
impl Lookup for SystemLookup {
    async fn addresses(&self, name: &str) -> io::Result<Vec<IpAddr>> {
        Ok(tokio::net::lookup_host((name, 0)).await?.map(|address| address.ip()).collect())
    }
}

/// Which addresses a connection may be made to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reach {
    /// Public ones.
    Public,
    /// Public ones and this machine's own.
    PublicAndLoopback,
    /// This machine's own.
    Loopback,
}

impl Reach {
    fn permits(self, address: IpAddr) -> bool {
        let loopback = address.to_canonical().is_loopback();
        match self {
            Self::Public => is_public(address),
            Self::PublicAndLoopback => loopback || is_public(address),
            Self::Loopback => loopback,
        }
    }

    /// Refuses a URL whose host is an address that is out of reach. No name is resolved for such a URL.
    pub(crate) fn check(self, url: &Url) -> Result<(), Forbidden> {
        let host = url.host_str().unwrap_or_default();
        match host.trim_start_matches('[').trim_end_matches(']').parse() {
            Ok(address) if !self.permits(address) => Err(Forbidden { name: None, address, reach: self }),
            _ => Ok(()),
        }
    }
}

/// An address is out of reach. Whoever chose a name is not shown the address behind it: the machine's name server may know
/// names that are nobody else's to ask for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Forbidden {
    name: Option<String>,
    pub(crate) address: IpAddr,
    reach: Reach,
}

impl std::error::Error for Forbidden {}

impl std::fmt::Display for Forbidden {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let what = match self.reach {
            Reach::Public | Reach::PublicAndLoopback => "a public address",
            Reach::Loopback => "this machine",
        };
        match &self.name {
            Some(name) => write!(f, "{name} is not the name of {what}")?,
            None => write!(f, "{}, which is not {what}", self.address)?,
        }
        f.write_str(match self.reach {
            Reach::Public => "; webhooks go to public addresses only",
            Reach::PublicAndLoopback => "; webhooks go to those and to this machine only",
            Reach::Loopback => "; without TLS webhooks stay on it",
        })
    }
}

/// A resolver that passes on the addresses within reach and no others.
pub(crate) struct Guard {
    pub(crate) lookup: Arc<dyn Lookup>,
    pub(crate) reach: Reach,
}

impl Resolve for Guard {
    fn resolve(&self, name: Name) -> Resolving {
        let (lookup, reach) = (self.lookup.clone(), self.reach);
        Box::pin(async move {
            let found = lookup.addresses(name.as_str()).await?;
            let permitted: Vec<_> = found.iter().copied().filter(|address| reach.permits(*address)).collect();
            match (permitted.is_empty(), found.first()) {
                (true, Some(address)) => {
                    Err(Forbidden { name: Some(name.as_str().to_owned()), address: *address, reach }.into())
                }
                // The port is the URL's.
                _ => Ok(Box::new(permitted.into_iter().map(|address| SocketAddr::new(address, 0))) as Addrs),
            }
        })
    }
}
