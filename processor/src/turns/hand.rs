//! What works for an ask, and how it is made to stand still.

use std::sync::Arc;

use super::gate::Gate;
use crate::signals;

/// What works for an ask.
#[derive(Debug, Clone)]
pub(crate) enum Hand {
    /// A child process.
    Child(u32),
    /// A thread of this process, which passes a gate.
    Thread(Arc<Gate>),
}

impl Hand {
    /// Whether it can be made to stand still.
    pub(super) fn can_pause(&self) -> bool {
        signals::CAN_PAUSE || matches!(self, Self::Thread(_))
    }

    /// Makes it stand still. Answers how many bytes it holds meanwhile.
    pub(super) fn pause(&self) -> u64 {
        match self {
            Self::Child(child) => {
                signals::pause(*child);
                signals::resident_bytes(*child)
            }
            Self::Thread(gate) => {
                gate.set_shut(true);
                0
            }
        }
    }

    pub(super) fn resume(&self) {
        match self {
            Self::Child(child) => signals::resume(*child),
            Self::Thread(gate) => gate.set_shut(false),
        }
    }
}
