//! The reader of uploads: it takes a text in whole or says what is wrong with it, and what it spools it can read again.

use std::io::Cursor;

use input::{Dialect, Format, InputError, Limits, Rows, Spooled, Template, spool};
use serde_json::{Map, Value, json};

/// Reads `bytes` in every format. The first line of a seed may be anything: a byte order mark, a name, an open brace.
///
/// # Panics
///
/// If a text that was taken is spooled in rows that do not read back as the same rows, or one that was refused has no
/// fault, or a limit does not hold.
pub fn upload(bytes: &[u8]) {
    let template = template();
    let limits = Limits { row_bytes: 4_096, rest_bytes: 8_192, rows: 100, ..Limits::default() };
    for format in [Format::Json, Format::Ndjson, Format::Csv(Dialect::default())] {
        let mut rows = Vec::new();
        match spool(Cursor::new(bytes), format, Map::new(), &template, &limits, &mut rows) {
            Ok(spooled) => check(&template, &limits, &spooled, &rows),
            Err(InputError::Invalid(faults)) => {
                assert!((1..=input::MAX_FAULTS).contains(&faults.len()), "{faults:?}");
                assert!(faults.iter().all(|fault| !fault.detail.is_empty() && fault.line != Some(0)), "{faults:?}");
            }
            Err(InputError::RestTooLarge(_)) => assert!(bytes.len() as u64 > limits.rest_bytes),
            Err(error) => panic!("memory does not fail: {error}"),
        }
    }
}

fn check(template: &Template, limits: &Limits, spooled: &Spooled, rows: &[u8]) {
    assert!(spooled.rows <= limits.rows);
    assert_eq!(spooled.bytes, rows.len() as u64);
    assert_eq!(spooled.marks.len() as u64, spooled.rows.div_ceil(input::MARK_EVERY));
    let mut again = Vec::new();
    let rest = spooled.rest.as_object().expect("an object").clone();
    let limits = Limits { row_bytes: u64::MAX, ..limits.clone() };
    let read = spool(Cursor::new(rows), Format::Ndjson, rest, template, &limits, &mut again).expect("rows of our own");
    assert_eq!((&read, again.as_slice()), (spooled, rows));
    let mut whole = Vec::new();
    spooled.write_whole(template.rows(), rows, &mut whole).expect("memory takes it");
    let whole: Value = serde_json::from_slice(&whole).expect("JSON of our own");
    assert_eq!(whole["rows"].as_array().map(|rows| rows.len() as u64), Some(spooled.rows));
}

/// A template whose rows have a name, and an amount that is summed.
fn template() -> Template {
    let schema = json!({
        "properties": {"rows": {"maxItems": 90, "items": {"properties": {
            "name": {"type": "string", "maxLength": 20},
            "amount": {"type": ["number", "string"]},
            "count": {"$ref": "#/$defs/count"},
        }}}},
        "$defs": {"count": {"type": "integer"}},
    });
    let rows = serde_json::from_value(json!({"field": "rows", "totals": ["amount"]})).expect("a declaration");
    Template::with_rows(Rows::new(rows, Some(&schema)).expect("rows"))
}
