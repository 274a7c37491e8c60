//! What is to be found in an upload's rows: what its template declares of them, given the data beside them.

use std::collections::HashSet;

use serde_json::{Map, Value};

use crate::fault::Fault;
use crate::manifest::{Column, ColumnFormat, Columns, Period, Totals};
use crate::template::Rows;

/// What is looked at in every row.
#[derive(Debug, Default)]
pub(crate) struct Plan {
    /// The totals, as they are named.
    pub(crate) totals: Vec<String>,
    /// The fields that one row at least must have.
    pub(crate) wanted: Vec<Wanted>,
    /// The fields that hold numbers or dates, but for the summed ones.
    pub(crate) formats: Vec<(String, Kind)>,
    pub(crate) span: Option<Span>,
}

/// A field that one row at least must have.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Wanted {
    pub(crate) field: String,
    /// What names it, as a JSON Pointer into the data.
    pub(crate) pointer: String,
    /// Whether a column names it, which could be an optional one.
    pub(crate) of_column: bool,
}

/// What a field's values are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Number,
    Date,
}

/// The days that rows are of, from the first to the last, and the field that has them.
#[derive(Debug)]
pub(crate) struct Span {
    pub(crate) field: String,
    pub(crate) from: String,
    pub(crate) to: String,
}

impl Plan {
    /// What `rows` declares, given the data beside the rows; or why it cannot be resolved.
    pub(crate) fn new(rows: &Rows, rest: &Map<String, Value>) -> Result<Self, Fault> {
        let declaration = rows.declaration();
        let totals = totals(&declaration.totals, rest)?;
        let columns = columns(&declaration.columns, rest)?;
        let summed: HashSet<&str> = totals.iter().map(|(name, _)| field_of(name)).collect();
        let mut formats = Vec::new();
        for (Column { field, format, .. }, _) in &columns {
            let kind = match format {
                ColumnFormat::Text => continue,
                ColumnFormat::Date => Kind::Date,
                ColumnFormat::Number | ColumnFormat::Money | ColumnFormat::Percent => Kind::Number,
            };
            let format = (field_of(field).to_owned(), kind);
            let known = kind == Kind::Number && summed.contains(format.0.as_str());
            if !known && !formats.contains(&format) {
                formats.push(format);
            }
        }
        let dates = formats.iter().find(|(_, kind)| *kind == Kind::Date).map(|(field, _)| field.as_str());
        let span = declaration.period.as_ref().and_then(|period| Span::new(period, dates, rest));
        let wanted = wanted(rows, &columns, &totals);
        Ok(Self { wanted, formats, span, totals: totals.into_iter().map(|(name, _)| name).collect() })
    }
}

impl Wanted {
    /// How rows may be without it.
    pub(crate) fn way_out(&self) -> &'static str {
        if self.of_column { "; a column that may be empty says \"optional\": true" } else { "" }
    }
}

impl Span {
    fn new(period: &Period, dates: Option<&str>, rest: &Map<String, Value>) -> Option<Self> {
        let day = |pointer| find(rest, pointer)?.as_str().map(ToOwned::to_owned);
        let field = period.field.as_deref().or(dates)?;
        Some(Self { field: field.to_owned(), from: day(&period.from)?, to: day(&period.to)? })
    }
}

/// What is wrong with a period that ends before it begins.
pub(crate) fn reversed(period: &Period, rest: &Map<String, Value>) -> Option<Fault> {
    let (from, to) = (find(rest, &period.from)?.as_str()?, find(rest, &period.to)?.as_str()?);
    // As text, days are in their order.
    (to < from).then(|| Fault::new(&period.to, format!("the period ends on {to}, before it begins, on {from}")))
}

/// The field that a column or a total is of: `amount` of `amount`, `amount>=0` and `amount<0`.
pub(crate) fn field_of(name: &str) -> &str {
    name.strip_suffix(">=0").or_else(|| name.strip_suffix("<0")).unwrap_or(name)
}

/// The names of the totals, and what names each.
fn totals(totals: &Totals, rest: &Map<String, Value>) -> Result<Vec<(String, String)>, Fault> {
    let pointer = match totals {
        Totals::Names(names) => return Ok(names.iter().map(|name| (name.clone(), String::new())).collect()),
        Totals::Pointer(pointer) => pointer,
    };
    let name = |name: &Value, place: String| Some((name.as_str()?.to_owned(), place));
    elements(rest, pointer, name, "these are the fields to sum: an array of their names")
}

/// The columns, and what names the field of each.
fn columns(columns: &Columns, rest: &Map<String, Value>) -> Result<Vec<(Column, String)>, Fault> {
    let pointer = match columns {
        Columns::List(columns) => return Ok(columns.iter().map(|column| (column.clone(), String::new())).collect()),
        Columns::Pointer(pointer) => pointer,
    };
    let detail = "these are the columns: an array of objects, each with a `field` and perhaps a `format`, which is text, \
                  number, money, percent or date";
    elements(rest, pointer, |column, place| Some((column_of(column)?, format!("{place}/field"))), detail)
}

/// The elements of the array that a pointer leads to, each read with its own pointer; none where it leads nowhere. `detail` says
/// what they should be.
fn elements<T>(
    rest: &Map<String, Value>,
    pointer: &str,
    read: impl Fn(&Value, String) -> Option<T>,
    detail: &str,
) -> Result<Vec<T>, Fault> {
    let Some(found) = find(rest, pointer) else { return Ok(Vec::new()) };
    let read = |(index, element): (usize, &Value)| read(element, format!("{pointer}/{index}"));
    let elements = found.as_array().and_then(|elements| elements.iter().enumerate().map(read).collect());
    elements.ok_or_else(|| Fault::new(pointer, detail))
}

/// A column as the data has it, with members of the template's own.
fn column_of(column: &Value) -> Option<Column> {
    let format = column.get("format").map(|format| serde_json::from_value(format.clone()));
    Some(Column {
        field: column.get("field")?.as_str()?.to_owned(),
        format: format.transpose().ok()?.unwrap_or_default(),
        optional: column.get("optional").and_then(Value::as_bool).unwrap_or_default(),
    })
}

/// The fields that one row at least must have: those of columns and totals, unless a column or the schema says otherwise.
fn wanted(rows: &Rows, columns: &[(Column, String)], totals: &[(String, String)]) -> Vec<Wanted> {
    let optional: HashSet<&str> =
        columns.iter().filter(|(column, _)| column.optional).map(|(column, _)| field_of(&column.field)).collect();
    let of_columns = columns.iter().map(|(column, pointer)| (field_of(&column.field), pointer, true));
    let of_totals = totals.iter().map(|(name, pointer)| (field_of(name), pointer, false));
    let mut wanted: Vec<Wanted> = Vec::new();
    for (field, pointer, of_column) in of_columns.chain(of_totals) {
        let known = wanted.iter().any(|known| known.field == field);
        if !known && !optional.contains(field) && !rows.describes(field) {
            let pointer = if pointer.is_empty() { rows.pointer() } else { pointer.clone() };
            wanted.push(Wanted { field: field.to_owned(), pointer, of_column });
        }
    }
    wanted
}

/// Follows a pointer whose first token is a member of `rest`.
fn find<'a>(rest: &'a Map<String, Value>, pointer: &str) -> Option<&'a Value> {
    let deeper = pointer.strip_prefix('/')?.find('/').map_or("", |first| &pointer[first + 1..]);
    rest.get(&first_token(pointer)?)?.pointer(deeper)
}

/// The member that a pointer leads into.
pub(crate) fn first_token(pointer: &str) -> Option<String> {
    let first = pointer.strip_prefix('/')?.split('/').next()?;
    Some(first.replace("~1", "/").replace("~0", "~"))
}
