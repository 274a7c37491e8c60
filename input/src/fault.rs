//! What is wrong with an upload, and where.

use std::io;

use findings::{MAX_TEXT_CHARS, Violation, shortened};

use crate::budget::CutOff;

/// After how many faults reading stops: an upload with more has one mistake many times.
pub const MAX_FAULTS: usize = 100;

/// What is said of text in another encoding.
pub(crate) const NOT_UTF8: &str = "it is not UTF-8; save the file as UTF-8";

/// One place where an upload is not as it should be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// The line of the upload, from 1; absent where the fault is not in the upload, or is of all of it.
    pub line: Option<u64>,
    /// The column in bytes, from 1, where it is known.
    pub column: Option<u64>,
    /// Where in the data, as a JSON Pointer (RFC 6901).
    pub pointer: String,
    /// What is wrong there.
    pub detail: String,
}

impl Fault {
    pub(crate) fn new(pointer: impl Into<String>, detail: impl AsRef<str>) -> Self {
        let (pointer, detail) = (pointer.into(), detail.as_ref());
        let [pointer, detail] = [&pointer, detail].map(|text| shortened(text, MAX_TEXT_CHARS));
        Self { line: None, column: None, pointer, detail }
    }

    pub(crate) fn at(mut self, line: u64, column: Option<u64>) -> Self {
        (self.line, self.column) = (Some(line), column);
        self
    }

    /// The same fault of a part that stands at `pointer` in the data.
    pub fn below(self, pointer: &str) -> Self {
        Self { pointer: shortened(format_args!("{pointer}{}", self.pointer), MAX_TEXT_CHARS), ..self }
    }

    /// Whether it is about the value that stands at `pointer`, or about a part of it.
    pub(crate) fn is_of(&self, pointer: &str) -> bool {
        self.pointer.strip_prefix(pointer).is_some_and(|deeper| deeper.is_empty() || deeper.starts_with('/'))
    }

    /// A row that is longer than may be.
    pub(crate) fn too_long(pointer: impl Into<String>, most: u64) -> Self {
        Self::new(pointer, format!("the row has more than {most} bytes, the most that one row may have"))
    }

    /// Text that is not JSON, and stands where its pointer leads.
    pub(crate) fn of_syntax_anywhere(pointer: impl Into<String>, error: &serde_json::Error) -> Self {
        Self::new(pointer, without_place(error))
    }

    /// Text that is not JSON. `line` is that of the text's beginning.
    pub(crate) fn of_syntax(pointer: impl Into<String>, error: &serde_json::Error, line: u64) -> Self {
        let column = u64::try_from(error.column()).ok().filter(|column| *column > 0);
        Self::of_syntax_anywhere(pointer, error).at(line + (error.line() as u64).saturating_sub(1), column)
    }
}

/// What a parser says is wrong, but for the place.
pub(crate) fn without_place(error: &serde_json::Error) -> String {
    let detail = error.to_string();
    match detail.rsplit_once(" at line ").map_or(detail.as_str(), |(detail, _)| detail) {
        // The parser says this of bytes that are not UTF-8, and of nothing else.
        "invalid unicode code point" => NOT_UTF8.to_owned(),
        detail => detail.to_owned(),
    }
}

impl From<Violation> for Fault {
    fn from(Violation { line, column, pointer, detail }: Violation) -> Self {
        Self { line, column, ..Self::new(pointer, detail) }
    }
}

/// Why an upload was not spooled.
#[derive(Debug, thiserror::Error)]
pub enum InputError {
    /// It is not as the template wants it. Holds one fault at least and [`MAX_FAULTS`] at most, in the order they were met.
    #[error("the data has {} faults or more", .0.len())]
    Invalid(Vec<Fault>),
    /// What is not rows is kept in memory, and is more than may be. Holds that limit in bytes.
    #[error("the data beside the rows has more than {0} bytes")]
    RestTooLarge(u64),
    /// The check of the data at this pointer against the template's schema is beyond its budget.
    #[error("the schema takes too long to check the data at `{0}`")]
    TooCostly(String),
    /// It was told to stop.
    #[error("the reading was stopped")]
    Stopped,
    /// The upload could not be read.
    #[error("read the upload: {0}")]
    Read(#[source] io::Error),
    /// The spool could not be written.
    #[error("write the rows: {0}")]
    Write(#[source] io::Error),
}

impl InputError {
    /// Why the check of the data at `pointer` has no result.
    pub(crate) fn of_check(cut: CutOff, pointer: impl Into<String>) -> Self {
        match cut {
            CutOff::TooCostly => Self::TooCostly(pointer.into()),
            CutOff::Late | CutOff::Stopped => Self::Stopped,
        }
    }
}
