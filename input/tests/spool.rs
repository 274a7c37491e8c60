//! Uploads in all three formats: what is spooled of them, and how their faults are told.

use std::io::{self, Cursor, Read, Seek, SeekFrom};

use input::{
    Decimal, Dialect, Fault, Format, InputError, Limits, MARK_EVERY, MAX_FAULTS, Manifest, Rows, Spooled, Template,
    spool,
};
use serde_json::{Map, Value, json};

/// A template whose rows have a name, a count and an amount.
fn template() -> Template {
    template_with(&schema(), json!({"field": "rows", "totals": ["amount"]}))
}

fn schema() -> Value {
    json!({
        "type": "object",
        "required": ["title", "rows"],
        "additionalProperties": false,
        "properties": {
            "title": {"type": "string"},
            "totals": {"type": "array"},
            "rows": {"type": "array", "maxItems": 1000, "items": {"$ref": "#/$defs/row", "description": "One row."}},
        },
        "$defs": {
            "row": {
                "type": "object",
                "required": ["name"],
                "additionalProperties": false,
                "properties": {
                    "name": {"type": "string", "maxLength": 20},
                    "count": {"$ref": "#/$defs/count"},
                    "amount": {"type": ["number", "string"]},
                    "paid": {"type": "boolean"},
                },
            },
            "count": {"type": "integer", "minimum": 0},
        },
    })
}

fn template_with(schema: &Value, rows: Value) -> Template {
    let folder =
        std::env::temp_dir().join(format!("pressrun-input-{}-{:?}", std::process::id(), std::thread::current().id()));
    std::fs::create_dir_all(&folder).expect("a folder");
    std::fs::write(folder.join("schema.json"), schema.to_string()).expect("a file");
    std::fs::write(folder.join("template.json"), json!({ "rows": rows }).to_string()).expect("a file");
    let template = Template::read(&folder).expect("a template");
    std::fs::remove_dir_all(folder).expect("our own folder");
    template
}

fn head() -> Map<String, Value> {
    json!({"title": "T"}).as_object().expect("an object").clone()
}

fn read(text: &str, format: Format) -> Result<(Spooled, String), InputError> {
    read_with(&template(), &Limits::default(), text, format)
}

fn read_with(
    template: &Template,
    limits: &Limits,
    text: &str,
    format: Format,
) -> Result<(Spooled, String), InputError> {
    let head = if format == Format::Json { Map::new() } else { head() };
    let mut rows = Vec::new();
    let spooled = spool(Cursor::new(text), format, head, template, limits, &mut rows)?;
    Ok((spooled, String::from_utf8(rows).expect("UTF-8")))
}

/// The faults as `line:column pointer detail`, with `-` for what is not known.
fn faults<T>(read: Result<T, InputError>) -> Vec<String> {
    let number = |number: Option<u64>| number.map_or("-".to_owned(), |number| number.to_string());
    let shown =
        |fault: &Fault| format!("{}:{} {} {}", number(fault.line), number(fault.column), fault.pointer, fault.detail);
    match read {
        Err(InputError::Invalid(faults)) => faults.iter().map(shown).collect(),
        Err(other) => panic!("{other}"),
        Ok(_) => panic!("it was taken"),
    }
}

const ROWS: &str = "{\"name\":\"a\",\"count\":1,\"amount\":\"0.10\"}\n{\"name\":\"b\\n\\\"c\\\"\",\"amount\":0.2}\n{\"name\":\"d\",\"paid\":true}\n";

const JSON: &str = r#"{
  "rows": [
    {"name": "a", "count": 1, "amount": "0.10"},
    {"name": "b\n\"c\"", "amount": 0.2}, {"name": "d", "paid": true}
  ],
  "title": "T"
}"#;

const CSV: &str = "name,count,amount,paid\r\na,1,0.10,\r\n\"b\n\"\"c\"\"\",,0.2,\r\nd,,,true\r\n";

#[test]
fn the_three_formats_spool_the_same_rows() {
    let texts = [(JSON, Format::Json), (ROWS, Format::Ndjson), (CSV, Format::Csv(Dialect::default()))];
    for (text, format) in texts {
        for mark in ["", "\u{feff}"] {
            let (spooled, rows) =
                read(&format!("{mark}{text}"), format).unwrap_or_else(|error| panic!("{format:?} {error:?}"));
            // A CSV field stays text where the schema takes text.
            let expected = if format == Format::Csv(Dialect::default()) {
                ROWS.replace("0.2", "\"0.2\"")
            } else {
                ROWS.to_owned()
            };
            assert_eq!(rows, expected, "{format:?}");
            assert_eq!(spooled.rest, json!({"title": "T"}));
            assert_eq!((spooled.rows, spooled.bytes), (3, rows.len() as u64));
            assert_eq!(spooled.totals, ["0.30".parse::<Decimal>().expect("a decimal")]);
        }
    }
}

#[test]
fn all_the_data_is_put_together_again() {
    let rows = rows_of("rows");
    for text in [r#"{"title":"T","rows":[{"name":"a"},{"name":"b"}]}"#, r#"{"title":"T","rows":[]}"#] {
        let (spooled, spool) = read(text, Format::Json).expect("an upload");
        let mut whole = Vec::new();
        spooled.write_whole(Some(&rows), spool.as_bytes(), &mut whole).expect("memory takes it");
        assert_eq!(String::from_utf8(whole).expect("UTF-8"), text);
        assert!(spooled.whole_bytes(Some(&rows)) >= text.len() as u64);
    }
}

fn rows_of(field: &str) -> Rows {
    let manifest: Manifest = serde_json::from_value(json!({"rows": {"field": field}})).expect("a manifest");
    Rows::new(manifest.rows.expect("rows"), None).expect("rows without a schema")
}

#[test]
fn marks_find_every_hundredth_row_and_what_came_before() {
    let text: String = (0..250).map(|number| format!("{{\"name\":\"{number}\",\"amount\":\"0.01\"}}\n")).collect();
    let (spooled, rows) = read(&text, Format::Ndjson).expect("an upload");
    assert_eq!(spooled.marks.iter().map(|mark| mark.row).collect::<Vec<_>>(), [0, 100, 200]);
    for mark in &spooled.marks {
        let row = &rows[usize::try_from(mark.offset).expect("small")..];
        assert!(row.starts_with(&format!("{{\"name\":\"{}\"", mark.row)), "{row}");
        assert_eq!(mark.totals, [Decimal::new(i64::try_from(mark.row).expect("small"), 2)]);
    }
    assert_eq!(MARK_EVERY, 100);
}

#[test]
fn the_data_may_name_what_is_summed_even_after_the_rows() {
    let template = template_with(&schema(), json!({"field": "rows", "totals": "/totals"}));
    let text = r#"{"rows": [{"name": "a", "amount": "1.5", "count": 2}], "title": "T", "totals": ["count", "amount"]}"#;
    let (spooled, _) = read_with(&template, &Limits::default(), text, Format::Json).expect("an upload");
    assert_eq!(spooled.names, ["count", "amount"]);
    assert_eq!(spooled.totals, [Decimal::new(2, 0), Decimal::new(15, 1)]);

    let without = read_with(&template, &Limits::default(), ROWS, Format::Ndjson).expect("an upload").0;
    assert_eq!((without.names, without.totals), (vec![], vec![]));
    let text = "{\"title\": \"T\",\n \"totals\": [1], \"rows\": []}";
    assert!(
        faults(read_with(&template, &Limits::default(), text, Format::Json))[0].starts_with("2:12 /totals these are")
    );
}

/// Counts the bytes that are read.
struct Counted<'a>(Cursor<&'a str>, u64);

impl Read for Counted<'_> {
    fn read(&mut self, to: &mut [u8]) -> io::Result<usize> {
        let read = self.0.read(to)?;
        self.1 += read as u64;
        Ok(read)
    }
}

impl Seek for Counted<'_> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.0.seek(to)
    }
}

#[test]
fn no_rows_are_read_twice_for_a_period_that_stands_before_them() {
    let template = template_with(
        &json!({}),
        json!({"field": "rows", "period": {"from": "/p/from", "to": "/p/to", "field": "day"}}),
    );
    let rows = vec![r#"{"day": "2026-01-01"}"#; 100_000].join(",");
    let period = r#""p": {"from": "2026-02-01", "to": "2026-02-28"}"#;
    for (text, times) in
        [(format!("{{{period}, \"rows\": [{rows}]}}"), 1), (format!("{{\"rows\": [{rows}], {period}}}"), 2)]
    {
        let mut source = Counted(Cursor::new(&text), 0);
        let (limits, mut spooled) = (Limits::default(), Vec::new());
        let found = spool(&mut source, Format::Json, Map::new(), &template, &limits, &mut spooled).expect("an upload");
        assert_eq!(found.warnings[0].count, 100_000);
        assert_eq!(source.1 / text.len() as u64, times, "{} of {} bytes", source.1, text.len());
    }
}

#[test]
fn a_fault_has_the_line_and_column_of_the_value() {
    let json =
        "{\n  \"title\": 7,\n  \"rows\": [\n    {\"name\": \"a\"},\n    {\"name\": \"b\",\n     \"count\": -1}\n  ]\n}";
    let found = faults(read(json, Format::Json));
    assert_eq!(found.len(), 2, "{found:?}");
    assert!(found[0].starts_with("2:12 /title 7 is not of type"), "{found:?}");
    assert!(found[1].starts_with("6:15 /rows/1/count -1 is less than"), "{found:?}");

    let ndjson = "{\"name\":\"a\"}\n\n  {\"name\": \"b\", \"count\": \"x\"}\n{\"name\":\n[]\n";
    let found = faults(read(ndjson, Format::Ndjson));
    assert!(found[0].starts_with("3:26 /rows/1/count \"x\" is not of type"), "{found:?}");
    assert!(found[1].starts_with("4:") && found[1].contains(" /rows/2 EOF while parsing"), "{found:?}");
    assert_eq!(found[2], "5:1 /rows/3 a row is a JSON object");

    let csv = "name,count\r\n\r\n\"a\r\nb\",1\r\n\r\nc,many\r\nd\r\n";
    let found = faults(read(csv, Format::Csv(Dialect::default())));
    assert!(found[0].starts_with("6:- /rows/1/count \"many\" is not of type"), "{found:?}");
    assert_eq!(found[1], "7:- /rows/2 the row has 1 field, and the first line names 2");
}

#[test]
fn what_is_not_the_format_is_said_to_be_so() {
    for (text, format, expected) in [
        ("", Format::Json, "1:- "),
        ("[]", Format::Json, "1:"),
        (r#"{"rows": {}}"#, Format::Json, "1:"),
        ("{\"rows\": [],\n\"rows\": []}", Format::Json, "2:"),
        ("{\"title\": \"T\", \"rows\": []} x", Format::Json, "1:"),
        ("{\"rows\": [{\"name\": \"a\"},\n{\"name\" 1}]}", Format::Json, "2:"),
        ("", Format::Csv(Dialect::default()), "1:- /rows the first line"),
        ("a,a\n", Format::Csv(Dialect::default()), "1:- /rows the first line names `a` twice"),
        (
            "a,\n",
            Format::Csv(Dialect::default()),
            "1:- /rows the first line names the fields, and has no name for field 2",
        ),
        ("\"na\"me\na\n", Format::Csv(Dialect::default()), "1:- /rows a field that opens with a quotation mark"),
        ("name\na\n\"b\nc\n", Format::Csv(Dialect::default()), "3:- /rows/1 the quotation mark"),
    ] {
        let found = faults(read(text, format));
        assert!(found[0].starts_with(expected), "{text}: {found:?}");
    }
    let bytes = b"name\n\xff\n".as_slice();
    let read = spool(
        Cursor::new(bytes),
        Format::Csv(Dialect::default()),
        head(),
        &template(),
        &Limits::default(),
        &mut Vec::new(),
    );
    assert_eq!(faults(read), ["2:- /rows/0/name it is not UTF-8; save the file as UTF-8"]);
}

#[test]
fn no_row_of_csv_is_lost_in_quotation_marks() {
    let swallow = "name,count,paid\n5\" pipe,1,\"see\nb,2,x\nc,3,y\n";
    let closed_late = "name,count,paid\n5\" pipe,1,\"see\nb,2,\"x\"\n";
    let pipe = "name,count,paid\na,1,true\n\"5\" pipe\",1,true\n";
    let (open, astray) =
        ("the quotation mark that opens a field on this line is never", "a field that opens with a quotation");
    for end in ["\n", "\r\n", "\r"] {
        for (text, line, row, said) in [
            (swallow, 2, 0, open),
            (closed_late, 2, 0, astray),
            (pipe, 3, 1, astray),
            ("name\n\"a\nb\"\n\"c", 4, 1, open),
        ] {
            let found = faults(read(&text.replace('\n', end), Format::Csv(Dialect::default())));
            let wanted = format!("{line}:- /rows/{row} {said}");
            assert!(found.len() == 1 && found[0].starts_with(&wanted), "{end:?} {text:?}: {found:?}");
        }
        for last in ["", end] {
            let text = format!("name,count{end}5\" pipe,1{end}\"a\"\"b\",2{last}");
            let (_, rows) = read(&text, Format::Csv(Dialect::default())).expect("quotation marks that are text");
            assert_eq!(rows, "{\"name\":\"5\\\" pipe\",\"count\":1}\n{\"name\":\"a\\\"b\",\"count\":2}\n");
        }
    }
}

#[test]
fn the_last_line_needs_no_break() {
    let csv = |text: &str| read(text, Format::Csv(Dialect::default()));
    for (line, row) in [
        ("5\" pipe", "{\"name\":\"5\\\" pipe\"}"),
        ("5\"", "{\"name\":\"5\\\"\"}"),
        ("\"5\"\" pipe\"", "{\"name\":\"5\\\" pipe\"}"),
        ("a,5", "{\"name\":\"a\",\"count\":5}"),
        ("5\",7", "{\"name\":\"5\\\"\",\"count\":7}"),
    ] {
        for before in ["", "a,1\n", "5\" pipe,1\n", "\"a\",1\n"] {
            let names = if line.contains(',') || !before.is_empty() { "name,count" } else { "name" };
            let line = if names == "name" || line.contains(',') { line.to_owned() } else { format!("{line},") };
            let [with, without] = ["\n", ""].map(|last| csv(&format!("{names}\n{before}{line}{last}")));
            let (_, rows) = without.unwrap_or_else(|error| panic!("{before:?} {line:?}: {error:?}"));
            assert!(rows.ends_with(&format!("{row}\n")), "{before:?} {line:?}: {rows}");
            assert_eq!(with.expect("the same").1, rows);
        }
    }
    for text in [
        "name\n\"abc\"x",
        "name\n\"abc\"x\n",
        "name\n\"abc\" ",
        "name,count\n\"abc\"x,1",
        "name,count\n1,\"2\"x",
        "name\n\"abc\"\"\"x",
    ] {
        let found = faults(csv(text));
        assert!(found.len() == 1 && found[0].starts_with("2:- /rows/0 a field that opens"), "{text:?}: {found:?}");
    }
}

#[test]
fn lines_are_counted_whatever_ends_them() {
    for end in ["\n", "\r\n", "\r"] {
        let text = "name,count\na,1\n\n\"b\nc\",2\nd,x\n".replace('\n', end);
        let found = faults(read(&text, Format::Csv(Dialect::default())));
        assert!(found.len() == 1 && found[0].starts_with("6:- /rows/2/count"), "{end:?}: {found:?}");
    }
}

#[test]
fn missing_rows_and_too_many_or_too_few_are_told() {
    assert!(faults(read(r#"{"title": "T"}"#, Format::Json))[0].starts_with("1:1  \"rows\" is a required property"));
    let many = "{\"name\":\"a\"}\n".repeat(1001);
    assert_eq!(faults(read(&many, Format::Ndjson)), ["1001:1 /rows/1000 there may be 1000 rows, and this is one more"]);
    let least = json!({"properties": {"rows": {"type": "array", "minItems": 2}}});
    let least = template_with(&least, json!({"field": "rows"}));
    let read = read_with(&least, &Limits::default(), "{}\n", Format::Ndjson);
    assert_eq!(faults(read), ["-:- /rows there must be 2 rows, and there are 1"]);
}

#[test]
fn a_row_that_is_too_long_and_a_rest_that_is_too_large_are_refused_before_they_are_in_memory() {
    let limits = Limits { row_bytes: 100, rest_bytes: 100, rows: 5, ..Limits::default() };
    let long = "x".repeat(200);
    let texts = [
        (
            format!("{{\"title\":\"T\",\n\"rows\":[{{\"name\":\"a\"}},\n{{\"name\":\"{long}\"}}]}}"),
            Format::Json,
            "3:1 /rows/1 the row has more than 100 bytes",
        ),
        (
            format!("{{\"name\":\"a\"}}\n{{\"name\":\"{long}\"}}\n"),
            Format::Ndjson,
            "2:- /rows/1 the row has more than 100 bytes",
        ),
        (
            format!("name\na\n\"{long}\"\n"),
            Format::Csv(Dialect::default()),
            "3:- /rows/1 the row has more than 100 bytes",
        ),
        (
            format!("name\na\n\"b\nc\",\"{long}\n"),
            Format::Csv(Dialect::default()),
            "3:- /rows/1 the row has more than 100 bytes, the most that one row may have; perhaps the quotation mark that opens a \
             field on line 4 is never closed",
        ),
        ("{\"name\":\"a\"}\n".repeat(6), Format::Ndjson, "6:1 /rows/5 there may be 5 rows"),
    ];
    for (text, format, expected) in texts {
        let found = faults(read_with(&template(), &limits, &text, format));
        assert!(found[0].starts_with(expected), "{found:?}");
    }
    let rest = format!("{{\"rows\": [], \"title\": \"{long}\"}}");
    let read = read_with(&template(), &limits, &rest, Format::Json);
    assert!(matches!(read, Err(InputError::RestTooLarge(100))), "{read:?}");
}

#[test]
fn reading_stops_after_a_hundred_faults() {
    let found = faults(read(&"{}\n".repeat(500), Format::Ndjson));
    assert_eq!(found.len(), MAX_FAULTS);
    assert!(found[99].starts_with("100:1 /rows/99 "), "{found:?}");
    let json = format!("{{\"title\": \"T\", \"rows\": [{}]}}", vec!["\n{}"; 500].join(","));
    let found = faults(read(&json, Format::Json));
    assert!(found.len() == MAX_FAULTS && found[99].starts_with("101:1 /rows/99 "), "{found:?}");
}

#[test]
fn a_sum_keeps_its_decimals_where_a_number_or_the_sum_is_nothing() {
    for (amounts, total) in [("5 0.00", "5.00"), ("1.50 -1.50 7", "7.00"), ("0.000 2.5", "2.500"), ("0 0.0", "0.0")] {
        let row = |amount| format!("{{\"name\":\"a\",\"amount\":\"{amount}\"}}\n");
        let text: String = amounts.split(' ').map(row).collect();
        let (spooled, _) = read(&text, Format::Ndjson).unwrap_or_else(|error| panic!("{amounts}: {error:?}"));
        assert_eq!(spooled.totals[0].to_string(), total, "{amounts}");
    }
}

#[test]
fn nothing_is_summed_that_cannot_be_summed_exactly() {
    for amount in ["\"1,5\"", "\"1_000.5\"", "\" \"", "true", "1e300", "\"0.00000000000000000000000000000001\""] {
        let found = faults(read(&format!("{{\"name\":\"a\",\"amount\":{amount}}}"), Format::Ndjson));
        assert!(found[0].starts_with("1:"), "{found:?}");
        assert!(found[0].contains("/rows/0/amount"), "{found:?}");
    }
    let large = "{\"name\":\"a\",\"amount\":\"9999999999999999999999999999\"}\n{\"name\":\"b\",\"amount\":\"0.1\"}\n";
    assert_eq!(
        faults(read(large, Format::Ndjson)),
        ["2:22 /rows/1/amount the total has more digits than can be reckoned exactly"]
    );
    let (spooled, _) = read("{\"name\":\"a\",\"amount\":null}\n{\"name\":\"a\",\"amount\":1.5e2}", Format::Ndjson)
        .map_or_else(|_| read("{\"name\":\"a\"}\n{\"name\":\"a\",\"amount\":1.5e2}", Format::Ndjson), Ok)
        .expect("an upload");
    assert_eq!(spooled.totals, [Decimal::new(150, 0)]);
}

#[test]
fn a_template_without_rows_takes_json_alone_and_checks_it_whole() {
    let folder = std::env::temp_dir().join(format!("pressrun-input-whole-{}", std::process::id()));
    std::fs::create_dir_all(&folder).expect("a folder");
    std::fs::write(folder.join("schema.json"), schema().to_string()).expect("a file");
    let template = Template::read(&folder).expect("a template");
    std::fs::remove_dir_all(folder).expect("our own folder");
    let (spooled, rows) = read_with(&template, &Limits::default(), JSON, Format::Json).expect("an upload");
    assert_eq!((spooled.rest["rows"][2]["name"].as_str(), rows.as_str()), (Some("d"), ""));
    let broken = JSON.replace("\"count\": 1", "\"count\": -1");
    assert!(
        faults(read_with(&template, &Limits::default(), &broken, Format::Json))[0].starts_with("3:28 /rows/0/count")
    );
    assert!(faults(read_with(&template, &Limits::default(), ROWS, Format::Ndjson))[0].contains("declares no rows"));
}

#[test]
fn a_schema_that_cannot_be_checked_row_by_row_is_refused() {
    let schema = json!({"properties": {"rows": {"type": "array", "uniqueItems": true}}});
    let manifest: Manifest = serde_json::from_value(json!({"rows": {"field": "rows"}})).expect("a manifest");
    let refused = Rows::new(manifest.rows.expect("rows"), Some(&schema)).expect_err("unique rows");
    assert_eq!(refused, "`uniqueItems` on `rows` cannot be checked row by row");
    assert!(serde_json::from_value::<Manifest>(json!({"row": {"field": "rows"}})).is_err());
}
