//! Numbers with a decimal comma, as `1.234,50`.

use crate::names::quoted;

/// What may stand between groups of three digits: a point, or a blank of some width.
const GROUPING: [char; 4] = ['.', ' ', '\u{a0}', '\u{202f}'];

/// A number with a decimal comma as one with a decimal point.
pub(crate) fn with_point(text: &str) -> Result<String, String> {
    let (sign, unsigned) = text.strip_prefix('-').map_or(("", text), |unsigned| ("-", unsigned));
    let (whole, fraction) = unsigned.split_once(',').map_or((unsigned, None), |(whole, it)| (whole, Some(it)));
    let whole = ungrouped(whole).filter(|_| fraction.is_none_or(are_digits)).ok_or_else(|| {
        format!(
            "{} is not a number with a decimal comma, such as 0,50 or 1.234,50, in which a point or a blank stands between \
             groups of three digits only",
            quoted(text)
        )
    })?;
    let point = fraction.map(|fraction| format!(".{fraction}")).unwrap_or_default();
    Ok(format!("{sign}{whole}{point}"))
}

/// Whether a text has a comma and is a number only if that is a decimal comma.
pub(crate) fn is_meant(text: &str) -> bool {
    text.contains(',') && with_point(text).is_ok()
}

/// What is said of such a text where numbers have a decimal point.
pub(crate) fn hint(text: &str) -> String {
    format!(
        "{} is not a decimal number, such as 1234.50; for numbers with a decimal comma, send \"decimal_comma\": true to POST \
         /uploads, or give --decimal-comma",
        quoted(text)
    )
}

/// The digits of a whole number that may be in groups: one to three digits that do not begin with 0, then three in each
/// group, with the same sign between all of them.
fn ungrouped(whole: &str) -> Option<String> {
    let Some(sign) = whole.chars().find(|character| GROUPING.contains(character)) else {
        return are_digits(whole).then(|| whole.to_owned());
    };
    let (first, others) = whole.split_once(sign)?;
    let begins = are_digits(first) && first.len() <= 3 && !first.starts_with('0');
    let goes_on = others.split(sign).all(|group| are_digits(group) && group.len() == 3);
    (begins && goes_on).then(|| whole.replace(sign, ""))
}

fn are_digits(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_have_three_digits_and_one_sign_between_them() {
        for (text, number) in [
            ("0,500", "0.500"),
            ("-0,001", "-0.001"),
            ("1.234,50", "1234.50"),
            ("-12.345", "-12345"),
            ("1.234.567,8", "1234567.8"),
            ("123 456 789", "123456789"),
            ("1\u{a0}234", "1234"),
            ("1\u{202f}234,5", "1234.5"),
            ("1234567,5", "1234567.5"),
            ("0", "0"),
        ] {
            assert_eq!(with_point(text).as_deref(), Ok(number), "{text}");
        }
        for text in [
            "0.500",
            "-0.001",
            "01.500,5",
            "000.500",
            "1.234 567,50",
            "1 234.567",
            "1234.567",
            "1.23,5",
            "1.2345",
            "1..234",
            "1.",
            ".123",
            ",5",
            "5,",
            "",
            "-",
            "--1",
            "1,234.5",
            "1,2,3",
            "1.234.",
            "+1",
            "1 ",
            "1'234,50",
        ] {
            let refused = with_point(text).expect_err(text);
            assert!(refused.starts_with(&format!("`{text}` is not a number with a decimal comma")), "{refused}");
        }
    }

    #[test]
    fn a_decimal_comma_is_meant_where_a_number_has_one() {
        for (text, meant) in [("1.234,50", true), ("1,5", true), ("-325,00", true), ("1.5", false), ("1,234.5", false)]
        {
            assert_eq!(is_meant(text), meant, "{text}");
        }
    }
}
