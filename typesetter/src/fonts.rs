//! The fonts a template can use: those embedded in the program, its own `fonts/` folder and the kit's. Never the
//! system's, so that a report looks the same on every machine.
//!
//! Parsed fonts stay in memory between jobs; a folder is read again when a file in it changes its name, size or time.

use std::collections::HashMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use cap_std::fs::Dir;
use typst::foundations::Bytes;
use typst::text::{Font, FontBook};
use typst::utils::LazyHash;

use crate::coverage::Coverage;
use crate::diagnostic::Diagnostic;
use crate::files::{Files, is_escape};
use crate::request::Request;

/// The folder, beside `main.typ` or in the kit, that holds fonts.
const FOLDER: &str = "fonts";
/// The file name extensions of fonts.
const EXTENSIONS: [&str; 4] = ["ttf", "otf", "ttc", "otc"];

/// The fonts that one template can use, most specific first.
pub(crate) struct FontSet {
    pub(crate) book: LazyHash<FontBook>,
    pub(crate) fonts: Vec<Font>,
    pub(crate) coverage: Coverage,
    made_of: [Arc<Folder>; 2],
}

/// Every font set that was used so far.
pub(crate) struct FontCache {
    embedded: Vec<Font>,
    folders: HashMap<PathBuf, Arc<Folder>>,
    sets: HashMap<(PathBuf, PathBuf), Arc<FontSet>>,
}

/// The fonts of one `fonts/` folder.
#[derive(Default)]
struct Folder {
    stamps: Vec<Stamp>,
    fonts: Vec<Font>,
    unusable: Vec<Diagnostic>,
}

/// What tells whether a font file has changed.
#[derive(PartialEq)]
struct Stamp {
    path: String,
    size: u64,
    modified: Option<SystemTime>,
}

impl FontCache {
    /// A cache that holds the embedded fonts.
    pub(crate) fn new() -> Self {
        let embedded = typst_assets::fonts().flat_map(|data| Font::iter(Bytes::new(data))).collect();
        Self { embedded, folders: HashMap::new(), sets: HashMap::new() }
    }

    /// The fonts for a job, and warnings about files in its font folders that are no fonts.
    pub(crate) fn for_job(&mut self, request: &Request, files: &Files) -> (Arc<FontSet>, Vec<Diagnostic>) {
        let made_of = [
            self.folder(&request.template, Some(&files.template), ""),
            self.folder(&request.kit, files.kit.as_ref(), "kit/"),
        ];
        let unusable = made_of.iter().flat_map(|folder| folder.unusable.clone()).collect();
        let key = (request.template.clone(), request.kit.clone());
        let same = |a: &[Arc<Folder>; 2]| a.iter().zip(&made_of).all(|(a, b)| Arc::ptr_eq(a, b));
        if let Some(set) = self.sets.get(&key).filter(|set| same(&set.made_of)) {
            return (set.clone(), unusable);
        }
        let own = made_of.iter().flat_map(|folder| &folder.fonts);
        let fonts: Vec<Font> = own.chain(&self.embedded).cloned().collect();
        let book = FontBook::from_fonts(&fonts);
        let coverage = Coverage::new(&book, &fonts, fonts.len() - self.embedded.len());
        let set = Arc::new(FontSet { book: LazyHash::new(book), fonts, coverage, made_of });
        self.sets.insert(key, set.clone());
        (set, unusable)
    }

    fn folder(&mut self, path: &Path, dir: Option<&Dir>, shown_in: &str) -> Arc<Folder> {
        let shown = format!("{shown_in}{FOLDER}");
        let (dir, stamps) = match dir.map(|dir| dir.open_dir(FOLDER)) {
            Some(Ok(dir)) => match stamps(&dir, "") {
                Ok(stamps) => (dir, stamps),
                Err(error) => return Arc::new(Folder::unreadable(&shown, &error)),
            },
            Some(Err(error)) if error.kind() != io::ErrorKind::NotFound => {
                return Arc::new(Folder::unreadable(&shown, &error));
            }
            _ => {
                let known = self.folders.entry(path.to_owned()).or_default();
                if !known.stamps.is_empty() {
                    *known = Arc::default();
                }
                return known.clone();
            }
        };
        match self.folders.get(path) {
            Some(known) if known.stamps == stamps => known.clone(),
            _ => {
                let folder = Arc::new(Folder::read(&dir, stamps, &shown));
                self.folders.insert(path.to_owned(), folder.clone());
                folder
            }
        }
    }
}

impl Folder {
    fn read(dir: &Dir, stamps: Vec<Stamp>, shown: &str) -> Self {
        let mut folder = Folder::default();
        for Stamp { path, .. } in &stamps {
            let shown = format!("{shown}/{path}");
            match read_plain(dir, path) {
                Ok(data) => {
                    let before = folder.fonts.len();
                    folder.fonts.extend(Font::iter(Bytes::new(data)));
                    if folder.fonts.len() == before {
                        folder
                            .unusable
                            .push(Diagnostic::of_file(&shown, "not used as a font: Typst cannot read this file"));
                    }
                }
                Err(error) => folder.unusable.push(unreadable(&shown, &error)),
            }
        }
        Folder { stamps, ..folder }
    }

    fn unreadable(shown: &str, error: &io::Error) -> Self {
        Folder { unusable: vec![unreadable(shown, error)], ..Folder::default() }
    }
}

/// Reads a plain file. A pipe or a device could block for ever and is refused.
fn read_plain(dir: &Dir, path: &str) -> io::Result<Vec<u8>> {
    if !dir.metadata(path)?.is_file() {
        return Err(io::Error::other("this is not a plain file"));
    }
    dir.read(path)
}

fn unreadable(shown: &str, error: &io::Error) -> Diagnostic {
    Diagnostic::of_file(
        shown,
        &match error {
            link if is_escape(link) => "not used as a font: this is a link that leads out of its folder".to_owned(),
            error => format!("not used as a font: {error}"),
        },
    )
}

/// The font files in a folder and below it, sorted by path. Links to folders are not followed.
fn stamps(dir: &Dir, prefix: &str) -> io::Result<Vec<Stamp>> {
    let mut found = Vec::new();
    for entry in dir.entries()? {
        let entry = entry?;
        let Ok(name) = entry.file_name().into_string() else { continue };
        let path = format!("{prefix}{name}");
        if entry.file_type()?.is_dir() {
            found.extend(stamps(&entry.open_dir()?, &format!("{path}/"))?);
        } else if is_font(&name) {
            // A link that leads nowhere, or out, is listed without size and time, and fails when it is read.
            let metadata = dir.metadata(&name).ok();
            found.push(Stamp {
                path,
                size: metadata.as_ref().map_or(0, |metadata| metadata.len()),
                modified: metadata.and_then(|metadata| Some(metadata.modified().ok()?.into_std())),
            });
        }
    }
    found.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(found)
}

fn is_font(name: &str) -> bool {
    let extension = Path::new(name).extension().and_then(|extension| extension.to_str());
    extension.is_some_and(|extension| EXTENSIONS.iter().any(|known| known.eq_ignore_ascii_case(extension)))
}
