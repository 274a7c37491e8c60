//! Matching texts in time linear in them, and within the [budget](crate::budget) of a check.
//!
//! Engines search a text to its end and know no time: where a pattern has a large counted repetition, each byte may take
//! them some 50 µs. So their automaton is stepped byte by byte here, and the work of each step is counted.

use regex_automata::hybrid::BuildError;
use regex_automata::hybrid::dfa::{Cache, DFA};
use regex_automata::nfa::thompson::pikevm::PikeVM;
use regex_automata::nfa::thompson::{self, WhichCaptures};
use regex_automata::util::pool::Pool;
use regex_automata::{Input, MatchKind};

use crate::budget::Meter;
use crate::pattern::Effort;

/// How many bytes are read before they are counted.
const BLOCK_BYTES: usize = 1024;

/// How many steps a state of the automaton takes to build, besides those for the states of the pattern.
const BUILD_STEPS: u64 = 16;

/// How many states of the pattern may be gone through in one step.
const STATES_PER_STEP: usize = 8;

/// A pattern that is matched in linear time.
pub(crate) struct Linear {
    dfa: DFA,
    caches: Pool<Cache, Box<dyn Fn() -> Cache + Send + Sync>>,
    /// For what the automaton cannot tell: where words end in texts beyond ASCII.
    machine: PikeVM,
    states: usize,
}

impl Linear {
    /// A matcher of a pattern in Rust's syntax.
    pub(crate) fn new(pattern: &str) -> Result<Self, Box<BuildError>> {
        let config =
            DFA::config().match_kind(MatchKind::All).unicode_word_boundary(true).skip_cache_capacity_check(true);
        let nfa = thompson::Config::new().which_captures(WhichCaptures::None);
        let dfa = DFA::builder().configure(config).thompson(nfa).build(pattern)?;
        let nfa = dfa.get_nfa();
        let machine = PikeVM::new_from_nfa(nfa.clone()).expect("what an automaton is of");
        let (states, of) = (nfa.states().len(), dfa.clone());
        Ok(Self { caches: Pool::new(Box::new(move || of.create_cache())), dfa, machine, states })
    }

    /// What a match takes where it is not counted step by step.
    pub(crate) fn effort(&self) -> Effort {
        Effort::Linear { states: self.states }
    }

    /// Whether the pattern matches some part of a text.
    pub(crate) fn is_match(&self, text: &str, meter: &Meter) -> bool {
        let found = self.search(&mut self.caches.get(), text, meter);
        found.unwrap_or_else(|| {
            meter.attempt(&[self.effort()], text.len());
            self.machine.is_match(&mut self.machine.create_cache(), text)
        })
    }

    /// The same, unless the automaton cannot tell.
    fn search(&self, cache: &mut Cache, text: &str, meter: &Meter) -> Option<bool> {
        let mut state = self.dfa.start_state_forward(cache, &Input::new(text)).ok()?;
        let build_steps = BUILD_STEPS + (self.states / STATES_PER_STEP) as u64;
        for (block, bytes) in text.as_bytes().chunks(BLOCK_BYTES).enumerate() {
            meter.read(bytes.len());
            for (at, byte) in bytes.iter().enumerate() {
                if !state.is_tagged() {
                    let next = self.dfa.next_state_untagged(cache, state, *byte);
                    if !next.is_tagged() {
                        state = next;
                        continue;
                    }
                    if next.is_unknown() {
                        meter.spend(build_steps);
                    }
                }
                state = self.dfa.next_state(cache, state, *byte).ok()?;
                // A match is told a byte late. An empty one within a character is none.
                if state.is_match() && text.is_char_boundary(block * BLOCK_BYTES + at) {
                    return Some(true);
                }
                if state.is_dead() {
                    return Some(false);
                }
                if state.is_quit() {
                    return None;
                }
            }
        }
        Some(self.dfa.next_eoi_state(cache, state).ok()?.is_match())
    }
}
