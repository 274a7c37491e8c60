//! JSON Pointers (RFC 6901).

use findings::escaped;

/// The place of a field of a row, which is counted from 1, in the property that is the rows.
pub(crate) fn row_pointer(rows: &str, row: u64, field: &str) -> String {
    format!("/{}/{}/{}", escaped(rows), row.saturating_sub(1), escaped(field))
}
