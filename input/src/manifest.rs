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

/// Which part of the data is rows, which of their fields are shown, and what is to be summed of them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RowsDeclaration {
    /// The top-level property that is the array of rows.
    pub field: String,
    /// The fields of a row that are summed.
    #[serde(default, skip_serializing_if = "Totals::is_none")]
    pub totals: Totals,
    /// The columns that a row's fields are shown in.
    #[serde(default, skip_serializing_if = "Columns::is_none")]
    pub columns: Columns,
    /// The days that the rows are of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub period: Option<Period>,
}

/// The columns that a row's fields are shown in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(untagged)]
pub enum Columns {
    /// These.
    List(Vec<Column>),
    /// Those that the data has: a JSON Pointer (RFC 6901) to an array of objects with the members of a column, and others.
    /// None where it leads nowhere.
    Pointer(String),
}

/// A column of rows. Where there are rows, one of them must have its field.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Column {
    /// The field of a row that it shows. `amount<0` and `amount>=0` are the field `amount`.
    pub field: String,
    /// What its values are.
    #[serde(default)]
    pub format: ColumnFormat,
    /// Whether all rows may be without its field.
    #[serde(default)]
    pub optional: bool,
}

/// What the values of a column are. None of it is to be there: an empty text is as good as none.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum ColumnFormat {
    /// Anything.
    #[default]
    Text,
    /// Decimal numbers.
    Number,
    /// Amounts of money: decimal numbers.
    Money,
    /// Percentages: decimal numbers.
    Percent,
    /// Days of the calendar as YYYY-MM-DD.
    Date,
}

/// The days that rows are of: a row of another day is a warning.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Period {
    /// Where the data has the first day: a JSON Pointer (RFC 6901).
    pub from: String,
    /// Where the data has the last day: a JSON Pointer (RFC 6901).
    pub to: String,
    /// The field of a row that has its day; that of the first column of dates where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub field: Option<String>,
}

impl RowsDeclaration {
    /// Rows in the top-level property `field`, of which nothing else is declared.
    pub fn new(field: impl Into<String>) -> Self {
        Self { field: field.into(), totals: Totals::default(), columns: Columns::default(), period: None }
    }
}

impl Columns {
    fn is_none(&self) -> bool {
        *self == Self::default()
    }
}

impl Default for Columns {
    fn default() -> Self {
        Self::List(Vec::new())
    }
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
