//! Cuts and draws the cells of a page of rows: what the kit's `rows` calls as `pressrun.fit` and `pressrun.sheet`.

use std::collections::BTreeSet;

use typst::comemo::Tracked;
use typst::diag::{At, SourceResult, StrResult, bail};
use typst::ecow::{EcoString, eco_format};
use typst::engine::Engine;
use typst::foundations::{
    Array, Content, Context, Dict, FromValue, Func, NativeElement, Packed, Smart, StyleChain, Value, dict, func,
};
use typst::introspection::{Locator, MetadataElem};
use typst::layout::{
    Abs, Axes, BlockElem, Em, Frame, FrameItem, Length, Point, Ratio, Region, Size, Sizing, Transform,
};
use typst::syntax::Span;
use typst::text::TextItem;

use crate::grounds::Grounds;
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
    /// The column; see [`Measure`].
    column: Dict,
) -> SourceResult<Array> {
    let styles = context.styles().at(span)?;
    let Measure { typeset, width, kerned, figures } = Measure::new(&column).at(span)?;
    let strings = || cells.iter().filter_map(string);
    let ends = cut_ends(strings());
    let ruler = Ruler::new(engine, styles, &typeset, kerned, strings().chain([ends.as_str()]))?;
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

/// What a cell has to fit.
struct Measure {
    /// Makes text of a string.
    typeset: Func,
    /// The column's width, and what rounding may add.
    width: Abs,
    /// Whether the text is kerned.
    kerned: bool,
    /// Whether the cells are figures.
    figures: bool,
}

impl Measure {
    fn new(column: &Dict) -> StrResult<Self> {
        Ok(Self {
            typeset: part(column, "typeset")?,
            width: part::<Length>(column, "width")?.abs + SLACK,
            kerned: part(column, "kerned")?,
            figures: part(column, "figures")?,
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
    /// The most lines; what follows is replaced by an ellipsis.
    most: i64,
) -> SourceResult<Dict> {
    let styles = context.styles().at(span)?;
    let most = usize::try_from(most).unwrap_or(1).max(1);
    let Measure { typeset, width, kerned, .. } = Measure::new(&column).at(span)?;
    let strings = || cells.iter().filter_map(string).flat_map(|text| text.split('\n'));
    let ends = cut_ends(strings());
    let ruler = Ruler::new(engine, styles, &typeset, kerned, strings().chain([ends.as_str()]))?;
    let (mut broken, mut counts) = (Array::with_capacity(cells.len()), Array::with_capacity(cells.len()));
    for cell in &cells {
        let lines = string(cell).and_then(|text| lines_of(&ruler, text, width));
        counts.push(Value::Int(lines.as_ref().map_or(0, |lines| lines.len().min(most) as i64)));
        broken.push(match lines {
            None => cell.clone(),
            Some(mut lines) => {
                if lines.len() > most {
                    let rest = lines.split_off(most - 1).join(" ");
                    lines.push(shortened(engine, &ruler, &rest, width)?);
                }
                Value::Str(lines.join("\n").into())
            }
        });
    }
    Ok(dict! { "cells" => broken, "lines" => counts })
}

/// The lines of a simple text: as many words on each as fit.
fn lines_of(ruler: &Ruler, text: &str, width: Abs) -> Option<Vec<EcoString>> {
    let mut lines = Vec::new();
    for part in text.split('\n') {
        let mut line = EcoString::new();
        for word in words(part) {
            let longer = eco_format!("{line}{word}");
            if ruler.simple_width(longer.trim_end())? <= width {
                line = longer;
                continue;
            }
            if !line.is_empty() {
                lines.push(line.trim_end().into());
            }
            line = word.into();
            // A word that is wider than the column breaks anywhere.
            while ruler.simple_width(line.trim_end())? > width {
                let end = break_anywhere(ruler, &line, width)?;
                lines.push(line[..end].into());
                line = line[end..].into();
            }
        }
        lines.push(line.trim_end().into());
    }
    Some(lines)
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

/// The end of the longest start that fits, at least one character.
fn break_anywhere(ruler: &Ruler, word: &str, width: Abs) -> Option<usize> {
    let mut ends = word.char_indices().skip(1).map(|(at, _)| at).chain([word.len()]);
    let mut end = ends.next()?;
    for next in ends {
        if ruler.simple_width(&word[..next])? > width {
            break;
        }
        end = next;
    }
    Some(end)
}

fn string(cell: &Value) -> Option<&str> {
    match cell {
        Value::Str(text) => Some(text.as_str()),
        _ => None,
    }
}

/// The longest start of a text that fits with an ellipsis.
fn shortened(engine: &mut Engine, ruler: &Ruler, text: &str, width: Abs) -> SourceResult<EcoString> {
    let reached = widths(engine, ruler, text)?;
    let ellipsis = ruler.width(engine, "…")?;
    // The ellipsis may be kerned, so that one more may fit, or one less.
    let likely = reached.partition_point(|&(_, width_so_far)| width_so_far + ellipsis <= width) + 1;
    for &(end, _) in reached.iter().take(likely).rev() {
        let short = eco_format!("{}…", text[..end].trim_end());
        if ruler.width(engine, &short)? <= width {
            return Ok(short);
        }
    }
    Ok(EcoString::new())
}

/// Where each character of a text ends, in bytes, and how wide the text is up to there.
fn widths(engine: &mut Engine, ruler: &Ruler, text: &str) -> SourceResult<Vec<(usize, Abs)>> {
    let mut widths = Vec::with_capacity(text.len());
    if ruler.walk(text, |end, width| widths.push((end, width))).is_some() {
        return Ok(widths);
    }
    let ends = text.char_indices().map(|(at, c)| at + c.len_utf8());
    ends.map(|end| Ok((end, ruler.width(engine, &text[..end])?))).collect()
}

/// The ends that cut texts can have, for a ruler to learn.
fn cut_ends<'t>(texts: impl Iterator<Item = &'t str>) -> String {
    let last: BTreeSet<char> = texts.flat_map(str::chars).collect();
    last.into_iter().flat_map(|c| [c, '…']).collect()
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
    /// What lies below the rows.
    grounds: Option<Grounds>,
    columns: Vec<Column>,
    /// The height of each row.
    heights: Vec<Abs>,
    /// From a row's top to the top of its text.
    padding: Abs,
    /// From the top of a line of text to its baseline.
    ascent: Abs,
    /// From line to line within a cell.
    pitch: Abs,
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
        let grounds = sheet.get("grounds").ok().cloned().map(Value::cast::<Dict>).transpose();
        let grounds = grounds.map_err(|error| error.message().clone())?;
        Ok(Self {
            grounds: grounds.as_ref().map(Grounds::new).transpose()?,
            columns: columns.into_iter().map(Column::new).collect::<StrResult<_>>()?,
            heights: heights.collect::<StrResult<_>>()?,
            padding: part::<Length>(sheet, "padding")?.abs,
            ascent: part::<Length>(sheet, "ascent")?.abs,
            pitch: part::<Length>(sheet, "pitch")?.abs,
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
    let mut rulers = Vec::with_capacity(sheet.columns.len());
    for column in &sheet.columns {
        let texts = column.cells.iter().filter_map(text_of).flat_map(|(text, _)| text.split('\n'));
        rulers.push(Ruler::new(engine, styles, &column.set, column.kerned, texts)?);
    }
    let mut locator = locator.split();
    let mut frame = Frame::soft(region.size);
    if let Some(grounds) = sheet.grounds.and_then(|grounds| grounds.draw(&sheet.heights, region.size.x)) {
        frame.push(Point::zero(), FrameItem::Shape(grounds, captured.span()));
    }
    let mut y = sheet.padding;
    for (row, height) in sheet.heights.iter().enumerate() {
        for (column, ruler) in sheet.columns.iter().zip(&rulers) {
            let Some(cell) = column.cells.as_slice().get(row) else { continue };
            if let Some((text, size)) = text_of(cell) {
                let mut at = Point::new(column.x, y);
                for line in text.split('\n') {
                    draw_line(engine, &mut frame, column, ruler, (line, size), at, sheet.ascent)?;
                    at.y += sheet.pitch;
                }
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

fn draw_line(
    engine: &mut Engine,
    frame: &mut Frame,
    column: &Column,
    ruler: &Ruler,
    (text, size): (&str, f64),
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
