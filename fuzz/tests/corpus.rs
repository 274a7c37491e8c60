//! Every target, with its corpus and with inputs made up on the spot.

use std::fs;
use std::path::{Path, PathBuf};

use fuzz::{TARGETS, Target};
use proptest::prelude::*;
use proptest::sample::Index;
use proptest::test_runner::{Config, TestRunner};

/// Made-up inputs for each target in one run.
const CASES: u32 = 1_000;

/// One change to an input.
#[derive(Debug, Clone)]
enum Edit {
    /// A byte becomes another.
    Replace(Index, u8),
    /// Bytes come in between.
    Insert(Index, Vec<u8>),
    /// Bytes are left out, so many at the most.
    Remove(Index, usize),
    /// A part stands there twice.
    Double(Index, Index),
}

#[test]
fn append_queue_takes_a_body_in_whole_or_not_at_all() {
    runs("append_queue", fuzz::append_queue);
}

#[test]
fn data_too_large_for_a_message_is_parked() {
    let body = |length| format!(r#"{{"template": "any", "data": "{}"}}"#, "x".repeat(length));
    for length in [200_000, 260_000, 300_000] {
        fuzz::append_queue(body(length).as_bytes());
    }
}

#[test]
fn one_idempotency_key_is_one_job() {
    runs("idempotency_key", fuzz::idempotency_key);
}

#[test]
fn a_message_that_is_read_can_be_written_and_read_again() {
    runs("message", fuzz::message);
}

#[test]
fn a_name_is_one_thing_in_one_place_or_nothing() {
    runs("names", fuzz::names);
}

#[test]
fn an_upload_is_taken_in_whole_or_not_at_all() {
    runs("upload", fuzz::upload);
}

#[test]
fn every_target_has_a_corpus_and_a_binary() {
    for (name, _) in TARGETS {
        assert!(seeds(name).len() >= 10, "{name} has too small a corpus");
        assert!(here().join("fuzz_targets").join(name).with_extension("rs").is_file(), "{name} has no binary");
    }
    for folder in ["corpus", "fuzz_targets"] {
        let found = fs::read_dir(here().join(folder)).expect("a folder").count();
        assert_eq!(found, TARGETS.len(), "{folder} has something that is no target's");
    }
}

/// Runs a target on its corpus, then on inputs made of it and on any bytes at all.
fn runs(name: &str, target: Target) {
    let seeds = seeds(name);
    for seed in &seeds {
        target(seed);
    }
    let config = Config { cases: CASES, failure_persistence: None, ..Config::default() };
    let outcome = TestRunner::new(config).run(&inputs(seeds), |input| {
        target(&input);
        Ok(())
    });
    outcome.unwrap_or_else(|problem| panic!("{name}: {problem}\nKeep the input as a file in fuzz/corpus/{name}."));
}

fn inputs(seeds: Vec<Vec<u8>>) -> impl Strategy<Value = Vec<u8>> {
    let edited = (prop::sample::select(seeds), prop::collection::vec(edit(), 1..6))
        .prop_map(|(seed, edits)| edits.into_iter().fold(seed, apply));
    prop_oneof![6 => edited, 1 => any::<Vec<u8>>(), 1 => any::<String>().prop_map(String::into_bytes)]
}

fn edit() -> impl Strategy<Value = Edit> {
    prop_oneof![
        (any::<Index>(), any::<u8>()).prop_map(|(at, byte)| Edit::Replace(at, byte)),
        (any::<Index>(), prop::collection::vec(any::<u8>(), 1..5)).prop_map(|(at, bytes)| Edit::Insert(at, bytes)),
        (any::<Index>(), 1..9_usize).prop_map(|(at, most)| Edit::Remove(at, most)),
        (any::<Index>(), any::<Index>()).prop_map(|(start, end)| Edit::Double(start, end)),
    ]
}

fn apply(mut input: Vec<u8>, edit: Edit) -> Vec<u8> {
    let places = input.len() + 1;
    match edit {
        Edit::Replace(at, byte) => {
            if let Some(place) = input.get_mut(at.index(places)) {
                *place = byte;
            }
        }
        Edit::Insert(at, bytes) => {
            let at = at.index(places);
            input.splice(at..at, bytes);
        }
        Edit::Remove(at, most) => {
            let at = at.index(places);
            input.drain(at..input.len().min(at + most));
        }
        Edit::Double(start, end) => {
            let (start, end) = (start.index(places), end.index(places));
            input.extend_from_within(start.min(end)..start.max(end));
        }
    }
    input
}

fn seeds(target: &str) -> Vec<Vec<u8>> {
    let folder = here().join("corpus").join(target);
    let entries = fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.expect("an entry").path()).collect();
    files.sort();
    files.iter().map(|file| fs::read(file).expect("a seed")).collect()
}

fn here() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}
