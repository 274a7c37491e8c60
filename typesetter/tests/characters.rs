//! What becomes of the characters of the data on their way to the page.

mod support;

use serde_json::{Value, json};
use support::Place;
use typesetter::{Engine, Error, OnMissingGlyph, Request, RowsOf, Section, Warning};

/// Fails, with a message of Typst's, unless the template sees this text.
fn seen(given: &str, expected: &str) {
    let codepoints: String = expected.chars().map(|c| format!("\\u{{{:x}}}", u32::from(c))).collect();
    let place =
        Place::new(&format!("#let given = json(\"/data.json\").given\n#assert.eq(given, \"{codepoints}\")\n#given"));
    place.write("data.json", json!({ "given": given }).to_string());
    place.typeset().unwrap_or_else(|error| panic!("{given:?}: {error}"));
}

fn report(request: &Request) -> Vec<Warning> {
    Engine::new().typeset(request).unwrap_or_else(|error| panic!("{error}")).warnings
}

#[test]
fn separators_are_spaces_and_other_controls_go() {
    seen("Cable\t3000 m", "Cable 3000 m");
    seen("a\u{b}b\u{c}c\u{1f}d", "a b c d");
    seen("a\r\nb\rc\u{85}d\u{2028}e\u{2029}f", "a\nb\nc\nd\ne\nf");
    seen("a\u{0}b\u{1b}c\u{7f}d\u{9b}e", "abcde");
    let place = Place::new("#assert.eq(json(\"/data.json\").text, \"ab\")");
    place.write("data.json", "{\"text\": \"a\u{7f}b\"}");
    place.typeset().unwrap_or_else(|error| panic!("{error}"));
    seen("two\nlines of e\u{301} and ñ", "two\nlines of e\u{301} and ñ");
    seen("x\u{feff}y", "xy");
    seen("C:\\new\\table, \"quoted\", 1/2", "C:\\new\\table, \"quoted\", 1/2");
}

#[test]
fn directional_formatting_ends_with_its_line() {
    seen("\u{202e}evil\nnext", "\u{202e}evil\u{202c}\nnext");
    seen("a\u{2069}b\u{202c}c", "abc");
}

#[test]
fn what_no_font_has_takes_no_other_character_along() {
    seen("1\u{fe0f}\u{20e3} one", "1\u{fffd} one");
    seen("Item 0\u{64b}!", "Item 0\u{fffd}!");
    seen("begin✧end x\u{1680}y", "begin\u{fffd}end x\u{fffd}y");
    seen("Zoë 漢字 Cafe\u{301}", "Zoë \u{fffd}\u{fffd} Cafe\u{301}");
    seen("👩\u{200d}👩\u{200d}👧 family", "\u{fffd}\u{fffd}\u{fffd} family");
    seen("न\u{304} ა\u{304} ش\u{304} ب\u{651}", "न\u{fffd} ა\u{fffd} ش\u{fffd} ب\u{651}");
    seen("a\n\u{64b}b, a\n\u{301}b, a \u{64b}b", "a\n\u{fffd}b, a\n\u{301}b, a \u{fffd}b");
    seen("Привет, Ελλάδα, שלום, 5\u{a0}000 €", "Привет, Ελλάδα, שלום, 5\u{a0}000 €");
}

#[test]
fn a_character_without_a_glyph_is_a_warning_with_its_first_place() {
    let place = Place::new("#let data = json(\"/data.json\")\n#data.buyer.name #for row in data.rows [#row.text \\ ]");
    let data = json!({"hidden": "漢", "buyer": {"name": "Ann 😀"}, "rows": [{"text": "x"}, {"text": "😀 and 😀"}]});
    place.write("data.json", data.to_string());
    let warnings = report(&place.request());
    let told: Vec<_> = warnings
        .iter()
        .map(|it| {
            (it.code.as_str(), it.pointer.as_deref(), it.count, it.character.as_deref(), it.code_point.as_deref())
        })
        .collect();
    assert_eq!(told[1], ("missing-glyph", Some("/buyer/name"), 3, Some("😀"), Some("U+1F600")));

    let mut request = place.request();
    request.options.on_missing_glyph = OnMissingGlyph::Fail;
    match Engine::new().typeset(&request) {
        Err(Error::InvalidData { violations }) => {
            assert_eq!(violations[1].pointer, "/buyer/name");
            assert!(violations[1].detail.contains("U+1F600"), "{}", violations[1].detail);
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn rows_of_a_section_are_told_by_their_place_in_the_report() {
    let place = Place::new("#for row in json(\"/data.json\").rows [#row.text \\ ]");
    let data = json!({"title": "😀", "rows": [{"text": "x"}, {"text": "漢"}]});
    place.write("data.json", data.to_string());
    let section = Section { first: false, last: false, first_row: 2_501, ..Section::default() };
    let request = Request {
        section: Some(section),
        rows: Some(RowsOf { field: "rows".into(), names: Vec::new() }),
        ..place.request()
    };
    let pointers: Vec<_> = report(&request).into_iter().map(|warning| warning.pointer).collect();
    assert_eq!(pointers, [Some("/rows/2501/text".to_owned())]);
}

#[test]
fn archives_and_readers_get_the_stand_in_too() {
    let place = Place::new("#set document(title: \"x\")\n#set text(font: \"Inter\")\n#json(\"/data.json\").text");
    place.write("data.json", json!({"text": "Ann 😀 \u{e000}"}).to_string());
    for standard in ["a-1b", "a-2u", "a-2a", "a-3a", "a-4", "ua-1"] {
        let mut request = place.request();
        request.options.pdf_standard = Some(standard.parse().expect("a standard"));
        let characters: Vec<_> = report(&request).into_iter().filter_map(|it| it.code_point).collect();
        assert_eq!(characters, ["U+1F600", "U+E000"], "{standard}");
    }
}

#[test]
fn a_templates_own_characters_are_told_without_a_place() {
    let warnings = report(&Place::new("漢 and 漢").request());
    assert_eq!(warnings.len(), 1);
    assert_eq!((warnings[0].pointer.as_deref(), warnings[0].count, warnings[0].page), (None, 2, Some(1)));
}

#[test]
fn text_that_leaves_its_page_or_is_cut_is_a_warning() {
    let codes = |main: &str| -> Vec<(String, Option<u64>)> {
        report(&Place::new(main).request()).into_iter().map(|it| (it.code, it.page)).collect()
    };
    assert_eq!(codes("#lorem(2000)"), []);
    assert_eq!(codes("#pagebreak()#place(dx: 20cm)[Far out]"), [("text-outside-page".to_owned(), Some(2))]);
    assert_eq!(codes("#block(breakable: false, lorem(2000))"), [("text-outside-page".to_owned(), Some(1))]);
    assert_eq!(codes("#rotate(-90deg)[#box(width: 40cm)[#\"x\"#h(1fr)#\"x\"]]").len(), 1);
    assert_eq!(codes("#block(height: 1cm, clip: true, lorem(200))"), [("text-cut".to_owned(), Some(1))]);
    assert_eq!(codes("#block(height: 1cm, clip: true)[Fits]"), []);
}

#[test]
fn a_template_warns_and_refuses_in_words_of_its_own() {
    let place = Place::new("#metadata((code: \"odd\", message: \"It is odd.\", pointer: \"/a\")) <pressrun-warning>");
    assert_eq!(report(&place.request()), [Warning::new("odd", "It is odd.", Some("/a".into()))]);
    let refused = Place::new("#pressrun.refuse(\"/closing_balance\", \"it does not add up\")").typeset();
    match refused {
        Err(Error::InvalidData { violations }) => {
            assert_eq!(violations[0].to_string(), "at /closing_balance: it does not add up");
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_fault_of_a_row_is_the_datas() {
    let place = Place::new("#pressrun.carry(json(\"/data.json\").rows, \"n\", decimal(0), 1)");
    place.write("data.json", json!({"rows": [{"n": 1}, {"n": "abc"}]}).to_string());
    let result = Engine::new()
        .typeset(&Request { rows: Some(RowsOf { field: "rows".into(), names: Vec::new() }), ..place.request() });
    match result {
        Err(Error::InvalidData { violations }) => assert_eq!(violations[0].pointer, "/rows/1/n"),
        other => panic!("{other:?}"),
    }
    assert!(matches!(place.typeset(), Err(Error::Template { .. })));
}

#[test]
fn iso_4217_says_how_many_places_a_currency_has() {
    let codes = [
        ("BIF", 0),
        ("DJF", 0),
        ("GNF", 0),
        ("KMF", 0),
        ("RWF", 0),
        ("UYI", 0),
        ("VUV", 0),
        ("JPY", 0),
        ("CLF", 4),
        ("UYW", 4),
        ("KWD", 3),
        ("TND", 3),
        ("EUR", 2),
        ("IDR", 2),
        ("XXX", 2),
        ("???", 2),
    ];
    let codes = Value::from_iter(codes.map(|(code, places)| (code.to_owned(), json!(places))));
    let place =
        Place::new("#for (code, places) in json(\"/data.json\") { assert.eq(pressrun.minor-units(code), places) }");
    place.write("data.json", codes.to_string());
    place.typeset().unwrap_or_else(|error| panic!("{error}"));
}
