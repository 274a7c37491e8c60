//! What holds for any upload: nothing panics, and the same rows come out of every format.

use std::io::Cursor;

use input::{Dialect, Format, Limits, Manifest, Rows, Template, spool};
use proptest::prelude::*;
use serde_json::{Map, Value, json};

const FORMATS: [Format; 3] =
    [Format::Json, Format::Ndjson, Format::Csv(Dialect { separator: b',', decimal_comma: false })];

fn template(schema: Option<&Value>) -> Template {
    let manifest: Manifest =
        serde_json::from_value(json!({"rows": {"field": "rows", "totals": ["n"]}})).expect("a manifest");
    Template::with_rows(Rows::new(manifest.rows.expect("rows"), schema).expect("rows"))
}

/// Rows as CSV can hold them: text that is not empty, and numbers and truth where the schema has them.
fn rows() -> impl Strategy<Value = Vec<Map<String, Value>>> {
    let row = (any::<Option<i32>>(), "\\PC{1,12}|[\",\r\n ]{1,4}", any::<Option<bool>>()).prop_map(|(n, text, yes)| {
        let members = [("n", n.map(Value::from)), ("text", Some(text.into())), ("yes", yes.map(Value::from))];
        members.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))).collect()
    });
    prop::collection::vec(row, 0..250)
}

fn written(rows: &[Map<String, Value>], format: Format) -> Vec<u8> {
    match format {
        Format::Json => serde_json::to_vec_pretty(&json!({"rows": rows})).expect("JSON"),
        Format::Ndjson => rows.iter().flat_map(|row| format!("{}\n", Value::from(row.clone())).into_bytes()).collect(),
        Format::Csv(_) => {
            let mut writer = csv::Writer::from_writer(Vec::new());
            writer.write_record(["n", "text", "yes"]).expect("memory");
            for row in rows {
                let field = |name: &str| match row.get(name) {
                    None => String::new(),
                    Some(Value::String(text)) => text.clone(),
                    Some(other) => other.to_string(),
                };
                writer.write_record(["n", "text", "yes"].map(field)).expect("memory");
            }
            writer.into_inner().expect("memory")
        }
    }
}

proptest! {
    #[test]
    fn every_format_gives_the_same_rows(rows in rows()) {
        let schema = json!({"properties": {"rows": {"items": {"properties": {
            "n": {"type": "integer"}, "text": {"type": "string"}, "yes": {"type": "boolean"},
        }}}}});
        let template = template(Some(&schema));
        let total: i64 = rows.iter().filter_map(|row| row.get("n")?.as_i64()).sum();
        let spooled: String = rows.iter().map(|row| format!("{}\n", Value::from(row.clone()))).collect();
        for format in FORMATS {
            let (text, mut out) = (written(&rows, format), Vec::new());
            let read = spool(Cursor::new(&text), format, Map::new(), &template, &Limits::default(), &mut out);
            let read = read.unwrap_or_else(|error| panic!("{format:?}: {error:?} in {}", String::from_utf8_lossy(&text)));
            prop_assert_eq!(String::from_utf8_lossy(&out), spooled.as_str(), "{:?}", format);
            prop_assert_eq!((read.rows, read.totals), (rows.len() as u64, vec![total.into()]));
        }
    }

    #[test]
    fn no_bytes_make_a_reader_panic(bytes: Vec<u8>, json in "[\\[\\]{}:,\"a1\\\\ \\n]{0,60}", csv in "[\",\r\na1]{0,40}") {
        let template = template(None);
        let limits = Limits { row_bytes: 30, rest_bytes: 40, rows: 5, ..Limits::default() };
        for text in [bytes, json.into_bytes(), csv.into_bytes()] {
            let mut whole = b"{\"rows\":[".to_vec();
            whole.extend(&text);
            for (format, text) in FORMATS.into_iter().flat_map(|format| [(format, &text), (format, &whole)]) {
                let mut out = Vec::new();
                if let Ok(spooled) = spool(Cursor::new(text), format, Map::new(), &template, &limits, &mut out) {
                    prop_assert!(spooled.rows <= 5);
                    prop_assert_eq!(out.iter().filter(|byte| **byte == b'\n').count() as u64, spooled.rows);
                }
            }
        }
    }
}
