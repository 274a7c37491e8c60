//! What may stand still, and which child is ended so that no more does.
//!
//! An ended child's work is lost, so its ask begins anew only where that ends no other: when there is room again, or when
//! its caller has fewer children than another by two. The oldest ask of all goes on whatever there is, so that each comes to
//! its end however many come after it.

use std::cmp::Reverse;
use std::collections::HashMap;

use super::{Ask, Hand, Phase, State};

/// What may stand still.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Most {
    /// How many children.
    pub(crate) children: usize,
    /// How many bytes they hold together. One by itself may hold more.
    pub(crate) bytes: u64,
}

/// How many children stand still at most, for each that works.
const PAUSED_FOR_EACH: usize = 3;

impl Most {
    /// For so many that work, each with so much memory: those that stand still hold no more together than one may.
    pub(crate) fn beside(slots: usize, memory_bytes: u64) -> Self {
        Self { children: PAUSED_FOR_EACH * slots, bytes: memory_bytes }
    }
}

/// The children that there are.
pub(super) struct Children<'a> {
    of_callers: HashMap<&'a str, usize>,
    paused: usize,
    paused_bytes: u64,
    most: Most,
    oldest: Option<u64>,
}

impl<'a> Children<'a> {
    pub(super) fn of(state: &'a State) -> Self {
        let (most, oldest) = (state.most, state.oldest());
        let mut children = Self { of_callers: HashMap::new(), paused: 0, paused_bytes: 0, most, oldest };
        for ask in state.asks.values().filter(|ask| ask.has_child()) {
            *children.of_callers.entry(state.caller_of(ask)).or_default() += 1;
            if ask.phase == Phase::Paused {
                children.paused += 1;
                children.paused_bytes += ask.held;
            }
        }
        children
    }

    /// Whether an old ask of this caller may have a child, although one that works would have to stand still for it.
    pub(super) fn may_be_more(&self, caller: &str, id: u64, ask: &Ask) -> bool {
        let room = self.paused < self.most.children && self.paused_bytes + ask.held <= self.most.bytes;
        let of_any = self.of_callers.values().max().copied().unwrap_or_default();
        self.paused == 0 || room || self.oldest == Some(id) || of_any > self.of_caller(caller) + 1
    }

    fn of_caller(&self, caller: &str) -> usize {
        self.of_callers.get(caller).copied().unwrap_or_default()
    }
}

impl Ask {
    fn has_child(&self) -> bool {
        matches!((self.phase, &self.hand), (Phase::Working | Phase::Paused, Some(Hand::Child(_))))
    }
}

impl State {
    pub(super) fn caller_of(&self, ask: &Ask) -> &str {
        self.reports.get(&ask.report).map(|share| share.caller.as_str()).unwrap_or_default()
    }

    /// The first ask, of the report that began first, that has a child or had one that was ended.
    fn oldest(&self) -> Option<u64> {
        let children = self.asks.iter().filter(|(_, ask)| ask.has_child() || ask.evictions > 0);
        children.min_by_key(|(id, ask)| (ask.report, **id)).map(|(id, _)| *id)
    }

    /// Ends children that stand still until no more do than may.
    pub(super) fn evict(&mut self) {
        while let Some(id) = self.one_too_many() {
            let Some(ask) = self.asks.get_mut(&id) else { return };
            ask.phase = Phase::Evicted;
            ask.evictions += 1;
            ask.changed.notify_one();
            if let Some(share) = self.reports.get_mut(&ask.report) {
                share.lost += ask.worked;
            }
        }
    }

    /// The child that is to be ended, not the oldest's. Where there are too many, one of the caller who has the most; where they
    /// hold too much, one that holds more than its part, of those that were ended least often. Of these, the one that did the
    /// least.
    fn one_too_many(&self) -> Option<u64> {
        let children = Children::of(self);
        let is_paused =
            |id: u64, ask: &Ask| ask.has_child() && ask.phase == Phase::Paused && children.oldest != Some(id);
        let paused: Vec<(u64, &Ask)> =
            self.asks.iter().map(|(id, ask)| (*id, ask)).filter(|(id, ask)| is_paused(*id, ask)).collect();
        let found = if children.paused > self.most.children {
            paused.into_iter().min_by_key(|(_, ask)| (Reverse(children.of_caller(self.caller_of(ask))), ask.worked))
        } else if children.paused > 1 && children.paused_bytes > self.most.bytes {
            holding_most(paused)
        } else {
            None
        };
        found.map(|(id, _)| id)
    }
}

/// Of those that were ended least often and hold more than their part, the one that did the least.
fn holding_most(mut asks: Vec<(u64, &Ask)>) -> Option<(u64, &Ask)> {
    let least = asks.iter().map(|(_, ask)| ask.evictions).min()?;
    asks.retain(|(_, ask)| ask.evictions == least);
    let part = asks.iter().map(|(_, ask)| ask.held).sum::<u64>() / asks.len() as u64;
    asks.into_iter().filter(|(_, ask)| ask.held >= part).min_by_key(|(_, ask)| ask.worked)
}
