//! The only files a template can see: its own folder as `/`, the kit as `/kit`, the data as `/data.json`, and what part
//! of the report it is to make as `/section.json`.
//!
//! Deny by default: nothing else has a name here. The folders are opened as capabilities, so that neither `..` nor a
//! link can lead out of them. Every job opens its files anew; within a job each file is read once.

use std::collections::HashMap;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use cap_std::ambient_authority;
use cap_std::fs::Dir;
use typst::diag::{FileError, FileResult, PackageError};
use typst::ecow::{EcoString, eco_format};
use typst::foundations::Bytes;
use typst::syntax::{FileId, RootedPath, Source, VirtualPath, VirtualRoot};

use crate::cleaning::{Missing, Rules, clean};
use crate::error::Error;
use crate::options::Format;
use crate::parsed::Parsed;
use crate::request::Request;
use crate::section::{Section, SectionFile};

/// The file that Typst starts with.
pub(crate) const MAIN: &str = "main.typ";
/// Where the template finds its data. A file of this name in the template's folder stays hidden.
const DATA: &str = "data.json";
/// Where the template finds which part of the report to make. Hides a file of this name too.
const SECTION: &str = "section.json";
/// Where the template finds the kit. A folder of this name in the template's folder stays hidden.
const KIT: &str = "kit";

/// The files of one job.
pub(crate) struct Files {
    pub(crate) template: Dir,
    pub(crate) kit: Option<Dir>,
    data: Bytes,
    section: Bytes,
    bytes: Mutex<HashMap<FileId, FileResult<Bytes>>>,
    sources: Mutex<HashMap<FileId, FileResult<Source>>>,
    parsed: Arc<Parsed>,
}

impl Files {
    /// Opens what the request names. What is `parsed` already is not parsed again.
    pub(crate) fn open(request: &Request, parsed: Arc<Parsed>) -> Result<Self, Error> {
        let missing = || Error::MissingTemplate { template: request.template.clone() };
        let template = match Dir::open_ambient_dir(&request.template, ambient_authority()) {
            Ok(dir) => dir,
            Err(error) if is_absent(&error) => return Err(missing()),
            Err(error) => return Err(Error::io("open the template", &request.template, &error)),
        };
        if template.symlink_metadata(MAIN).is_err_and(|error| is_absent(&error)) {
            return Err(missing());
        }
        let kit = match Dir::open_ambient_dir(&request.kit, ambient_authority()) {
            Ok(dir) => Some(dir),
            Err(error) if is_absent(&error) => None,
            Err(error) => return Err(Error::io("open the kit", &request.kit, &error)),
        };
        let data = std::fs::read(&request.data).map_err(|error| Error::io("read the data", &request.data, &error))?;
        let section = section_file(request)?;
        let (data, bytes, sources) = (Bytes::new(data), Mutex::default(), Mutex::default());
        Ok(Self { template, kit, data, section, bytes, sources, parsed })
    }

    /// Has the template see the data cleaned; returns the characters that were replaced in it.
    pub(crate) fn clean_data(&mut self, rules: &Rules) -> Vec<Missing> {
        let Some((data, missing)) = clean(&self.data, rules) else { return Vec::new() };
        self.data = Bytes::new(data);
        missing
    }

    /// The bytes of a file.
    pub(crate) fn bytes(&self, id: FileId) -> FileResult<Bytes> {
        lock(&self.bytes).entry(id).or_insert_with(|| self.read(id.get())).clone()
    }

    /// A file as Typst source.
    pub(crate) fn source(&self, id: FileId) -> FileResult<Source> {
        let parse = || {
            let bytes = self.bytes(id)?;
            let text = bytes.as_str()?;
            Ok(self.parsed.source(id, text.strip_prefix('\u{feff}').unwrap_or(text)))
        };
        lock(&self.sources).entry(id).or_insert_with(parse).clone()
    }

    /// The highest number among the file ids that were asked for. Typst has 65,535 of them in a process's life.
    pub(crate) fn highest_id(&self) -> u16 {
        lock(&self.bytes).keys().map(|id| id.into_raw().get()).max().unwrap_or(0)
    }

    fn read(&self, path: &RootedPath) -> FileResult<Bytes> {
        if let VirtualRoot::Package(package) = path.root() {
            return Err(FileError::Package(PackageError::Other(Some(eco_format!(
                "packages are not available here: copy the files of {package} into the template's folder and import \
                 them from there"
            )))));
        }
        let path = path.vpath().get_without_slash();
        match path.split_once('/') {
            _ if path == DATA => Ok(self.data.clone()),
            _ if path == SECTION => Ok(self.section.clone()),
            _ if path.is_empty() || path == KIT => Err(FileError::IsDirectory),
            Some((KIT, inner)) => match &self.kit {
                Some(kit) => read_inside(kit, inner, "the kit"),
                None => Err(refused(eco_format!("there is no kit, so there is no `{path}`"))),
            },
            _ => read_inside(&self.template, path, "the template's folder"),
        }
    }
}

/// What the template reads as `/section.json`.
fn section_file(request: &Request) -> Result<Bytes, Error> {
    let whole = Section::default();
    let section = request.section.as_ref().unwrap_or(&whole);
    let tagged = request.options.format == Format::Pdf && request.options.tagged;
    let file = serde_json::to_vec(&SectionFile { section, tagged });
    file.map(Bytes::new).map_err(|error| Error::Request { message: error.to_string() })
}

/// The one file id of a path. Paths are interned for the life of the process, so they never name a template or a job.
pub(crate) fn main_id() -> FileId {
    match VirtualPath::new(MAIN) {
        Ok(path) => RootedPath::new(VirtualRoot::Project, path).intern(),
        Err(error) => unreachable!("{MAIN}: {error}"),
    }
}

/// Reads a plain file. A pipe or a device could block for ever and is refused.
fn read_inside(dir: &Dir, path: &str, place: &str) -> FileResult<Bytes> {
    let explain = |error: io::Error| match error.kind() {
        _ if is_absent(&error) => refused(eco_format!("{place} has no `{path}`")),
        _ if is_escape(&error) => refused(eco_format!("`{path}` is a link that leads out of {place}")),
        _ => refused(eco_format!("`{path}` in {place}: {error}")),
    };
    let metadata = dir.metadata(path).map_err(explain)?;
    if metadata.is_dir() {
        return Err(FileError::IsDirectory);
    }
    if !metadata.is_file() {
        return Err(refused(eco_format!("`{path}` in {place} is not a plain file")));
    }
    dir.read(path).map(Bytes::new).map_err(explain)
}

fn refused(message: EcoString) -> FileError {
    FileError::Other(Some(message))
}

fn is_absent(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
}

/// Whether the path was refused for leading out of its folder, rather than by the operating system.
pub(crate) fn is_escape(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::PermissionDenied && error.raw_os_error().is_none()
}

/// A panic elsewhere leaves these maps whole, so a poisoned lock is still good.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
