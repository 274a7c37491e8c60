//! The objects that PDF is made of, and how they stand in a file.

use crate::error::Fault;

/// An object's number and generation.
pub(crate) type ObjectId = (u32, u16);

/// An object that is not a stream.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Object {
    Null,
    Boolean(bool),
    Integer(i64),
    /// As it is spelt, so that no digit is lost on the way.
    Real(Vec<u8>),
    Name(Vec<u8>),
    Text(Vec<u8>),
    Array(Vec<Object>),
    Dictionary(Dictionary),
    Reference(ObjectId),
}

impl Object {
    /// A reference to an object of the report.
    pub(crate) fn to(number: u32) -> Self {
        Object::Reference((number, 0))
    }

    pub(crate) fn reference(&self) -> Option<ObjectId> {
        if let Object::Reference(id) = self { Some(*id) } else { None }
    }

    pub(crate) fn integer(&self) -> Option<i64> {
        if let Object::Integer(number) = self { Some(*number) } else { None }
    }

    pub(crate) fn name(&self) -> Option<&[u8]> {
        if let Object::Name(name) = self { Some(name) } else { None }
    }

    pub(crate) fn text(&self) -> Option<&[u8]> {
        if let Object::Text(text) = self { Some(text) } else { None }
    }

    pub(crate) fn array(&self) -> Result<&[Object], Fault> {
        if let Object::Array(items) = self { Ok(items) } else { Err(Fault::corrupt("an array is something else")) }
    }

    pub(crate) fn dictionary(&self) -> Result<&Dictionary, Fault> {
        if let Object::Dictionary(dictionary) = self {
            return Ok(dictionary);
        }
        Err(Fault::corrupt("a dictionary is something else"))
    }

    /// The object as it stands in a file.
    pub(crate) fn serialize(&self) -> Vec<u8> {
        let mut out = Vec::new();
        self.write(&mut out);
        out
    }

    fn write(&self, out: &mut Vec<u8>) {
        match self {
            Object::Null => out.extend_from_slice(b"null"),
            Object::Boolean(value) => out.extend_from_slice(if *value { b"true" } else { b"false" }),
            Object::Integer(number) => out.extend_from_slice(number.to_string().as_bytes()),
            Object::Real(spelling) => out.extend_from_slice(spelling),
            Object::Name(name) => write_name(name, out),
            Object::Text(text) => write_text(text, out),
            Object::Array(items) => {
                out.push(b'[');
                for (index, item) in items.iter().enumerate() {
                    if index > 0 {
                        out.push(b' ');
                    }
                    item.write(out);
                }
                out.push(b']');
            }
            Object::Dictionary(dictionary) => {
                out.extend_from_slice(b"<<");
                for (key, value) in dictionary.iter() {
                    write_name(key, out);
                    if !matches!(value, Object::Name(_) | Object::Text(_) | Object::Array(_) | Object::Dictionary(_)) {
                        out.push(b' ');
                    }
                    value.write(out);
                }
                out.extend_from_slice(b">>");
            }
            Object::Reference((number, generation)) => {
                out.extend_from_slice(format!("{number} {generation} R").as_bytes());
            }
        }
    }
}

fn write_name(name: &[u8], out: &mut Vec<u8>) {
    out.push(b'/');
    for byte in name {
        if byte.is_ascii_graphic() && !b"()<>[]{}/%#".contains(byte) {
            out.push(*byte);
        } else {
            out.extend_from_slice(format!("#{byte:02X}").as_bytes());
        }
    }
}

fn write_text(text: &[u8], out: &mut Vec<u8>) {
    out.push(b'(');
    for byte in text {
        match byte {
            b'(' | b')' | b'\\' => out.extend_from_slice(&[b'\\', *byte]),
            // A bare carriage return would be read as a line feed.
            b'\r' => out.extend_from_slice(b"\\r"),
            byte => out.push(*byte),
        }
    }
    out.push(b')');
}

/// Entries in the order they were written, which is kept. They are few, so they are searched one by one.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Dictionary(Vec<(Vec<u8>, Object)>);

impl Dictionary {
    pub(crate) fn get(&self, key: &str) -> Option<&Object> {
        self.iter().find(|(name, _)| *name == key.as_bytes()).map(|(_, value)| value)
    }

    pub(crate) fn has(&self, key: &str) -> bool {
        self.get(key).is_some()
    }

    /// Puts an entry in the place of the one with the same key, or at the end.
    pub(crate) fn set(&mut self, key: &str, value: Object) {
        match self.0.iter_mut().find(|(name, _)| name == key.as_bytes()) {
            Some((_, old)) => *old = value,
            None => self.0.push((key.as_bytes().to_vec(), value)),
        }
    }

    pub(crate) fn remove(&mut self, key: &str) {
        self.0.retain(|(name, _)| name != key.as_bytes());
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (&[u8], &Object)> {
        self.0.iter().map(|(name, value)| (name.as_slice(), value))
    }

    pub(crate) fn iter_mut(&mut self) -> impl Iterator<Item = (&[u8], &mut Object)> {
        self.0.iter_mut().map(|(name, value)| (name.as_slice(), value))
    }

    /// Adds an entry with a key that may be any bytes. Says whether the key is new.
    pub(crate) fn insert(&mut self, key: Vec<u8>, value: Object) -> bool {
        let new = self.0.iter().all(|(name, _)| *name != key);
        self.0.push((key, value));
        new
    }
}
