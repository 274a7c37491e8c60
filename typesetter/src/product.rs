//! Products that are exact before they are rounded.

use num_bigint::BigInt;
use typst::diag::{HintedStrResult, StrResult, bail};
use typst::ecow::eco_format;
use typst::foundations::{Array, Decimal, Value, func};

/// The most factors of a product.
const MOST_FACTORS: usize = 8;
/// The most decimal places that a product is rounded to.
const MOST_PLACES: usize = 28;

/// The product of decimals, rounded half away from zero once: a decimal by itself has 28 digits, and would round each step.
#[func]
pub(crate) fn product(
    /// The decimal places of the product.
    digits: usize,
    /// What is multiplied.
    #[variadic]
    factors: Vec<Decimal>,
    /// What is taken off the product before it is rounded, in percent.
    #[named]
    #[default]
    less: Decimal,
) -> StrResult<Decimal> {
    if factors.len() > MOST_FACTORS || digits > MOST_PLACES {
        bail!("a product has {MOST_FACTORS} factors and {MOST_PLACES} decimal places at most");
    }
    let one = Exact { units: BigInt::from(1), places: 0 };
    let mut product = if less.is_zero() { one } else { Exact::of(less)?.subtracted_from_hundred().hundredth() };
    for factor in factors {
        product = product.times(&Exact::of(factor)?);
    }
    let digits = product.places.min(digits);
    decimal(&product.rounded(digits), digits)
}

/// A percentage of each of some amounts, in parts that add up to `sum`: each without what is less than a unit of its last place,
/// then one unit more for each of the largest remainders, until nothing is missing. Of equal remainders the first comes first.
#[func]
pub(crate) fn allocate(
    /// The decimal places of the parts.
    digits: usize,
    /// What the parts add up to: the percentage of all amounts together, rounded.
    sum: Decimal,
    /// Decimals.
    amounts: Array,
    /// The percentage.
    percent: Decimal,
) -> HintedStrResult<Array> {
    let percent = Exact::of(percent)?.hundredth();
    let share = |amount: Value| Ok(Exact::of(amount.cast()?)?.times(&percent));
    let shares = amounts.into_iter().map(share).collect::<HintedStrResult<Vec<_>>>()?;
    let places = shares.iter().map(|share| share.places).fold(digits, usize::max);
    let unit = BigInt::from(10).pow((places - digits) as u32);
    let (mut parts, remainders): (Vec<_>, Vec<_>) =
        shares.iter().map(|share| (share.at(places) / &unit, share.at(places) % &unit)).unzip();
    let missing = Exact::of(sum)?.rounded(digits) - parts.iter().sum::<BigInt>();
    let step = if missing < BigInt::ZERO { BigInt::from(-1) } else { BigInt::from(1) };
    let mut by_remainder: Vec<usize> = (0..parts.len()).collect();
    by_remainder.sort_by_key(|&index| -&remainders[index] * &step);
    let units = usize::try_from(missing.magnitude()).unwrap_or(usize::MAX);
    by_remainder.into_iter().take(units).for_each(|index| parts[index] += &step);
    Ok(parts.iter().map(|part| decimal(part, digits).map(Value::Decimal)).collect::<StrResult<_>>()?)
}

/// A number of any length, in units of its last decimal place.
struct Exact {
    units: BigInt,
    places: usize,
}

impl Exact {
    fn of(decimal: Decimal) -> StrResult<Self> {
        // Typst writes a minus, which is no hyphen.
        let written = eco_format!("{}", decimal.abs());
        let (whole, fraction) = written.split_once('.').unwrap_or((&written, ""));
        let units: BigInt = format!("{whole}{fraction}").parse().map_err(|_| "a number is no decimal")?;
        Ok(Self { units: if decimal.is_negative() { -units } else { units }, places: fraction.len() })
    }

    fn times(&self, other: &Self) -> Self {
        Self { units: &self.units * &other.units, places: self.places + other.places }
    }

    fn hundredth(self) -> Self {
        Self { places: self.places + 2, ..self }
    }

    fn subtracted_from_hundred(self) -> Self {
        Self { units: BigInt::from(10).pow(self.places as u32 + 2) - self.units, ..self }
    }

    /// In units of a place that is no less than its last.
    fn at(&self, places: usize) -> BigInt {
        &self.units * BigInt::from(10).pow((places - self.places) as u32)
    }

    /// In units of a place, rounded half away from zero.
    fn rounded(&self, places: usize) -> BigInt {
        match self.places.checked_sub(places) {
            Some(digits) => rounded(self.units.clone(), digits),
            None => self.at(places),
        }
    }
}

/// So many units of a decimal place.
fn decimal(units: &BigInt, places: usize) -> StrResult<Decimal> {
    let sign = if *units < BigInt::ZERO { "-" } else { "" };
    let written = format!("{:0>width$}", units.magnitude().to_string(), width = places + 1);
    let (whole, fraction) = written.split_at(written.len() - places);
    let point = if fraction.is_empty() { "" } else { "." };
    format!("{sign}{whole}{point}{fraction}").parse().map_err(|_| "a product has more than 28 digits".into())
}

/// A number without its last `digits` digits, rounded half away from zero.
fn rounded(number: BigInt, digits: usize) -> BigInt {
    let unit = BigInt::from(10).pow(digits as u32);
    let half = &unit / 2;
    if number < BigInt::ZERO { (number - half) / unit } else { (number + half) / unit }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn number(written: &str) -> Decimal {
        written.parse().expect("a decimal")
    }

    #[test]
    fn a_percentage_of_any_length_is_taken_off_exactly() {
        let less = number("0.0000000000000000000000000001");
        assert_eq!(product(0, vec![number("0.5")], less), Ok(number("0")));
        assert_eq!(product(2, vec![number("200"), number("0.5")], number("12.5")), Ok(number("87.50")));
    }

    #[test]
    fn parts_add_up_and_the_largest_remainders_are_rounded_up() {
        for (sum, amounts, percent, expected) in [
            ("10.00", vec!["33.33", "33.33", "33.34"], "10", ["3.33", "3.33", "3.34"]),
            ("0.05", vec!["0.17", "0.17", "0.16"], "10", ["0.02", "0.02", "0.01"]),
            ("-0.05", vec!["-0.17", "-0.17", "-0.16"], "10", ["-0.02", "-0.02", "-0.01"]),
            ("0.00", vec!["1", "1", "1"], "0.0000000000000000000000000001", ["0.00", "0.00", "0.00"]),
        ] {
            let amounts = amounts.into_iter().map(|amount| Value::Decimal(number(amount))).collect();
            let parts = allocate(2, number(sum), amounts, number(percent)).expect("parts");
            let expected: Array = expected.map(|part| Value::Decimal(number(part))).into_iter().collect();
            assert_eq!(parts, expected, "{sum}");
        }
    }

    #[test]
    fn products_are_rounded_once() {
        for (factors, digits, expected) in [
            (["987971090164.1722", "116856438718.1475"], 2, "115450783153070966984298.45"),
            (["0.05", "0.1"], 2, "0.01"),
            (["-0.05", "0.1"], 2, "-0.01"),
            (["0.05", "0.099"], 2, "0.00"),
            (["3", "-7"], 2, "-21"),
            (["1.5", "1.5"], 0, "2"),
        ] {
            let decimals = factors.map(|factor| factor.parse().expect("a decimal")).to_vec();
            let product = product(digits, decimals, Decimal::ZERO).expect("a product");
            assert_eq!(product, expected.parse().expect("a decimal"), "{factors:?}");
        }
        let large = || "79228162514264337593543950335".parse().expect("a decimal");
        assert!(product(0, vec![large(), large()], Decimal::ZERO).is_err());
    }
}
