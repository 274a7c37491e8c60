//! What lies below the rows of a sheet: a tint of every other row, or a rule at the foot of each, as one path.

use typst::diag::StrResult;
use typst::foundations::Dict;
use typst::layout::{Abs, Length, Point};
use typst::visualize::{Color, Curve, FixedStroke, Geometry, Shape};

use crate::sheet::part;

/// How rows are told apart.
pub(crate) enum Grounds {
    /// Those in odd or even places are tinted.
    Zebra { odd: bool, tint: Color },
    /// Each has a rule at its foot.
    Rules(FixedStroke),
}

impl Grounds {
    /// Reads `(odd: …, tint: …)` or `(rule: …, thickness: …)`.
    pub(crate) fn new(grounds: &Dict) -> StrResult<Self> {
        if grounds.contains("tint") {
            return Ok(Self::Zebra { odd: part(grounds, "odd")?, tint: part(grounds, "tint")? });
        }
        let (paint, thickness): (Color, Length) = (part(grounds, "rule")?, part(grounds, "thickness")?);
        Ok(Self::Rules(FixedStroke::from_pair(paint, thickness.abs)))
    }

    /// Draws them for rows of these heights, from the origin down.
    pub(crate) fn draw(&self, heights: &[Abs], width: Abs) -> Option<Shape> {
        let mut path = Curve::new();
        let mut top = Abs::zero();
        for (index, &height) in heights.iter().enumerate() {
            let foot = top + height;
            match self {
                Self::Rules(_) => {
                    path.move_(Point::with_y(foot));
                    path.line(Point::new(width, foot));
                }
                Self::Zebra { odd, .. } if (index % 2 == 1) == *odd => {
                    path.move_(Point::with_y(top));
                    path.line(Point::new(width, top));
                    path.line(Point::new(width, foot));
                    path.line(Point::with_y(foot));
                    path.close();
                }
                Self::Zebra { .. } => {}
            }
            top = foot;
        }
        if path.is_empty() {
            return None;
        }
        Some(match self {
            Self::Zebra { tint, .. } => Geometry::Curve(path).filled(tint.clone()),
            Self::Rules(stroke) => Geometry::Curve(path).stroked(stroke.clone()),
        })
    }
}
