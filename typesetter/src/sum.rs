//! Sums that are exact or refused: by itself a decimal has 28 digits, and adds what has more with a rounded result.

use typst::diag::HintedStrResult;
use typst::foundations::{Decimal, Str, func};

use crate::refuse::refusal;

/// What is wrong with a figure whose sum would be rounded.
pub(crate) const TOO_LONG: &str = "makes a sum of more than 28 digits, which cannot be reckoned exactly";

/// The sum of decimals; data that has too many digits for it is refused.
#[func]
pub(crate) fn sum(
    /// The place in the data that is refused, as a JSON Pointer.
    pointer: Str,
    /// What is added.
    #[variadic]
    terms: Vec<Decimal>,
) -> HintedStrResult<Decimal> {
    let mut total = Decimal::ZERO;
    for term in terms {
        total = exact_sum(total, term).ok_or_else(|| refusal(&pointer, TOO_LONG))?;
    }
    Ok(total)
}

/// The sum, if it has all decimal places of both.
pub(crate) fn exact_sum(one: Decimal, other: Decimal) -> Option<Decimal> {
    let sum = one.checked_add(other)?;
    // Subtracting is exact where adding was.
    (sum.checked_sub(other) == Some(one) && sum.checked_sub(one) == Some(other)).then_some(sum)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_are_exact_or_none() {
        let decimal = |text: &str| text.parse::<Decimal>().expect("a decimal");
        for (one, other, expected) in [
            ("999999999999", "0.0049999999999999999999", None),
            ("999999999999", "0.0049999999999999", Some("999999999999.0049999999999999")),
            ("0", "0.0000000000000000000000000001", Some("0.0000000000000000000000000001")),
            ("79228162514264337593543950335", "1", None),
            ("-0.10", "0.1", Some("0.00")),
        ] {
            assert_eq!(exact_sum(decimal(one), decimal(other)), expected.map(decimal), "{one} + {other}");
        }
    }
}
