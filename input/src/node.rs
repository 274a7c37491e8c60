//! JSON values as `jsonschema` reads them, each look at one counted against the [budget](crate::budget) of its check.

use std::borrow::Cow;
use std::sync::Arc;
use std::{ptr, slice};

use jsonschema::JsonType;
use jsonschema::json::{self, Array, Json, NodeIdentity, Object};
use serde_json::{Map, Number, Value, map};

use crate::budget::{Budget, Meter};
use crate::comparison::{are_unique, equal};

/// What stands for a value that is not shown any more.
static HIDDEN: Value = Value::Null;

/// Whether an error is about a value that was [not shown](Meter::is_full), and so perhaps about nothing.
pub(crate) fn is_hidden(value: &Value) -> bool {
    ptr::eq(value, &HIDDEN)
}

/// `serde_json` values that are counted.
pub(crate) struct Counted;

/// A value, and what counts looks at it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Node<'a> {
    value: &'a Value,
    meter: &'a Meter,
    is_root: bool,
}

impl<'a> Node<'a> {
    /// The whole of the data.
    pub(crate) fn root(value: &'a Value, meter: &'a Meter) -> Self {
        Self { value, meter, is_root: true }
    }

    fn part(self, value: &'a Value) -> Self {
        Self { value, is_root: false, ..self }
    }

    /// The value, unless it is not shown any more.
    fn look(&self) -> Option<&'a Value> {
        self.meter.step();
        (!self.meter.is_full()).then_some(self.value)
    }

    /// The text that the value is, for one who counts the reading of it by the meter.
    pub(crate) fn text(&self) -> Option<(&'a str, &'a Meter)> {
        Some((self.look()?.as_str()?, self.meter))
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
        // Only a check asks for names.
        let meter = Meter::running().unwrap_or_else(|| Meter::new(&Budget::default(), &Arc::default()));
        f(Node { value: buffer, meter: &meter, is_root: false })
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
        let (text, meter) = self.text()?;
        meter.read(text.len());
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
        let (text, meter) = self.text()?;
        meter.read(text.len());
        Some(text.chars().count() as u64)
    }

    fn equals_value(&self, expected: &Value) -> bool {
        self.look().is_some_and(|value| equal(value, expected, self.meter))
    }

    fn to_value(&self) -> Cow<'a, Value> {
        // An error about an object may quote its names.
        let names = self.value.as_object().into_iter().flat_map(Map::keys);
        self.meter.error(names.map(|name| name.len() + size_of::<String>()).sum());
        self.meter.step();
        // The root is where an error of a pattern looks for its value.
        Cow::Borrowed(if self.meter.is_full() && !self.is_root { &HIDDEN } else { self.value })
    }

    fn identity(&self) -> Option<NodeIdentity> {
        // References may be followed from one to the next without a look at the value.
        self.meter.step();
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
        self.of.meter.read_name(name.len());
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
        are_unique(self.elements, self.of.meter)
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
