//! What is wrong with data that breaks a schema, in the words of the schema.

use std::collections::HashSet;
use std::sync::Arc;

use findings::{MAX_TEXT_CHARS, Violation, Violations, shortened};
use jsonschema::{ValidationError, error::ValidationErrorKind};
use serde_json::Value;

use crate::budget::{Budget, CutOff, Meter};
use crate::costly::{Costly, costly};
use crate::keyword::{effort, is_pattern, options};
use crate::node::{Counted, Node, is_hidden};
use crate::pattern::Effort;

/// Where the checker of rows has the schema that they are a part of.
const WHOLE: &str = "/$defs/whole";

/// How much of a value is quoted, in characters.
const MAX_QUOTED_CHARS: usize = 60;

/// Where so few errors have so many reasons each that memory is full of them, the schema is at fault.
const FEW_ERRORS: usize = 100;

/// How many reasons an error may have on the average: of each branch that data does not fit, everything that it breaks.
const MANY_REASONS: usize = 100;

/// A checker of one schema, which knows what the schema says about its parts.
#[derive(Debug)]
pub struct Validator {
    compiled: jsonschema::Validator<Counted>,
    schema: Value,
    /// What each of the patterns for names may take.
    names: Arc<[Effort]>,
    /// The largest value that an error may quote from the schema, in bytes.
    quoted_bytes: usize,
}

impl Validator {
    /// A checker of this schema, or what is wrong with the schema.
    pub(crate) fn new(schema: &Value) -> Result<Self, String> {
        let compiled = options().build(schema).map_err(|error| error.to_string())?;
        let (mut names, mut quoted_bytes) = (Vec::new(), 0);
        walk(schema, &mut |keyword, value| match (keyword, value) {
            ("patternProperties", Value::Object(each)) => names.extend(each.keys().map(|pattern| effort(pattern))),
            ("enum" | "const", quoted) => quoted_bytes = quoted_bytes.max(quoted.to_string().len()),
            _ => {}
        });
        Ok(Self { compiled, schema: schema.clone(), names: names.into(), quoted_bytes })
    }

    /// The keywords that can make a check take too long.
    pub fn costly(&self) -> Vec<Costly> {
        costly(&self.schema)
    }

    /// Whether data fits.
    ///
    /// # Errors
    ///
    /// As of [`violations`](Self::violations).
    pub fn is_valid(&self, data: &Value, budget: &Budget) -> Result<bool, CutOff> {
        let meter = Meter::new(budget, &self.names);
        meter.run(|| self.compiled.is_valid(Node::root(data, &meter)))
    }

    /// What is wrong with data that stands at `prefix`; `most` violations are listed. `exact` is the data with decimal
    /// strings for the numbers that a double does not hold, if it has any: they are quoted as they were written.
    ///
    /// # Errors
    ///
    /// The check is beyond its budget, or was told to stop.
    pub fn violations(
        &self,
        data: &Value,
        exact: Option<&Value>,
        prefix: &str,
        most: usize,
        budget: &Budget,
    ) -> Result<Violations, CutOff> {
        let meter = Meter::new(budget, &self.names);
        let root = Node::root(data, &meter);
        // Nearly all data is, and to find that out takes half of what it takes to look for violations.
        if meter.run(|| self.compiled.is_valid(root))? {
            return Ok(Violations::default());
        }
        meter.count_errors(self.quoted_bytes + longest_pointer(data));
        let mut errors: Vec<_> = meter.run(|| self.compiled.iter_errors(root).collect())?;
        if meter.is_full() {
            // Of what was not shown, nothing can be said, nor of the whole.
            errors.retain(is_shown);
        }
        // Names have no parts: that there are many reasons why none fits is no fault.
        let is_of_names =
            |error: &ValidationError<'_>| matches!(error.kind(), ValidationErrorKind::PropertyNames { .. });
        let has_many_reasons = errors.len() < FEW_ERRORS && meter.errors() > errors.len() * MANY_REASONS;
        if meter.is_full() && has_many_reasons && !errors.iter().any(is_of_names) {
            return Err(CutOff::TooCostly);
        }
        let more = errors.len().saturating_sub(most);
        errors.truncate(most);
        Ok(Violations { listed: self.told(&errors, exact, prefix), more: more + usize::from(meter.is_full()) })
    }

    /// These errors, without those that follow from another one.
    fn told(&self, errors: &[ValidationError<'_>], exact: Option<&Value>, prefix: &str) -> Vec<Violation> {
        let places = |is: fn(&ValidationErrorKind) -> bool| -> HashSet<&str> {
            errors.iter().filter(|error| is(error.kind())).map(|error| error.instance_path().as_str()).collect()
        };
        let short = places(|kind| matches!(kind, ValidationErrorKind::MinLength { .. }));
        let formless = places(is_pattern);
        let told = errors.iter().filter(|error| {
            let place = error.instance_path().as_str();
            match error.kind() {
                // A value without the form of a day is no day either, and one that is too short has no form.
                ValidationErrorKind::Format { .. } => !formless.contains(place),
                kind if is_pattern(kind) => !short.contains(place),
                _ => true,
            }
        });
        let violation = |error: &ValidationError<'_>| Violation {
            line: None,
            column: None,
            pointer: shortened(format_args!("{prefix}{}", error.instance_path()), MAX_TEXT_CHARS),
            detail: self.explain(error, exact),
        };
        told.map(violation).collect()
    }

    /// One violation in a sentence without its full stop.
    fn explain(&self, error: &ValidationError<'_>, exact: Option<&Value>) -> String {
        let value = || match exact.and_then(|exact| exact.pointer(error.instance_path().as_str())) {
            Some(Value::String(written)) if error.instance().is_number() => written.clone(),
            _ => quoted(error.instance()),
        };
        match error.kind() {
            kind if is_pattern(kind) => self.misfit(error, &value()),
            ValidationErrorKind::AnyOf { .. } | ValidationErrorKind::OneOfNotValid { .. }
                if self.description(error).is_some() =>
            {
                self.misfit(error, &value())
            }
            ValidationErrorKind::PropertyNames { error } => self.explain(error, None),
            ValidationErrorKind::Format { format } if format == "date" => {
                format!("{} is not a day in the calendar", value())
            }
            ValidationErrorKind::Format { format } if format == "email" => {
                format!("{} is not an e-mail address", value())
            }
            _ => shortened(error.masked_with(value()), MAX_TEXT_CHARS),
        }
    }

    fn misfit(&self, error: &ValidationError<'_>, value: &str) -> String {
        match self.description(error) {
            Some(description) => {
                let description = description.trim_end_matches('.');
                shortened(format_args!("{value} does not fit: {description}"), MAX_TEXT_CHARS)
            }
            None => format!("{value} does not have the form that the schema asks for"),
        }
    }

    /// What the schema says where it has the keyword that data breaks.
    fn description(&self, error: &ValidationError<'_>) -> Option<&str> {
        let (at, _) = error.schema_path().as_str().rsplit_once('/')?;
        // The path is of the schema that a part of it may be checked by itself within.
        let part = self.schema.pointer(WHOLE).and_then(|whole| whole.pointer(at));
        part.or_else(|| self.schema.pointer(at))?.get("description")?.as_str()
    }
}

/// Whether an error is about what was shown.
fn is_shown(error: &ValidationError<'_>) -> bool {
    let value = error.instance();
    match error.kind() {
        // Names and the values of patterns are texts, and copied.
        ValidationErrorKind::PropertyNames { error } => error.instance().is_string() && !is_hidden(value),
        kind if is_pattern(kind) => value.is_string(),
        _ => !is_hidden(value) && !error.instance_path().as_str().is_empty(),
    }
}

/// A value as JSON, or the beginning of it.
fn quoted(value: &Value) -> String {
    // An ellipsis is put where it is cut.
    let json = shortened(value, MAX_QUOTED_CHARS);
    match json.strip_suffix(" …").filter(|start| start.chars().count() == MAX_QUOTED_CHARS) {
        Some(start) if value.is_string() => format!("{start}…\""),
        Some(start) => format!("{start}…"),
        None => json,
    }
}

/// The length of the longest pointer into a value, in bytes.
fn longest_pointer(value: &Value) -> usize {
    match value {
        Value::Object(members) => {
            let each = members.iter().map(|(name, value)| 1 + name.len() + longest_pointer(value));
            each.max().unwrap_or_default()
        }
        // An index has twenty digits at most.
        Value::Array(elements) => elements.iter().map(|value| 21 + longest_pointer(value)).max().unwrap_or_default(),
        _ => 0,
    }
}

/// Goes through all that a schema says, keyword by keyword.
fn walk(schema: &Value, seen: &mut impl FnMut(&str, &Value)) {
    match schema {
        Value::Object(members) => {
            for (keyword, value) in members {
                seen(keyword, value);
                walk(value, seen);
            }
        }
        Value::Array(elements) => elements.iter().for_each(|value| walk(value, seen)),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::schema::{row_validator, validator};

    fn schema() -> Value {
        json!({
            "properties": {
                "date": {"$ref": "#/$defs/date", "description": "Its day."},
                "code": {"type": "string", "pattern": "^[A-Z]+$"},
                "either": {"description": "A number or `none`.", "anyOf": [{"type": "number"}, {"const": "none"}]},
                "short": {"type": "string", "maxLength": 9},
                "rows": {"items": {"properties": {"date": {"$ref": "#/$defs/date"}}}},
            },
            "$defs": {"date": {
                "description": "A calendar date, YYYY-MM-DD.",
                "format": "date",
                "pattern": "^[0-9]{4}-[0-9]{2}-[0-9]{2}$",
            }},
        })
    }

    fn details(validator: &Validator, data: &Value) -> Vec<String> {
        let found = validator.violations(data, None, "", 100, &Budget::default()).expect("a cheap check");
        found.listed.into_iter().map(|violation| violation.detail).collect()
    }

    #[test]
    fn a_pattern_is_told_by_its_description() {
        let validator = validator(&schema()).expect("a schema");
        for (data, detail) in [
            (json!({"date": "2023-2-3"}), "\"2023-2-3\" does not fit: A calendar date, YYYY-MM-DD"),
            (json!({"date": "2023-02-30"}), "\"2023-02-30\" is not a day in the calendar"),
            (json!({"code": "é"}), "\"é\" does not have the form that the schema asks for"),
            (json!({"either": "some"}), "\"some\" does not fit: A number or `none`"),
            (json!({"short": 12}), "12 is not of type \"string\""),
        ] {
            assert_eq!(details(&validator, &data), [detail], "{data}");
        }
    }

    #[test]
    fn a_long_value_is_cut() {
        let validator = validator(&schema()).expect("a schema");
        let detail = details(&validator, &json!({"short": "é".repeat(1_000)})).remove(0);
        assert!(detail.ends_with("é…\" is longer than 9 characters"), "{detail}");
        assert!(detail.chars().count() < 100, "{detail}");
    }

    #[test]
    fn a_number_that_a_double_does_not_hold_is_quoted_as_written() {
        let validator = validator(&json!({"items": {"maximum": 1_000_000_000_000_i64}})).expect("a schema");
        let (data, exact) = (json!([9007199254740993.01_f64]), json!(["9007199254740993.01"]));
        let found = validator.violations(&data, Some(&exact), "", 100, &Budget::default()).expect("a cheap check");
        assert_eq!(found.listed[0].detail, "9007199254740993.01 is greater than the maximum of 1000000000000");
    }

    #[test]
    fn a_row_is_told_like_the_rest() {
        let validator = row_validator(&schema(), "rows").expect("a schema").expect("of rows");
        let told = details(&validator, &json!({"date": "today"}));
        assert_eq!(told, ["\"today\" does not fit: A calendar date, YYYY-MM-DD"]);
    }
}
