//! Doubts about a finished report.

use std::fmt;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::pointer::{escaped, place};
use crate::shortened::{MAX_TEXT_CHARS, shortened};
use crate::visible::Visible;

/// A doubt about a finished report. The same doubt about several places is one warning that counts them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Warning {
    /// A name that does not change, such as `missing-glyph`.
    pub code: String,
    /// What is in doubt, and what to do about it.
    pub message: String,
    /// The first place in the data, as a JSON Pointer (RFC 6901), if it is in the data.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    #[schema(nullable = false)]
    pub pointer: Option<String>,
    /// The first page that it is about, from 1, if it is about pages.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    #[schema(nullable = false)]
    pub page: Option<u64>,
    /// How many places it is about.
    pub count: u64,
    /// The character that it is about.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    #[schema(nullable = false)]
    pub character: Option<String>,
    /// The same as `U+1F600`.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    #[schema(nullable = false)]
    pub code_point: Option<String>,
}

/// The most warnings of one report.
pub const MAX_WARNINGS: usize = 50;

impl Warning {
    /// A warning about one place.
    pub fn new(code: &str, message: impl Into<String>, pointer: Option<String>) -> Self {
        Self {
            code: shortened(code, MAX_TEXT_CHARS),
            message: shortened(message.into(), MAX_TEXT_CHARS),
            pointer: pointer.map(|pointer| shortened(pointer, MAX_TEXT_CHARS)),
            page: None,
            count: 1,
            character: None,
            code_point: None,
        }
    }

    /// A warning about one occurrence of a character.
    pub fn of_character(code: &str, message: impl Into<String>, pointer: Option<String>, character: char) -> Self {
        Self {
            character: Some(character.to_string()),
            code_point: Some(format!("U+{:04X}", u32::from(character))),
            ..Self::new(code, message, pointer)
        }
    }

    /// Whether another warning is of the same doubt, wherever it was met.
    fn is_like(&self, other: &Self) -> bool {
        self.code == other.code && self.character == other.character && self.message == other.message
    }
}

impl fmt::Display for Warning {
    /// `at /to/name, 漢 (U+6F22), 3 times: No font has this character. [missing-glyph]`
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let place = self.pointer.as_deref().map(place);
        let page = self.page.map(|page| format!("page {page}"));
        let character = self.character.as_ref().zip(self.code_point.as_ref());
        let character = character.map(|(character, code_point)| format!("{character} ({code_point})"));
        let times = (self.count > 1).then(|| format!("{} times", self.count));
        let known: Vec<String> = [place, page, character, times].into_iter().flatten().collect();
        if !known.is_empty() {
            write!(f, "{}: ", Visible(&known.join(", ")))?;
        }
        write!(f, "{} [{}]", Visible(&self.message), Visible(&self.code))
    }
}

/// Adds warnings to those before them. Of the same doubt the first pointer stays, and the counts are added up; what is beyond
/// fifty different ones is left out.
pub fn merge(warnings: &mut Vec<Warning>, more: impl IntoIterator<Item = Warning>) {
    for warning in more {
        match warnings.iter().position(|known| known.is_like(&warning)) {
            Some(known) => warnings[known].count += warning.count,
            None if warnings.len() < MAX_WARNINGS => warnings.push(warning),
            None => {}
        }
    }
}

/// The same for the warnings of a section of a report whose rows are this property of the data. What is neither about a row nor
/// about a page, every section says again, and it is not counted again.
pub fn merge_section(warnings: &mut Vec<Warning>, more: impl IntoIterator<Item = Warning>, rows: Option<&str>) {
    let rows = rows.map(|rows| format!("/{}/", escaped(rows)));
    let is_of_rows = |pointer: &str| rows.as_ref().is_some_and(|rows| pointer.starts_with(rows));
    for warning in more {
        let is_its_own = warning.page.is_some() || warning.pointer.as_deref().is_some_and(is_of_rows);
        match warnings.iter_mut().find(|known| !is_its_own && known.is_like(&warning)) {
            Some(known) => known.count = known.count.max(warning.count),
            None => merge(warnings, [warning]),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_warning_reads_as_one_line_that_a_terminal_shows() {
        let glyph = Warning::of_character("missing-glyph", "No font has it.", Some("/to/na\u{1b}me".into()), '漢');
        assert_eq!(glyph.to_string(), "at /to/na\u{fffd}me, 漢 (U+6F22): No font has it. [missing-glyph]");
        let outside = Warning { page: Some(3), count: 2, ..Warning::new("x", "A text\n leaves its page.", None) };
        assert_eq!(outside.to_string(), "page 3, 2 times: A text\u{fffd} leaves its page. [x]");
        assert_eq!(Warning::new("x", "Look at it.", None).to_string(), "Look at it. [x]");
        assert_eq!(Warning::new("x", "Look.", Some(String::new())).to_string(), "in the data: Look. [x]");
    }

    #[test]
    fn the_same_doubt_is_counted_and_keeps_its_first_place() {
        let glyph = |pointer: &str, c| Warning::of_character("missing-glyph", "no glyph", Some(pointer.into()), c);
        let mut warnings = vec![glyph("/a", '😀')];
        merge(&mut warnings, [glyph("/b", '😀'), glyph("/c", '漢')]);
        let seen: Vec<_> =
            warnings.iter().map(|it| (it.pointer.as_deref(), it.count, it.code_point.as_deref())).collect();
        assert_eq!(seen, [(Some("/a"), 2, Some("U+1F600")), (Some("/c"), 1, Some("U+6F22"))]);
    }

    #[test]
    fn sections_add_up_what_is_about_their_rows_and_pages() {
        let warning = |code: &str, pointer: Option<&str>, page| Warning {
            page,
            ..Warning::new(code, "It is odd.", pointer.map(str::to_owned))
        };
        let mut warnings = Vec::new();
        for row in ["/rows/1/a", "/rows/9/a"] {
            let section =
                [warning("row", Some(row), None), warning("head", Some("/a"), None), warning("page", None, Some(2))];
            merge_section(&mut warnings, section, Some("rows"));
        }
        let counts: Vec<_> = warnings.iter().map(|it| (it.code.as_str(), it.count)).collect();
        assert_eq!(counts, [("row", 2), ("head", 1), ("page", 2)]);
    }
}
