//! Currencies as ISO 4217 has them.

use iso_currency::Currency;
use typst::foundations::{Str, func};

/// The decimal places of amounts in a currency that ISO 4217 gives none, or does not know.
const USUAL: i64 = 2;

/// The decimal places of amounts in a currency: 2 for EUR, 0 for JPY, 3 for KWD.
#[func]
pub(crate) fn minor_units(
    /// The currency's code, such as "EUR".
    code: Str,
) -> i64 {
    Currency::from_code(&code).and_then(|currency| currency.exponent()).map_or(USUAL, i64::from)
}
