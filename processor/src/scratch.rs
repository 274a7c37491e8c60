//! The folders that runs keep their files in while they run. One that has served is used again, as is its file of data:
//! file systems are slow to make a file where many were removed a moment ago.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use tempfile::TempDir;

/// The file of a job's data.
const DATA: &str = "data.json";

/// How many folders are kept that no run uses.
const SPARE: usize = 8;

/// A folder in which each run has one of its own.
#[derive(Debug, Clone)]
pub struct Scratch {
    root: PathBuf,
    spare: Arc<Mutex<Vec<TempDir>>>,
}

/// The folder of one run. It is empty, except that the data file of an earlier run may be there, cut to one byte. It is removed
/// when this is dropped, unless it was given back.
#[derive(Debug)]
pub(crate) struct Folder {
    folder: TempDir,
    scratch: Scratch,
}

impl Scratch {
    /// Runs have their folders in `root`.
    pub fn new(root: PathBuf) -> Self {
        Self { root, spare: Arc::default() }
    }

    /// A folder for a run.
    pub(crate) fn folder(&self) -> io::Result<Folder> {
        let folder = match self.spare().pop() {
            Some(spare) => spare,
            None => tempfile::Builder::new().prefix("pressrun-").tempdir_in(&self.root)?,
        };
        Ok(Folder { folder, scratch: self.clone() })
    }

    fn spare(&self) -> std::sync::MutexGuard<'_, Vec<TempDir>> {
        self.spare.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Folder {
    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Leaves the folder to another run. For one that came to its end: a thread or child that was left to itself may still
    /// write to the folder.
    pub(crate) fn give_back(self) {
        // What cannot be emptied is removed.
        if empty(self.path()).is_ok() {
            let mut spare = self.scratch.spare();
            if spare.len() < SPARE {
                spare.push(self.folder);
            }
        }
    }
}

/// The file of a job's data in a run's folder.
pub(crate) fn data_file(folder: &Path) -> PathBuf {
    folder.join(DATA)
}

/// Writes a job's data. The file is not emptied first, which file systems take for the wish to have it on disk at once.
pub(crate) async fn write_data(file: &Path, data: Vec<u8>) -> io::Result<()> {
    let file = file.to_owned();
    let write = move || {
        let mut file = OpenOptions::new().write(true).create(true).truncate(false).open(file)?;
        file.write_all(&data)?;
        file.set_len(data.len() as u64)
    };
    tokio::task::spawn_blocking(write).await.map_err(io::Error::other)?
}

/// Removes everything but the data file, which keeps one byte.
fn empty(folder: &Path) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        if entry.file_name() == DATA {
            OpenOptions::new().write(true).open(entry.path())?.set_len(1)?;
        } else {
            fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_folder_is_used_again_without_what_was_in_it() {
        let root = TempDir::new().expect("a folder");
        let scratch = Scratch::new(root.path().to_owned());
        let first = scratch.folder().expect("a folder");
        let (path, data) = (first.path().to_owned(), data_file(first.path()));
        write_data(&data, br#"{"iban":"DE89"}"#.to_vec()).await.expect("written");
        fs::write(path.join("report.pdf"), "a report").expect("written");
        let other = scratch.folder().expect("a folder");
        assert_ne!(other.path(), path, "two runs at once");
        first.give_back();
        let again = scratch.folder().expect("a folder");
        assert_eq!(again.path(), path);
        assert_eq!(fs::read(&data).expect("read"), b"{");
        assert_eq!(fs::read_dir(&path).expect("read").count(), 1);
        write_data(&data, b"{}".to_vec()).await.expect("written");
        assert_eq!(fs::read(&data).expect("read"), b"{}");
        drop(again);
        assert!(!path.exists(), "of a run that came to no end");
    }

    #[test]
    fn a_folder_that_cannot_be_emptied_is_removed() {
        let root = TempDir::new().expect("a folder");
        let scratch = Scratch::new(root.path().to_owned());
        let folder = scratch.folder().expect("a folder");
        let path = folder.path().to_owned();
        fs::create_dir(path.join("inner")).expect("made");
        folder.give_back();
        assert!(!path.exists() && scratch.spare().is_empty());
    }
}
