//! Whatever path a template makes up, it reads nothing but its own files, the kit's and its data.

mod support;

use std::cell::RefCell;
use std::os::unix::fs::symlink;

use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use serde_json::json;
use support::Place;
use typesetter::{Engine, Error};

/// What stands in every file that the template may read, and in no other.
const INSIDE: &str = "insider";

/// What stands in every file around them.
const SECRET: &str = "confidential";

/// What takes a path, each followed by a panic that says what was read; and paths that it can read.
const READERS: [(&str, &[&str]); 6] = [
    ("#panic(read(path))", &["inside.txt", "./inside.txt", "//inside.txt", "/kit/kit.typ", "/data.json"]),
    ("#panic(str(read(path, encoding: none)))", &["inside.txt", "deep/../inside.txt"]),
    ("#panic(repr(json(path)))", &["inside.json", "/inside.json", "data.json"]),
    ("#panic(repr(csv(path)))", &["inside.txt", "kit/../inside.txt"]),
    ("#let got = include path\n#panic(repr(got))", &["deep/inside.typ", "inside.txt"]),
    ("#import path as got\n#panic(got.word)", &["deep/inside.typ", "/kit/kit.typ"]),
];

/// Pieces of paths that someone would try, between spaces.
const PIECES: &str = "  . .. ... ~ ~root up root deep kit other template main.typ inside.txt inside.typ inside.json \
                      data.json secret.txt secret.typ secret.json stolen.txt stolen.json kit.typ \\.. ..\\ \
                      ..\\..\\secret.txt %2e%2e ..%2f \0 ..\0 secret.txt\0 ．． ‥ ..\u{200b} C: file: // proc self \
                      cwd environ etc passwd";

/// A template that is told by its data what to read, and an engine that stays warm.
struct Den {
    place: Place,
    engine: RefCell<Engine>,
}

impl Den {
    /// A template with links that lead out, and secrets on all sides.
    fn new() -> Self {
        let place = Place::new("");
        for name in ["template/inside.txt", "template/deep/inside.typ", "kit/kit.typ"] {
            place.write(name, format!("#let word = \"{INSIDE}\"; #word"));
        }
        for name in ["secret.txt", "secret.typ", "other/main.typ", "other/secret.txt"] {
            place.write(name, format!("#let word = \"{SECRET}\"; #word"));
        }
        place.write("template/inside.json", json!([INSIDE]).to_string());
        place.write("secret.json", json!([SECRET]).to_string());
        let links = [("template/up", ".."), ("template/root", "/"), ("template/stolen.txt", "../secret.txt")];
        for (link, target) in links.into_iter().chain([("kit/up", ".."), ("kit/stolen.json", "../secret.json")]) {
            symlink(target, place.path(link)).expect("a link");
        }
        Self { place, engine: RefCell::new(Engine::new()) }
    }

    /// Whether the template could read a file by this path. Panics if it read one that is not its own.
    fn reads(&self, reader: &str, path: &str) -> bool {
        self.place.write("template/main.typ", format!("// {INSIDE}\n#let path = json(\"/data.json\").path\n{reader}"));
        self.place.write("data.json", json!({ "inside": INSIDE, "path": path }).to_string());
        let Err(error) = self.engine.borrow_mut().typeset(&self.place.request()) else {
            panic!("{reader} goes on after {path:?}");
        };
        let Error::Template { diagnostics } = &error else { panic!("{path:?}: {error:?}") };
        let said = format!("{diagnostics:?}");
        assert!(!said.contains(SECRET), "{reader} reads {path:?}: {said}");
        let Some(read) = diagnostics[0].message.strip_prefix("panicked with: ") else { return false };
        assert!(read.contains(INSIDE), "{reader} reads {path:?}: {read}");
        true
    }
}

fn piece() -> impl Strategy<Value = String> {
    let known = prop::sample::select(PIECES.split(' ').collect::<Vec<_>>()).prop_map(str::to_owned);
    prop_oneof![8 => known, 1 => any::<String>(), 1 => (0..400_usize).prop_map(|count| "a".repeat(count))]
}

/// Paths of pieces, absolute ones to a secret in many a spelling, very long ones, and any text at all.
fn path(root: String) -> impl Strategy<Value = String> {
    let start = one_of(&["", "/", "//", "./", "../", "\\", "~/", "file://", "/kit/", "@preview/", "@local/"]);
    let separator = one_of(&["/", "//", "/./", "\\", "/up/../"]);
    let made = (start, prop::collection::vec(piece(), 0..8), separator)
        .prop_map(|(start, pieces, separator)| format!("{start}{}", pieces.join(separator)));
    let secret = one_of(&["secret.txt", "secret.json", "secret.typ", "other/main.typ", "template/../secret.txt"]);
    let before = one_of(&["", "/", "/root", "root", "/kit/../..", "file://", "/./", "\\"]);
    let absolute = (before, secret.clone()).prop_map(move |(before, secret)| format!("{before}{root}/{secret}"));
    let step = one_of(&["../", "up/", "./../", "deep/../../", "..\\", "/../", "a/../../"]);
    let climbing =
        (step, 0..600_usize, secret).prop_map(|(step, count, secret)| format!("{}{secret}", step.repeat(count)));
    prop_oneof![4 => made, 2 => absolute, 2 => climbing, 1 => any::<String>()]
}

fn one_of(choices: &[&'static str]) -> impl Strategy<Value = &'static str> + Clone {
    prop::sample::select(choices.to_vec())
}

#[test]
fn no_path_leads_to_a_byte_outside() {
    let den = Den::new();
    let root = den.place.path("").to_str().expect("a path in UTF-8").trim_end_matches('/').to_owned();
    let config = Config { cases: 1500, failure_persistence: None, ..Config::default() };
    let cases = (prop::sample::select(READERS.to_vec()), path(root));
    let outcome = TestRunner::new(config).run(&cases, |((reader, _), path)| {
        den.reads(reader, &path);
        Ok(())
    });
    outcome.unwrap_or_else(|problem| panic!("{problem}"));
}

#[test]
fn only_paths_that_lead_inside_are_read() {
    let den = Den::new();
    for (reader, paths) in READERS {
        for path in paths {
            assert!(den.reads(reader, path), "{reader} cannot read {path}");
        }
    }
    for path in ["secret.txt", "../secret.txt", "up/secret.txt", "stolen.txt", "root/etc/passwd", "/kit/up/secret.txt"]
    {
        assert!(!den.reads(READERS[0].0, path), "{path}");
    }
}
