//! Products that are exact before they are rounded.

use num_bigint::BigInt;
use typst::diag::{StrResult, bail};
use typst::ecow::eco_format;
use typst::foundations::{Decimal, func};

/// The most factors of a product, and the most decimal places it is rounded to.
const MOST_FACTORS: usize = 8;
const MOST_PLACES: usize = 28;

/// The product of decimals, rounded half away from zero once: a decimal by itself has 28 digits, and would round each step.
#[func]
pub(crate) fn product(
    /// The decimal places of the product.
    digits: usize,
    /// What is multiplied.
    #[variadic]
    factors: Vec<Decimal>,
) -> StrResult<Decimal> {
    if factors.len() > MOST_FACTORS || digits > MOST_PLACES {
        bail!("a product has {MOST_FACTORS} factors and {MOST_PLACES} decimal places at most");
    }
    let (mut product, mut scale) = (BigInt::from(1), 0);
    for factor in factors {
        // Typst writes a minus, which is no hyphen.
        let written = eco_format!("{}", factor.abs());
        let (number, places) = number_and_places(&written).ok_or("a factor is no decimal")?;
        product *= if factor.is_negative() { -number } else { number };
        scale += places;
    }
    let digits = scale.min(digits);
    let rounded = rounded(product, scale - digits);
    let sign = if rounded < BigInt::ZERO { "-" } else { "" };
    let written = format!("{:0>width$}", rounded.magnitude().to_string(), width = digits + 1);
    let (whole, fraction) = written.split_at(written.len() - digits);
    let point = if fraction.is_empty() { "" } else { "." };
    format!("{sign}{whole}{point}{fraction}").parse().map_err(|_| "a product has more than 28 digits".into())
}

/// A decimal as a whole number and how many of its digits are decimal places.
fn number_and_places(written: &str) -> Option<(BigInt, usize)> {
    let (whole, fraction) = written.split_once('.').unwrap_or((written, ""));
    Some((format!("{whole}{fraction}").parse().ok()?, fraction.len()))
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
            let product = product(digits, decimals).expect("a product");
            assert_eq!(product, expected.parse().expect("a decimal"), "{factors:?}");
        }
        let large = || "79228162514264337593543950335".parse().expect("a decimal");
        assert!(product(0, vec![large(), large()]).is_err());
    }
}
