//! Where data is not as it should be.

use std::fmt;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::pointer::place;
use crate::visible::Visible;

/// One place where data is not as its template wants it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Violation {
    /// The line of the upload, from 1, where it is in the upload.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    #[schema(nullable = false)]
    pub line: Option<u64>,
    /// The column in bytes, from 1, where it is known.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    #[schema(nullable = false)]
    pub column: Option<u64>,
    /// Where in the data, as a JSON Pointer (RFC 6901).
    pub pointer: String,
    /// What is wrong there.
    pub detail: String,
}

impl fmt::Display for Violation {
    /// `line 3, column 14, at /entries/1/amount: -1 is less than the minimum of 0`
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.line, self.column) {
            (Some(line), Some(column)) => write!(f, "line {line}, column {column}, ")?,
            (Some(line), None) => write!(f, "line {line}, ")?,
            (None, _) => {}
        }
        write!(f, "{}: {}", Visible(&place(&self.pointer)), Visible(&self.detail))
    }
}
