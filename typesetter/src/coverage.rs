//! Which characters the fonts of a template can show.

use std::collections::HashSet;

use typst::text::{FontBook, FontInfo, FontVariant, is_default_ignorable};
use unicode_normalization::UnicodeNormalization;
use unicode_properties::{GeneralCategory, GeneralCategoryGroup, UnicodeGeneralCategory};

/// The last of the spaces, an ideographic one.
const LAST_SPACE: char = '\u{3000}';

/// The characters of a set of fonts.
pub(crate) struct Coverage {
    /// One bit for each character that has a glyph.
    shown: Bits,
    /// The same for those that have it whatever stands beside them.
    plain: Bits,
    /// A font of each family that a template may take for its text, by its index in the book.
    main: Vec<usize>,
}

impl Coverage {
    /// The characters of all fonts in a book, of which the first so many are the template's and the kit's.
    pub(crate) fn new(book: &FontBook, own: usize) -> Self {
        let (mut shown, mut plain) = (Bits::new(), Bits::new());
        for c in infos(book).flat_map(|(_, info)| info.coverage.iter()).filter_map(char::from_u32) {
            // Most fonts have the same characters as the one before.
            if !shown.contains(c) {
                shown.insert(c);
                if stands_alone(c) {
                    plain.insert(c);
                }
            }
        }
        (' '..=LAST_SPACE).filter(|&c| is_space(c)).for_each(|c| plain.insert(c));
        let mut families = HashSet::new();
        let main = infos(book).take(own.max(1)).filter(|(_, info)| families.insert(info.family.as_str()));
        Self { main: main.map(|(index, _)| index).collect(), shown, plain }
    }

    /// Whether a character is shown whatever stands beside it.
    pub(crate) fn is_plain(&self, c: char) -> bool {
        self.plain.contains(c)
    }

    /// Whether some font has a glyph for a character.
    pub(crate) fn shows(&self, c: char) -> bool {
        self.shown.contains(c) || is_space(c) || is_default_ignorable(c)
    }

    /// Whether Typst shows all of a grapheme cluster. It sets one in a single font: that of the text, or else the one that is
    /// most like it among those that have its first character.
    pub(crate) fn shows_together(&self, book: &FontBook, cluster: &str) -> bool {
        let visible: String = cluster.chars().filter(|&c| !is_default_ignorable(c)).collect();
        let mut characters = visible.chars();
        if let (Some(only), None) = (characters.next(), characters.next())
            && self.shows(only)
        {
            return true;
        }
        self.main.iter().all(|&main| {
            let main = book.info(main);
            let fallback = || book.info(book.select_fallback(main, FontVariant::default(), &visible)?);
            main.is_some_and(|font| has_all(font, &visible)) || fallback().is_some_and(|font| has_all(font, &visible))
        })
    }
}

fn infos(book: &FontBook) -> impl Iterator<Item = (usize, &FontInfo)> {
    (0..).map_while(|index| Some((index, book.info(index)?)))
}

/// Whether a font has a text as it is, composed or decomposed, which a shaper tries in turn.
fn has_all(font: &FontInfo, text: &str) -> bool {
    let has = |c| font.coverage.contains(u32::from(c));
    text.chars().all(has) || text.nfc().all(has) || text.nfd().all(has)
}

/// Whether a character is a space, which is shown without a glyph.
fn is_space(c: char) -> bool {
    c.general_category() == GeneralCategory::SpaceSeparator
}

/// Whether a character neither joins the one before it nor directs those after it.
fn stands_alone(c: char) -> bool {
    let joins = matches!(c, '\u{1f1e6}'..='\u{1f1ff}' | '\u{1f3fb}'..='\u{1f3ff}' | '\u{1100}'..='\u{11ff}');
    !joins
        && !matches!(c.general_category_group(), GeneralCategoryGroup::Mark | GeneralCategoryGroup::Other)
        && !matches!(c, '\u{2028}' | '\u{2029}')
}

/// A set of characters.
struct Bits(Vec<u64>);

impl Bits {
    fn new() -> Self {
        Self(vec![0; (char::MAX as usize + 1) / 64])
    }

    fn insert(&mut self, c: char) {
        self.0[c as usize / 64] |= 1 << (c as usize % 64);
    }

    fn contains(&self, c: char) -> bool {
        self.0[c as usize / 64] & (1 << (c as usize % 64)) != 0
    }
}
