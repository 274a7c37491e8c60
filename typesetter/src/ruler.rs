//! Widths and glyphs of short texts, learnt from Typst once per character and pair of characters.
//!
//! Typst shapes, breaks and aligns every text as if it were a novel. In a column of a ledger nearly every cell is one
//! line of Latin letters and figures, in which a glyph follows from its character and its place from the pair kerning,
//! nothing else: the kit turns other features of the font off. What is not so simple is left to Typst.

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

/// What stands around a character when its glyph is learnt, so that it is at no line's end.
const GUARD: char = '0';
/// The most pairs of glyphs that are remembered in a process's life.
const MAX_PAIRS: usize = 1 << 18;

/// Kerning by font and glyphs; `None` if the pair is more than two glyphs side by side.
type Pairs = HashMap<(u128, u16, u16), Option<Em>>;

/// True for ever: the fonts are part of the key.
static PAIRS: LazyLock<Mutex<Pairs>> = LazyLock::new(Mutex::default);
/// The styles of the job at hand.
static STYLES: LazyLock<Mutex<HashMap<u128, Arc<Style>>>> = LazyLock::new(Mutex::default);

/// Forgets what may not hold for another job, which may have other fonts. Also for Typst's sake, which wants a page that it
/// lays out anew to be learnt anew.
pub(crate) fn forget() {
    STYLES.lock().unwrap_or_else(PoisonError::into_inner).clear();
}

/// What is known of a style; `None` for what is left to Typst.
#[derive(Clone, Default)]
struct Style {
    glyphs: FxHashMap<char, Option<Learnt>>,
    /// Glyphs of different fonts are not kerned.
    kerning: FxHashMap<(char, char), Option<Em>>,
}

/// A character's glyph, as part of a text item without text.
#[derive(Clone)]
struct Learnt {
    item: TextItem,
    glyph: Glyph,
}

/// Whether two texts have one font. Nearly all have, and then need not be compared by the bytes of it.
pub(crate) fn same_font(one: &TextItem, other: &TextItem) -> bool {
    std::ptr::eq(one.font.metrics(), other.font.metrics()) || one.font == other.font
}

/// Measures and sets texts of one style.
pub(crate) struct Ruler<'a> {
    styles: StyleChain<'a>,
    set: &'a Func,
    kerned: bool,
    style: Arc<Style>,
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
        let style = STYLES.lock().unwrap_or_else(PoisonError::into_inner).get(&key).cloned().unwrap_or_default();
        let mut ruler = Self { styles, set, kerned, style };
        let learnt_glyphs = ruler.learn_glyphs(engine, texts.clone())?;
        let learnt_pairs = kerned && ruler.learn_pairs(engine, texts)?;
        if learnt_glyphs || learnt_pairs {
            STYLES.lock().unwrap_or_else(PoisonError::into_inner).insert(key, ruler.style.clone());
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
        let mut before = None;
        for (at, c) in text.char_indices() {
            let learnt = self.style.glyphs.get(&c)?.as_ref()?;
            if self.kerned
                && let Some(before) = before
            {
                width += (*self.style.kerning.get(&(before, c))?)?.at(learnt.item.size);
            }
            width += learnt.glyph.x_advance.at(learnt.item.size);
            if !tell(at + c.len_utf8(), width) {
                break;
            }
            before = Some(c);
        }
        Some(())
    }

    /// The text on one line, as items side by side; `None` if it is not that simple.
    pub(crate) fn line(&self, text: &str) -> Option<Vec<TextItem>> {
        let mut items: Vec<TextItem> = Vec::with_capacity(1);
        let mut before: Option<char> = None;
        for c in text.chars() {
            let Learnt { item, glyph } = self.style.glyphs.get(&c)?.as_ref()?;
            let same = items.last().is_some_and(|last| same_font(last, item));
            if !same {
                items.push(TextItem { glyphs: Vec::with_capacity(text.len()), ..item.clone() });
            }
            let last = items.last_mut()?;
            if self.kerned
                && let (Some(before), Some(glyph)) = (before, last.glyphs.last_mut())
            {
                glyph.x_advance += (*self.style.kerning.get(&(before, c))?)?;
            }
            let start = u16::try_from(last.text.len()).ok()?;
            last.text.push(c);
            let range = start..u16::try_from(last.text.len()).ok()?;
            last.glyphs.push(Glyph { range, ..glyph.clone() });
            before = Some(c);
        }
        Some(items)
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

    /// Learns the glyphs of the characters it does not know; answers whether there were any.
    fn learn_glyphs<'t>(&mut self, engine: &mut Engine, texts: impl Iterator<Item = &'t str>) -> SourceResult<bool> {
        let unknown: BTreeSet<char> =
            texts.flat_map(str::chars).filter(|c| !self.style.glyphs.contains_key(c)).collect();
        if unknown.is_empty() {
            return Ok(false);
        }
        let simple: Vec<char> = unknown.iter().copied().filter(|&c| is_simple(c)).collect();
        let lines: Vec<String> = simple.iter().map(|c| format!("{GUARD}{c}{GUARD}")).collect();
        let shaped = self.shape(engine, &lines, false)?;
        let glyphs = &mut Arc::make_mut(&mut self.style).glyphs;
        glyphs.extend(unknown.into_iter().map(|c| (c, None)));
        for (c, line) in simple.into_iter().zip(shaped) {
            if let [_, learnt, _] = line.as_slice() {
                glyphs.insert(c, Some(learnt.clone()));
            }
        }
        Ok(true)
    }

    /// Learns the kerning of the pairs it does not know; answers whether there were any.
    fn learn_pairs<'t>(&mut self, engine: &mut Engine, texts: impl Iterator<Item = &'t str>) -> SourceResult<bool> {
        let pairs = texts.flat_map(|text| text.chars().zip(text.chars().skip(1)));
        let unknown: BTreeSet<(char, char)> = pairs.filter(|pair| !self.style.kerning.contains_key(pair)).collect();
        if unknown.is_empty() {
            return Ok(false);
        }
        let mut unlearnt = Vec::new();
        #[allow(clippy::mutable_key_type, reason = "a font is compared by what does not change")]
        let mut fonts: HashMap<FontInstance, u128> = HashMap::new();
        let known = PAIRS.lock().unwrap_or_else(PoisonError::into_inner);
        let style = Arc::make_mut(&mut self.style);
        for (a, b) in unknown {
            style.kerning.insert((a, b), None);
            let (Some(Some(one)), Some(Some(other))) = (style.glyphs.get(&a), style.glyphs.get(&b)) else { continue };
            if !same_font(&one.item, &other.item) {
                style.kerning.insert((a, b), Some(Em::zero()));
                continue;
            }
            let item = &one.item;
            let font = fonts.entry(item.font.clone());
            let font = *font.or_insert_with_key(|font| hash128(&(font, item.lang, item.region)));
            match known.get(&(font, one.glyph.id, other.glyph.id)) {
                Some(&kern) => _ = style.kerning.insert((a, b), kern),
                None => unlearnt.push((a, b, font, one.clone(), other.clone())),
            }
        }
        drop(known);
        let lines: Vec<String> = unlearnt.iter().map(|(a, b, ..)| format!("{GUARD}{a}{b}{GUARD}")).collect();
        let shaped = self.shape(engine, &lines, true)?;
        let style = Arc::make_mut(&mut self.style);
        let mut known = PAIRS.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() > MAX_PAIRS {
            known.clear();
        }
        for ((a, b, font, one, other), line) in unlearnt.into_iter().zip(shaped) {
            let kern = match line.as_slice() {
                [_, first, second, _] if first.glyph.id == one.glyph.id && second.glyph.id == other.glyph.id => {
                    Some(first.glyph.x_advance + -one.glyph.x_advance)
                }
                _ => None,
            };
            known.insert((font, one.glyph.id, other.glyph.id), kern);
            style.kerning.insert((a, b), kern);
        }
        Ok(true)
    }

    /// The glyphs of lines, laid out by Typst; a line that does not have one glyph a character comes out empty.
    fn shape(&self, engine: &mut Engine, lines: &[String], kerned: bool) -> SourceResult<Vec<Vec<Learnt>>> {
        let mut shaped = Vec::with_capacity(lines.len());
        while let Some(left) = lines.get(shaped.len()..).filter(|left| !left.is_empty()) {
            shaped.extend(self.shape_some(engine, left, kerned)?);
        }
        Ok(shaped)
    }

    /// The same for the first of these lines, at least one: up to one that comes out empty, what follows cannot be told apart.
    fn shape_some(&self, engine: &mut Engine, lines: &[String], kerned: bool) -> SourceResult<Vec<Vec<Learnt>>> {
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
            for c in line.chars() {
                let Some((_, learnt)) = glyphs.next_if(|(text, _)| text.chars().eq([c])) else { break };
                own.push(learnt);
            }
            if own.len() != line.chars().count() {
                result.push(Vec::new());
                break;
            }
            result.push(own);
        }
        Ok(result)
    }
}

/// Every glyph of a frame with its text, in the frame's order.
fn collect(frame: &Frame, found: &mut Vec<(EcoString, Learnt)>) {
    for (_, item) in frame.items() {
        match item {
            FrameItem::Group(group) => collect(&group.frame, found),
            FrameItem::Text(item) => {
                let empty = TextItem { text: EcoString::new(), glyphs: Vec::new(), ..item.clone() };
                found.extend(item.glyphs.iter().map(|glyph| {
                    let range = usize::from(glyph.range.start)..usize::from(glyph.range.end);
                    let text = item.text.get(range).unwrap_or_default().into();
                    let glyph = Glyph { span: (Span::detached(), 0), ..glyph.clone() };
                    (text, Learnt { item: empty.clone(), glyph })
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
