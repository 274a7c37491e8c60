//! The text of a job's data as it can be printed: one rule for every template, applied where `/data.json` is read.
//!
//! - A tab and every other separator within a line is a space; every end of a line is `\n`; other controls are removed.
//! - Directional formatting ends with the line that it stands in.
//! - A character that no font shows is replaced by a [stand-in](STAND_IN), and takes no other with it.
//!
//! Names of properties stay as they are, and so do those that the data gives to the fields of its rows.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use findings::escaped;
use serde_json::Value;
use typst::text::is_default_ignorable;
use unicode_properties::{GeneralCategory, GeneralCategoryGroup, UnicodeGeneralCategory};
use unicode_segmentation::UnicodeSegmentation;

use crate::coverage::Coverage;
use crate::direction::{balanced, is_formatting};
use crate::fonts::FontSet;

/// What is shown in place of a character that no font has.
pub(crate) const STAND_IN: char = '\u{fffd}';

/// The one control that JSON takes unescaped within ASCII.
const DELETE: char = '\u{7f}';

/// Nothing to see within a text, and forbidden in archives.
const BYTE_ORDER_MARK: char = '\u{feff}';

/// What decides how data is cleaned.
pub(crate) struct Rules<'a> {
    /// The fonts of the template.
    pub(crate) fonts: &'a FontSet,
    /// Whether characters of private use are shown where a font has them. Archival and accessible standards forbid them.
    pub(crate) private_use: bool,
    /// The property that is the rows, and the number of the first of them in the report, from 0.
    pub(crate) rows: Option<(&'a str, usize)>,
    /// The places that name fields of rows; see [`RowsOf`](crate::RowsOf).
    pub(crate) names: &'a [String],
    /// Whether nothing of the data counts but its rows.
    pub(crate) rows_only: bool,
}

/// A character that was replaced, in the rows or beside them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Missing {
    pub(crate) character: char,
    /// Where it stands first, as a JSON Pointer.
    pub(crate) pointer: String,
    /// How often it stands in the data.
    pub(crate) count: u64,
}

/// Cleaned data, and the characters that were replaced in it; nothing if there is nothing to clean.
pub(crate) fn clean(data: &[u8], rules: &Rules) -> Option<(Vec<u8>, Vec<Missing>)> {
    let text = std::str::from_utf8(data).ok()?;
    if !has_escapes(text) && !text.contains(DELETE) && is_plain(text, &rules.fonts.coverage) {
        return None;
    }
    // What is not JSON is left to the template's reading of it, whose error says where.
    let mut value: Value = serde_json::from_str(text).ok()?;
    let mut cleaner = Cleaner { rules, missing: Vec::new(), known: HashMap::new(), shown: HashMap::new() };
    cleaner.value(&mut value, &Place { parent: None, step: Step::Root });
    Some((serde_json::to_vec(&value).ok()?, cleaner.missing))
}

/// Whether a JSON text has an escape that may stand for a control or for any character.
fn has_escapes(json: &str) -> bool {
    let mut escapes = json.split('\\').skip(1);
    // A backslash that is escaped itself begins nothing.
    while let Some(escape) = escapes.next() {
        match escape.bytes().next() {
            None => _ = escapes.next(),
            Some(b'"' | b'/' | b'n') => {}
            Some(_) => return true,
        }
    }
    false
}

fn is_plain(text: &str, coverage: &Coverage) -> bool {
    text.is_ascii() || text.chars().all(|c| c.is_ascii() || coverage.is_plain(c))
}

/// Where a value stands in the data.
struct Place<'a> {
    parent: Option<&'a Place<'a>>,
    step: Step<'a>,
}

#[derive(Clone, Copy)]
enum Step<'a> {
    Root,
    Property(&'a str),
    Item(usize),
}

impl Place<'_> {
    fn pointer(&self, rows: Option<(&str, usize)>) -> String {
        let Some(parent) = self.parent else { return String::new() };
        let above = parent.pointer(rows);
        match self.step {
            Step::Root => above,
            Step::Property(name) => format!("{above}/{}", escaped(name)),
            Step::Item(index) => format!("{above}/{}", index + parent.first_row(rows)),
        }
    }

    /// The number of the first item, if this is the array of rows.
    fn first_row(&self, rows: Option<(&str, usize)>) -> usize {
        match (self.step, self.parent, rows) {
            (Step::Property(name), Some(Place { step: Step::Root, .. }), Some((field, first))) if name == field => {
                first
            }
            _ => 0,
        }
    }

    /// Whether it is at a pointer in which `*` stands for every element.
    fn is_at(&self, pointer: &str) -> bool {
        let (Some(parent), Some((above, token))) = (self.parent, pointer.rsplit_once('/')) else {
            return self.parent.is_none() && pointer.is_empty();
        };
        let fits = match self.step {
            Step::Root => false,
            Step::Property(name) => escaped(name) == token,
            Step::Item(index) => token == "*" || token.parse() == Ok(index),
        };
        fits && parent.is_at(above)
    }

    /// Whether it is in the property of this name, or is it.
    fn is_in(&self, field: &str) -> bool {
        match (self.step, self.parent) {
            (Step::Property(name), Some(Place { step: Step::Root, .. })) => name == field,
            (_, Some(parent)) => parent.is_in(field),
            (_, None) => false,
        }
    }
}

struct Cleaner<'a> {
    rules: &'a Rules<'a>,
    missing: Vec<Missing>,
    /// Where in these a character is, by whether it stands in the rows.
    known: HashMap<(char, bool), usize>,
    /// Clusters that were looked at, and whether they are shown.
    shown: HashMap<String, bool>,
}

impl Cleaner<'_> {
    fn value(&mut self, value: &mut Value, place: &Place) {
        match value {
            Value::String(text) => {
                if let Some(cleaned) = self.text(text, place) {
                    *text = cleaned;
                }
            }
            Value::Array(items) => {
                for (index, item) in items.iter_mut().enumerate() {
                    self.value(item, &Place { parent: Some(place), step: Step::Item(index) });
                }
            }
            Value::Object(members) => {
                for (name, member) in members {
                    self.value(member, &Place { parent: Some(place), step: Step::Property(name) });
                }
            }
            Value::Null | Value::Bool(_) | Value::Number(_) => {}
        }
    }

    /// A text as it can be printed; nothing if it is one already.
    fn text(&mut self, text: &str, place: &Place) -> Option<String> {
        let is_clean = !has_controls(text) && is_plain(text, &self.rules.fonts.coverage);
        if is_clean || self.rules.names.iter().any(|names| place.is_at(names)) {
            return None;
        }
        let mut cleaned = without_controls(text);
        if cleaned.contains(is_formatting) {
            cleaned = cleaned.split('\n').map(balanced).collect::<Vec<_>>().join("\n");
        }
        if is_plain(&cleaned, &self.rules.fonts.coverage) {
            return Some(cleaned);
        }
        let mut shown = String::with_capacity(cleaned.len());
        for cluster in cleaned.graphemes(true) {
            self.push(cluster, &mut shown, place);
        }
        Some(shown)
    }

    fn push(&mut self, cluster: &str, to: &mut String, place: &Place) {
        let is_shown = match cluster.chars().next() {
            Some(first) if is_mark(first) && to.ends_with('\n') => self.is_shown(&format!("\n{cluster}")),
            _ => cluster.is_ascii() || self.is_shown(cluster),
        };
        if is_shown {
            return to.push_str(cluster);
        }
        let alone = cluster.chars().count() == 1;
        for c in cluster.chars().filter(|&c| alone || !is_default_ignorable(c)) {
            // A mark that is shown elsewhere is not shown on what it stands on here.
            if !is_mark(c) && !alone && self.is_shown(c.encode_utf8(&mut [0; 4])) {
                to.push(c);
            } else {
                to.push(STAND_IN);
                self.note(c, place);
            }
        }
    }

    fn is_shown(&mut self, cluster: &str) -> bool {
        if let Some(&known) = self.shown.get(cluster) {
            return known;
        }
        let FontSet { book, fonts, coverage, .. } = self.rules.fonts;
        let shown = cluster.chars().all(|c| self.may_show(c)) && coverage.shows(book, fonts, cluster);
        self.shown.insert(cluster.to_owned(), shown);
        shown
    }

    fn may_show(&self, c: char) -> bool {
        self.rules.private_use || c.general_category() != GeneralCategory::PrivateUse
    }

    fn note(&mut self, character: char, place: &Place) {
        let Rules { rows, rows_only, .. } = *self.rules;
        let in_rows = rows.is_some_and(|(field, _)| place.is_in(field));
        if rows_only && !in_rows {
            return;
        }
        let next = self.missing.len();
        match self.known.entry((character, in_rows)) {
            Entry::Occupied(known) => self.missing[*known.get()].count += 1,
            Entry::Vacant(new) => {
                new.insert(next);
                self.missing.push(Missing { character, pointer: place.pointer(rows), count: 1 });
            }
        }
    }
}

fn is_mark(c: char) -> bool {
    c.general_category_group() == GeneralCategoryGroup::Mark
}

/// Whether a text has something that [`without_controls`] changes.
pub(crate) fn has_controls(text: &str) -> bool {
    text.contains(|c: char| (c.is_control() && c != '\n') || matches!(c, '\u{2028}' | '\u{2029}' | BYTE_ORDER_MARK))
}

/// A text with spaces for separators, `\n` for every end of a line, and no other control.
pub(crate) fn without_controls(text: &str) -> String {
    let mut characters = text.chars().peekable();
    let mut cleaned = String::with_capacity(text.len());
    while let Some(c) = characters.next() {
        match c {
            '\r' => {
                characters.next_if_eq(&'\n');
                cleaned.push('\n');
            }
            '\n' | '\u{85}' | '\u{2028}' | '\u{2029}' => cleaned.push('\n'),
            '\t' | '\u{b}' | '\u{c}' | '\u{1c}'..='\u{1f}' => cleaned.push(' '),
            c if c.is_control() || c == BYTE_ORDER_MARK => {}
            c => cleaned.push(c),
        }
    }
    cleaned
}
