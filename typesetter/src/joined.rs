//! Texts side by side, joined to one: a page has then a fifth of the text items, and its PDF of the instructions.

use typst::layout::{Abs, Em, Frame, FrameItem, Point};
use typst::text::{Glyph, TextItem};

use crate::learnt::Letter;
use crate::ruler::same_font;

/// A text that grows from left to right.
#[derive(Default)]
pub(crate) struct Joined {
    /// Where its baseline begins, and what it looks like; none before there is a text.
    begun: Option<(Point, TextItem)>,
    text: String,
    glyphs: Vec<Glyph>,
    /// Where the piece begins that was put last, and how far it has come.
    from: Abs,
    reached: Em,
}

impl Joined {
    /// Begins a piece of so many bytes at its place, in the frame or beside those before it. It looks like a letter, but for
    /// its size.
    pub(crate) fn begin(&mut self, frame: &mut Frame, at: Point, letter: &Letter, size: Abs, bytes: usize) {
        let end = self.end();
        match &self.begun {
            // An item cannot hold more.
            Some((before, look))
                if goes_with((*before, end, look), (at, &letter.item, size))
                    && u16::try_from(self.text.len() + bytes).is_ok() =>
            {
                if let Some(last) = self.glyphs.last_mut() {
                    last.x_advance += Em::from_abs(at.x - end, size);
                }
            }
            _ => {
                self.finish(frame);
                self.begun = Some((at, TextItem { size, ..letter.item.clone() }));
            }
        }
        (self.from, self.reached) = (at.x, Em::zero());
    }

    /// Adds a letter that stands so much further from the one before it than by itself.
    pub(crate) fn push(&mut self, c: char, letter: &Letter, kern: Em) {
        if let Some(last) = self.glyphs.last_mut() {
            last.x_advance += kern;
        }
        let start = self.text.len() as u16;
        self.text.push(c);
        self.glyphs.push(Glyph { range: start..self.text.len() as u16, ..letter.glyph.clone() });
        self.reached += kern + letter.glyph.x_advance;
    }

    /// Where the piece ends that was put last.
    pub(crate) fn end(&self) -> Abs {
        self.from + self.begun.as_ref().map_or(Abs::zero(), |(_, look)| self.reached.at(look.size))
    }

    /// Puts in the frame what waits for more.
    pub(crate) fn finish(&mut self, frame: &mut Frame) {
        let Some((at, look)) = self.begun.take() else { return };
        let item = TextItem { text: self.text.as_str().into(), glyphs: self.glyphs.drain(..).collect(), ..look };
        self.text.clear();
        frame.push(at, FrameItem::Text(item));
    }
}

/// Whether a text that is to begin somewhere stands to the right of another, and looks the same.
fn goes_with((begun, end, look): (Point, Abs, &TextItem), (at, other, size): (Point, &TextItem, Abs)) -> bool {
    at.y == begun.y
        && at.x >= end
        && look.size == size
        && same_font(look, other)
        && look.fill == other.fill
        && look.stroke == other.stroke
        && look.lang == other.lang
        && look.region == other.region
}
