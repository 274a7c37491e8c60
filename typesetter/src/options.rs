//! What the caller may choose about an output file, and which choices do not go together.

use std::fmt;
use std::str::FromStr;

use chrono::{DateTime, Datelike, Utc};
use serde::{Deserialize, Serialize};
use typst_pdf::PdfStandard as Standard;

use crate::error::Error;

/// The choices for one report.
///
/// In JSON only `timestamp` and `ident` are required.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Options {
    /// What to write. PDF unless said otherwise.
    #[serde(default)]
    pub format: Format,
    /// The PDF standard to conform to; PDF 1.7 when absent. Only for PDF.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pdf_standard: Option<PdfStandard>,
    /// Whether a PDF carries the tags that make it accessible. On unless said otherwise; off saves size and memory.
    #[serde(default = "on")]
    pub tagged: bool,
    /// What becomes of a character that no font has. It is shown by a stand-in unless said otherwise.
    #[serde(default)]
    pub on_missing_glyph: OnMissingGlyph,
    /// The document's date, and the day that `datetime.today()` answers. Never read from a clock.
    pub timestamp: DateTime<Utc>,
    /// What identifies the document among all others, such as the job's id. Hashed into the PDF's identifier.
    pub ident: String,
    /// Pixels per inch of a PNG page.
    #[serde(default = "screen")]
    pub ppi: f32,
}

fn on() -> bool {
    true
}

fn screen() -> f32 {
    Options::DEFAULT_PPI
}

impl Options {
    /// The resolution of a PNG page unless said otherwise: sharp on a screen.
    pub const DEFAULT_PPI: f32 = 144.0;

    /// The highest resolution that is accepted.
    pub const MAX_PPI: f32 = 1200.0;

    /// A tagged PDF 1.7 with this date and identity.
    pub fn new(timestamp: DateTime<Utc>, ident: impl Into<String>) -> Self {
        Self {
            format: Format::Pdf,
            pdf_standard: None,
            tagged: true,
            on_missing_glyph: OnMissingGlyph::Warn,
            timestamp,
            ident: ident.into(),
            ppi: Self::DEFAULT_PPI,
        }
    }

    /// Refuses choices that do not go together, with [`Error::Options`].
    pub fn check(&self) -> Result<(), Error> {
        let refuse = |message: String| Err(Error::Options { message });
        if let Some(standard) = self.pdf_standard {
            if self.format != Format::Pdf {
                return refuse(format!(
                    "the PDF standard {standard} does not apply to {}: choose the format pdf or no standard",
                    self.format
                ));
            }
            if !self.tagged && standard.requires_tags() {
                return refuse(format!(
                    "the PDF standard {standard} requires a tagged PDF: leave tags on or choose another standard"
                ));
            }
        }
        // Written so that NaN is refused as well.
        if !(self.ppi >= 1.0 && self.ppi <= Self::MAX_PPI) {
            return refuse(format!("{} pixels per inch: choose 1 to {}", self.ppi, Self::MAX_PPI));
        }
        if !(1..=9999).contains(&self.timestamp.year()) {
            return refuse(format!("the timestamp's year is {}: choose 1 to 9999", self.timestamp.year()));
        }
        Ok(())
    }
}

/// What becomes of a report with a character that no font has.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OnMissingGlyph {
    /// It shows a stand-in, and a warning says so.
    #[default]
    Warn,
    /// There is no report: the data is invalid.
    Fail,
}

impl FromStr for OnMissingGlyph {
    type Err = UnknownName;

    fn from_str(name: &str) -> Result<Self, UnknownName> {
        match name {
            "warn" => Ok(Self::Warn),
            "fail" => Ok(Self::Fail),
            _ => Err(UnknownName::new("way to treat missing glyphs", name, ["warn", "fail"])),
        }
    }
}

/// A kind of output file.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// One PDF with all pages.
    #[default]
    Pdf,
    /// One PNG a page.
    Png,
    /// One SVG a page.
    Svg,
}

impl Format {
    /// Every format.
    pub const ALL: [Format; 3] = [Format::Pdf, Format::Png, Format::Svg];

    /// The name, which is also the file name's extension.
    pub fn as_str(self) -> &'static str {
        match self {
            Format::Pdf => "pdf",
            Format::Png => "png",
            Format::Svg => "svg",
        }
    }
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for Format {
    type Err = UnknownName;

    fn from_str(name: &str) -> Result<Self, UnknownName> {
        let found = Self::ALL.into_iter().find(|format| format.as_str() == name);
        found.ok_or_else(|| UnknownName::new("format", name, Self::ALL.map(Format::as_str)))
    }
}

/// A PDF standard, known by the names Typst uses: `1.7`, `a-2b`, `ua-1` and so on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct PdfStandard(Standard);

impl PdfStandard {
    /// Whether only a document that is typeset whole can conform: archives, accessible documents, and PDF 1.4, which has
    /// no compressed structure.
    pub fn is_for_whole_documents(self) -> bool {
        !matches!(self.0, Standard::V_1_5 | Standard::V_1_6 | Standard::V_1_7 | Standard::V_2_0)
    }

    /// Every standard.
    pub const ALL: [PdfStandard; 17] = [
        PdfStandard(Standard::V_1_4),
        PdfStandard(Standard::V_1_5),
        PdfStandard(Standard::V_1_6),
        PdfStandard(Standard::V_1_7),
        PdfStandard(Standard::V_2_0),
        PdfStandard(Standard::A_1b),
        PdfStandard(Standard::A_1a),
        PdfStandard(Standard::A_2b),
        PdfStandard(Standard::A_2u),
        PdfStandard(Standard::A_2a),
        PdfStandard(Standard::A_3b),
        PdfStandard(Standard::A_3u),
        PdfStandard(Standard::A_3a),
        PdfStandard(Standard::A_4),
        PdfStandard(Standard::A_4f),
        PdfStandard(Standard::A_4e),
        PdfStandard(Standard::Ua_1),
    ];

    /// The name.
    pub fn as_str(self) -> &'static str {
        match self.0 {
            Standard::V_1_4 => "1.4",
            Standard::V_1_5 => "1.5",
            Standard::V_1_6 => "1.6",
            Standard::V_1_7 => "1.7",
            Standard::V_2_0 => "2.0",
            Standard::A_1b => "a-1b",
            Standard::A_1a => "a-1a",
            Standard::A_2b => "a-2b",
            Standard::A_2u => "a-2u",
            Standard::A_2a => "a-2a",
            Standard::A_3b => "a-3b",
            Standard::A_3u => "a-3u",
            Standard::A_3a => "a-3a",
            Standard::A_4 => "a-4",
            Standard::A_4f => "a-4f",
            Standard::A_4e => "a-4e",
            Standard::Ua_1 => "ua-1",
            // Typst may add standards; `ALL` is the only way to make one, so none of those gets here.
            _ => "unknown",
        }
    }

    /// Whether the standard is about accessibility, so that a PDF without tags cannot conform to it.
    pub fn requires_tags(self) -> bool {
        matches!(self.0, Standard::A_1a | Standard::A_2a | Standard::A_3a | Standard::Ua_1)
    }

    pub(crate) fn typst(self) -> Standard {
        self.0
    }
}

impl fmt::Display for PdfStandard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for PdfStandard {
    type Err = UnknownName;

    fn from_str(name: &str) -> Result<Self, UnknownName> {
        let found = Self::ALL.into_iter().find(|standard| standard.as_str() == name);
        found.ok_or_else(|| UnknownName::new("PDF standard", name, Self::ALL.map(PdfStandard::as_str)))
    }
}

impl TryFrom<String> for PdfStandard {
    type Error = UnknownName;

    fn try_from(name: String) -> Result<Self, UnknownName> {
        name.parse()
    }
}

impl From<PdfStandard> for String {
    fn from(standard: PdfStandard) -> String {
        standard.as_str().to_owned()
    }
}

/// A name that is none of those that exist.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("there is no {kind} `{name}`; there are {known}")]
pub struct UnknownName {
    kind: &'static str,
    name: String,
    known: String,
}

impl UnknownName {
    fn new<const N: usize>(kind: &'static str, name: &str, known: [&'static str; N]) -> Self {
        Self { kind, name: name.to_owned(), known: known.join(", ") }
    }
}
