//! The open connections: their number, in all and by address, and how long each keeps the server waiting.
//!
//! A connection is busy while one of its requests is answered, and waits otherwise. One that waits too long is closed. When
//! there are too many, the one that has waited longest makes room for the new one, so that half-sent requests keep no
//! client out.

use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::Notify;
use tokio::task::AbortHandle;

/// How long a request's head may take, from the connection or its own first byte on.
const HEAD_TIMEOUT: Duration = Duration::from_secs(10);

/// How long a connection may be without a request once it has had one. Longer than proxies keep one (60 seconds): otherwise
/// they would send a request on a connection that is being closed.
const IDLE_TIMEOUT: Duration = Duration::from_secs(75);

/// How long a connection has waited at least when it makes room for another.
const MIN_WAIT: Duration = Duration::from_secs(1);

/// How often the log says at most that connections were refused.
const REPORT_EVERY: Duration = Duration::from_secs(5);

/// How many connections there may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Bounds {
    /// In all.
    pub(crate) all: usize,
    /// From one address, or from one network of IPv6.
    pub(crate) of_one_address: usize,
}

/// What a connection is doing.
#[repr(u8)]
enum Phase {
    /// It is new, or a part of a request's head has arrived.
    Head,
    /// It has had a request, and waits for the next.
    Idle,
    /// A request is being answered.
    Busy,
    /// The answer is delayed, of a request that was refused or is still being sent.
    HeldBack,
    /// It has become a WebSocket.
    Upgraded,
    /// It is being closed, and begins nothing any more.
    Closing,
}

/// Counts milliseconds.
struct Clock {
    epoch: Instant,
    #[cfg(test)]
    ahead: AtomicU64,
}

impl Clock {
    fn new() -> Self {
        Self {
            epoch: Instant::now(),
            #[cfg(test)]
            ahead: AtomicU64::new(0),
        }
    }

    fn now(&self) -> u64 {
        let now = u64::try_from(self.epoch.elapsed().as_millis()).unwrap_or(u64::MAX);
        #[cfg(test)]
        let now = now + self.ahead.load(Ordering::Acquire);
        now
    }

    #[cfg(test)]
    fn advance(&self, time: Duration) {
        self.ahead.fetch_add(time.as_millis() as u64, Ordering::AcqRel);
    }
}

/// One open connection.
pub(super) struct Connection {
    peer: IpAddr,
    phase: AtomicU8,
    /// When its phase began, by the clock.
    since: AtomicU64,
    clock: Arc<Clock>,
    /// Whether an answer is on its way that the client has not taken.
    unsent: AtomicBool,
    task: OnceLock<AbortHandle>,
}

impl Connection {
    fn new(peer: IpAddr, clock: Arc<Clock>) -> Self {
        Self {
            peer,
            phase: AtomicU8::new(Phase::Head as u8),
            since: AtomicU64::new(clock.now()),
            clock,
            unsent: AtomicBool::new(false),
            task: OnceLock::new(),
        }
    }

    /// Sets the task that serves it.
    pub(super) fn set_task(&self, task: AbortHandle) {
        _ = self.task.set(task);
    }

    /// A request begins, unless the connection is being closed.
    pub(super) fn begin_request(&self) -> bool {
        let begin = |phase| (phase != Phase::Closing as u8).then_some(Phase::Busy as u8);
        self.phase.fetch_update(Ordering::AcqRel, Ordering::Acquire, begin).is_ok()
    }

    /// A request is answered.
    pub(super) fn end_request(&self) {
        self.mark_time();
        self.change(Phase::Busy, Phase::Idle);
    }

    /// The answer to a request is delayed, until [`begin_request`](Self::begin_request).
    pub(super) fn hold_back(&self) {
        self.mark_time();
        self.change(Phase::Busy, Phase::HeldBack);
    }

    /// A request made a WebSocket of it, which bounds itself how long it is silent.
    pub(super) fn upgrade(&self) {
        self.change(Phase::Busy, Phase::Upgraded);
    }

    /// Bytes arrived.
    pub(super) fn received(&self) {
        if self.is(Phase::Idle) {
            self.mark_time();
            self.change(Phase::Idle, Phase::Head);
        }
    }

    /// Sets whether an answer waits for the client to read.
    pub(super) fn set_unsent(&self, unsent: bool) {
        self.unsent.store(unsent, Ordering::Release);
    }

    fn mark_time(&self) {
        self.since.store(self.clock.now(), Ordering::Release);
    }

    fn is(&self, phase: Phase) -> bool {
        self.phase.load(Ordering::Acquire) == phase as u8
    }

    fn change(&self, from: Phase, to: Phase) -> bool {
        self.phase.compare_exchange(from as u8, to as u8, Ordering::AcqRel, Ordering::Acquire).is_ok()
    }

    /// How long it has waited, and how long it may; nothing while it is busy.
    fn waits(&self) -> Option<(Duration, Duration)> {
        let limit = match () {
            () if self.is(Phase::Head) => HEAD_TIMEOUT,
            () if self.is(Phase::Idle) => IDLE_TIMEOUT,
            () => return None,
        };
        if self.unsent.load(Ordering::Acquire) {
            return None;
        }
        Some((self.elapsed(), limit))
    }

    /// For how long it could have made room for others; nothing if it may not.
    fn dispensable(&self) -> Option<Duration> {
        if self.is(Phase::HeldBack) {
            // Before any that waits for a request.
            return Some(self.elapsed() + IDLE_TIMEOUT);
        }
        Some(self.waits()?.0).filter(|waited| *waited >= MIN_WAIT)
    }

    /// How long its phase has lasted.
    fn elapsed(&self) -> Duration {
        Duration::from_millis(self.clock.now().saturating_sub(self.since.load(Ordering::Acquire)))
    }

    /// Closes it unless it is busy. Returns whether it does.
    fn close_if_waiting(&self) -> bool {
        let waiting = [Phase::Idle, Phase::Head, Phase::HeldBack];
        let closes = waiting.into_iter().any(|phase| self.change(phase, Phase::Closing));
        if closes && let Some(task) = self.task.get() {
            task.abort();
        }
        closes
    }
}

/// A connection's place among the open ones, given back when it is dropped.
pub(super) struct Slot {
    connections: Arc<Connections>,
    number: u64,
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.connections.remove(self.number);
    }
}

/// All open connections.
pub(super) struct Connections {
    bounds: Bounds,
    clock: Arc<Clock>,
    state: Mutex<State>,
    changed: Notify,
}

#[derive(Default)]
struct State {
    open: HashMap<u64, Arc<Connection>>,
    by_network: HashMap<IpAddr, usize>,
    next: u64,
    refused: Refused,
}

/// What has not been logged yet.
#[derive(Default)]
struct Refused {
    /// Connections that were closed at once.
    refused: u64,
    /// Waiting connections that were closed for new ones.
    made_room: u64,
    /// Connections that sent no whole head in time.
    overdue: u64,
    /// Why the system accepted none.
    error: Option<String>,
    logged_at: Option<Instant>,
}

impl Connections {
    pub(super) fn new(bounds: Bounds) -> Self {
        Self { bounds, clock: Arc::new(Clock::new()), state: Mutex::default(), changed: Notify::new() }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a new connection in, or refuses it if there are too many that are busy.
    pub(super) fn admit(self: &Arc<Self>, peer: IpAddr) -> Option<(Arc<Connection>, Slot)> {
        let network = network(peer);
        let mut state = self.state();
        let of_network = state.by_network.get(&network).copied().unwrap_or_default();
        let crowd = match () {
            () if of_network >= self.bounds.of_one_address => Some(Some(network)),
            () if state.open.len() >= self.bounds.all => Some(None),
            () => None,
        };
        if let Some(crowd) = crowd
            && !state.make_room(crowd)
        {
            state.refused.refused += 1;
            return None;
        }
        let number = state.next;
        state.next += 1;
        let connection = Arc::new(Connection::new(network, self.clock.clone()));
        state.open.insert(number, connection.clone());
        *state.by_network.entry(network).or_default() += 1;
        Some((connection, Slot { connections: self.clone(), number }))
    }

    fn remove(&self, number: u64) {
        self.state().forget(number);
        self.changed.notify_waiters();
    }

    /// Closes the connection that has waited longest, since the system has no room for another.
    pub(super) fn make_room(&self) {
        self.state().make_room(None);
    }

    /// Closes what has kept the server waiting for too long.
    pub(super) fn close_overdue(&self) {
        let mut state = self.state();
        let is_overdue = |connection: &Connection| connection.waits().is_some_and(|(waited, limit)| waited > limit);
        let overdue: Vec<_> = state.open.values().filter(|connection| is_overdue(connection)).cloned().collect();
        for connection in overdue {
            let half_sent = connection.is(Phase::Head);
            if connection.close_if_waiting() && half_sent {
                state.refused.overdue += 1;
            }
        }
    }

    /// Closes every connection that no request is answered on.
    pub(super) fn close_waiting(&self) {
        for connection in self.state().open.values() {
            connection.close_if_waiting();
        }
    }

    /// Waits until there is no connection, or WebSockets only.
    pub(super) async fn all_closed(&self) {
        loop {
            let changed = self.changed.notified();
            if self.state().open.values().all(|connection| connection.is(Phase::Upgraded)) {
                return;
            }
            changed.await;
        }
    }

    /// Records for the log that the system accepted no connection.
    pub(super) fn note_not_accepted(&self, error: &io::Error) {
        self.state().refused.error = Some(error.to_string());
        self.report();
    }

    /// Logs what was refused, now and then.
    pub(super) fn report(&self) {
        let mut state = self.state();
        let (open, refused) = (state.open.len(), &mut state.refused);
        let news = refused.refused + refused.made_room + refused.overdue > 0 || refused.error.is_some();
        if !news || refused.logged_at.is_some_and(|at| at.elapsed() < REPORT_EVERY) {
            return;
        }
        let news = std::mem::replace(refused, Refused { logged_at: Some(Instant::now()), ..Refused::default() });
        drop(state);
        if let Some(error) = news.error {
            tracing::warn!(%error, open, "cannot accept connections for a moment");
        }
        if news.refused + news.made_room > 0 {
            let Bounds { all: max_connections, of_one_address: max_of_one_address } = self.bounds;
            let (refused, made_room) = (news.refused, news.made_room);
            tracing::warn!(
                refused,
                made_room,
                open,
                max_connections,
                max_of_one_address,
                "there are too many connections: closed new ones, or waiting ones to make room; raise --max-connections, or \
                 --max-connections-per-address behind a proxy"
            );
        }
        if news.overdue > 0 {
            tracing::info!(closed = news.overdue, "closed connections that sent no whole request in time");
        }
    }
}

impl State {
    /// Closes the connection, of this network or of any, that has waited longest, if one has for long enough.
    fn make_room(&mut self, network: Option<IpAddr>) -> bool {
        let candidates = self.open.iter().filter(|(_, connection)| network.is_none_or(|ip| connection.peer == ip));
        let dispensable = candidates.filter_map(|(number, connection)| Some((connection.dispensable()?, *number)));
        let Some((_, number)) = dispensable.max() else { return false };
        let closed = self.open.get(&number).is_some_and(|connection| connection.close_if_waiting());
        if closed {
            // Its task lets go of it in a moment; the newcomer need not wait for that.
            self.forget(number);
            self.refused.made_room += 1;
        }
        closed
    }

    fn forget(&mut self, number: u64) {
        let Some(connection) = self.open.remove(&number) else { return };
        if let Some(count) = self.by_network.get_mut(&connection.peer) {
            *count -= 1;
            if *count == 0 {
                self.by_network.remove(&connection.peer);
            }
        }
    }
}

/// What counts as one address. Of IPv6 it is a network, since its clients can use any address of it.
fn network(ip: IpAddr) -> IpAddr {
    match ip.to_canonical() {
        IpAddr::V6(ip) => Ipv6Addr::from_bits(ip.to_bits() >> 64 << 64).into(),
        ip @ IpAddr::V4(_) => ip,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn connections(all: usize, of_one_address: usize) -> Arc<Connections> {
        Arc::new(Connections::new(Bounds { all, of_one_address }))
    }

    fn address(last: u8) -> IpAddr {
        [192, 0, 2, last].into()
    }

    #[test]
    fn the_one_that_has_waited_longest_makes_room() {
        let connections = connections(2, 2);
        let (first, first_slot) = connections.admit(address(1)).expect("there is room");
        connections.clock.advance(Duration::from_millis(100));
        let (second, _second_slot) = connections.admit(address(2)).expect("there is room");
        assert!(connections.admit(address(3)).is_none(), "none has waited for a second");
        connections.clock.advance(MIN_WAIT);
        let (_third, _third_slot) = connections.admit(address(3)).expect("the first makes room");
        assert!(!first.begin_request(), "it is being closed");
        assert!(second.begin_request());
        drop(first_slot);
        assert_eq!(connections.state().open.len(), 2, "its place is given away already");
    }

    #[test]
    fn a_busy_connection_is_never_closed_and_an_idle_one_in_the_end() {
        let connections = connections(2, 2);
        let (busy, _busy_slot) = connections.admit(address(1)).expect("there is room");
        let (idle, _idle_slot) = connections.admit(address(1)).expect("there is room");
        assert!(busy.begin_request() && idle.begin_request());
        connections.clock.advance(Duration::from_secs(3600));
        assert!(connections.admit(address(2)).is_none());
        idle.end_request();
        connections.clock.advance(IDLE_TIMEOUT - MIN_WAIT);
        connections.close_overdue();
        assert!(idle.begin_request(), "it may wait that long");
        idle.end_request();
        idle.received();
        connections.clock.advance(HEAD_TIMEOUT + MIN_WAIT);
        connections.close_overdue();
        assert!(!idle.begin_request(), "a half-sent head may take ten seconds");
        assert!(busy.begin_request());
    }

    #[test]
    fn a_connection_whose_answer_is_held_back_makes_room_before_one_that_waits() {
        let connections = connections(2, 2);
        let (waiting, _waiting_slot) = connections.admit(address(1)).expect("there is room");
        let (guessing, _guessing_slot) = connections.admit(address(1)).expect("there is room");
        assert!(waiting.begin_request() && guessing.begin_request());
        waiting.end_request();
        connections.clock.advance(IDLE_TIMEOUT - MIN_WAIT);
        guessing.hold_back();
        let (_other, _other_slot) = connections.admit(address(2)).expect("the guessing one makes room");
        assert!(!guessing.begin_request(), "it is being closed");
        assert!(waiting.begin_request());
    }

    #[test]
    fn a_connection_whose_answer_is_held_back_makes_room_at_once() {
        let connections = connections(1, 1);
        let (guessing, _guessing_slot) = connections.admit(address(1)).expect("there is room");
        assert!(guessing.begin_request());
        assert!(connections.admit(address(2)).is_none());
        guessing.hold_back();
        let (other, _other_slot) = connections.admit(address(2)).expect("the guessing one makes room");
        assert!(!guessing.begin_request(), "it is being closed");
        assert!(other.begin_request());
        other.hold_back();
        assert!(other.begin_request(), "nothing took its place");
        assert!(connections.admit(address(2)).is_none(), "it is busy again");
    }

    #[test]
    fn an_answer_that_the_client_has_not_taken_is_not_cut_off() {
        let connections = connections(1, 1);
        let (connection, _slot) = connections.admit(address(1)).expect("there is room");
        assert!(connection.begin_request());
        connection.set_unsent(true);
        connection.end_request();
        connections.clock.advance(IDLE_TIMEOUT * 2);
        connections.close_overdue();
        assert!(connections.admit(address(2)).is_none());
        connection.set_unsent(false);
        assert!(connections.admit(address(2)).is_some());
    }

    #[test]
    fn one_address_cannot_have_all() {
        let connections = connections(4, 2);
        let mut slots = Vec::new();
        for _ in 0..2 {
            let (connection, slot) = connections.admit(address(1)).expect("there is room");
            assert!(connection.begin_request());
            slots.push(slot);
        }
        assert!(connections.admit(address(1)).is_none());
        assert!(connections.admit(address(2)).is_some());
        slots.pop();
        assert!(connections.admit(address(1)).is_some());
        let network: Vec<_> = ["2001:db8::1", "2001:db8::2", "2001:db8:0:1::1", "::ffff:192.0.2.1"]
            .into_iter()
            .map(|ip| network(ip.parse().expect("an address")))
            .collect();
        assert_eq!(network[0], network[1]);
        assert_ne!(network[0], network[2]);
        assert_eq!(network[3], address(1));
    }
}
