//! Lines and quotation marks of CSV text, followed byte by byte with the rules that `csv-core` reads by. Its reader takes any
//! text and says nothing of a quotation mark that swallows the rows after it.

/// Where in a CSV text one stands.
#[derive(Debug)]
pub(crate) struct Trail {
    separator: u8,
    /// The line, from 1.
    pub(crate) line: u64,
    place: Place,
    after_return: bool,
    /// The line of the quotation mark that opened the last field in quotes.
    opened: u64,
    stray: Option<u64>,
}

/// Where in a field one stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    Start,
    /// Within a field without quotes, where a quotation mark is text.
    Plain,
    Quoted,
    /// After a quotation mark within quotes: it closes them, unless another one follows.
    Closed,
}

impl Trail {
    pub(crate) fn new(separator: u8) -> Self {
        Self { separator, line: 1, place: Place::Start, after_return: false, opened: 1, stray: None }
    }

    /// Goes on to the end of `text`.
    pub(crate) fn follow(&mut self, text: &[u8]) {
        for byte in text {
            self.count(*byte);
            self.step(*byte);
        }
    }

    /// The line of a quotation mark that is open here.
    pub(crate) fn open(&self) -> Option<u64> {
        (self.place == Place::Quoted).then_some(self.opened)
    }

    /// The line of the first quotation mark since the last call that opened a field which goes on after the closing one.
    pub(crate) fn take_stray(&mut self) -> Option<u64> {
        self.stray.take()
    }

    /// A line ends with `\n`, `\r` or both.
    fn count(&mut self, byte: u8) {
        self.line += u64::from(byte == b'\r' || (byte == b'\n' && !self.after_return));
        self.after_return = byte == b'\r';
    }

    fn step(&mut self, byte: u8) {
        let ends = byte == self.separator || byte == b'\r' || byte == b'\n';
        self.place = match (self.place, byte) {
            (Place::Start, b'"') => {
                self.opened = self.line;
                Place::Quoted
            }
            (Place::Quoted, b'"') => Place::Closed,
            (Place::Quoted, _) | (Place::Closed, b'"') => Place::Quoted,
            _ if ends => Place::Start,
            (Place::Closed, _) => {
                self.stray.get_or_insert(self.opened);
                Place::Plain
            }
            (Place::Start | Place::Plain, _) => Place::Plain,
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn followed(text: &str) -> Trail {
        let mut trail = Trail::new(b',');
        trail.follow(text.as_bytes());
        trail
    }

    #[test]
    fn a_line_ends_in_one_of_three_ways() {
        for (text, line) in [("a\nb\n", 3), ("a\rb\r", 3), ("a\r\nb\r\n", 3), ("\n\r", 3), ("\"\r\r\n\"", 3), ("", 1)] {
            assert_eq!(followed(text).line, line, "{text:?}");
        }
    }

    #[test]
    fn a_quotation_mark_opens_at_the_start_of_a_field_alone() {
        for (text, open) in [
            ("5\" pipe,1", None),
            ("a,\"b", Some(1)),
            ("\"a\nb\",\"c\nd", Some(2)),
            ("\"a\"\"", Some(1)),
            ("\"a\"\"\"", None),
            ("\"\"", None),
            ("a\r\"", Some(2)),
        ] {
            assert_eq!(followed(text).open(), open, "{text:?}");
        }
    }

    #[test]
    fn text_after_a_closing_quotation_mark_is_astray() {
        for (text, stray) in [
            ("\"a\",\"b\"\n\"c\"\r\n", None),
            ("\"a\"\"b\"", None),
            ("a\n\"5\" pipe\"\n", Some(2)),
            ("\"see\nb,2,\"x\"\n", Some(1)),
            ("a\"b\"c", None),
        ] {
            assert_eq!(followed(text).take_stray(), stray, "{text:?}");
        }
    }
}
