//! Who goes before whom.

use std::collections::{BTreeSet, HashMap};
use std::time::Duration;

use super::{Ask, Phase, State};
use crate::signals;

/// By how much one caller's children may have worked longer than another's before the turns change.
const ADVANTAGE: Duration = Duration::from_millis(500);

/// Where an ask stands among the others; the least goes first.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Standing {
    /// It works, and nothing can stop it.
    Unstoppable,
    /// Its report is young. How many reports of its caller began before it.
    Young(usize),
    /// How long its caller's children have worked, in milliseconds.
    Old(i128),
}

/// The asks whose turn it is.
pub(super) fn chosen(state: &State, slots: usize) -> BTreeSet<u64> {
    let mut chosen = BTreeSet::new();
    let (mut had, have) = (HashMap::new(), turns_of_callers(state));
    while chosen.len() < slots {
        let left = state.asks.iter().filter(|(id, ask)| ask.phase != Phase::Evicted && !chosen.contains(*id));
        let Some((id, ask)) = left.min_by_key(|(id, ask)| (standing(state, ask, &had, &have), ask.report, **id)) else {
            break;
        };
        chosen.insert(*id);
        if let Some(share) = state.reports.get(&ask.report) {
            *had.entry(share.caller.as_str()).or_default() += 1;
        }
    }
    chosen
}

/// How many children work for each caller.
fn turns_of_callers(state: &State) -> HashMap<&str, u32> {
    let mut have = HashMap::new();
    let working = state.asks.values().filter(|ask| ask.phase == Phase::Working);
    for share in working.filter_map(|ask| state.reports.get(&ask.report)) {
        *have.entry(share.caller.as_str()).or_default() += 1;
    }
    have
}

/// Where an ask stands when callers `had` so many turns already, of those they `have` at this moment.
fn standing(state: &State, ask: &Ask, had: &HashMap<&str, u32>, have: &HashMap<&str, u32>) -> Standing {
    let works = ask.phase == Phase::Working;
    let Some(share) = state.reports.get(&ask.report) else { return Standing::Unstoppable };
    if works && (ask.child.is_none() || !signals::CAN_PAUSE) {
        return Standing::Unstoppable;
    }
    if share.is_young() {
        let before = state.reports.range(..ask.report).filter(|(_, other)| other.caller == share.caller);
        return Standing::Young(before.count());
    }
    let millis = |time: Duration| i128::try_from(time.as_millis()).unwrap_or(i128::MAX);
    let worked = state.worked.get(&share.caller).copied().unwrap_or_default();
    let count = |turns: &HashMap<&str, u32>| turns.get(share.caller.as_str()).copied().unwrap_or_default();
    let ahead = ADVANTAGE * count(had);
    let kept = if count(had) < count(have) { ADVANTAGE } else { Duration::ZERO };
    Standing::Old(millis(worked + ahead) - millis(kept))
}
