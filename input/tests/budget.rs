//! No check of data takes more than its budget, whatever the schema.

use std::io::Cursor;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
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
    // Nor does one that counts in its lookahead read one of some length.
    let counting = json!({"items": {"pattern": "(?=.*[a-z]{3}.{0,2000}[A-Z]{3})x"}});
    let start = Instant::now();
    let words = json!([shuffled(3_000, b"abcdefghijklmnopqrstuvwxyz ")]);
    assert_eq!(check(&counting, &words, &Budget::default()), Err(CutOff::TooCostly));
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

/// So many bytes of the same, in no order that repeats soon.
fn shuffled(bytes: usize, of: &[u8]) -> String {
    let mut state = 88_172_645_463_325_252_u64;
    let random = std::iter::repeat_with(|| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        char::from(of[usize::try_from(state % of.len() as u64).expect("small")])
    });
    random.take(bytes).collect()
}

/// Patterns with a large counted repetition, and long texts that they do not match.
fn endless() -> [(&'static str, String); 3] {
    let words = shuffled(1_650_000, b"abcdefghijklmnopqrstuvwxyz    ");
    [
        ("[a-z]{3}.{0,2000}[A-Z]{3}", words.clone()),
        ("1.{999}[^01]", shuffled(5_400_000, b"01")),
        ("\\b[a-z]{3}.{0,2000}[A-Z]{3}", words + "é"),
    ]
}

#[test]
fn one_match_of_a_long_text_is_cut_off() {
    let budget = Budget::of(Duration::from_millis(200));
    for (pattern, text) in endless() {
        let schemas = [
            (json!({"pattern": pattern}), json!(text)),
            (json!({"propertyNames": {"pattern": pattern}}), json!({&text: 0})),
            (json!({"patternProperties": {pattern: false}}), json!({&text: 0})),
            (json!({"patternProperties": {pattern: true}, "additionalProperties": false}), json!({&text: 0})),
        ];
        for (schema, data) in schemas {
            let validator = validator(&schema).expect("a schema");
            let start = Instant::now();
            assert_eq!(validator.violations(&data, None, "", 1, &budget), Err(CutOff::TooCostly), "{schema}");
            assert!(start.elapsed() < Duration::from_secs(3), "{schema}: {:?}", start.elapsed());
        }
    }
}

#[test]
fn one_match_of_a_long_text_is_stopped() {
    for (pattern, text) in endless().into_iter().take(2) {
        let stop = Arc::new(AtomicBool::new(false));
        let budget = Budget::of(Duration::from_secs(60)).until(Arc::clone(&stop));
        let start = Instant::now();
        let schema = json!({"properties": {"s": {"pattern": pattern}}});
        let data = json!({ "s": text });
        let check = std::thread::spawn(move || check(&schema, &data, &budget));
        std::thread::sleep(Duration::from_millis(300));
        stop.store(true, Ordering::Relaxed);
        assert_eq!(check.join().expect("no panic"), Err(CutOff::Stopped), "{pattern}");
        assert!(start.elapsed() < Duration::from_secs(3), "{pattern}: {:?}", start.elapsed());
    }
}

#[test]
fn many_names_are_cut_off_between_two_of_them() {
    let names = shuffled(2_000_000, b"abcdefghijklmnopqrstuvwxyz ");
    let names = names.as_bytes().chunks(2_000).map(|name| String::from_utf8_lossy(name).into_owned());
    let data: Value = names.map(|name| (name, json!(0))).collect::<Map<_, _>>().into();
    let pattern = "[a-z]{3}.{0,2000}[A-Z]{3}";
    for schema in [json!({"propertyNames": {"pattern": pattern}}), json!({"patternProperties": {pattern: false}})] {
        let start = Instant::now();
        let cut = check(&schema, &data, &Budget::of(Duration::from_millis(200)));
        assert_eq!(cut, Err(CutOff::TooCostly), "{schema}");
        assert!(start.elapsed() < Duration::from_secs(3), "{schema}: {:?}", start.elapsed());
    }
}

#[test]
fn names_are_counted_however_they_are_checked() {
    let twice = |next: String| json!({"allOf": [{"$ref": next}, {"$ref": next}]});
    let mut schemas: Map<_, _> = (0..40).map(|at| (at.to_string(), twice(format!("#/$defs/{}", at + 1)))).collect();
    schemas.insert("40".into(), json!({"type": "string"}));
    let schema = json!({"propertyNames": {"$ref": "#/$defs/0"}, "$defs": schemas});
    let start = Instant::now();
    assert_eq!(check(&schema, &json!({"a": 1}), &Budget::of(Duration::from_millis(200))), Err(CutOff::TooCostly));
    assert!(start.elapsed() < Duration::from_secs(3), "{:?}", start.elapsed());
}

#[test]
fn long_texts_that_are_cheap_to_match_are_matched() {
    let schema = |pattern: &str| json!({"items": {"pattern": pattern}});
    let bounded = schema("^.{0,2000}$");
    for (schema, text, fits) in [
        (&bounded, "ä".repeat(60_000), false),
        (&bounded, "ä".repeat(2_000), true),
        (&schema("[a-z]{3}.{0,2000}[A-Z]{3}"), "a ".repeat(1_000_000), false),
        (&schema("[0-9]{3}$"), "a".repeat(5_000_000) + "123", true),
    ] {
        let found = check(schema, &json!([text]), &Budget::default()).expect("cheap");
        assert_eq!(found.is_empty(), fits, "{schema}");
    }
}

#[test]
fn texts_without_the_form_are_told_up_to_the_memory_they_take() {
    let schema = json!({"items": {"allOf": vec![json!({"pattern": "^[a-z]+$"}); 1_000]}});
    let found = check(&schema, &json!(["1".repeat(20_000_000), "x"]), &Budget::default()).expect("cheap");
    assert_eq!((found.listed.len(), found.more), (1, 1));
    assert!(found.listed[0].detail.ends_with("does not have the form that the schema asks for"), "{found:?}");
}

#[test]
fn names_of_which_none_fits_are_told() {
    let forms: Vec<_> = (0..200).map(|number| json!({"pattern": format!("^[a-z]{{3}}{number}$")})).collect();
    let schema = json!({"propertyNames": {"anyOf": forms}});
    let names: Map<_, _> = (0..100_000).map(|number| (format!("NAME {number}"), json!(0))).collect();
    let found = check(&schema, &names.into(), &Budget::default()).expect("told");
    assert!(found.more > 0);
    let told = &found.listed[0].detail;
    assert_eq!(told, "\"NAME 0\" is not valid under any of the schemas listed in the 'anyOf' keyword");
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
