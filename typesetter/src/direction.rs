//! Directional formatting (Unicode Standard Annex 9) that ends with the text it stands in.

/// The mark that closes an embedding or an override.
const POP: char = '\u{202c}';
/// The mark that begins an isolate whose direction is that of its text, and the one that closes every isolate.
const FIRST_STRONG: char = '\u{2068}';
const POP_ISOLATE: char = '\u{2069}';

/// Whether a character is directional formatting that others close, or closes.
pub(crate) fn is_formatting(c: char) -> bool {
    matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// A line in which everything that is opened is closed, and nothing else.
pub(crate) fn balanced(line: &str) -> String {
    let (mut written, mut open) = (String::with_capacity(line.len()), Vec::new());
    for c in line.chars() {
        match c {
            '\u{202a}' | '\u{202b}' | '\u{202d}' | '\u{202e}' => open.push(POP),
            '\u{2066}'..='\u{2068}' => open.push(POP_ISOLATE),
            POP if open.last() != Some(&POP) => continue,
            POP => _ = open.pop(),
            POP_ISOLATE => match open.iter().rposition(|&closer| closer == POP_ISOLATE) {
                // It closes what was opened within its isolate too.
                Some(isolate) => open.truncate(isolate),
                None => continue,
            },
            _ => {}
        }
        written.push(c);
    }
    written.extend(open.into_iter().rev());
    written
}

/// A text that does not change the order of what stands beside it, nor is changed by it; nothing if it is one already.
pub(crate) fn isolated(text: &str) -> Option<String> {
    let directs = |c: char| is_formatting(c) || is_right_to_left(c);
    if text.is_ascii() || !text.chars().any(directs) {
        return None;
    }
    let line = |line: &str| format!("{FIRST_STRONG}{}{POP_ISOLATE}", balanced(line));
    Some(text.split('\n').map(line).collect::<Vec<_>>().join("\n"))
}

/// Whether a character is of a block of scripts that are written from right to left, or a mark of that direction.
pub(crate) fn is_right_to_left(c: char) -> bool {
    matches!(c, '\u{590}'..='\u{8ff}' | '\u{200f}' | '\u{fb1d}'..='\u{fdff}' | '\u{fe70}'..='\u{feff}'
        | '\u{10800}'..='\u{10fff}' | '\u{1e800}'..='\u{1efff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_text_opens_ends_with_it() {
        for (text, closed) in [
            ("plain", "plain"),
            ("\u{202e}abc", "\u{202e}abc\u{202c}"),
            ("a\u{202c}b\u{2069}c", "abc"),
            ("\u{2067}a\u{202e}b\u{2069}c", "\u{2067}a\u{202e}b\u{2069}c"),
            ("\u{202e}\u{2066}a\u{202c}b", "\u{202e}\u{2066}ab\u{2069}\u{202c}"),
        ] {
            assert_eq!(balanced(text), closed, "{text:?}");
        }
    }

    #[test]
    fn only_texts_with_a_direction_are_isolated() {
        assert_eq!(isolated("Café 12 €"), None);
        assert_eq!(isolated("שלום").as_deref(), Some("\u{2068}שלום\u{2069}"));
        assert_eq!(isolated("a\n\u{202e}b").as_deref(), Some("\u{2068}a\u{2069}\n\u{2068}\u{202e}b\u{202c}\u{2069}"));
    }
}
