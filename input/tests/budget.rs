//! No check of data takes more than its budget, whatever the schema.

use std::io::Cursor;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use input::{
    Budget, CHECK_TIME, CutOff, Format, InputError, Limits, Rows, RowsDeclaration, Template, Violations, spool,
    validator,
};
use serde_json::{Map, Value, json};

/// A rich text whose blocks have blocks in them, of two shapes that differ in one word.
fn rich_text() -> Value {
    let block = |kind: &str| {
        json!({
            "type": "object",
            "required": ["kind", "blocks"],
            "properties": {"kind": {"const": kind}, "blocks": {"type": "array", "items": {"$ref": "#/$defs/block"}}},
        })
    };
    json!({
        "properties": {"body": {"$ref": "#/$defs/block"}},
        "$defs": {"block": {"oneOf": [block("paragraph"), block("list"), {"type": "integer"}]}},
    })
}

/// Blocks in blocks, the innermost of which is wrong.
fn nested(depth: usize) -> Value {
    let innermost = json!({"kind": "paragraph", "blocks": ["wrong"]});
    let body = (0..depth).fold(innermost, |block, _| json!({"kind": "paragraph", "blocks": [block]}));
    json!({ "body": body })
}

fn check(schema: &Value, data: &Value, budget: &Budget) -> Result<Violations, CutOff> {
    validator(schema).expect("a schema").violations(data, None, "", 1_000, budget)
}

#[test]
fn branches_of_one_recursive_shape_are_cut_off() {
    let ample = CHECK_TIME + Duration::from_secs(3);
    for depth in [20, 30, 50] {
        let start = Instant::now();
        let cut = check(&rich_text(), &nested(depth), &Budget::default());
        assert_eq!(cut, Err(CutOff::TooCostly), "{depth}");
        assert!(start.elapsed() < ample, "{depth}: {:?}", start.elapsed());
    }
    assert_eq!(check(&rich_text(), &nested(3), &Budget::default()).expect("cheap").listed.len(), 1);
}

#[test]
fn references_that_double_are_cut_off_without_a_look_at_the_data() {
    let twice = |next: String| json!({"allOf": [{"$ref": next}, {"$ref": next}]});
    let mut schemas: Map<_, _> = (0..40).map(|at| (at.to_string(), twice(format!("#/$defs/{}", at + 1)))).collect();
    schemas.insert("40".into(), json!({"type": "string"}));
    let schema = json!({"$ref": "#/$defs/0", "$defs": schemas});
    let start = Instant::now();
    assert_eq!(check(&schema, &json!(1), &Budget::of(Duration::from_millis(200))), Err(CutOff::TooCostly));
    assert!(start.elapsed() < Duration::from_secs(3), "{:?}", start.elapsed());
}

#[test]
fn a_pattern_that_looks_around_does_not_read_a_long_text() {
    let schema = json!({"items": {"pattern": "^((?=.*b)a)*c$"}});
    let start = Instant::now();
    let long = json!([format!("{}b", "a".repeat(1_000_000))]);
    assert_eq!(check(&schema, &long, &Budget::default()), Err(CutOff::TooCostly));
    assert!(start.elapsed() < Duration::from_secs(1), "{:?}", start.elapsed());
    let short = check(&schema, &json!([format!("{}b", "a".repeat(20))]), &Budget::default());
    assert_eq!(short.expect("cheap").listed.len(), 1);
    // Each of them is cheap, and all of them are not.
    let many = Value::from(vec![format!("{}b", "a".repeat(2_000)); 20_000]);
    let start = Instant::now();
    assert_eq!(check(&schema, &many, &Budget::of(Duration::from_millis(100))), Err(CutOff::TooCostly));
    assert!(start.elapsed() < Duration::from_secs(3), "{:?}", start.elapsed());
}

#[test]
fn a_pattern_without_an_end_is_given_up() {
    let schema = json!({"items": {"pattern": "^(?:(?=a)a|a(?=a))*$"}});
    let start = Instant::now();
    let data: Value = (0..10_000).map(|number| format!("{}b{number}", "a".repeat(40))).collect();
    assert!(check(&schema, &data, &Budget::of(Duration::from_millis(300))) == Err(CutOff::TooCostly));
    assert!(start.elapsed() < Duration::from_secs(5), "{:?}", start.elapsed());
}

/// Every way to nest so many pairs of brackets, within one more.
fn shapes(pairs: usize) -> Vec<Value> {
    let mut shapes = vec![vec![json!([])]];
    for pairs in 1..=pairs {
        let split = |first: usize| {
            let (first, rest) = (&shapes[first], &shapes[pairs - 1 - first]);
            first.iter().flat_map(|first| {
                rest.iter().map(move |rest| {
                    [std::slice::from_ref(first), rest.as_array().expect("an array").as_slice()].concat().into()
                })
            })
        };
        let of_pairs = (0..pairs).flat_map(split).collect();
        shapes.push(of_pairs);
    }
    shapes.pop().expect("one at least")
}

#[test]
fn values_of_one_hash_are_compared_in_linear_time() {
    let data = Value::from(shapes(11));
    assert_eq!(data.as_array().map(Vec::len), Some(58_786));
    assert_eq!(check(&json!({"uniqueItems": true}), &data, &Budget::default()), Ok(Violations::default()));
}

#[test]
fn large_values_cost_what_they_take() {
    let budget = Budget::of(Duration::from_millis(20));
    let numbers = Value::from((0..100_000).collect::<Vec<_>>());
    for (keyword, data) in [
        (json!({"minLength": 1}), json!("é".repeat(1_000_000))),
        (json!({"maxLength": 2_000_000}), json!("é".repeat(1_000_000))),
        (json!({"enum": [numbers, 1]}), numbers.clone()),
        (json!({"const": {"numbers": numbers}}), json!({"numbers": numbers})),
        (json!({"uniqueItems": true}), numbers.clone()),
    ] {
        let schema = json!({"allOf": vec![json!({"$ref": "#/$defs/large"}); 1_000], "$defs": {"large": keyword}});
        let start = Instant::now();
        assert_eq!(check(&schema, &data, &budget), Err(CutOff::TooCostly), "{keyword:.60}");
        assert!(start.elapsed() < Duration::from_secs(2), "{:?}", start.elapsed());
    }
}

#[test]
fn long_names_are_neither_kept_nor_told() {
    let schema = json!({"additionalProperties": {"items": {"type": "string"}}});
    let data = json!({"n".repeat(1_000_000): vec![0; 1_000]});
    let found = check(&schema, &data, &Budget::default()).expect("cheap");
    assert!(!found.is_empty() && found.more > 0, "{} and {} more", found.listed.len(), found.more);
    for violation in found.listed {
        assert!(violation.pointer.len() < 500 && violation.detail.len() < 500, "{violation:?}");
    }
    let closed = json!({"items": {"additionalProperties": false}});
    let data = json!([{"n".repeat(1_000_000): 0}, {"n".repeat(100_000): 0}]);
    for violation in check(&closed, &data, &Budget::default()).expect("cheap").listed {
        assert!(violation.detail.len() < 500, "{} bytes", violation.detail.len());
    }
}

#[test]
fn violations_beyond_those_listed_are_counted() {
    let schema = json!({"items": {"type": "string"}});
    let found = check(&schema, &Value::from(vec![0; 1_500]), &Budget::default()).expect("cheap");
    assert_eq!((found.listed.len(), found.more), (1_000, 500));
    assert_eq!(found.listed[999].pointer, "/999");
    let found = check(&schema, &Value::from(vec![0; 1_000_000]), &Budget::default()).expect("cheap");
    assert_eq!(found.listed.len(), 1_000);
    assert!(found.more > 10_000, "{}", found.more);
    assert!(found.listed.iter().all(|it| it.detail == "0 is not of type \"string\""));
}

#[test]
fn a_check_takes_the_processors_time_and_no_more() {
    let schema = json!({"items": {"type": "integer"}});
    let data = Value::from(vec![0; 1_000_000]);
    assert_eq!(check(&schema, &data, &Budget::of(Duration::ZERO)), Err(CutOff::TooCostly));
    assert_eq!(check(&schema, &data, &Budget::default()), Ok(Violations::default()));
    let stop = Budget::default().until(Arc::new(AtomicBool::new(true)));
    assert_eq!(check(&schema, &data, &stop), Err(CutOff::Stopped));
}

/// A template whose rows are rich texts.
fn rows() -> Template {
    let schema =
        json!({"properties": {"rows": {"items": rich_text()["properties"]["body"]}}, "$defs": rich_text()["$defs"]});
    Template::with_rows(Rows::new(RowsDeclaration::new("rows"), Some(&schema)).expect("rows"))
}

#[test]
fn a_costly_row_ends_the_reading() {
    let row = nested(30)["body"].to_string();
    let whole = format!("{{\"rows\": [{row}]}}");
    for (text, format) in [(format!("{row}\n"), Format::Ndjson), (whole, Format::Json)] {
        let start = Instant::now();
        let read = spool(Cursor::new(text), format, Map::new(), &rows(), &Limits::default(), &mut Vec::new());
        let Err(InputError::TooCostly(pointer)) = read else { panic!("{read:?}") };
        assert_eq!(pointer, "/rows/0");
        assert!(start.elapsed() < CHECK_TIME + Duration::from_secs(3), "{:?}", start.elapsed());
    }
}

#[test]
fn rows_are_read_no_further_once_nobody_waits() {
    let row = format!("{}\n", nested(4)["body"]);
    let stop = Arc::new(AtomicBool::new(true));
    let limits = Limits { check: Budget::default().until(stop), ..Limits::default() };
    // Small rows are checked within a step of the clock; a large one sees the sign.
    let large = format!("{{\"kind\": \"list\", \"blocks\": [{}]}}\n", vec!["1"; 10_000].join(","));
    let read = spool(Cursor::new(row + &large), Format::Ndjson, Map::new(), &rows(), &limits, &mut Vec::new());
    assert!(matches!(read, Err(InputError::Stopped)), "{read:?}");
}
