//! From bytes to objects, by the letter: what is not spelt as PDF has it is refused, not guessed at.

use crate::error::Fault;
use crate::object::{Dictionary, Object};

/// Arrays and dictionaries in one another. Typst needs six; more than this only exhausts the stack.
const MAX_DEPTH: usize = 64;

/// Reads objects from a place in a file on.
pub(crate) struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    pub(crate) fn new(bytes: &'a [u8], at: usize) -> Self {
        Reader { bytes, at }
    }

    pub(crate) fn fault<T>(&self, message: &str) -> Result<T, Fault> {
        Err(Fault::corrupt(format!("{message} at byte {}", self.at)))
    }

    /// Takes so many bytes as they are.
    pub(crate) fn take(&mut self, length: usize) -> Result<&'a [u8], Fault> {
        let taken = self.at.checked_add(length).and_then(|end| self.bytes.get(self.at..end));
        match taken {
            Some(taken) => {
                self.at += length;
                Ok(taken)
            }
            None => self.fault("the file ends too early"),
        }
    }

    /// Takes these bytes if they are next.
    pub(crate) fn accept(&mut self, token: &[u8]) -> bool {
        let found = self.rest().starts_with(token);
        if found {
            self.at += token.len();
        }
        found
    }

    /// Takes a word that stands by itself, after white space.
    pub(crate) fn keyword(&mut self, word: &str) -> Result<(), Fault> {
        if self.accept_keyword(word) { Ok(()) } else { self.fault(&format!("there is no `{word}`")) }
    }

    /// Takes a word that stands by itself, after white space, if it is next.
    pub(crate) fn accept_keyword(&mut self, word: &str) -> bool {
        self.skip_space();
        let after = self.rest().get(word.len());
        let found = self.rest().starts_with(word.as_bytes()) && after.is_none_or(|byte| !is_regular(*byte));
        if found {
            self.at += word.len();
        }
        found
    }

    /// A number without sign or point, after white space.
    pub(crate) fn unsigned<T: TryFrom<u64>>(&mut self) -> Result<T, Fault> {
        self.skip_space();
        let digits = self.run(|byte| byte.is_ascii_digit());
        let number = std::str::from_utf8(digits).ok().and_then(|digits| digits.parse::<u64>().ok());
        match number.and_then(|number| T::try_from(number).ok()) {
            Some(number) => Ok(number),
            None => self.fault("there is no number, or too large a one,"),
        }
    }

    /// White space and comments.
    pub(crate) fn skip_space(&mut self) {
        loop {
            self.run(is_space);
            if self.peek() != Some(b'%') {
                return;
            }
            self.run(|byte| byte != b'\n' && byte != b'\r');
        }
    }

    /// The object that is next, after white space.
    pub(crate) fn object(&mut self) -> Result<Object, Fault> {
        self.nested(0)
    }

    fn nested(&mut self, depth: usize) -> Result<Object, Fault> {
        if depth > MAX_DEPTH {
            return self.fault("objects are too deep in one another");
        }
        self.skip_space();
        match self.peek() {
            Some(b'/') => self.name().map(Object::Name),
            Some(b'(') => self.literal_text().map(Object::Text),
            Some(b'<') if self.accept(b"<<") => self.dictionary(depth).map(Object::Dictionary),
            Some(b'<') => self.hexadecimal_text().map(Object::Text),
            Some(b'[') => self.array(depth).map(Object::Array),
            Some(b'+' | b'-' | b'.' | b'0'..=b'9') => self.number_or_reference(),
            _ if self.accept_keyword("true") => Ok(Object::Boolean(true)),
            _ if self.accept_keyword("false") => Ok(Object::Boolean(false)),
            _ if self.accept_keyword("null") => Ok(Object::Null),
            _ => self.fault("there is no object"),
        }
    }

    fn dictionary(&mut self, depth: usize) -> Result<Dictionary, Fault> {
        let mut dictionary = Dictionary::default();
        loop {
            self.skip_space();
            if self.accept(b">>") {
                return Ok(dictionary);
            }
            if self.peek() != Some(b'/') {
                return self.fault("a dictionary has no key");
            }
            let key = self.name()?;
            let value = self.nested(depth + 1)?;
            if !dictionary.insert(key, value) {
                return self.fault("a dictionary has a key twice");
            }
        }
    }

    fn array(&mut self, depth: usize) -> Result<Vec<Object>, Fault> {
        self.at += 1;
        let mut items = Vec::new();
        loop {
            self.skip_space();
            if self.accept(b"]") {
                return Ok(items);
            }
            items.push(self.nested(depth + 1)?);
        }
    }

    fn name(&mut self) -> Result<Vec<u8>, Fault> {
        self.at += 1;
        let mut name = Vec::new();
        let mut spelling = self.run(is_regular).iter();
        while let Some(byte) = spelling.next() {
            match byte {
                b'#' => match (spelling.next().and_then(hexadecimal), spelling.next().and_then(hexadecimal)) {
                    (Some(high), Some(low)) => name.push(high << 4 | low),
                    _ => return self.fault("a name is misspelt"),
                },
                byte => name.push(*byte),
            }
        }
        Ok(name)
    }

    fn hexadecimal_text(&mut self) -> Result<Vec<u8>, Fault> {
        self.at += 1;
        let spelling = self.run(|byte| byte != b'>');
        let Some(digits) =
            spelling.iter().filter(|byte| !is_space(**byte)).map(hexadecimal).collect::<Option<Vec<_>>>()
        else {
            return self.fault("a text is misspelt");
        };
        self.take(1)?;
        Ok(digits.chunks(2).map(|pair| pair[0] << 4 | pair.get(1).unwrap_or(&0)).collect())
    }

    fn literal_text(&mut self) -> Result<Vec<u8>, Fault> {
        self.at += 1;
        let mut text = Vec::new();
        let mut open = 0;
        loop {
            match self.take(1)?[0] {
                b')' if open == 0 => return Ok(text),
                b'\\' => self.escape(&mut text)?,
                b'\r' => {
                    self.accept(b"\n");
                    text.push(b'\n');
                }
                byte => {
                    open += i32::from(byte == b'(') - i32::from(byte == b')');
                    text.push(byte);
                }
            }
        }
    }

    fn escape(&mut self, text: &mut Vec<u8>) -> Result<(), Fault> {
        let byte = self.take(1)?[0];
        text.push(match byte {
            b'n' => b'\n',
            b'r' => b'\r',
            b't' => b'\t',
            b'b' => 8,
            b'f' => 12,
            b'0'..=b'7' => {
                let mut code = u32::from(byte - b'0');
                for _ in 0..2 {
                    if let Some(digit @ b'0'..=b'7') = self.peek() {
                        code = code << 3 | u32::from(digit - b'0');
                        self.at += 1;
                    }
                }
                // What does not fit into a byte is cut off.
                code as u8
            }
            // A line that goes on.
            b'\n' => return Ok(()),
            b'\r' => {
                self.accept(b"\n");
                return Ok(());
            }
            byte => byte,
        });
        Ok(())
    }

    fn number_or_reference(&mut self) -> Result<Object, Fault> {
        let start = self.at;
        if let Ok(number) = self.unsigned()
            && let Ok(generation) = self.unsigned()
            && self.accept_keyword("R")
        {
            return Ok(Object::Reference((number, generation)));
        }
        self.at = start;
        let spelling = self.run(is_regular);
        let digits = spelling.strip_prefix(b"-").or(spelling.strip_prefix(b"+")).unwrap_or(spelling);
        let points = digits.iter().filter(|byte| **byte == b'.').count();
        let count = digits.iter().filter(|byte| byte.is_ascii_digit()).count();
        if count == 0 || points > 1 || count + points != digits.len() {
            return self.fault("a number is misspelt");
        }
        if points == 1 {
            return Ok(Object::Real(spelling.to_vec()));
        }
        match std::str::from_utf8(spelling).ok().and_then(|spelling| spelling.parse().ok()) {
            Some(number) => Ok(Object::Integer(number)),
            None => self.fault("a number is too large"),
        }
    }

    fn rest(&self) -> &'a [u8] {
        self.bytes.get(self.at..).unwrap_or_default()
    }

    fn peek(&self) -> Option<u8> {
        self.rest().first().copied()
    }

    fn run(&mut self, belongs: impl Fn(u8) -> bool) -> &'a [u8] {
        let rest = self.rest();
        let length = rest.iter().position(|byte| !belongs(*byte)).unwrap_or(rest.len());
        self.at += length;
        &rest[..length]
    }
}

fn is_space(byte: u8) -> bool {
    matches!(byte, 0 | b'\t' | b'\n' | 12 | b'\r' | b' ')
}

fn is_regular(byte: u8) -> bool {
    !is_space(byte) && !b"()<>[]{}/%".contains(&byte)
}

fn hexadecimal(byte: &u8) -> Option<u8> {
    char::from(*byte).to_digit(16).map(|digit| digit as u8)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(text: &str) -> Result<Object, Fault> {
        Reader::new(text.as_bytes(), 0).object()
    }

    #[test]
    fn objects_are_read_as_they_are_spelt() {
        let text = "<< /A#20b [ 1 -2 +3 4. -.50 6 0 R true false null ] % comment\n/C(a\\(b\\)(c)\\101\\\nd\r\ne)/D<4 1 4>/E/>>";
        let expected = "<</A#20b[1 -2 3 4. -.50 6 0 R true false null]/C(a\\(b\\)\\(c\\)Ad\ne)/D(A@)/E/>>";
        let read = read(text).expect("sound");
        assert_eq!(String::from_utf8_lossy(&read.serialize()), expected);
    }

    #[test]
    fn what_is_misspelt_is_refused() {
        for text in [
            "",
            "<</A>>",
            "<<1 2>>",
            "[1",
            "(a",
            "<4x>",
            "<41",
            "/#4",
            "1-2",
            "--1",
            ".",
            "1.2.3",
            "nul",
            "truer",
            "<</A 1/A 2>>",
        ] {
            assert!(read(text).is_err(), "{text}");
        }
        assert!(read(&"9".repeat(30)).is_err());
        assert!(read(&"[".repeat(100_000)).is_err());
        assert!(read(&format!("{}{}", "[".repeat(60), "]".repeat(60))).is_ok());
    }

    fn any_object() -> impl Strategy<Value = Object> {
        let bytes = || prop::collection::vec(any::<u8>(), 0..12);
        let leaf = prop_oneof![
            Just(Object::Null),
            any::<bool>().prop_map(Object::Boolean),
            any::<i64>().prop_map(Object::Integer),
            "-?[0-9]{1,9}\\.[0-9]{0,9}".prop_map(|spelling| Object::Real(spelling.into_bytes())),
            bytes().prop_map(Object::Name),
            bytes().prop_map(Object::Text),
            any::<(u32, u16)>().prop_map(Object::Reference),
        ];
        leaf.prop_recursive(4, 40, 6, move |inner| {
            let entries = prop::collection::btree_map(bytes(), inner.clone(), 0..6);
            prop_oneof![
                prop::collection::vec(inner, 0..6).prop_map(Object::Array),
                entries.prop_map(|entries| {
                    let mut dictionary = Dictionary::default();
                    for (key, value) in entries {
                        dictionary.insert(key, value);
                    }
                    Object::Dictionary(dictionary)
                }),
            ]
        })
    }

    proptest! {
        #[test]
        fn what_is_written_reads_the_same(object in any_object()) {
            let written = object.serialize();
            prop_assert_eq!(Reader::new(&written, 0).object().expect("sound"), object);
        }
    }
}
