//! Where in a JSON text the parts stand that faults speak of: a second look, taken only when there are faults.

use std::cell::Cell;
use std::fmt;
use std::io::{self, Read};
use std::rc::Rc;

use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

use crate::fault::Fault;

/// Gives each fault that has no line the line and column at which its part begins, or the nearest part around it. `line` is
/// that of the text's beginning.
pub(crate) fn locate(text: impl Read, line: u64, faults: &mut [Fault]) {
    let place = Rc::new(Cell::new(Place { line, column: 0, ended: false, value: None }));
    let mut wanted: Vec<_> = faults.iter().map(|fault| Wanted { path: path(&fault.pointer), found: None }).collect();
    let mut each: Vec<_> = wanted.iter_mut().map(|wanted| (wanted.path.as_slice(), &mut wanted.found)).collect();
    let look = Look { wanted: &mut each, place: place.clone() };
    let text = Counted { reader: text, place };
    // Where the text ends early, what was found until then is what is known.
    _ = look.deserialize(&mut serde_json::Deserializer::from_reader(text));
    let found: Vec<_> = wanted.into_iter().map(|wanted| wanted.found).collect();
    for (fault, place) in faults.iter_mut().zip(found) {
        if let Some((line, column)) = place.filter(|_| fault.line.is_none()) {
            (fault.line, fault.column) = (Some(line), Some(column));
        }
    }
}

struct Wanted {
    path: Vec<String>,
    found: Option<(u64, u64)>,
}

fn path(pointer: &str) -> Vec<String> {
    let tokens = pointer.split('/').skip(1);
    tokens.map(|token| token.replace("~1", "/").replace("~0", "~")).collect()
}

/// How far a text has been read.
#[derive(Clone, Copy)]
struct Place {
    line: u64,
    column: u64,
    ended: bool,
    /// Where the value begins that comes after a name; nothing until its first byte is read.
    value: Option<(u64, u64)>,
}

struct Counted<R> {
    reader: R,
    place: Rc<Cell<Place>>,
}

impl<R: Read> Read for Counted<R> {
    /// One byte at a time, so that the place is the parser's own.
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let Some(byte) = buffer.get_mut(..1) else { return Ok(0) };
        let bytes = self.reader.read(byte)?;
        let mut place = self.place.get();
        if bytes == 1 {
            if place.ended {
                place = Place { line: place.line + 1, column: 0, ended: false, ..place };
            }
            place.column += 1;
            place.ended = byte[0] == b'\n';
            if place.value.is_none() && !b":, \t\r\n".contains(&byte[0]) {
                place.value = Some((place.line, place.column));
            }
        }
        self.place.set(place);
        Ok(bytes)
    }
}

/// A part that is wanted: the way to it, and where it was found.
type Sought<'a> = (&'a [String], &'a mut Option<(u64, u64)>);

/// Looks for parts of the value that comes next.
struct Look<'a, 'b> {
    wanted: &'a mut [Sought<'b>],
    place: Rc<Cell<Place>>,
}

impl<'b> Look<'_, 'b> {
    /// Notes where the value begins, for each part of it.
    fn begins(&mut self, place: Option<(u64, u64)>) {
        for (_, found) in &mut *self.wanted {
            **found = place.or(**found);
        }
    }

    /// Those parts that are below the member `name`.
    fn below<'c>(&'c mut self, name: &str) -> Vec<Sought<'c>> {
        let below = self.wanted.iter_mut().filter_map(|(path, found)| {
            let (first, deeper) = path.split_first()?;
            (first == name).then_some((deeper, &mut **found))
        });
        below.collect()
    }
}

impl<'de> DeserializeSeed<'de> for Look<'_, '_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

/// A value without parts: its beginning is all there is to find.
macro_rules! scalars {
    ($($visit:ident: $type:ty),*) => {
        $(fn $visit<E>(mut self, _: $type) -> Result<(), E> {
            self.begins(self.place.get().value);
            Ok(())
        })*
    };
}

impl<'de> Visitor<'de> for Look<'_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    scalars!(visit_bool: bool, visit_i64: i64, visit_u64: u64, visit_f64: f64, visit_str: &str);

    fn visit_unit<E>(mut self) -> Result<(), E> {
        self.begins(self.place.get().value);
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut map: A) -> Result<(), A::Error> {
        self.begins(self.place.get().value);
        while let Some(name) = map.next_key::<String>()? {
            let place = self.place.clone();
            place.set(Place { value: None, ..place.get() });
            let mut below = self.below(&name);
            if below.is_empty() {
                _ = map.next_value::<IgnoredAny>()?;
            } else {
                map.next_value_seed(Look { wanted: &mut below, place })?;
            }
        }
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut seq: A) -> Result<(), A::Error> {
        self.begins(self.place.get().value);
        for index in 0_usize.. {
            let place = self.place.clone();
            place.set(Place { value: None, ..place.get() });
            let mut below = self.below(&index.to_string());
            let element = if below.is_empty() {
                seq.next_element::<IgnoredAny>()?.map(|_| ())
            } else {
                seq.next_element_seed(Look { wanted: &mut below, place })?
            };
            if element.is_none() {
                break;
            }
        }
        Ok(())
    }
}
