//! Cuts and draws the cells of a page of rows: what the kit's `rows` calls as `pressrun.fit` and `pressrun.sheet`.

use std::collections::{BTreeSet, VecDeque};

use rustc_hash::FxHashSet;
use typst::comemo::Tracked;
use typst::diag::{At, HintedString, SourceResult, StrResult, bail};
use typst::ecow::{EcoString, eco_format};
use typst::engine::Engine;
use typst::foundations::{
    Array, Content, Context, Dict, FromValue, Func, NativeElement, Packed, Smart, StyleChain, Value, dict, func,
};
use typst::introspection::{Locator, MetadataElem, SplitLocator};
use typst::layout::{Abs, Axes, BlockElem, Frame, FrameItem, Length, Point, Ratio, Region, Size, Sizing, Transform};
use typst::syntax::Span;
use typst::visualize::{Color, FixedStroke, Geometry};

use crate::grounds::Grounds;
use crate::joined::Joined;
use crate::kept::Kept;
use crate::learnt::Letter;
use crate::refuse::refused_cell;
use crate::ruler::{Ruler, Set, same_font};

/// What a width may exceed its column by: what rounding adds.
const SLACK: Abs = Abs::raw(0.001);
/// How much smaller than needed figures are set that are too wide.
const SPARE: f64 = 0.99;

/// Cuts cells to a width: texts end in an ellipsis; of figures, since a shortened one is a wrong one, comes out a pair of
/// the text and the size to set it at, relative to the style's. Figures that could not be read any more are refused.
#[func(contextual)]
pub(crate) fn fit(
    engine: &mut Engine,
    context: Tracked<Context>,
    span: Span,
    /// Strings, or content, which stays as it is.
    cells: Array,
    /// The column; see [`Measure`].
    column: Dict,
    /// The number of the row of the first cell, for errors; 0 for cells that are of no row.
    #[named]
    #[default]
    first: i64,
) -> SourceResult<Array> {
    let styles = context.styles().at(span)?;
    let Measure { typeset, width, kerned, least_size } = Measure::new(&column).at(span)?;
    let strings = || cells.iter().filter_map(string);
    let ends = cut_ends(strings());
    let ruler = Ruler::new(engine, styles, &typeset, kerned, strings().chain([ends.as_str()]))?;
    let mut fitted = Array::with_capacity(cells.len());
    for (index, cell) in (0..).zip(&cells) {
        let Some(text) = string(cell) else {
            fitted.push(cell.clone());
            continue;
        };
        fitted.push(if fits(engine, &ruler, text, width)? {
            cell.clone()
        } else if let Some(least) = least_size {
            let size = width / ruler.width(engine, text)? * SPARE;
            if size < least {
                let row = if first > 0 { first + index } else { 0 };
                return Err(too_narrow(&column, row, text, width * (least / size))).at(span);
            }
            Value::Array([cell.clone(), Value::Float(size)].into_iter().collect())
        } else {
            Value::Str(shortened(engine, &ruler, text, width)?.into())
        });
    }
    Ok(fitted)
}

/// How many of these cells were cut, and the place of the first of them, from 0.
#[func]
pub(crate) fn count_cut(
    /// Cells before they were fitted.
    cells: Array,
    /// The same cells after that.
    fitted: Array,
) -> Array {
    let mut cut = cells.iter().zip(&fitted).enumerate().filter(|(_, (cell, fitted))| string(cell) != string(fitted));
    let first = cut.next().map(|(index, _)| index);
    let count = if first.is_some() { 1 + cut.count() } else { 0 };
    [Value::Int(count as i64), Value::Int(first.unwrap_or_default() as i64)].into_iter().collect()
}

/// What a cell has to fit.
struct Measure {
    /// Makes text of a string.
    typeset: Func,
    /// The column's width, and what rounding may add.
    width: Abs,
    /// Whether the text is kerned.
    kerned: bool,
    /// How small figures may be set, relative to the style; none for a column of text.
    least_size: Option<f64>,
}

/// A figure that would be too small to read in its column.
fn too_narrow(column: &Dict, row: i64, text: &str, needed: Abs) -> HintedString {
    // In a line of sums, a column has a name of the kit's.
    let field = part::<EcoString>(column, "shown-field").or_else(|_| part(column, "field")).unwrap_or_default();
    let width = part::<Length>(column, "width").map_or(Abs::zero(), |width| width.abs);
    let problem = eco_format!(
        "comes to {text}, which takes {:.1} mm at the least size that can be read, and its column has {:.1} mm: give the \
         column more width, or print fewer columns or decimal places",
        needed.to_mm(),
        width.to_mm()
    );
    refused_cell(row, &field, &problem)
}

impl Measure {
    fn new(column: &Dict) -> StrResult<Self> {
        Ok(Self {
            typeset: part(column, "typeset")?,
            width: part::<Length>(column, "width")?.abs + SLACK,
            kerned: part(column, "kerned")?,
            least_size: if part(column, "figures")? { Some(part(column, "least-size")?) } else { None },
        })
    }
}

/// Breaks strings into lines of a width. Gives a dictionary: `cells`, with line ends where they break, and `lines`, how
/// many lines each has, 0 for a text that is not so simple and is left to Typst.
#[func(contextual)]
pub(crate) fn wrap(
    engine: &mut Engine,
    context: Tracked<Context>,
    span: Span,
    /// Strings.
    cells: Array,
    /// The column; see [`Measure`].
    column: Dict,
) -> SourceResult<Dict> {
    let styles = context.styles().at(span)?;
    let Measure { typeset, width, kerned, .. } = Measure::new(&column).at(span)?;
    let strings = || cells.iter().filter_map(string).flat_map(|text| text.split('\n'));
    let ruler = Ruler::new(engine, styles, &typeset, kerned, strings())?;
    let (mut broken, mut counts) = (Array::with_capacity(cells.len()), Array::with_capacity(cells.len()));
    for cell in &cells {
        let lines = string(cell).and_then(|text| lines_of(&ruler, text, width));
        counts.push(Value::Int(lines.as_ref().map_or(0, |lines| lines.len() as i64)));
        broken.push(lines.map_or_else(|| cell.clone(), |lines| Value::Str(lines.join("\n").into())));
    }
    Ok(dict! { "cells" => broken, "lines" => counts })
}

/// The lines of a simple text: as many words on each as fit.
fn lines_of(ruler: &Ruler, text: &str, width: Abs) -> Option<Vec<EcoString>> {
    let mut lines = Vec::new();
    for part in text.split('\n') {
        if ruler.simple_width(part)? <= width {
            lines.push(part.trim_end().into());
            continue;
        }
        let (mut rest, mut left) = (part, words(part).collect::<VecDeque<_>>());
        loop {
            let mut fitting = words_that_fit(ruler, rest, &left, width)?;
            if let Some(word) = left.front_mut().filter(|_| fitting == 0) {
                // A word that is wider than the column breaks anywhere.
                let visible = word.trim_end();
                let end = break_anywhere(ruler, visible, width)?;
                if end < visible.len() {
                    *word = &word[end..];
                    lines.push(rest[..end].into());
                    rest = &rest[end..];
                    continue;
                }
                fitting = 1;
            }
            if fitting == left.len() {
                lines.push(rest.trim_end().into());
                break;
            }
            let end = left.drain(..fitting).map(str::len).sum();
            lines.push(rest[..end].trim_end().into());
            rest = &rest[end..];
        }
    }
    Some(lines)
}

/// How many of the words that make up a text fit on one line.
fn words_that_fit(ruler: &Ruler, text: &str, words: &VecDeque<&str>, width: Abs) -> Option<usize> {
    let (mut fitting, mut end) = (0, 0);
    // Blanks at the end of a line take no room.
    let mut visible_ends = words.iter().map(|word| {
        end += word.len();
        text[..end].trim_end().len()
    });
    let mut next = visible_ends.next();
    ruler.walk(text, |end, reached| {
        // What is still to come is no narrower.
        if reached > width && next.is_some_and(|visible| visible > end) {
            return false;
        }
        while next.is_some_and(|visible| visible <= end) {
            if next == Some(end) && reached > width {
                return false;
            }
            fitting += 1;
            next = visible_ends.next();
        }
        next.is_some()
    })?;
    Some(fitting)
}

/// A text in pieces after which a line may end: after blanks, and between letters that a dash or slash joins.
fn words(text: &str) -> impl Iterator<Item = &str> {
    let mut rest = text;
    std::iter::from_fn(move || {
        let mut around = rest.char_indices().zip(rest.chars().skip(1));
        let end = around.find(|&((_, c), next)| match c {
            ' ' => next != ' ',
            '-' | '–' | '/' => next.is_alphabetic(),
            '—' | '…' => next != c,
            _ => false,
        });
        let end = end.map_or(rest.len(), |((at, c), _)| at + c.len_utf8());
        let (word, left) = rest.split_at(end);
        rest = left;
        (!word.is_empty()).then_some(word)
    })
}

/// The end of the longest start that fits, at least one character if there is one.
fn break_anywhere(ruler: &Ruler, word: &str, width: Abs) -> Option<usize> {
    let mut fitting = 0;
    ruler.walk(word, |end, reached| {
        let fits = fitting == 0 || reached <= width;
        if fits {
            fitting = end;
        }
        fits
    })?;
    Some(fitting)
}

fn string(cell: &Value) -> Option<&str> {
    match cell {
        Value::Str(text) => Some(text.as_str()),
        _ => None,
    }
}

/// The longest start of a text that fits with an ellipsis.
fn shortened(engine: &mut Engine, ruler: &Ruler, text: &str, width: Abs) -> SourceResult<EcoString> {
    let ellipsis = ruler.width(engine, "…")?;
    let mut ends = Vec::new();
    // The ellipsis may be kerned, so that one more may fit, or one less.
    let simple = ruler.walk(text, |end, reached| {
        ends.push(end);
        reached + ellipsis <= width
    });
    if simple.is_none() {
        return halved(engine, ruler, text, width);
    }
    for &end in ends.iter().rev() {
        let short = eco_format!("{}…", text[..end].trim_end());
        if ruler.width(engine, &short)? <= width {
            return Ok(short);
        }
    }
    Ok(EcoString::new())
}

/// The longest start of a text that fits with an ellipsis, where Typst has to lay out each start: few, and none much
/// longer than what fits.
fn halved(engine: &mut Engine, ruler: &Ruler, text: &str, width: Abs) -> SourceResult<EcoString> {
    let ends: Vec<usize> = text.char_indices().map(|(at, c)| at + c.len_utf8()).collect();
    let mut longest = EcoString::new();
    let (mut fitting, mut too_long) = (0, ends.len());
    let mut guess = ems_in(ruler, width);
    while fitting < too_long {
        let middle = guess.min((fitting + too_long) / 2);
        let short = eco_format!("{}…", text[..ends[middle]].trim_end());
        if ruler.width(engine, &short)? <= width {
            (fitting, longest) = (middle + 1, short);
            guess *= 2;
        } else {
            too_long = middle;
        }
    }
    Ok(longest)
}

/// Whether a text fits. Of a long one that Typst has to lay out only a start is laid out: no end makes up for a start that is
/// half as wide again.
fn fits(engine: &mut Engine, ruler: &Ruler, text: &str, width: Abs) -> SourceResult<bool> {
    if let Some(simple) = ruler.simple_width(text) {
        return Ok(simple <= width);
    }
    let mut count = 2 * ems_in(ruler, width);
    while let Some((end, _)) = text.char_indices().nth(count) {
        if ruler.width(engine, &text[..end])? > width * 1.5 {
            return Ok(false);
        }
        count *= 2;
    }
    Ok(ruler.width(engine, text)? <= width)
}

/// About how many letters as wide as they are high fit, at least one.
fn ems_in(ruler: &Ruler, width: Abs) -> usize {
    // An ellipsis is about an em wide, and known.
    let em = ruler.simple_width("…").unwrap_or_default().max(Abs::pt(1.0));
    ((width / em).ceil() as usize).clamp(1, 10_000)
}

/// The ends that cut texts can have, for a ruler to learn.
fn cut_ends<'t>(texts: impl Iterator<Item = &'t str>) -> String {
    // In a set that sorts them, each would be compared with many.
    let last: FxHashSet<char> = texts.flat_map(str::chars).collect();
    let last: BTreeSet<char> = last.into_iter().collect();
    last.into_iter().flat_map(|c| [c, '…']).collect()
}

/// Draws what stands on a page of rows: cells in columns and rows, and rules.
#[func]
pub(crate) fn sheet(
    /// A dictionary; see [`Sheet`].
    sheet: Dict,
) -> StrResult<Content> {
    let (width, height) = (part::<Length>(&sheet, "width")?, part::<Length>(&sheet, "height")?);
    let captured = Packed::new(MetadataElem::new(Value::Dict(sheet)));
    let block = BlockElem::single_layouter(captured, lay_out);
    Ok(block.with_width(Smart::Custom(width.into())).with_height(Sizing::Rel(height.into())).pack())
}

/// What `sheet` is told.
struct Sheet {
    parts: Vec<Part>,
    /// Lines over the whole width, by where they are.
    rules: Vec<(Abs, FixedStroke)>,
    /// From the top of a line of text to its baseline.
    ascent: Abs,
    /// From line to line within a cell.
    pitch: Abs,
}

/// Rows of the same columns, one after the other.
struct Part {
    /// Where the first row begins.
    y: Abs,
    /// What lies below the rows.
    grounds: Option<Grounds>,
    columns: Vec<Column>,
    /// The height of each row.
    heights: Vec<Abs>,
    /// From a row's top to the top of its text.
    padding: Abs,
}

/// A column of a sheet.
struct Column {
    x: Abs,
    width: Abs,
    /// The part of what is left over that goes before the text: 0, 0.5 or 1.
    align: f64,
    /// Makes text of a string.
    set: Func,
    /// Whether the style kerns.
    kerned: bool,
    /// Strings, pairs as `fit` makes them, or content.
    cells: Kept,
}

impl Sheet {
    fn new(value: &Value) -> StrResult<Self> {
        let Value::Dict(sheet) = value else { bail!("expected a dictionary") };
        let (parts, rules): (Array, Array) = (part(sheet, "parts")?, part(sheet, "rules")?);
        Ok(Self {
            parts: parts.into_iter().map(Part::new).collect::<StrResult<_>>()?,
            rules: rules.into_iter().map(rule).collect::<StrResult<_>>()?,
            ascent: part::<Length>(sheet, "ascent")?.abs,
            pitch: part::<Length>(sheet, "pitch")?.abs,
        })
    }
}

fn rule(value: Value) -> StrResult<(Abs, FixedStroke)> {
    let Value::Dict(rule) = value else { bail!("expected a dictionary") };
    let (y, thickness): (Length, Length) = (part(&rule, "y")?, part(&rule, "thickness")?);
    Ok((y.abs, FixedStroke::from_pair(part::<Color>(&rule, "paint")?, thickness.abs)))
}

impl Part {
    fn new(value: Value) -> StrResult<Self> {
        let Value::Dict(rows) = value else { bail!("expected a dictionary") };
        let (heights, columns): (Array, Array) = (part(&rows, "heights")?, part(&rows, "columns")?);
        let heights = heights.into_iter().map(|height| height.cast::<Length>().map(|height| height.abs));
        let grounds = rows.get("grounds").ok().cloned().map(Value::cast::<Dict>).transpose();
        let wrong = |error: HintedString| error.message().clone();
        Ok(Self {
            y: part::<Length>(&rows, "y")?.abs,
            grounds: grounds.map_err(wrong)?.as_ref().map(Grounds::new).transpose()?,
            columns: columns.into_iter().map(Column::new).collect::<StrResult<_>>()?,
            heights: heights.collect::<Result<_, _>>().map_err(wrong)?,
            padding: part::<Length>(&rows, "padding")?.abs,
        })
    }
}

impl Column {
    fn new(value: Value) -> StrResult<Self> {
        let Value::Dict(column) = value else { bail!("expected a dictionary") };
        Ok(Self {
            x: part::<Length>(&column, "x")?.abs,
            width: part::<Length>(&column, "width")?.abs,
            align: part(&column, "share")?,
            set: part(&column, "typeset")?,
            kerned: part(&column, "kerned")?,
            cells: part(&column, "cells")?,
        })
    }
}

/// An entry of a dictionary that the kit wrote.
pub(crate) fn part<T: FromValue>(from: &Dict, name: &str) -> StrResult<T> {
    from.get(name)?.clone().cast().map_err(|error| eco_format!("{name}: {}", error.message()))
}

fn lay_out(
    captured: &Packed<MetadataElem>,
    engine: &mut Engine,
    locator: Locator,
    styles: StyleChain,
    region: Region,
) -> SourceResult<Frame> {
    let sheet = Sheet::new(&captured.value).at(captured.span())?;
    let mut locator = locator.split();
    let mut frame = Frame::soft(region.size);
    for part in &sheet.parts {
        if let Some(grounds) = part.grounds.as_ref().and_then(|it| it.draw(&part.heights, region.size.x)) {
            frame.push(Point::with_y(part.y), FrameItem::Shape(grounds, captured.span()));
        }
        draw_part(engine, &mut frame, &mut locator, styles, &sheet, part)?;
    }
    for (y, stroke) in sheet.rules {
        let line = Geometry::Line(Point::with_x(region.size.x)).stroked(stroke);
        frame.push(Point::with_y(y), FrameItem::Shape(line, captured.span()));
    }
    Ok(frame)
}

fn draw_part(
    engine: &mut Engine,
    frame: &mut Frame,
    locator: &mut SplitLocator,
    styles: StyleChain,
    sheet: &Sheet,
    part: &Part,
) -> SourceResult<()> {
    let mut rulers = Vec::with_capacity(part.columns.len());
    for column in &part.columns {
        let texts = column.cells.as_slice().iter().filter_map(text_of).flat_map(|(text, _)| text.split('\n'));
        rulers.push(Ruler::new(engine, styles, &column.set, column.kerned, texts)?);
    }
    let (mut y, mut joined) = (part.y + part.padding, Joined::default());
    for (row, height) in part.heights.iter().enumerate() {
        for (column, ruler) in part.columns.iter().zip(&rulers) {
            let Some(cell) = column.cells.as_slice().get(row) else { continue };
            if let Some((text, size)) = text_of(cell) {
                let mut at = Point::new(column.x, y);
                for line in text.split('\n') {
                    let baseline = at + Point::with_y(sheet.ascent);
                    if !draw_simple(frame, &mut joined, column, ruler, (line, size), baseline) {
                        joined.finish(frame);
                        draw_line(engine, frame, column, ruler, (line, size), at)?;
                    }
                    at.y += sheet.pitch;
                }
            } else if let Value::Content(content) = cell {
                let region = Region::new(Size::new(column.width, Abs::inf()), Axes::new(true, false));
                let locator = locator.next(&(row, y.to_raw().to_bits(), column.x.to_raw().to_bits()));
                let body = (engine.library.routines.layout_frame)(engine, content, locator, styles, region)?;
                joined.finish(frame);
                frame.push_frame(Point::new(column.x, y), body);
            }
        }
        y += *height;
    }
    joined.finish(frame);
    Ok(())
}

/// A cell's text and its size relative to the style's.
fn text_of(cell: &Value) -> Option<(&str, f64)> {
    match cell {
        Value::Str(text) => Some((text.as_str(), 1.0)),
        Value::Array(pair) => match pair.as_slice() {
            [Value::Str(text), Value::Float(size)] => Some((text.as_str(), *size)),
            _ => None,
        },
        _ => None,
    }
}

/// Draws one line of a text that is simple; answers whether it was.
fn draw_simple(
    frame: &mut Frame,
    joined: &mut Joined,
    column: &Column,
    ruler: &Ruler,
    (text, size): (&str, f64),
    baseline: Point,
) -> bool {
    let Some(width) = ruler.simple_width(text).filter(|_| u16::try_from(text.len()).is_ok()) else { return false };
    let mut x = baseline.x + (column.width - width * size) * column.align;
    let mut before: Option<&Letter> = None;
    for Set { c, letter, kern, .. } in ruler.letters(text).flatten() {
        if before.is_none_or(|before| !same_font(&before.item, &letter.item)) {
            if before.is_some() {
                x = joined.end();
            }
            joined.begin(frame, Point::new(x, baseline.y), letter, letter.item.size * size, text.len());
        }
        joined.push(c, letter, kern);
        before = Some(letter);
    }
    true
}

/// Draws one line of a text as Typst lays it out.
fn draw_line(
    engine: &mut Engine,
    frame: &mut Frame,
    column: &Column,
    ruler: &Ruler,
    (text, size): (&str, f64),
    at: Point,
) -> SourceResult<()> {
    let mut body = ruler.typst(engine, text)?;
    let spare = (column.width - body.width() * size) * column.align;
    if size != 1.0 {
        body.transform(Transform::scale(Ratio::new(size), Ratio::new(size)));
    }
    frame.push_frame(at + Point::with_x(spare), body);
    Ok(())
}
