//! Which deliveries are under way, and how many more there may be. Whose turn it is the delivery queue knows.

use std::collections::HashMap;

use jobs::{Busy, DueDelivery};

/// How many attempts are made at the same time.
const AT_ONCE: usize = 32;

/// How many of one caller, so that the others' are not delayed by hers.
const OF_A_CALLER: usize = 16;

/// How many to one destination, so that a slow one does not hold up the others.
const TO_A_DESTINATION: usize = 4;

/// The deliveries under way.
#[derive(Debug, Default)]
pub(crate) struct Lanes {
    ids: Vec<i64>,
    destinations: HashMap<String, usize>,
    callers: HashMap<String, usize>,
}

impl Lanes {
    /// How many more attempts may begin.
    pub(crate) fn room(&self) -> usize {
        AT_ONCE.saturating_sub(self.ids.len())
    }

    /// What may not be handed out now.
    pub(crate) fn busy(&self) -> Busy {
        let full = |counts: &HashMap<String, usize>, most| {
            counts.iter().filter(|(_, count)| **count >= most).map(|(name, _)| name.clone()).collect()
        };
        Busy {
            ids: self.ids.clone(),
            destinations: full(&self.destinations, TO_A_DESTINATION),
            callers: full(&self.callers, OF_A_CALLER),
        }
    }

    /// Counts a delivery in, if there is room for it.
    pub(crate) fn enter(&mut self, delivery: &DueDelivery) -> bool {
        let count = |counts: &HashMap<String, usize>, name: &str| counts.get(name).copied().unwrap_or_default();
        let fits = self.room() > 0
            && count(&self.destinations, &delivery.destination) < TO_A_DESTINATION
            && count(&self.callers, &delivery.caller) < OF_A_CALLER;
        if fits {
            self.ids.push(delivery.id);
            *self.destinations.entry(delivery.destination.clone()).or_default() += 1;
            *self.callers.entry(delivery.caller.clone()).or_default() += 1;
        }
        fits
    }

    /// Counts a delivery out again.
    pub(crate) fn leave(&mut self, delivery: &DueDelivery) {
        self.ids.retain(|id| *id != delivery.id);
        for (counts, name) in [(&mut self.destinations, &delivery.destination), (&mut self.callers, &delivery.caller)] {
            if let Some(count) = counts.get_mut(name) {
                *count -= 1;
                if *count == 0 {
                    counts.remove(name);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn delivery(id: i64, destination: &str, caller: &str) -> DueDelivery {
        DueDelivery { id, destination: destination.into(), caller: caller.into(), attempts: 0, body: String::new() }
    }

    #[test]
    fn a_destination_a_caller_and_all_together_have_bounds() {
        let mut lanes = Lanes::default();
        let entered = (0..10).filter(|id| lanes.enter(&delivery(*id, "slow:443", "ann"))).count();
        assert_eq!((entered, lanes.busy().destinations), (TO_A_DESTINATION, vec!["slow:443".to_owned()]));
        let entered = (10..50).filter(|id| lanes.enter(&delivery(*id, &format!("{id}:443"), "ann"))).count();
        assert_eq!((entered, lanes.busy().callers), (OF_A_CALLER - TO_A_DESTINATION, vec!["ann".to_owned()]));
        let entered = (50..90).filter(|id| lanes.enter(&delivery(*id, &format!("{id}:443"), &format!("{id}")))).count();
        assert_eq!((entered, lanes.room()), (AT_ONCE - OF_A_CALLER, 0));
    }

    #[test]
    fn what_leaves_makes_room() {
        let mut lanes = Lanes::default();
        let all: Vec<_> = (0..4).map(|id| delivery(id, "slow:443", "ann")).collect();
        assert!(all.iter().all(|delivery| lanes.enter(delivery)));
        all.iter().for_each(|delivery| lanes.leave(delivery));
        assert_eq!((lanes.busy(), lanes.room()), (Busy::default(), AT_ONCE));
    }
}
