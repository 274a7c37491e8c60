//! What a template's author sees when something is wrong.

mod support;

use insta::assert_snapshot;
use support::{Place, rendered};
use typesetter::{Error, Severity};

#[test]
fn an_error_shows_file_line_column_and_caret() {
    let place = Place::new("= Invoice\n\n#let net = 3\nTotal: #(net + taxes)\n");
    assert_snapshot!(place.errors(), @r"
    error: unknown variable: taxes
     --> main.typ:4:16
      |
    4 | Total: #(net + taxes)
      |                ^^^^^
    ");
}

#[test]
fn the_caret_stands_under_the_spot_after_multibyte_and_wide_characters() {
    assert_snapshot!(Place::new("Größe — Ünïcödé: #oops\n").errors(), @r"
    error: unknown variable: oops
     --> main.typ:1:19
      |
    1 | Größe — Ünïcödé: #oops
      |                   ^^^^
    ");
    assert_snapshot!(Place::new("金額の合計 #oops\n").errors(), @r"
    error: unknown variable: oops
     --> main.typ:1:8
      |
    1 | 金額の合計 #oops
      |             ^^^^
    ");
}

#[test]
fn the_caret_stands_under_the_spot_after_tabs() {
    assert_snapshot!(Place::new("#{\n\t\tlet x =\toops\n}\n").errors(), @r"
    error: unknown variable: oops
     --> main.typ:2:11
      |
    2 |         let x =    oops
      |                    ^^^^
    ");
}

#[test]
fn a_syntax_error_at_the_end_of_a_line_has_a_caret() {
    assert_snapshot!(Place::new("#let x =\r\n#let y = (1\r\n").errors(), @r"
    error: expected expression
     --> main.typ:1:9
      |
    1 | #let x =
      |         ^
    error: unclosed delimiter
     --> main.typ:2:10
      |
    2 | #let y = (1
      |          ^
    ");
}

#[test]
fn an_error_inside_the_kit_tells_how_the_template_got_there() {
    assert_snapshot!(Place::of("kit-error").errors(), @r"
    error: expected integer, float, or decimal, found string
     --> kit/kit.typ:2:14
      |
    2 |   calc.round(amount, digits: 2)
      |              ^^^^^^
      = while calling `money` at main.typ:4:9
    ");
}

#[test]
fn an_error_in_the_data_points_into_the_data() {
    let place = Place::of("plain");
    place.write("data.json", "{\n  \"name\": nobody\n}");
    assert_snapshot!(place.errors(), @r#"
    error: failed to parse JSON (expected ident at line 2 column 12)
     --> data.json:2:12
      |
    2 |   "name": nobody
      |            ^
      = while calling `json` at main.typ:2:13
    "#);
}

#[test]
fn a_very_long_line_is_cut_around_the_spot() {
    let place = Place::of("plain");
    place.write("data.json", format!("[{}nobody{}]", "1, ".repeat(100_000), ", 1".repeat(100_000)));
    assert_snapshot!(place.errors(), @r"
    error: failed to parse JSON (expected ident at line 1 column 300003)
     --> data.json:1:300003
      |
    1 | … 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, nobody, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1…
      |                                                                                  ^
      = while calling `json` at main.typ:2:13
    ");
}

#[test]
fn a_huge_message_and_very_many_errors_are_bounded() {
    let place = Place::new("#panic(\"x\" * 1000000)");
    assert!(place.errors().len() < 2000);

    let place = Place::new(&"#)\n".repeat(1000));
    match place.typeset() {
        Err(Error::Template { diagnostics }) => {
            assert_eq!(diagnostics.len(), 20);
            assert_eq!(diagnostics[19].hints.last().map(String::as_str), Some("980 more like this were left out"));
        }
        other => panic!("expected a template error, got {other:?}"),
    }
}

#[test]
fn control_characters_of_the_data_do_not_reach_the_terminal() {
    let shown = Place::new("#panic(\"a\\u{1b}[31mb\\u{202e}c\")").errors();
    assert!(!shown.contains(['\u{1b}', '\u{202e}']), "{shown:?}");
}

#[test]
fn an_endless_while_is_stopped_by_typst() {
    assert_snapshot!(Place::new("#while true {}\n").errors(), @r"
    error: condition is always true
     --> main.typ:1:8
      |
    1 | #while true {}
      |        ^^^^
    ");
}

#[test]
fn endless_recursion_is_stopped_by_typst() {
    assert_snapshot!(Place::new("#let f(x) = f(x + 1)\n#f(0)\n").errors(), @r"
    error: maximum function call depth exceeded
     --> main.typ:1:13
      |
    1 | #let f(x) = f(x + 1)
      |             ^^^^^^^^
      = while calling `f` at main.typ:2:2
    ");
}

#[test]
fn warnings_come_with_the_report() {
    let report = Place::new("#set text(font: \"No Such Font\")\nHello\n").typeset().expect("a report");
    assert_eq!(report.diagnostics[0].severity, Severity::Warning);
    assert_snapshot!(rendered(&report.diagnostics), @r#"
    warning: unknown font family: no such font
     --> main.typ:1:17
      |
    1 | #set text(font: "No Such Font")
      |                 ^^^^^^^^^^^^^^
    "#);
}

#[test]
fn the_summary_is_one_line_with_the_position() {
    let error = Place::new("#oops\n").typeset().expect_err("an error");
    assert_snapshot!(error, @"main.typ:1:2: unknown variable: oops");
    assert_eq!(error.name(), "template-error");
}

#[test]
fn names_are_the_same_in_json() {
    let errors = [
        Error::Template { diagnostics: vec![] },
        Error::OutputTooLarge { bytes: 2, limit: 1 },
        Error::Options { message: String::new() },
        Error::MissingTemplate { template: "x".into() },
        Error::Io { action: String::new(), path: "x".into(), message: String::new() },
        Error::Panicked { message: String::new() },
        Error::Request { message: String::new() },
    ];
    for error in errors {
        let json = serde_json::to_value(&error).expect("JSON");
        assert_eq!(json["name"], error.name());
        assert_eq!(serde_json::from_value::<Error>(json).expect("an error"), error);
    }
}

/// What is said, with the advice, of this picture that the kit places where everything must be readable.
fn said_of_picture(svg: &str) -> String {
    let place = Place::new("#import \"/kit/kit.typ\": logo\n#set document(title: \"x\")\n#logo(\"/mark.svg\")\n");
    place.write("kit/kit.typ", "#let logo(file) = image(file)\n");
    place.write(
        "template/mark.svg",
        format!("<svg xmlns='http://www.w3.org/2000/svg' width='9' height='9'>{svg}</svg>"),
    );
    let mut request = place.request();
    request.options.pdf_standard = Some("ua-1".parse().expect("a standard"));
    let error = typesetter::Engine::new().typeset(&request).expect_err("not everything is readable");
    error.diagnostics().iter().map(ToString::to_string).collect()
}

#[test]
fn a_picture_without_a_description_is_named() {
    let said = said_of_picture("<rect width='9' height='9'/>");
    assert!(said.contains("`mark.svg`: describe it, as in image(\"mark.svg\", alt: \"…\")"), "{said}");
}
