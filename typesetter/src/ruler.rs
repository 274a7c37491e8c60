//! Widths and glyphs of short texts, learnt from Typst once per character and pair of characters.
//!
//! Typst shapes, breaks and aligns every text as if it were a novel. In a column of a ledger nearly every cell is one
//! line of Latin letters and figures, in which a glyph follows from its character and its place from the pair kerning,
//! nothing else: the kit turns other features of the font off. What is not so simple is left to Typst.

use std::borrow::Borrow;
use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, LazyLock, Mutex, PoisonError};

use rustc_hash::FxHashMap;
use typst::World;
use typst::comemo::Track;
use typst::diag::SourceResult;
use typst::ecow::EcoString;
use typst::engine::Engine;
use typst::foundations::{Content, Context, Func, StyleChain};
use typst::introspection::Locator;
use typst::layout::{Abs, Axes, Em, Frame, FrameItem, Region, Size};
use typst::syntax::Span;
use typst::text::{FontInstance, Glyph, TextElem, TextItem};
use typst::utils::hash128;

use crate::learnt::{Learnt, Letter, Pair};

/// What stands around a character when its glyph is learnt, so that it is at no line's end.
const GUARD: char = '0';
/// The most pairs of glyphs that are remembered in a process's life.
const MAX_PAIRS: usize = 1 << 18;

/// Kerning by font and glyphs.
type Pairs = HashMap<(u128, u16, u16), Pair>;

/// True for ever: the fonts are part of the key.
static PAIRS: LazyLock<Mutex<Pairs>> = LazyLock::new(Mutex::default);
/// The styles of the job at hand.
static STYLES: LazyLock<Mutex<HashMap<u128, Arc<Learnt>>>> = LazyLock::new(Mutex::default);

/// Forgets what may not hold for another job, which may have other fonts. Also for Typst's sake, which wants a page that it
/// lays out anew to be learnt anew.
pub(crate) fn forget() {
    STYLES.lock().unwrap_or_else(PoisonError::into_inner).clear();
}

/// Whether two texts have one font. Nearly all have, and then need not be compared by the bytes of it.
pub(crate) fn same_font(one: &TextItem, other: &TextItem) -> bool {
    std::ptr::eq(one.font.metrics(), other.font.metrics()) || one.font == other.font
}

/// A letter of a text that is set.
pub(crate) struct Set<'a> {
    pub(crate) c: char,
    /// Where it is in the text, in bytes.
    pub(crate) at: usize,
    pub(crate) letter: &'a Letter,
    /// How much further it stands from the letter before than by itself.
    pub(crate) kern: Em,
}

/// Measures and sets texts of one style.
pub(crate) struct Ruler<'a> {
    styles: StyleChain<'a>,
    set: &'a Func,
    kerned: bool,
    learnt: Arc<Learnt>,
}

impl<'a> Ruler<'a> {
    /// A ruler for texts that `set` makes of strings, in these styles, and what it has to know for these texts.
    pub(crate) fn new<'t>(
        engine: &mut Engine,
        styles: StyleChain<'a>,
        set: &'a Func,
        kerned: bool,
        texts: impl Iterator<Item = &'t str> + Clone,
    ) -> SourceResult<Self> {
        let key = hash128(&(set, styles, engine.world.book()));
        let learnt = STYLES.lock().unwrap_or_else(PoisonError::into_inner).get(&key).cloned().unwrap_or_default();
        let mut ruler = Self { styles, set, kerned, learnt };
        if ruler.learn(engine, texts)? {
            STYLES.lock().unwrap_or_else(PoisonError::into_inner).insert(key, ruler.learnt.clone());
        }
        Ok(ruler)
    }

    /// The width of the text on one line.
    pub(crate) fn width(&self, engine: &mut Engine, text: &str) -> SourceResult<Abs> {
        match self.simple_width(text) {
            Some(width) => Ok(width),
            None => Ok(self.typst(engine, text)?.width()),
        }
    }

    /// The width of the text on one line; `None` if it is not simple.
    pub(crate) fn simple_width(&self, text: &str) -> Option<Abs> {
        let mut width = Abs::zero();
        self.walk(text, |_, reached| {
            width = reached;
            true
        })?;
        Some(width)
    }

    /// Tells of each character of a simple text where it ends, in bytes, and how wide the text is up to there, until it
    /// hears false.
    pub(crate) fn walk(&self, text: &str, mut tell: impl FnMut(usize, Abs) -> bool) -> Option<()> {
        let mut width = Abs::zero();
        for set in self.letters(text) {
            let Set { c, at, letter, kern } = set?;
            width += kern.at(letter.item.size) + letter.advance;
            if !tell(at + c.len_utf8(), width) {
                break;
            }
        }
        Some(())
    }

    /// The letters of a text on one line; `None` in place of one that is not that simple.
    pub(crate) fn letters<'t>(&'t self, text: &'t str) -> impl Iterator<Item = Option<Set<'t>>> {
        let mut before: Option<u16> = None;
        text.char_indices().map(move |(at, c)| {
            let index = self.learnt.index(c)?;
            let letter = self.learnt.letter(index)?;
            let kern = match before.replace(index).filter(|_| self.kerned) {
                None => Em::zero(),
                Some(before) => match self.learnt.pair(before, index) {
                    Pair::Kerned(kern) => kern,
                    Pair::Complex | Pair::Unknown => return None,
                },
            };
            Some(Set { c, at, letter, kern })
        })
    }

    /// The text on one line, laid out by Typst.
    pub(crate) fn typst(&self, engine: &mut Engine, text: &str) -> SourceResult<Frame> {
        self.lay_out(engine, TextElem::packed(text))
    }

    fn lay_out(&self, engine: &mut Engine, text: Content) -> SourceResult<Frame> {
        let content = self.set.call(engine, Context::none().track(), [text])?.display();
        let region = Region::new(Size::splat(Abs::inf()), Axes::splat(false));
        (engine.library.routines.layout_frame)(engine, &content, Locator::root(), self.styles, region)
    }

    /// Learns what it does not know of these texts; answers whether there was anything.
    fn learn<'t>(&mut self, engine: &mut Engine, texts: impl Iterator<Item = &'t str> + Clone) -> SourceResult<bool> {
        let (characters, mut pairs) = self.unknown(texts.clone());
        if !characters.is_empty() {
            self.learn_letters(engine, &characters)?;
            (_, pairs) = self.unknown(texts);
        }
        if !pairs.is_empty() {
            self.learn_pairs(engine, &pairs)?;
        }
        Ok(!characters.is_empty() || !pairs.is_empty())
    }

    /// The characters of texts that it does not know, and the pairs of those that it does.
    fn unknown<'t>(&self, texts: impl Iterator<Item = &'t str>) -> (BTreeSet<char>, BTreeSet<(char, char)>) {
        let (mut characters, mut pairs) = (BTreeSet::new(), BTreeSet::new());
        for text in texts {
            let mut before = None;
            for c in text.chars() {
                let Some(index) = self.learnt.index(c) else {
                    characters.insert(c);
                    before = None;
                    continue;
                };
                if let Some((other, before)) = before.filter(|_| self.kerned)
                    && matches!(self.learnt.pair(before, index), Pair::Unknown)
                {
                    pairs.insert((other, c));
                }
                before = Some((c, index));
            }
        }
        (characters, pairs)
    }

    fn learn_letters(&mut self, engine: &mut Engine, unknown: &BTreeSet<char>) -> SourceResult<()> {
        let simple: Vec<char> = unknown.iter().copied().filter(|&c| is_simple(c)).collect();
        let lines: Vec<String> = simple.iter().map(|c| format!("{GUARD}{c}{GUARD}")).collect();
        let mut letters: FxHashMap<char, Letter> = FxHashMap::default();
        for (c, line) in simple.into_iter().zip(self.shape(engine, &lines, false)?) {
            if let Ok([_, letter, _]) = <[Letter; 3]>::try_from(line) {
                letters.insert(c, letter);
            }
        }
        let learnt = Arc::make_mut(&mut self.learnt);
        unknown.iter().for_each(|c| learnt.add(*c, letters.remove(c)));
        Ok(())
    }

    fn learn_pairs(&mut self, engine: &mut Engine, unknown: &BTreeSet<(char, char)>) -> SourceResult<()> {
        let mut unlearnt = Vec::new();
        #[allow(clippy::mutable_key_type, reason = "a font is compared by what does not change")]
        let mut fonts: HashMap<FontInstance, u128> = HashMap::new();
        let known = PAIRS.lock().unwrap_or_else(PoisonError::into_inner);
        let learnt = Arc::make_mut(&mut self.learnt);
        for &(a, b) in unknown {
            let (Some(first), Some(second)) = (learnt.index(a), learnt.index(b)) else { continue };
            let (Some(one), Some(other)) = (learnt.letter(first), learnt.letter(second)) else {
                learnt.set_pair(first, second, Pair::Complex);
                continue;
            };
            if !same_font(&one.item, &other.item) {
                // Glyphs of different fonts are not kerned.
                learnt.set_pair(first, second, Pair::Kerned(Em::zero()));
                continue;
            }
            let font = fonts.entry(one.item.font.clone());
            let font = *font.or_insert_with_key(|font| hash128(&(font, one.item.lang, one.item.region)));
            let key = (font, one.glyph.id, other.glyph.id);
            match known.get(&key) {
                Some(&pair) => learnt.set_pair(first, second, pair),
                None => unlearnt.push((format!("{GUARD}{a}{b}{GUARD}"), (first, second), key, one.glyph.x_advance)),
            }
        }
        drop(known);
        let lines: Vec<&str> = unlearnt.iter().map(|(line, ..)| line.as_str()).collect();
        let shaped = self.shape(engine, &lines, true)?;
        let learnt = Arc::make_mut(&mut self.learnt);
        let mut known = PAIRS.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() > MAX_PAIRS {
            known.clear();
        }
        for ((_, (first, second), key, advance), line) in unlearnt.into_iter().zip(shaped) {
            let (_, one, other) = key;
            let pair = match line.as_slice() {
                [_, left, right, _] if left.glyph.id == one && right.glyph.id == other => {
                    Pair::Kerned(left.glyph.x_advance + -advance)
                }
                _ => Pair::Complex,
            };
            known.insert(key, pair);
            learnt.set_pair(first, second, pair);
        }
        Ok(())
    }

    /// The glyphs of lines, laid out by Typst; a line that does not have one glyph a character comes out empty.
    fn shape<T: Borrow<str>>(&self, engine: &mut Engine, lines: &[T], kerned: bool) -> SourceResult<Vec<Vec<Letter>>> {
        let mut shaped = Vec::with_capacity(lines.len());
        while let Some(left) = lines.get(shaped.len()..).filter(|left| !left.is_empty()) {
            shaped.extend(self.shape_some(engine, left, kerned)?);
        }
        Ok(shaped)
    }

    /// The same for the first of these lines, at least one: up to one that comes out empty, what follows cannot be told apart.
    fn shape_some<T: Borrow<str>>(
        &self,
        engine: &mut Engine,
        lines: &[T],
        kerned: bool,
    ) -> SourceResult<Vec<Vec<Letter>>> {
        let text = TextElem::packed(lines.join("\n"));
        // Innermost, so that it wins over the style.
        let text = if kerned { text } else { text.set(TextElem::kerning, false) };
        let frame = self.lay_out(engine, text)?;
        let mut glyphs = Vec::new();
        collect(&frame, &mut glyphs);
        let mut glyphs = glyphs.into_iter().peekable();
        let mut result = Vec::with_capacity(lines.len());
        for line in lines {
            let mut own = Vec::new();
            for c in line.borrow().chars() {
                let Some((_, letter)) = glyphs.next_if(|(text, _)| text.chars().eq([c])) else { break };
                own.push(letter);
            }
            if own.len() != line.borrow().chars().count() {
                result.push(Vec::new());
                break;
            }
            result.push(own);
        }
        Ok(result)
    }
}

/// Every glyph of a frame with its text, in the frame's order.
fn collect(frame: &Frame, found: &mut Vec<(EcoString, Letter)>) {
    for (_, item) in frame.items() {
        match item {
            FrameItem::Group(group) => collect(&group.frame, found),
            FrameItem::Text(item) => {
                let empty = TextItem { text: EcoString::new(), glyphs: Vec::new(), ..item.clone() };
                found.extend(item.glyphs.iter().map(|glyph| {
                    let range = usize::from(glyph.range.start)..usize::from(glyph.range.end);
                    let text = item.text.get(range).unwrap_or_default().into();
                    let glyph = Glyph { span: (Span::detached(), 0), ..glyph.clone() };
                    (text, Letter::new(empty.clone(), glyph))
                }));
            }
            _ => {}
        }
    }
}

/// Whether a character stands for one glyph whatever stands beside it: no combining sign, no script that joins its
/// letters or is written from right to left, nothing invisible.
fn is_simple(c: char) -> bool {
    matches!(c,
        ' '..='~' | '\u{a0}'..='\u{ac}' | '\u{ae}'..='\u{24f}' | '\u{386}'..='\u{3ff}' | '\u{400}'..='\u{482}'
        | '\u{48a}'..='\u{52f}' | '\u{2010}'..='\u{2027}' | '\u{202f}'..='\u{205e}' | '\u{20a0}'..='\u{20c0}'
        | '\u{2116}' | '\u{2122}' | '\u{2190}'..='\u{2193}' | '\u{2212}')
}
