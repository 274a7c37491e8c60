//! What the engine does for the kit's rows, against what Typst and the kit do.

mod support;

use std::path::Path;
use std::process::Command;

use support::Place;
use typesetter::{Engine, Error, Request, RowsOf};

fn run(main: &str) -> Result<(), Error> {
    let place = Place::new(main);
    let kit = Path::new(env!("CARGO_MANIFEST_DIR")).join("../templates/kit");
    Engine::new().typeset(&Request { kit, ..place.request() }).map(|_| ())
}

fn holds(main: &str) {
    run(main).unwrap_or_else(|error| panic!("{error}: {:?}", error.diagnostics()));
}

#[test]
fn numbers_and_dates_are_written_as_the_kit_writes_them() {
    holds(
        r#"
        #import "/kit/kit.typ": *
        #import "/kit/columns.typ": form-of
        #let values = (
          "0", "-0.001", "0.005", "-0.005", "7", "999.994", "999.995", "1234.5", "-1234.50", "12345", "1234567.891",
          "123456789012345.67", "-98765432109876543210", 3, -17, 2.5, -1000.1, 123456.789, decimal("-4321.5"),
        )
        #for locale in ("en-US", "en-GB", "en-IN", "de-DE", "de-CH", "fr-FR", "es-ES") {
          let write(format, digits, value) = {
            let style = (locale: locale, currency: "EUR", digits: digits)
            pressrun.write-cells(((v: value),), "v", form-of((:), format, false, style), 1).first()
          }
          for value in values {
            for digits in (0, 2, 3, 6) {
              assert.eq(write("number", digits, value), number(value, locale, digits: digits))
            }
            assert.eq(write("money", 2, value), money(value, "EUR", locale).body.text)
          }
          for day in ("2026-01-01", "2024-02-29", "1999-12-31") {
            assert.eq(write("date", 2, day), date(day, locale, style: "short"))
          }
        }
        "#,
    );
}

#[test]
fn sums_are_exact_and_told_apart_by_sign() {
    holds(
        r#"
        #let entries = ((v: "0.10"), (v: 0.2), (w: 5), (v: none), (v: "-0.30"), (v: -1), (v: ""))
        #let sum(field) = pressrun.carry(entries, field, decimal("1000"), 1)
        #assert.eq(sum("v"), decimal("999"))
        #assert.eq(sum("v<0"), decimal("998.7"))
        #assert.eq(sum("v>=0"), decimal("1000.3"))
        #let form = (kind: "number", digits: 1, prefix: "", suffix: "", point: ".", group: "", second: 3, least: 1)
        #assert.eq(pressrun.write-cells(entries, "v<0", form, 1), ("", "", "", "", "0.3", "1.0", ""))
        #assert.eq(pressrun.write-cells(entries, "v>=0", form, 1), ("0.1", "0.2", "", "", "", "", ""))
        #assert.eq(
          pressrun.write-cells(entries, "v", form, 1, running: decimal("7")),
          ("7.1", "7.3", "7.3", "7.3", "7.0", "6.0", "6.0"),
        )
        "#,
    );
}

#[test]
fn text_keeps_its_lines_only_where_it_wraps() {
    holds(
        r#"
        #let write(value, lines) = pressrun.write-cells(((v: value),), "v", (kind: "text", lines: lines), 1).first()
        #assert.eq(write(" a\r\n\tb\u{0} \u{2028}c\n\n", false), "a b c")
        #assert.eq(write(" a\r\n\tb\u{0} \u{2028}c\n\n", true), "a\nb\nc")
        #assert.eq(write("Über\u{ad}weisung", false), "Überweisung")
        #assert.eq(write("Über\u{ad}weisung", true), "Über\u{ad}weisung")
        #assert.eq(write(true, false), "true")
        #assert.eq(write(-3, false), "−3")
        #assert.eq(write(2.5, false), "2.5")
        #assert.eq(write(none, false), "")
        "#,
    );
}

/// Also of cells that the engine leaves to Typst, such as those with combining signs.
#[test]
fn cells_are_read_in_their_order() {
    let place = Place::new(
        r#"
        #import "/kit/kit.typ": *
        #show: document-page
        #rows(
          ((a: "left", b: "cafe\u{301}", c: "right"), (a: "first", b: "second", c: "third")),
          columns: ((field: "a"), (field: "b"), (field: "c")),
        )
        "#,
    );
    let kit = Path::new(env!("CARGO_MANIFEST_DIR")).join("../templates/kit");
    let mut request = Request { kit, ..place.request() };
    request.options.tagged = false;
    let report = Engine::new().typeset(&request).expect("a report");
    // In the order in which the file has it.
    let Ok(read) = Command::new("pdftotext").args(["-raw"]).args(&report.files).arg("-").output() else {
        return eprintln!("SKIPPED: pdftotext is not installed, so nothing was read (Debian: poppler-utils)");
    };
    let text = String::from_utf8(read.stdout).expect("UTF-8");
    let words: Vec<_> = text.split_whitespace().collect();
    let start = words.iter().position(|word| *word == "left").expect("the first cell");
    assert_eq!(words[start], "left");
    assert!(words[start + 1].starts_with("caf"), "{words:?}");
    assert_eq!(words[start + 2..start + 6], ["right", "first", "second", "third"]);
}

#[test]
fn what_is_no_number_or_date_is_told_with_its_row() {
    let message = |format: &str, value: &str| {
        let error = run(&format!(
            "#import \"/kit/kit.typ\": *\n#show: document-page\n#rows(((v: \"1\"), (v: {value})), columns: ((field: \
             \"v\", format: \"{format}\"),))"
        ));
        error.expect_err("an error").to_string()
    };
    assert!(message("number", "\"12,50\"").contains("row 2: `v` is \"12,50\", not a number"));
    assert!(message("number", "true").contains("row 2: `v` is true, not a number"));
    assert!(message("date", "\"2026-02-30\"").contains("row 1: `v` is \"1\", not a date"));
}

/// Kerned pairs, figures, signs, letters of other fonts, combining signs, a script from right to left.
#[test]
fn a_text_is_as_wide_as_typst_sets_it() {
    holds(
        r#"
        #set text(font: "Inter", size: 8pt)
        #let texts = (
          "AVATAR To. Wa, Ty; P.", "1,234,567.89", "−0.50 €", "fi ffl -> => 1/2 3x4", "Ærøskøbing, Čeština, ñandú",
          "Привет, Ελλάδα", "数据 in the middle", "e\u{301}a\u{308}", "שלום abc", "a\u{ad}b", "LTAVo 'quoted' “T”", "…", " ",
        )
        #let styles = (
          (kerning: true, ligatures: false, features: (calt: 0)),
          (kerning: false, ligatures: false, features: (calt: 0), number-width: "tabular"),
          (kerning: true, ligatures: false, features: (calt: 0), weight: "semibold", fill: red),
        )
        #context for style in styles {
          let typeset = body => text(..style, body)
          for written in texts {
            let own = measure(typeset(written)).width
            let wide(width) = pressrun.fit((written,), (typeset: typeset, width: width, kerned: style.kerning, figures: false)) != (written,)
            assert(not wide(own), message: "narrower than measured: " + written)
            assert(own < 1pt or wide(own - 0.05pt), message: "wider than measured: " + written)
          }
        }
        "#,
    );
}

#[test]
fn what_is_cut_fits_and_what_fits_is_not_cut() {
    holds(
        r#"
        #set text(font: "Inter", size: 8pt)
        #let typeset = body => text(ligatures: false, features: (calt: 0), body)
        #let column(width) = (typeset: typeset, width: width, kerned: true, figures: false)
        #context {
          let long = "A long text with Wörter, 数据 and AVATAR in it"
          let own = measure(typeset(long)).width
          assert.eq(pressrun.fit((long, "", [content]), column(own)), (long, "", [content]))
          for width in (0pt, 3pt, 9pt, 40pt, 80pt, own - 0.1pt) {
            let cut = pressrun.fit((long,), column(width)).first()
            assert(cut != long and (cut == "" or cut.ends-with("…")))
            assert(measure(typeset(cut)).width <= width + 0.01pt)
            assert(long.starts-with(cut.trim("…")))
          }
          let (figure, size) = pressrun.fit(("1,234,567.89",), column(20pt) + (figures: true, least-size: 0.3)).first()
          assert(figure == "1,234,567.89" and measure(typeset(text(size: size * 1em, figure))).width < 20pt)
        }
        "#,
    );
}

#[test]
fn figures_that_could_not_be_read_are_refused() {
    let place = Place::new(
        "#import \"/kit/kit.typ\": *\n#show: document-page\n#rows(json(\"/data.json\").rows, columns: ((field: \"n\", format: \
         \"number\", width: 15mm), (field: \"text\",)))",
    );
    let kit = Path::new(env!("CARGO_MANIFEST_DIR")).join("../templates/kit");
    let request = Request { kit, rows: Some(RowsOf { field: "rows".into(), names: Vec::new() }), ..place.request() };
    for (figure, fits) in [("1234567.89", true), ("12345678901.23", false)] {
        place.write("data.json", format!("{{\"rows\": [{{\"n\": 1}}, {{\"n\": \"{figure}\"}}]}}"));
        match Engine::new().typeset(&request) {
            Ok(_) => assert!(fits, "{figure}"),
            Err(Error::InvalidData { violations }) => {
                assert!(!fits, "{violations:?}");
                assert_eq!(violations[0].pointer, "/rows/1/n");
                assert!(violations[0].detail.contains("12,345,678,901.23") && violations[0].detail.contains("mm"));
            }
            Err(error) => panic!("{error}"),
        }
    }
}

/// Of texts that Typst has to lay out, not each start is tried.
#[test]
fn as_much_as_fits_is_left_of_a_text() {
    holds(
        r#"
        #set text(font: "Inter", size: 8pt)
        #let typeset = body => text(ligatures: false, features: (calt: 0), body)
        #let column(width) = (typeset: typeset, width: width, kerned: true, figures: false)
        #context {
          let accented = "e\u{301}tude a\u{300} quatre mains, "
          for written in ("数据库 " * 40, "שלום עולם " * 40, accented * 30, "Latin, then 数据库" * 30, "AV. To. " * 40) {
            for width in (6pt, 20pt, 75pt, 200pt, 400pt) {
              let cut = pressrun.fit((written,), column(width)).first().trim("…")
              let wide(count) = {
                let start = ("",) + written.codepoints().slice(0, count)
                measure(typeset(start.join().trim(at: end) + "…")).width > width + 0.01pt
              }
              assert(written.starts-with(cut))
              let count = cut.codepoints().len()
              assert(cut == "" or not wide(count), message: cut)
              // What follows may be blanks, which were cut off.
              assert(wide(count + 1) or wide(count + 2), message: cut)
            }
          }
        }
        "#,
    );
}

#[test]
fn lines_break_between_words_and_fit() {
    holds(
        r#"
        #set text(font: "Inter", size: 8pt)
        #let typeset = body => text(ligatures: false, features: (calt: 0), body)
        #let column(width) = (typeset: typeset, width: width, kerned: true, figures: false)
        #context {
          let wrap(written, width) = {
            let (cells, lines) = pressrun.wrap((written,), column(width))
            if lines.first() > 0 { assert.eq(cells.first().split("\n").len(), lines.first()) }
            cells.first().split("\n")
          }
          let long = "Rent and service charge, Foundry Wharf Estates/Bristol - third quarter"
          for width in (60pt, 90pt, 150pt) {
            let lines = wrap(long, width)
            assert(lines.len() > 1)
            assert.eq(lines.join(" ").replace("/ ", "/"), long)
            for line in lines { assert(measure(typeset(line)).width <= width + 0.01pt) }
          }
          assert.eq(wrap("Invoice KV-2026-0389", 60pt), ("Invoice", "KV-2026-0389"))
          assert.eq(wrap("one\ntwo", 60pt), ("one", "two"))
          assert.eq(wrap("", 60pt), ("",))
          let letters = wrap("Donaudampfschifffahrt", 30pt)
          assert(letters.len() > 1 and letters.join() == "Donaudampfschifffahrt")
          assert.eq(pressrun.wrap(("数据",), column(60pt)).lines, (0,))
          for width in (-2pt, 0pt, 0.1pt) {
            assert.eq(wrap("one two", width), ("o", "n", "e", "t", "w", "o"))
          }
        }
        "#,
    );
}

#[test]
fn a_column_without_room_for_a_letter_is_an_error_of_the_template_or_of_the_data() {
    let set = |columns: &str| {
        run(&format!(
            "#import \"/kit/kit.typ\": *\n#show: document-page\n#rows(((text: \"A\"),), columns: ({columns},))"
        ))
    };
    let wide = "(field: \"text\", width: 4mm), (field: \"text\", width: 1fr)";
    set(wide).unwrap_or_else(|error| panic!("{error}"));
    for width in ["1pt", "0pt", "-2mm", "1mm"] {
        let narrow = format!("(field: \"text\", width: {width}), (field: \"text\", width: 1fr)");
        let error = set(&narrow).expect_err("too narrow").to_string();
        assert!(error.contains("the column `text` would be") && error.contains("needs 4 mm"), "{width}: {error}");
    }
    match set("(field: \"text\", width: 1pt, pointer: \"/columns/0\")") {
        Err(Error::InvalidData { violations }) => assert_eq!(violations[0].pointer, "/columns/0"),
        other => panic!("{other:?}"),
    }
}
