//! The numbers of a JSON text that a double does not hold, found in the text itself and made decimal strings.

use std::ops::Range;

use serde::de::IgnoredAny;
use serde_json::Value;

use crate::fault::{Fault, MAX_FAULTS};
use crate::figures::{decimal_text, is_held, too_long};
use findings::escaped;

/// A run of digits and points that is shorter is a number which a double holds.
const LONG: usize = 16;

/// The depth of nested arrays and objects at which `serde_json` refuses a text: no path to a value is that long.
const TOO_DEEP: usize = 128;

/// A JSON text, read.
#[derive(Debug, Clone, PartialEq)]
pub struct Json {
    /// As schemas are checked: with numbers as doubles.
    pub plain: Value,
    /// As templates read it, where that is not the same: numbers that a double does not hold are decimal strings.
    pub exact: Option<Value>,
}

/// Why a JSON text was not read.
#[derive(Debug)]
pub enum NotRead {
    /// It is not JSON.
    Syntax(serde_json::Error),
    /// It has numbers of too many digits.
    Numbers(Vec<Fault>),
}

impl Json {
    /// Reads a text.
    pub fn read(text: &[u8]) -> Result<Self, NotRead> {
        let exact = exact(text).map_err(|faults| match serde_json::from_slice::<IgnoredAny>(text) {
            Ok(_) => NotRead::Numbers(faults),
            Err(error) => NotRead::Syntax(error),
        })?;
        let plain = serde_json::from_slice(text).map_err(NotRead::Syntax)?;
        let exact = exact.map(|exact| serde_json::from_slice(&exact)).transpose().map_err(NotRead::Syntax)?;
        Ok(Self { plain, exact })
    }

    /// What templates read.
    pub fn exact(&self) -> &Value {
        self.exact.as_ref().unwrap_or(&self.plain)
    }

    /// The same, without the rest.
    pub fn into_exact(self) -> Value {
        self.exact.unwrap_or(self.plain)
    }
}

/// The text with decimal strings for the numbers that a double does not hold, or nothing if it has none. A number of too
/// many digits is a fault, at its pointer. Of a text that is no JSON, what comes out is none either.
pub fn exact(text: &[u8]) -> Result<Option<Vec<u8>>, Vec<Fault>> {
    if !is_suspect(text) {
        return Ok(None);
    }
    let mut scan = Scan { text, at: 0, path: Vec::new() };
    let (mut written, mut copied, mut faults) = (Vec::new(), 0, Vec::new());
    while let Some(token) = scan.next_number() {
        let Some(number) = std::str::from_utf8(&text[token.clone()]).ok().filter(|number| !is_held(number)) else {
            continue;
        };
        match decimal_text(number) {
            Ok(decimal) => {
                written.extend_from_slice(&text[copied..token.start]);
                written.extend(format!("\"{decimal}\"").into_bytes());
                copied = token.end;
            }
            Err(_) if faults.len() < MAX_FAULTS => faults.push(Fault::new(scan.pointer(), too_long(number))),
            Err(_) => break,
        }
    }
    if scan.path.len() >= TOO_DEEP {
        return Ok(None);
    }
    if !faults.is_empty() {
        return Err(faults);
    }
    written.extend_from_slice(if copied > 0 { &text[copied..] } else { &[] });
    Ok((copied > 0).then_some(written))
}

/// Whether there may be a number that a double does not hold. What looks like one in a string counts too.
fn is_suspect(text: &[u8]) -> bool {
    has_exponent(text) || has_long_run(text)
}

/// Whether a digit is followed by an `e` anywhere. In one expression without branches, which the compiler makes fast.
fn has_exponent(text: &[u8]) -> bool {
    let pairs = text.iter().zip(text.get(1..).unwrap_or_default());
    pairs.fold(false, |found, (digit, letter)| found | (digit.is_ascii_digit() & (letter | 0x20 == b'e')))
}

/// Whether there is a run of digits and points of [this length](LONG). A run cannot miss every sixteenth byte.
fn has_long_run(text: &[u8]) -> bool {
    let is_figure = |byte: &u8| byte.is_ascii_digit() || *byte == b'.';
    (LONG - 1..text.len()).step_by(LONG).any(|at| {
        if !is_figure(&text[at]) {
            return false;
        }
        let before = text[..at].iter().rev().take_while(|byte| is_figure(byte)).take(LONG).count();
        let after = text[at..].iter().take_while(|byte| is_figure(byte)).take(LONG).count();
        before + after >= LONG
    })
}

/// A step on the way to a value.
enum Step {
    /// The member whose name stands here, with its quotes.
    Name(Range<usize>),
    /// The element of this index.
    Index(u64),
}

/// Walks over a JSON text from number to number.
struct Scan<'a> {
    text: &'a [u8],
    at: usize,
    path: Vec<Step>,
}

impl Scan<'_> {
    /// The place of the next number. There is none in what is too deep to be read.
    fn next_number(&mut self) -> Option<Range<usize>> {
        while self.path.len() < TOO_DEEP {
            let start = self.at;
            self.at += 1;
            match self.text.get(start)? {
                b'"' => self.string(start),
                b'{' => self.path.push(Step::Name(0..0)),
                b'[' => self.path.push(Step::Index(0)),
                b'}' | b']' => _ = self.path.pop(),
                b',' => {
                    if let Some(Step::Index(index)) = self.path.last_mut() {
                        *index += 1;
                    }
                }
                b'-' | b'0'..=b'9' => {
                    self.skip(|byte| byte.is_ascii_digit() || b"+-.eE".contains(&byte));
                    return Some(start..self.at);
                }
                _ => {}
            }
        }
        None
    }

    /// Goes to the end of the string that begins at `start`, which may be a member's name.
    fn string(&mut self, start: usize) {
        while let Some(byte) = self.text.get(self.at) {
            self.at += if *byte == b'\\' { 2 } else { 1 };
            if *byte == b'"' {
                break;
            }
        }
        let end = self.at.min(self.text.len());
        self.at = end;
        self.skip(|byte| byte.is_ascii_whitespace());
        if let (Some(b':'), Some(Step::Name(name))) = (self.text.get(self.at), self.path.last_mut()) {
            *name = start..end;
        }
    }

    fn skip(&mut self, skipped: impl Fn(u8) -> bool) {
        while self.text.get(self.at).is_some_and(|byte| skipped(*byte)) {
            self.at += 1;
        }
    }

    /// Where the number is that was found last, as a JSON Pointer.
    fn pointer(&self) -> String {
        let token = |step: &Step| match step {
            Step::Name(name) => {
                let name: Option<String> = serde_json::from_slice(&self.text[name.clone()]).ok();
                format!("/{}", escaped(&name.unwrap_or_default()))
            }
            Step::Index(index) => format!("/{index}"),
        };
        self.path.iter().map(token).collect()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn shown(text: &str) -> Option<String> {
        exact(text.as_bytes()).expect("few digits").map(|text| String::from_utf8(text).expect("UTF-8"))
    }

    #[test]
    fn numbers_are_replaced_and_strings_are_not() {
        let text = r#"{"a\"9223372036854775808": [1, 9223372036854775808 , "9223372036854775808"], "b": {"c": -9007199254740993.10}}"#;
        let wanted = r#"{"a\"9223372036854775808": [1, "9223372036854775808" , "9223372036854775808"], "b": {"c": "-9007199254740993.10"}}"#;
        assert_eq!(shown(text).as_deref(), Some(wanted));
        for text in [r#"{"iban": "12345678901234567890", "n": 0.1}"#, "1e5", "[1.5e300, \"\\", "\"9223372036854775808"]
        {
            assert_eq!(shown(text), None, "{text}");
        }
    }

    #[test]
    fn too_many_digits_are_told_with_their_pointer() {
        let text = r#"{"a/b": [0, {"c": 1e400}], "d": "x", "e": 123456789012345678901234567890}"#;
        let faults = exact(text.as_bytes()).expect_err("too many digits");
        let told: Vec<_> = faults.iter().map(|fault| format!("{} {}", fault.pointer, fault.detail)).collect();
        assert_eq!(
            told,
            [
                "/a~1b/1/c 1e400 has more than 28 digits, the most that a number may have",
                "/e 123456789012345678901234567890 has more than 28 digits, the most that a number may have"
            ]
        );
    }

    #[test]
    fn a_text_that_is_nested_too_deep_is_refused_as_the_parser_refuses_it() {
        for depth in [TOO_DEEP, 100_000] {
            let text = format!("{}{}{}", "[1e5,".repeat(depth), "0", "]".repeat(depth));
            let Err(NotRead::Syntax(error)) = Json::read(text.as_bytes()) else { panic!("{depth}") };
            assert!(error.to_string().starts_with("recursion limit exceeded"), "{error}");
        }
        let depth = TOO_DEEP - 1;
        let text = format!("{}9007199254740993.01{}", "[".repeat(depth), "]".repeat(depth));
        assert!(Json::read(text.as_bytes()).expect("not too deep").exact.is_some());
    }

    #[test]
    fn no_step_is_kept_of_what_is_nested_too_deep() {
        let text = format!("1e5{}", "[".repeat(100_000));
        let mut scan = Scan { text: text.as_bytes(), at: 0, path: Vec::new() };
        while scan.next_number().is_some() {}
        assert_eq!(scan.path.len(), TOO_DEEP);
    }

    proptest! {
        #[test]
        fn nothing_is_missed_by_the_quick_look(
            before in "[\\[ ]{0,20}", number in "-?(0|[1-9][0-9]{0,24})(\\.[0-9]{1,12})?([eE][+-]?[0-9]{1,3})?", after in "[\\] ]{0,20}",
        ) {
            let text = format!("{before}{number}{after}");
            prop_assert!(is_held(&number) || is_suspect(text.as_bytes()), "{}", text);
        }
    }
}
