//! Pages of text and flat shapes: drawn as Typst's own export draws them, and left to it if they are anything else.

mod support;

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use support::Place;
use typesetter::{Engine, Options, Section};

/// How much the grey of all pixels may differ in the mean, of 255: shapes are placed to a thousandth of a point.
const MOST_DIFFERENCE: f64 = 0.01;

/// Every kind of thing that is plain.
const PLAIN: &str = r##"
#set page(width: 300pt, height: 200pt, margin: 20pt, fill: rgb("#fdfcf5"))
#set text(lang: "en")
#let nbsp = "\u{a0}"
A line of (words) \\ with office ligatures, AV kerning, 1#nbsp;000 and 1 000, naïve – “quoted”.
#text(font: "DejaVu Sans Mono", fill: rgb("#0f4c5c"), size: 7pt)[if (a < b) { return 0; }]
#text(size: 21.5pt, fill: luma(90), weight: "bold")[Large] #super[2] #underline[ruled] #strike[out]
#rect(width: 60pt, height: 12pt, fill: rgb("#f1f5f6"), stroke: 0.5pt + rgb("#5a6672"))
#place(top + right, rotate(30deg, scale(80%)[turned #text(fill: red)[red]]))
#place(bottom, rotate(7.3deg, scale(33.33%, block(width: 800pt, inset: 3pt, stroke: green, lorem(70)))))
#place(rect(width: 0pt, height: 60pt, fill: red)) #place(line(length: 40pt)) #block(height: 0pt, fill: red)[ ]
#curve(
  fill: yellow, fill-rule: "even-odd", stroke: blue, curve.move((0pt, 0pt)), curve.cubic((10pt, 20pt), (40pt, -20pt), (60pt, 10pt)),
  curve.line((20pt, 25pt)), curve.close(),
)
#pagebreak()
#set page(width: 100pt, height: 90pt)
The second page is smaller.
"##;

/// The PDF of a later section that is this; by Typst's own export if the standard is named that is the default.
fn pdf(main: &str, standard: Option<&str>) -> Vec<u8> {
    let place = Place::new(main);
    let section = Section { first: false, page_rows: Some(Vec::new()), pages: Some(9), ..Section::default() };
    let standard = standard.map(|name| name.parse().expect("a standard"));
    let options = Options { tagged: false, pdf_standard: standard, ..Options::new(support::noon(), "a-test") };
    let request = typesetter::Request { section: Some(section), options, ..place.request() };
    Engine::new().typeset(&request).unwrap_or_else(|error| panic!("{error}: {:?}", error.diagnostics()));
    place.pdf()
}

/// Typst's own export says at least which program made the file.
fn is_by_typst(pdf: &[u8]) -> bool {
    pdf.windows(9).any(|window| window == b"/Metadata")
}

/// What a tool of poppler makes of a PDF; `None`, said loudly, where it is not installed.
fn poppler(tool: &str, options: &[&str], pdf: &[u8]) -> Option<Vec<u8>> {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file: PathBuf = folder.path().join("a.pdf");
    fs::write(&file, pdf).expect("a file");
    let Ok(output) = Command::new(tool).args(options).arg(&file).args((tool == "pdftotext").then_some("-")).output()
    else {
        eprintln!("SKIPPED: {tool} is not installed, so nothing was compared (Debian: poppler-utils)");
        return None;
    };
    assert!(output.status.success() && output.stderr.is_empty(), "{tool}: {}", String::from_utf8_lossy(&output.stderr));
    Some(output.stdout)
}

#[test]
fn plain_pages_are_what_typst_would_have_made_of_them() {
    let (ours, typsts) = (pdf(PLAIN, None), pdf(PLAIN, Some("1.7")));
    assert!(!is_by_typst(&ours) && is_by_typst(&typsts));
    assert_eq!(ours, pdf(PLAIN, None), "the same bytes each time");
    for options in [["-layout"], ["-raw"]] {
        let Some(text) = poppler("pdftotext", &options, &ours) else { return };
        assert!(String::from_utf8_lossy(&text).contains("office ligatures, AV kerning"));
        assert_eq!(Some(text), poppler("pdftotext", &options, &typsts));
    }
    for page in ["1", "2"] {
        let options = ["-gray", "-r", "144", "-f", page, "-l", page];
        let (Some(one), Some(other)) = (poppler("pdftoppm", &options, &ours), poppler("pdftoppm", &options, &typsts))
        else {
            return;
        };
        assert_eq!(one.len(), other.len());
        let differences: f64 = one.iter().zip(&other).map(|(one, other)| f64::from(one.abs_diff(*other))).sum();
        assert!(differences / (one.len() as f64) < MOST_DIFFERENCE, "page {page}: {differences}");
    }
}

#[test]
fn what_is_not_plain_is_left_to_typst() {
    let cases = [
        ("a picture", "#image(bytes(\"<svg xmlns='http://www.w3.org/2000/svg' width='9' height='9'/>\"))"),
        ("a link", "#link(\"https://example.org\")[there]"),
        ("a heading", "= For the outline"),
        ("an attached file", "#pdf.attach(\"a.txt\", bytes(\"a\"))"),
        ("page labels", "#set page(numbering: \"1\")\nA"),
        ("what is cut off", "#block(width: 9pt, height: 9pt, clip: true)[A long word]"),
        ("a gradient", "#rect(fill: gradient.linear(red, blue))"),
        ("what shines through", "#rect(fill: rgb(0, 0, 0, 40%))"),
        ("ink", "#text(fill: cmyk(0%, 50%, 50%, 0%))[A]"),
        ("outlined letters", "#text(stroke: red)[A]"),
        ("dashes", "#line(stroke: (dash: \"dashed\"))"),
        ("round ends", "#line(stroke: (cap: \"round\"))"),
        ("a text from right to left", "שלום עולם"),
        ("a character that no font has", "\u{12000}"),
        ("letters of two glyphs", "x\u{323}\u{307}\u{32d}"),
    ];
    for (what, main) in cases {
        assert!(is_by_typst(&pdf(main, None)), "{what}");
    }
    assert!(!is_by_typst(&pdf("A", None)));
}
