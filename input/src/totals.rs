//! Exact sums of a row's fields.

use std::fmt::Write;

use rust_decimal::Decimal;
use serde_json::{Map, Value};

use crate::fault::Fault;
use crate::manifest::Totals;

/// Sums that grow row by row.
#[derive(Debug, Default)]
pub(crate) struct Sums {
    pub(crate) names: Vec<String>,
    pub(crate) values: Vec<Decimal>,
    /// Whether only numbers are added that are [small](is_small).
    small: bool,
    /// Spares an allocation a number.
    digits: String,
}

impl Sums {
    /// Nothing summed yet of these fields.
    pub(crate) fn new(names: Vec<String>) -> Self {
        Self { values: vec![Decimal::ZERO; names.len()], names, small: false, digits: String::new() }
    }

    /// Nothing summed yet of the same fields, to be added to these sums [later](Self::plus).
    pub(crate) fn beside(&self) -> Self {
        Self { small: true, ..Self::new(self.names.clone()) }
    }

    /// The fields that a declaration means, given the data beside the rows.
    pub(crate) fn declared(totals: &Totals, rest: &Map<String, Value>) -> Result<Self, Fault> {
        let pointer = match totals {
            Totals::Names(names) => return Ok(Self::new(names.clone())),
            Totals::Pointer(pointer) => pointer,
        };
        let Some(named) = find(rest, pointer) else { return Ok(Self::default()) };
        let names = named.as_array().and_then(|names| names.iter().map(name).collect());
        names.map(Self::new).ok_or_else(|| Fault::new(pointer, "these are the fields to sum: an array of their names"))
    }

    /// Adds a row. A field that is absent or null adds nothing; one that is no decimal number, or cannot be added
    /// exactly, is a fault. Answers with the name of that field.
    pub(crate) fn add(&mut self, row: &Map<String, Value>) -> Result<(), (String, &'static str)> {
        for (name, sum) in self.names.iter().zip(&mut self.values) {
            let (field, counts) = summand(name);
            let value = match row.get(field) {
                None | Some(Value::Null) => continue,
                Some(value) => decimal(value, &mut self.digits).filter(|value| !self.small || is_small(value, 15)),
            };
            let value = value.ok_or_else(|| (field.to_owned(), "it is summed, so it must be a decimal number"))?;
            if !counts(&value) {
                continue;
            }
            let inexact = || (field.to_owned(), "the total has more digits than can be reckoned exactly");
            *sum = exact_sum(*sum, value).ok_or_else(inexact)?;
        }
        Ok(())
    }

    /// These sums and those made [beside](Self::beside) them of a million rows at the most, where none of those rows could
    /// have taken these out of what is exact, as it would have been found row by row.
    pub(crate) fn plus(&self, more: &[Decimal]) -> Option<Vec<Decimal>> {
        let sums = self.values.iter().zip(more);
        sums.map(|(sum, more)| exact_sum(*sum, *more).filter(|_| is_small(sum, 21))).collect()
    }
}

/// Whether it has so many digits and six decimals at the most. A million numbers of 15 digits then come to 27 digits, as does
/// a sum of 21 once it has six decimals, and 28 digits are always exact.
fn is_small(number: &Decimal, digits: u32) -> bool {
    number.scale() <= 6 && number.mantissa().unsigned_abs() < 10_u128.pow(digits)
}

/// The sum, with as many decimals as the number that has more.
fn exact_sum(sum: Decimal, value: Decimal) -> Option<Decimal> {
    let scale = sum.scale().max(value.scale());
    let mut total = sum.checked_add(value)?;
    if sum.is_zero() || value.is_zero() {
        // The library then answers with the other number as it is.
        total.rescale(scale);
    }
    (total.scale() == scale).then_some(total)
}

/// The field that a total is of, and which of its values count: `amount`, `amount>=0` or `amount<0`.
fn summand(name: &str) -> (&str, fn(&Decimal) -> bool) {
    if let Some(field) = name.strip_suffix(">=0") {
        (field, |value| *value >= Decimal::ZERO)
    } else if let Some(field) = name.strip_suffix("<0") {
        (field, |value| *value < Decimal::ZERO)
    } else {
        (name, |_| true)
    }
}

fn name(name: &Value) -> Option<String> {
    name.as_str().map(ToOwned::to_owned)
}

/// Follows a pointer whose first token is a member of `rest`.
fn find<'a>(rest: &'a Map<String, Value>, pointer: &str) -> Option<&'a Value> {
    let path = pointer.strip_prefix('/')?;
    let (first, deeper) = path.split_at(path.find('/').unwrap_or(path.len()));
    rest.get(&first.replace("~1", "/").replace("~0", "~"))?.pointer(deeper)
}

/// A number, or a string that is one, as the kit's `rows` reads it: the typesetter's `cells.rs` has the same rule, and a
/// test of the processor holds the two together.
fn decimal(value: &Value, digits: &mut String) -> Option<Decimal> {
    match value {
        // The library takes underscores between digits.
        Value::String(text) if !text.contains('_') => Decimal::from_str_exact(text).ok(),
        Value::Number(number) => {
            if let Some(number) = number.as_i64() {
                return Some(number.into());
            }
            // To Typst, what is beyond 64 bits is a float.
            digits.clear();
            write!(digits, "{}", number.as_f64()?).ok()?;
            Decimal::from_str_exact(digits).ok()
        }
        _ => None,
    }
}
