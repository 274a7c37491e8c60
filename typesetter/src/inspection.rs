//! What can be told to be wrong with laid-out pages: characters without a glyph, and text that leaves its page or is cut off.

use findings::{Warning, merge};
use typst::layout::{Abs, Frame, FrameItem, Point, Rect, Size, Transform};
use typst::text::TextItem;
use typst_layout::PagedDocument;

use crate::cleaning::STAND_IN;
use crate::coverage::{missing, visible};

/// How far text may reach out of its page: what a font's own measures are off by.
const SLACK: Abs = Abs::raw(1.0);
/// How far letters reach above and below their baseline, in parts of their size: capitals and descenders.
const REACH: (f64, f64) = (0.65, 0.15);

/// What was seen on the pages of a document.
#[derive(Default)]
pub(crate) struct Inspection {
    /// Doubts about them.
    pub(crate) warnings: Vec<Warning>,
    /// How many stand-ins for missing characters they show.
    pub(crate) stand_ins: usize,
}

/// Looks at every page of a document whose first one has this number.
pub(crate) fn inspect(document: &PagedDocument, first_page: u64) -> Inspection {
    let mut inspection = Inspection::default();
    for (number, page) in (first_page..).zip(document.pages()) {
        let mut look = Look { page: number, size: page.frame.size(), inspection: &mut inspection };
        look.frame(&page.frame, Transform::identity(), None);
    }
    inspection
}

/// A look at one page.
struct Look<'a> {
    page: u64,
    size: Size,
    inspection: &'a mut Inspection,
}

impl Look<'_> {
    /// Looks at a frame that is shown within `clip` only, in the page's coordinates.
    fn frame(&mut self, frame: &Frame, to_page: Transform, clip: Option<Rect>) {
        for (at, item) in frame.items() {
            match item {
                FrameItem::Group(group) => {
                    let inner = to_page.pre_concat(Transform::translate(at.x, at.y)).pre_concat(group.transform);
                    let own = group.clip.as_ref().map(|curve| moved(curve.bbox(None), inner));
                    let clip = own.map(|own| clip.map_or(own, |outer| common(own, outer))).or(clip);
                    self.frame(&group.frame, inner, clip);
                }
                FrameItem::Text(text) => self.text(*at, text, to_page, clip),
                _ => {}
            }
        }
    }

    fn text(&mut self, at: Point, text: &TextItem, to_page: Transform, clip: Option<Rect>) {
        self.glyphs(text);
        if text.text.chars().all(char::is_whitespace) {
            return;
        }
        let (above, below) = (text.size * REACH.0, text.size * REACH.1);
        let own = Rect::new(Point::new(at.x, at.y - above), Point::new(at.x + text.width(), at.y + below));
        let own = moved(own, to_page);
        if !contains(Rect::from_pos_size(Point::zero(), self.size), own) {
            self.warn("text-outside-page", "Text leaves its page. Give it more room, or let it wrap.");
        } else if clip.is_some_and(|clip| !contains(clip, own)) {
            self.warn("text-cut", "Text is cut off. Give it more room, or let it wrap.");
        }
    }

    fn glyphs(&mut self, text: &TextItem) {
        self.inspection.stand_ins += text.text.matches(STAND_IN).count();
        let mut seen = None;
        for glyph in &text.glyphs {
            let cluster = text.text.get(glyph.range()).unwrap_or_default();
            if glyph.id == 0 {
                visible(cluster).chars().for_each(|c| self.missing(c));
            } else if !cluster.is_ascii() && seen.replace(glyph.range()) != Some(glyph.range()) {
                // A part of the cluster may have been left out.
                missing(text.font.rusty(), &visible(cluster)).into_iter().for_each(|c| self.missing(c));
            }
        }
    }

    fn missing(&mut self, c: char) {
        let message =
            "No font has a character where it stands. Put a font that has it into the template's fonts folder.";
        let warning = Warning::of_character("missing-glyph", message, None, c);
        merge(&mut self.inspection.warnings, [Warning { page: Some(self.page), ..warning }]);
    }

    fn warn(&mut self, code: &str, message: &str) {
        let warning = Warning { page: Some(self.page), ..Warning::new(code, message, None) };
        merge(&mut self.inspection.warnings, [warning]);
    }
}

/// The smallest rectangle around a rectangle that is transformed.
fn moved(rect: Rect, transform: Transform) -> Rect {
    let corners = [rect.min, rect.max, Point::new(rect.min.x, rect.max.y), Point::new(rect.max.x, rect.min.y)]
        .map(|corner| corner.transform(transform));
    let least = corners.into_iter().reduce(|one, other| Point::new(one.x.min(other.x), one.y.min(other.y)));
    let most = corners.into_iter().reduce(|one, other| Point::new(one.x.max(other.x), one.y.max(other.y)));
    Rect::new(least.unwrap_or(rect.min), most.unwrap_or(rect.max))
}

fn common(one: Rect, other: Rect) -> Rect {
    Rect::new(
        Point::new(one.min.x.max(other.min.x), one.min.y.max(other.min.y)),
        Point::new(one.max.x.min(other.max.x), one.max.y.min(other.max.y)),
    )
}

fn contains(outer: Rect, inner: Rect) -> bool {
    inner.min.x >= outer.min.x - SLACK
        && inner.min.y >= outer.min.y - SLACK
        && inner.max.x <= outer.max.x + SLACK
        && inner.max.y <= outer.max.y + SLACK
}
