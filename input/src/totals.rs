//! Exact sums of a row's fields.

use std::fmt::Write;

use rust_decimal::Decimal;
use serde_json::{Map, Value};

use crate::figures::{self, Inexact};
use crate::plan::field_of;
use crate::tally::{Unfit, is_there, not_a_number};

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

    /// Adds a row. A field that is absent, null or empty adds nothing; one that is no decimal number, or cannot be added
    /// exactly, is unfit.
    pub(crate) fn add(&mut self, row: &Map<String, Value>) -> Result<(), Vec<Unfit>> {
        let mut unfit = Vec::new();
        for (name, sum) in self.names.iter().zip(&mut self.values) {
            let (field, counts) = summand(name);
            let Some(value) = row.get(field).filter(|value| is_there(value)) else { continue };
            let added = match decimal(value, &mut self.digits) {
                Err(why) => Err(not_a_number(value, why)),
                Ok(number) if self.small && !is_small(&number, 15) => Err("it is large".into()),
                Ok(number) if !counts(&number) => continue,
                Ok(number) => exact_sum(*sum, number)
                    .ok_or_else(|| "the total has more digits than can be reckoned exactly".into()),
            };
            match added {
                Ok(total) => *sum = total,
                // Of several sums of a field, one says what is wrong.
                Err(_) if unfit.iter().any(|(known, _)| known == field) => {}
                Err(detail) => unfit.push((field.to_owned(), detail)),
            }
        }
        if unfit.is_empty() { Ok(()) } else { Err(unfit) }
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

/// The field that a total is of, and which of its values count: those below 0 of `amount<0`, the others of `amount>=0`.
fn summand(name: &str) -> (&str, fn(&Decimal) -> bool) {
    let counts: fn(&Decimal) -> bool = match name {
        _ if name.ends_with(">=0") => |value| *value >= Decimal::ZERO,
        _ if name.ends_with("<0") => |value| *value < Decimal::ZERO,
        _ => |_| true,
    };
    (field_of(name), counts)
}

/// A number, or a string that is one, as the kit's `rows` reads it: the typesetter's `cells.rs` has the same rule, and a
/// test of the processor holds the two together.
pub(crate) fn decimal(value: &Value, digits: &mut String) -> Result<Decimal, Inexact> {
    match value {
        Value::String(text) => figures::decimal(text),
        Value::Number(number) => {
            if let Some(number) = number.as_i64() {
                return Ok(number.into());
            }
            // To Typst, what is beyond 64 bits is a float.
            digits.clear();
            let double = number.as_f64().ok_or(Inexact::NotANumber)?;
            write!(digits, "{double}").map_err(|_| Inexact::NotANumber)?;
            figures::decimal(digits)
        }
        _ => Err(Inexact::NotANumber),
    }
}
