//! The way from a request to a report, and what stays warm between two of them.

use std::any::Any;
use std::sync::Arc;
use std::thread;

use typst::comemo;
use typst::diag::SourceDiagnostic;
use typst::foundations::{Label, Selector};
use typst::introspection::Introspector;
use typst::utils::{LazyHash, PicoStr};
use typst::{Library, LibraryExt, World};
use typst_layout::PagedDocument;

use crate::cells;
use crate::cleaning::Rules;
use crate::diagnostic::Diagnostic;
use crate::doubts::doubts;
use crate::error::Error;
use crate::export::{self, Refusal};
use crate::files::Files;
use crate::fonts::{FontCache, FontSet};
use crate::options::{Format, Options, PdfStandard};
use crate::parsed::Parsed;
use crate::plan::Geometry;
use crate::refuse;
use crate::request::{Report, Request};
use crate::ruler;
use crate::section::Section;
use crate::world::Sandbox;

/// The stack of the thread that typesets. Typst bounds its recursion so that far less is enough.
const STACK_BYTES: usize = 16 << 20;

/// File ids that an engine may have used before it should be replaced. The process has 65,535 and never frees one.
const ENOUGH_FILE_IDS: u16 = 40_000;

/// The label of what the kit's `rows` tells in measure mode.
const GEOMETRY: &str = "pressrun-geometry";

/// For how many reports more Typst remembers what it computed for one. With none, every report would evaluate the kit
/// and shape the template's words anew; with many, memory would grow.
const REMEMBERED: usize = 1;

/// Typesets one report after another. Keeps Typst's library, all fonts and parsed sources between reports, and what Typst
/// computed for the last one: by a hash of all that went into it, so that no report can come by what is not its own.
pub struct Engine {
    library: LazyHash<Library>,
    fonts: FontCache,
    parsed: Arc<Parsed>,
    /// For how many reports more the last one is to be remembered.
    remembered: usize,
    spent: bool,
}

impl Engine {
    /// An engine with the embedded fonts.
    pub fn new() -> Self {
        let mut library = <Library as LibraryExt>::default();
        library.global.scope_mut().define("pressrun", cells::module());
        Self {
            library: LazyHash::new(library),
            fonts: FontCache::new(),
            parsed: Arc::default(),
            remembered: REMEMBERED,
            spent: false,
        }
    }

    /// Typesets one report and writes its files; on an error nothing is written.
    ///
    /// A panic inside Typst comes back as [`Error::Panicked`]. There is no limit on time or memory here: a template
    /// can loop for ever or exhaust memory, which is why [`worker`](crate::worker) runs engines in a process apart.
    pub fn typeset(&mut self, request: &Request) -> Result<Report, Error> {
        let report = self.make(request);
        self.tidy();
        report
    }

    /// Measures what decides which rows go on which page, and writes nothing. The request's section should say
    /// [`measure`](crate::Section::measure), its data should have the rows to measure, or none.
    pub fn measure(&mut self, request: &Request) -> Result<Geometry, Error> {
        let geometry = self.take(request);
        self.tidy();
        geometry
    }

    /// Typesets a report, and leaves the tidying up to the caller.
    pub(crate) fn make(&mut self, request: &Request) -> Result<Report, Error> {
        request.options.check()?;
        if let Some(section) = &request.section {
            check_untagged(section, &request.options)?;
        }
        self.guarded(request, Self::write)
    }

    /// Measures, and leaves the tidying up to the caller.
    pub(crate) fn take(&mut self, request: &Request) -> Result<Geometry, Error> {
        self.guarded(request, Self::take_measures)
    }

    /// Works on a thread of its own, and survives its panic.
    fn guarded<T: Send>(
        &mut self,
        request: &Request,
        work: fn(&mut Self, &Request) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let thread = thread::Builder::new().name("typesetter".to_owned()).stack_size(STACK_BYTES);
        let result = thread::scope(|scope| match thread.spawn_scoped(scope, || work(self, request)) {
            Ok(running) => running.join().map_err(|panic| Error::Panicked { message: message(&*panic) }),
            Err(error) => Ok(Err(Error::io("start a thread for", &request.template, &error))),
        });
        self.remembered = if request.section.is_some() { 0 } else { REMEMBERED };
        result.unwrap_or_else(|panicked| {
            self.spent = true;
            Err(panicked)
        })
    }

    /// Forgets what is not to be remembered. After every report, failed ones too: what Typst remembers would grow without
    /// end. Takes milliseconds.
    pub(crate) fn tidy(&mut self) {
        comemo::evict(self.remembered);
        ruler::forget();
    }

    /// Whether the process should end and a new one take its place: a panic may have left Typst's global tables
    /// broken, and file ids run out after very many different paths.
    pub fn is_spent(&self) -> bool {
        self.spent
    }

    fn take_measures(&mut self, request: &Request) -> Result<Geometry, Error> {
        let mut files = Files::open(request, self.parsed.clone())?;
        let (fonts, _) = self.fonts.for_job(request, &files);
        files.clean_data(&rules(request, &fonts));
        let world = Sandbox::new(&self.library, &fonts, &files, request.options.timestamp);
        let compiled = typst::compile::<PagedDocument>(&world);
        self.spent |= files.highest_id() > ENOUGH_FILE_IDS;
        let document = compiled.output.map_err(|errors| refused(&world, request, &errors))?;
        request.section.iter().try_for_each(|section| section.check_content(&document))?;
        geometry(&document)
    }

    fn write(&mut self, request: &Request) -> Result<Report, Error> {
        let mut files = Files::open(request, self.parsed.clone())?;
        let (fonts, mut diagnostics) = self.fonts.for_job(request, &files);
        let missing = files.clean_data(&rules(request, &fonts));
        let world = Sandbox::new(&self.library, &fonts, &files, request.options.timestamp);
        let compiled = typst::compile::<PagedDocument>(&world);
        self.spent |= files.highest_id() > ENOUGH_FILE_IDS;
        let document = compiled.output.map_err(|errors| refused(&world, request, &errors))?;
        let (pages, limit) = (document.pages().len(), request.limits.max_pages);
        if pages > limit {
            return Err(Error::TooManyPages { pages, limit });
        }
        if let Some(section) = &request.section {
            check_pages(section, pages)?;
            if section.page_rows.is_some() {
                section.check_content(&document)?;
            }
        }
        let warnings = doubts(&document, request, missing)?;
        let continues = request.section.as_ref().is_some_and(|section| section.page_rows.is_some() && !section.first);
        let encoded = export::encode(&document, &request.options, continues, request.limits.max_output_bytes);
        let encoded = encoded.map_err(|refusal| match refusal {
            Refusal::Document(errors) => refused(&world, request, &errors),
            Refusal::Other(error) => error,
        })?;
        let (files, bytes) = export::store(&encoded, &request.output)?;
        diagnostics.extend(Diagnostic::all(&world, &compiled.warnings));
        Ok(Report { pages, files, bytes, warnings, diagnostics })
    }
}

impl Default for Engine {
    fn default() -> Self {
        Self::new()
    }
}

/// What the kit's `rows` told in measure mode.
fn geometry(document: &PagedDocument) -> Result<Geometry, Error> {
    let unusable = |message: String| Error::Section { message };
    let label = Label::new(PicoStr::intern(GEOMETRY)).ok_or_else(|| unusable("no label".to_owned()))?;
    let found = document.introspector().query(&Selector::Label(label));
    let value = match found.as_slice() {
        [only] => only.field_by_name("value").map_err(|error| unusable(error.to_string()))?,
        [] => {
            return Err(unusable("the template has rows in its manifest, but does not call the kit's rows".to_owned()));
        }
        _ => return Err(unusable("the template calls the kit's rows more than once".to_owned())),
    };
    let value = serde_json::to_value(&value).map_err(|error| unusable(error.to_string()))?;
    let geometry: Geometry =
        serde_json::from_value(value).map_err(|error| unusable(format!("the measures of the rows: {error}")))?;
    geometry.check().map_err(unusable)?;
    Ok(geometry)
}

/// Tags of sections cannot be made one structure, and a section with tags would not keep to its pages.
fn check_untagged(section: &Section, options: &Options) -> Result<(), Error> {
    if section.page_rows.is_none() || !options.tagged || options.format != Format::Pdf {
        return Ok(());
    }
    Err(Error::Options { message: "a report in sections cannot be tagged: turn tags off".to_owned() })
}

/// A section that is not the last ends with its last row, or page numbers would be wrong from there on.
fn check_pages(section: &Section, pages: usize) -> Result<(), Error> {
    let Some(planned) = section.page_rows.as_ref().filter(|_| !section.first && !section.last) else { return Ok(()) };
    if pages == planned.len() {
        return Ok(());
    }
    Err(Error::Section {
        message: format!(
            "the section of rows {} and on has {pages} pages instead of {}: put what stands before the rows into \
             at-start[…], and what stands after them into at-end[…]",
            section.first_row,
            planned.len()
        ),
    })
}

/// How the data of a request is cleaned.
fn rules<'a>(request: &'a Request, fonts: &'a FontSet) -> Rules<'a> {
    let section = request.section.as_ref();
    let first_row =
        section.map_or(0, |section| usize::try_from(section.first_row.saturating_sub(1)).unwrap_or(usize::MAX));
    Rules {
        fonts,
        private_use: !request.options.pdf_standard.is_some_and(PdfStandard::is_for_whole_documents),
        rows: request.rows.as_ref().map(|rows| (rows.field.as_str(), first_row)),
        names: request.rows.as_ref().map_or(&[], |rows| &rows.names),
        rows_only: section.is_some_and(|section| !section.first && !section.last),
    }
}

/// What errors of Typst mean: the data is wrong where the template or the kit says so, and else the template is.
fn refused(world: &dyn World, request: &Request, errors: &[SourceDiagnostic]) -> Error {
    match refuse::violations(errors, request.rows.as_ref().map(|rows| rows.field.as_str())) {
        Some(violations) => Error::InvalidData { violations },
        None => Error::Template { diagnostics: Diagnostic::all(world, errors) },
    }
}

/// What a panic said.
fn message(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().copied().or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    text.unwrap_or("no message").to_owned()
}
