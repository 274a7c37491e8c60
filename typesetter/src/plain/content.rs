//! The content stream of a plain page.
//!
//! Where texts stand is reckoned in the steps and the precision of Typst's own export, so that whoever compares the two, or
//! guesses words and columns from distances, finds the same.

use typst::layout::{Abs, Em, Frame, FrameItem, Point, Transform};
use typst::text::TextItem;
use typst::visualize::{
    Color, Curve, CurveItem, FillRule, FixedStroke, Geometry, LineCap, LineJoin, Paint, ProcessColorSpace, Shape,
};
use typst_layout::Page;

use super::font::{Fonts, Letter};
use super::{COLOR_SPACE, EM};

/// What letters are moved by less than, in thousandths of an em, is not worth a number.
const LEAST_ADJUSTMENT: f32 = 0.001;
/// How far a mitre reaches where nothing else is said; PDF has another default.
const MITER_LIMIT: f64 = 4.0;

/// What is drawn on a page; `None` if it is not plain.
pub(super) fn of(page: &Page, fonts: &mut Fonts) -> Option<Vec<u8>> {
    let (size, state) = (page.frame.size(), State { fill: BLACK, stroke: BLACK, ..State::default() });
    let mut drawing = Drawing { out: Vec::new(), fonts, state, in_text: false, height: size.y };
    drawing.out.extend_from_slice(format!("/{COLOR_SPACE} cs/{COLOR_SPACE} CS\n").as_bytes());
    drawing.operation(&[MITER_LIMIT as f32], "M");
    if let Some(paint) = page.fill_or_transparent() {
        drawing.shape(&Geometry::Rect(size).filled(paint), Transform::identity())?;
    }
    drawing.frame(&page.frame, Transform::identity())?;
    drawing.end_text();
    Some(drawing.out)
}

/// Red, green and blue.
type Rgb = [u8; 3];

const BLACK: Rgb = [0; 3];

/// What of PDF's graphics state was set.
#[derive(Clone, Copy, Default)]
struct State {
    fill: Rgb,
    stroke: Rgb,
    /// The width of lines.
    width: Option<Abs>,
    /// The font, by its index, and its size.
    font: Option<(usize, Abs)>,
}

struct Drawing<'a> {
    out: Vec<u8>,
    fonts: &'a mut Fonts,
    state: State,
    /// Whether a text object is open.
    in_text: bool,
    /// The page's: PDF counts from the foot up, Typst from the top down.
    height: Abs,
}

impl Drawing<'_> {
    fn frame(&mut self, frame: &Frame, transform: Transform) -> Option<()> {
        frame.items().try_for_each(|(at, item)| {
            let transform = transform.pre_concat(Transform::translate(at.x, at.y));
            match item {
                FrameItem::Group(group) if group.clip.is_some() => None,
                FrameItem::Group(group) => self.frame(&group.frame, transform.pre_concat(group.transform)),
                FrameItem::Text(text) => self.text(text, transform),
                FrameItem::Shape(shape, _) => self.shape(shape, transform),
                FrameItem::Tag(_) => Some(()),
                FrameItem::Image(..) | FrameItem::Link(..) => None,
            }
        })
    }

    fn text(&mut self, text: &TextItem, transform: Transform) -> Option<()> {
        if text.stroke.is_some() {
            return None;
        }
        let font = self.fonts.index_of(&text.font);
        if !self.in_text {
            self.operation(&[], "BT");
            self.in_text = true;
        }
        self.fill(&text.fill)?;
        if self.state.font != Some((font, text.size)) {
            self.state.font = Some((font, text.size));
            self.out.push(b'/');
            self.out.extend_from_slice(self.fonts.get_mut(font)?.resource.as_bytes());
            self.out.push(b' ');
            self.operation(&[text.size.to_pt() as f32], "Tf");
        }
        // Letters stand upright.
        let [a, b, c, d, x, y] = self.matrix(transform);
        self.operation(&[a, b, -c, -d, x, y], "Tm");
        self.show(text, font)
    }

    /// Shows the glyphs of a text. In thousandths of an em, as PDF counts here.
    fn show(&mut self, text: &TextItem, font: usize) -> Option<()> {
        let (out, font) = (&mut self.out, self.fonts.get_mut(font)?);
        let (mut end, mut ahead) = (0, 0.0);
        out.extend_from_slice(b"[(");
        for glyph in &text.glyphs {
            let range = glyph.range();
            if range.start < end || glyph.y_offset != Em::zero() || glyph.y_advance != Em::zero() {
                return None;
            }
            end = range.end;
            let said = text.text.get(range).filter(|said| !said.is_empty())?;
            let Letter { cid, width, same } = font.letter(glyph.id, said)?;
            let [advance, offset] = [glyph.x_advance, glyph.x_offset].map(|it| it.get() as f32 * EM);
            ahead += offset;
            if ahead.abs() > LEAST_ADJUSTMENT {
                out.push(b')');
                float(out, -(ahead / EM * EM));
                out.push(b'(');
                ahead = 0.0;
            }
            if same {
                literal(out, cid);
            } else {
                // The glyph stands for something else than it did before.
                out.extend_from_slice(b")]TJ/Span<</ActualText<FEFF");
                said.encode_utf16().for_each(|unit| out.extend_from_slice(format!("{unit:04X}").as_bytes()));
                out.extend_from_slice(b">>>BDC(");
                literal(out, cid);
                out.extend_from_slice(b")Tj EMC[(");
            }
            ahead += advance - width;
            ahead -= offset;
        }
        out.extend_from_slice(b")]TJ\n");
        Some(())
    }

    fn end_text(&mut self) {
        if std::mem::take(&mut self.in_text) {
            self.operation(&[], "ET");
        }
    }

    fn shape(&mut self, shape: &Shape, transform: Transform) -> Option<()> {
        self.end_text();
        let Transform { tx, ty, .. } = transform;
        if transform == Transform::translate(tx, ty) {
            let height = self.height;
            return self.path(shape, &|to| [tx + to.x, height - ty - to.y].map(|it| it.to_pt() as f32));
        }
        let before = self.state;
        self.operation(&[], "q");
        self.operation(&self.matrix(transform), "cm");
        self.path(shape, &|to| [to.x, to.y].map(|it| it.to_pt() as f32))?;
        self.operation(&[], "Q");
        self.state = before;
        Some(())
    }

    /// Draws a shape whose points lie where `place` says.
    fn path(&mut self, shape: &Shape, place: &dyn Fn(Point) -> [f32; 2]) -> Option<()> {
        // Some readers fill what has no area by the width of a line.
        let fill = shape.fill.as_ref().filter(|_| !is_flat(shape));
        if let Some(paint) = fill {
            self.fill(paint)?;
        }
        let stroke = shape.stroke.as_ref().filter(|stroke| stroke.thickness > Abs::zero());
        if let Some(stroke) = stroke {
            self.stroke(stroke)?;
        }
        let painted = match (fill, stroke, shape.fill_rule) {
            (None, None, _) => return Some(()),
            (None, Some(_), _) => "S",
            (Some(_), None, FillRule::NonZero) => "f",
            (Some(_), None, FillRule::EvenOdd) => "f*",
            (Some(_), Some(_), FillRule::NonZero) => "B",
            (Some(_), Some(_), FillRule::EvenOdd) => "B*",
        };
        match &shape.geometry {
            Geometry::Line(to) => {
                self.operation(&place(Point::zero()), "m");
                self.operation(&place(*to), "l");
            }
            Geometry::Rect(size) => {
                let ([x, y], [to_x, to_y]) = (place(Point::zero()), place(size.to_point()));
                self.operation(&[x, y, to_x - x, to_y - y], "re");
            }
            Geometry::Curve(curve) => self.curve(curve, place),
        }
        self.operation(&[], painted);
        Some(())
    }

    fn curve(&mut self, curve: &Curve, place: &dyn Fn(Point) -> [f32; 2]) {
        for item in &curve.0 {
            match item {
                CurveItem::Move(to) => self.operation(&place(*to), "m"),
                CurveItem::Line(to) => self.operation(&place(*to), "l"),
                CurveItem::Cubic(one, other, to) => {
                    self.operation([one, other, to].map(|it| place(*it)).as_flattened(), "c");
                }
                CurveItem::Close => self.operation(&[], "h"),
            }
        }
    }

    /// A transformation as PDF has it.
    fn matrix(&self, Transform { sx, ky, kx, sy, tx, ty }: Transform) -> [f32; 6] {
        let [sx, ky, kx, sy] = [sx, ky, kx, sy].map(|it| it.get() as f32);
        let [x, y, height] = [tx, ty, self.height].map(|it| it.to_pt() as f32);
        [sx, -ky, kx, -sy, x, height - y]
    }

    fn fill(&mut self, paint: &Paint) -> Option<()> {
        let color = rgb(paint)?;
        if self.state.fill != color {
            self.state.fill = color;
            self.operation(&color.map(component), "sc");
        }
        Some(())
    }

    fn stroke(&mut self, stroke: &FixedStroke) -> Option<()> {
        let FixedStroke { paint, thickness, cap, join, dash, miter_limit } = stroke;
        if (*cap, *join, miter_limit.get()) != (LineCap::Butt, LineJoin::Miter, MITER_LIMIT) || dash.is_some() {
            return None;
        }
        let color = rgb(paint)?;
        if self.state.stroke != color {
            self.state.stroke = color;
            self.operation(&color.map(component), "SC");
        }
        if self.state.width != Some(*thickness) {
            self.state.width = Some(*thickness);
            self.operation(&[thickness.to_pt() as f32], "w");
        }
        Some(())
    }

    fn operation(&mut self, operands: &[f32], operator: &str) {
        for operand in operands {
            float(&mut self.out, *operand);
            self.out.push(b' ');
        }
        self.out.extend_from_slice(operator.as_bytes());
        self.out.push(b'\n');
    }
}

/// Whether a shape has no area.
fn is_flat(shape: &Shape) -> bool {
    let size = shape.bbox(false).size();
    matches!(shape.geometry, Geometry::Line(_)) || [size.x, size.y].iter().any(|edge| edge.to_pt() as f32 == 0.0)
}

/// An opaque colour that is not made for a printing press.
fn rgb(paint: &Paint) -> Option<Rgb> {
    let Paint::Solid(Color::Process(color)) = paint else { return None };
    if color.space() == ProcessColorSpace::Cmyk {
        return None;
    }
    match color.to_space(ProcessColorSpace::Srgb).to_vec4_u8() {
        [red, green, blue, u8::MAX] => Some([red, green, blue]),
        _ => None,
    }
}

fn component(value: u8) -> f32 {
    f32::from(value) / f32::from(u8::MAX)
}

/// Writes a number in as few digits as tell it from all others.
fn float(out: &mut Vec<u8>, value: f32) {
    let magnitude = value.abs();
    if magnitude == 0.0 {
        out.push(b'0');
    } else if (1e-5..1e12).contains(&magnitude) {
        let mut digits = ryu::Buffer::new();
        let digits = digits.format_finite(value);
        out.extend_from_slice(digits.strip_suffix(".0").unwrap_or(digits).as_bytes());
    } else {
        // That would be an exponent, which PDF does not know.
        out.extend_from_slice(value.to_string().as_bytes());
    }
}

/// Writes the two bytes of a glyph within a string.
fn literal(out: &mut Vec<u8>, cid: u16) {
    for byte in cid.to_be_bytes() {
        match byte {
            b'(' | b')' | b'\\' => out.extend_from_slice(&[b'\\', byte]),
            // As it is it would be read as a line feed.
            b'\r' => out.extend_from_slice(b"\\r"),
            byte => out.push(byte),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_written_in_as_few_digits_as_they_have_and_without_exponents() {
        let expected = [
            (0.0, "0"),
            (-0.0, "0"),
            (7.0, "7"),
            (-12.5, "-12.5"),
            (841.8898, "841.8898"),
            (0.000_05, "0.00005"),
            (-1e-7, "-0.0000001"),
            (1e9, "1000000000"),
            (3e12, "3000000000000"),
        ];
        for (value, text) in expected {
            let mut out = Vec::new();
            float(&mut out, value);
            assert_eq!(String::from_utf8_lossy(&out), text);
        }
    }

    #[test]
    fn no_glyph_ends_a_string() {
        let mut out = Vec::new();
        literal(&mut out, u16::from_be_bytes([b'(', b')']));
        literal(&mut out, u16::from_be_bytes([b'\\', b'\r']));
        literal(&mut out, u16::from_be_bytes([0, b'A']));
        assert_eq!(out, b"\\(\\)\\\\\\r\0A");
    }
}
