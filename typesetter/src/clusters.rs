//! Puts together again what Typst sets apart: a letter and a mark that is raised above it come as two texts, each of which says
//! that it is both, so that both would be copied out of the PDF twice.

use typst::ecow::{EcoString, EcoVec, eco_format};
use typst::layout::{Abs, Em, Frame, FrameItem, GroupItem, Point};
use typst::model::Document;
use typst::text::{Glyph, TextItem};
use typst_layout::{Page, PagedDocument};

use crate::direction::is_right_to_left;

/// How far from the end of one text the next may begin and still go on with it: what rounding adds.
const SLACK: Abs = Abs::raw(0.001);

/// The document with each letter and its marks in one text; nothing if they are already.
pub(crate) fn with_whole_clusters(document: &PagedDocument) -> Option<PagedDocument> {
    let mended: Vec<_> = document.pages().iter().map(|page| mended(&page.frame)).collect();
    if mended.iter().all(Option::is_none) {
        return None;
    }
    let pages = document.pages().iter().zip(mended).map(|(page, frame)| match frame {
        Some(frame) => Page { frame, ..page.clone() },
        None => page.clone(),
    });
    Some(PagedDocument::new(pages.collect::<EcoVec<_>>(), document.info().clone()))
}

/// The frame with whole clusters; nothing if it has them already.
fn mended(frame: &Frame) -> Option<Frame> {
    if !may_be_apart(frame) {
        return None;
    }
    let mut items: Vec<(Point, FrameItem)> = Vec::new();
    // Where the last text is, if nothing but shapes came after it.
    let (mut last, mut changed) = (None, false);
    for (at, item) in frame.items() {
        match item {
            FrameItem::Text(text) => {
                if let Some((begun, FrameItem::Text(before))) = last.and_then(|last: usize| items.get_mut(last))
                    && let Some(whole) = joined((*begun, before), (*at, text))
                {
                    *before = whole;
                    changed = true;
                    continue;
                }
                last = Some(items.len());
            }
            FrameItem::Shape(..) => {}
            FrameItem::Group(group) => {
                last = None;
                if let Some(inner) = mended(&group.frame) {
                    items.push((*at, FrameItem::Group(GroupItem { frame: inner, ..group.clone() })));
                    changed = true;
                    continue;
                }
            }
            _ => last = None,
        }
        items.push((*at, item.clone()));
    }
    changed.then(|| with_items(frame, items))
}

/// Whether two texts of a frame, one after the other, end and begin with the same cluster of several characters.
fn may_be_apart(frame: &Frame) -> bool {
    let mut last = None;
    frame.items().any(|(_, item)| match item {
        FrameItem::Text(text) => {
            let before: Option<&TextItem> = last.replace(text);
            let (end, start) = (before.and_then(|it| it.glyphs.last()), text.glyphs.first());
            end.zip(start).is_some_and(|(end, start)| end.span == start.span && start.range.len() > 1)
        }
        FrameItem::Group(group) => may_be_apart(&group.frame),
        _ => false,
    })
}

fn with_items(frame: &Frame, items: Vec<(Point, FrameItem)>) -> Frame {
    let mut changed = Frame::new(frame.size(), frame.kind());
    if frame.has_baseline() {
        changed.set_baseline(frame.baseline());
    }
    changed.push_multiple(items);
    changed
}

/// Two texts as one, if the second begins with the cluster that the first ends with.
fn joined((begun, first): (Point, &TextItem), (at, second): (Point, &TextItem)) -> Option<TextItem> {
    let (end, start) = (first.glyphs.last()?, second.glyphs.first()?);
    if !is_one_cluster((first, end), (second, start)) || !goes_on((begun, first), (at, second)) {
        return None;
    }
    let (text, [one, other]) = overlaid(first, end.range.start, second, start.range.start)?;
    let raised = Em::from_abs(begun.y - at.y, first.size);
    let moved = |glyph: &Glyph, by: u16, raised: Em| {
        let range = glyph.range.start.checked_add(by)?..glyph.range.end.checked_add(by)?;
        Some(Glyph { range, y_offset: glyph.y_offset + raised, ..glyph.clone() })
    };
    let own = first.glyphs.iter().map(|glyph| moved(glyph, one, Em::zero()));
    let added = second.glyphs.iter().map(|glyph| moved(glyph, other, raised));
    Some(TextItem { text, glyphs: own.chain(added).collect::<Option<_>>()?, ..first.clone() })
}

/// Whether two glyphs stand for the same place of the source. Of the beginning of a text, and of a place too far into one for
/// Typst to count, which it calls the same, only a mark is sure to belong to its letter: it takes no room, and comes after it,
/// from right to left before it.
fn is_one_cluster((first, end): (&TextItem, &Glyph), (second, start): (&TextItem, &Glyph)) -> bool {
    let Some(cluster) = first.text.get(usize::from(end.range.start)..usize::from(end.range.end)) else { return false };
    let mark = if cluster.contains(is_right_to_left) { end } else { start };
    end.span == start.span
        && (start.span.1 > 0 || mark.x_advance == Em::zero())
        && second.text.get(usize::from(start.range.start)..usize::from(start.range.end)) == Some(cluster)
}

/// Whether a text begins where another of the same look ends.
fn goes_on((begun, first): (Point, &TextItem), (at, second): (Point, &TextItem)) -> bool {
    (begun.x + first.width() - at.x).abs() <= SLACK
        && first.size == second.size
        && first.font == second.font
        && (first.lang, first.region) == (second.lang, second.region)
        && first.fill == second.fill
        && first.stroke == second.stroke
}

/// The text that two texts are parts of, which say the same from these places on, and where in it each of them begins.
fn overlaid(first: &TextItem, end: u16, second: &TextItem, start: u16) -> Option<(EcoString, [u16; 2])> {
    if end < start {
        let (text, [other, one]) = overlaid(second, start, first, end)?;
        return Some((text, [one, other]));
    }
    let by = end - start;
    let (before, common) = first.text.split_at_checked(usize::from(by))?;
    let text = match second.text.strip_prefix(common) {
        Some(rest) => eco_format!("{before}{common}{rest}"),
        None => common.starts_with(second.text.as_str()).then(|| first.text.clone())?,
    };
    Some((text, [0, by]))
}
