//! From a request to files: formats, standards, limits, and the same bytes every time.

mod support;

use std::fs;

use support::Place;
use typesetter::{Engine, Error, Format, Options, PdfStandard, Request};

#[test]
fn the_same_request_gives_the_same_bytes() {
    let (one, other) = (Place::of("plain"), Place::of("plain"));
    one.typeset().expect("a report");
    other.typeset().expect("a report");
    assert_eq!(one.pdf(), other.pdf());
    assert!(one.pdf().starts_with(b"%PDF-1.7"));

    for format in [Format::Png, Format::Svg] {
        let name = format!("page-1.{format}");
        let image = |place: &Place| {
            Engine::new().typeset(&with(place, |options| options.format = format)).expect("a report");
            fs::read(place.path("output").join(&name)).expect("an image")
        };
        assert_eq!(image(&one), image(&other));
    }
}

#[test]
fn timestamp_ident_and_data_each_change_the_bytes() {
    let place = Place::of("plain");
    let mut engine = Engine::new();
    let mut bytes = |request: &Request| {
        engine.typeset(request).expect("a report");
        place.pdf()
    };
    let before = bytes(&place.request());
    assert_ne!(before, bytes(&with(&place, |options| options.timestamp += chrono::TimeDelta::seconds(1))));
    assert_ne!(before, bytes(&with(&place, |options| options.ident = "another".to_owned())));
    assert_eq!(before, bytes(&place.request()));
    place.write("data.json", "{\"name\": \"Bo\"}");
    assert_ne!(before, bytes(&place.request()));
}

#[test]
fn a_warm_engine_gives_the_bytes_of_a_fresh_one_whatever_came_between() {
    let (red, blue) = (Place::of("plain"), Place::of("plain"));
    for (place, colour) in [(&red, "red"), (&blue, "blue")] {
        place.write("template/colour.typ", format!("#let colour = {colour}"));
        place.write("template/main.typ", "#import \"colour.typ\": colour\n#text(colour, json(\"/data.json\").name)");
        place.write("data.json", format!("{{\"name\": \"{colour}\"}}"));
    }
    let fresh = [&red, &blue].map(|place| {
        place.typeset().expect("a report");
        place.pdf()
    });
    assert_ne!(fresh[0], fresh[1]);

    let broken = Place::new("#oops");
    let mut engine = Engine::new();
    for _ in 0..3 {
        for (place, expected) in [&red, &blue].into_iter().zip(&fresh) {
            engine.typeset(&place.request()).expect("a report");
            assert!(place.pdf() == *expected);
            engine.typeset(&broken.request()).expect_err("an error");
        }
    }
}

#[test]
fn an_edited_template_takes_effect_at_once() {
    let place = Place::new("#import \"part.typ\": *\n#body");
    let mut engine = Engine::new();
    place.write("template/part.typ", "#let body = [Before]");
    engine.typeset(&place.request()).expect("a report");
    let before = place.pdf();
    place.write("template/part.typ", "#let body = [After]");
    engine.typeset(&place.request()).expect("a report");
    assert_ne!(place.pdf(), before);
}

#[test]
fn today_is_the_day_of_the_timestamp() {
    let place = Place::new(
        "#let day(..offset) = datetime.today(..offset).display()\n\
         #assert.eq(day(), \"2026-11-21\")\n\
         #assert.eq(day(offset: 13), \"2026-11-22\")\n\
         #assert.eq(day(offset: -13), \"2026-11-20\")\n\
         #assert.eq(day(offset: duration(hours: 12)), \"2026-11-22\")\n",
    );
    place.typeset().expect("a report");
}

#[test]
fn every_standard_makes_a_pdf() {
    let place = Place::of("plain");
    // PDF/A-4f wants an attachment; PDF/A-1 wants no transparency, which there is none of.
    place.write(
        "template/main.typ",
        "#set document(title: \"Plain\")\n#pdf.attach(\"/data.json\", mime-type: \"application/json\", \
         description: \"The data\", relationship: \"data\")\nHello",
    );
    let plain = Place::of("plain");
    let mut engine = Engine::new();
    for standard in PdfStandard::ALL {
        let place = if matches!(standard.as_str(), "a-3a" | "a-3b" | "a-3u" | "a-4f") { &place } else { &plain };
        let report = engine.typeset(&with(place, |options| options.pdf_standard = Some(standard)));
        report.unwrap_or_else(|error| panic!("{standard}: {error}"));
        let text = String::from_utf8_lossy(&place.pdf()).into_owned();
        let name = standard.as_str();
        if let Some(part) = name.strip_prefix("a-") {
            assert!(text.contains(&format!("<pdfaid:part>{}<", &part[..1])), "{name}");
        } else if name == "ua-1" {
            assert!(text.contains("<pdfuaid:part>1<"), "{name}");
        } else {
            assert!(text.starts_with(&format!("%PDF-{name}")), "{name}");
        }
    }
}

#[test]
fn a_document_that_breaks_its_standard_is_an_error_with_a_position() {
    let place = Place::new("Hello");
    let refused = Engine::new().typeset(&with(&place, |options| options.pdf_standard = standard("ua-1")));
    insta::assert_snapshot!(support::rendered(refused.expect_err("an error").diagnostics()), @r"
    error: PDF/UA-1 error: missing document title
     = hint: set the title with `set document(title: [...])`
    ");

    let place = Place::new("#set document(title: \"T\")\n\n#image(\"dot.svg\")\n");
    place.write("template/dot.svg", "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"9\" height=\"9\"/>");
    let refused = Engine::new().typeset(&with(&place, |options| options.pdf_standard = standard("ua-1")));
    insta::assert_snapshot!(support::rendered(refused.expect_err("an error").diagnostics()), @r#"
    error: PDF/UA-1 error: missing alt text
     --> main.typ:3:2
      |
    3 | #image("dot.svg")
      |  ^^^^^^^^^^^^^^^^
      = hint: make sure your images and equations have alt text
      = hint: the picture is `dot.svg`: describe it, as in image("dot.svg", alt: "…")
    "#);
    assert_eq!(place.written(), [""; 0]);
}

#[test]
fn tags_can_be_left_out() {
    let place = Place::of("plain");
    place.typeset().expect("a report");
    let tagged = place.pdf();
    Engine::new().typeset(&with(&place, |options| options.tagged = false)).expect("a report");
    assert!(place.pdf().len() < tagged.len());
}

#[test]
fn choices_that_do_not_go_together_are_refused() {
    let place = Place::of("plain");
    let mut engine = Engine::new();
    let mut refusal = |change: fn(&mut Options)| {
        let error = engine.typeset(&with(&place, change)).expect_err("an error");
        assert_eq!(error.name(), "options-refused");
        error.to_string()
    };
    for name in ["a-1a", "a-2a", "a-3a", "ua-1"] {
        let mut options = place.request().options;
        (options.tagged, options.pdf_standard) = (false, standard(name));
        assert!(options.check().is_err(), "{name}");
    }
    insta::assert_snapshot!(refusal(|options| (options.tagged, options.pdf_standard) = (false, standard("a-2a"))), @"the PDF standard a-2a requires a tagged PDF: leave tags on or choose another standard");
    insta::assert_snapshot!(refusal(|options| (options.format, options.pdf_standard) = (Format::Png, standard("a-2b"))), @"the PDF standard a-2b does not apply to png: choose the format pdf or no standard");
    insta::assert_snapshot!(refusal(|options| options.ppi = f32::NAN), @"NaN pixels per inch: choose 1 to 1200");
    insta::assert_snapshot!(refusal(|options| (options.format, options.ppi) = (Format::Png, 5000.0)), @"5000 pixels per inch: choose 1 to 1200");
    assert_eq!(place.written(), [""; 0]);
}

#[test]
fn images_come_one_a_page_with_names_that_sort() {
    let place = Place::of("many-pages");
    let mut engine = Engine::new();
    for format in [Format::Png, Format::Svg] {
        let report = engine.typeset(&with(&place, |options| options.format = format)).expect("a report");
        assert_eq!((report.pages, report.files.len()), (12, 12));
        assert_eq!(report.files[0], place.path("output").join(format!("page-01.{format}")));
        assert_eq!(report.files[11], place.path("output").join(format!("page-12.{format}")));
        let sizes: u64 = report.files.iter().map(|file| fs::metadata(file).expect("a file").len()).sum();
        assert_eq!(report.bytes, sizes);
    }
    let png = fs::read(place.path("output/page-01.png")).expect("a PNG");
    assert_eq!(&png[..8], b"\x89PNG\r\n\x1a\n");
    // 60 points at 144 pixels per inch.
    assert_eq!(&png[16..24], [0, 0, 0, 120, 0, 0, 0, 120]);
}

#[test]
fn a_page_too_large_for_a_png_is_refused() {
    let place = Place::new("#set page(width: 50000pt, height: 50000pt)\nHello");
    let error = Engine::new().typeset(&with(&place, |options| options.format = Format::Png)).expect_err("an error");
    insta::assert_snapshot!(error, @"page 1 would be 100000 × 100000 pixels at 144 per inch, more than 100000000: choose fewer pixels per inch or a smaller page");
}

#[test]
fn output_over_the_limit_is_not_written() {
    let place = Place::of("many-pages");
    let mut engine = Engine::new();
    for format in Format::ALL {
        let mut request = with(&place, |options| options.format = format);
        let whole = engine.typeset(&request).expect("a report");
        whole.files.iter().for_each(|file| fs::remove_file(file).expect("removed"));

        request.limits.max_output_bytes = whole.bytes;
        let exact = engine.typeset(&request).expect("a report");
        exact.files.iter().for_each(|file| fs::remove_file(file).expect("removed"));

        request.limits.max_output_bytes = whole.bytes - 1;
        let error = engine.typeset(&request).expect_err("an error");
        assert_eq!(error, Error::OutputTooLarge { bytes: whole.bytes, limit: whole.bytes - 1 });
        assert_eq!(place.written(), [""; 0]);
    }
}

#[test]
fn a_report_with_too_many_pages_is_not_written() {
    let place = Place::of("many-pages");
    let mut engine = Engine::new();
    for format in Format::ALL {
        let mut request = with(&place, |options| options.format = format);
        request.limits.max_pages = 11;
        let error = engine.typeset(&request).expect_err("an error");
        assert_eq!(error, Error::TooManyPages { pages: 12, limit: 11 });
        assert_eq!(error.name(), "page-limit-exceeded");
        insta::allow_duplicates! {
            insta::assert_snapshot!(error, @"the report has 12 pages, the limit is 11");
        }
        assert_eq!(place.written(), [""; 0]);

        request.limits.max_pages = 12;
        let exact = engine.typeset(&request).expect("a report");
        exact.files.iter().for_each(|file| fs::remove_file(file).expect("removed"));
    }
}

#[test]
fn a_failed_write_leaves_nothing_behind() {
    let place = Place::of("many-pages");
    // A folder in the way of the last page.
    place.write("output/page-12.svg/in-the-way", "");
    let error = Engine::new().typeset(&with(&place, |options| options.format = Format::Svg)).expect_err("an error");
    assert_eq!(error.name(), "io-error");
    assert_eq!(place.written(), ["page-12.svg"]);
}

#[test]
fn missing_data_is_named() {
    let place = Place::of("plain");
    let mut request = place.request();
    request.data = "/nowhere/data.json".into();
    let error = Engine::new().typeset(&request).expect_err("an error");
    insta::assert_snapshot!(error, @"cannot read the data /nowhere/data.json: No such file or directory (os error 2)");
}

#[test]
fn deep_documents_and_data_do_not_overflow_the_stack() {
    let deep = |open: &str, close: &str| format!("#let x = {}1{}\nHello", open.repeat(5000), close.repeat(5000));
    for (open, close) in [("(", ")"), ("[", "]"), ("{", "}"), ("(a: ", ")"), ("f(", ")"), ("-", "")] {
        // Either outcome is good; what matters is that there is one.
        let _ = Place::new(&deep(open, close)).typeset();
    }
    let place = Place::new("#json(\"/data.json\")");
    place.write("data.json", format!("{}{}", "[".repeat(10_000), "]".repeat(10_000)));
    assert!(matches!(place.typeset(), Err(Error::Template { .. })));

    let nested = Place::new("#let nest(n) = if n == 0 [end] else { block(nest(n - 1)) }\n#nest(20)");
    nested.typeset().expect("a report");
}

#[test]
fn names_of_formats_and_standards_are_read_back() {
    for format in Format::ALL {
        assert_eq!(format.to_string().parse(), Ok(format));
        assert_eq!(serde_json::to_value(format).expect("JSON"), format.as_str());
    }
    for standard in PdfStandard::ALL {
        assert_eq!(standard.to_string().parse(), Ok(standard));
        let json = serde_json::to_value(standard).expect("JSON");
        assert_eq!(json, standard.as_str());
        assert_eq!(serde_json::from_value::<PdfStandard>(json).expect("a standard"), standard);
    }
    let unknown = "a-9z".parse::<PdfStandard>().expect_err("unknown");
    insta::assert_snapshot!(unknown, @"there is no PDF standard `a-9z`; there are 1.4, 1.5, 1.6, 1.7, 2.0, a-1b, a-1a, a-2b, a-2u, a-2a, a-3b, a-3u, a-3a, a-4, a-4f, a-4e, ua-1");
}

#[test]
fn only_timestamp_and_ident_are_required() {
    let json = r#"{"timestamp": "2026-11-21T12:00:00Z", "ident": "a-test"}"#;
    assert_eq!(serde_json::from_str::<Options>(json).expect("options"), Options::new(support::noon(), "a-test"));
}

fn standard(name: &str) -> Option<PdfStandard> {
    Some(name.parse().expect("a standard"))
}

fn with(place: &Place, change: impl FnOnce(&mut Options)) -> Request {
    let mut request = place.request();
    change(&mut request.options);
    request
}
