//! Sections become one file on a thread of its own, while the next are being typeset.

use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};
use stitcher::{Stitched, Stitcher};
use tokio::sync::mpsc;
use tokio::task::{JoinHandle, spawn_blocking};

use crate::sections::LongError;

/// How many sections may wait to be stitched.
const WAITING: usize = 4;

/// A report that grows section by section.
pub(crate) struct Stitching {
    sections: mpsc::Sender<PathBuf>,
    stitched: JoinHandle<Result<Stitched, LongError>>,
}

impl Stitching {
    /// Begins a report of at most `max_bytes`, made known by `ident`.
    pub(crate) fn start(output: &Path, ident: &str, max_bytes: u64) -> Self {
        let (sections, waiting) = mpsc::channel(WAITING);
        let (output, id) = (output.to_owned(), id_of(ident));
        Self { sections, stitched: spawn_blocking(move || stitch(waiting, &output, id, max_bytes)) }
    }

    /// Adds a section and removes its file; answers whether more make sense.
    pub(crate) async fn append(&self, file: PathBuf) -> bool {
        self.sections.send(file).await.is_ok()
    }

    /// Ends the report.
    pub(crate) async fn finish(self) -> Result<Stitched, LongError> {
        drop(self.sections);
        self.stitched.await.unwrap_or_else(|error| std::panic::resume_unwind(error.into_panic()))
    }
}

fn stitch(
    mut sections: mpsc::Receiver<PathBuf>,
    output: &Path,
    id: [u8; 16],
    limit: u64,
) -> Result<Stitched, LongError> {
    let mut stitcher = Stitcher::new(BufWriter::new(File::create(output)?), id);
    while let Some(file) = sections.blocking_recv() {
        let appended = stitcher.append(&fs::read(&file)?)?;
        fs::remove_file(file)?;
        if appended.bytes > limit {
            return Err(typesetter::Error::OutputTooLarge { bytes: appended.bytes, limit }.into());
        }
    }
    let (mut file, stitched) = stitcher.finish()?;
    file.flush()?;
    if stitched.bytes > limit {
        return Err(typesetter::Error::OutputTooLarge { bytes: stitched.bytes, limit }.into());
    }
    Ok(stitched)
}

/// The file identifier of a report, always the same for the same one.
fn id_of(ident: &str) -> [u8; 16] {
    let digest = Sha256::digest(ident);
    std::array::from_fn(|index| digest[index])
}
