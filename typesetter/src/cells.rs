//! What the kit's `rows` does once for every cell, in Rust: as Typst code it takes longer than the typesetting.
//!
//! The kit calls these functions as `pressrun.write-cells` and `pressrun.carry`. They know nothing of locales; the
//! kit tells them what to write.

use std::fmt::Write;
use std::ops::Range;
use std::str::FromStr;

use typst::diag::{HintedStrResult, HintedString, StrResult, bail};
use typst::ecow::{EcoString, eco_format};
use typst::foundations::{Array, Decimal, Dict, Module, Repr, Scope, Str, Value, func};
use typst::layout::Length;

use crate::cleaning::{has_controls, without_controls};
use crate::currency::minor_units;
use crate::kept::{self, Kept};
use crate::pieces::pieces;
use crate::plan::page_rows;
use crate::product::{allocate, product};
use crate::refuse::{refuse, refused_cell};
use crate::sheet::{self, part};
use crate::sum::{TOO_LONG, exact_sum, sum};

/// The most decimal places of a number that is written.
const MAX_DIGITS: usize = 20;

/// The module that templates see as `pressrun`.
pub(crate) fn module() -> Module {
    let mut scope = Scope::new();
    scope.define_func::<write_cells>();
    scope.define_func::<allocate>();
    scope.define_func::<carry>();
    scope.define_func::<minor_units>();
    scope.define_func::<page_rows>();
    scope.define_func::<pieces>();
    scope.define_func::<product>();
    scope.define_func::<refuse>();
    scope.define_func::<sum>();
    scope.define_func::<heights>();
    scope.define_func::<most>();
    scope.define_func::<kept::count>();
    scope.define_func::<kept::cut>();
    scope.define_func::<kept::keep>();
    scope.define_func::<sheet::count_cut>();
    scope.define_func::<sheet::fit>();
    scope.define_func::<sheet::sheet>();
    scope.define_func::<sheet::wrap>();
    Module::new("pressrun", scope)
}

/// Writes one field of all entries. `form` says how; see [`Form`]. What is not there comes out empty.
///
/// With `running`, each cell is that number and the sum of the field up to and with its entry.
#[func]
fn write_cells(
    /// Dictionaries.
    entries: Kept,
    /// The field; see [`Field`].
    field: Str,
    /// How to write it.
    form: Dict,
    /// The number of the first entry, for errors.
    first: i64,
    /// What a running sum starts from.
    #[named]
    running: Option<Decimal>,
) -> HintedStrResult<Array> {
    let (form, field) = (Form::new(&form)?, Field::new(&field));
    let mut running = running;
    let entries = entries.as_slice();
    let mut cells = Array::with_capacity(entries.len());
    for (number, entry) in (first..).zip(entries) {
        let explain = |problem: EcoString| refused_cell(number, field.name, &problem);
        let cell = match (&mut running, &form) {
            (Some(sum), Form::Number(form)) => {
                *sum = field.add(entry, *sum).map_err(explain)?;
                form.write(*sum).map_err(explain)?
            }
            _ => field.write(entry, &form).map_err(explain)?,
        };
        cells.push(Value::Str(cell.into()));
    }
    Ok(cells)
}

/// The sum of a field of all entries, on top of `start`.
#[func]
fn carry(
    /// Dictionaries.
    entries: Kept,
    /// The field; see [`Field`].
    field: Str,
    /// The sum before the entries.
    start: Decimal,
    /// The number of the first entry, for errors.
    first: i64,
) -> HintedStrResult<Decimal> {
    let field = Field::new(&field);
    (first..).zip(entries.as_slice()).try_fold(start, |sum, (number, entry)| {
        field.add(entry, sum).map_err(|problem| refused_cell(number, field.name, &problem))
    })
}

/// Of each two numbers side by side the greater.
#[func]
fn most(
    /// Numbers.
    one: Array,
    /// As many.
    other: Array,
) -> StrResult<Array> {
    let numbers = |array: Array| array.into_iter().map(Value::cast::<i64>).collect::<Result<Vec<_>, _>>();
    let wrong = |error: HintedString| error.message().clone();
    let (one, other) = (numbers(one).map_err(wrong)?, numbers(other).map_err(wrong)?);
    Ok(one.into_iter().zip(other).map(|(one, other)| Value::Int(one.max(other))).collect())
}

/// The heights of rows that have so many lines.
#[func]
fn heights(
    /// How many lines each row has.
    lines: Array,
    /// The height of a row of one line.
    row: Length,
    /// What each further line adds.
    pitch: Length,
) -> StrResult<Array> {
    let height = |count: Value| {
        let count: i64 = count.cast().map_err(|error: HintedString| error.message().clone())?;
        Ok(Value::Length(row + pitch * (count - 1) as f64))
    };
    lines.into_iter().map(height).collect()
}

/// A field of the entries. `amount<0` is the field `amount` where it is negative, and is written without its sign;
/// `amount>=0` is the field where it is not.
struct Field<'a> {
    name: &'a str,
    /// Whether only negative numbers count, or only others.
    negative: Option<bool>,
}

impl<'a> Field<'a> {
    fn new(field: &'a str) -> Self {
        let part = |suffix, negative| Some(Self { name: field.strip_suffix(suffix)?, negative: Some(negative) });
        part("<0", true).or_else(|| part(">=0", false)).unwrap_or(Self { name: field, negative: None })
    }

    /// The field's value in an entry, if there is something to write.
    fn value<'e>(&self, entry: &'e Value) -> Option<&'e Value> {
        let Value::Dict(entry) = entry else { return None };
        entry.get(self.name).ok().filter(|value| match value {
            Value::None => false,
            Value::Str(text) => !text.as_str().is_empty(),
            _ => true,
        })
    }

    fn counts(&self, number: Decimal) -> bool {
        self.negative.is_none_or(|negative| negative == (number.is_negative() && !number.is_zero()))
    }

    fn write(&self, entry: &Value, form: &Form) -> StrResult<EcoString> {
        match (self.value(entry), form) {
            (None, _) => Ok(EcoString::new()),
            (Some(value), Form::Number(form)) => match decimal(value)? {
                number if !self.counts(number) => Ok(EcoString::new()),
                number if self.negative == Some(true) => form.write(number.abs()),
                number => form.write(number),
            },
            (Some(value), Form::Text { lines }) => text(value, *lines),
            (Some(value), Form::Date(pattern)) => pattern.write(value),
        }
    }

    fn add(&self, entry: &Value, sum: Decimal) -> StrResult<Decimal> {
        let Some(value) = self.value(entry) else { return Ok(sum) };
        match decimal(value)? {
            number if !self.counts(number) => Ok(sum),
            number => exact_sum(sum, number).ok_or_else(|| TOO_LONG.into()),
        }
    }
}

/// Where a word may break; nothing to see where it does not.
const SOFT_HYPHEN: char = '\u{ad}';

/// How a column's values are written.
enum Form {
    /// As they are; over several lines, or with blanks for line ends.
    Text {
        lines: bool,
    },
    Date(DatePattern),
    Number(NumberForm),
}

/// How numbers are written.
struct NumberForm {
    digits: usize,
    point: EcoString,
    group: EcoString,
    /// The size of the groups beyond the first three digits.
    second: usize,
    /// The digits that must stand before the first three for these to be a group.
    least: usize,
    prefix: EcoString,
    suffix: EcoString,
}

impl Form {
    fn new(form: &Dict) -> StrResult<Self> {
        let kind: EcoString = part(form, "kind")?;
        Ok(match kind.as_str() {
            "text" => Form::Text { lines: part(form, "lines")? },
            "date" => Form::Date(DatePattern::new(&part::<EcoString>(form, "pattern")?)),
            "number" => Form::Number(NumberForm {
                digits: part::<usize>(form, "digits")?.min(MAX_DIGITS),
                point: part(form, "point")?,
                group: part(form, "group")?,
                second: part::<usize>(form, "second")?.max(1),
                least: part(form, "least")?,
                prefix: part(form, "prefix")?,
                suffix: part(form, "suffix")?,
            }),
            _ => bail!("unknown form `{kind}`"),
        })
    }
}

/// A value as text of one line, or of several.
fn text(value: &Value, lines: bool) -> StrResult<EcoString> {
    let text = match value {
        Value::Str(text) => text.as_str(),
        Value::Bool(value) => return Ok(if *value { "true" } else { "false" }.into()),
        Value::Int(_) | Value::Float(_) | Value::Decimal(_) => return plain_number(value),
        other => bail!("is {}, which cannot be written as text", other.ty()),
    };
    let cleaned = cleaned(text, lines);
    let text = cleaned.as_deref().unwrap_or(text);
    if !text.contains('\n') {
        return Ok(text.into());
    }
    let mut rows: Vec<&str> = text.split('\n').map(|row| row.trim_matches(' ')).collect();
    if !lines {
        rows.retain(|row| !row.is_empty());
        return Ok(rows.join(" ").into());
    }
    while rows.last().is_some_and(|row| row.is_empty()) {
        rows.pop();
    }
    Ok(rows.join("\n").into())
}

/// A text without controls, as the data is already, and on one line without soft hyphens; nothing if it is like that.
fn cleaned(text: &str, lines: bool) -> Option<String> {
    let hyphens = !lines && text.contains(SOFT_HYPHEN);
    if !hyphens && !has_controls(text) {
        return None;
    }
    let cleaned = without_controls(text);
    Some(if hyphens { cleaned.replace(SOFT_HYPHEN, "") } else { cleaned })
}

/// A number as text, with a minus rather than a hyphen.
fn plain_number(value: &Value) -> StrResult<EcoString> {
    Ok(match value {
        Value::Int(number) => eco_format!("{number}"),
        Value::Float(number) => eco_format!("{number}"),
        Value::Decimal(number) => eco_format!("{number}"),
        _ => EcoString::new(),
    }
    .replace("-", "−"))
}

/// How dates are written.
struct DatePattern(Vec<DatePart>);

/// A part of a date as it is written.
enum DatePart {
    /// The same in each.
    Text(EcoString),
    /// Where in `2026-11-26` it is.
    Digits(Range<usize>),
}

impl DatePattern {
    /// Reads a pattern of `{yyyy}`, `{mm}` and `{dd}`.
    fn new(pattern: &str) -> Self {
        let fields = [("{yyyy}", 0..4), ("{mm}", 5..7), ("{dd}", 8..10)];
        let (mut parts, mut rest) = (Vec::new(), pattern);
        while !rest.is_empty() {
            let found = fields.iter().filter_map(|(name, digits)| Some((rest.find(name)?, name.len(), digits.clone())));
            let Some((at, length, digits)) = found.min_by_key(|(at, ..)| *at) else {
                parts.push(DatePart::Text(rest.into()));
                break;
            };
            parts.push(DatePart::Text(rest[..at].into()));
            parts.push(DatePart::Digits(digits));
            rest = &rest[at + length..];
        }
        Self(parts)
    }

    fn write(&self, value: &Value) -> StrResult<EcoString> {
        let Value::Str(text) = value else { bail!("is {}, not a date of the form YYYY-MM-DD", value.repr()) };
        if !is_date(text) {
            bail!("is {}, not a date of the form YYYY-MM-DD in the calendar", value.repr());
        }
        let mut written = EcoString::new();
        for part in &self.0 {
            written.push_str(match part {
                DatePart::Text(text) => text,
                DatePart::Digits(digits) => &text[digits.clone()],
            });
        }
        Ok(written)
    }
}

/// Whether a text is a day in the calendar, written as `2026-11-26`.
fn is_date(text: &str) -> bool {
    let number = |digits: Range<usize>| {
        let digits = text.get(digits).filter(|digits| digits.bytes().all(|byte| byte.is_ascii_digit()));
        digits.and_then(|digits| digits.parse::<u32>().ok())
    };
    let (year, month, day) = (number(0..4), number(5..7), number(8..10));
    let date = year
        .zip(month)
        .zip(day)
        .and_then(|((year, month), day)| chrono::NaiveDate::from_ymd_opt(i32::try_from(year).ok()?, month, day));
    date.is_some() && text.len() == 10 && text.as_bytes()[4] == b'-' && text.as_bytes()[7] == b'-'
}

/// A number, or a string that is one, with all its digits. The crate `input` sums by the same rule.
fn decimal(value: &Value) -> StrResult<Decimal> {
    let read = match value {
        Value::Decimal(number) => Some(*number),
        Value::Int(number) => Some(Decimal::from(*number)),
        // The shortest digits that give the same float are the ones in the data.
        Value::Float(number) => Decimal::from_str(&eco_format!("{number}")).ok(),
        // Typst's decimals may also have underscores; JSON's numbers do not.
        Value::Str(text) if !text.as_str().contains('_') => Decimal::from_str(text).ok(),
        _ => None,
    };
    read.ok_or_else(|| eco_format!("is {}, not a number of at most 28 digits", value.repr()))
}

impl NumberForm {
    fn write(&self, value: Decimal) -> StrResult<EcoString> {
        let Some(rounded) = value.round(self.digits as i32) else { bail!("has too many digits") };
        let mut digits = EcoString::new();
        // Writing to a string cannot fail.
        write!(digits, "{}", rounded.abs()).ok();
        let (whole, fraction) = digits.split_once('.').unwrap_or((&digits, ""));
        let mut written = EcoString::new();
        if rounded.is_negative() && !rounded.is_zero() {
            written.push('−');
        }
        written.push_str(&self.prefix);
        self.push_groups(&mut written, whole);
        if self.digits > 0 {
            written.push_str(&self.point);
            written.push_str(fraction);
            (fraction.len()..self.digits).for_each(|_| written.push('0'));
        }
        written.push_str(&self.suffix);
        Ok(written)
    }

    /// "1234567" as 1,234,567 or 12,34,567.
    fn push_groups(&self, written: &mut EcoString, whole: &str) {
        if whole.len() < 3 + self.least {
            return written.push_str(whole);
        }
        let head = whole.len() - 3;
        for (index, digit) in whole.char_indices() {
            let before_last = index <= head && (head - index).is_multiple_of(self.second);
            if index > 0 && before_last {
                written.push_str(&self.group);
            }
            written.push(digit);
        }
    }
}
