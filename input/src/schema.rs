//! Checkers for the parts of data that are checked apart: the rows, one by one, and the rest.

use findings::escaped;
use serde_json::{Map, Value, json};

use crate::explain::Validator;

/// What the template's schema is called where a part of it stands on its own.
const WHOLE: &str = "urn:pressrun:schema";

/// Keywords about an array that only one who sees all of it can check.
const NOT_ONE_BY_ONE: [&str; 6] =
    ["uniqueItems", "contains", "prefixItems", "unevaluatedItems", "minContains", "maxContains"];

/// The longest way from a reference to what it means.
const MOST_REFERENCES: usize = 32;

/// A checker of this schema, or what is wrong with the schema.
pub fn validator(schema: &Value) -> Result<Validator, String> {
    Validator::new(schema)
}

/// A checker of the data without its rows: they must be there, as an array, and may be any.
pub(crate) fn rest_validator(schema: &Value, field: &str) -> Result<Validator, String> {
    let mut schema = schema.clone();
    if let Some(rows) = schema.pointer_mut("/properties").and_then(|properties| properties.get_mut(field)) {
        *rows = Value::Bool(true);
    }
    validator(&schema)
}

/// A checker of one row, if the schema says anything about rows. References lead to where they do in the whole schema.
pub(crate) fn row_validator(schema: &Value, field: &str) -> Result<Option<Validator>, String> {
    let (pointer, array) = array(schema, field)?;
    let Some(array) = array.and_then(Value::as_object) else { return Ok(None) };
    if let Some(keyword) = NOT_ONE_BY_ONE.iter().find(|keyword| array.contains_key(**keyword)) {
        return Err(format!("`{keyword}` on `{field}` cannot be checked row by row"));
    }
    if array.get("items").is_none() {
        return Ok(None);
    }
    let mut whole = schema.clone();
    let members = whole.as_object_mut().ok_or("a schema with rows is an object")?;
    let id = members.entry("$id").or_insert_with(|| WHOLE.into()).as_str().unwrap_or(WHOLE).to_owned();
    let reference = format!("{}#{}/items", id.trim_end_matches('#'), fragment(&pointer));
    validator(&json!({ "$id": "urn:pressrun:row", "$ref": reference, "$defs": { "whole": whole } })).map(Some)
}

/// What the schema says of the array of rows, by name; nothing where it does not say it.
pub(crate) fn array_keyword<'a>(schema: &'a Value, field: &str, keyword: &str) -> Option<&'a Value> {
    array(schema, field).ok()?.1?.get(keyword)
}

/// What the schema says of each row, references followed.
fn items<'a>(schema: &'a Value, field: &str) -> Option<&'a Value> {
    follow(schema, String::new(), array_keyword(schema, field, "items")?).map(|(_, items)| items)
}

/// The fields that the schema requires of a row.
pub(crate) fn required_of_rows(schema: &Value, field: &str) -> Vec<String> {
    let required = items(schema, field).and_then(|items| items.get("required")?.as_array());
    required.into_iter().flatten().filter_map(|name| name.as_str().map(ToOwned::to_owned)).collect()
}

/// Whether the schema takes no field of a row but the properties that it describes.
pub(crate) fn is_closed_to_fields(schema: &Value, field: &str) -> bool {
    let Some(items) = items(schema, field) else { return false };
    items.get("additionalProperties") == Some(&Value::Bool(false)) && items.get("patternProperties").is_none()
}

/// The properties of a row that the schema describes, references followed.
pub(crate) fn row_properties<'a>(schema: &'a Value, field: &str) -> Vec<(&'a String, &'a Value)> {
    let properties = items(schema, field).and_then(|items| items.get("properties")).and_then(Value::as_object);
    let each = properties.into_iter().flatten();
    each.filter_map(|(name, property)| Some((name, follow(schema, String::new(), property)?.1))).collect()
}

fn array<'a>(schema: &'a Value, field: &str) -> Result<(String, Option<&'a Value>), String> {
    let pointer = format!("/properties/{}", escaped(field));
    let Some(array) = schema.get("properties").and_then(|properties| properties.get(field)) else {
        return Ok((pointer, None));
    };
    let found = follow(schema, pointer, array);
    let (pointer, array) = found.ok_or_else(|| format!("`{field}` leads out of the schema"))?;
    Ok((pointer, Some(array)))
}

/// What a subschema means: itself, or what its `$ref` leads to within the schema.
fn follow<'a>(schema: &'a Value, pointer: String, from: &'a Value) -> Option<(String, &'a Value)> {
    let (mut pointer, mut at) = (pointer, from);
    for _ in 0..MOST_REFERENCES {
        // Beside a description a reference stands for what it leads to; with more beside it, both count.
        let Some(reference) = at.as_object().and_then(|at: &Map<_, _>| at.get("$ref")).and_then(Value::as_str) else {
            return Some((pointer, at));
        };
        pointer = reference.strip_prefix('#')?.to_owned();
        at = schema.pointer(&pointer)?;
    }
    None
}

/// A JSON Pointer as a fragment of a URI (RFC 6901, section 6).
fn fragment(pointer: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~/$".contains(&byte);
    let each = pointer.bytes().map(|byte| if plain(byte) { char::from(byte).into() } else { format!("%{byte:02X}") });
    each.collect::<String>()
}
