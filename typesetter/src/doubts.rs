//! The warnings of a report: what was replaced in its data, what its pages look like, and what its template says.

use findings::{MAX_WARNINGS, Violation, Warning, merge};
use serde::Deserialize;
use typst::foundations::{Label, Selector};
use typst::introspection::Introspector;
use typst::utils::PicoStr;
use typst_layout::PagedDocument;

use crate::cleaning::{Missing, STAND_IN};
use crate::error::Error;
use crate::inspection::{Inspection, inspect};
use crate::options::OnMissingGlyph;
use crate::pointer::row_pointer;
use crate::request::Request;

/// The label of what the kit's `warn` says.
const WARNING: &str = "pressrun-warning";
/// The code of warnings about characters that no font has.
pub(crate) const MISSING_GLYPH: &str = "missing-glyph";

/// What is in doubt about a document in whose data these characters were replaced.
///
/// # Errors
///
/// Characters are missing, and the request says that there is to be no report then.
pub(crate) fn doubts(
    document: &PagedDocument,
    request: &Request,
    missing: Vec<Missing>,
) -> Result<Vec<Warning>, Error> {
    let first_page = request.section.as_ref().map_or(1, |section| section.first_page);
    let Inspection { warnings: seen, stand_ins } = inspect(document, first_page);
    // What the report does not show is not missing from it.
    let missing = if stand_ins > 0 { missing } else { Vec::new() };
    let missing = missing.into_iter().map(replaced);
    let mut warnings = Vec::new();
    match &request.section {
        // Other sections warn of what is beside the rows, too: merging them counts it once.
        Some(_) => warnings.extend(missing.take(MAX_WARNINGS)),
        None => merge(&mut warnings, missing),
    }
    merge(&mut warnings, seen);
    if request.options.on_missing_glyph == OnMissingGlyph::Fail {
        let violations: Vec<_> = warnings.iter().filter(|warning| warning.code == MISSING_GLYPH).map(refused).collect();
        if !violations.is_empty() {
            return Err(Error::InvalidData { violations });
        }
    }
    merge(&mut warnings, said(document, request.rows.as_ref().map(|rows| rows.field.as_str())));
    Ok(warnings)
}

fn replaced(Missing { character, pointer, count }: Missing) -> Warning {
    let message = format!(
        "No font has this character, and the report shows {STAND_IN} in its place. Put a font that has it into the \
         template's fonts folder."
    );
    Warning { count, ..Warning::of_character(MISSING_GLYPH, message, Some(pointer), character) }
}

/// The same as a reason why there is no report.
fn refused(warning: &Warning) -> Violation {
    let character = warning.character.as_deref().unwrap_or_default();
    let code_point = warning.code_point.as_deref().unwrap_or_default();
    let whose = if warning.pointer.is_none() { " of the template" } else { "" };
    let detail = format!(
        "no font has “{character}” ({code_point}){whose}: put a font that has it into the template's fonts folder, or have a \
         stand-in shown with on_missing_glyph `warn`"
    );
    let pointer = warning.pointer.clone().unwrap_or_default();
    Violation { line: None, column: None, pointer, detail }
}

/// What the kit's `warn` says.
#[derive(Deserialize)]
struct Said {
    code: String,
    message: String,
    pointer: Option<String>,
    /// The number of a row, from 1, and a field of it.
    row: Option<u64>,
    field: Option<String>,
    #[serde(default = "once")]
    count: u64,
}

fn once() -> u64 {
    1
}

impl Said {
    /// The warning, of data whose rows are this property.
    fn warning(self, rows: Option<&str>) -> Warning {
        let of_row = || Some(row_pointer(rows?, self.row?, self.field.as_deref()?));
        let pointer = self.pointer.clone().or_else(of_row);
        Warning { count: self.count, ..Warning::new(&self.code, self.message, pointer) }
    }
}

/// What the template and the kit say, of data whose rows are this property.
fn said(document: &PagedDocument, rows: Option<&str>) -> Vec<Warning> {
    let Some(label) = Label::new(PicoStr::intern(WARNING)) else { return Vec::new() };
    let found = document.introspector().query(&Selector::Label(label));
    let said = found.iter().filter_map(|content| {
        let value = serde_json::to_value(content.field_by_name("value").ok()?).ok()?;
        serde_json::from_value::<Said>(value).ok()
    });
    said.map(|said| said.warning(rows)).collect()
}
