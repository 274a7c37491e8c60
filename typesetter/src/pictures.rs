//! Which picture an error of the export is about: Typst has only the place in the template, and that may be the kit's.

use std::collections::BTreeSet;

use typst::diag::SourceDiagnostic;
use typst::ecow::{EcoVec, eco_format};
use typst::foundations::{Element, Selector};
use typst::introspection::Introspector;
use typst::loading::LoadSource;
use typst::syntax::DiagSpan;
use typst::visualize::ImageElem;
use typst_layout::PagedDocument;

use crate::diagnostic::name;

/// The same errors, with the files of the pictures that they are about, and what to do.
pub(crate) fn name_pictures(
    document: &PagedDocument,
    mut errors: EcoVec<SourceDiagnostic>,
) -> EcoVec<SourceDiagnostic> {
    for error in errors.make_mut() {
        let pictures = pictures_at(document, error.span);
        let Some(first) = pictures.first() else { continue };
        let listed = pictures.iter().map(|file| format!("`{file}`")).collect::<Vec<_>>().join(" or ");
        let advice = match error.message.as_str() {
            it if it.contains("alt text") => format!(": describe it, as in image(\"{first}\", alt: \"…\")"),
            it if ["code point", "codepoint", "could not be displayed"].iter().any(|words| it.contains(words)) => {
                // Typst's own hint is about the text of a template.
                error.hints.clear();
                ": convert its text to outlines, or choose another standard".to_owned()
            }
            _ => String::new(),
        };
        error.hint(eco_format!("the picture is {listed}{advice}"));
    }
    errors
}

/// The files of the pictures that were placed there, such as by a function that places several.
fn pictures_at(document: &PagedDocument, span: DiagSpan) -> BTreeSet<String> {
    let images = document.introspector().query(&Selector::Elem(Element::of::<ImageElem>(), None));
    let there = images.iter().filter(|image| DiagSpan::from(image.span()) == span);
    let sources = there.filter_map(|image| match image.to_packed::<ImageElem>()?.source.derived.source.v {
        LoadSource::Path(id) => Some(name(id)),
        LoadSource::Bytes => None,
    });
    sources.collect()
}
