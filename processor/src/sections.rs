//! A long report: its rows are typeset in sections, several at a time, and stitched into one PDF as they come. Memory
//! holds a section for each child, whatever the report's length.
//!
//! First the rows are measured and dealt out over pages, so that every section begins and ends with a page and knows its
//! page numbers. The last section is typeset before the others, since only it can tell how many pages there are in all.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use findings::Warning;
use futures_util::{StreamExt, TryStreamExt, stream};
use input::{Decimal, Spooled, Template};
use jobs::{Progress, Unavailable};
use serde::{Deserialize, Serialize};
use tokio::task::spawn_blocking;
use typesetter::{Cut, Diagnostic, Geometry, Plan, Report, Request, RowHeight, RowsOf, Section, plan};

use crate::press::{Press, PressError};
use crate::stitching::Stitching;
use crate::turns::Turn;

/// How many rows make a section where nothing else is said: many enough that what a section costs by itself does not count,
/// few enough that a child needs little memory, and that little is lost with a run.
pub const DEFAULT_SECTION_ROWS: u64 = 2_500;

/// A report to be typeset in sections.
pub struct LongReport<'a> {
    /// What typesets.
    pub press: &'a Press,
    /// The report's turns on the press.
    pub turn: &'a Turn,
    /// The report as a whole. Its data is in `rows`, and its output folder is where sections are made.
    pub request: Request,
    /// Its rows.
    pub rows: Arc<Rows>,
    /// How many rows a section has at the most, about.
    pub section_rows: u64,
    /// How long a section may take.
    pub time: Duration,
}

/// The rows of a report, and what there is beside them.
#[derive(Debug)]
pub struct Rows {
    /// The template that declares them.
    pub template: Template,
    /// What is known of them.
    pub spooled: Spooled,
    /// The file they are in.
    pub spool: PathBuf,
}

impl Rows {
    /// The property of the data that they are.
    pub fn field(&self) -> Option<&str> {
        self.template.rows().map(input::Rows::field)
    }

    /// What the typesetter has to know of them.
    pub fn known(&self) -> Option<RowsOf> {
        self.template.rows().map(|rows| RowsOf { field: rows.field().to_owned(), names: rows.names() })
    }

    /// Writes the rows and what there is beside them to a file, as one JSON text.
    pub fn write_whole(&self, data: &Path) -> io::Result<()> {
        let mut file = BufWriter::new(File::create(data)?);
        self.spooled.write_whole(self.template.rows(), File::open(&self.spool)?, &mut file)?;
        file.flush()
    }
}

/// What must be known before sections can be made that will not change any more.
#[derive(Debug, Serialize, Deserialize)]
pub struct Settled {
    /// Which rows go on which page.
    plan: Plan,
    /// How many pages there are in all.
    pages: u64,
}

/// What goes on beside the typesetting of sections.
#[async_trait]
pub trait Watch: Send + Sync {
    /// What an earlier attempt settled, if one did.
    async fn settled(&self) -> Result<Option<Settled>, LongError>;

    /// Keeps what was settled, for a later attempt.
    async fn settle(&self, settled: &Settled) -> Result<(), LongError>;

    /// Writes a section that an earlier attempt made to `file`, and returns its warnings; nothing if there is none.
    async fn recall(&self, section: usize, file: &Path) -> Result<Option<Vec<Warning>>, LongError>;

    /// Keeps a section that was just made, with its warnings, for a later attempt.
    async fn keep(&self, section: usize, file: &Path, warnings: &[Warning]) -> Result<(), LongError>;

    /// Hears how far the report is.
    async fn hear(&self, progress: Progress) -> Result<(), LongError>;
}

/// Why there is no report.
#[derive(Debug, thiserror::Error)]
pub enum LongError {
    /// A section could not be typeset, or the report is over a limit.
    #[error(transparent)]
    Press(#[from] PressError),
    /// A file of the run could not be used.
    #[error("work in the temporary folder: {0}")]
    Io(#[from] io::Error),
    /// Sections could not become one report.
    #[error(transparent)]
    Stitcher(stitcher::Error),
    /// A store did not answer.
    #[error(transparent)]
    Unavailable(#[from] Unavailable),
    /// Another run has taken over.
    #[error("another run has taken over")]
    Overtaken,
}

impl From<stitcher::Error> for LongError {
    fn from(error: stitcher::Error) -> Self {
        match error {
            stitcher::Error::Write(error) => Self::Io(error),
            error => Self::Stitcher(error),
        }
    }
}

impl From<typesetter::Error> for LongError {
    fn from(error: typesetter::Error) -> Self {
        Self::Press(error.into())
    }
}

/// One section, made.
struct Made {
    file: PathBuf,
    pages: u64,
    warnings: Vec<Warning>,
    diagnostics: Vec<Diagnostic>,
}

/// What a report begins with.
struct Begun {
    settled: Settled,
    first: Option<Made>,
    last: Made,
}

/// A part with fewer rows costs more by itself than by its rows.
const FEWEST_ROWS: u64 = 500;

/// How many sections' rows a child measures at a time.
const MEASURED_TOGETHER: u64 = 2;

/// The most diagnostics of one report; every section may have the same.
const MAX_DIAGNOSTICS: usize = 20;

impl LongReport<'_> {
    /// Makes the report, and leaves it in `output`.
    pub async fn make(&self, watch: &dyn Watch, output: &Path) -> Result<Report, LongError> {
        let Begun { settled, first, last } = self.begin(watch).await?;
        let sections = settled.plan.len();
        let stitching = Stitching::start(output, &self.request.options.ident, self.request.limits.max_output_bytes);
        let mut progress = Progress { sections_done: 0, sections: sections.try_into().unwrap_or(u32::MAX), pages: 0 };
        let (mut warnings, mut diagnostics) = (self.rows.spooled.warnings.clone(), Vec::new());
        let rows = self.rows.field();
        let left = usize::from(first.is_some())..sections.saturating_sub(1);
        let others = stream::iter(left).map(|index| self.section(&settled, index, watch));
        // One more than can be typeset at a time, so that a child never waits for its data.
        let others = others.buffered(self.press.slots() + 1);
        let made = stream::iter(first.map(Ok)).chain(others).chain(stream::once(async { Ok(last) }));
        let mut made = std::pin::pin!(made);
        while let Some(made) = made.try_next().await? {
            progress.sections_done += 1;
            progress.pages += made.pages;
            findings::merge_section(&mut warnings, made.warnings, rows);
            let new = made.diagnostics.into_iter().filter(|diagnostic| !diagnostics.contains(diagnostic));
            let new: Vec<_> = new.take(MAX_DIAGNOSTICS - diagnostics.len()).collect();
            diagnostics.extend(new);
            if !stitching.append(made.file).await {
                break;
            }
            watch.hear(progress).await?;
        }
        let stitched = stitching.finish().await?;
        if u64::from(stitched.pages) != settled.pages {
            return Err(refused(format!("its sections have {} pages instead of {}", stitched.pages, settled.pages)));
        }
        let pages = stitched.pages.try_into().unwrap_or(usize::MAX);
        Ok(Report { pages, files: vec![output.to_owned()], bytes: stitched.bytes, warnings, diagnostics })
    }

    /// Settles how many pages there are, which only the last section can tell, and makes that section. The first is made
    /// beside it, for the planned number, which is nearly always right.
    async fn begin(&self, watch: &dyn Watch) -> Result<Begun, LongError> {
        if let Some(settled) = watch.settled().await? {
            let last = self.section(&settled, settled.plan.len().saturating_sub(1), watch).await?;
            return Ok(Begun { settled, first: None, last });
        }
        let plan = self.plan().await?;
        self.check_pages(plan.pages())?;
        let index = plan.len() - 1;
        let expected = plan.pages();
        let before = cut(&plan, index)?.first_page - 1;
        let first = async {
            match index {
                0 => Ok(None),
                _ => self.typeset(&plan, 0, expected).await.map(Some),
            }
        };
        let (last, first) = tokio::try_join!(self.typeset(&plan, index, expected), first)?;
        let settled = Settled { pages: before + last.pages, plan };
        self.check_pages(settled.pages)?;
        watch.settle(&settled).await?;
        if settled.pages != expected {
            let last = self.section(&settled, index, watch).await?;
            return Ok(Begun { settled, first: None, last });
        }
        watch.keep(index, &last.file, &last.warnings).await?;
        if let Some(first) = &first {
            settled.check(0, first)?;
            watch.keep(0, &first.file, &first.warnings).await?;
        }
        Ok(Begun { settled, first, last })
    }

    /// Deals the rows out over pages and sections.
    async fn plan(&self) -> Result<Plan, LongError> {
        let geometry = self.measure("measure", 0, 0).await?;
        let (rows, section_rows) = (self.rows.spooled.rows, even(self.rows.spooled.rows, self.section_rows));
        if let RowHeight::Fixed(height) = geometry.row {
            let heights = std::iter::repeat_n(height, rows.try_into().unwrap_or(usize::MAX));
            return Ok(plan(&geometry, heights, section_rows));
        }
        // What is measured is a number for each row, so there may be more of them.
        let chunk_rows = even(rows, self.section_rows.saturating_mul(MEASURED_TOGETHER));
        let chunks = (0..rows).step_by(chunk_rows.try_into().unwrap_or(usize::MAX));
        let measured = stream::iter(chunks).map(async |first| {
            let count = chunk_rows.min(rows - first);
            let measured = self.measure(&format!("measure-{first}"), first, count).await?;
            match measured.row {
                RowHeight::Each(heights) if heights.len() as u64 == count => Ok(heights),
                _ => Err(refused("the kit's rows did not tell the height of each row".to_owned())),
            }
        });
        let heights: Vec<Vec<f64>> = measured.buffered(self.press.slots() + 1).try_collect().await?;
        Ok(plan(&geometry, heights.into_iter().flatten(), section_rows))
    }

    async fn measure(&self, name: &str, first: u64, count: u64) -> Result<Geometry, LongError> {
        let (folder, before) = self.write_data(name, first, count).await?;
        let measuring = Section { first: first == 0 && count == 0, first_row: first + 1, ..Section::measuring() };
        let section = self.told(measuring, &before);
        let (data, rows) = (folder.join("data.json"), self.rows.known());
        let request = Request { data, section: Some(section), rows, ..self.request.clone() };
        let geometry = match count {
            0 => {
                let parts = self.rows.spooled.rows.div_ceil(FEWEST_ROWS);
                self.press
                    .measure_everywhere(self.turn, &request, self.time, parts.try_into().unwrap_or(usize::MAX))
                    .await?
            }
            _ => self.press.measure(self.turn, &request, self.time).await?,
        };
        tokio::fs::remove_dir_all(folder).await?;
        Ok(geometry)
    }

    /// Makes a section, or finds it made.
    async fn section(&self, settled: &Settled, index: usize, watch: &dyn Watch) -> Result<Made, LongError> {
        let file = self.file_of(index);
        if let Some(warnings) = watch.recall(index, &file).await? {
            return Ok(Made { file, pages: settled.pages_of(index)?, warnings, diagnostics: Vec::new() });
        }
        let made = self.typeset(&settled.plan, index, settled.pages).await?;
        settled.check(index, &made)?;
        watch.keep(index, &made.file, &made.warnings).await?;
        Ok(made)
    }

    /// Makes a section of a report of `pages` pages.
    async fn typeset(&self, plan: &Plan, index: usize, pages: u64) -> Result<Made, LongError> {
        let cut = cut(plan, index)?;
        let (folder, before) = self.write_data(&format!("section-{index}"), cut.first_row - 1, cut.rows).await?;
        let section = Section {
            first: cut.first,
            last: cut.last,
            first_row: cut.first_row,
            first_page: cut.first_page,
            pages: Some(pages),
            page_rows: Some(cut.page_rows.to_vec()),
            ..self.told(Section::default(), &before)
        };
        let (data, output) = (folder.join("data.json"), folder.clone());
        let request = Request { data, output, section: Some(section), rows: self.rows.known(), ..self.request.clone() };
        let report = match self.press.typeset(self.turn, &request, self.time).await {
            // A machine that is short of memory kills whom it likes, and so much work is not given up for one child.
            Err(PressError::MemoryLimit(_) | PressError::Killed | PressError::Crashed { .. }) => {
                self.press.typeset(self.turn, &request, self.time).await?
            }
            report => report?,
        };
        let [made] = report.files.as_slice() else {
            let message = format!("the typesetter wrote {} files for a section", report.files.len());
            return Err(io::Error::other(message).into());
        };
        let file = self.file_of(index);
        tokio::fs::rename(made, &file).await?;
        tokio::fs::remove_dir_all(folder).await?;
        Ok(Made { file, pages: report.pages as u64, warnings: report.warnings, diagnostics: report.diagnostics })
    }

    fn file_of(&self, section: usize) -> PathBuf {
        self.request.output.join(format!("section-{section}.pdf"))
    }

    /// What every section is told of the whole, and of what came before it.
    fn told(&self, section: Section, before: &[Decimal]) -> Section {
        let spooled = &self.rows.spooled;
        let named = |sums: &[Decimal]| -> BTreeMap<String, String> {
            spooled.names.iter().cloned().zip(sums.iter().map(ToString::to_string)).collect()
        };
        Section { rows: Some(spooled.rows), before: named(before), totals: named(&spooled.totals), ..section }
    }

    /// Writes the data of some rows to a folder of their own; answers also the sums before them.
    async fn write_data(&self, name: &str, first: u64, count: u64) -> Result<(PathBuf, Vec<Decimal>), LongError> {
        let (rows, folder) = (self.rows.clone(), self.request.output.join(name));
        let written = spawn_blocking(move || {
            // Not with its parents: they are gone when the run was given up meanwhile.
            fs::create_dir(&folder)?;
            let declared = rows.template.rows().ok_or_else(|| io::Error::other("the template declares no rows"))?;
            let (spool, mut data) = (File::open(&rows.spool)?, BufWriter::new(File::create(folder.join("data.json"))?));
            let before = rows.spooled.write_section(declared, spool, first, count, &mut data)?;
            data.flush()?;
            Ok::<_, io::Error>((folder, before))
        });
        Ok(written.await.map_err(io::Error::other)??)
    }

    fn check_pages(&self, pages: u64) -> Result<(), LongError> {
        let limit = self.request.limits.max_pages;
        match usize::try_from(pages).ok().filter(|pages| *pages <= limit) {
            Some(_) => Ok(()),
            None => {
                Err(typesetter::Error::TooManyPages { pages: pages.try_into().unwrap_or(usize::MAX), limit }.into())
            }
        }
    }
}

impl Settled {
    /// The pages of a section.
    fn pages_of(&self, section: usize) -> Result<u64, LongError> {
        let next_page = self.plan.section(section + 1).map_or(self.pages + 1, |next| next.first_page);
        Ok(next_page.saturating_sub(cut(&self.plan, section)?.first_page))
    }

    /// Holds a section to its pages.
    fn check(&self, section: usize, made: &Made) -> Result<(), LongError> {
        let pages = self.pages_of(section)?;
        if made.pages == pages {
            return Ok(());
        }
        Err(refused(format!(
            "the section of rows {} and on has {} pages instead of {pages}: put what stands before the rows into \
             at-start[…], and what stands after them into at-end[…]",
            cut(&self.plan, section)?.first_row,
            made.pages
        )))
    }
}

/// How many of `rows` go into each part where none has more than `most`, and their number is even, so that two children
/// have as many, if that does not make them small. Not by how many children there are: where a report is cut shows in its
/// bytes, and these are the same on every machine.
fn even(rows: u64, most: u64) -> u64 {
    let parts = rows.div_ceil(most.max(1)).max(1);
    let even = parts.next_multiple_of(2).min(rows / FEWEST_ROWS);
    rows.div_ceil(even.max(parts)).max(1)
}

fn cut(plan: &Plan, section: usize) -> Result<Cut<'_>, LongError> {
    plan.section(section).ok_or_else(|| refused(format!("there is no section {section}")))
}

fn refused(message: String) -> LongError {
    typesetter::Error::Section { message }.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_number_of_parts_is_even_if_that_does_not_make_them_small() {
        for (rows, most, each) in [
            (10_000, 2_500, 2_500),
            (11_000, 2_500, 1_834),
            (6_000, 2_500, 1_500),
            (1_100, 2_500, 550),
            (900, 2_500, 900),
            (1_000, 100, 100),
            (300, 100, 100),
            (0, 2_500, 1),
        ] {
            assert_eq!(even(rows, most), each, "{rows} rows, {most} at the most");
        }
    }
}
