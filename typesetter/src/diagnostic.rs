//! Errors and warnings about a template as values that a program can store and a person can read.
//!
//! Everything here is bounded in size, because a template can put its data into an error message.

use std::fmt;

use serde::{Deserialize, Serialize};
use typst::diag::{Severity as TypstSeverity, SourceDiagnostic};
use typst::syntax::{DiagSpan, FileId, Lines, VirtualRoot};
use typst::{World, WorldExt};
use unicode_width::UnicodeWidthChar;

use crate::refuse::is_mark;

/// The most diagnostics that are kept of one job.
const MAX_DIAGNOSTICS: usize = 20;
/// The most entries that are kept of one diagnostic's hints, and of its trace.
const MAX_NOTES: usize = 16;
/// The most characters that are kept of one message or hint.
const MAX_MESSAGE: usize = 1000;
/// The most characters that are kept of one source line: minified JSON has very long ones.
const MAX_LINE: usize = 160;

/// One error or warning about a template.
///
/// `Display` is a block of several lines: the message, the position, the source line, a caret under the spot, hints.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Diagnostic {
    /// Whether there is a report in spite of it.
    pub severity: Severity,
    /// What is wrong.
    pub message: String,
    /// The file as the template's author knows it: `main.typ`, `kit/kit.typ`, `data.json`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
    /// The line, from 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub line: Option<usize>,
    /// The column in characters, from 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub column: Option<usize>,
    /// The text of the line; of a very long line, the part around the spot between `…`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source_line: Option<String>,
    /// The spot within `source_line`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub caret: Option<Caret>,
    /// What to do about it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub hints: Vec<String>,
    /// How Typst came to that spot, innermost first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub trace: Vec<TracePoint>,
}

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// There is no report.
    Error,
    /// There is a report; it may not look as meant.
    Warning,
}

/// A stretch of a source line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Caret {
    /// The characters before it.
    pub offset: usize,
    /// Its characters, at least one.
    pub width: usize,
}

/// One step on the way to an error.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TracePoint {
    /// The file, named as in [`Diagnostic::file`].
    pub file: String,
    /// The line, from 1.
    pub line: usize,
    /// The column in characters, from 1.
    pub column: usize,
    /// What happened there, such as ``while calling `money` ``.
    pub what: String,
}

impl Diagnostic {
    /// The diagnostics of one job, in Typst's order.
    pub(crate) fn all(world: &dyn World, found: &[SourceDiagnostic]) -> Vec<Self> {
        let mut kept: Vec<Self> = found.iter().take(MAX_DIAGNOSTICS).map(|one| Self::new(world, one)).collect();
        if let (Some(last), Some(more @ 1..)) = (kept.last_mut(), found.len().checked_sub(MAX_DIAGNOSTICS)) {
            last.hints.push(format!("{more} more like this were left out"));
        }
        kept
    }

    /// A warning about a whole file.
    pub(crate) fn of_file(file: &str, message: &str) -> Self {
        Self { file: Some(file.to_owned()), ..Self::bare(Severity::Warning, message) }
    }

    /// The message after its position, in one line: `main.typ:3:9: unknown variable: total`.
    pub fn headline(&self) -> String {
        let message = visible(&self.message).replace('\n', " ");
        match self.position() {
            Some(position) => format!("{position}: {message}"),
            None => message,
        }
    }

    /// The position: `main.typ:3:9`, or only the file if the line is not known.
    pub fn position(&self) -> Option<String> {
        let file = self.file.as_ref()?;
        Some(match (self.line, self.column) {
            (Some(line), Some(column)) => format!("{file}:{line}:{column}"),
            _ => file.clone(),
        })
    }

    fn new(world: &dyn World, found: &SourceDiagnostic) -> Self {
        let severity = match found.severity {
            TypstSeverity::Error => Severity::Error,
            TypstSeverity::Warning => Severity::Warning,
        };
        let mut diagnostic = Self::bare(severity, &found.message);
        if let Some(spot) = Spot::find(world, found.span) {
            diagnostic.file = Some(spot.file);
            diagnostic.line = Some(spot.line);
            diagnostic.column = Some(spot.column);
            diagnostic.source_line = Some(spot.text);
            diagnostic.caret = Some(spot.caret);
        } else {
            diagnostic.file = found.span.id().map(name);
        }
        let hints = found.hints.iter().filter(|hint| !is_mark(&hint.v)).take(MAX_NOTES);
        diagnostic.hints = hints.map(|hint| hint_text(&hint.v, Spot::find(world, hint.span))).collect();
        let trace = found.trace.iter().take(MAX_NOTES);
        diagnostic.trace = trace
            .filter_map(|point| {
                let Spot { file, line, column, .. } = Spot::find(world, point.span)?;
                Some(TracePoint { file, line, column, what: clip(&point.v.to_string(), MAX_MESSAGE) })
            })
            .collect();
        diagnostic
    }

    fn bare(severity: Severity, message: &str) -> Self {
        Self {
            severity,
            message: clip(message, MAX_MESSAGE),
            file: None,
            line: None,
            column: None,
            source_line: None,
            caret: None,
            hints: Vec::new(),
            trace: Vec::new(),
        }
    }
}

/// A hint in the words of this program: there is no `--root` argument here.
fn hint_text(hint: &str, spot: Option<Spot>) -> String {
    if hint.contains("`--root`") {
        return "a template sees its own folder, the kit as `/kit` and its data as `/data.json`".to_owned();
    }
    let hint = clip(hint, MAX_MESSAGE);
    match spot {
        Some(Spot { file, line, column, .. }) => format!("{hint} ({file}:{line}:{column})"),
        None => hint,
    }
}

/// A position with the text around it.
struct Spot {
    file: String,
    line: usize,
    column: usize,
    text: String,
    caret: Caret,
}

impl Spot {
    fn find(world: &dyn World, span: impl Into<DiagSpan>) -> Option<Self> {
        let span = span.into();
        let id = span.id()?;
        let range = world.range(span)?;
        let lines = lines(world, id)?;
        let (line, column) = lines.byte_to_line_column(range.start)?;
        let text = lines.text().get(lines.line_to_range(line)?)?.trim_end_matches(['\r', '\n']);
        let until = range.end.min(lines.line_to_byte(line)? + text.len());
        let width = lines.text().get(range.start..until).map_or(0, |marked| marked.chars().count());
        let (text, caret) = window(text, Caret { offset: column, width: width.max(1) });
        Some(Self { file: name(id), line: line + 1, column: column + 1, text, caret })
    }
}

/// The lines of a Typst source, or of any other text file such as the data.
fn lines(world: &dyn World, id: FileId) -> Option<Lines<String>> {
    if id.vpath().extension() == Some("typ") {
        return Some(world.source(id).ok()?.lines().clone());
    }
    world.file(id).ok()?.lines().ok()
}

/// The path as the template's author knows it.
pub(crate) fn name(id: FileId) -> String {
    let path = id.vpath().get_without_slash();
    match id.root() {
        VirtualRoot::Project => path.to_owned(),
        VirtualRoot::Package(package) => format!("{package}/{path}"),
    }
}

/// Cuts a very long line down to the part around the caret.
fn window(line: &str, caret: Caret) -> (String, Caret) {
    let length = line.chars().count();
    if length <= MAX_LINE {
        return (line.to_owned(), caret);
    }
    let start = caret.offset.saturating_sub(MAX_LINE / 2).min(length - MAX_LINE);
    let mut text: String = line.chars().skip(start).take(MAX_LINE).collect();
    let mut offset = caret.offset - start;
    let width = caret.width.min(MAX_LINE.saturating_sub(offset)).max(1);
    if start > 0 {
        text.insert(0, '…');
        offset += 1;
    }
    if start + MAX_LINE < length {
        text.push('…');
    }
    (text, Caret { offset, width })
}

/// At most so many characters.
pub(crate) fn clip(text: &str, most: usize) -> String {
    match text.char_indices().nth(most) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

/// Text that a terminal shows as it is: tabs become four spaces; other control characters and those that reverse the
/// writing direction become `�`.
fn visible(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\t' => shown.push_str("    "),
            '\n' => shown.push('\n'),
            '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => shown.push('\u{fffd}'),
            c if c.is_control() => shown.push('\u{fffd}'),
            c => shown.push(c),
        }
    }
    shown
}

/// The columns that a terminal gives a text.
fn columns(text: &str) -> usize {
    visible(text).chars().filter_map(UnicodeWidthChar::width).sum()
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Severity::Error => "error",
            Severity::Warning => "warning",
        })
    }
}

impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.severity, visible(&self.message))?;
        let number = self.line.map(|line| line.to_string()).unwrap_or_default();
        let margin = " ".repeat(number.len());
        if let Some(position) = self.position() {
            write!(f, "\n{margin}--> {position}")?;
        }
        if let (Some(text), Some(caret)) = (&self.source_line, self.caret) {
            let before: String = text.chars().take(caret.offset).collect();
            let marked: String = text.chars().skip(caret.offset).take(caret.width).collect();
            let marks = "^".repeat(columns(&marked).max(1));
            write!(f, "\n{margin} |\n{number} | {}", visible(text).trim_end())?;
            write!(f, "\n{margin} | {}{marks}", " ".repeat(columns(&before)))?;
        }
        for hint in &self.hints {
            write!(f, "\n{margin} = hint: {}", visible(hint))?;
        }
        for TracePoint { file, line, column, what } in &self.trace {
            write!(f, "\n{margin} = {} at {file}:{line}:{column}", visible(what))?;
        }
        Ok(())
    }
}
