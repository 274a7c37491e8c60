//! A template's schema and manifest, ready to check what is read.

use std::collections::HashMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use crate::explain::Validator;
use crate::fault::{Fault, MAX_FAULTS};
use crate::manifest::{Manifest, RowsDeclaration};
use crate::schema;
use crate::totals::Sums;

/// What a template wants its data to be.
#[derive(Debug, Default)]
pub struct Template {
    pub(crate) whole: Option<Validator>,
    pub(crate) rows: Option<Rows>,
}

/// The same for a template that declares rows.
#[derive(Debug)]
pub struct Rows {
    declaration: RowsDeclaration,
    rest: Option<Validator>,
    pub(crate) row: Option<Validator>,
    pub(crate) kinds: HashMap<String, Kind>,
    pub(crate) least: u64,
    pub(crate) most: u64,
}

/// What the text of a CSV field is read as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Number,
    Boolean,
}

/// Why a template cannot be used.
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
    /// A file does not hold what it should.
    #[error("{path} is not what it should be: {reason}")]
    Broken {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
}

impl Template {
    /// Reads `schema.json` and `template.json` in a template's folder; anything goes where there is neither.
    pub fn read(folder: &Path) -> Result<Self, Unusable> {
        let schema: Option<Value> = read(&folder.join("schema.json"))?;
        let manifest: Option<Manifest> = read(&folder.join("template.json"))?;
        let broken = |reason| Unusable::Broken { path: folder.join("schema.json"), reason };
        Ok(Self {
            whole: schema.as_ref().map(schema::validator).transpose().map_err(broken)?,
            rows: manifest
                .and_then(|it| it.rows)
                .map(|it| Rows::new(it, schema.as_ref()))
                .transpose()
                .map_err(broken)?,
        })
    }

    /// A template that wants these rows.
    pub fn with_rows(rows: Rows) -> Self {
        Self { whole: None, rows: Some(rows) }
    }

    /// The rows, if the template declares any.
    pub fn rows(&self) -> Option<&Rows> {
        self.rows.as_ref()
    }
}

impl Rows {
    /// Rows as declared, to be checked against this schema; or what keeps them from being checked one by one.
    pub fn new(declaration: RowsDeclaration, schema: Option<&Value>) -> Result<Self, String> {
        let field = &declaration.field;
        let count = |keyword| {
            let of = |schema| schema::array_keyword(schema, field, keyword);
            // JSON Schema takes 3.0 for an integer.
            schema.and_then(of).and_then(Value::as_f64).map(|count| count as u64)
        };
        Ok(Self {
            rest: schema.map(|schema| schema::rest_validator(schema, field)).transpose()?,
            row: schema.map(|schema| schema::row_validator(schema, field)).transpose()?.flatten(),
            kinds: schema.map(|schema| kinds(schema, field)).unwrap_or_default(),
            least: count("minItems").unwrap_or(0),
            most: count("maxItems").unwrap_or(u64::MAX),
            declaration,
        })
    }

    /// What the template declares.
    pub fn declaration(&self) -> &RowsDeclaration {
        &self.declaration
    }

    /// The top-level property that is the array of rows.
    pub fn field(&self) -> &str {
        &self.declaration.field
    }

    /// The fields that are summed, given the data beside the rows; or why nobody can tell.
    pub fn summed(&self, rest: &Map<String, Value>) -> Result<Vec<String>, Fault> {
        Ok(Sums::declared(&self.declaration.totals, rest)?.names)
    }

    /// Where the rows are in the data, as a JSON Pointer.
    pub fn pointer(&self) -> String {
        format!("/{}", schema::escaped(self.field()))
    }

    /// What is wrong with the data beside the rows, which are there or not; [`MAX_FAULTS`] at most.
    pub fn faults_of_rest(&self, rest: &Map<String, Value>, with_rows: bool) -> Vec<Fault> {
        let Some(validator) = &self.rest else { return Vec::new() };
        let mut data = rest.clone();
        if with_rows {
            data.entry(self.field()).or_insert_with(|| Value::Array(Vec::new()));
        }
        faults(validator, &data.into(), "")
    }
}

/// What is wrong with `data`, which stands at `prefix`; [`MAX_FAULTS`] at most.
pub(crate) fn faults(validator: &Validator, data: &Value, prefix: &str) -> Vec<Fault> {
    validator.violations(data, prefix, MAX_FAULTS).into_iter().map(Fault::from).collect()
}

/// The fields whose text is not to stay text. Where the schema takes a string, it gets the string.
fn kinds(schema: &Value, field: &str) -> HashMap<String, Kind> {
    let each = schema::row_properties(schema, field).into_iter();
    each.filter_map(|(name, property)| Some((name.clone(), kind(property)?))).collect()
}

fn kind(property: &Value) -> Option<Kind> {
    let types: Vec<&str> = match property.get("type")? {
        Value::String(one) => vec![one],
        Value::Array(several) => several.iter().filter_map(Value::as_str).collect(),
        _ => return None,
    };
    match types {
        types if types.contains(&"string") => None,
        types if types.contains(&"number") || types.contains(&"integer") => Some(Kind::Number),
        types if types.contains(&"boolean") => Some(Kind::Boolean),
        _ => None,
    }
}

fn read<T: DeserializeOwned>(path: &Path) -> Result<Option<T>, Unusable> {
    match fs::read(path) {
        Ok(bytes) => {
            let json = serde_json::from_slice(&bytes);
            json.map(Some).map_err(|error| Unusable::Broken { path: path.to_owned(), reason: error.to_string() })
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(Unusable::Io { path: path.to_owned(), source }),
    }
}
