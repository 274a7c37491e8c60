//! What the tests stitch, and what they look at it with.
#![allow(dead_code, reason = "each test file uses its own part")]

use std::path::PathBuf;
use std::process::{Command, Output};

use serde_json::{Map, Value};
use stitcher::{Error, Fault, Stitcher};
use tempfile::TempDir;

pub(crate) const FIRST: &[u8] = include_bytes!("../sections/first.pdf");
pub(crate) const SECOND: &[u8] = include_bytes!("../sections/second.pdf");
pub(crate) const LONG: &[u8] = include_bytes!("../sections/long.pdf");
pub(crate) const ROMAN: &[u8] = include_bytes!("../sections/roman.pdf");
pub(crate) const BARE: &[u8] = include_bytes!("../sections/bare.pdf");
pub(crate) const PACKED: &[u8] = include_bytes!("../sections/packed.pdf");

/// Every section that can be stitched, and its number of pages.
pub(crate) const SECTIONS: [(&[u8], u32); 6] =
    [(FIRST, 3), (SECOND, 2), (LONG, 45), (ROMAN, 1), (BARE, 1), (PACKED, 3)];

pub(crate) const ID: [u8; 16] = *b"an identifier 16";

pub(crate) fn stitch(sections: &[&[u8]]) -> Result<Vec<u8>, Error> {
    let mut stitcher = Stitcher::new(Vec::new(), ID);
    for section in sections {
        stitcher.append(section)?;
    }
    let (bytes, stitched) = stitcher.finish()?;
    assert_eq!(stitched.bytes, bytes.len() as u64);
    Ok(bytes)
}

/// Why a section alone cannot be stitched.
pub(crate) fn fault(section: &[u8]) -> Fault {
    match stitch(&[section]) {
        Err(Error::Section { number: 1, fault }) => fault,
        other => panic!("not refused: {:?}", other.map(|bytes| bytes.len())),
    }
}

/// A dictionary as qpdf spells it: `/Name`, `u:text`, `3 0 R`.
pub(crate) type Dictionary = Map<String, Value>;

/// A report as qpdf reads it.
pub(crate) struct Report {
    objects: Dictionary,
    /// The references of the pages in order.
    pub(crate) pages: Vec<String>,
}

impl Report {
    pub(crate) fn of(sections: &[&[u8]]) -> Self {
        Report::read(&stitch(sections).expect("the sections are sound"))
    }

    pub(crate) fn read(bytes: &[u8]) -> Self {
        let answer = File::new(bytes).run("qpdf", &["--json=2"], &[]);
        assert!(answer.status.success(), "{}", text(&answer.stderr));
        let mut answer: Value = serde_json::from_slice(&answer.stdout).expect("qpdf answers with JSON");
        let pages = answer["pages"].as_array().expect("pages").iter();
        let pages = pages.map(|page| page["object"].as_str().expect("a reference").to_owned()).collect();
        let Value::Object(objects) = answer["qpdf"][1].take() else { panic!("no objects") };
        Report { objects, pages }
    }

    /// An object itself, or the one it refers to; of a stream, its dictionary.
    pub(crate) fn resolve<'a>(&'a self, object: &'a Value) -> &'a Value {
        let Some(reference) = object.as_str().filter(|text| text.ends_with(" 0 R")) else { return object };
        let stored = self.objects.get(&format!("obj:{reference}")).expect("no reference leads nowhere");
        stored.get("value").unwrap_or_else(|| &stored["stream"]["dict"])
    }

    /// An entry of a dictionary, or null.
    pub(crate) fn entry<'a>(&'a self, dictionary: &'a Value, key: &str) -> &'a Value {
        self.resolve(&self.resolve(dictionary)[key])
    }

    pub(crate) fn trailer(&self) -> &Value {
        &self.objects["trailer"]["value"]
    }

    pub(crate) fn catalogue(&self) -> &Value {
        self.entry(self.trailer(), "/Root")
    }

    pub(crate) fn page(&self, page: usize) -> Value {
        self.resolve(&Value::String(self.pages[page - 1].clone())).clone()
    }

    /// The page a destination leads to, counted from 1.
    pub(crate) fn page_of(&self, destination: &Value) -> usize {
        let page = self.resolve(destination)[0].as_str().expect("an explicit destination").to_owned();
        1 + self.pages.iter().position(|id| *id == page).expect("a page of the report")
    }

    /// Where the links of a page lead: `3` for a page, or an address.
    pub(crate) fn links(&self, page: usize) -> Vec<String> {
        let annotations = self.entry(&self.page(page), "/Annots").as_array().cloned().unwrap_or_default();
        let links = annotations.iter().map(|link| {
            let action = self.entry(link, "/A");
            if let Some(address) = self.entry(action, "/URI").as_str() {
                return address.trim_start_matches("u:").to_owned();
            }
            let destination = self.entry(link, "/Dest");
            self.page_of(if destination.is_null() { self.entry(action, "/D") } else { destination }).to_string()
        });
        links.collect()
    }

    /// The outline, an entry a line: indented, with the page it leads to. Checks the links between entries.
    pub(crate) fn outline(&self) -> Vec<String> {
        let mut lines = Vec::new();
        if let Some(root) = self.catalogue()["/Outlines"].as_str() {
            let visible = self.outline_below(&Value::from(root), 0, &mut lines);
            assert_eq!(self.entry(&Value::from(root), "/Count"), &Value::from(visible));
        }
        lines
    }

    fn outline_below(&self, parent: &Value, depth: usize, lines: &mut Vec<String>) -> i64 {
        let (mut before, mut visible) = (&Value::Null, 0);
        let mut next = &self.resolve(parent)["/First"];
        while !next.is_null() {
            let entry = self.resolve(next);
            assert_eq!(&entry["/Parent"], parent);
            assert_eq!(&entry["/Prev"], before);
            let title = entry["/Title"].as_str().expect("a title").trim_start_matches("u:");
            lines.push(format!("{}{title} {}", "  ".repeat(depth), self.page_of(&entry["/Dest"])));
            let below = self.outline_below(next, depth + 1, lines);
            let count = entry["/Count"].as_i64().unwrap_or(0);
            assert_eq!(count.abs(), below);
            visible += if count > 0 { 1 + below } else { 1 };
            (before, next) = (next, &entry["/Next"]);
        }
        assert_eq!(&self.resolve(parent)["/Last"], before);
        visible
    }

    /// How many dictionaries have an entry with this value.
    pub(crate) fn count(&self, key: &str, value: &str) -> usize {
        let dictionaries = self.objects.values().map(|stored| stored.get("value").unwrap_or(&stored["stream"]["dict"]));
        dictionaries.filter(|dictionary| dictionary[key].as_str() == Some(value)).count()
    }
}

/// A file that programs can read, in a folder that goes with it.
pub(crate) struct File {
    folder: TempDir,
}

impl File {
    pub(crate) fn new(bytes: &[u8]) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        std::fs::write(folder.path().join("report.pdf"), bytes).expect("a file");
        File { folder }
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("report.pdf")
    }

    fn run(&self, program: &str, before: &[&str], after: &[&str]) -> Output {
        let mut command = Command::new(program);
        command.args(before).arg(self.path()).args(after).current_dir(self.folder.path());
        command.output().unwrap_or_else(|error| panic!("{program}: {error}; `make tools` installs it"))
    }

    /// Fails unless qpdf finds neither error nor warning.
    pub(crate) fn check(&self) {
        let answer = self.run("qpdf", &["--check"], &[]);
        assert!(answer.status.success(), "{}{}", text(&answer.stdout), text(&answer.stderr));
        assert!(!text(&answer.stdout).contains("WARNING"), "{}", text(&answer.stdout));
    }

    /// How many pages qpdf finds, whatever is on them.
    pub(crate) fn pages(&self) -> usize {
        let answer = self.run("qpdf", &["--show-npages"], &[]);
        text(&answer.stdout).trim().parse().unwrap_or_else(|_| panic!("{}", text(&answer.stderr)))
    }

    /// The same file with nothing compressed.
    pub(crate) fn unpacked(&self) -> Vec<u8> {
        self.run("qpdf", &["--qdf", "--object-streams=disable"], &["-"]).stdout
    }

    /// The words of the pages as they stand on paper.
    pub(crate) fn words(&self) -> String {
        text(&self.run("pdftotext", &["-layout"], &["-"]).stdout)
    }

    /// The page as pixels.
    pub(crate) fn pixels(&self, page: usize) -> Vec<u8> {
        let page = page.to_string();
        let answer = self.run("pdftoppm", &["-r", "60", "-f", &page, "-l", &page], &[]);
        assert!(answer.status.success(), "{}", text(&answer.stderr));
        answer.stdout
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
