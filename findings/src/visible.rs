//! Text that a terminal shows as it is.

use std::fmt;

/// A text of several lines as a mail or a terminal may have it: controls but line ends and tabs, and what reverses the
/// direction of writing, are U+FFFD.
pub fn visible_lines(text: &str) -> String {
    text.chars().map(|c| if is_hidden(c) && !matches!(c, '\n' | '\t') { '\u{fffd}' } else { c }).collect()
}

/// A JSON text with such characters as escapes: the same value, and nothing that a terminal acts on. JSON by itself escapes
/// the other controls.
pub fn visible_json(json: String) -> String {
    let is_escaped = |c: char| !c.is_ascii_control() && is_hidden(c) || c == '\u{7f}';
    if !json.contains(is_escaped) {
        return json;
    }
    let mut text = String::with_capacity(json.len());
    for c in json.chars() {
        if is_escaped(c) {
            text.push_str(&format!("\\u{:04x}", u32::from(c)));
        } else {
            text.push(c);
        }
    }
    text
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_is_the_same_value_without_what_a_terminal_acts_on() {
        let value = serde_json::json!({"a\u{9b}31m": "\u{7f}\u{1b}\u{80}\u{9f}\u{202e}\u{2066} é漢😀\u{a0}"});
        let json = visible_json(format!("{value:#}\n"));
        assert_eq!(json, "{\n  \"a\\u009b31m\": \"\\u007f\\u001b\\u0080\\u009f\\u202e\\u2066 é漢😀\u{a0}\"\n}\n");
        assert_eq!(serde_json::from_str::<serde_json::Value>(&json).expect("JSON"), value);
    }
}
