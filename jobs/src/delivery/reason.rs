//! Reasons why an attempt did not succeed, as a job's record tells them.

use std::error::Error;

use findings::visible_lines;

use crate::job::shortened;

/// The longest reason, in characters.
const MAX_CHARS: usize = 300;

/// A text from elsewhere in one line, shortened and without control characters.
pub fn reason(text: &str) -> String {
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    visible_lines(&shortened(&line, MAX_CHARS))
}

/// The first cause of an error, as a [`reason`].
pub fn root_cause(error: &(dyn Error + 'static)) -> String {
    let mut root = error;
    while let Some(cause) = root.source() {
        root = cause;
    }
    reason(&root.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_is_one_short_line() {
        assert_eq!(reason("5.1.1 No\r\nsuch \u{1b}[31muser\u{7}"), "5.1.1 No such \u{fffd}[31muser\u{fffd}");
        assert_eq!(reason(&"x".repeat(1000)).chars().count(), MAX_CHARS + 2);
    }
}
