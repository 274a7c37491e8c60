//! Writes pages that hold nothing but text and flat shapes, as those of a long report's rows do, to a PDF.
//!
//! Typst's own export can do all that PDF can, and looks at each glyph several times for it. What is not so plain, be it a
//! picture, a link, a heading for the outline or a text that is written from right to left, is left to it.

mod content;
mod font;

use std::io::{self, Write};

use flate2::Compression;
use flate2::write::ZlibEncoder;
use pdf_writer::writers::{ColorSpace, Resources};
use pdf_writer::{Filter, Finish, Name, Pdf, Rect, Ref};
use typst::foundations::NativeElement;
use typst::introspection::Introspector;
use typst::layout::Abs;
use typst::model::HeadingElem;
use typst::pdf::AttachElem;
use typst_layout::{Page, PagedDocument};

use font::Fonts;

/// The name of the colour space that all colours are in: sRGB, as in Typst's own PDFs.
const COLOR_SPACE: &str = "c0";
/// What PDF counts in an em of a font.
const EM: f32 = 1000.0;
/// Components of a colour.
const COMPONENTS: i32 = 3;
/// The least width and height that PDF 1.7 has for a page, in points.
const LEAST_EDGE: Abs = Abs::raw(3.0);

/// The pages of a document as a PDF that says nothing else, neither its title nor its language; `None` if they are not plain.
pub(crate) fn pdf(document: &PagedDocument) -> Option<Vec<u8>> {
    let large_enough = |page: &Page| page.frame.width() >= LEAST_EDGE && page.frame.height() >= LEAST_EDGE;
    if !says_no_more_than_it_shows(document) || !document.pages().iter().all(large_enough) {
        return None;
    }
    let mut fonts = Fonts::default();
    let pages = document.pages().iter();
    let contents: Vec<_> = pages.map(|page| compressed(&content::of(page, &mut fonts)?).ok()).collect::<Option<_>>()?;
    assemble(document.pages(), &contents, &fonts)
}

/// Whether there is nothing in a document but what stands on its pages.
fn says_no_more_than_it_shows(document: &PagedDocument) -> bool {
    let introspector = document.introspector();
    document.pages().iter().all(|page| page.numbering.is_none() && page.bleed.is_zero())
        && [HeadingElem::ELEM, AttachElem::ELEM].iter().all(|it| introspector.query(&it.select()).is_empty())
}

/// Gives out the numbers of objects.
struct Numbers(i32);

impl Numbers {
    fn next(&mut self) -> Ref {
        self.0 += 1;
        Ref::new(self.0)
    }
}

fn assemble(pages: &[Page], contents: &[Vec<u8>], fonts: &Fonts) -> Option<Vec<u8>> {
    let (mut pdf, mut numbers) = (Pdf::new(), Numbers(0));
    let (catalog, tree, resources, profile) = (numbers.next(), numbers.next(), numbers.next(), numbers.next());
    pdf.catalog(catalog).pages(tree);
    let kids: Vec<_> = pages.iter().map(|_| numbers.next()).collect();
    pdf.pages(tree).kids(kids.iter().copied()).count(i32::try_from(kids.len()).ok()?);
    for ((id, page), content) in kids.into_iter().zip(pages).zip(contents) {
        let drawn = numbers.next();
        let size = page.frame.size();
        let [width, height] = [size.x, size.y].map(|edge| edge.to_pt() as f32);
        let mut leaf = pdf.page(id);
        leaf.parent(tree).media_box(Rect::new(0.0, 0.0, width, height)).contents(drawn);
        leaf.pair(Name(b"Resources"), resources);
        leaf.finish();
        pdf.stream(drawn, content).filter(Filter::FlateDecode);
    }
    let embedded = fonts.embed(&mut pdf, &mut numbers)?;
    let mut dictionary = pdf.indirect(resources).start::<Resources<'_>>();
    dictionary.color_spaces().insert(Name(COLOR_SPACE.as_bytes())).start::<ColorSpace<'_>>().icc_based(profile);
    dictionary.fonts().pairs(embedded.iter().map(|(name, id)| (Name(name.as_bytes()), *id)));
    dictionary.finish();
    let srgb = compressed(typst_assets::icc::S_RGB_V4).ok()?;
    pdf.icc_profile(profile, &srgb).n(COMPONENTS).filter(Filter::FlateDecode);
    Some(pdf.finish())
}

fn compressed(bytes: &[u8]) -> io::Result<Vec<u8>> {
    let mut encoder = ZlibEncoder::new(Vec::with_capacity(bytes.len() / 4), Compression::default());
    encoder.write_all(bytes)?;
    encoder.finish()
}
