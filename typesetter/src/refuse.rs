//! How a template says that its data is wrong: the report ends as invalid data rather than as a mistake of the template.

use findings::{Violation, escaped};
use typst::diag::{HintedStrResult, HintedString, SourceDiagnostic};
use typst::ecow::{EcoString, eco_format};
use typst::foundations::{Str, func};

use crate::diagnostic::clip;

/// The beginning of the hint that only refusals have. A template's own hints cannot begin like that.
const MARK: &str = "\u{0}pressrun-refused:";
/// Stands for the rows in a pointer: which property of the data they are, only the request says.
const ROWS: &str = "\u{0}rows";

/// The longest pointer or detail of a violation, in characters: it goes into the job's record.
const MAX_CHARS: usize = 1_000;

/// Ends the report as invalid data.
#[func]
pub(crate) fn refuse(
    /// The place in the data, as a JSON Pointer.
    pointer: Str,
    /// What is wrong there, and what to do about it.
    detail: Str,
) -> HintedStrResult<()> {
    Err(refusal(&pointer, detail.as_str()))
}

/// The error for a field of a row, which is counted from 1, or of the sums, whose row is 0.
pub(crate) fn refused_cell(row: i64, field: &str, problem: &str) -> HintedString {
    if row == 0 {
        return refusal(ROWS, eco_format!("the sum of `{field}` {problem}"));
    }
    let detail = eco_format!("row {row}: `{field}` {problem}");
    refusal(&eco_format!("{ROWS}/{}/{}", row - 1, escaped(field)), detail)
}

/// The error that ends the report as invalid data.
pub(crate) fn refusal(pointer: &str, detail: impl Into<EcoString>) -> HintedString {
    HintedString::new(detail.into()).with_hint(eco_format!("{MARK}{pointer}"))
}

/// What errors say of the data, whose rows are this property; nothing if one of them is about the template.
pub(crate) fn violations(errors: &[SourceDiagnostic], rows: Option<&str>) -> Option<Vec<Violation>> {
    let violation = |error: &SourceDiagnostic| {
        let pointer = error.hints.iter().find_map(|hint| hint.v.strip_prefix(MARK))?;
        let pointer = match pointer.strip_prefix(ROWS) {
            Some(row) => format!("/{}{row}", escaped(rows?)),
            None => pointer.to_owned(),
        };
        Some(Violation {
            line: None,
            column: None,
            pointer: clip(&pointer, MAX_CHARS),
            detail: clip(&error.message, MAX_CHARS),
        })
    };
    errors.iter().map(violation).collect::<Option<Vec<_>>>().filter(|violations| !violations.is_empty())
}

/// Removes the mark from an error that is shown as the template's.
pub(crate) fn is_mark(hint: &str) -> bool {
    hint.starts_with(MARK)
}
