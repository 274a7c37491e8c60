//! From a laid-out document to files. Nothing is written before everything fits the limit, and no file is ever half
//! written: each appears under its name by a rename.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use chrono::{DateTime, Datelike, Timelike, Utc};
use typst::diag::SourceDiagnostic;
use typst::ecow::EcoVec;
use typst::foundations::{Datetime, Smart};
use typst_layout::{Page, PagedDocument};
use typst_pdf::{PdfOptions, PdfStandards, Timestamp};
use typst_render::RenderOptions;
use typst_svg::SvgOptions;

use crate::clusters::with_whole_clusters;
use crate::error::Error;
use crate::options::{Format, Options, PdfStandard};
use crate::pictures::name_pictures;
use crate::plain;

/// Typst's points in an inch.
const POINTS_PER_INCH: f32 = 72.0;
/// The largest PNG page; its pixels take four bytes each while it is drawn.
const MAX_PIXELS: f64 = 100_000_000.0;

/// One output file before it is written.
pub(crate) struct Encoded {
    name: String,
    bytes: Vec<u8>,
}

/// Why a document has no files.
pub(crate) enum Refusal {
    /// The document breaks a rule of the format; Typst says where.
    Document(EcoVec<SourceDiagnostic>),
    /// Any other cause.
    Other(Error),
}

impl From<Error> for Refusal {
    fn from(error: Error) -> Self {
        Refusal::Other(error)
    }
}

/// The output files of a document. What a report says of itself, such as its title, need not be in one that `continues` it.
pub(crate) fn encode(
    document: &PagedDocument,
    options: &Options,
    continues: bool,
    limit: u64,
) -> Result<Vec<Encoded>, Refusal> {
    let mut total = 0;
    let mut within = |bytes: &[u8]| {
        total += bytes.len() as u64;
        if total > limit { Err(Error::OutputTooLarge { bytes: total, limit }) } else { Ok(()) }
    };
    if options.format == Format::Pdf {
        let whole = with_whole_clusters(document);
        let document = whole.as_ref().unwrap_or(document);
        let plain = if continues && options.pdf_standard.is_none() { plain::pdf(document) } else { None };
        let bytes = plain.map_or_else(|| pdf(document, options), Ok)?;
        within(&bytes)?;
        return Ok(vec![Encoded { name: "report.pdf".to_owned(), bytes }]);
    }
    let pages = document.pages();
    let digits = pages.len().to_string().len();
    let mut files = Vec::with_capacity(pages.len());
    for (number, page) in (1..).zip(pages) {
        let bytes = match options.format {
            Format::Png => png(page, number, options.ppi)?,
            _ => typst_svg::svg(page, &SvgOptions::default()).into_bytes(),
        };
        within(&bytes)?;
        files.push(Encoded { name: format!("page-{number:0digits$}.{}", options.format), bytes });
    }
    Ok(files)
}

fn pdf(document: &PagedDocument, options: &Options) -> Result<Vec<u8>, Refusal> {
    let standards: Vec<_> = options.pdf_standard.map(PdfStandard::typst).into_iter().collect();
    // Without a standard Typst's default is PDF 1.7; an empty list would choose for itself.
    let standards = match standards.as_slice() {
        [] => PdfStandards::default(),
        list => PdfStandards::new(list).map_err(|error| Error::Options { message: error.message().to_string() })?,
    };
    let options = PdfOptions {
        ident: Smart::Custom(options.ident.clone()),
        timestamp: moment(options.timestamp).map(Timestamp::new_utc),
        standards,
        tagged: options.tagged,
        ..PdfOptions::default()
    };
    typst_pdf::pdf(document, &options).map_err(|errors| Refusal::Document(name_pictures(document, errors)))
}

fn png(page: &Page, number: usize, ppi: f32) -> Result<Vec<u8>, Error> {
    let scale = ppi / POINTS_PER_INCH;
    let size = page.frame.size();
    let (width, height) = (size.x.to_pt() * f64::from(scale), size.y.to_pt() * f64::from(scale));
    if width.max(1.0) * height.max(1.0) > MAX_PIXELS {
        return Err(Error::Options {
            message: format!(
                "page {number} would be {width:.0} × {height:.0} pixels at {ppi} per inch, more than {MAX_PIXELS}: \
                 choose fewer pixels per inch or a smaller page"
            ),
        });
    }
    let options = RenderOptions { pixel_per_pt: f64::from(scale).into(), ..RenderOptions::default() };
    let pixels = typst_render::render(page, &options);
    pixels.encode_png().map_err(|error| Error::Panicked { message: format!("page {number} as PNG: {error}") })
}

fn moment(time: DateTime<Utc>) -> Option<Datetime> {
    let [month, day, hour, minute, second] =
        [time.month(), time.day(), time.hour(), time.minute(), time.second()].map(|part| part.try_into().ok());
    Datetime::from_ymd_hms(time.year(), month?, day?, hour?, minute?, second?)
}

/// Writes all files or none. Returns their paths and their bytes together.
pub(crate) fn store(files: &[Encoded], folder: &Path) -> Result<(Vec<PathBuf>, u64), Error> {
    let paths: Vec<PathBuf> = files.iter().map(|file| folder.join(&file.name)).collect();
    let outcome = write_all(files, &paths);
    if outcome.is_err() {
        for path in &paths {
            // What was never written cannot be removed, and that is fine.
            fs::remove_file(path).ok();
            fs::remove_file(unfinished(path)).ok();
        }
    }
    outcome?;
    Ok((paths, files.iter().map(|file| file.bytes.len() as u64).sum()))
}

fn write_all(files: &[Encoded], paths: &[PathBuf]) -> Result<(), Error> {
    let explain = |path: &Path, error: io::Error| Error::io("write", path, &error);
    for (file, path) in files.iter().zip(paths) {
        fs::write(unfinished(path), &file.bytes).map_err(|error| explain(path, error))?;
    }
    for path in paths {
        fs::rename(unfinished(path), path).map_err(|error| explain(path, error))?;
    }
    Ok(())
}

/// The name of a file until it is whole.
fn unfinished(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".part");
    PathBuf::from(name)
}
