//! Days of the calendar.

use chrono::NaiveDate;

/// What a day looks like, in words.
pub(crate) const FORM: &str = "a day of the calendar as YYYY-MM-DD, from the year 1600 to 2999";

/// Whether a text is a day in [this form](FORM).
pub(crate) fn is_day(text: &str) -> bool {
    let bytes = text.as_bytes();
    if bytes.len() != 10 || bytes[4] != b'-' || bytes[7] != b'-' {
        return false;
    }
    let number = |digits: &[u8]| {
        digits.iter().try_fold(0, |number, digit| digit.is_ascii_digit().then(|| number * 10 + u32::from(digit - b'0')))
    };
    let (Some(year), Some(month), Some(day)) = (number(&bytes[..4]), number(&bytes[5..7]), number(&bytes[8..])) else {
        return false;
    };
    (1600..=2999).contains(&year) && NaiveDate::from_ymd_opt(year.cast_signed(), month, day).is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_is_in_the_calendar_and_in_one_form() {
        for day in ["2024-02-29", "1600-01-01", "2999-12-31"] {
            assert!(is_day(day), "{day}");
        }
        for day in [
            "2023-02-29",
            "0217-01-01",
            "3000-01-01",
            "31.01.2026",
            "2026-1-31",
            "2026-01-31T",
            "2026/01/31",
            "",
            "20é6-01-1",
        ] {
            assert!(!is_day(day), "{day}");
        }
    }
}
