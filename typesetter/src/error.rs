//! Why there is no report. One variant a cause; each has a stable name that callers may switch on.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use findings::Violation;
use serde::{Deserialize, Serialize};

use crate::diagnostic::Diagnostic;

/// Why there is no report. Crosses the process border as JSON with the stable name in `name`.
///
/// `Display` is one line. For the whole story of a template's error, print each of [`Error::diagnostics`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, thiserror::Error)]
#[serde(tag = "name")]
pub enum Error {
    /// The template, or the data it was given, has errors. Never empty.
    #[error("{}", Summary(diagnostics))]
    #[serde(rename = "template-error")]
    Template {
        /// What is wrong and where; errors only.
        diagnostics: Vec<Diagnostic>,
    },
    /// The data is not as the template wants it. Never empty.
    #[error("{}", Listed(violations))]
    #[serde(rename = "invalid-data")]
    InvalidData {
        /// What is wrong and where.
        violations: Vec<Violation>,
    },
    /// The output would be larger than the request allows. Nothing was written.
    #[error("the output is larger than allowed: {bytes} bytes, the limit is {limit}")]
    #[serde(rename = "output-limit-exceeded")]
    OutputTooLarge {
        /// The size at which typesetting gave up; for images, the pages that were rendered so far.
        bytes: u64,
        /// The most bytes that were allowed.
        limit: u64,
    },
    /// The document has more pages than the request allows. Nothing was written.
    #[error("the report has {pages} pages, the limit is {limit}")]
    #[serde(rename = "page-limit-exceeded")]
    TooManyPages {
        /// The pages it has.
        pages: usize,
        /// The most pages that were allowed.
        limit: usize,
    },
    /// The options do not go together, or do not fit this document.
    #[error("{message}")]
    #[serde(rename = "options-refused")]
    Options {
        /// Which option, why, and what to choose instead.
        message: String,
    },
    /// There is no such template.
    #[error("no template at {}: a template is a folder that holds main.typ", template.display())]
    #[serde(rename = "template-missing")]
    MissingTemplate {
        /// The folder that was looked at.
        template: PathBuf,
    },
    /// The template cannot be typeset in sections.
    #[error("{message}")]
    #[serde(rename = "section-refused")]
    Section {
        /// Why, and what to change in the template.
        message: String,
    },
    /// A file or folder that the caller named could not be read or written.
    #[error("cannot {action} {}: {message}", path.display())]
    #[serde(rename = "io-error")]
    Io {
        /// What was tried, such as `read the data`.
        action: String,
        /// On which file or folder.
        path: PathBuf,
        /// What the operating system said.
        message: String,
    },
    /// Typst itself failed in a way it should not. The process must not typeset anything else.
    #[error("the typesetter panicked: {message}")]
    #[serde(rename = "typesetter-panicked")]
    Panicked {
        /// The panic's message.
        message: String,
    },
    /// A worker was sent something other than a request.
    #[error("not a request: {message}")]
    #[serde(rename = "request-malformed")]
    Request {
        /// What is wrong with it.
        message: String,
    },
}

impl Error {
    /// The stable name.
    pub fn name(&self) -> &'static str {
        match self {
            Error::Template { .. } => "template-error",
            Error::InvalidData { .. } => "invalid-data",
            Error::OutputTooLarge { .. } => "output-limit-exceeded",
            Error::TooManyPages { .. } => "page-limit-exceeded",
            Error::Options { .. } => "options-refused",
            Error::Section { .. } => "section-refused",
            Error::MissingTemplate { .. } => "template-missing",
            Error::Io { .. } => "io-error",
            Error::Panicked { .. } => "typesetter-panicked",
            Error::Request { .. } => "request-malformed",
        }
    }

    /// What is wrong with the template; empty for every other cause.
    pub fn diagnostics(&self) -> &[Diagnostic] {
        match self {
            Error::Template { diagnostics } => diagnostics,
            _ => &[],
        }
    }

    pub(crate) fn io(action: &str, path: &Path, error: &io::Error) -> Self {
        Error::Io { action: action.to_owned(), path: path.to_owned(), message: error.to_string() }
    }
}

/// The first violation in one line, and how many more there are.
struct Listed<'a>(&'a [Violation]);

impl fmt::Display for Listed<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            [] => f.write_str("the data does not fit the template"),
            [only] => only.fmt(f),
            [first, rest @ ..] => write!(f, "{first} (and {} more)", rest.len()),
        }
    }
}

/// The first diagnostic in one line, and how many more there are.
struct Summary<'a>(&'a [Diagnostic]);

impl fmt::Display for Summary<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            [] => f.write_str("the template has an error"),
            [only] => f.write_str(&only.headline()),
            [first, rest @ ..] => write!(f, "{} (and {} more)", first.headline(), rest.len()),
        }
    }
}
