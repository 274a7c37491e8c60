//! Many small PDFs in, one PDF out, stitched as they come.
//!
//! A long report is typeset in sections. [`Stitcher::append`] takes them in order, each a whole PDF as the typesetter
//! makes it, and [`Stitcher::finish`] gives back the output with one PDF in it. Pages, links, outlines, page labels and
//! named destinations are those of the sections; the title and the other metadata are those of the first. What sections
//! have in common is stored once. The output is written front to back, and memory holds one section and a few dozen
//! bytes for each page and object before it.
//!
//! What a document can only have as a whole (tags, PDF/A, forms, attached files) is refused, not dropped.
//!
//! ```no_run
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let sections: Vec<Vec<u8>> = Vec::new();
//! let out = std::io::BufWriter::new(std::fs::File::create("report.pdf")?);
//! let mut stitcher = stitcher::Stitcher::new(out, *b"0123456789abcdef");
//! for section in &sections {
//!     stitcher.append(section)?;
//! }
//! let (_, stitched) = stitcher.finish()?;
//! println!("{} pages, {} bytes", stitched.pages, stitched.bytes);
//! # Ok(())
//! # }
//! ```
//!
//! Where to read on, from the outside in:
//!
//! | module | |
//! |---|---|
//! | `stitcher` | from sections to a report |
//! | `error` | why there is none |
//! | `section` | a section as it is read: objects, pages |
//! | `file`, `xref`, `filter` | a PDF taken apart into objects |
//! | `syntax`, `object` | how objects are spelt, and what they are |
//! | `catalogue`, `metadata` | what a section says about the document: refused, kept, put together |
//! | `destinations` | names in links become places |
//! | `copy`, `shared` | from a section's object numbers to the report's; equal objects are written once |
//! | `page_tree`, `outline`, `labels`, `names` | what grows with the sections |
//! | `writer` | objects into a file, front to back |

mod catalogue;
mod copy;
mod destinations;
mod error;
mod file;
mod filter;
mod labels;
mod metadata;
mod names;
mod object;
mod outline;
mod page_tree;
mod section;
mod shared;
mod stitcher;
mod syntax;
mod writer;
mod xref;

pub use error::{Error, Fault};
pub use stitcher::{Appended, Stitched, Stitcher};
