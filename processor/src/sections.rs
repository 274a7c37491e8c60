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
use futures_util::{StreamExt, TryStreamExt, stream};
use input::{Decimal, Spooled, Template};
use jobs::{Progress, Unavailable};
use tokio::task::spawn_blocking;
use typesetter::{Cut, Geometry, Plan, Report, Request, RowHeight, Section, plan};

use crate::press::{Press, PressError};
use crate::stitching::Stitching;

/// How many rows make a section where nothing else is said: many enough that what a section costs by itself does not count,
/// few enough that a child needs little memory.
pub const DEFAULT_SECTION_ROWS: u64 = 1_000;

/// A report to be typeset in sections.
pub struct LongReport<'a> {
    /// What typesets.
    pub press: &'a Press,
    /// The report as a whole. Its data is in `rows`, and its output folder is where sections are made.
    pub request: Request,
    /// Its rows.
    pub rows: Arc<Rows>,
    /// How many rows a section has, about.
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

/// What goes on beside the typesetting of sections.
#[async_trait]
pub trait Watch: Send + Sync {
    /// Writes a section that was made before, of a report of so many pages, to `file`; answers whether there is one.
    async fn recall(&self, section: usize, pages: u64, file: &Path) -> Result<bool, LongError>;

    /// Keeps a section that was just made, for a later attempt.
    async fn keep(&self, section: usize, pages: u64, file: &Path) -> Result<(), LongError>;

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
    Stitcher(#[from] stitcher::Error),
    /// A store did not answer.
    #[error(transparent)]
    Unavailable(#[from] Unavailable),
    /// Another run has taken over.
    #[error("another run has taken over")]
    Overtaken,
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
}

impl LongReport<'_> {
    /// Makes the report, and leaves it in `output`.
    pub async fn make(&self, watch: &dyn Watch, output: &Path) -> Result<Report, LongError> {
        let plan = self.plan().await?;
        self.check_pages(plan.pages())?;
        let (pages, last) = self.last_section(&plan, watch).await?;
        self.check_pages(pages)?;
        let stitching = Stitching::start(output, &self.request.options.ident, self.request.limits.max_output_bytes);
        let mut progress = Progress { sections_done: 0, sections: plan.len().try_into().unwrap_or(u32::MAX), pages: 0 };
        let others = stream::iter(0..plan.len() - 1).map(|index| self.section(&plan, index, pages, watch));
        // One more than can be typeset at a time, so that a child never waits for its data.
        let others = others.buffered(self.press.slots() + 1);
        let mut sections = std::pin::pin!(others.chain(stream::once(async { Ok(last) })));
        while let Some(made) = sections.try_next().await? {
            progress.sections_done += 1;
            progress.pages += made.pages;
            if !stitching.append(made.file).await {
                break;
            }
            watch.hear(progress).await?;
        }
        let stitched = stitching.finish().await?;
        Ok(Report {
            pages: stitched.pages as usize,
            files: vec![output.to_owned()],
            bytes: stitched.bytes,
            warnings: Vec::new(),
        })
    }

    /// Deals the rows out over pages and sections.
    async fn plan(&self) -> Result<Plan, LongError> {
        let geometry = self.measure("measure", 0, 0).await?;
        let rows = self.rows.spooled.rows;
        if let RowHeight::Fixed(height) = geometry.row {
            let heights = std::iter::repeat_n(height, rows.try_into().unwrap_or(usize::MAX));
            return Ok(plan(&geometry, heights, self.section_rows));
        }
        let chunks = (0..rows).step_by(self.section_rows.try_into().unwrap_or(usize::MAX));
        let measured = stream::iter(chunks).map(async |first| {
            let count = self.section_rows.min(rows - first);
            let measured = self.measure(&format!("measure-{first}"), first, count).await?;
            match measured.row {
                RowHeight::Each(heights) if heights.len() as u64 == count => Ok(heights),
                _ => Err(LongError::from(typesetter::Error::Section {
                    message: "the kit's rows did not tell the height of each row".to_owned(),
                })),
            }
        });
        let heights: Vec<Vec<f64>> = measured.buffered(self.press.slots() + 1).try_collect().await?;
        Ok(plan(&geometry, heights.into_iter().flatten(), self.section_rows))
    }

    async fn measure(&self, name: &str, first: u64, count: u64) -> Result<Geometry, LongError> {
        let (folder, before) = self.write_data(name, first, count).await?;
        let measuring = Section { first: first == 0 && count == 0, first_row: first + 1, ..Section::measuring() };
        let section = self.told(measuring, &before);
        let request = Request { data: folder.join("data.json"), section: Some(section), ..self.request.clone() };
        let geometry = self.press.measure(&request, self.time).await?;
        tokio::fs::remove_dir_all(folder).await?;
        Ok(geometry)
    }

    /// Makes the last section; answers also how many pages there are in all.
    async fn last_section(&self, plan: &Plan, watch: &dyn Watch) -> Result<(u64, Made), LongError> {
        let index = plan.len() - 1;
        let expected = plan.pages();
        let made = self.section(plan, index, expected, watch).await?;
        let before = plan.section(index).map_or(0, |cut| cut.first_page - 1);
        let pages = before + made.pages;
        if pages == expected {
            return Ok((pages, made));
        }
        Ok((pages, self.section(plan, index, pages, watch).await?))
    }

    /// Makes a section of a report of `pages` pages, or finds it made.
    async fn section(&self, plan: &Plan, index: usize, pages: u64, watch: &dyn Watch) -> Result<Made, LongError> {
        let cut = plan.section(index).ok_or_else(|| io::Error::other(format!("there is no section {index}")))?;
        let file = self.request.output.join(format!("section-{index}.pdf"));
        if watch.recall(index, pages, &file).await? {
            let next_page = plan.section(index + 1).map_or(pages + 1, |next| next.first_page);
            return Ok(Made { file, pages: next_page.saturating_sub(cut.first_page) });
        }
        let report = self.typeset(&cut, index, pages).await?;
        let [made] = report.files.as_slice() else {
            return Err(
                io::Error::other(format!("the typesetter wrote {} files for a section", report.files.len())).into()
            );
        };
        tokio::fs::rename(made, &file).await?;
        watch.keep(index, pages, &file).await?;
        Ok(Made { file, pages: report.pages as u64 })
    }

    async fn typeset(&self, cut: &Cut<'_>, index: usize, pages: u64) -> Result<Report, LongError> {
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
        let request =
            Request { data: folder.join("data.json"), output: folder, section: Some(section), ..self.request.clone() };
        Ok(self.press.typeset(&request, self.time).await?)
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
            fs::create_dir_all(&folder)?;
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
