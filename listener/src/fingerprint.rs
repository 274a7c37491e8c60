//! Fingerprints of JSON texts. White space, the order of members and the escapes of characters make no difference. A number is
//! its text, so that 1 and 1.0 differ.

use std::borrow::Cow;

use sha2::{Digest, Sha256};

/// Identifies a value.
enum Mark<'a> {
    /// A number or a literal, as it is written.
    Word(&'a [u8]),
    Text(Cow<'a, str>),
    /// An array or object, by a digest of its parts.
    Parts([u8; 32]),
}

impl Mark<'_> {
    /// Feeds the mark to a digest, so that no two marks feed it the same.
    fn feed(&self, digest: &mut Sha256) {
        let (kind, bytes) = match self {
            Self::Word(word) => (b'w', *word),
            Self::Text(text) => (b't', text.as_bytes()),
            Self::Parts(parts) => (b'p', parts.as_slice()),
        };
        digest.update([kind]);
        digest.update((bytes.len() as u64).to_le_bytes());
        digest.update(bytes);
    }
}

/// The fingerprint of a JSON text, in hexadecimal. What is not JSON has none.
pub(crate) fn fingerprint(json: &[u8]) -> Option<String> {
    let mut digest = Sha256::new();
    Scan { text: json, at: 0 }.value()?.feed(&mut digest);
    Some(hexadecimal(&digest.finalize()))
}

/// Bytes in hexadecimal.
pub(crate) fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Walks over a text that was parsed before, which bounds how deep it is nested.
struct Scan<'a> {
    text: &'a [u8],
    at: usize,
}

impl<'a> Scan<'a> {
    fn value(&mut self) -> Option<Mark<'a>> {
        match self.next()? {
            b'{' => self.object(),
            b'[' => self.array(),
            b'"' => self.string().map(Mark::Text),
            _ => {
                let start = self.at - 1;
                let ends = |byte: &u8| matches!(byte, b',' | b']' | b'}') || byte.is_ascii_whitespace();
                let length = self.text[start..].iter().position(ends).unwrap_or(self.text.len() - start);
                self.at = start + length;
                Some(Mark::Word(&self.text[start..self.at]))
            }
        }
    }

    fn object(&mut self) -> Option<Mark<'a>> {
        let mut members: Vec<(Cow<'a, str>, Mark<'a>)> = Vec::new();
        loop {
            match self.next()? {
                b'}' => break,
                b'"' => {
                    let name = self.string()?;
                    (self.next()? == b':').then_some(())?;
                    members.push((name, self.value()?));
                }
                _ => {}
            }
        }
        // Of members of one name the last one counts, as it does for all other readers of the text.
        members.reverse();
        members.sort_by(|(one, _), (other, _)| one.cmp(other));
        members.dedup_by(|(one, _), (other, _)| one == other);
        let mut digest = Sha256::new_with_prefix(b"{");
        for (name, mark) in members {
            Mark::Text(name).feed(&mut digest);
            mark.feed(&mut digest);
        }
        Some(Mark::Parts(digest.finalize().into()))
    }

    fn array(&mut self) -> Option<Mark<'a>> {
        let mut digest = Sha256::new_with_prefix(b"[");
        loop {
            match self.next()? {
                b']' => return Some(Mark::Parts(digest.finalize().into())),
                b',' => {}
                _ => {
                    self.at -= 1;
                    self.value()?.feed(&mut digest);
                }
            }
        }
    }

    /// The string that began a byte ago.
    fn string(&mut self) -> Option<Cow<'a, str>> {
        let start = self.at;
        loop {
            match self.text.get(self.at)? {
                b'"' => break,
                b'\\' => self.at += 2,
                _ => self.at += 1,
            }
        }
        let inner = &self.text[start..self.at];
        self.at += 1;
        if inner.contains(&b'\\') {
            return serde_json::from_slice(&self.text[start - 1..self.at]).ok().map(Cow::Owned);
        }
        std::str::from_utf8(inner).ok().map(Cow::Borrowed)
    }

    /// The next byte that is not white space.
    fn next(&mut self) -> Option<u8> {
        let rest = self.text.get(self.at..)?;
        let skipped = rest.iter().position(|byte| !byte.is_ascii_whitespace())?;
        self.at += skipped + 1;
        Some(rest[skipped])
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Map, Value};

    use super::*;

    fn of(json: &str) -> String {
        fingerprint(json.as_bytes()).unwrap_or_else(|| panic!("{json}"))
    }

    #[test]
    fn order_of_members_white_space_and_escapes_do_not_matter() {
        let text = r#"{"a": [1, {"x": null, "y": "é"}], "b": 1.50}"#;
        for same in [
            r#"{"b":1.50,"a":[1,{"y":"\u00e9","x":null}]}"#,
            "\n{ \"b\" : 1.50 ,\t\"\\u0061\" : [ 1 , { \"x\" : null , \"y\" : \"é\" } ] } ",
            r#"{"b": 7, "a": [1, {"x": 1, "x": null, "y": "é"}], "b": 1.50}"#,
        ] {
            assert_eq!(of(same), of(text), "{same}");
        }
    }

    #[test]
    fn values_order_of_elements_and_texts_of_numbers_do() {
        let texts = [
            r#"{"a": 1}"#,
            r#"{"a": 1.0}"#,
            r#"{"a": 1.00}"#,
            r#"{"a": "1"}"#,
            r#"{"a": 1e0}"#,
            r#"{"b": 1}"#,
            r#"{"a": [1, 2]}"#,
            r#"{"a": [2, 1]}"#,
            r#"{"a": [12]}"#,
            r#"{"a": [[1], 2]}"#,
            r#"{"a": [[1, 2]]}"#,
            r#"{"a": {}}"#,
            r#"{"a": []}"#,
            r#"{"a": ""}"#,
            r#"{"a": null}"#,
            r#"{"a": "null"}"#,
            "[]",
            "{}",
            "0",
            "-0",
        ];
        let each: std::collections::HashSet<_> = texts.map(of).into_iter().collect();
        assert_eq!(each.len(), texts.len());
    }

    #[test]
    fn what_is_no_json_has_none() {
        for text in ["", "{", "[1", "\"a", "{\"a\"", "{\"a\" 1}", "\"\\"] {
            assert_eq!(fingerprint(text.as_bytes()), None, "{text}");
        }
    }

    fn json() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            ".{0,5}".prop_map(Value::from)
        ];
        leaf.prop_recursive(4, 30, 4, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                prop::collection::vec((".{0,3}", inner), 0..4).prop_map(|each| Value::Object(Map::from_iter(each))),
            ]
        })
    }

    fn reversed(value: &Value) -> Value {
        match value {
            Value::Object(members) => {
                Value::Object(members.iter().rev().map(|(name, value)| (name.clone(), reversed(value))).collect())
            }
            Value::Array(each) => each.iter().map(reversed).collect(),
            other => other.clone(),
        }
    }

    proptest! {
        #[test]
        fn the_same_value_in_another_text_has_the_same(value in json(), other in json()) {
            let pretty = serde_json::to_string_pretty(&reversed(&value)).expect("JSON");
            prop_assert_eq!(of(&pretty), of(&value.to_string()));
            prop_assert_eq!(of(&value.to_string()) == of(&other.to_string()), value == other);
        }
    }
}
