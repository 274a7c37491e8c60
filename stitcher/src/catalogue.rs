//! What a section says about the document as a whole: what is refused, and what of the first section is kept.

use crate::error::Fault;
use crate::file::File;
use crate::metadata;
use crate::object::{Dictionary, Object};

/// Entries of the catalogue that are put together anew, or mean nothing to the report.
const REBUILT: [&str; 8] = ["Type", "Pages", "Outlines", "PageLabels", "Names", "Dests", "Metadata", "MarkInfo"];
/// Entries that are taken from the first section as they are.
const KEPT: [&str; 5] = ["Lang", "ViewerPreferences", "PageLayout", "PageMode", "Version"];

/// Refuses what the report could not keep, rather than drop it.
pub(crate) fn check(file: &File<'_>, catalogue: &Dictionary, metadata: &[u8]) -> Result<(), Fault> {
    if let Some(standard) = metadata::claim(metadata) {
        return Err(Fault::Archival(standard));
    }
    let marked = match file.entry(catalogue, "MarkInfo")? {
        Some(info) => info.dictionary()?.get("Marked") == Some(&Object::Boolean(true)),
        None => false,
    };
    if marked || catalogue.has("StructTreeRoot") {
        return Err(Fault::Tagged);
    }
    if catalogue.has("OutputIntents") {
        return Err(Fault::Archival("PDF/A"));
    }
    let known = |key: &[u8]| REBUILT.iter().chain(&KEPT).any(|known| known.as_bytes() == key);
    let mut strange: Vec<&[u8]> = catalogue.iter().map(|(key, _)| key).filter(|key| !known(key)).collect();
    if let Some(names) = file.entry(catalogue, "Names")? {
        strange.extend(names.dictionary()?.iter().map(|(key, _)| key).filter(|key| *key != b"Dests"));
    }
    match strange.first() {
        Some(key) => Err(Fault::Unsupported(describe(key))),
        None => Ok(()),
    }
}

fn describe(key: &[u8]) -> String {
    match key {
        b"AcroForm" => "a form".to_owned(),
        b"AF" | b"EmbeddedFiles" => "attached files".to_owned(),
        b"OCProperties" => "layers".to_owned(),
        key => format!("`{}` in its catalogue", String::from_utf8_lossy(key)),
    }
}

/// The entries that the report has from its first section.
pub(crate) fn kept(catalogue: &Dictionary) -> Dictionary {
    let mut kept = Dictionary::default();
    for key in KEPT {
        if let Some(value) = catalogue.get(key) {
            kept.set(key, value.clone());
        }
    }
    kept
}
