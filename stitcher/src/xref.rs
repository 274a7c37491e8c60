//! Where objects are: cross-reference tables and streams.

use std::collections::{BTreeMap, HashSet};

use crate::error::Fault;
use crate::file::read_at;
use crate::filter::decode;
use crate::object::{Dictionary, Object};
use crate::syntax::Reader;

/// `startxref` is in the last bytes of a file.
const END: usize = 1024;

/// Where the cross-references say an object is.
#[derive(Clone, Copy)]
pub(crate) enum Place {
    Free,
    At { offset: usize, generation: u16 },
    Packed { stream: u32, index: usize },
}

/// The place of each object, by number.
pub(crate) type Places = BTreeMap<u32, Place>;

/// Where the objects of a file are, and its trailer.
pub(crate) fn read(bytes: &[u8]) -> Result<(Places, Dictionary), Fault> {
    let end = &bytes[bytes.len().saturating_sub(END)..];
    let at = end.windows(9).rposition(|window| window == b"startxref");
    let at = at.ok_or_else(|| Fault::corrupt("it does not say where its objects are"))?;
    let mut next: Option<usize> = Some(Reader::new(end, at + 9).unsigned()?);
    let mut references = CrossReferences { bytes, places: BTreeMap::new() };
    let mut newest = None;
    let mut seen = HashSet::new();
    while let Some(offset) = next {
        if !seen.insert(offset) {
            return Err(Fault::corrupt("its cross-references lead round and round"));
        }
        let trailer = references.section(offset)?;
        if trailer.has("XRefStm") {
            return Err(Fault::Unsupported("two kinds of cross-references".to_owned()));
        }
        next = trailer.get("Prev").and_then(Object::integer).and_then(|offset| usize::try_from(offset).ok());
        newest.get_or_insert(trailer);
    }
    let trailer = newest.ok_or_else(|| Fault::corrupt("it has no trailer"))?;
    Ok((references.places, trailer))
}

/// The cross-references read so far, the newest first: an older one says nothing about an object already known.
struct CrossReferences<'a> {
    bytes: &'a [u8],
    places: Places,
}

impl CrossReferences<'_> {
    fn section(&mut self, offset: usize) -> Result<Dictionary, Fault> {
        let mut reader = Reader::new(self.bytes, offset);
        if reader.accept_keyword("xref") { self.table(reader) } else { self.stream(offset) }
    }

    fn table(&mut self, mut reader: Reader<'_>) -> Result<Dictionary, Fault> {
        while !reader.accept_keyword("trailer") {
            let (first, count): (u32, u32) = (reader.unsigned()?, reader.unsigned()?);
            for number in (0..count).map(|index| first.saturating_add(index)) {
                let (offset, generation) = (reader.unsigned()?, reader.unsigned()?);
                let place = if reader.accept_keyword("n") {
                    Place::At { offset, generation }
                } else {
                    reader.keyword("f")?;
                    Place::Free
                };
                self.places.entry(number).or_insert(place);
            }
        }
        Ok(reader.object()?.dictionary()?.clone())
    }

    fn stream(&mut self, offset: usize) -> Result<Dictionary, Fault> {
        let mut reader = Reader::new(self.bytes, offset);
        let id = (reader.unsigned()?, reader.unsigned()?);
        let stored = read_at(self.bytes, offset, id, &BTreeMap::new())?;
        let content = decode(&stored)?;
        let dictionary = stored.value.dictionary()?;
        let unsigned = |value: &Object| value.integer().and_then(|value| u32::try_from(value).ok());
        let list = |key| match dictionary.get(key) {
            Some(Object::Array(items)) => items.iter().map(unsigned).collect::<Option<Vec<u32>>>(),
            _ => None,
        };
        let widths =
            list("W").filter(|widths| widths.len() == 3 && widths[1] > 0 && widths.iter().all(|width| *width <= 8));
        let size = dictionary.get("Size").and_then(unsigned);
        let (Some(widths), Some(size)) = (widths, size) else {
            return Err(Fault::corrupt("a cross-reference stream has no form"));
        };
        let mut rows = Reader::new(&content, 0);
        for range in list("Index").unwrap_or_else(|| vec![0, size]).chunks_exact(2) {
            for number in (0..range[1]).map(|index| range[0].saturating_add(index)) {
                let place = row(&mut rows, &widths)?;
                self.places.entry(number).or_insert(place);
            }
        }
        Ok(dictionary.clone())
    }
}

/// One row of a cross-reference stream.
fn row(rows: &mut Reader<'_>, widths: &[u32]) -> Result<Place, Fault> {
    let mut field = |width: u32, missing: u64| -> Result<u64, Fault> {
        let bytes = rows.take(width as usize)?;
        Ok(if bytes.is_empty() { missing } else { bytes.iter().fold(0, |value, byte| value << 8 | u64::from(*byte)) })
    };
    let (kind, second, third) = (field(widths[0], 1)?, field(widths[1], 0)?, field(widths[2], 0)?);
    let too_large = |_| Fault::corrupt("a cross-reference is too large");
    Ok(match kind {
        0 => Place::Free,
        1 => Place::At {
            offset: usize::try_from(second).map_err(too_large)?,
            generation: u16::try_from(third).map_err(too_large)?,
        },
        2 => Place::Packed {
            stream: u32::try_from(second).map_err(too_large)?,
            index: usize::try_from(third).map_err(too_large)?,
        },
        _ => return Err(Fault::corrupt("a cross-reference is of no known kind")),
    })
}
