//! Which keywords of a schema can make a check take exponential time, as far as the schema alone tells.
//!
//! Such schemas are used all the same, and their checks are cut off when they spend their [budget](crate::Budget). Whoever
//! wrote the template should know before that happens.

use std::collections::HashMap;
use std::fmt;

use findings::escaped;
use serde_json::{Map, Value};

use crate::pattern;

/// Keywords with one subschema, and whether it applies to the value itself rather than to a part of it.
const ONE: [(&str, bool); 11] = [
    ("not", true),
    ("if", true),
    ("then", true),
    ("else", true),
    ("items", false),
    ("contains", false),
    ("additionalProperties", false),
    ("propertyNames", false),
    ("unevaluatedItems", false),
    ("unevaluatedProperties", false),
    ("contentSchema", false),
];

/// The same for those with an array of subschemas.
const LISTED: [(&str, bool); 4] = [("oneOf", true), ("anyOf", true), ("allOf", true), ("prefixItems", false)];

/// The same for those with subschemas by name.
const NAMED: [(&str, bool); 3] = [("dependentSchemas", true), ("properties", false), ("patternProperties", false)];

/// Keywords with subschemas that apply to nothing until something refers to them.
const KEPT: [&str; 2] = ["$defs", "definitions"];

/// A keyword that can make checks take exponential time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Costly {
    /// Where it stands in the schema, as a JSON Pointer (RFC 6901).
    pub pointer: String,
    /// What is costly about it, and what to do about it.
    pub reason: &'static str,
}

impl fmt::Display for Costly {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "schema.json at {}: {}", self.pointer, self.reason)
    }
}

/// Two branches that lead back to where they are.
const BRANCHES: &str = "two of its branches lead back to this schema, so that data of some depth may take too long to check and \
                        then is refused; tell the branches apart by a `const` outside of the recursion, or by `if`";

/// A pattern that is matched by trying.
const PATTERN: &str = "the pattern looks around or refers back within a repetition, so that some texts take too long to match \
                       and then are refused; write it without";

/// The costly keywords of a schema.
pub(crate) fn costly(schema: &Value) -> Vec<Costly> {
    let graph = Graph::of(schema);
    let branches = graph.doublings().into_iter().map(|pointer| Costly { pointer, reason: BRANCHES });
    let patterns = graph.costly_patterns().into_iter().map(|pointer| Costly { pointer, reason: PATTERN });
    branches.chain(patterns).collect()
}

/// What applies what: a schema and its subschemas.
#[derive(Default)]
struct Graph<'a> {
    schemas: Vec<Subschema<'a>>,
    by_pointer: HashMap<String, usize>,
    /// Those that have a name of their own, by their `$id`, or by `#` and their anchor.
    by_name: HashMap<String, Vec<usize>>,
}

struct Subschema<'a> {
    pointer: String,
    value: &'a Value,
    edges: Vec<Edge>,
}

/// A schema applies another.
struct Edge {
    keyword: &'static str,
    to: usize,
    /// To the value itself, not to a part of it.
    in_place: bool,
}

impl<'a> Graph<'a> {
    fn of(schema: &'a Value) -> Self {
        let mut graph = Self::default();
        graph.add(String::new(), schema);
        let mut at = 0;
        while at < graph.schemas.len() {
            graph.follow(schema, at);
            at += 1;
        }
        graph
    }

    /// Adds a schema and those in it.
    fn add(&mut self, pointer: String, value: &'a Value) -> usize {
        if let Some(known) = self.by_pointer.get(&pointer) {
            return *known;
        }
        let number = self.schemas.len();
        self.by_pointer.insert(pointer.clone(), number);
        self.schemas.push(Subschema { pointer: pointer.clone(), value, edges: Vec::new() });
        let Some(members) = value.as_object() else { return number };
        self.name(number, members);
        for (keyword, below, value, in_place) in applied(members) {
            let to = self.add(format!("{pointer}/{below}"), value);
            self.schemas[number].edges.push(Edge { keyword, to, in_place });
        }
        for keyword in KEPT {
            for (name, value) in members.get(keyword).and_then(Value::as_object).into_iter().flatten() {
                self.add(format!("{pointer}/{keyword}/{}", escaped(name)), value);
            }
        }
        number
    }

    fn name(&mut self, number: usize, members: &Map<String, Value>) {
        for (keyword, mark) in [("$id", ""), ("$anchor", "#"), ("$dynamicAnchor", "#")] {
            if let Some(name) = members.get(keyword).and_then(Value::as_str) {
                self.by_name.entry(format!("{mark}{name}")).or_default().push(number);
            }
        }
    }

    /// Adds what a schema refers to.
    fn follow(&mut self, whole: &'a Value, number: usize) {
        for keyword in ["$ref", "$dynamicRef"] {
            let reference = self.schemas[number].value.get(keyword).and_then(Value::as_str);
            let each = reference.map(|reference| self.meant(whole, reference)).unwrap_or_default();
            self.schemas[number].edges.extend(each.into_iter().map(|to| Edge { keyword, to, in_place: true }));
        }
    }

    /// What a reference may lead to.
    fn meant(&mut self, whole: &'a Value, reference: &str) -> Vec<usize> {
        if let Some(named) = self.by_name.get(reference) {
            return named.clone();
        }
        let (id, fragment) = reference.split_once('#').unwrap_or((reference, ""));
        let base = self.by_name.get(id).and_then(|named| named.first()).map_or(0, |number| *number);
        let pointer = format!("{}{}", self.schemas[base].pointer, decoded(fragment));
        whole.pointer(&pointer).map(|value| vec![self.add(pointer, value)]).unwrap_or_default()
    }

    /// The keywords by which a schema comes back to itself in two ways for one value.
    fn doublings(&self) -> Vec<String> {
        let mut sources = vec![Vec::new(); self.schemas.len()];
        for (number, schema) in self.schemas.iter().enumerate() {
            schema.edges.iter().for_each(|edge| sources[edge.to].push(number));
        }
        let doubling = |(number, schema): (usize, &Subschema<'_>)| {
            let in_place: Vec<_> = schema.edges.iter().filter(|edge| edge.in_place).collect();
            if in_place.len() < 2 {
                return None;
            }
            let leads_back = leading_to(number, &sources);
            let back: Vec<_> = in_place.iter().filter(|edge| leads_back[edge.to]).collect();
            let (first, others) = back.split_first()?;
            let keyword = first.keyword;
            let place =
                if others.iter().all(|edge| edge.keyword == keyword) { format!("/{keyword}") } else { String::new() };
            (!others.is_empty()).then(|| format!("{}{place}", schema.pointer))
        };
        self.schemas.iter().enumerate().filter_map(doubling).collect()
    }

    fn costly_patterns(&self) -> Vec<String> {
        let of = |schema: &Subschema<'a>| {
            let own = schema.value.get("pattern").and_then(Value::as_str).filter(|text| pattern::is_costly(text));
            let own = own.map(|_| format!("{}/pattern", schema.pointer));
            let named = schema.value.get("patternProperties").and_then(Value::as_object).into_iter().flatten();
            let named = named.filter(|(text, _)| pattern::is_costly(text));
            let named = named.map(|(text, _)| format!("{}/patternProperties/{}", schema.pointer, escaped(text)));
            own.into_iter().chain(named).collect::<Vec<_>>()
        };
        self.schemas.iter().flat_map(of).collect()
    }
}

/// The subschemas that a schema applies: keyword, pointer from the schema, subschema, and whether it applies in place.
fn applied(members: &Map<String, Value>) -> Vec<(&'static str, String, &Value, bool)> {
    let mut found = Vec::new();
    for (keyword, in_place) in ONE {
        found.extend(members.get(keyword).map(|value| (keyword, keyword.to_owned(), value, in_place)));
    }
    for (keyword, in_place) in LISTED {
        let each = members.get(keyword).and_then(Value::as_array).into_iter().flatten().enumerate();
        found.extend(each.map(|(index, value)| (keyword, format!("{keyword}/{index}"), value, in_place)));
    }
    for (keyword, in_place) in NAMED {
        let each = members.get(keyword).and_then(Value::as_object).into_iter().flatten();
        found.extend(each.map(|(name, value)| (keyword, format!("{keyword}/{}", escaped(name)), value, in_place)));
    }
    found
}

/// Which schemas lead to this one, given which ones apply each.
fn leading_to(number: usize, sources: &[Vec<usize>]) -> Vec<bool> {
    let (mut leads, mut left) = (vec![false; sources.len()], vec![number]);
    while let Some(at) = left.pop() {
        for source in &sources[at] {
            if !std::mem::replace(&mut leads[*source], true) {
                left.push(*source);
            }
        }
    }
    leads
}

/// A fragment of a URI as the pointer that it is.
fn decoded(fragment: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = fragment.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        let code = after.get(..2).filter(|_| *first == b'%').and_then(|code| std::str::from_utf8(code).ok());
        let code = code.and_then(|code| u8::from_str_radix(code, 16).ok());
        bytes.push(code.unwrap_or(*first));
        rest = if code.is_some() { &after[2..] } else { after };
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn pointers(schema: &Value) -> Vec<String> {
        costly(schema).into_iter().map(|costly| costly.pointer).collect()
    }

    #[test]
    fn two_branches_that_lead_back_are_found() {
        let branch = json!({"properties": {"children": {"items": {"$ref": "#/$defs/a~1b%20c"}}}});
        let schema = json!({
            "properties": {"body": {"$ref": "#/$defs/a~1b%20c"}},
            "$defs": {"a/b c": {"oneOf": [branch, branch, {"type": "string"}]}},
        });
        assert_eq!(pointers(&schema), ["/$defs/a~1b c/oneOf"]);
        let own = json!({"$id": "urn:x", "anyOf": [{"items": {"$ref": "urn:x"}}, {"contains": {"$ref": "#"}}]});
        assert_eq!(pointers(&own), ["/anyOf"]);
        let dynamic = json!({"$dynamicAnchor": "n", "if": {"items": {"$dynamicRef": "#n"}}, "then": {"items": {"$dynamicRef": "#n"}}});
        assert_eq!(pointers(&dynamic), [""]);
    }

    #[test]
    fn recursion_in_one_branch_and_branches_without_recursion_are_not() {
        for schema in [
            json!({"oneOf": [{"items": {"$ref": "#"}}, {"type": "string"}]}),
            json!({"$defs": {"a": {"type": "string"}}, "anyOf": [{"$ref": "#/$defs/a"}, {"items": {"$ref": "#/$defs/a"}}]}),
            json!({"properties": {"left": {"$ref": "#"}, "right": {"$ref": "#"}}}),
            json!(true),
            json!({"$ref": "https://example.org/elsewhere"}),
        ] {
            assert_eq!(pointers(&schema), [""; 0], "{schema}");
        }
    }

    #[test]
    fn costly_patterns_are_found() {
        let schema = json!({
            "properties": {"a": {"pattern": "^(a+)\\1$"}, "b": {"pattern": "^(?=.*x).{8}$"}},
            "patternProperties": {"((?=x)/y)*": true},
        });
        assert_eq!(pointers(&schema), ["/patternProperties/((?=x)~1y)*", "/properties/a/pattern"]);
    }

    #[test]
    fn the_templates_of_this_repository_are_not_costly() {
        for name in ["invoice", "statement", "ledger", "letter"] {
            let path = format!("{}/../templates/{name}/schema.json", env!("CARGO_MANIFEST_DIR"));
            let schema = std::fs::read(path).expect("a schema");
            assert_eq!(pointers(&serde_json::from_slice(&schema).expect("JSON")), [""; 0], "{name}");
        }
    }
}
