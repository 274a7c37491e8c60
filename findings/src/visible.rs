//! Text that a terminal shows as it is.

use std::fmt;

/// A text of several lines as a mail or a terminal may have it: controls but line ends and tabs, and what reverses the
/// direction of writing, are U+FFFD.
pub fn visible_lines(text: &str) -> String {
    text.chars().map(|c| if is_hidden(c) && !matches!(c, '\n' | '\t') { '\u{fffd}' } else { c }).collect()
}

fn is_hidden(c: char) -> bool {
    c.is_control() || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// A text in which controls, and what reverses the direction of writing, are shown as U+FFFD.
pub(crate) struct Visible<'a>(pub(crate) &'a str);

impl fmt::Display for Visible<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.0.contains(is_hidden) {
            return f.write_str(self.0);
        }
        self.0.chars().try_for_each(|c| fmt::Write::write_char(f, if is_hidden(c) { '\u{fffd}' } else { c }))
    }
}
