//! The stitcher itself: takes section after section, and ends the report.

use std::io::{self, Write};

use crate::catalogue;
use crate::copy::Copier;
use crate::error::{Error, Fault, Stop};
use crate::labels::Labels;
use crate::metadata;
use crate::names::Names;
use crate::object::{Dictionary, Object, ObjectId};
use crate::outline::Outline;
use crate::page_tree::PageTree;
use crate::section::Section;
use crate::shared::Shared;
use crate::writer::PdfWriter;

/// The oldest PDF that has object streams.
const OLDEST: &str = "1.5";

/// What came of one section.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Appended {
    /// Pages it added to the report.
    pub pages: u32,
    /// Bytes written so far, of all sections. A few objects wait in memory and are not counted yet.
    pub bytes: u64,
}

/// What came of all sections.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stitched {
    /// Pages of the report.
    pub pages: u32,
    /// Its size.
    pub bytes: u64,
}

/// Stitches sections into one PDF as they come.
///
/// The output is only ever appended to. What stays in memory between sections is a few dozen bytes for each page, object
/// and named destination.
pub struct Stitcher<W> {
    out: PdfWriter<W>,
    id: [u8; 16],
    sections: u32,
    pages: u32,
    spoiled: bool,
    shared: Shared,
    tree: PageTree,
    outline: Outline,
    labels: Labels,
    names: Names,
    document: Option<DocumentEntries>,
}

/// What the report has from its first section.
struct DocumentEntries {
    version: String,
    catalogue: Dictionary,
    info: Option<u32>,
    metadata: Option<Vec<u8>>,
}

impl<W: Write> Stitcher<W> {
    /// Writes to `out`, which should be buffered: writes are of any size. `id` becomes the file's identifier; the same
    /// sections and the same identifier give the same bytes.
    pub fn new(out: W, id: [u8; 16]) -> Self {
        Stitcher {
            out: PdfWriter::new(out),
            id,
            sections: 0,
            pages: 0,
            spoiled: false,
            shared: Shared::default(),
            tree: PageTree::default(),
            outline: Outline::default(),
            labels: Labels::default(),
            names: Names::default(),
            document: None,
        }
    }

    /// Adds the pages of a section, a whole PDF.
    ///
    /// # Errors
    ///
    /// [`Error::Section`] if it cannot become part of the report, [`Error::Write`] if the output fails. After an error
    /// the output is of no use, and every further call gives [`Error::Spoiled`].
    pub fn append(&mut self, section: &[u8]) -> Result<Appended, Error> {
        if self.spoiled {
            return Err(Error::Spoiled);
        }
        self.spoiled = true;
        self.sections += 1;
        let pages = self.stitch(section).map_err(|stop| match stop {
            Stop::Fault(fault) => Error::Section { number: self.sections, fault },
            Stop::Write(error) => Error::Write(error),
        })?;
        self.spoiled = false;
        Ok(Appended { pages, bytes: self.out.written() })
    }

    /// Writes the end of the report. Gives the output back, flushed.
    ///
    /// # Errors
    ///
    /// [`Error::Empty`] without a section, [`Error::Spoiled`] after an earlier error, [`Error::Write`] if the output
    /// fails.
    pub fn finish(mut self) -> Result<(W, Stitched), Error> {
        if self.spoiled {
            return Err(Error::Spoiled);
        }
        let Some(document) = self.document.take() else { return Err(Error::Empty) };
        let pages = self.pages;
        let (out, bytes) = self.close(document)?;
        Ok((out, Stitched { pages, bytes }))
    }

    fn stitch(&mut self, bytes: &[u8]) -> Result<u32, Stop> {
        let mut section = Section::read(bytes)?;
        self.agree_on_version(&section)?;
        let pages = std::mem::take(&mut section.pages);
        let count = pages.len() as u32;

        let mut copier = Copier::new(std::mem::take(&mut section.objects), &mut self.shared, &mut self.out);
        let numbers = announce(&pages, &mut copier)?;
        if self.document.is_none() {
            self.document = Some(DocumentEntries::take(&mut section, &mut copier)?);
        }
        for (page, number) in pages.iter().zip(numbers) {
            let parent = self.tree.add(number, copier.out)?;
            copy_page(*page, number, parent, &mut copier)?;
        }
        if let Some(Object::Reference(root)) = section.catalogue.get("Outlines") {
            self.outline.add(*root, &mut copier)?;
        }
        self.names.add(section.destinations, &mut copier)?;
        self.labels.add(&section.labels, self.pages, count);
        self.pages += count;
        Ok(count)
    }

    /// The first section's version becomes the report's; the others have to have the same.
    fn agree_on_version(&mut self, section: &Section<'_>) -> Result<(), Stop> {
        let found = section.version.clone();
        match &self.document {
            Some(document) if document.version == found => Ok(()),
            Some(document) => Err(Fault::Version { found, wanted: document.version.clone() }.into()),
            // Versions are two digits with a point between them, so text compares as numbers do.
            None if found.as_str() < OLDEST => {
                Err(Fault::Version { found, wanted: format!("{OLDEST} or later") }.into())
            }
            None => Ok(self.out.header(&found)?),
        }
    }

    fn close(mut self, document: DocumentEntries) -> io::Result<(W, u64)> {
        let mut catalogue = document.catalogue;
        catalogue.set("Type", Object::Name(b"Catalog".to_vec()));
        if let Some(root) = self.tree.finish(&mut self.out)? {
            catalogue.set("Pages", Object::to(root));
        }
        if let Some(outline) = self.outline.finish(&mut self.out)? {
            catalogue.set("Outlines", Object::to(outline));
        }
        if let Some(labels) = self.labels.tree() {
            catalogue.set("PageLabels", labels);
        }
        if let Some(names) = self.names.finish(&mut self.out)? {
            let mut dictionary = Dictionary::default();
            dictionary.set("Dests", Object::to(names));
            catalogue.set("Names", Object::Dictionary(dictionary));
        }
        if let Some(metadata) = document.metadata {
            let number = self.out.reserve()?;
            metadata::write(&metadata, self.pages, number, &mut self.out)?;
            catalogue.set("Metadata", Object::to(number));
        }
        let root = self.out.reserve()?;
        self.out.object(root, &Object::Dictionary(catalogue).serialize())?;
        self.out.finish(root, document.info, self.id)
    }
}

impl DocumentEntries {
    fn take<W: Write>(section: &mut Section<'_>, copier: &mut Copier<'_, W>) -> Result<Self, Stop> {
        let mut catalogue = Object::Dictionary(catalogue::kept(&section.catalogue));
        copier.adopt(&mut catalogue)?;
        let mut info = section.info.map(Object::Reference);
        if let Some(info) = &mut info {
            copier.adopt(info)?;
        }
        Ok(DocumentEntries {
            version: section.version.clone(),
            catalogue: catalogue.dictionary()?.clone(),
            info: info.and_then(|info| info.reference()).map(|(number, _)| number),
            metadata: section.metadata.take(),
        })
    }
}

/// Gives the pages their numbers before anything is copied, so that whatever leads to a page finds it.
fn announce<W: Write>(pages: &[ObjectId], copier: &mut Copier<'_, W>) -> Result<Vec<u32>, Stop> {
    let mut numbers = Vec::with_capacity(pages.len());
    for page in pages {
        let number = copier.out.reserve()?;
        copier.announce(*page, number);
        numbers.push(number);
    }
    Ok(numbers)
}

fn copy_page<W: Write>(id: ObjectId, number: u32, parent: u32, copier: &mut Copier<'_, W>) -> Result<(), Stop> {
    let mut page = copier.take(id)?.value;
    // What is drawn on a page, and what can be clicked there, is on no other.
    for key in ["Contents", "Annots"] {
        if let Some(value) = page.dictionary()?.get(key) {
            copier.expect_once(value);
        }
    }
    copier.adopt(&mut page)?;
    if let Object::Dictionary(page) = &mut page {
        page.set("Parent", Object::to(parent));
    }
    copier.write(number, &page)
}
