//! Which characters the fonts of a template can show.

use std::collections::HashSet;

use ttf_parser::Face;
use typst::text::{Font, FontBook, FontVariant, is_default_ignorable};
use unicode_normalization::UnicodeNormalization;
use unicode_properties::{GeneralCategory, GeneralCategoryGroup, UnicodeGeneralCategory};

use crate::direction::is_right_to_left;

/// The family that Typst tries before it looks through all fonts.
const SECOND_BEST: &str = "libertinus serif";

/// What Typst can show with a set of fonts.
pub(crate) struct Coverage {
    /// A font of each family that a template may take for its text, by its index among the fonts.
    main: Vec<usize>,
    second_best: Option<usize>,
    /// One bit for each character that every one of these has, whatever stands beside it.
    plain: Vec<u64>,
}

impl Coverage {
    /// What fonts show, of which the first `own` are the template's and the kit's.
    pub(crate) fn new(book: &FontBook, fonts: &[Font], own: usize) -> Self {
        let mut families = HashSet::new();
        let is_new = |index: &usize| book.info(*index).is_some_and(|info| families.insert(info.family.as_str()));
        let main: Vec<usize> = (0..own.clamp(1, fonts.len().max(1))).filter(is_new).collect();
        let second_best = book.select(SECOND_BEST, FontVariant::default());
        let mut coverage = Self { plain: vec![0; (char::MAX as usize + 1) / 64], main, second_best };
        let first = coverage.main.first().and_then(|&first| book.info(first));
        let known = first.into_iter().flat_map(|info| info.coverage.iter()).filter_map(char::from_u32);
        let faces: Vec<_> = coverage.main.iter().filter_map(|&font| face(fonts.get(font)?)).collect();
        for c in known.filter(|&c| is_space(c) || stands_alone(c)) {
            if faces.iter().all(|face| has(face, c)) {
                coverage.plain[c as usize / 64] |= 1 << (c as usize % 64);
            }
        }
        coverage
    }

    /// Whether a character is shown whatever stands beside it.
    pub(crate) fn is_plain(&self, c: char) -> bool {
        self.plain[c as usize / 64] & (1 << (c as usize % 64)) != 0
    }

    /// Whether Typst shows all of a grapheme cluster, whichever of the main fonts the text has; the template names the others
    /// after it. A mark after the end of a line is sought together with that (`\n` before it).
    pub(crate) fn shows(&self, book: &FontBook, fonts: &[Font], cluster: &str) -> bool {
        let visible = visible(cluster);
        visible.is_empty()
            || self.main.iter().all(|&main| {
                let others = self.main.iter().copied().filter(|&other| other != main);
                let fallback = book.select_fallback(book.info(main), FontVariant::default(), &visible);
                let tried = [main].into_iter().chain(others).chain(self.second_best).chain(fallback);
                finds(tried.filter_map(|index| face(fonts.get(index)?)), cluster, &visible)
            })
    }
}

/// Whether a cluster is shown with fonts that are tried in turn: one that has all of it is found, unless one before it keeps a
/// part. No font but the first has a mark together with the end of a line.
fn finds<'a>(fonts: impl Iterator<Item = Face<'a>>, cluster: &str, visible: &str) -> bool {
    for face in fonts {
        if missing(&face, visible).is_none() {
            return true;
        }
        if cluster.starts_with('\n') || !gives_way(&face, cluster) {
            return false;
        }
    }
    false
}

/// The characters of a text that are shown by a glyph.
pub(crate) fn visible(text: &str) -> String {
    text.chars().filter(|&c| c != '\n' && !is_default_ignorable(c) && !is_space(c)).collect()
}

/// The first character of a text that a font has neither as it is nor composed or decomposed, which a shaper tries in turn.
pub(crate) fn missing(face: &Face, text: &str) -> Option<char> {
    let lacks = |&c: &char| !has(face, c);
    let found = text.chars().find(lacks)?;
    (text.nfc().any(|c| lacks(&c)) && text.nfd().any(|c| lacks(&c))).then_some(found)
}

/// Whether Typst takes another font for a cluster that this one has not all of. It does so for the end of a cluster and all
/// before it; of one that begins with what the font has not, the rest would be shown without it. From right to left, where the
/// end comes first, the beginning would be shown twice.
fn gives_way(face: &Face, cluster: &str) -> bool {
    let shaped = cluster.nfd().filter(|&c| !is_default_ignorable(c));
    let known: Vec<bool> = shaped.map(|c| is_space(c) || has(face, c)).collect();
    let first = known.iter().take_while(|&&known| known).count();
    (first == 0 || runs_left_to_right(cluster)) && !known[first..].contains(&true)
}

/// Whether a cluster is written from left to right, whatever stands beside it; signs and digits are if nothing in it says otherwise.
fn runs_left_to_right(cluster: &str) -> bool {
    let directs = |c: char| c.is_alphanumeric() || c.is_ascii_punctuation();
    cluster.starts_with(directs) && !cluster.contains(is_right_to_left)
}

/// Whether a font has a glyph for a character; what it says it covers may have none. Any hyphen does for one that does not break.
fn has(face: &Face, c: char) -> bool {
    let glyph = |c| face.glyph_index(c).is_some_and(|glyph| glyph.0 != 0);
    glyph(c) || (c == '\u{2011}' && glyph('\u{2010}'))
}

fn face(font: &Font) -> Option<Face<'_>> {
    Face::parse(font.data(), font.index()).ok()
}

/// Whether a character is a space that is shown without a glyph.
fn is_space(c: char) -> bool {
    c.general_category() == GeneralCategory::SpaceSeparator && c != '\u{1680}'
}

/// Whether a character neither joins the one before it nor directs those after it.
fn stands_alone(c: char) -> bool {
    let joins = matches!(c, '\u{1f1e6}'..='\u{1f1ff}' | '\u{1f3fb}'..='\u{1f3ff}' | '\u{1100}'..='\u{11ff}');
    let group = c.general_category_group();
    !joins
        && !matches!(group, GeneralCategoryGroup::Mark | GeneralCategoryGroup::Other)
        && !matches!(c, '\u{2028}' | '\u{2029}')
}
