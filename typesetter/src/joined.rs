//! Texts side by side, joined to one: a page has then a fifth of the text items, and its PDF of the instructions.

use typst::layout::{Abs, Em, Frame, FrameItem, Point};
use typst::text::{Glyph, TextItem};

use crate::ruler::same_font;

/// Texts that will be one, from left to right.
#[derive(Default)]
pub(crate) struct Joined {
    texts: Vec<Text>,
}

/// A text, where its baseline begins, and where it ends.
struct Text {
    at: Point,
    end: Abs,
    item: TextItem,
}

impl Joined {
    /// Puts a text at its place, in the frame or beside those before it; answers where it ends.
    pub(crate) fn put(&mut self, frame: &mut Frame, at: Point, item: TextItem) -> Abs {
        let end = at.x + item.width();
        let text = Text { at, end, item };
        if self.texts.last().is_some_and(|before| !before.goes_with(&text)) {
            self.finish(frame);
        }
        self.texts.push(text);
        end
    }

    /// Puts in the frame what waits for more.
    pub(crate) fn finish(&mut self, frame: &mut Frame) {
        let bytes: usize = self.texts.iter().map(|text| text.item.text.len()).sum();
        let glyphs: usize = self.texts.iter().map(|text| text.item.glyphs.len()).sum();
        if u16::try_from(bytes).is_err() {
            // More than one item can hold.
            return self.texts.drain(..).for_each(|text| frame.push(text.at, FrameItem::Text(text.item)));
        }
        let mut texts = self.texts.drain(..);
        let Some(Text { at, mut end, mut item }) = texts.next() else { return };
        item.glyphs.reserve_exact(glyphs - item.glyphs.len());
        for text in texts {
            if let Some(last) = item.glyphs.last_mut() {
                last.x_advance += Em::from_abs(text.at.x - end, item.size);
            }
            let offset = item.text.len() as u16;
            item.text.push_str(&text.item.text);
            item.glyphs.extend(text.item.glyphs.into_iter().map(|glyph| shifted(glyph, offset)));
            end = text.end;
        }
        frame.push(at, FrameItem::Text(item));
    }
}

impl Text {
    /// Whether another text stands to the right of this one, and looks the same.
    fn goes_with(&self, next: &Self) -> bool {
        let (item, other) = (&self.item, &next.item);
        next.at.y == self.at.y
            && next.at.x >= self.end
            && item.size == other.size
            && same_font(item, other)
            && item.fill == other.fill
            && item.stroke == other.stroke
            && item.lang == other.lang
            && item.region == other.region
    }
}

/// A glyph of a text that begins `offset` bytes later.
fn shifted(glyph: Glyph, offset: u16) -> Glyph {
    Glyph { range: glyph.range.start + offset..glyph.range.end + offset, ..glyph }
}
