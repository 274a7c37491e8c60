//! JSON values as `jsonschema` reads them, each look at one counted against the [budget](crate::budget) of its check.

use std::borrow::Cow;
use std::{ptr, slice};

use jsonschema::JsonType;
use jsonschema::json::{self, Array, Json, NodeIdentity, Object, cmp, unique};
use serde_json::{Map, Number, Value, map};

use crate::budget::Meter;
use crate::comparison::{are_unique, equal};

/// What stands for a value that is not shown any more.
static HIDDEN: Value = Value::Null;

/// Whether an error is about a value that was [not shown](Meter::is_full), and so perhaps about nothing.
pub(crate) fn is_hidden(value: &Value) -> bool {
    ptr::eq(value, &HIDDEN)
}

/// `serde_json` values that are counted.
pub(crate) struct Counted;

/// A value, and what counts looks at it. A property's name has no meter: its object was counted.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Node<'a> {
    value: &'a Value,
    meter: Option<&'a Meter<'a>>,
    is_root: bool,
}

impl<'a> Node<'a> {
    /// The whole of the data.
    pub(crate) fn root(value: &'a Value, meter: &'a Meter<'a>) -> Self {
        Self { value, meter: Some(meter), is_root: true }
    }

    fn part(self, value: &'a Value) -> Self {
        Self { value, is_root: false, ..self }
    }

    /// The value, unless it is not shown any more.
    fn look(&self) -> Option<&'a Value> {
        let Some(meter) = self.meter else { return Some(self.value) };
        meter.step();
        (!meter.is_full()).then_some(self.value)
    }

    fn read_for_patterns(&self, text: &str) {
        if let Some(meter) = self.meter {
            meter.read_for_patterns(text.len());
        }
    }
}

impl Json for Counted {
    type Node<'a> = Node<'a>;
    type PreparedKey = String;
    type StringBuffer = Value;

    const KEYS_PER_LOOKUP: usize = 2;

    fn prepare_key(key: &str) -> String {
        key.to_owned()
    }

    fn with_string_node<T>(buffer: &mut Value, string: &str, f: impl FnOnce(Node<'_>) -> T) -> T {
        if let Value::String(text) = buffer {
            text.clear();
            text.push_str(string);
        } else {
            *buffer = Value::String(string.to_owned());
        }
        f(Node { value: buffer, meter: None, is_root: false })
    }
}

impl<'a> json::Node<'a, Counted> for Node<'a> {
    type Object = Members<'a>;
    type Array = Elements<'a>;
    type Number = &'a Number;

    fn as_object(&self) -> Option<Members<'a>> {
        let Value::Object(members) = self.look()? else { return None };
        Some(Members { members, of: *self })
    }

    fn as_array(&self) -> Option<Elements<'a>> {
        let Value::Array(elements) = self.look()? else { return None };
        Some(Elements { elements, of: *self })
    }

    fn as_string(&self) -> Option<Cow<'a, str>> {
        let text = self.look()?.as_str()?;
        self.read_for_patterns(text);
        Some(Cow::Borrowed(text))
    }

    fn as_number(&self) -> Option<&'a Number> {
        self.look()?.as_number()
    }

    fn as_boolean(&self) -> Option<bool> {
        self.look()?.as_bool()
    }

    fn is_null(&self) -> bool {
        self.look().is_none_or(Value::is_null)
    }

    fn json_type(&self) -> JsonType {
        match self.look() {
            None | Some(Value::Null) => JsonType::Null,
            Some(Value::Bool(_)) => JsonType::Boolean,
            Some(Value::Number(_)) => JsonType::Number,
            Some(Value::String(_)) => JsonType::String,
            Some(Value::Array(_)) => JsonType::Array,
            Some(Value::Object(_)) => JsonType::Object,
        }
    }

    fn string_length(&self) -> Option<u64> {
        let text = self.look()?.as_str()?;
        if let Some(meter) = self.meter {
            meter.read(text.len());
        }
        Some(text.chars().count() as u64)
    }

    fn equals_value(&self, expected: &Value) -> bool {
        match self.meter {
            Some(meter) => self.look().is_some_and(|value| equal(value, expected, meter)),
            None => cmp::equal(self.value, expected),
        }
    }

    fn to_value(&self) -> Cow<'a, Value> {
        let Some(meter) = self.meter else { return Cow::Borrowed(self.value) };
        // An error about an object may quote its names.
        let names = self.value.as_object().into_iter().flat_map(Map::keys);
        meter.error(names.map(|name| name.len() + size_of::<String>()).sum());
        meter.step();
        // The root is where an error of a pattern looks for its value.
        Cow::Borrowed(if meter.is_full() && !self.is_root { &HIDDEN } else { self.value })
    }

    fn identity(&self) -> Option<NodeIdentity> {
        // References may be followed from one to the next without a look at the value.
        if let Some(meter) = self.meter {
            meter.step();
        }
        Some(NodeIdentity::new(ptr::from_ref(self.value).addr()))
    }
}

/// An object.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Members<'a> {
    members: &'a Map<String, Value>,
    of: Node<'a>,
}

impl<'a> Object<'a, Counted> for Members<'a> {
    type Node = Node<'a>;
    type MemberName = &'a str;
    type MembersIter = MembersIter<'a>;

    fn len(&self) -> usize {
        self.members.len()
    }

    fn get(&self, key: &String) -> Option<Node<'a>> {
        self.of.look()?;
        self.members.get(key).map(|value| self.of.part(value))
    }

    fn members(&self) -> MembersIter<'a> {
        MembersIter { each: self.members.iter(), of: self.of }
    }
}

/// An object's members.
pub(crate) struct MembersIter<'a> {
    each: map::Iter<'a>,
    of: Node<'a>,
}

impl<'a> Iterator for MembersIter<'a> {
    type Item = (&'a str, Node<'a>);

    fn next(&mut self) -> Option<Self::Item> {
        self.of.look()?;
        let (name, value) = self.each.next()?;
        // Names are held against patterns too.
        self.of.read_for_patterns(name);
        Some((name, self.of.part(value)))
    }
}

/// An array.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Elements<'a> {
    elements: &'a [Value],
    of: Node<'a>,
}

impl<'a> Array<'a, Counted> for Elements<'a> {
    type Node = Node<'a>;
    type ElementsIter = ElementsIter<'a>;

    fn len(&self) -> usize {
        self.elements.len()
    }

    fn elements(&self) -> ElementsIter<'a> {
        ElementsIter { each: self.elements.iter(), of: self.of }
    }

    fn is_unique(&self) -> bool {
        match self.of.meter {
            Some(meter) => are_unique(self.elements, meter),
            None => unique::is_unique(self.elements),
        }
    }
}

/// An array's elements.
pub(crate) struct ElementsIter<'a> {
    each: slice::Iter<'a, Value>,
    of: Node<'a>,
}

impl<'a> Iterator for ElementsIter<'a> {
    type Item = Node<'a>;

    fn next(&mut self) -> Option<Node<'a>> {
        self.of.look()?;
        self.each.next().map(|value| self.of.part(value))
    }
}
