//! Texts that quote data, which may be of any length.

use std::fmt::{self, Write};

/// How much of a text or pointer about data is told, in characters.
pub const MAX_TEXT_CHARS: usize = 400;

/// At most so many characters of what is shown, with an ellipsis where it was cut. No more of it is written than is told.
pub fn shortened(shown: impl fmt::Display, most_chars: usize) -> String {
    let mut cut = Cut { text: String::new(), room: most_chars };
    if write!(cut, "{shown}").is_err() {
        cut.text.push_str(" …");
    }
    cut.text
}

/// Takes so many characters and no more.
struct Cut {
    text: String,
    room: usize,
}

impl Write for Cut {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let end = text.char_indices().nth(self.room).map(|(end, _)| end);
        let taken = &text[..end.unwrap_or(text.len())];
        self.text.push_str(taken);
        self.room -= taken.chars().count();
        if end.is_some() { Err(fmt::Error) } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_longer_is_cut_at_a_character() {
        for (text, most, wanted) in [("", 0, ""), ("é", 0, " …"), ("héé", 3, "héé"), ("héé", 2, "hé …")] {
            assert_eq!(shortened(text, most), wanted, "{text}");
        }
        assert_eq!(shortened(format_args!("{}{}", "ab", "cd"), 3), "abc …");
    }

    #[test]
    fn nothing_is_written_that_is_not_told() {
        struct Endless;
        impl fmt::Display for Endless {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                loop {
                    f.write_str("x")?;
                }
            }
        }
        assert_eq!(shortened(Endless, 3), "xxx …");
    }
}
