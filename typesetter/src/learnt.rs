//! What is known of a style: glyphs by character, kerning by pair of characters. Each character of each cell is looked up here
//! several times, so those that are frequent are found without a hash.

use rustc_hash::FxHashMap;
use typst::layout::{Abs, Em};
use typst::text::{Glyph, TextItem};

/// Characters below this are found by their number: Latin ones, with figures and signs.
const NEAR: usize = 0x250;
/// Pairs of so many letters, those that were learnt first, are found by theirs.
const SQUARED: usize = 128;

/// A character's glyph, as part of a text item without text.
#[derive(Clone)]
pub(crate) struct Letter {
    pub(crate) item: TextItem,
    pub(crate) glyph: Glyph,
    /// How wide it is.
    pub(crate) advance: Abs,
}

impl Letter {
    pub(crate) fn new(item: TextItem, glyph: Glyph) -> Self {
        Self { advance: glyph.x_advance.at(item.size), item, glyph }
    }
}

/// How far apart two letters stand.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub(crate) enum Pair {
    /// Nobody has looked yet.
    #[default]
    Unknown,
    /// They are more than two glyphs side by side.
    Complex,
    /// By so much more than by themselves.
    Kerned(Em),
}

/// Letters and pairs of one style. What is not simple is known as well.
#[derive(Clone, Default)]
pub(crate) struct Learnt {
    /// The letters' indices plus one, by character; 0 for those that nobody has looked at.
    near: Vec<u16>,
    far: FxHashMap<char, u16>,
    letters: Vec<Option<Letter>>,
    /// How many letters a row of `square` has, and how many rows there are.
    side: usize,
    square: Vec<Pair>,
    pairs: FxHashMap<(u16, u16), Pair>,
}

impl Learnt {
    /// The index of a character that somebody has looked at.
    pub(crate) fn index(&self, c: char) -> Option<u16> {
        match self.near.get(c as usize) {
            Some(index) => index.checked_sub(1),
            None => self.far.get(&c).copied(),
        }
    }

    /// The glyph of a character; `None` if it is not simple.
    pub(crate) fn letter(&self, index: u16) -> Option<&Letter> {
        self.letters.get(usize::from(index))?.as_ref()
    }

    /// Makes a character known.
    pub(crate) fn add(&mut self, c: char, letter: Option<Letter>) {
        let Some(index) = u16::try_from(self.letters.len()).ok().filter(|index| *index < u16::MAX) else { return };
        self.letters.push(letter);
        if (c as usize) < NEAR {
            self.near.resize(NEAR, 0);
            self.near[c as usize] = index + 1;
        } else {
            self.far.insert(c, index);
        }
    }

    /// How far apart two letters stand.
    pub(crate) fn pair(&self, one: u16, other: u16) -> Pair {
        match self.place(one, other) {
            Some(place) => self.square.get(place).copied().unwrap_or_default(),
            None => self.pairs.get(&(one, other)).copied().unwrap_or_default(),
        }
    }

    /// Makes known how far apart two letters stand.
    pub(crate) fn set_pair(&mut self, one: u16, other: u16, pair: Pair) {
        self.widen();
        match self.place(one, other).and_then(|place| self.square.get_mut(place)) {
            Some(place) => *place = pair,
            None => _ = self.pairs.insert((one, other), pair),
        }
    }

    fn place(&self, one: u16, other: u16) -> Option<usize> {
        let (one, other) = (usize::from(one), usize::from(other));
        (one < self.side && other < self.side).then_some(one * self.side + other)
    }

    /// Makes room for the pairs of all letters.
    fn widen(&mut self) {
        let side = self.letters.len().next_power_of_two().min(SQUARED);
        if side <= self.side {
            return;
        }
        let mut square = vec![Pair::Unknown; side * side];
        for (from, to) in self.square.chunks(self.side.max(1)).zip(square.chunks_mut(side)) {
            to[..from.len()].copy_from_slice(from);
        }
        (self.side, self.square) = (side, square);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pairs_are_found_again_however_many_letters_there_are() {
        let mut learnt = Learnt::default();
        let characters = (' '..'\u{17f}').chain('а'..'я').chain('\u{2010}'..'\u{2030}');
        let kern = |one: u16, other: u16| Pair::Kerned(Em::new(f64::from(one) + f64::from(other) / 1000.0));
        let mut indices = Vec::new();
        for c in characters {
            assert_eq!(learnt.index(c), None, "{c}");
            learnt.add(c, None);
            let new = learnt.index(c).expect("it was added");
            indices.push(new);
            for &old in indices.iter().step_by(7) {
                assert_eq!(learnt.pair(old, new), Pair::Unknown);
                learnt.set_pair(old, new, kern(old, new));
                learnt.set_pair(new, old, kern(new, old));
            }
        }
        for (count, &new) in (1..).zip(&indices) {
            for &old in indices[..count].iter().step_by(7) {
                assert_eq!((learnt.pair(old, new), learnt.pair(new, old)), (kern(old, new), kern(new, old)));
            }
        }
    }
}
