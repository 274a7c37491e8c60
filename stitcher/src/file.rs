//! A whole PDF as a set of objects, also those in object streams. Other streams stay where they are, compressed.

use std::collections::BTreeMap;

use crate::error::Fault;
use crate::filter::decode;
use crate::object::{Dictionary, Object, ObjectId};
use crate::syntax::Reader;
use crate::xref::{self, Place, Places};

/// References that lead to a reference that leads to …
const MAX_HOPS: usize = 8;

/// An object: a value, which is the dictionary if it is a stream, and the stream's content.
#[derive(Debug)]
pub(crate) struct Stored<'a> {
    pub(crate) value: Object,
    pub(crate) content: Option<&'a [u8]>,
}

/// A PDF, taken apart.
pub(crate) struct File<'a> {
    /// `1.7` or the like.
    pub(crate) version: String,
    pub(crate) trailer: Dictionary,
    pub(crate) objects: BTreeMap<ObjectId, Stored<'a>>,
}

impl<'a> File<'a> {
    pub(crate) fn read(bytes: &'a [u8]) -> Result<Self, Fault> {
        let version = version(bytes)?;
        let (places, trailer) = xref::read(bytes)?;
        if trailer.has("Encrypt") {
            return Err(Fault::Unsupported("a password".to_owned()));
        }
        let mut objects = BTreeMap::new();
        let mut packed: BTreeMap<u32, Vec<(u32, usize)>> = BTreeMap::new();
        for (number, place) in &places {
            match *place {
                Place::Free => {}
                Place::At { offset, generation } => {
                    let id = (*number, generation);
                    objects.insert(id, read_at(bytes, offset, id, &places)?);
                }
                Place::Packed { stream, index } => packed.entry(stream).or_default().push((*number, index)),
            }
        }
        for (stream, numbers) in packed {
            let container = objects.get(&(stream, 0)).ok_or_else(|| missing((stream, 0)))?;
            let unpacked = unpack(container, &numbers)?;
            objects.extend(unpacked.into_iter().map(|(number, value)| ((number, 0), Stored { value, content: None })));
        }
        Ok(File { version, trailer, objects })
    }

    /// The object itself, or the one it refers to.
    pub(crate) fn resolve<'b>(&'b self, object: &'b Object) -> Result<&'b Object, Fault> {
        let mut object = object;
        for _ in 0..MAX_HOPS {
            match object {
                Object::Reference(id) => object = &self.stored(*id)?.value,
                object => return Ok(object),
            }
        }
        Err(Fault::corrupt("a reference leads round and round"))
    }

    /// The value of an entry of a dictionary.
    pub(crate) fn entry<'b>(&'b self, dictionary: &'b Dictionary, key: &str) -> Result<Option<&'b Object>, Fault> {
        dictionary.get(key).map(|value| self.resolve(value)).transpose()
    }

    pub(crate) fn stored(&self, id: ObjectId) -> Result<&Stored<'a>, Fault> {
        self.objects.get(&id).ok_or_else(|| missing(id))
    }
}

pub(crate) fn missing((number, generation): ObjectId) -> Fault {
    Fault::corrupt(format!("object {number} {generation} is referred to, but not there"))
}

fn version(bytes: &[u8]) -> Result<String, Fault> {
    match bytes.get(..8) {
        Some([b'%', b'P', b'D', b'F', b'-', major @ b'1'..=b'9', b'.', minor @ b'0'..=b'9']) => {
            Ok(format!("{}.{}", char::from(*major), char::from(*minor)))
        }
        _ => Err(Fault::corrupt("it does not begin with %PDF")),
    }
}

/// The object at an offset, which has to be the one that is expected there.
pub(crate) fn read_at<'a>(bytes: &'a [u8], offset: usize, id: ObjectId, places: &Places) -> Result<Stored<'a>, Fault> {
    let mut reader = Reader::new(bytes, offset);
    let found = (reader.unsigned()?, reader.unsigned()?);
    reader.keyword("obj")?;
    if found != id {
        return reader.fault(&format!("object {} is not there, but object {}", id.0, found.0));
    }
    let value = reader.object()?;
    if !reader.accept_keyword("stream") {
        reader.keyword("endobj")?;
        return Ok(Stored { value, content: None });
    }
    if !reader.accept(b"\r\n") && !reader.accept(b"\n") {
        return reader.fault("a stream does not begin with a line feed");
    }
    let length = length(value.dictionary()?, bytes, places)?;
    let content = reader.take(length)?;
    reader.keyword("endstream")?;
    reader.keyword("endobj")?;
    Ok(Stored { value, content: Some(content) })
}

/// How long a stream is. That may be an object of its own, which is not a stream and not in one.
fn length(dictionary: &Dictionary, bytes: &[u8], places: &Places) -> Result<usize, Fault> {
    let length = match dictionary.get("Length") {
        Some(Object::Reference((number, _))) => {
            let Some(Place::At { offset, .. }) = places.get(number) else { return Err(missing((*number, 0))) };
            let mut reader = Reader::new(bytes, *offset);
            reader.unsigned::<u32>()?;
            reader.unsigned::<u16>()?;
            reader.keyword("obj")?;
            reader.object()?.integer()
        }
        length => length.and_then(Object::integer),
    };
    let length = length.and_then(|length| usize::try_from(length).ok());
    length.ok_or_else(|| Fault::corrupt("a stream has no length"))
}

/// The objects with these numbers and indices in an object stream.
fn unpack(container: &Stored<'_>, wanted: &[(u32, usize)]) -> Result<Vec<(u32, Object)>, Fault> {
    let content = decode(container)?;
    let entry = |key| {
        let value = container.value.dictionary()?.get(key).and_then(Object::integer);
        let value = value.and_then(|value| usize::try_from(value).ok()).filter(|value| *value <= content.len());
        value.ok_or_else(|| Fault::corrupt("an object stream has no index"))
    };
    let (count, first) = (entry("N")?, entry("First")?);
    let mut reader = Reader::new(&content, 0);
    let mut index = Vec::new();
    for _ in 0..count {
        index.push((reader.unsigned::<u32>()?, reader.unsigned::<u32>()? as usize));
    }
    let mut objects = Vec::with_capacity(wanted.len());
    for (number, at) in wanted {
        match index.get(*at) {
            Some((found, offset)) if found == number => {
                objects.push((*number, Reader::new(&content, first + offset).object()?));
            }
            _ => return Err(missing((*number, 0))),
        }
    }
    Ok(objects)
}
