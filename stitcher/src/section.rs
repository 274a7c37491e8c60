//! One section as it is read: its objects, its pages in order, and what it says about the whole document.

use std::collections::{BTreeMap, HashSet};

use crate::catalogue;
use crate::destinations;
use crate::error::Fault;
use crate::file::{File, Stored};
use crate::labels::{self, SectionLabels};
use crate::metadata;
use crate::object::{Dictionary, Object, ObjectId};

/// What a page may have from its parents.
const INHERITED: [&str; 4] = ["Resources", "MediaBox", "CropBox", "Rotate"];

/// A section that was found fit to be stitched.
pub(crate) struct Section<'a> {
    /// `1.7` or the like.
    pub(crate) version: String,
    /// All that is in it. Every destination says its page; every page stands by itself.
    pub(crate) objects: BTreeMap<ObjectId, Stored<'a>>,
    /// Its pages in order.
    pub(crate) pages: Vec<ObjectId>,
    /// Its catalogue, without anything that could not be kept.
    pub(crate) catalogue: Dictionary,
    /// Its XMP metadata.
    pub(crate) metadata: Option<Vec<u8>>,
    /// Its page labels.
    pub(crate) labels: SectionLabels,
    /// Its information dictionary.
    pub(crate) info: Option<ObjectId>,
    /// Its named destinations.
    pub(crate) destinations: BTreeMap<Vec<u8>, Object>,
}

impl<'a> Section<'a> {
    pub(crate) fn read(bytes: &'a [u8]) -> Result<Self, Fault> {
        let mut file = File::read(bytes)?;
        let root = file.entry(&file.trailer, "Root")?.ok_or_else(|| Fault::corrupt("it has no catalogue"))?;
        let catalogue = root.dictionary()?.clone();
        let metadata = metadata::read(&file, &catalogue)?;
        catalogue::check(&file, &catalogue, metadata.as_deref().unwrap_or_default())?;
        let labels = labels::read(&file, &catalogue)?;
        let pages = flatten_pages(&mut file, &catalogue)?;
        let destinations = destinations::collect(&file, &catalogue)?;
        destinations::make_explicit(&mut file, &destinations)?;
        let info = file.trailer.get("Info").and_then(Object::reference);
        let File { version, objects, .. } = file;
        Ok(Section { version, objects, pages, catalogue, metadata, labels, info, destinations })
    }
}

/// The pages in order. Each gets what it inherits, and loses its place in the section's page and structure trees.
fn flatten_pages(file: &mut File<'_>, catalogue: &Dictionary) -> Result<Vec<ObjectId>, Fault> {
    let root = reference(catalogue.get("Pages"))?;
    let mut pages = Vec::new();
    let mut seen = HashSet::new();
    let mut ahead = vec![(root, Dictionary::default())];
    while let Some((id, mut inherited)) = ahead.pop() {
        if !seen.insert(id) {
            return Err(Fault::corrupt(format!("object {} is twice in the page tree", id.0)));
        }
        let node = file.stored(id)?.value.dictionary()?;
        if let Some(kids) = node.get("Kids") {
            for key in INHERITED {
                if let Some(value) = node.get(key) {
                    inherited.set(key, value.clone());
                }
            }
            for kid in kids.array()?.iter().rev() {
                ahead.push((reference(Some(kid))?, inherited.clone()));
            }
        } else {
            let page = page(node, &inherited);
            if !page.has("MediaBox") {
                return Err(Fault::corrupt(format!("page {} has no size", pages.len() + 1)));
            }
            file.objects.insert(id, Stored { value: Object::Dictionary(page), content: None });
            pages.push(id);
        }
    }
    if pages.is_empty() {
        return Err(Fault::corrupt("it has no pages"));
    }
    Ok(pages)
}

/// A page that stands by itself.
fn page(leaf: &Dictionary, inherited: &Dictionary) -> Dictionary {
    let mut page = leaf.clone();
    for key in INHERITED {
        if let (None, Some(value)) = (leaf.get(key), inherited.get(key)) {
            page.set(key, value.clone());
        }
    }
    page.remove("Parent");
    page.remove("StructParents");
    page
}

fn reference(object: Option<&Object>) -> Result<ObjectId, Fault> {
    object.and_then(Object::reference).ok_or_else(|| Fault::corrupt("its pages are not a tree"))
}

/// Walks the nodes of a name tree or number tree and calls back with the entries of its leaves, two and two.
pub(crate) fn walk_tree(
    file: &File<'_>,
    root: &Object,
    entries: &str,
    found: &mut dyn FnMut(&Object, &Object) -> Result<(), Fault>,
) -> Result<(), Fault> {
    let mut seen = HashSet::new();
    let mut ahead = vec![root];
    while let Some(node) = ahead.pop() {
        if let Some(id) = node.reference()
            && !seen.insert(id)
        {
            return Err(Fault::corrupt(format!("object {} is twice in a tree", id.0)));
        }
        let node = file.resolve(node)?.dictionary()?;
        if let Some(kids) = file.entry(node, "Kids")? {
            ahead.extend(kids.array()?.iter().rev());
        }
        if let Some(pairs) = file.entry(node, entries)? {
            for pair in pairs.array()?.chunks_exact(2) {
                found(file.resolve(&pair[0])?, &pair[1])?;
            }
        }
    }
    Ok(())
}
