//! What a template is told about the part of the report it is to make, as `/section.json`.

use std::collections::BTreeMap;
use std::num::NonZeroUsize;

use serde::{Deserialize, Serialize};
use typst::foundations::{Label, NativeElement};
use typst::introspection::Introspector;
use typst::model::OutlineElem;
use typst::utils::PicoStr;
use typst_layout::PagedDocument;

use crate::error::Error;

/// One run of a report's rows. The default is the whole report.
///
/// Totals are decimal strings by the name of their field.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Section {
    /// Whether the report starts here: what stands before the rows is set.
    pub first: bool,
    /// Whether the report ends here: what stands after the rows is set.
    pub last: bool,
    /// The number of the first row of this section, from 1.
    pub first_row: u64,
    /// The rows of the whole report, if they were counted.
    pub rows: Option<u64>,
    /// The number of this section's first page, from 1.
    pub first_page: u64,
    /// The pages of the whole report; `None` if this section is all there is.
    pub pages: Option<u64>,
    /// The totals of all rows before this section.
    pub before: BTreeMap<String, String>,
    /// The totals of all rows of the report.
    pub totals: BTreeMap<String, String>,
    /// How many rows go on each page, from [`plan`](crate::plan()). `None` lets the template find out.
    pub page_rows: Option<Vec<u32>>,
    /// Whether the template is only to tell its [`Geometry`](crate::Geometry).
    pub measure: bool,
}

impl Default for Section {
    fn default() -> Self {
        Self {
            first: true,
            last: true,
            first_row: 1,
            rows: None,
            first_page: 1,
            pages: None,
            before: BTreeMap::new(),
            totals: BTreeMap::new(),
            page_rows: None,
            measure: false,
        }
    }
}

impl Section {
    /// A section that only measures. With no rows in the data it tells how pages are made up, and the height of a row
    /// if it is the same for all; otherwise it tells the height of each row in the data. The template should be told
    /// [`rows`](Self::rows) and [`totals`](Self::totals) as in the report: what stands above the rows may show them.
    pub fn measuring() -> Self {
        Self { last: false, measure: true, ..Self::default() }
    }
}

/// The label of where the kit's `rows` starts.
const ROWS: &str = "pressrun-rows";

impl Section {
    /// Refuses what looks for something in the whole report and would find it in one section, and what stands before
    /// the rows of a section that is not the first.
    pub(crate) fn check_content(&self, document: &PagedDocument) -> Result<(), Error> {
        let refused = |message: &str| Err(Error::Section { message: message.to_owned() });
        let introspector = document.introspector();
        if !introspector.query(&OutlineElem::ELEM.select()).is_empty() {
            return refused("the template uses outline(), which would list only what is in one section: leave it out");
        }
        let rows = Label::new(PicoStr::intern(ROWS)).and_then(|label| introspector.query_label(label).ok()?.location());
        let page = rows.and_then(|rows| introspector.page(rows)).map_or(1, NonZeroUsize::get);
        if page > 1 && !self.first {
            return refused(
                "something stands before the rows of a section that is not the first: put it into at-start[…]",
            );
        }
        Ok(())
    }
}

/// The section as the template sees it.
#[derive(Serialize)]
pub(crate) struct SectionFile<'a> {
    #[serde(flatten)]
    pub(crate) section: &'a Section,
    /// Whether the output is a PDF with tags.
    pub(crate) tagged: bool,
}
