//! Whose child works: reports share a press by turns.
//!
//! A report that has worked for less than half a second goes first, so that small reports never wait for large ones; of these,
//! a caller's only one goes before another's second. Older reports share what is left, and a part of the time in any case, each
//! caller as much as any other, a caller's reports in their order. A child whose turn is over stands still until it is its turn
//! again, and so does a thread that reads data.

mod eviction;
mod gate;
mod hand;
mod owed;
mod standing;

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::Notify;
use tokio::time::sleep;

pub(crate) use self::eviction::Most;
pub(crate) use self::gate::Gate;
pub(crate) use self::hand::Hand;
use self::owed::Owed;
use self::standing::chosen;

/// How long a report works before it gives way to others.
const GIVES_WAY_AFTER: Duration = Duration::from_millis(500);

/// How often one who works or waits looks whose turn it is.
const LOOK_AGAIN: Duration = Duration::from_millis(100);

/// How much time is not worth being counted by itself.
const COUNTED_LATELY: Duration = Duration::from_millis(2);

/// How soon after one look the next is worth its while.
const LOOKED_LATELY: Duration = Duration::from_millis(50);

/// Who works on a press, and who waits for it.
#[derive(Debug)]
pub(crate) struct Turns {
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    slots: usize,
    /// What may stand still.
    most: Most,
    next: u64,
    reports: BTreeMap<u64, Share>,
    asks: BTreeMap<u64, Ask>,
    /// How long children have worked for each caller, of those who have reports.
    worked: HashMap<String, Duration>,
    owed: Owed,
    /// Until when all of this is counted.
    counted_to: Instant,
    /// When the turns were given last.
    dealt_at: Instant,
}

/// A report that is being made.
#[derive(Debug)]
struct Share {
    caller: String,
    began: Instant,
    /// How long it wanted to work and did not.
    waited: Duration,
    /// How long children have worked for it that were ended in favour of others.
    lost: Duration,
}

/// One thing that is to be done for a report.
#[derive(Debug)]
struct Ask {
    report: u64,
    phase: Phase,
    /// What does it, once there is something.
    hand: Option<Hand>,
    /// How long that has worked.
    worked: Duration,
    /// How many bytes its child held when it stood still last, or when it was ended.
    held: u64,
    /// How many children were ended for it in favour of others.
    evictions: u32,
    changed: Arc<Notify>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Waiting,
    Working,
    Paused,
    /// Its child is to be ended.
    Evicted,
}

/// Who is served.
#[derive(Debug, Default)]
pub(crate) struct Crowd {
    /// How many reports are young.
    pub(crate) young: usize,
    /// How many reports each caller has.
    pub(crate) reports: HashMap<String, usize>,
}

/// A report's part in the turns of a press, for as long as it is being made.
#[derive(Debug)]
pub struct Turn {
    turns: Arc<Turns>,
    report: u64,
}

/// One who waits for a turn or has one.
#[derive(Debug)]
pub(crate) struct Asking<'a> {
    turn: &'a Turn,
    id: u64,
    changed: Arc<Notify>,
}

/// Holds the turn while something works.
#[derive(Debug)]
pub(crate) struct Working<'a, 'b>(&'a Asking<'b>);

impl Turns {
    /// As many work at a time as there are `slots`.
    pub(crate) fn new(slots: usize, most: Most) -> Arc<Self> {
        let (reports, asks, worked, now) = (BTreeMap::new(), BTreeMap::new(), HashMap::new(), Instant::now());
        let (owed, counted_to, dealt_at) = (Owed::default(), now, now);
        let state = State { slots, most, next: 0, reports, asks, worked, owed, counted_to, dealt_at };
        Arc::new(Self { state: Mutex::new(state) })
    }

    pub(crate) fn slots(&self) -> usize {
        self.state().slots
    }

    /// No more children stand still than this.
    pub(crate) fn bound_paused(&self, children: usize) {
        let mut state = self.state();
        state.most.children = state.most.children.min(children);
    }

    /// A report of this caller begins.
    pub(crate) fn begin(self: &Arc<Self>, caller: &str) -> Turn {
        let mut state = self.state();
        let (report, caller) = (state.number(), caller.to_owned());
        // One who comes later has no claim to the time before.
        let least = state.worked.values().min().copied().unwrap_or_default();
        state.worked.entry(caller.clone()).or_insert(least);
        let (waited, lost) = Default::default();
        state.reports.insert(report, Share { caller, began: Instant::now(), waited, lost });
        Turn { turns: self.clone(), report }
    }

    /// How many could work besides those who do.
    pub(crate) fn free(&self) -> usize {
        let state = self.state();
        let working = state.asks.values().filter(|ask| ask.phase == Phase::Working).count();
        state.slots.saturating_sub(working)
    }

    /// Who is served at this moment.
    pub(crate) fn crowd(&self) -> Crowd {
        let mut state = self.state();
        state.count();
        let mut crowd = Crowd::default();
        for share in state.reports.values() {
            crowd.young += usize::from(share.is_young());
            *crowd.reports.entry(share.caller.clone()).or_default() += 1;
        }
        crowd
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Gives the turns to those whose they are now, unless that was done a moment ago.
    fn look(&self) {
        let mut state = self.state();
        if state.dealt_at.elapsed() >= LOOKED_LATELY {
            state.count();
            state.deal();
        }
    }
}

impl State {
    fn number(&mut self) -> u64 {
        self.next += 1;
        self.next
    }

    /// Counts the time since it was counted last.
    fn count(&mut self) {
        let now = Instant::now();
        let passed = now.saturating_duration_since(self.counted_to);
        if passed < COUNTED_LATELY {
            return;
        }
        self.counted_to = now;
        self.count_owed(passed);
        let mut waiting: BTreeMap<u64, bool> = BTreeMap::new();
        for ask in self.asks.values_mut() {
            let works = ask.phase == Phase::Working;
            *waiting.entry(ask.report).or_insert(true) &= !works;
            if works {
                ask.worked += passed;
                let caller = self.reports.get(&ask.report).map(|share| &share.caller);
                if let Some(worked) = caller.and_then(|caller| self.worked.get_mut(caller)) {
                    *worked += passed;
                }
            }
        }
        for (report, waits) in waiting {
            if let Some(share) = self.reports.get_mut(&report).filter(|_| waits) {
                share.waited += passed;
            }
        }
    }

    fn deal(&mut self) {
        self.dealt_at = Instant::now();
        let chosen = chosen(self);
        for (id, ask) in &mut self.asks {
            match (ask.phase, &ask.hand, chosen.contains(id)) {
                (Phase::Working, Some(hand), false) => {
                    ask.held = hand.pause();
                    ask.phase = Phase::Paused;
                }
                (Phase::Waiting, _, true) => {
                    ask.phase = Phase::Working;
                    ask.changed.notify_one();
                }
                (Phase::Paused, Some(hand), true) => {
                    hand.resume();
                    ask.phase = Phase::Working;
                }
                _ => {}
            }
        }
        self.evict();
    }
}

impl Turn {
    /// How long the report had to wait for its turns, and worked to no end.
    pub(crate) fn delayed(&self) -> Duration {
        let mut state = self.turns.state();
        state.count();
        state.reports.get(&self.report).map(|share| share.waited + share.lost).unwrap_or_default()
    }

    /// Asks for a turn.
    pub(crate) fn ask(&self) -> Asking<'_> {
        let changed = Arc::new(Notify::new());
        let mut state = self.turns.state();
        // What has passed does not concern the newcomer.
        state.count();
        let id = state.number();
        state.asks.insert(id, Ask::of(self.report, changed.clone()));
        state.deal();
        Asking { turn: self, id, changed }
    }
}

impl Ask {
    fn of(report: u64, changed: Arc<Notify>) -> Self {
        let (phase, hand, worked) = (Phase::Waiting, None, Duration::ZERO);
        Self { report, phase, hand, worked, held: 0, evictions: 0, changed }
    }
}

impl Share {
    fn is_young(&self) -> bool {
        self.began.elapsed().saturating_sub(self.waited) < GIVES_WAY_AFTER
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        let mut state = self.turns.state();
        state.count();
        let Some(Share { caller, .. }) = state.reports.remove(&self.report) else { return };
        if state.reports.values().all(|share| share.caller != caller) {
            state.worked.remove(&caller);
        }
    }
}

impl<'b> Asking<'b> {
    /// Returns when it is this one's turn.
    pub(crate) async fn granted(&self) {
        while !self.with(|ask| ask.phase == Phase::Working).unwrap_or(true) {
            self.rest(LOOK_AGAIN).await;
        }
    }

    /// Has this work, and stand still in others' turns.
    pub(crate) fn work(&self, hand: Hand) -> Working<'_, 'b> {
        self.with(|ask| (ask.hand, ask.worked) = (Some(hand), Duration::ZERO));
        self.turn.turns.state().deal();
        Working(self)
    }

    /// Waits for a turn once more, after an eviction.
    pub(crate) fn again(&self) {
        self.with(|ask| ask.phase = Phase::Waiting);
        self.turn.turns.state().deal();
    }

    /// Until something may have changed, or for so long.
    async fn rest(&self, time: Duration) {
        tokio::select! {
            () = self.changed.notified() => {}
            () = sleep(time) => self.turn.turns.look(),
        }
    }

    fn with<T>(&self, use_it: impl FnOnce(&mut Ask) -> T) -> Option<T> {
        let mut state = self.turn.turns.state();
        state.count();
        state.asks.get_mut(&self.id).map(use_it)
    }
}

impl Drop for Asking<'_> {
    fn drop(&mut self) {
        let mut state = self.turn.turns.state();
        state.count();
        state.asks.remove(&self.id);
        state.deal();
    }
}

impl Working<'_, '_> {
    /// Returns when it has worked for `time`, and whenever else there is something to look at.
    pub(crate) async fn rest(&self, time: Duration) {
        let left = time.saturating_sub(self.worked());
        self.0.rest(left.clamp(Duration::from_millis(1), LOOK_AGAIN)).await;
    }

    /// How long it has worked, without the turns of others.
    pub(crate) fn worked(&self) -> Duration {
        self.0.with(|ask| ask.worked).unwrap_or_default()
    }

    /// Whether the child is to be ended, so that others have its memory.
    pub(crate) fn is_evicted(&self) -> bool {
        self.0.with(|ask| ask.phase == Phase::Evicted).unwrap_or_default()
    }
}

impl Drop for Working<'_, '_> {
    fn drop(&mut self) {
        self.0.with(|ask| {
            let hand = ask.hand.take();
            // It may have ended its work just as it was stopped.
            if matches!(ask.phase, Phase::Paused | Phase::Evicted) {
                _ = hand.map(|hand| hand.resume());
                ask.phase = Phase::Waiting;
            }
        });
    }
}

#[cfg(test)]
mod tests;
