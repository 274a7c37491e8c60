//! The templates on offer: their names, schemas and samples, read from a folder and read again when they change.

use std::collections::HashMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::SystemTime;

use input::{Fault, Json, Manifest, Rows, Validator};
use jobs::Data;
use jobs::job::{is_template_name, shortened};
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

/// How many violations are told; data with more has one mistake many times.
const MAX_VIOLATIONS: usize = 1_000;

/// How much of a violation's text is told, in characters: it may quote the data.
const MAX_DETAIL_CHARS: usize = 400;

/// A folder of templates, each a folder `{name}/` with `main.typ`, `schema.json`, `sample.json` and `template.json`.
#[derive(Debug)]
pub struct Catalogue {
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

impl Catalogue {
    /// The templates in `folder`. Nothing is read yet.
    pub fn new(folder: impl Into<PathBuf>) -> Self {
        Self { folder: folder.into(), read: RwLock::default() }
    }

    /// The names of all templates, sorted.
    pub fn names(&self) -> Result<Vec<String>, Unusable> {
        let io = |source| Unusable::Io { path: self.folder.clone(), source };
        let mut names = Vec::new();
        for entry in fs::read_dir(&self.folder).map_err(io)? {
            let name = entry.map_err(io)?.file_name().to_string_lossy().into_owned();
            if self.folder_of(&name).is_some() {
                names.push(name);
            }
        }
        names.sort();
        Ok(names)
    }

    /// The template of this name, if there is one.
    pub fn find(&self, name: &str) -> Result<Option<Arc<Template>>, Unusable> {
        let Some(folder) = self.folder_of(name) else { return Ok(None) };
        let known = self.read.read().unwrap_or_else(PoisonError::into_inner).get(name).cloned();
        if let Some(template) = known.filter(|template| template.modified == modified(&folder)) {
            return Ok(Some(template));
        }
        let template = Arc::new(Template::read(name, &folder)?);
        self.read.write().unwrap_or_else(PoisonError::into_inner).insert(name.to_owned(), template.clone());
        Ok(Some(template))
    }

    fn folder_of(&self, name: &str) -> Option<PathBuf> {
        let folder = self.folder.join(name);
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
        let manifest = folder.join("template.json");
        let rows = read_json::<Manifest>(&manifest)?.and_then(|it| it.rows);
        let rows = rows.map(|rows| Rows::new(rows, schema.as_ref())).transpose();
        Ok(Self {
            name: name.to_owned(),
            rows: rows.map_err(|reason| Unusable::Manifest { path: manifest, reason })?,
            validator: validator.map_err(|reason| Unusable::Schema { path: folder.join("schema.json"), reason })?,
            schema,
            sample: read_json(&folder.join("sample.json"))?,
            modified,
        })
    }

    /// Every place where `data` is not as the template declares it; pointers start with `prefix`.
    pub fn violations(&self, data: &Json, prefix: &str) -> Vec<Violation> {
        let found = self.validator.as_ref().map(|it| violations(it, &data.plain, data.exact.as_ref(), prefix));
        let found = found.unwrap_or_default();
        if !found.is_empty() {
            return found;
        }
        let faults = self.rows.as_ref().map(|rows| rows.faults_of(data)).unwrap_or_default();
        faults.into_iter().map(|fault| fault.below(prefix).into()).collect()
    }

    /// Every place where data whose rows are elsewhere breaks the template's schema; pointers start with `prefix`. `exact` is
    /// the same data as templates read it.
    pub fn violations_of_rest(
        &self,
        rest: &Map<String, Value>,
        exact: &Map<String, Value>,
        prefix: &str,
    ) -> Vec<Violation> {
        let faults = self.rows.as_ref().map(|rows| rows.faults_of_rest(rest, exact, true)).unwrap_or_default();
        faults.into_iter().map(|fault| fault.below(prefix).into()).collect()
    }
}

pub(crate) fn violations(validator: &Validator, data: &Value, exact: Option<&Value>, prefix: &str) -> Vec<Violation> {
    // Nearly all data is, and to find that out takes half of what it takes to look for violations.
    if validator.is_valid(data) {
        return Vec::new();
    }
    let found = validator.violations(data, exact, prefix, MAX_VIOLATIONS).into_iter();
    found.map(|it| Violation { pointer: it.pointer, detail: shortened(&it.detail, MAX_DETAIL_CHARS) }).collect()
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
