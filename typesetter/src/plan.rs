//! Which rows go on which page, and where a long report is cut into sections.
//!
//! The kit calls the same rule, as `pressrun.page-rows`, for reports that are typeset whole. Lengths are in points.

use serde::{Deserialize, Serialize};
use typst::diag::{StrResult, bail};
use typst::ecow::eco_format;
use typst::foundations::{Array, Dict, Value, func};

/// What rounding may add to the height of a page's rows.
const SLACK: f64 = 0.001;
/// The last page on which rows may start.
const MAX_START_PAGE: u64 = 1_000_000;
/// The longest that anything on a page may be, in points: 3.5 km.
const MAX_LENGTH: f64 = 1e7;
/// The least height of a row, in points, so that no page has rows without end.
const MIN_ROW: f64 = 0.01;
/// The least that a further page takes of a tall row, in points, so that no row has pages without end.
const MIN_STEP: f64 = 1.0;

/// How the pages of a template with rows are made up.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Geometry {
    /// The page on which the rows start, from 1.
    pub start_page: u64,
    /// The room from where the rows start to the foot of that page.
    pub first_room: f64,
    /// The room on every later page.
    pub room: f64,
    /// What is repeated above the rows of each page.
    pub header: f64,
    /// The line before the first row; 0 if there is none.
    pub opening: f64,
    /// The line before the first row of every later page, "brought forward".
    pub brought: f64,
    /// The line after the last row of each page, "carried forward".
    pub carried: f64,
    /// The most of a row that fits on a page; 0 if every row fits. A taller one has pages to itself.
    #[serde(default)]
    pub most: f64,
    /// How much of a taller row every further page of it takes.
    #[serde(default)]
    pub step: f64,
    /// The heights of rows.
    pub row: RowHeight,
}

/// The heights of rows.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum RowHeight {
    /// The same for every row.
    Fixed(f64),
    /// One for each row that was measured.
    Each(Vec<f64>),
}

/// A report's pages and where it is cut. Takes four bytes a page. A page without rows continues the row before it, but for a
/// first page that is left to what stands above the rows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plan {
    start_page: u64,
    page_rows: Vec<u32>,
    /// For each section, the index of its first page in `page_rows` and of its first row.
    starts: Vec<(usize, u64)>,
    rows: u64,
}

/// Where a section begins and ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cut<'a> {
    /// Whether it is the report's first.
    pub first: bool,
    /// Whether it is the report's last.
    pub last: bool,
    /// The number of its first row, from 1.
    pub first_row: u64,
    /// Its rows.
    pub rows: u64,
    /// The number of its first page, from 1.
    pub first_page: u64,
    /// How many rows go on each of its pages that have rows.
    pub page_rows: &'a [u32],
}

/// Distributes rows over pages, and pages over runs of about `section_rows` rows: one ends with the page on which their
/// number reaches a multiple of that, so that what a page has too many is not missing from the last run. If there are
/// several, the first and the last page of rows are then set apart, and each is a section as every run is: so little has to
/// be done until it is known how many pages there are, and what stands before and after the rows slows no other page. The
/// geometry is one that was [checked](Geometry::check).
pub fn plan(geometry: &Geometry, heights: impl IntoIterator<Item = f64>, section_rows: u64) -> Plan {
    let mut plan = Plan { start_page: geometry.start_page, page_rows: Vec::new(), starts: vec![(0, 0)], rows: 0 };
    let (mut heights, section_rows) = (heights.into_iter().peekable(), section_rows.max(1));
    let mut enough = section_rows;
    while heights.peek().is_some() || plan.page_rows.is_empty() {
        if plan.rows >= enough {
            plan.starts.push((plan.page_rows.len(), plan.rows));
            enough = (plan.rows / section_rows + 1) * section_rows;
        }
        let first = plan.page_rows.is_empty();
        let space = geometry.space(first, plan.rows);
        let may_wait = first && geometry.first_room < geometry.room - 1.0;
        let none_left = heights.peek().is_none();
        let fitting = match geometry.row {
            RowHeight::Fixed(height) => take_fixed(&mut heights, space, height),
            RowHeight::Each(_) => take_each(&mut heights, space, |height| geometry.further_pages(height) == 0),
        };
        // A page of its own must take a row, however high; a first page may be left to what stands above.
        let tall = if fitting == 0 && !may_wait { heights.next() } else { None };
        let fitting = tall.map_or(fitting, |_| 1);
        plan.page_rows.push(fitting);
        plan.page_rows.extend(std::iter::repeat_n(0, tall.map_or(0, |height| geometry.further_pages(height))));
        plan.rows += u64::from(fitting);
        if none_left && space < 0.0 && may_wait {
            plan.page_rows.push(0);
        }
    }
    plan.set_ends_apart();
    plan
}

/// Rows of one height are divided, not added up, which would round otherwise.
fn take_fixed(heights: &mut impl Iterator<Item = f64>, space: f64, height: f64) -> u32 {
    let most = (space.max(0.0) / height).floor() as usize;
    heights.take(most).count() as u32
}

/// As many rows as fit, up to one that has pages to itself.
fn take_each(
    heights: &mut std::iter::Peekable<impl Iterator<Item = f64>>,
    space: f64,
    fits_a_page: impl Fn(f64) -> bool,
) -> u32 {
    let (mut filled, mut count) = (0.0, 0);
    while let Some(height) = heights.next_if(|&height| filled + height <= space && fits_a_page(height)) {
        filled += height;
        count += 1;
    }
    count
}

/// How many rows go on each page of a report that is typeset whole.
#[func]
pub(crate) fn page_rows(
    /// What a [`Geometry`] has, by its names with dashes.
    geometry: Dict,
    /// How many rows there are.
    count: usize,
) -> StrResult<Array> {
    let wrong = |error: serde_json::Error| eco_format!("the measures of the rows: {error}");
    let geometry = serde_json::to_value(Value::Dict(geometry)).map_err(wrong)?;
    let geometry: Geometry = serde_json::from_value(geometry).map_err(wrong)?;
    geometry.check()?;
    let pages = match &geometry.row {
        RowHeight::Fixed(height) => plan(&geometry, std::iter::repeat_n(*height, count), u64::MAX),
        RowHeight::Each(heights) if heights.len() == count => plan(&geometry, heights.iter().copied(), u64::MAX),
        RowHeight::Each(heights) => bail!("{} heights were measured for {count} rows", heights.len()),
    };
    Ok(pages.page_rows.into_iter().map(|rows| Value::Int(rows.into())).collect())
}

impl Geometry {
    /// Answers with what a page cannot be like; a template may have told these numbers itself. A [plan](crate::plan())
    /// needs a geometry in which nothing is found.
    pub fn check(&self) -> Result<(), String> {
        if !(1..=MAX_START_PAGE).contains(&self.start_page) {
            return Err(format!("rows cannot start on page {}", self.start_page));
        }
        let lines = [("header", self.header), ("opening", self.opening), ("brought", self.brought)];
        let lengths = [("room", self.room), ("carried", self.carried), ("most", self.most), ("step", self.step)];
        let lengths = lengths.into_iter().chain(lines);
        // What stands above the rows may reach below the foot of the page.
        let signed = [("first-room", self.first_room.abs())];
        let heights = match &self.row {
            RowHeight::Fixed(height) => std::slice::from_ref(height),
            RowHeight::Each(heights) => heights,
        };
        let found = lengths.chain(signed).find(|(_, length)| !(0.0..=MAX_LENGTH).contains(length));
        let row = heights.iter().find(|height| !(MIN_ROW..=MAX_LENGTH).contains(*height));
        match found.or(row.map(|height| ("row", *height))) {
            Some((name, length)) => Err(format!("the measure `{name}` of the rows cannot be {length} pt")),
            None => Ok(()),
        }
    }

    /// On how many pages a row goes on after its first.
    fn further_pages(&self, height: f64) -> usize {
        let left = height - self.most - SLACK;
        if self.most > 0.0 && self.step >= MIN_STEP && left > 0.0 { (left / self.step).ceil() as usize } else { 0 }
    }

    /// What a page has left for rows.
    fn space(&self, first: bool, rows_before: u64) -> f64 {
        let room = if first { self.first_room } else { self.room };
        let above = if rows_before == 0 { self.opening } else { self.brought };
        room + SLACK - self.header - self.carried - above
    }
}

impl Plan {
    fn set_ends_apart(&mut self) {
        let &[(0, 0), (second, _), ..] = self.starts.as_slice() else { return };
        let begun = self.page_rows.iter().position(|rows| *rows > 0).map_or(second, |page| page + 1);
        let further = self.page_rows[begun..].iter().take_while(|rows| **rows == 0).count();
        let begun = begun + further;
        if begun < second {
            self.starts.insert(1, (begun, self.page_rows.iter().take(begun).copied().map(u64::from).sum()));
        }
        let Some(end) = self.page_rows.iter().rposition(|rows| *rows > 0) else { return };
        if self.starts.last().is_some_and(|(page, _)| *page < end) {
            self.starts.push((end, self.rows - u64::from(self.page_rows[end])));
        }
    }

    /// The pages up to the one with the last row. What stands after the rows may take more: compile the last section
    /// and count.
    pub fn pages(&self) -> u64 {
        self.start_page - 1 + self.page_rows.len() as u64
    }

    /// All rows.
    pub fn rows(&self) -> u64 {
        self.rows
    }

    /// How many sections there are; at least one.
    pub fn len(&self) -> usize {
        self.starts.len()
    }

    /// Never: a report without rows is one section.
    pub fn is_empty(&self) -> bool {
        self.starts.is_empty()
    }

    /// One section, counted from 0.
    pub fn section(&self, index: usize) -> Option<Cut<'_>> {
        let &(page, row) = self.starts.get(index)?;
        let (next_page, next_row) = self.starts.get(index + 1).copied().unwrap_or((self.page_rows.len(), self.rows));
        let (first, last) = (index == 0, index + 1 == self.starts.len());
        // What stands before the rows may fill pages, which are the first section's.
        let first_page = if first { 1 } else { self.start_page + page as u64 };
        let page_rows = self.page_rows.get(page..next_page)?;
        Some(Cut { first, last, first_row: row + 1, rows: next_row - row, first_page, page_rows })
    }
}
