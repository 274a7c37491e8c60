//! Whose child works: reports share a press by turns.
//!
//! A report that has worked for less than half a second goes first, so that small reports never wait for large ones; of these,
//! a caller's only one goes before another's second. Older reports share what is left, each caller as much as any other, a
//! caller's reports in their order. A child whose turn is over stands still until it is its turn again.

mod standing;

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::Notify;
use tokio::time::sleep;

use self::standing::chosen;
use crate::signals;

/// How long a report works before it gives way to others.
const GIVES_WAY_AFTER: Duration = Duration::from_millis(500);

/// How often one who works or waits looks whose turn it is.
const LOOK_AGAIN: Duration = Duration::from_millis(100);

/// How many children stand still at most, for each that works. One more is ended, and its work begun anew.
const MOST_PAUSED: usize = 3;

/// Who works on a press, and who waits for it.
#[derive(Debug)]
pub(crate) struct Turns {
    slots: usize,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    next: u64,
    reports: BTreeMap<u64, Share>,
    asks: BTreeMap<u64, Ask>,
    /// How long children have worked for each caller, of those who have reports.
    worked: HashMap<String, Duration>,
    /// Until when all of this is counted.
    counted_to: Instant,
}

/// A report that is being made.
#[derive(Debug)]
struct Share {
    caller: String,
    began: Instant,
    /// How long it wanted a child and had none at work.
    waited: Duration,
}

/// One thing that a child is to do for a report.
#[derive(Debug)]
struct Ask {
    report: u64,
    phase: Phase,
    /// The child that does it, once there is one.
    child: Option<u32>,
    /// How long that child has worked.
    worked: Duration,
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

/// A report's part in the turns of a press, for as long as it is being made.
#[derive(Debug)]
pub struct Turn {
    turns: Arc<Turns>,
    report: u64,
}

/// One who waits for a child or has one.
#[derive(Debug)]
pub(crate) struct Asking<'a> {
    turn: &'a Turn,
    id: u64,
    changed: Arc<Notify>,
}

/// Holds the turn while a child works.
#[derive(Debug)]
pub(crate) struct Working<'a, 'b>(&'a Asking<'b>);

impl Turns {
    /// As many work at a time as there are `slots`.
    pub(crate) fn new(slots: usize) -> Arc<Self> {
        let (reports, asks, worked) = (BTreeMap::new(), BTreeMap::new(), HashMap::new());
        let state = State { next: 0, reports, asks, worked, counted_to: Instant::now() };
        Arc::new(Self { slots, state: Mutex::new(state) })
    }

    pub(crate) fn slots(&self) -> usize {
        self.slots
    }

    /// A report of this caller begins.
    pub(crate) fn begin(self: &Arc<Self>, caller: &str) -> Turn {
        let mut state = self.state();
        let report = state.number();
        state
            .reports
            .insert(report, Share { caller: caller.to_owned(), began: Instant::now(), waited: Duration::ZERO });
        // One who comes later has no claim to the time before.
        let least = state.worked.values().min().copied().unwrap_or_default();
        state.worked.entry(caller.to_owned()).or_insert(least);
        Turn { turns: self.clone(), report }
    }

    /// How many could work besides those who do.
    pub(crate) fn free(&self) -> usize {
        let working = self.state().asks.values().filter(|ask| ask.phase == Phase::Working).count();
        self.slots.saturating_sub(working)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Gives the turns to those whose they are now.
    fn look(&self) {
        let mut state = self.state();
        state.count();
        state.deal(self.slots);
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
        self.counted_to = now;
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

    fn deal(&mut self, slots: usize) {
        let chosen = chosen(self, slots);
        for (id, ask) in &mut self.asks {
            match (ask.phase, ask.child, chosen.contains(id)) {
                (Phase::Working, Some(child), false) => {
                    signals::pause(child);
                    ask.phase = Phase::Paused;
                }
                (Phase::Waiting, _, true) => {
                    ask.phase = Phase::Working;
                    ask.changed.notify_one();
                }
                (Phase::Paused, Some(child), true) => {
                    signals::resume(child);
                    ask.phase = Phase::Working;
                }
                _ => {}
            }
        }
        self.evict(slots * MOST_PAUSED);
    }

    /// Ends those children that stand still beyond `most`, the ones first that have done the least.
    fn evict(&mut self, most: usize) {
        let mut paused: Vec<_> = self.asks.values_mut().filter(|ask| ask.phase == Phase::Paused).collect();
        paused.sort_by_key(|ask| std::cmp::Reverse(ask.worked));
        for ask in paused.into_iter().skip(most) {
            ask.phase = Phase::Evicted;
            ask.changed.notify_one();
        }
    }
}

impl Turn {
    /// Whether the report has worked for so short a time that it goes before others.
    pub(crate) fn is_young(&self) -> bool {
        let mut state = self.turns.state();
        state.count();
        state.reports.get(&self.report).is_some_and(Share::is_young)
    }

    /// How long the report has waited for its turns.
    pub(crate) fn waited(&self) -> Duration {
        let mut state = self.turns.state();
        state.count();
        state.reports.get(&self.report).map(|share| share.waited).unwrap_or_default()
    }

    /// Whose report it is.
    pub(crate) fn caller(&self) -> String {
        self.turns.state().reports.get(&self.report).map(|share| share.caller.clone()).unwrap_or_default()
    }

    /// Asks for a child.
    pub(crate) fn ask(&self) -> Asking<'_> {
        let changed = Arc::new(Notify::new());
        let mut state = self.turns.state();
        // What has passed does not concern the newcomer.
        state.count();
        let id = state.number();
        let (phase, worked) = (Phase::Waiting, Duration::ZERO);
        state.asks.insert(id, Ask { report: self.report, phase, child: None, worked, changed: changed.clone() });
        state.deal(self.turns.slots);
        Asking { turn: self, id, changed }
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

    /// Has this child work, and stand still in others' turns.
    pub(crate) fn work(&self, child: u32) -> Working<'_, 'b> {
        self.with(|ask| (ask.child, ask.worked) = (Some(child), Duration::ZERO));
        self.turn.turns.look();
        Working(self)
    }

    /// Waits for a turn once more, after an eviction.
    pub(crate) fn again(&self) {
        self.with(|ask| ask.phase = Phase::Waiting);
        self.turn.turns.look();
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
        state.deal(self.turn.turns.slots);
    }
}

impl Working<'_, '_> {
    /// Returns when the child has worked for `time`, and whenever else there is something to look at.
    pub(crate) async fn rest(&self, time: Duration) {
        let left = time.saturating_sub(self.worked());
        self.0.rest(left.clamp(Duration::from_millis(1), LOOK_AGAIN)).await;
    }

    /// How long the child has worked, without the turns of others.
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
            let child = ask.child.take();
            // It may have ended its work just as it was stopped.
            if matches!(ask.phase, Phase::Paused | Phase::Evicted) {
                _ = child.map(signals::resume);
                ask.phase = Phase::Waiting;
            }
        });
    }
}

#[cfg(test)]
mod tests;
