//! Which numbers are exact: the rule for JSON numbers that a double does not hold, and for decimal strings.
//!
//! A number that a signed 64-bit integer or a double holds stays a number. Any other one of at most 28 digits becomes a
//! decimal string with the digits as written, with which the kit reckons exactly. One of more digits is refused.

use rust_decimal::Decimal;

/// The most digits of a number.
pub const MOST_DIGITS: u32 = 28;

/// The most of a number that a message quotes, in characters.
const MOST_SHOWN: usize = 40;

/// Why a text is no exact number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Inexact {
    /// It is not a decimal number.
    NotANumber,
    /// It has more than [`MOST_DIGITS`].
    TooLong,
}

/// Whether a template reads this JSON number as it is written.
pub(crate) fn is_held(number: &str) -> bool {
    if number.parse::<i64>().is_ok() {
        return true;
    }
    let double = number.parse().unwrap_or(f64::INFINITY);
    double.is_finite() && Figure::of(number) == Figure::of(&double.to_string())
}

/// A JSON number as a decimal string.
pub(crate) fn decimal_text(number: &str) -> Result<String, Inexact> {
    if !number.contains(['e', 'E']) && decimal(number).is_ok() {
        return Ok(number.to_owned());
    }
    let text = Figure::of(number).plain().ok_or(Inexact::TooLong)?;
    decimal(&text).map(|_| text)
}

/// A decimal string as a number.
pub(crate) fn decimal(text: &str) -> Result<Decimal, Inexact> {
    // The library takes underscores between digits.
    let read = if text.contains('_') { None } else { Decimal::from_str_exact(text).ok() };
    match read {
        Some(number) if has_few_digits(&number) => Ok(number),
        None if !is_decimal(text) => Err(Inexact::NotANumber),
        _ => Err(Inexact::TooLong),
    }
}

/// What is said of a number of more than [`MOST_DIGITS`].
pub(crate) fn too_long(number: &str) -> String {
    let end = number.char_indices().nth(MOST_SHOWN).map(|(end, _)| end);
    let (shown, rest) = number.split_at(end.unwrap_or(number.len()));
    let more = if rest.is_empty() { "" } else { "…" };
    format!("{shown}{more} has more than {MOST_DIGITS} digits, the most that a number may have")
}

fn has_few_digits(number: &Decimal) -> bool {
    const BEYOND: u128 = 10_u128.pow(MOST_DIGITS);
    let mantissa = number.mantissa().unsigned_abs();
    // With 29 digits, the last one is not one if it is 0.
    mantissa < BEYOND || mantissa.is_multiple_of(10)
}

/// Whether a text is digits with at most one point among them and at most one sign before them.
fn is_decimal(text: &str) -> bool {
    let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
    let points = digits.bytes().filter(|byte| *byte == b'.').count();
    points <= 1 && digits.len() > points && digits.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.')
}

/// A number without its notation: its digits from the first to the last that is not 0, times a power of ten.
#[derive(Debug, PartialEq, Eq)]
struct Figure {
    negative: bool,
    digits: String,
    power: i64,
}

impl Figure {
    /// Reads a JSON number.
    fn of(number: &str) -> Self {
        let unsigned = number.strip_prefix('-');
        let (mantissa, power) =
            unsigned.unwrap_or(number).split_once(['e', 'E']).unwrap_or((unsigned.unwrap_or(number), "0"));
        let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        let written = format!("{whole}{fraction}");
        let digits = written.trim_end_matches('0');
        let zeros = written.len() - digits.len();
        let digits = digits.trim_start_matches('0');
        if digits.is_empty() {
            return Self { negative: false, digits: String::new(), power: 0 };
        }
        // A power that is no 64-bit integer is beyond all limits.
        let most = if power.starts_with('-') { i64::MIN / 2 } else { i64::MAX / 2 };
        let power = power.parse().unwrap_or(most).clamp(i64::MIN / 2, i64::MAX / 2);
        let power = power + zeros as i64 - fraction.len() as i64;
        Self { negative: unsigned.is_some(), digits: digits.to_owned(), power }
    }

    /// All its digits, without a power; nothing if they are far too many.
    fn plain(&self) -> Option<String> {
        let sign = if self.negative { "-" } else { "" };
        let far = i64::from(2 * MOST_DIGITS);
        if self.digits.len() as i64 > far || self.power.abs() > far {
            return None;
        }
        let zeros = |count: i64| "0".repeat(usize::try_from(count).unwrap_or(0));
        if self.power >= 0 {
            return Some(format!("{sign}{}{}", self.digits, zeros(self.power)));
        }
        let digits = format!("{}{}", zeros(1 - self.power - self.digits.len() as i64), self.digits);
        let (whole, fraction) = digits.split_at(digits.len().checked_add_signed(self.power as isize)?);
        Some(format!("{sign}{whole}.{fraction}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_double_holds_stays_as_it_is() {
        for number in [
            "0",
            "-0",
            "-0.0",
            "0e999999999999999999999",
            "1.10",
            "0.1",
            "1e300",
            "1E2",
            "5e-324",
            "9223372036854775807",
            "-9223372036854775808",
            "10000000000000000000",
            "9223372036854776000",
            "123456789.123456",
        ] {
            assert!(is_held(number), "{number}");
        }
    }

    #[test]
    fn what_a_double_does_not_hold_becomes_a_decimal_string() {
        for (number, text) in [
            ("9223372036854775808", "9223372036854775808"),
            ("9007199254740993.01", "9007199254740993.01"),
            ("9007199254740993.0", "9007199254740993.0"),
            ("-0.1234567890123456789", "-0.1234567890123456789"),
            ("12345678901234567890e-2", "123456789012345678.9"),
            ("1.2345678901234567891E+20", "123456789012345678910"),
            ("9007199254740993.00000000000000000", "9007199254740993"),
            ("1234567890123456789012345678", "1234567890123456789012345678"),
        ] {
            assert!(!is_held(number), "{number}");
            assert_eq!(decimal_text(number).as_deref(), Ok(text));
        }
    }

    #[test]
    fn more_digits_are_refused() {
        for number in [
            "12345678901234567890123456789",
            "123456789012345678901234567890",
            "1e400",
            "1e-400",
            "1.5e99999999999999999999",
            "0.12345678901234567890123456789",
            "1e-99999999999999999999",
        ] {
            assert!(!is_held(number), "{number}");
            assert_eq!(decimal_text(number), Err(Inexact::TooLong), "{number}");
        }
        assert_eq!(decimal("1,5"), Err(Inexact::NotANumber));
        assert_eq!(decimal("-"), Err(Inexact::NotANumber));
        assert_eq!(decimal(&"9".repeat(29)), Err(Inexact::TooLong));
        assert_eq!(
            too_long(&"9".repeat(50)),
            format!("{}… has more than 28 digits, the most that a number may have", "9".repeat(40))
        );
    }
}
