//! Old reports have a part of the time, however many young ones come.

use std::time::Duration;

use super::{Phase, State};

/// One part in so many of the time is for old reports.
const PART: u32 = 5;

/// How much they are owed before they go first.
const COLLECTED_AT: Duration = Duration::from_millis(200);

/// How much they may be owed.
const MOST: Duration = Duration::from_secs(1);

/// What old reports are owed.
#[derive(Debug, Default)]
pub(super) struct Owed {
    time: Duration,
    /// Whether it is paid: from when there is some of it until nothing is left.
    paid: bool,
}

impl Owed {
    /// How many old reports go before young ones, where so many work at a time.
    pub(super) fn turns(&self, slots: usize) -> usize {
        if self.paid { slots.div_ceil(PART as usize) } else { 0 }
    }

    /// Time passed in which `old` of `slots` worked for old reports.
    fn count(&mut self, passed: Duration, slots: usize, old: usize) {
        let times = |count: usize| passed * u32::try_from(count).unwrap_or(u32::MAX);
        self.time = (self.time + times(slots) / PART).min(MOST).saturating_sub(times(old));
        self.paid = if self.paid { !self.time.is_zero() } else { self.time >= COLLECTED_AT };
    }
}

impl State {
    /// Counts what old reports are owed after so much time.
    pub(super) fn count_owed(&mut self, passed: Duration) {
        let is_old = |report: &u64| self.reports.get(report).is_some_and(|share| !share.is_young());
        let old = || self.asks.values().filter(|ask| is_old(&ask.report));
        let (any, working) = (old().next().is_some(), old().filter(|ask| ask.phase == Phase::Working).count());
        match any {
            true => self.owed.count(passed, self.slots, working),
            false => self.owed = Owed::default(),
        }
    }
}
