//! A stitched report is what its sections are, one after the other.

mod support;

use serde_json::{Value, json};
use stitcher::{Error, Stitcher};
use support::{BARE, FIRST, File, ID, LONG, PACKED, ROMAN, Report, SECOND, SECTIONS, stitch};

#[test]
fn it_has_the_sections_words_and_pictures() {
    let sections = [FIRST, SECOND, LONG, ROMAN, BARE, PACKED];
    let file = File::new(&stitch(&sections).expect("sound sections"));
    file.check();
    let words: String = sections.iter().map(|section| File::new(section).words()).collect();
    assert_eq!(file.words(), words);

    for (page, section, own) in [(1, FIRST, 1), (4, SECOND, 1), (5, SECOND, 2), (50, LONG, 45), (51, ROMAN, 1)] {
        assert_eq!(file.pixels(page), File::new(section).pixels(own), "page {page}");
    }
}

#[test]
fn links_lead_to_the_pages_of_their_own_section() {
    let report = Report::of(&[FIRST, BARE, SECOND]);
    assert_eq!(report.links(1), ["1", "3", "3", "https://example.org/A"]);
    assert_eq!(report.links(4), Vec::<String>::new());
    assert_eq!(report.links(5), ["5", "6", "6", "https://example.org/B"]);
}

#[test]
fn the_outlines_follow_each_other() {
    let report = Report::of(&[BARE, FIRST, LONG, ROMAN]);
    let expected = [
        "Chapter A 2",
        "  Part A1 2",
        "    Detail A1 2",
        "  Part A2 3",
        "    Detail A2 3",
        "  Part A3 4",
        "    Detail A3 4",
        "Chapter D 50",
        "  Part D1 50",
        "    Detail D1 50",
    ];
    assert_eq!(report.outline(), expected);
    assert_eq!(Report::of(&[BARE, LONG]).outline(), Vec::<String>::new());
}

#[test]
fn a_name_leads_to_its_first_place() {
    let report = Report::of(&[BARE, SECOND, FIRST]);
    let tree = report.entry(report.entry(report.catalogue(), "/Names"), "/Dests");
    let names = tree["/Names"].as_array().expect("names");
    assert_eq!(names.len(), 2);
    assert_eq!(names[0], "u:chapter");
    assert_eq!(report.page_of(&names[1]), 2);
}

#[test]
fn page_labels_go_on_where_numbers_do() {
    let labels = |sections: &[&[u8]]| {
        let report = Report::of(sections);
        report.entry(report.catalogue(), "/PageLabels").get("/Nums").cloned().unwrap_or_default()
    };
    let (decimal, roman) = (json!({"/S": "/D"}), json!({"/S": "/r"}));
    assert_eq!(labels(&[FIRST, SECOND]), json!([0, decimal]));
    assert_eq!(labels(&[FIRST, ROMAN, FIRST]), json!([0, decimal, 3, roman, 4, decimal]));
    assert_eq!(labels(&[BARE, SECOND]), json!([0, decimal, 1, {"/S": "/D", "/St": 4}]));
    assert_eq!(labels(&[BARE, LONG]), Value::Null);
}

#[test]
fn the_metadata_are_the_first_sections() {
    let bytes = stitch(&[FIRST, LONG]).expect("sound sections");
    let report = Report::read(&bytes);
    assert_eq!(report.entry(report.entry(report.trailer(), "/Info"), "/Title"), "u:Stitched");
    assert_eq!(report.entry(report.catalogue(), "/Metadata")["/Subtype"], "/XML");
    assert!(String::from_utf8_lossy(&bytes).contains("<xmpTPg:NPages>48</xmpTPg:NPages>"));
    assert_eq!(report.catalogue()["/Lang"], "u:en-GB");
    assert_eq!(report.trailer()["/ID"], json!(["u:an identifier 16", "u:an identifier 16"]));
    assert!(bytes.starts_with(b"%PDF-1.7\n"));
}

#[test]
fn what_sections_share_is_stored_once() {
    let (once, twice) = (Report::of(&[FIRST]), Report::of(&[FIRST, BARE, FIRST]));
    assert_eq!(twice.count("/Type", "/Page"), 7);
    let fonts = |report: &Report| report.count("/Type", "/Font");
    assert!(fonts(&once) > 0);
    assert_eq!(fonts(&twice), fonts(&once) + fonts(&Report::of(&[BARE])));

    // Sections with other glyphs have other fonts; the picture and the colours are the same.
    let other = Report::of(&[FIRST, SECOND, ROMAN]);
    for (key, value) in [("/Subtype", "/Image"), ("/Type", "/ExtGState"), ("/Type", "/Pattern")] {
        assert!(once.count(key, value) > 0, "{value}");
        assert_eq!(other.count(key, value), once.count(key, value), "{value}");
    }
}

#[test]
fn the_page_tree_is_balanced() {
    let report = Report::of(&[LONG; 40]);
    assert_eq!(report.pages.len(), 1800);
    let root = report.entry(report.catalogue(), "/Pages");
    assert_eq!(root["/Count"], 1800);
    assert_eq!(root["/Kids"].as_array().map(Vec::len), Some(2));
    for page in 1..=1800 {
        let page = report.page(page);
        let group = report.entry(&page, "/Parent");
        let half = report.entry(group, "/Parent");
        assert_eq!(report.entry(half, "/Parent"), root);
    }
}

#[test]
fn the_same_sections_give_the_same_bytes() {
    let sections: Vec<&[u8]> = SECTIONS.iter().map(|(section, _)| *section).collect();
    assert_eq!(stitch(&sections).expect("sound"), stitch(&sections).expect("sound"));
}

#[test]
fn it_counts_as_it_goes() {
    let mut stitcher = Stitcher::new(Vec::new(), ID);
    let mut before = 0;
    for (section, pages) in SECTIONS {
        let appended = stitcher.append(section).expect("sound");
        assert_eq!(appended.pages, pages);
        assert!(appended.bytes > before);
        before = appended.bytes;
    }
    let (bytes, stitched) = stitcher.finish().expect("sound");
    assert_eq!((stitched.pages, stitched.bytes), (55, bytes.len() as u64));
}

#[test]
fn without_sections_there_is_no_report() {
    assert!(matches!(Stitcher::new(Vec::new(), ID).finish(), Err(Error::Empty)));
}
