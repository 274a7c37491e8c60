//! Who goes before whom.

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::time::Duration;

use super::eviction::Children;
use super::{Ask, Phase, State};

/// By how much one caller's children may have worked longer than another's before the turns change.
const ADVANTAGE: Duration = Duration::from_millis(500);

/// All who ask, in the order in which they go.
#[derive(Default)]
struct Line<'a> {
    /// Those that work, and that nothing can stop.
    unstoppable: Vec<u64>,
    /// Those of young reports, by how many reports of their caller began before.
    young: Vec<(usize, u64, u64)>,
    /// Those of old reports, by callers.
    old: HashMap<&'a str, OldOnes>,
    /// Those of old reports whose child would end another's.
    kept_back: VecDeque<u64>,
}

/// A caller's old reports.
#[derive(Default)]
struct OldOnes {
    /// How long the caller's children have worked, in milliseconds.
    worked: i128,
    /// How many of them work at this moment.
    have: usize,
    /// How many turns the caller got just now.
    had: usize,
    /// What they ask, in its order.
    asks: VecDeque<(u64, u64)>,
}

/// The asks whose turn it is.
pub(super) fn chosen(state: &State) -> BTreeSet<u64> {
    let mut line = Line::of(state);
    let mut chosen: Vec<u64> = std::mem::take(&mut line.unstoppable);
    for id in &chosen {
        line.had_one(state, *id);
    }
    let owed = state.owed.turns(state.slots);
    chosen.extend((0..owed).map_while(|_| line.next_old()));
    for (_, _, id) in std::mem::take(&mut line.young) {
        if chosen.len() < state.slots {
            line.had_one(state, id);
            chosen.push(id);
        }
    }
    while chosen.len() < state.slots {
        let Some(id) = line.next_old().or_else(|| line.kept_back.pop_front()) else { break };
        chosen.push(id);
    }
    chosen.truncate(state.slots);
    chosen.into_iter().collect()
}

impl<'a> Line<'a> {
    fn of(state: &'a State) -> Self {
        let (ranks, children, mut line) = (ranks(state), Children::of(state), Self::default());
        for (id, ask) in state.asks.iter().filter(|(_, ask)| ask.phase != Phase::Evicted) {
            let (works, share) = (ask.phase == Phase::Working, state.reports.get(&ask.report));
            let Some(share) = share.filter(|_| !works || can_pause(ask)) else {
                line.unstoppable.push(*id);
                continue;
            };
            if share.is_young() {
                line.young.push((ranks.get(&ask.report).copied().unwrap_or_default(), ask.report, *id));
            } else if ask.phase == Phase::Waiting && !children.may_be_more(&share.caller, *id, ask) {
                line.kept_back.push_back(*id);
            } else {
                line.old.entry(&share.caller).or_default().asks.push_back((ask.report, *id));
            }
        }
        line.young.sort_unstable();
        for (caller, ones) in &mut line.old {
            ones.asks.make_contiguous().sort_unstable();
            ones.worked = millis(state.worked.get(*caller).copied().unwrap_or_default());
        }
        for ask in state.asks.values().filter(|ask| ask.phase == Phase::Working) {
            line.old.entry(state.caller_of(ask)).or_default().have += 1;
        }
        line
    }

    /// A caller got a turn.
    fn had_one(&mut self, state: &'a State, id: u64) {
        let caller = state.asks.get(&id).map(|ask| state.caller_of(ask));
        if let Some(ones) = caller.and_then(|caller| self.old.get_mut(caller)) {
            ones.had += 1;
        }
    }

    /// The next of the old ones.
    fn next_old(&mut self) -> Option<u64> {
        let waiting = self.old.values_mut().filter(|ones| !ones.asks.is_empty());
        let ones = waiting.min_by_key(|ones| (ones.standing(), ones.asks.front().copied()))?;
        ones.had += 1;
        ones.asks.pop_front().map(|(_, id)| id)
    }
}

impl OldOnes {
    /// The least goes first.
    fn standing(&self) -> i128 {
        let ahead = millis(ADVANTAGE) * self.had as i128;
        let kept = if self.had < self.have { millis(ADVANTAGE) } else { 0 };
        self.worked + ahead - kept
    }
}

fn can_pause(ask: &Ask) -> bool {
    ask.hand.as_ref().is_some_and(|hand| hand.can_pause())
}

/// How many reports of its caller began before each.
fn ranks(state: &State) -> HashMap<u64, usize> {
    let mut of_callers: HashMap<&str, usize> = HashMap::new();
    let mut rank = |caller| {
        let before = of_callers.entry(caller).or_default();
        *before += 1;
        *before - 1
    };
    state.reports.iter().map(|(report, share)| (*report, rank(share.caller.as_str()))).collect()
}

fn millis(time: Duration) -> i128 {
    i128::try_from(time.as_millis()).unwrap_or(i128::MAX)
}
