//! JSON Pointers (RFC 6901).

/// A name as a token of a pointer.
pub(crate) fn escaped(name: &str) -> String {
    name.replace('~', "~0").replace('/', "~1")
}

/// The place of a field of a row, which is counted from 1, in the property that is the rows.
pub(crate) fn row_pointer(rows: &str, row: u64, field: &str) -> String {
    format!("/{}/{}/{}", escaped(rows), row.saturating_sub(1), escaped(field))
}
