//! Cuts and draws the cells of a page of rows: what the kit's `rows` calls as `pressrun.fit` and `pressrun.sheet`.

use typst::comemo::Tracked;
use typst::diag::{At, SourceResult, StrResult, bail};
use typst::ecow::{EcoString, eco_format};
use typst::engine::Engine;
use typst::foundations::{
    Array, Content, Context, Dict, FromValue, Func, NativeElement, Packed, Smart, StyleChain, Value, func,
};
use typst::introspection::{Locator, MetadataElem};
use typst::layout::{
    Abs, Axes, BlockElem, Em, Frame, FrameItem, Length, Point, Ratio, Region, Size, Sizing, Transform,
};
use typst::syntax::Span;
use typst::text::TextItem;

use crate::ruler::Ruler;

/// What a width may exceed its column by: what rounding adds.
const SLACK: Abs = Abs::raw(0.001);
/// How much smaller than needed figures are set that are too wide.
const SPARE: f64 = 0.99;

/// Cuts cells to a width: texts end in an ellipsis; of figures, since a shortened one is a wrong one, comes out a pair of
/// the text and the size to set it at, relative to the style's.
#[func(contextual)]
pub(crate) fn fit(
    engine: &mut Engine,
    context: Tracked<Context>,
    span: Span,
    /// Strings, or content, which stays as it is.
    cells: Array,
    /// Makes text of a string.
    set: Func,
    /// The width.
    width: Length,
    /// Whether the text is kerned.
    kerned: bool,
    /// Whether the cells are figures.
    figures: bool,
) -> SourceResult<Array> {
    let styles = context.styles().at(span)?;
    let width = width.abs + SLACK;
    let strings = || cells.iter().filter_map(string);
    let ruler = Ruler::new(engine, styles, &set, kerned, strings().chain(["…"]))?;
    let mut fitted = Array::with_capacity(cells.len());
    for cell in &cells {
        let Some(text) = string(cell) else {
            fitted.push(cell.clone());
            continue;
        };
        let own = ruler.width(engine, text)?;
        fitted.push(if own <= width {
            cell.clone()
        } else if figures {
            let size = Em::new(width / own * SPARE).get();
            Value::Array([cell.clone(), Value::Float(size)].into_iter().collect())
        } else {
            Value::Str(shortened(engine, &ruler, text, width)?.into())
        });
    }
    Ok(fitted)
}

/// The indices of the strings that are wider than a column, or have several lines.
#[func(contextual)]
pub(crate) fn too_wide(
    engine: &mut Engine,
    context: Tracked<Context>,
    span: Span,
    /// Strings.
    cells: Array,
    /// Makes text of a string.
    set: Func,
    /// The width.
    width: Length,
    /// Whether the text is kerned.
    kerned: bool,
) -> SourceResult<Array> {
    let styles = context.styles().at(span)?;
    let strings = || cells.iter().filter_map(string).filter(|text| !text.contains('\n'));
    let ruler = Ruler::new(engine, styles, &set, kerned, strings())?;
    let mut found = Array::new();
    for (index, cell) in (0..).zip(&cells) {
        let Some(text) = string(cell) else { continue };
        if text.contains('\n') || ruler.width(engine, text)? > width.abs + SLACK {
            found.push(Value::Int(index));
        }
    }
    Ok(found)
}

fn string(cell: &Value) -> Option<&str> {
    match cell {
        Value::Str(text) => Some(text.as_str()),
        _ => None,
    }
}

/// The longest start of a text that fits with an ellipsis.
fn shortened(engine: &mut Engine, ruler: &Ruler, text: &str, width: Abs) -> SourceResult<EcoString> {
    let ends: Vec<usize> = text.char_indices().map(|(at, _)| at).collect();
    let starting = |end: usize| eco_format!("{}…", text[..end].trim_end());
    // Widths grow with length but for kerning, so that a search by halves is near enough.
    let (mut fits, mut too_long) = (0, ends.len());
    while too_long - fits > 1 {
        let middle = (fits + too_long) / 2;
        if ruler.width(engine, &starting(ends[middle]))? <= width { fits = middle } else { too_long = middle }
    }
    Ok(if fits == 0 { EcoString::new() } else { starting(ends[fits]) })
}

/// Draws cells in columns and rows, one row after the other.
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
    columns: Vec<Column>,
    /// The height of each row.
    heights: Vec<Abs>,
    /// From a row's top to the top of its text.
    padding: Abs,
    /// From the top of a line of text to its baseline.
    ascent: Abs,
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
    cells: Array,
}

impl Sheet {
    fn new(value: &Value) -> StrResult<Self> {
        let Value::Dict(sheet) = value else { bail!("expected a dictionary") };
        let lengths: Array = part(sheet, "heights")?;
        let heights =
            lengths.into_iter().map(|height| Ok(height.cast::<Length>().map_err(|error| error.message().clone())?.abs));
        let columns: Array = part(sheet, "columns")?;
        Ok(Self {
            columns: columns.into_iter().map(Column::new).collect::<StrResult<_>>()?,
            heights: heights.collect::<StrResult<_>>()?,
            padding: part::<Length>(sheet, "padding")?.abs,
            ascent: part::<Length>(sheet, "ascent")?.abs,
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

fn part<T: FromValue>(from: &Dict, name: &str) -> StrResult<T> {
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
    let mut rulers = Vec::with_capacity(sheet.columns.len());
    for column in &sheet.columns {
        let texts = column.cells.iter().filter_map(text_of).map(|(text, _)| text);
        rulers.push(Ruler::new(engine, styles, &column.set, column.kerned, texts)?);
    }
    let mut locator = locator.split();
    let mut frame = Frame::soft(region.size);
    let mut y = sheet.padding;
    for (row, height) in sheet.heights.iter().enumerate() {
        for (column, ruler) in sheet.columns.iter().zip(&rulers) {
            let Some(cell) = column.cells.as_slice().get(row) else { continue };
            if let Some((text, size)) = text_of(cell) {
                draw_text(engine, &mut frame, column, ruler, text, size, Point::new(column.x, y), sheet.ascent)?;
            } else if let Value::Content(content) = cell {
                let region = Region::new(Size::new(column.width, Abs::inf()), Axes::new(true, false));
                let locator = locator.next(&(row, column.x.to_raw().to_bits()));
                let body = (engine.library.routines.layout_frame)(engine, content, locator, styles, region)?;
                frame.push_frame(Point::new(column.x, y), body);
            }
        }
        y += *height;
    }
    Ok(frame)
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

#[allow(clippy::too_many_arguments)]
fn draw_text(
    engine: &mut Engine,
    frame: &mut Frame,
    column: &Column,
    ruler: &Ruler,
    text: &str,
    size: f64,
    at: Point,
    ascent: Abs,
) -> SourceResult<()> {
    if text.is_empty() {
        return Ok(());
    }
    let Some(mut items) = ruler.line(text) else {
        let mut body = ruler.typst(engine, text)?;
        let spare = (column.width - body.width() * size) * column.align;
        if size != 1.0 {
            body.transform(Transform::scale(Ratio::new(size), Ratio::new(size)));
        }
        frame.push_frame(at + Point::with_x(spare), body);
        return Ok(());
    };
    for item in &mut items {
        item.size *= size;
    }
    let width: Abs = items.iter().map(TextItem::width).sum();
    let mut at = at + Point::new((column.width - width) * column.align, ascent);
    for item in items {
        let width = item.width();
        frame.push(at, FrameItem::Text(item));
        at.x += width;
    }
    Ok(())
}
