//! Sections that are done are kept in the object store, so that the next attempt goes on from there.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use jobs::{Content, Held, Progress};
use sha2::{Digest, Sha256};
use tokio::task::spawn_blocking;
use typesetter::Request;

use crate::pipeline::Run;
use crate::sections::{LongError, Watch};

/// How often it is written down how far a run is.
const TELLING: Duration = Duration::from_secs(1);

/// The object that says that there may be sections.
const BEGUN: &str = "begun";

/// The sections of one job's report.
pub(crate) struct Checkpoints<'a> {
    run: &'a Run<'a>,
    /// What the keys of sections begin with. Another template, kit or release of Pressrun has other sections.
    prefix: String,
    /// Whether an earlier attempt may have left some.
    pub(crate) resumed: bool,
    told_at: Mutex<Instant>,
}

impl<'a> Checkpoints<'a> {
    pub(crate) async fn of(run: &'a Run<'a>, request: &Request) -> Result<Self, LongError> {
        run.is_long.store(true, Ordering::Relaxed);
        let (template, kit) = (request.template.clone(), request.kit.clone());
        let options = format!("{:?} {}", request.options, run.processor.section_rows);
        let digest =
            spawn_blocking(move || fingerprint(&template, &kit, &options)).await.map_err(io::Error::other)??;
        let prefix = format!("{}{digest}/", run.job.id.sections_prefix());
        let begun = format!("{prefix}{BEGUN}");
        let resumed = run.processor.objects.size(&begun).await?.is_some();
        if !resumed {
            run.processor.objects.put(&begun, "text/plain", Content::Bytes(b"")).await?;
        }
        Ok(Self { run, prefix, resumed, told_at: Mutex::new(Instant::now()) })
    }

    fn key(&self, section: usize, pages: u64) -> String {
        format!("{}{pages}-{section}.pdf", self.prefix)
    }

    /// Whether it is time to write down how far the run is.
    fn is_due(&self) -> bool {
        let mut told_at = self.told_at.lock().unwrap_or_else(PoisonError::into_inner);
        let due = told_at.elapsed() >= TELLING;
        if due {
            *told_at = Instant::now();
        }
        due
    }
}

#[async_trait]
impl Watch for Checkpoints<'_> {
    async fn recall(&self, section: usize, pages: u64, file: &Path) -> Result<bool, LongError> {
        if !self.resumed {
            return Ok(false);
        }
        let (objects, key) = (&self.run.processor.objects, self.key(section, pages));
        Ok(self.run.processor.closing.patience.insist(|| objects.fetch(&key, file)).await?)
    }

    async fn keep(&self, section: usize, pages: u64, file: &Path) -> Result<(), LongError> {
        let (objects, key) = (&self.run.processor.objects, self.key(section, pages));
        let put = || objects.put(&key, "application/pdf", Content::File(file));
        self.run.processor.closing.patience.insist(put).await?;
        self.run.sections.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }

    async fn hear(&self, progress: Progress) -> Result<(), LongError> {
        if !self.is_due() {
            return Ok(());
        }
        let run = self.run;
        match run.processor.closing.jobs.progress(run.job.id, run.owner, progress).await {
            Ok(Held::Yes) => Ok(()),
            Ok(Held::No) => Err(LongError::Overtaken),
            Err(error) => {
                tracing::warn!(%error, "nobody was told how far the report is");
                Ok(())
            }
        }
    }
}

/// What tells apart sections that would not be the same: of everything a template can see, and of how it is typeset.
fn fingerprint(template: &Path, kit: &Path, options: &str) -> io::Result<String> {
    let mut digest = Sha256::new();
    digest.update(env!("CARGO_PKG_VERSION"));
    digest.update(options);
    for folder in [template, kit] {
        for file in files(folder)? {
            let content = fs::read(&file)?;
            digest.update(file.strip_prefix(folder).unwrap_or(&file).as_os_str().as_encoded_bytes());
            digest.update((content.len() as u64).to_le_bytes());
            digest.update(content);
        }
    }
    Ok(digest.finalize().iter().take(16).map(|byte| format!("{byte:02x}")).collect())
}

/// The regular files in a folder and in those in it, in order; none if there is no such folder.
fn files(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries?,
    };
    let mut found = Vec::new();
    for entry in entries {
        let (kind, path) = {
            let entry = entry?;
            (entry.file_type()?, entry.path())
        };
        if kind.is_dir() {
            found.extend(files(&path)?);
        } else if kind.is_file() {
            found.push(path);
        }
    }
    found.sort();
    Ok(found)
}
