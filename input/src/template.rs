//! A template's schema and manifest, ready to check what is read.

use std::collections::HashMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use findings::escaped;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use crate::budget::{Budget, CutOff};
use crate::costly::Costly;
use crate::explain::Validator;
use crate::fault::{Fault, MAX_FAULTS};
use crate::manifest::{Columns, Manifest, RowsDeclaration, Totals};
use crate::numbers::Json;
use crate::plan::{Plan, reversed};
use crate::schema;
use crate::tally::{Tally, Unfit};

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
    /// The fields that the schema requires of a row.
    pub(crate) required: Vec<String>,
    /// Whether the schema takes no field but those that it describes.
    pub(crate) closed: bool,
    /// The fields that the schema describes.
    pub(crate) described: Vec<String>,
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

    /// The keywords of its schema that can make a check take too long.
    pub fn costly(&self) -> Vec<Costly> {
        self.whole.as_ref().map(Validator::costly).unwrap_or_default()
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
            required: schema.map(|schema| schema::required_of_rows(schema, field)).unwrap_or_default(),
            closed: schema.is_some_and(|schema| schema::is_closed_to_fields(schema, field)),
            described: schema.map(|schema| described(schema, field)).unwrap_or_default(),
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

    /// The places in the data that name fields of rows, as JSON Pointers in which `*` stands for every element.
    pub fn names(&self) -> Vec<String> {
        let columns = match &self.declaration.columns {
            Columns::Pointer(pointer) => Some(format!("{pointer}/*/field")),
            Columns::List(_) => None,
        };
        let totals = match &self.declaration.totals {
            Totals::Pointer(pointer) => Some(format!("{pointer}/*")),
            Totals::Names(_) => None,
        };
        columns.into_iter().chain(totals).collect()
    }

    /// The fields that are summed, given the data beside the rows; or why they cannot be resolved.
    pub fn summed(&self, rest: &Map<String, Value>) -> Result<Vec<String>, Fault> {
        Ok(Plan::new(self, rest)?.totals)
    }

    /// Whether the schema describes this field of rows, and so says itself whether they must have it.
    pub(crate) fn describes(&self, field: &str) -> bool {
        self.described.iter().any(|known| known == field)
    }

    /// What is wrong with the rows of data that fits the schema, beyond what a schema can say; [`MAX_FAULTS`] at most.
    pub fn faults_of(&self, data: &Json) -> Vec<Fault> {
        let Some(data) = data.exact().as_object() else { return Vec::new() };
        let rest = data.iter().filter(|(name, _)| *name != self.field());
        let rest: Map<_, _> = rest.map(|(name, value)| (name.clone(), value.clone())).collect();
        let mut faults = self.faults_of_period(&rest);
        match Plan::new(self, &rest) {
            Ok(plan) => faults.extend(self.faults_of_rows(plan, data.get(self.field()))),
            Err(fault) => faults.push(fault),
        }
        faults.truncate(MAX_FAULTS);
        faults
    }

    fn faults_of_rows(&self, plan: Plan, rows: Option<&Value>) -> Vec<Fault> {
        let (mut tally, mut faults) = (Tally::new(plan), Vec::new());
        let rows = rows.and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
        for (row, number) in rows.iter().filter_map(Value::as_object).zip(0..) {
            faults.extend(tally.add(row, number).into_iter().map(|unfit| self.fault(number, &unfit)));
            if faults.len() >= MAX_FAULTS {
                return faults;
            }
        }
        if !rows.is_empty() && faults.is_empty() {
            faults.extend(tally.faults());
        }
        faults
    }

    /// A value of the row of this number that its field cannot have.
    pub(crate) fn fault(&self, row: u64, (field, detail): &Unfit) -> Fault {
        Fault::new(format!("{}/{row}/{}", self.pointer(), escaped(field)), detail)
    }

    fn faults_of_period(&self, rest: &Map<String, Value>) -> Vec<Fault> {
        self.declaration.period.iter().filter_map(|period| reversed(period, rest)).collect()
    }

    /// Where the rows are in the data, as a JSON Pointer.
    pub fn pointer(&self) -> String {
        format!("/{}", escaped(self.field()))
    }

    /// What is wrong with the data beside the rows, which are there or not; [`MAX_FAULTS`] at most. `exact` has those members
    /// that templates read otherwise, and perhaps others.
    ///
    /// # Errors
    ///
    /// The check is beyond its budget, or was told to stop.
    pub fn faults_of_rest(
        &self,
        rest: &Map<String, Value>,
        exact: &Map<String, Value>,
        with_rows: bool,
        budget: &Budget,
    ) -> Result<Vec<Fault>, CutOff> {
        let mut data = rest.clone();
        if with_rows {
            data.entry(self.field()).or_insert_with(|| Value::Array(Vec::new()));
        }
        let data = data.into();
        match &self.rest {
            Some(validator) if !validator.is_valid(&data, budget)? => {
                faults(validator, &data, Some(&exact.clone().into()), budget)
            }
            // Of days that are none it cannot be said which comes first.
            _ => Ok(self.faults_of_period(rest)),
        }
    }
}

/// What is wrong with `data`; [`MAX_FAULTS`] at most.
pub(crate) fn faults(
    validator: &Validator,
    data: &Value,
    exact: Option<&Value>,
    budget: &Budget,
) -> Result<Vec<Fault>, CutOff> {
    let found = validator.violations(data, exact, "", MAX_FAULTS, budget)?;
    Ok(found.listed.into_iter().map(Fault::from).collect())
}

fn described(schema: &Value, field: &str) -> Vec<String> {
    schema::row_properties(schema, field).into_iter().map(|(name, _)| name.clone()).collect()
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
