//! Sections that are done are kept in the object store, so that the next attempt goes on from there.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{LazyLock, Mutex, PoisonError};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use jobs::{Content, Held, Progress, Warning};
use sha2::{Digest, Sha256};
use tokio::task::spawn_blocking;
use typesetter::Request;

use crate::digest::{Digest32, Digesting};
use crate::pipeline::Run;
use crate::sections::{LongError, Settled, Watch};

/// How often it is written down how far a run is, after the first time.
const TELLING: Duration = Duration::from_secs(1);

/// The sections of one job's report.
pub(crate) struct Checkpoints<'a> {
    run: &'a Run<'a>,
    /// What the keys of sections begin with. Other data, another template, kit or build of Pressrun have other sections.
    prefix: String,
    /// Whether an earlier attempt may have left some.
    resumed: AtomicBool,
    told_at: Mutex<Option<Instant>>,
}

/// This build. Its version stays the same from one deployment to the next.
static BUILD: LazyLock<Digest32> = LazyLock::new(|| {
    let program = std::env::current_exe().and_then(File::open);
    // One that cannot be read counts as the same.
    program.and_then(digest_of).unwrap_or_default()
});

fn digest_of(mut file: File) -> io::Result<Digest32> {
    let mut read = Digesting::new(io::sink());
    io::copy(&mut file, &mut read)?;
    Ok(read.digest.finalize().into())
}

impl<'a> Checkpoints<'a> {
    pub(crate) async fn of(run: &'a Run<'a>, request: &Request, data: Digest32) -> Result<Self, LongError> {
        run.may_have_sections.store(true, Ordering::Relaxed);
        let (template, kit) = (request.template.clone(), request.kit.clone());
        let options = format!("{:?} {}", request.options, run.processor.section_rows);
        let fingerprint = spawn_blocking(move || fingerprint(&template, &kit, &options, &data));
        let fingerprint = fingerprint.await.map_err(io::Error::other)??;
        let prefix = format!("{}{fingerprint}/", run.job.id.sections_prefix());
        Ok(Self { run, prefix, resumed: AtomicBool::new(false), told_at: Mutex::default() })
    }

    fn key(&self, section: usize) -> String {
        format!("{}{section}.pdf", self.prefix)
    }

    fn warnings_key(&self, section: usize) -> String {
        format!("{}{section}.json", self.prefix)
    }

    fn plan_key(&self) -> String {
        format!("{}plan.json", self.prefix)
    }

    async fn put(&self, key: &str, content_type: &str, content: Content<'_>) -> Result<(), LongError> {
        let put = || self.run.processor.objects.put(key, content_type, content);
        self.run.processor.closing.patience.insist(put).await?;
        if self.run.has_advanced.swap(true, Ordering::Relaxed) {
            return Ok(());
        }
        match self.run.processor.closing.jobs.advanced(self.run.job.id, self.run.owner).await {
            Ok(Held::Yes) => Ok(()),
            Ok(Held::No) => Err(LongError::Overtaken),
            Err(error) => {
                tracing::warn!(%error, "this attempt counts, although it brought the job further");
                Ok(())
            }
        }
    }

    /// Whether it is time to write down how far the run is.
    fn is_due(&self) -> bool {
        let mut told_at = self.told_at.lock().unwrap_or_else(PoisonError::into_inner);
        let due = told_at.is_none_or(|at| at.elapsed() >= TELLING);
        if due {
            *told_at = Some(Instant::now());
        }
        due
    }
}

#[async_trait]
impl Watch for Checkpoints<'_> {
    async fn settled(&self) -> Result<Option<Settled>, LongError> {
        let (objects, key) = (&self.run.processor.objects, self.plan_key());
        let found = self.run.processor.closing.patience.insist(|| objects.get(&key)).await?;
        // What cannot be read is settled anew.
        let settled = found.and_then(|plan| serde_json::from_slice(&plan).ok());
        self.resumed.store(settled.is_some(), Ordering::Relaxed);
        Ok(settled)
    }

    async fn settle(&self, settled: &Settled) -> Result<(), LongError> {
        let plan = serde_json::to_vec(settled).map_err(io::Error::from)?;
        self.put(&self.plan_key(), "application/json", Content::Bytes(&plan)).await
    }

    async fn recall(&self, section: usize, file: &Path) -> Result<Option<Vec<Warning>>, LongError> {
        if !self.resumed.load(Ordering::Relaxed) {
            return Ok(None);
        }
        let (objects, patience) = (&self.run.processor.objects, &self.run.processor.closing.patience);
        let (key, warnings_key) = (self.key(section), self.warnings_key(section));
        if !patience.insist(|| objects.fetch(&key, file)).await? {
            return Ok(None);
        }
        let warnings = patience.insist(|| objects.get(&warnings_key)).await?;
        // A section whose warnings cannot be read is made again.
        Ok(warnings.map_or(Some(Vec::new()), |warnings| serde_json::from_slice(&warnings).ok()))
    }

    async fn keep(&self, section: usize, file: &Path, warnings: &[Warning]) -> Result<(), LongError> {
        // Before the section: one that is found has all its warnings.
        if !warnings.is_empty() {
            let warnings = serde_json::to_vec(warnings).map_err(io::Error::from)?;
            self.put(&self.warnings_key(section), "application/json", Content::Bytes(&warnings)).await?;
        }
        self.put(&self.key(section), "application/pdf", Content::File(file)).await
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
fn fingerprint(template: &Path, kit: &Path, options: &str, data: &Digest32) -> io::Result<String> {
    let mut digest = Sha256::new();
    digest.update(*BUILD);
    digest.update(data);
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
