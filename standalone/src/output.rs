//! Where a report goes: to a file that is there whole or not at all, or to standard output.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use crate::caller::{CallerError, failed_to};

/// A place for a report, and a file of its own in which it is gathered first.
pub(crate) struct Output {
    target: PathBuf,
    work: TempDir,
}

impl Output {
    /// Says at once what would keep a report from being written to `target`, `-` for standard output.
    pub(crate) fn new(target: &Path) -> Result<Self, CallerError> {
        let attempt = || failed_to(format!("write {}", target.display()));
        if !is_stdout(target) {
            let folder = fs::metadata(folder_of(target)).map_err(attempt())?;
            if !folder.is_dir() {
                return Err(attempt()(io::ErrorKind::NotADirectory.into()));
            }
            if target.is_dir() {
                return Err(attempt()(io::ErrorKind::IsADirectory.into()));
            }
        }
        let work = TempDir::with_prefix("pressrun-").map_err(failed_to("make a temporary folder"))?;
        Ok(Self { target: target.to_owned(), work })
    }

    /// The file to gather the report in.
    pub(crate) fn draft(&self) -> PathBuf {
        self.work.path().join("report")
    }

    /// Whether standard output is the report's.
    pub(crate) fn is_stdout(&self) -> bool {
        is_stdout(&self.target)
    }

    /// Puts what was gathered in its place.
    pub(crate) fn publish(&self) -> Result<(), CallerError> {
        if self.is_stdout() {
            let copied = File::open(self.draft()).and_then(|mut file| io::copy(&mut file, &mut io::stdout().lock()));
            return copied.map(|_| ()).map_err(failed_to("write to standard output"));
        }
        place(&self.draft(), &self.target).map_err(failed_to(format!("write {}", self.target.display())))
    }
}

fn is_stdout(target: &Path) -> bool {
    target.as_os_str() == "-"
}

fn folder_of(target: &Path) -> &Path {
    target.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// Moves a file to its place: by rename, so that it is there whole or not at all, unless something other than a plain
/// file is there already, a pipe perhaps. What is left of the file itself is its owner's to remove.
pub(crate) fn place(file: &Path, target: &Path) -> io::Result<()> {
    let target = fs::canonicalize(target).unwrap_or_else(|_| target.to_owned());
    if fs::metadata(&target).is_ok_and(|there| !there.is_file()) {
        io::copy(&mut File::open(file)?, &mut OpenOptions::new().write(true).open(&target)?)?;
        return Ok(());
    }
    if fs::rename(file, &target).is_ok() {
        return Ok(());
    }
    // From another file system it has to be copied.
    let permissions = fs::metadata(file)?.permissions();
    let mut partial = tempfile::Builder::new().permissions(permissions).tempfile_in(folder_of(&target))?;
    io::copy(&mut File::open(file)?, &mut partial)?;
    partial.persist(target)?;
    Ok(())
}
