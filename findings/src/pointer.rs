//! JSON Pointers (RFC 6901).

/// Where a pointer leads, in words.
pub(crate) fn place(pointer: &str) -> String {
    if pointer.is_empty() { "in the data".to_owned() } else { format!("at {pointer}") }
}

/// A name as a token of a pointer.
pub fn escaped(name: &str) -> String {
    name.replace('~', "~0").replace('/', "~1")
}
