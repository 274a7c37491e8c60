//! Long lists as one value. Typst remembers what functions came to by a hash of all they were given; that of a list it works
//! out each time, element by element, and that of a kept list once.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::ops::Range;
use std::sync::Arc;

use typst::diag::{StrResult, bail};
use typst::ecow::{EcoString, eco_format};
use typst::foundations::{Array, Repr, Value, cast, func, ty};
use typst::utils::LazyHash;

/// A list, or a run of one, that costs nothing to pass on. Functions that want one take arrays as well.
#[ty(cast, name = "kept list")]
#[derive(Clone)]
pub(crate) struct Kept {
    whole: Arc<LazyHash<Array>>,
    range: Range<usize>,
}

cast! {
    type Kept,
    values: Array => Self::new(values),
}

impl Kept {
    fn new(values: Array) -> Self {
        Self { range: 0..values.len(), whole: Arc::new(LazyHash::new(values)) }
    }

    pub(crate) fn as_slice(&self) -> &[Value] {
        self.whole.as_slice().get(self.range.clone()).unwrap_or_default()
    }
}

impl Hash for Kept {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.whole.hash(state);
        self.range.hash(state);
    }
}

impl PartialEq for Kept {
    fn eq(&self, other: &Self) -> bool {
        self.whole == other.whole && self.range == other.range
    }
}

impl fmt::Debug for Kept {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.repr())
    }
}

impl Repr for Kept {
    fn repr(&self) -> EcoString {
        eco_format!("pressrun.keep(({} values))", self.range.len())
    }
}

/// Makes a list one value.
#[func]
pub(crate) fn keep(
    /// The list.
    list: Kept,
) -> Kept {
    list
}

/// How many values a list has.
#[func]
pub(crate) fn count(
    /// The list.
    list: Kept,
) -> usize {
    list.range.len()
}

/// The values of a list from one place to another, as a list that is kept.
#[func]
pub(crate) fn cut(
    /// The list.
    list: Kept,
    /// The first place, from 0.
    from: usize,
    /// The place after the last.
    until: usize,
) -> StrResult<Kept> {
    if from > until || until > list.range.len() {
        bail!("there are {} values, and none from {from} to {until}", list.range.len());
    }
    Ok(Kept { range: list.range.start + from..list.range.start + until, whole: list.whole })
}
