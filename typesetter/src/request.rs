//! What goes in and what comes out: one report to typeset, and what was written.

use std::path::PathBuf;

use findings::Warning;
use serde::{Deserialize, Serialize};

use crate::diagnostic::Diagnostic;
use crate::options::Options;
use crate::section::Section;

/// One report to typeset. Crosses the process border as one line of JSON, so its paths must be UTF-8.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Request {
    /// The template's folder, which the template sees as `/`. Holds `main.typ`.
    pub template: PathBuf,
    /// The folder of the shared kit, which the template sees as `/kit`. May be absent.
    pub kit: PathBuf,
    /// The JSON file that the template sees as `/data.json`.
    pub data: PathBuf,
    /// An existing folder that the output files are written to.
    pub output: PathBuf,
    /// What to write and how.
    pub options: Options,
    /// How large the output may become.
    pub limits: OutputLimits,
    /// The rows of the data, if the template declares any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rows: Option<RowsOf>,
    /// Which part of the report to make, told to the template as `/section.json`. The whole report when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub section: Option<Section>,
}

/// What is known of the rows of the data.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RowsOf {
    /// The top-level property that is the rows. Pointers into rows begin with it.
    pub field: String,
    /// The places in the data that name fields of rows, as JSON Pointers in which `*` stands for every element. A name is not
    /// cleaned as text is, or the field would not be found.
    pub names: Vec<String>,
}

/// How large the output may become.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct OutputLimits {
    /// The most bytes that all output files of one report may have together.
    pub max_output_bytes: u64,
    /// The most pages that one report may have.
    pub max_pages: usize,
}

/// What was written.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// The number of pages.
    pub pages: usize,
    /// The files in page order: `report.pdf`, or `page-1.png` and so on, zero-padded to one width.
    pub files: Vec<PathBuf>,
    /// The bytes of all files together.
    pub bytes: u64,
    /// Doubts about what the report shows.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<Warning>,
    /// What Typst thinks the template's author should know.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub diagnostics: Vec<Diagnostic>,
}
