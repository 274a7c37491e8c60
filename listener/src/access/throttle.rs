//! Slows down peers that show wrong tokens, and names them in the log. Callers with a right token never wait.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use axum::response::Response;
use tokio::time::{Instant, sleep};

/// How long the answer to a peer's first wrong token waits; with each further one it waits twice as long.
const FIRST_WAIT: Duration = Duration::from_millis(20);

/// After how long without a wrong token a peer begins anew.
const FORGIVEN_AFTER: Duration = Duration::from_secs(5 * 60);

/// How many peers are remembered.
const MOST_PEERS: usize = 4_096;

/// Remembers peers that showed wrong tokens.
pub struct Throttle {
    longest_wait: Duration,
    peers: Mutex<HashMap<IpAddr, Wrong>>,
}

/// A peer's wrong tokens.
struct Wrong {
    tokens: u32,
    at: Instant,
}

/// The other end of a call.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Peer {
    /// A connection comes from this address: the caller's, or that of the proxy in between.
    At(IpAddr),
    /// An event that anybody may have made says that it comes from this address.
    Claimed(IpAddr),
    /// Nothing tells.
    Unknown,
}

/// An extension of a response: how long the server must wait before it sends it. The server waits, and not the handler,
/// since only the server can give up a connection that waits for one that others need.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Delay(pub Duration);

impl Delay {
    /// Passes on a response once its delay is over, for a server that does nothing meanwhile.
    pub async fn wait(response: Response) -> Response {
        if let Some(Self(time)) = response.extensions().get() {
            sleep(*time).await;
        }
        response
    }
}

impl Throttle {
    /// Delays answers to wrong tokens by so much at most.
    pub fn new(longest_wait: Duration) -> Self {
        Self { longest_wait, peers: Mutex::default() }
    }

    /// The delay of the answer to a wrong token. Peers with addresses that they may have chosen count as one.
    pub(super) fn delay(&self, peer: Peer) -> Delay {
        let nobody = IpAddr::from(Ipv4Addr::UNSPECIFIED);
        let (peer, counted) = match peer {
            Peer::At(address) => (address.to_canonical(), network(address.to_canonical())),
            Peer::Claimed(address) => (address.to_canonical(), nobody),
            Peer::Unknown => (nobody, nobody),
        };
        tracing::warn!(%peer, "refused a wrong token");
        Delay(self.count(counted, Instant::now()))
    }

    /// Counts a wrong token, and returns how long its answer waits.
    fn count(&self, network: IpAddr, now: Instant) -> Duration {
        let mut peers = self.peers.lock().unwrap_or_else(PoisonError::into_inner);
        if !peers.contains_key(&network) && peers.len() >= MOST_PEERS {
            make_room(&mut peers, now);
        }
        let wrong = peers.entry(network).or_insert(Wrong { tokens: 0, at: now });
        if now.duration_since(wrong.at) >= FORGIVEN_AFTER {
            wrong.tokens = 0;
        }
        let wait = FIRST_WAIT.saturating_mul(2_u32.saturating_pow(wrong.tokens));
        *wrong = Wrong { tokens: wrong.tokens.saturating_add(1), at: now };
        wait.min(self.longest_wait)
    }
}

/// Forgets the peers that begin anew anyway, or else the one that was heard of least recently.
fn make_room(peers: &mut HashMap<IpAddr, Wrong>, now: Instant) {
    peers.retain(|_, wrong| now.duration_since(wrong.at) < FORGIVEN_AFTER);
    if peers.len() >= MOST_PEERS
        && let Some(oldest) = peers.iter().min_by_key(|(_, wrong)| wrong.at).map(|(network, _)| *network)
    {
        peers.remove(&oldest);
    }
}

/// What one peer has of addresses: one of IPv4, or the 64 bits of IPv6 that it cannot choose.
fn network(peer: IpAddr) -> IpAddr {
    match peer {
        IpAddr::V4(_) => peer,
        IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() & !u128::from(u64::MAX)).into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_wrong_token_waits_twice_as_long_until_the_peer_is_forgiven() {
        let (throttle, now) = (Throttle::new(Duration::from_millis(70)), Instant::now());
        let wait = |peer: &str, now| throttle.count(network(peer.parse().expect("an address")), now).as_millis();
        assert_eq!([(); 4].map(|()| wait("192.0.2.1", now)), [20, 40, 70, 70]);
        assert_eq!(wait("192.0.2.2", now), 20, "another peer");
        assert_eq!(wait("192.0.2.1", now + FORGIVEN_AFTER), 20);
        assert_eq!(["2001:db8::1", "2001:db8::2", "2001:db8:0:1::1"].map(|peer| wait(peer, now)), [20, 40, 20]);
        for _ in 0..100 {
            assert!(wait("192.0.2.3", now) <= 70, "no number is too large");
        }
    }

    #[test]
    fn addresses_that_a_guesser_chooses_count_as_one() {
        let throttle = Throttle::new(Duration::from_secs(1));
        let waits = |peer: fn(IpAddr) -> Peer| {
            ["192.0.2.1", "192.0.2.2", "2001:db8::1"].map(|address| {
                let Delay(wait) = throttle.delay(peer(address.parse().expect("an address")));
                wait.as_millis()
            })
        };
        assert_eq!((waits(Peer::Claimed), waits(Peer::At)), ([20, 40, 80], [20, 20, 20]));
    }

    #[test]
    fn no_more_peers_are_remembered_than_there_is_room_for() {
        let (throttle, now) = (Throttle::new(Duration::from_secs(1)), Instant::now());
        for number in 0..3 * u32::try_from(MOST_PEERS).expect("few") {
            let at = now + Duration::from_millis(number.into());
            throttle.count(Ipv4Addr::from_bits(number).into(), at);
        }
        assert_eq!(throttle.peers.lock().expect("not poisoned").len(), MOST_PEERS);
    }

    #[tokio::test]
    async fn a_server_waits_before_it_sends_a_delayed_response() {
        let mut response = Response::default();
        response.extensions_mut().insert(Delay(Duration::from_millis(200)));
        let start = Instant::now();
        Delay::wait(Response::default()).await;
        assert!(start.elapsed() < Duration::from_millis(200));
        Delay::wait(response).await;
        assert!(start.elapsed() >= Duration::from_millis(200));
    }
}
