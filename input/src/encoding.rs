//! The encoding of a text: UTF-8, perhaps with the byte order mark that some programs begin a text with.

/// How much of a text tells its encoding, in bytes.
pub(crate) const TELLING_BYTES: usize = 4;

/// The mark that says UTF-8.
pub(crate) const MARK: &[u8] = b"\xef\xbb\xbf";

/// A text without its byte order mark; or what is wrong with it, if it begins like one in another encoding.
pub fn utf8(text: &[u8]) -> Result<&[u8], String> {
    match foreign(&text[..text.len().min(TELLING_BYTES)]) {
        Some(name) => Err(format!("the text is {name}; save it as UTF-8")),
        None => Ok(text.strip_prefix(MARK).unwrap_or(text)),
    }
}

/// The encoding that a text begins in, if it is not UTF-8: its mark tells it, or a zero byte beside its first character.
fn foreign(start: &[u8]) -> Option<&'static str> {
    match start {
        [0xff, 0xfe, 0, 0] | [0, 0, 0xfe, 0xff] | [_, 0, 0, 0] | [0, 0, 0, _] => Some("UTF-32"),
        [0xff, 0xfe, ..] | [0xfe, 0xff, ..] | [0, 1..=255, ..] | [1..=255, 0, ..] => Some("UTF-16"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn other_encodings_are_told_by_name() {
        let utf16 = |mark: &str, text: &str| -> [Vec<u8>; 2] {
            let units: Vec<u16> = format!("{mark}{text}").encode_utf16().collect();
            [
                units.iter().flat_map(|it| it.to_le_bytes()).collect(),
                units.iter().flat_map(|it| it.to_be_bytes()).collect(),
            ]
        };
        for text in utf16("\u{feff}", "{}").iter().chain(&utf16("", "{}")) {
            assert_eq!(utf8(text), Err("the text is UTF-16; save it as UTF-8".into()));
        }
        for mark in ["\u{feff}", ""] {
            let text: Vec<u8> = format!("{mark}{{}}").chars().flat_map(|it| u32::from(it).to_le_bytes()).collect();
            assert_eq!(utf8(&text), Err("the text is UTF-32; save it as UTF-8".into()));
        }
        for text in ["{}", "", "1", "\u{feff}{}", "ä"] {
            assert_eq!(utf8(text.as_bytes()), Ok(text.trim_start_matches('\u{feff}').as_bytes()));
        }
    }
}
