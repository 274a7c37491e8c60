//! The templates on offer: their names, schemas and samples, read from a folder and read again when they change.

use std::collections::HashMap;
use std::fmt;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::SystemTime;

use input::{Budget, Costly, CutOff, Fault, Json, Manifest, Rows, Validator};
use jobs::Data;
use jobs::job::{MAX_TEXT_CHARS, is_template_name, shortened};
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

/// How many violations are listed; data with more repeats one mistake.
const MAX_VIOLATIONS: usize = 1_000;

/// A folder of templates, each a folder `{name}/` with `main.typ`, `schema.json`, `sample.json` and `template.json`.
#[derive(Debug, Clone)]
pub struct Catalogue(Arc<Shelf>);

#[derive(Debug)]
struct Shelf {
    folder: PathBuf,
    read: RwLock<HashMap<String, Arc<Template>>>,
}

/// A template as callers see it.
#[derive(Debug)]
pub struct Template {
    /// Its name.
    pub name: String,
    /// What its data must look like (JSON Schema 2020-12); anything goes where there is none.
    pub schema: Option<Value>,
    /// Data that fits.
    pub sample: Option<Data>,
    /// What part of the data may be uploaded as rows; none where there is no manifest that says so.
    pub rows: Option<Rows>,
    /// The keywords of its schema that can make a check take too long.
    pub costly: Vec<Costly>,
    validator: Option<Validator>,
    modified: [Option<SystemTime>; 3],
}

/// One place where data breaks a schema.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// Where, as a JSON Pointer (RFC 6901).
    pub pointer: String,
    /// What is wrong there.
    pub detail: String,
}

impl Violation {
    /// A violation at this place. Both texts may quote the data, and are shortened.
    pub fn new(pointer: impl fmt::Display, detail: impl fmt::Display) -> Self {
        Self { pointer: shortened(pointer, MAX_TEXT_CHARS), detail: shortened(detail, MAX_TEXT_CHARS) }
    }
}

/// The places where data breaks a schema.
pub type Violations = input::Violations<Violation>;

impl From<Fault> for Violation {
    fn from(Fault { pointer, detail, .. }: Fault) -> Self {
        Self { pointer, detail }
    }
}

/// Why a template cannot be offered.
#[derive(Debug, thiserror::Error)]
pub enum Unusable {
    /// A file could not be read.
    #[error("cannot read {path}: {source}")]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A file is not JSON.
    #[error("{path} is not JSON: {source}")]
    Json {
        /// The file.
        path: PathBuf,
        /// What is wrong, with line and column.
        source: serde_json::Error,
    },
    /// What the manifest says and what the schema says do not go together.
    #[error("{path} does not go with the schema: {reason}")]
    Manifest {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// A schema is not one.
    #[error("{path} is not a JSON Schema: {reason}")]
    Schema {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
}

impl Unusable {
    /// The same with the file as callers know it: below the folder of templates.
    fn below(mut self, folder: &Path) -> Self {
        let (Self::Io { path, .. } | Self::Json { path, .. } | Self::Manifest { path, .. } | Self::Schema { path, .. }) =
            &mut self;
        if let Ok(below) = path.strip_prefix(folder) {
            *path = if below.as_os_str().is_empty() { "the folder of templates".into() } else { below.to_owned() };
        }
        self
    }
}

impl Catalogue {
    /// The templates in `folder`. Nothing is read yet.
    pub fn new(folder: impl Into<PathBuf>) -> Self {
        Self(Arc::new(Shelf { folder: folder.into(), read: RwLock::default() }))
    }

    /// The names of all templates, sorted.
    pub fn names(&self) -> Result<Vec<String>, Unusable> {
        let io = |source| Unusable::Io { path: self.0.folder.clone(), source };
        let mut names = Vec::new();
        for entry in fs::read_dir(&self.0.folder).map_err(io)? {
            let name = entry.map_err(io)?.file_name().to_string_lossy().into_owned();
            if self.folder_of(&name).is_some() {
                names.push(name);
            }
        }
        names.sort();
        Ok(names)
    }

    /// An error as callers are shown it, without the place of the templates on this machine.
    pub(crate) fn shown(&self, error: Unusable) -> Unusable {
        error.below(&self.0.folder)
    }

    /// Reads every template, so that the log says what is wrong with one before somebody asks for it. Blocks.
    pub fn read_all(&self) {
        for name in self.names().unwrap_or_default() {
            if let Err(error) = self.find(&name) {
                tracing::error!(%error, "a template cannot be offered");
            }
        }
    }

    /// The template of this name, if there is one.
    pub fn find(&self, name: &str) -> Result<Option<Arc<Template>>, Unusable> {
        let Some(folder) = self.folder_of(name) else { return Ok(None) };
        let known = self.0.read.read().unwrap_or_else(PoisonError::into_inner).get(name).cloned();
        if let Some(template) = known.filter(|template| template.modified == modified(&folder)) {
            return Ok(Some(template));
        }
        let template = Arc::new(Template::read(name, &folder)?);
        for costly in &template.costly {
            tracing::warn!(template = name, pointer = costly.pointer, "a schema is costly: {}", costly.reason);
        }
        self.0.read.write().unwrap_or_else(PoisonError::into_inner).insert(name.to_owned(), template.clone());
        Ok(Some(template))
    }

    fn folder_of(&self, name: &str) -> Option<PathBuf> {
        let folder = self.0.folder.join(name);
        let is_template = || folder.join("main.typ").is_file() || folder.join("schema.json").is_file();
        (is_template_name(name) && is_template()).then_some(folder)
    }
}

impl Template {
    /// Reads a template's schema and sample from its folder.
    pub fn read(name: &str, folder: &Path) -> Result<Self, Unusable> {
        let modified = modified(folder);
        let schema = read_json(&folder.join("schema.json"))?;
        let validator = schema.as_ref().map(input::validator).transpose();
        let validator = validator.map_err(|reason| Unusable::Schema { path: folder.join("schema.json"), reason })?;
        let manifest = folder.join("template.json");
        let rows = read_json::<Manifest>(&manifest)?.and_then(|it| it.rows);
        let rows = rows.map(|rows| Rows::new(rows, schema.as_ref())).transpose();
        Ok(Self {
            name: name.to_owned(),
            rows: rows.map_err(|reason| Unusable::Manifest { path: manifest, reason })?,
            costly: validator.as_ref().map(Validator::costly).unwrap_or_default(),
            validator,
            schema,
            sample: read_json(&folder.join("sample.json"))?,
            modified,
        })
    }

    /// Every place where `data` is not as the template declares it; pointers start with `prefix`.
    ///
    /// # Errors
    ///
    /// The check is beyond its budget, or was told to stop.
    pub fn violations(&self, data: &Json, prefix: &str, budget: &Budget) -> Result<Violations, CutOff> {
        if let Some(validator) = &self.validator {
            let found = validator.violations(&data.plain, data.exact.as_ref(), prefix, MAX_VIOLATIONS, budget)?;
            if !found.is_empty() {
                return Ok(told(found));
            }
        }
        let faults = self.rows.as_ref().map(|rows| rows.faults_of(data)).unwrap_or_default();
        let listed = faults.into_iter().map(|fault| fault.below(prefix).into()).collect();
        Ok(Violations { listed, more: 0 })
    }

    /// Every place where data whose rows are elsewhere breaks the template's schema; pointers start with `prefix`. `exact` is
    /// the same data as templates read it.
    ///
    /// # Errors
    ///
    /// The check is beyond its budget, or was told to stop.
    pub fn violations_of_rest(
        &self,
        rest: &Map<String, Value>,
        exact: &Map<String, Value>,
        prefix: &str,
        budget: &Budget,
    ) -> Result<Vec<Violation>, CutOff> {
        let faults = self.rows.as_ref().map(|rows| rows.faults_of_rest(rest, exact, true, budget));
        let faults = faults.transpose()?.unwrap_or_default();
        Ok(faults.into_iter().map(|fault| fault.below(prefix).into()).collect())
    }
}

/// Every place where a request breaks a schema of this program's own, whose checks are cheap.
pub(crate) fn violations(validator: &Validator, data: &Value, exact: Option<&Value>, prefix: &str) -> Vec<Violation> {
    match validator.violations(data, exact, prefix, MAX_VIOLATIONS, &Budget::default()) {
        Ok(found) => told(found).listed,
        Err(cut) => vec![Violation::new(prefix, cut)],
    }
}

/// Violations as callers see them: what is in a request has no line.
fn told(found: input::Violations) -> Violations {
    found.map(|jobs::Violation { pointer, detail, .. }| Violation { pointer, detail })
}

fn modified(folder: &Path) -> [Option<SystemTime>; 3] {
    ["schema.json", "sample.json", "template.json"]
        .map(|file| fs::metadata(folder.join(file)).and_then(|it| it.modified()).ok())
}

fn read_json<T: DeserializeOwned>(path: &Path) -> Result<Option<T>, Unusable> {
    match fs::read(path) {
        Ok(bytes) => {
            let json = serde_json::from_slice(&bytes);
            json.map(Some).map_err(|source| Unusable::Json { path: path.to_owned(), source })
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(Unusable::Io { path: path.to_owned(), source }),
    }
}
