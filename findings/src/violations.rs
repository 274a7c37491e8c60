//! What is wrong with data, as far as it is reported.

use crate::violation::Violation;

/// What is wrong with data.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violations<V = Violation> {
    /// The first violations.
    pub listed: Vec<V>,
    /// How many more there are, at least.
    pub more: usize,
}

impl<V> Default for Violations<V> {
    fn default() -> Self {
        Self { listed: Vec::new(), more: 0 }
    }
}

impl<V> Violations<V> {
    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.listed.is_empty()
    }

    /// The same, told otherwise.
    pub fn map<W>(self, tell: impl FnMut(V) -> W) -> Violations<W> {
        Violations { listed: self.listed.into_iter().map(tell).collect(), more: self.more }
    }
}
