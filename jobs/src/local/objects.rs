//! Objects as files. A file appears under its name only when it is whole and on disk.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use async_trait::async_trait;
use uuid::Uuid;

use super::database::Database;
use super::uploads;
use crate::ports::{Accepts, Content, ObjectStore, Opened, Shortage, Unavailable};
use crate::upload::UPLOADS;

/// A folder of objects; a key is a path in it.
#[derive(Debug, Clone)]
pub struct Folder {
    root: PathBuf,
    /// Where objects are that are not whole yet; emptied when the data folder is opened.
    drafts: PathBuf,
    /// Where jobs name uploads.
    database: Database,
    /// How many bytes are left free for work that was accepted; a share of the file system where absent.
    reserve: Option<u64>,
}

/// The reserve where none is given: this, or a twentieth of the file system where that is less.
const MAX_DEFAULT_RESERVE: u64 = 1 << 30;

impl Folder {
    pub(super) fn new(root: PathBuf, drafts: PathBuf, database: Database) -> Self {
        Self { root, drafts, database, reserve: None }
    }

    /// With so many bytes left free for work that was accepted.
    #[must_use]
    pub fn with_reserve(mut self, reserve: Option<u64>) -> Self {
        self.reserve = reserve;
        self
    }
}

impl Folder {
    /// Whether a job on record names the upload under this key.
    async fn is_named(&self, key: &str) -> Result<bool, sqlx::Error> {
        let id = key.strip_prefix(UPLOADS).and_then(|id| id.strip_prefix('/')).and_then(|id| id.parse().ok());
        let Some(id) = id else { return Ok(false) };
        Ok(!uploads::named(&mut *self.database.reader().await, &[id]).await?.is_empty())
    }
}

#[async_trait]
impl ObjectStore for Folder {
    async fn put(&self, key: &str, _content_type: &str, content: Content<'_>) -> Result<(), Unavailable> {
        let path = self.root.join(key);
        let attempted = format!("store {key}");
        let (bytes, file) = match content {
            Content::Bytes(bytes) => (bytes.to_vec(), None),
            Content::File(file) => (Vec::new(), Some(file.to_owned())),
            Content::Draft(draft) => {
                let draft = draft.to_owned();
                return blocking(attempted, move || move_whole(&draft, &path)).await;
            }
        };
        let write = move || {
            // A report's sections have a folder of their own.
            path.parent().map_or(Ok(()), fs::create_dir_all)?;
            write_whole(&path, &bytes, file.as_deref())
        };
        blocking(attempted, write).await
    }

    async fn get(&self, key: &str) -> Result<Option<Vec<u8>>, Unavailable> {
        let path = self.root.join(key);
        let attempted = format!("read {key}");
        blocking(attempted, move || present(fs::read(path))).await
    }

    async fn size(&self, key: &str) -> Result<Option<u64>, Unavailable> {
        let path = self.root.join(key);
        let attempted = format!("find {key}");
        blocking(attempted, move || Ok(present(fs::metadata(path))?.map(|found| found.len()))).await
    }

    /// The file gets a second name, and keeps its bytes if the object is replaced or removed meanwhile.
    async fn fetch(&self, key: &str, file: &Path) -> Result<bool, Unavailable> {
        let (path, file) = (self.root.join(key), file.to_owned());
        let attempted = format!("read {key}");
        let link = move || {
            present(fs::remove_file(&file))?;
            let linked = fs::hard_link(&path, &file).or_else(|_| fs::copy(&path, &file).map(|_| ()));
            Ok(present(linked)?.is_some())
        };
        blocking(attempted, link).await
    }

    async fn accept(&self, _: &str, _: &str, _: u64, _: Duration) -> Result<Accepts, Unavailable> {
        Ok(Accepts::Draft(self.drafts.join(format!("{}.draft", Uuid::new_v4().simple()))))
    }

    async fn remove_under(&self, prefix: &str) -> Result<(), Unavailable> {
        let path = self.root.join(prefix);
        let attempted = format!("remove {prefix}");
        blocking(attempted, move || present(fs::remove_dir_all(path)).map(|_| ())).await
    }

    async fn open(&self, key: &str, _file_name: &str) -> Result<Option<Opened>, Unavailable> {
        let path = self.root.join(key);
        let attempted = format!("find {key}");
        blocking(attempted, move || Ok(present(fs::metadata(&path))?.map(|_| Opened::File(path)))).await
    }

    /// The record of the job that names the upload keeps it. One that is `fresh` is there until that is written.
    async fn keep(&self, key: &str, fresh: bool) -> Result<Option<u64>, Unavailable> {
        let Some(size) = self.size(key).await? else { return Ok(None) };
        let is_named = fresh || self.is_named(key).await.map_err(Unavailable::when(format!("keep {key}")))?;
        Ok(is_named.then_some(size))
    }

    async fn shortage(&self, bytes: u64) -> Result<Option<Shortage>, Unavailable> {
        let (root, reserve) = (self.root.clone(), self.reserve);
        let find = move || Ok(room(&root)?.and_then(|room| room.shortage(reserve, bytes)));
        blocking("find how much of the disk is free".into(), find).await
    }
}

/// How much room a file system has.
#[derive(Debug, Clone, Copy)]
struct Room {
    free: u64,
    total: u64,
}

impl Room {
    fn shortage(self, reserve: Option<u64>, bytes: u64) -> Option<Shortage> {
        let reserve = reserve.unwrap_or(MAX_DEFAULT_RESERVE.min(self.total / 20));
        let fits = self.free.checked_sub(bytes).is_some_and(|left| left >= reserve);
        (!fits).then_some(Shortage { free: self.free, reserve })
    }
}

/// What a file system tells its users at once; nothing where the system has no such call.
#[cfg(unix)]
fn room(folder: &Path) -> io::Result<Option<Room>> {
    let found = rustix::fs::statvfs(folder)?;
    let size = found.f_frsize;
    Ok(Some(Room { free: found.f_bavail.saturating_mul(size), total: found.f_blocks.saturating_mul(size) }))
}

#[cfg(not(unix))]
fn room(_: &Path) -> io::Result<Option<Room>> {
    Ok(None)
}

/// Writes a file so that it is there whole and on disk, or not at all.
pub(super) fn write_whole(path: &Path, bytes: &[u8], copied: Option<&Path>) -> io::Result<()> {
    let partial = path.with_extension(format!("{}.partial", Uuid::new_v4().simple()));
    let written = File::create(&partial).and_then(|mut file| {
        match copied {
            Some(from) => _ = io::copy(&mut File::open(from)?, &mut file)?,
            None => file.write_all(bytes)?,
        }
        file.sync_all()?;
        fs::rename(&partial, path)?;
        sync_folder(path)
    });
    if written.is_err() {
        // The error that matters is the first one.
        _ = fs::remove_file(&partial);
    }
    written
}

/// Puts a whole file under its name, on disk first. May be called again after an error.
fn move_whole(draft: &Path, path: &Path) -> io::Result<()> {
    let Some(file) = present(File::open(draft))? else {
        // It was moved before, and the folder was not synced.
        File::open(path)?;
        return sync_folder(path);
    };
    file.sync_all()?;
    match fs::rename(draft, path) {
        // A volume may be mounted below the data folder.
        Err(error) if error.kind() == io::ErrorKind::CrossesDevices => write_whole(path, &[], Some(draft)),
        renamed => renamed.and_then(|()| sync_folder(path)),
    }
}

/// Makes a rename durable where folders can be synced.
fn sync_folder(path: &Path) -> io::Result<()> {
    match path.parent() {
        Some(folder) if cfg!(unix) => File::open(folder)?.sync_all(),
        _ => Ok(()),
    }
}

pub(super) fn present<T>(result: io::Result<T>) -> io::Result<Option<T>> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// Does work that blocks on a thread of its own.
pub(super) async fn blocking<T: Send + 'static>(
    attempted: String,
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> Result<T, Unavailable> {
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result.map_err(Unavailable::when(attempted)),
        Err(panicked) => Err(Unavailable::when(attempted)(panicked)),
    }
}
