//! `template.json`: what a template declares about its rows.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// A template's manifest.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// The rows of its data, if it has any that may be many.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rows: Option<RowsDeclaration>,
}

/// Which part of the data is rows, and what is to be summed of them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RowsDeclaration {
    /// The top-level property that is the array of rows.
    pub field: String,
    /// The fields of a row that are summed.
    #[serde(default, skip_serializing_if = "Totals::is_none")]
    pub totals: Totals,
}

/// The fields of a row that are summed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(untagged)]
pub enum Totals {
    /// These.
    Names(Vec<String>),
    /// Those that the data names: a JSON Pointer (RFC 6901) to an array of names. None where it leads nowhere.
    Pointer(String),
}

impl Totals {
    fn is_none(&self) -> bool {
        *self == Self::default()
    }
}

impl Default for Totals {
    fn default() -> Self {
        Self::Names(Vec::new())
    }
}
