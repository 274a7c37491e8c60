//! Sections as no typesetter of ours writes them: what PDF allows, and what it does not.

mod support;

use std::collections::BTreeMap;

use serde_json::json;
use stitcher::Fault;
use support::{File, Report, fault};

/// The objects of a document, by number. A document of two pages, the second one in a node of its own; what they draw
/// leads back to itself.
struct Section(BTreeMap<u32, String>);

const CATALOGUE: u32 = 1;
const ROOT: u32 = 2;
const NODE: u32 = 3;
const FIRST: u32 = 4;
const SECOND: u32 = 5;
const DRAWING: u32 = 6;
const RESOURCES: u32 = 7;
const SQUARE: u32 = 8;

impl Section {
    fn new() -> Self {
        let mut section = Section(BTreeMap::new());
        section.put(CATALOGUE, "<</Type/Catalog/Pages 2 0 R>>");
        section.put(ROOT, "<</Type/Pages/Count 2/Kids[4 0 R 3 0 R]/Rotate 90/MediaBox[0 0 100 100]/Resources 7 0 R>>");
        section.put(NODE, "<</Type/Pages/Parent 2 0 R/Count 1/Kids[5 0 R]/MediaBox[0 0 50.50 50]>>");
        section.put(FIRST, "<</Type/Page/Parent 2 0 R/Contents 6 0 R>>");
        section.put(SECOND, "<</Type/Page/Parent 3 0 R/Contents 6 0 R>>");
        section.put(DRAWING, "<</Length 5>>stream\n/F Do\nendstream");
        section.put(RESOURCES, "<</XObject<</F 8 0 R>>>>");
        let square = "/Type/XObject/Subtype/Form/BBox[0 0 40 40]/Resources 7 0 R";
        section.put(SQUARE, &format!("<<{square}/Length 16>>stream\n10 10 20 20 re f\nendstream"));
        section
    }

    fn put(&mut self, number: u32, object: &str) {
        self.0.insert(number, object.to_owned());
    }

    /// Puts entries into a dictionary.
    fn add(&mut self, number: u32, entries: &str) {
        let object = &self.0[&number];
        let (head, tail) = object.split_at(object.rfind(">>").expect("a dictionary"));
        self.put(number, &format!("{head}{entries}{tail}"));
    }

    fn replace(&mut self, number: u32, old: &str, new: &str) {
        assert!(self.0[&number].contains(old));
        self.put(number, &self.0[&number].replace(old, new));
    }

    fn bytes(&self) -> Vec<u8> {
        let mut bytes = b"%PDF-1.7\n".to_vec();
        let mut rows = String::new();
        for (number, object) in &self.0 {
            rows += &format!("{number} 1\n{:010} 00000 n \n", bytes.len());
            bytes.extend_from_slice(format!("{number} 0 obj\n{object}\nendobj\n").as_bytes());
        }
        let start = bytes.len();
        let size = 1 + self.0.keys().max().expect("an object");
        let end = format!(
            "xref\n0 1\n0000000000 65535 f \n{rows}trailer\n<</Size {size}/Root 1 0 R>>\nstartxref\n{start}\n%%EOF\n"
        );
        bytes.extend_from_slice(end.as_bytes());
        bytes
    }

    fn message(&self) -> String {
        match fault(&self.bytes()) {
            Fault::Corrupt(message) => message,
            other => panic!("{other}"),
        }
    }
}

#[test]
fn pages_stand_by_themselves() {
    let bytes = Section::new().bytes();
    File::new(&bytes).check();
    let report = Report::of(&[&bytes, &bytes]);
    assert_eq!(report.pages.len(), 4);
    for (page, size) in (1..).zip([json!([0, 0, 100, 100]), json!([0, 0, 50.50, 50])].iter().cycle().take(4)) {
        let page = report.page(page);
        assert_eq!((&page["/MediaBox"], &page["/Rotate"]), (size, &json!(90)));
        assert!(report.entry(&page, "/Resources").is_object());
    }
}

#[test]
fn numbers_keep_their_digits() {
    let stitched = support::stitch(&[&Section::new().bytes()]).expect("sound");
    let plain = File::new(&stitched).unpacked();
    assert!(String::from_utf8_lossy(&plain).contains("50.50"));
}

#[test]
fn objects_that_lead_back_to_themselves_are_copied() {
    let bytes = Section::new().bytes();
    let stitched = File::new(&support::stitch(&[&bytes, &bytes]).expect("sound"));
    stitched.check();
    let pixels = stitched.pixels(3);
    assert_eq!(pixels, File::new(&bytes).pixels(1));
    assert!(pixels.contains(&0), "the square is drawn");
}

#[test]
fn a_length_may_be_an_object() {
    let mut section = Section::new();
    section.replace(DRAWING, "/Length 5", "/Length 9 0 R");
    section.put(9, "5");
    File::new(&support::stitch(&[&section.bytes()]).expect("sound")).check();

    section.put(9, "6 0 R");
    assert_eq!(section.message(), "a stream has no length");
    section.put(9, "7");
    assert!(section.message().starts_with("there is no `endstream`"));
    section.put(9, "9999999");
    assert!(section.message().starts_with("the file ends too early"));
}

#[test]
fn names_become_places() {
    let mut section = Section::new();
    section.add(CATALOGUE, "/Names<</Dests<</Kids[20 0 R]>>>>/Dests<</Old[4 0 R/Fit]>>");
    section.put(20, "<</Limits[(in a tree)(in a tree)]/Names[(in a tree) 21 0 R]>>");
    section.put(21, "<</D[5 0 R/Fit]>>");
    let link = "/Type/Annot/Subtype/Link/Rect[0 0 9 9]";
    section.add(FIRST, &format!("/Annots[<<{link}/Dest<696E20612074726565>>>]"));
    section.put(22, &format!("<<{link}/P 5 0 R/A<</S/GoTo/D/Old>>>>"));
    section.add(SECOND, "/Annots 23 0 R");
    section.put(23, "[22 0 R]");
    let bytes = section.bytes();
    let report = Report::of(&[&bytes, &bytes]);
    let links: Vec<_> = (1..=4).flat_map(|page| report.links(page)).collect();
    assert_eq!(links, ["2", "1", "4", "3"]);
}

#[test]
fn many_names_make_a_tree() {
    let mut section = Section::new();
    let names: String = (0..5000).map(|name| format!("(name {name:04})[4 0 R/Fit]")).collect();
    section.add(CATALOGUE, &format!("/Names<</Dests<</Names[{names}]>>>>"));
    let stitched = support::stitch(&[&section.bytes()]).expect("sound");
    File::new(&stitched).check();
    let report = Report::read(&stitched);
    let mut level = vec![report.entry(report.entry(report.catalogue(), "/Names"), "/Dests").clone()];
    let mut names = Vec::new();
    while !level.is_empty() {
        let mut below = Vec::new();
        for node in &level {
            names.extend(node["/Names"].as_array().into_iter().flatten().step_by(2).cloned());
            let kids = node["/Kids"].as_array().into_iter().flatten().map(|kid| report.resolve(kid).clone());
            below.extend(kids.inspect(|kid| assert!(kid["/Limits"][0].as_str() <= kid["/Limits"][1].as_str())));
        }
        level = below;
    }
    let expected: Vec<_> = (0..5000).map(|name| json!(format!("u:name {name:04}"))).collect();
    assert_eq!(names, expected);
}

#[test]
fn a_link_to_nowhere_is_refused() {
    let mut section = Section::new();
    section.add(FIRST, "/Annots[<</Subtype/Link/Dest/Nowhere>>]");
    assert_eq!(section.message(), "a link leads to `Nowhere`, which is nowhere");
}

#[test]
fn open_outline_entries_count() {
    let mut section = Section::new();
    section.add(CATALOGUE, "/Outlines 20 0 R");
    section.put(20, "<</First 21 0 R/Last 21 0 R/Count 2>>");
    section.put(21, "<</Title(Open)/Dest[4 0 R/Fit]/Parent 20 0 R/First 22 0 R/Last 22 0 R/Count 1>>");
    section.put(22, "<</Title(Below)/Dest[5 0 R/Fit]/Parent 21 0 R>>");
    let bytes = section.bytes();
    assert_eq!(Report::of(&[&bytes, &bytes]).outline(), ["Open 1", "  Below 2", "Open 3", "  Below 4"]);

    section.add(22, "/Next 21 0 R");
    assert_eq!(section.message(), "object 21 is twice in the outline");
}

#[test]
fn trees_that_are_none_are_refused() {
    let mut section = Section::new();
    section.replace(NODE, "[5 0 R]", "[5 0 R 2 0 R]");
    assert_eq!(section.message(), "object 2 is twice in the page tree");

    let mut section = Section::new();
    section.replace(ROOT, "/MediaBox[0 0 100 100]", "");
    assert_eq!(section.message(), "page 1 has no size");

    let mut section = Section::new();
    section.replace(ROOT, "[4 0 R 3 0 R]", "[]");
    assert_eq!(section.message(), "it has no pages");

    let mut section = Section::new();
    section.add(CATALOGUE, "/PageLabels 20 0 R");
    section.put(20, "<</Kids[20 0 R]>>");
    assert_eq!(section.message(), "object 20 is twice in a tree");
}

#[test]
fn references_to_nothing_are_refused() {
    let mut section = Section::new();
    section.add(RESOURCES, "/Font 99 0 R");
    assert_eq!(section.message(), "object 99 0 is referred to, but not there");

    let mut section = Section::new();
    section.add(CATALOGUE, "/Lang 20 0 R");
    section.put(20, "20 0 R");
    assert!(support::stitch(&[&section.bytes()]).is_ok(), "odd, but nobody follows it");
    section.add(CATALOGUE, "/Names 20 0 R");
    assert_eq!(section.message(), "a reference leads round and round");
}

#[test]
fn what_belongs_to_a_whole_document_is_refused() {
    for (entry, what) in [
        ("/AcroForm<<>>", "a form"),
        ("/OCProperties<<>>", "layers"),
        ("/Extra 1", "`Extra` in its catalogue"),
        ("/Names<</EmbeddedFiles<<>>>>", "attached files"),
    ] {
        let mut section = Section::new();
        section.add(CATALOGUE, entry);
        assert_eq!(fault(&section.bytes()), Fault::Unsupported(what.to_owned()));
    }
    let mut section = Section::new();
    section.add(CATALOGUE, "/MarkInfo<</Marked true>>");
    assert_eq!(fault(&section.bytes()), Fault::Tagged);
}

#[test]
fn what_is_nested_too_deeply_is_refused() {
    let mut section = Section::new();
    section.put(20, &"[".repeat(1_000_000));
    assert!(section.message().starts_with("objects are too deep in one another"));
}
