//! The order of text in a page of rows.
//!
//! The kit sets the rows of a page column by column, which is fast. In this order a reader who copies from the page, or
//! a program that extracts its text, would get columns. So their text is put in the order of its lines.

use typst::foundations::Label;
use typst::introspection::Introspector;
use typst::layout::{Frame, FrameItem, Point, Transform};
use typst::utils::PicoStr;
use typst_layout::{Page, PagedDocument};

/// The label of the kit's blocks whose text is to be in the order of its lines.
const LABEL: &str = "pressrun-row-order";

/// The document with the labelled blocks in order. Only for output without tags, which fix an order of their own.
pub(crate) fn in_order(mut document: PagedDocument) -> PagedDocument {
    let Some(label) = Label::new(PicoStr::intern(LABEL)) else { return document };
    if document.introspector().label_count(label) == 0 {
        return document;
    }
    let info = std::mem::take(document.info_mut());
    let pages = document.pages().iter().map(|page| Page { frame: walk(&page.frame, label), ..page.clone() }).collect();
    PagedDocument::new(pages, info)
}

/// The frame with every labelled block in it in order.
fn walk(frame: &Frame, label: Label) -> Frame {
    let mut result = Frame::new(frame.size(), frame.kind());
    result.set_baseline(frame.baseline());
    result.push_multiple(frame.items().map(|(point, item)| match item {
        FrameItem::Group(group) => {
            let mut group = group.clone();
            group.frame = if group.label == Some(label) { sorted(&group.frame) } else { walk(&group.frame, label) };
            (*point, FrameItem::Group(group))
        }
        other => (*point, other.clone()),
    }));
    result
}

/// The frame's items without plain groups, from top to bottom; on one line in their order before, column by column.
fn sorted(frame: &Frame) -> Frame {
    let mut items = Vec::new();
    flatten(frame, Point::zero(), &mut items);
    // Tags are for introspection and stay in their order.
    let (tags, mut items): (Vec<_>, Vec<_>) = items.into_iter().partition(|(_, item)| matches!(item, FrameItem::Tag(_)));
    items.sort_by(|(one, _), (other, _)| one.y.cmp(&other.y));
    let mut result = Frame::new(frame.size(), frame.kind());
    result.push_multiple(tags);
    result.push_multiple(items);
    result
}

fn flatten(frame: &Frame, origin: Point, items: &mut Vec<(Point, FrameItem)>) {
    for (point, item) in frame.items() {
        match item {
            FrameItem::Group(group)
                if group.transform == Transform::identity() && group.clip.is_none() && group.frame.kind().is_soft() =>
            {
                flatten(&group.frame, origin + *point, items);
            }
            other => items.push((origin + *point, other.clone())),
        }
    }
}
