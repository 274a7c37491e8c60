//! XMP metadata: what it promises, and how many pages it says there are.

use std::io::{self, Write};

use crate::error::Fault;
use crate::file::File;
use crate::filter::decode;
use crate::object::{Dictionary, Object};
use crate::writer::PdfWriter;

/// What the metadata of an archival or accessible document contains.
const CLAIMS: [(&[u8], &str); 2] =
    [(b"http://www.aiim.org/pdfa/ns/id/", "PDF/A"), (b"http://www.aiim.org/pdfua/ns/id/", "PDF/UA")];
/// Around the number of pages.
const PAGES: [&[u8]; 2] = [b"<xmpTPg:NPages>", b"</xmpTPg:NPages>"];

/// The metadata of a section as text.
pub(crate) fn read(file: &File<'_>, catalogue: &Dictionary) -> Result<Option<Vec<u8>>, Fault> {
    match catalogue.get("Metadata").and_then(Object::reference) {
        Some(id) => decode(file.stored(id)?).map(Some),
        None => Ok(None),
    }
}

/// The standard that metadata claims, if a stitched report could not keep it.
pub(crate) fn claim(metadata: &[u8]) -> Option<&'static str> {
    CLAIMS.iter().find(|(name, _)| find(metadata, name).is_some()).map(|(_, standard)| *standard)
}

/// Writes the first section's metadata as that of a report with so many pages.
pub(crate) fn write<W: Write>(metadata: &[u8], pages: u32, number: u32, out: &mut PdfWriter<W>) -> io::Result<()> {
    let metadata = with_pages(metadata, pages);
    let dictionary = format!("<</Type/Metadata/Subtype/XML/Length {}>>", metadata.len());
    out.stream(number, dictionary.as_bytes(), &metadata)
}

fn with_pages(metadata: &[u8], pages: u32) -> Vec<u8> {
    let begin = find(metadata, PAGES[0]).map(|at| at + PAGES[0].len());
    let end = find(metadata, PAGES[1]);
    match (begin, end) {
        (Some(begin), Some(end)) if begin <= end => {
            [&metadata[..begin], pages.to_string().as_bytes(), &metadata[end..]].concat()
        }
        _ => metadata.to_vec(),
    }
}

fn find(text: &[u8], part: &[u8]) -> Option<usize> {
    text.windows(part.len()).position(|window| window == part)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_number_of_pages_becomes_the_reports() {
        let metadata = b"a<xmpTPg:NPages>40</xmpTPg:NPages>b";
        assert_eq!(with_pages(metadata, 20_000), b"a<xmpTPg:NPages>20000</xmpTPg:NPages>b");
        assert_eq!(with_pages(b"</xmpTPg:NPages><xmpTPg:NPages>", 2), b"</xmpTPg:NPages><xmpTPg:NPages>");
    }

    #[test]
    fn claims_are_found() {
        assert_eq!(claim(br#"<x xmlns:pdfaid="http://www.aiim.org/pdfa/ns/id/">"#), Some("PDF/A"));
        assert_eq!(claim(b"<pdf:PDFVersion>1.7</pdf:PDFVersion>"), None);
    }
}
