//! A number is one number wherever it is read: where uploads are summed, and where the kit sums rows.

use std::fs;
use std::io::Cursor;
use std::path::Path;

use input::{Decimal, Format, Limits, Manifest, Rows, Template, spool};
use proptest::prelude::*;
use serde_json::{Map, Value, json};
use typesetter::{Engine, Error, Options, OutputLimits, Request};

/// What an upload of one row comes to, and the row as templates are given it; `None` if it is refused.
fn summed(value: &Value) -> Option<(Decimal, Value)> {
    let manifest: Manifest =
        serde_json::from_value(json!({"rows": {"field": "rows", "totals": ["v"]}})).expect("it is");
    let template = Template::with_rows(Rows::new(manifest.rows.expect("rows"), None).expect("no schema"));
    let (upload, mut row) = (json!({ "v": value }).to_string(), Vec::new());
    let spooled =
        spool(Cursor::new(upload), Format::Ndjson, Map::new(), &template, &Limits::default(), &mut row).ok()?;
    Some((spooled.totals[0], serde_json::from_slice(&row).expect("a row")))
}

/// Has the engine compare what it sums with what is expected.
fn typeset(engine: &mut Engine, cases: &[(Value, Decimal)]) -> Result<(), Error> {
    let place = tempfile::tempdir().expect("a folder");
    let main = "#for (row, sum) in json(\"/data.json\") {\n  \
                assert.eq(pressrun.carry((row,), \"v\", decimal(0), 1), decimal(sum))\n}";
    let cases: Value = cases.iter().map(|(row, sum)| json!([row, sum.to_string()])).collect();
    fs::write(place.path().join("main.typ"), main).expect("a file");
    fs::write(place.path().join("data.json"), cases.to_string()).expect("a file");
    let path = |name: &str| Path::join(place.path(), name);
    let request = Request {
        template: path(""),
        kit: path("kit"),
        data: path("data.json"),
        output: path(""),
        options: Options::new("2026-11-21T12:00:00Z".parse().expect("a timestamp"), "a-test"),
        limits: OutputLimits { max_output_bytes: 1 << 20, max_pages: 1 },
        section: None,
        rows: None,
    };
    engine.typeset(&request).map(|_| ())
}

/// How many digits a number has from the first to the last that is not 0.
fn digits_of(value: &Value) -> u32 {
    let text = value.as_str().map_or_else(|| value.to_string(), ToOwned::to_owned);
    let digits: String = text.chars().filter(char::is_ascii_digit).collect();
    digits.trim_matches('0').len() as u32
}

fn check(values: &[Value]) {
    let mut engine = Engine::new();
    let mut taken = Vec::new();
    for value in values {
        match summed(value) {
            Some((sum, row)) => taken.push((row, sum)),
            // Of 29 digits the engine reads some numbers, and the input none.
            None if digits_of(value) > input::MOST_DIGITS => {}
            None => {
                let read = typeset(&mut engine, &[(json!({ "v": value }), Decimal::ZERO)]);
                assert!(
                    matches!(&read, Err(error) if error.to_string().contains("not a number")),
                    "refused by the input, but the engine reads {value}: {read:?}"
                );
            }
        }
    }
    typeset(&mut engine, &taken).unwrap_or_else(|error| panic!("{error}: {:?}", error.diagnostics()));
}

#[test]
fn numbers_at_the_edges_are_read_alike() {
    let numbers = "[9223372036854775807, 9223372036854775808, 18446744073709551615, 18446744073709551616, \
                   -9223372036854775808, -9223372036854775809, 0.1, -0.0, 1e21, 1e27, 1e28, 1e29, 1e300, 1.5e-27, 1e-28, \
                   1.5e-28, 1e-29, 123456789012345680000.5]";
    let mut values: Vec<Value> = serde_json::from_str(numbers).expect("JSON");
    let texts = [
        "18446744073709551615",
        "79228162514264337593543950335",
        "79228162514264337593543950336",
        "1_000.5",
        "1_0",
        "+5",
        ".5",
        "5.",
        "-.5",
        " 5",
        "5 ",
        "\u{2212}5",
        "1e3",
        "0x10",
        "--5",
        "-",
        ".",
        "٣",
        "0.0000000000000000000000000001",
        "0.00000000000000000000000000001",
    ];
    values.extend(texts.map(Value::from));
    check(&values);
    assert_eq!(summed(&json!(u64::MAX)).map(|(sum, _)| sum.to_string()).as_deref(), Some("18446744073709551615"));
    assert!(summed(&json!("1_000.5")).is_none());
}

fn number() -> impl Strategy<Value = Value> {
    prop_oneof![
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<f64>().prop_filter_map("JSON has no such number", |number| {
            Some(Value::from(number)).filter(Value::is_number)
        }),
        (any::<i32>(), 0..9).prop_map(|(digits, places)| json!(f64::from(digits) / 10_f64.powi(places))),
        "-?[0-9]{1,31}(\\.[0-9]{1,9})?".prop_map(Value::from),
        "[-+_.0-9eE ]{1,6}".prop_map(Value::from),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 10, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_number_is_read_alike(values in prop::collection::vec(number(), 100)) {
        check(&values);
    }
}
