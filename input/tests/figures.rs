//! A figure is what was written, in rows, in totals and beside the rows, in every format.

use std::io::Cursor;

use input::{Dialect, Format, Head, InputError, Json, Limits, Manifest, Rows, Spooled, Template, spool};
use proptest::prelude::*;
use serde_json::{Map, Value, json};

fn template() -> Template {
    let manifest: Manifest =
        serde_json::from_value(json!({"rows": {"field": "rows", "totals": ["n"]}})).expect("a manifest");
    let schema = json!({"properties": {
        "n": {"type": "number"}, "rows": {"items": {"properties": {"n": {"type": "number"}}}},
    }});
    Template::with_rows(Rows::new(manifest.rows.expect("rows"), Some(&schema)).expect("rows"))
}

/// Reads an upload whose first row has the number, and the head too.
fn read(number: &str, format: Format) -> Result<(Spooled, Value), InputError> {
    let text = match format {
        Format::Json => format!(r#"{{"n": {number}, "rows": [{{"n": {number}}}]}}"#),
        Format::Ndjson => format!("{{\"n\": {number}}}\n"),
        Format::Csv(_) => format!("n\n{number}\n"),
    };
    let head = match format {
        Format::Json => Head::default(),
        _ => Head::try_from(Json::read(format!(r#"{{"n": {number}}}"#).as_bytes()).expect("few digits"))
            .expect("an object"),
    };
    let mut rows = Vec::new();
    let spooled = spool(Cursor::new(text), format, head, &template(), &Limits::default(), &mut rows)?;
    let row: Value = serde_json::from_slice(&rows).expect("a row");
    Ok((spooled, row["n"].clone()))
}

/// The digits of a number and its power of ten, without any notation; an independent reading.
fn figure(number: &str) -> (bool, String, i64) {
    let (mantissa, power) = number.split_once(['e', 'E']).unwrap_or((number, "0"));
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let power: i64 = power.parse().expect("a power");
    let digits = format!("{}{fraction}", whole.trim_start_matches('-'));
    let tail = digits.len() - digits.trim_end_matches('0').len();
    match digits.trim_matches('0') {
        "" => (false, String::new(), 0),
        figures => (whole.starts_with('-'), figures.to_owned(), power - fraction.len() as i64 + tail as i64),
    }
}

fn text(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), ToOwned::to_owned)
}

/// What Typst reads: integers of 64 bits, doubles by their shortest digits, and text.
fn as_read(value: &Value) -> String {
    match value {
        Value::Number(number) if number.as_i64().is_none() => number.as_f64().expect("a double").to_string(),
        value => text(value),
    }
}

proptest! {
    #[test]
    fn figures_are_what_was_written(
        number in "-?(0|[1-9][0-9]{0,27})(\\.[0-9]{1,16})?([eE][+-]?[0-9])?",
    ) {
        let (_, digits, power) = figure(&number);
        let places = usize::try_from(-power).unwrap_or_default();
        for format in [Format::Json, Format::Ndjson, Format::Csv(Dialect::default())] {
            if digits.len() > 28 || digits.len() as i64 + power > 28 || places > 28 {
                continue;
            }
            let (spooled, row) = read(&number, format).unwrap_or_else(|error| panic!("{number} {format:?}: {error:?}"));
            prop_assert_eq!(figure(&as_read(&row)), figure(&number), "{:?} {}", format, row);
            prop_assert_eq!(figure(&spooled.totals[0].to_string()), figure(&number), "{:?}", format);
            prop_assert_eq!(figure(&as_read(&spooled.rest["n"])), figure(&number), "{:?}", format);
        }
    }
}

#[test]
fn a_number_keeps_its_type_where_a_double_holds_it() {
    for (number, kept) in [
        ("9223372036854775807", json!(i64::MAX)),
        ("9223372036854775808", json!("9223372036854775808")),
        ("9007199254740993.01", json!("9007199254740993.01")),
        ("0.1", json!(0.1)),
        ("1.10", json!(1.1)),
        ("10000000000000000000", json!(10_000_000_000_000_000_000_u64)),
    ] {
        for format in [Format::Json, Format::Ndjson, Format::Csv(Dialect::default())] {
            assert_eq!(read(number, format).expect("a number").1, kept, "{number} {format:?}");
        }
    }
}

#[test]
fn too_many_digits_are_refused_with_their_line() {
    let number = "123456789012345678901234567890";
    let detail = format!("{number} has more than 28 digits, the most that a number may have");
    for (format, text, line) in [
        (Format::Json, format!("{{\"rows\": [\n{{\"n\": {number}}}]}}"), 2),
        (Format::Ndjson, format!("{{}}\n\n{{\"n\": {number}}}\n"), 3),
        (Format::Csv(Dialect::default()), format!("n\n1\n{number}\n"), 3),
    ] {
        let read = spool(Cursor::new(text), format, Map::new(), &template(), &Limits::default(), &mut Vec::new());
        let Err(InputError::Invalid(faults)) = read else { panic!("{read:?}") };
        assert_eq!((faults[0].line, faults[0].detail.as_str()), (Some(line), detail.as_str()), "{format:?}");
        assert!(faults[0].pointer.ends_with("/n"), "{faults:?}");
    }
}

#[test]
fn other_encodings_are_told_and_an_empty_upload_has_no_rows() {
    for format in [Format::Json, Format::Ndjson, Format::Csv(Dialect::default())] {
        let utf16: Vec<u8> = "\u{feff}{}".encode_utf16().flat_map(u16::to_be_bytes).collect();
        let read = spool(Cursor::new(utf16), format, Map::new(), &template(), &Limits::default(), &mut Vec::new());
        let Err(InputError::Invalid(faults)) = read else { panic!("{read:?}") };
        assert_eq!((faults[0].line, faults[0].detail.as_str()), (Some(1), "the text is UTF-16; save it as UTF-8"));
    }
    for text in ["", "\u{feff}", "\n \n"] {
        let read =
            spool(Cursor::new(text), Format::Ndjson, Map::new(), &template(), &Limits::default(), &mut Vec::new());
        assert_eq!(read.expect("no rows").rows, 0);
    }
}
