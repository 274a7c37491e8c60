//! The world as Typst sees it during one job: the files of that job, its fonts, and a clock that stands still.

use chrono::{DateTime, Datelike, TimeDelta, Utc};
use typst::diag::FileResult;
use typst::foundations::{Bytes, Datetime, Duration};
use typst::syntax::{FileId, Source};
use typst::text::{Font, FontBook};
use typst::utils::LazyHash;
use typst::{Library, World};

use crate::files::{Files, main_id};
use crate::fonts::FontSet;

/// Everything a template can reach. What is not here does not exist for it.
pub(crate) struct Sandbox<'a> {
    library: &'a LazyHash<Library>,
    fonts: &'a FontSet,
    files: &'a Files,
    main: FileId,
    now: DateTime<Utc>,
}

impl<'a> Sandbox<'a> {
    pub(crate) fn new(
        library: &'a LazyHash<Library>,
        fonts: &'a FontSet,
        files: &'a Files,
        now: DateTime<Utc>,
    ) -> Self {
        Self { library, fonts, files, main: main_id(), now }
    }
}

impl World for Sandbox<'_> {
    fn library(&self) -> &LazyHash<Library> {
        self.library
    }

    fn book(&self) -> &LazyHash<FontBook> {
        &self.fonts.book
    }

    fn main(&self) -> FileId {
        self.main
    }

    fn source(&self, id: FileId) -> FileResult<Source> {
        self.files.source(id)
    }

    fn file(&self, id: FileId) -> FileResult<Bytes> {
        self.files.bytes(id)
    }

    fn font(&self, index: usize) -> Option<Font> {
        self.fonts.fonts.get(index).cloned()
    }

    /// The day of the job's timestamp. Without an offset that is the day in UTC: the machine's zone must not matter.
    fn today(&self, offset: Option<Duration>) -> Option<Datetime> {
        let offset = offset.map_or(0.0, |offset| offset.seconds());
        let day = self.now.checked_add_signed(TimeDelta::try_seconds(offset as i64)?)?;
        Datetime::from_ymd(day.year(), day.month().try_into().ok()?, day.day().try_into().ok()?)
    }
}
