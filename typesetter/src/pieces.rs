//! A value from the data as text in a paragraph: what the kit's `wrappable` calls as `pressrun.pieces`.

use typst::foundations::{Array, Str, Value, func};
use unicode_segmentation::UnicodeSegmentation;

use crate::direction::isolated;

/// A word of at least this many letters may be wider than its column.
const LONG: usize = 29;
/// A long word may break after each run of this many letters.
const PIECE: usize = 4;

/// A text in pieces between which a line may end, isolated from the directions of what stands around it. Nothing is put into
/// the text that would be copied out of it.
#[func]
pub(crate) fn pieces(
    /// The text.
    text: Str,
) -> Array {
    let text: Str = isolated(&text).map_or(text, Str::from);
    if text.len() < LONG {
        return [Value::Str(text)].into_iter().collect();
    }
    cut(&text).into_iter().map(|piece| Value::Str(piece.into())).collect()
}

/// The text, cut within its long words.
fn cut(text: &str) -> Vec<&str> {
    let (mut pieces, mut start, mut at) = (Vec::new(), 0, 0);
    for word in text.split_inclusive(ends_a_word) {
        let letters = word.trim_end_matches(ends_a_word);
        if letters.len() >= LONG && letters.graphemes(true).count() >= LONG {
            for (letter, _) in letters.grapheme_indices(true).step_by(PIECE).skip(1) {
                pieces.push(&text[start..at + letter]);
                start = at + letter;
            }
        }
        at += word.len();
    }
    pieces.push(&text[start..]);
    pieces
}

/// Whether a line may end after a character.
fn ends_a_word(c: char) -> bool {
    c.is_whitespace() && !matches!(c, '\u{a0}' | '\u{2007}' | '\u{202f}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_long_words_are_cut_and_nothing_is_lost() {
        let iban = "DE00123456781234567890";
        assert_eq!(cut(iban), [iban]);
        let text = "see https://example.org/a/very/long/address and ÄÖÜÄÖÜÄÖÜÄÖÜÄÖÜÄÖÜÄÖÜÄÖÜÄÖÜÄÖÜ";
        let pieces = cut(text);
        assert_eq!(pieces.concat(), text);
        assert_eq!(pieces[..2], ["see http", "s://"]);
        assert!(pieces.len() > 15, "{pieces:?}");
        assert_eq!(cut(&"7\u{a0}kg\u{a0}".repeat(10)).len(), 13);
    }
}
