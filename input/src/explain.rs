//! What is wrong with data that breaks a schema, in the words of the schema.

use std::collections::HashSet;

use findings::Violation;
use jsonschema::{Draft, ValidationError, error::ValidationErrorKind};
use serde_json::Value;

/// Where the checker of rows has the schema that they are a part of.
const WHOLE: &str = "/$defs/whole";

/// How much of a value is quoted, in characters.
const MAX_QUOTED_CHARS: usize = 60;

/// A checker of one schema, which knows what the schema says about its parts.
#[derive(Debug)]
pub struct Validator {
    compiled: jsonschema::Validator,
    schema: Value,
}

impl Validator {
    /// A checker of this schema, or what is wrong with the schema.
    pub(crate) fn new(schema: &Value) -> Result<Self, String> {
        let options = jsonschema::options().with_draft(Draft::Draft202012).should_validate_formats(true);
        let compiled = options.build(schema).map_err(|error| error.to_string())?;
        Ok(Self { compiled, schema: schema.clone() })
    }

    /// Whether data fits.
    pub fn is_valid(&self, data: &Value) -> bool {
        self.compiled.is_valid(data)
    }

    /// What is wrong with data that stands at `prefix`, `most` violations at most. `exact` is the data with decimal strings
    /// for the numbers that a double does not hold, if it has any: they are quoted as they were written.
    pub fn violations(&self, data: &Value, exact: Option<&Value>, prefix: &str, most: usize) -> Vec<Violation> {
        let errors: Vec<_> = self.compiled.iter_errors(data).take(most).collect();
        let places = |is: fn(&ValidationErrorKind) -> bool| -> HashSet<&str> {
            errors.iter().filter(|error| is(error.kind())).map(|error| error.instance_path().as_str()).collect()
        };
        let short = places(|kind| matches!(kind, ValidationErrorKind::MinLength { .. }));
        let formless = places(|kind| matches!(kind, ValidationErrorKind::Pattern { .. }));
        let told = errors.iter().filter(|error| {
            let place = error.instance_path().as_str();
            match error.kind() {
                // A value without the form of a day is no day either, and one that is too short has no form.
                ValidationErrorKind::Format { .. } => !formless.contains(place),
                ValidationErrorKind::Pattern { .. } => !short.contains(place),
                _ => true,
            }
        });
        let violation = |error: &ValidationError<'_>| Violation {
            line: None,
            column: None,
            pointer: format!("{prefix}{}", error.instance_path()),
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
            ValidationErrorKind::Pattern { .. } => self.misfit(error, &value()),
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
            _ => error.masked_with(value()).to_string(),
        }
    }

    fn misfit(&self, error: &ValidationError<'_>, value: &str) -> String {
        match self.description(error) {
            Some(description) => format!("{value} does not fit: {}", description.trim_end_matches('.')),
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

/// A value as JSON, or the beginning of it.
fn quoted(value: &Value) -> String {
    let json = value.to_string();
    match json.char_indices().nth(MAX_QUOTED_CHARS) {
        Some((end, _)) if value.is_string() => format!("{}…\"", &json[..end]),
        Some((end, _)) => format!("{}…", &json[..end]),
        None => json,
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
        validator.violations(data, None, "", 100).into_iter().map(|violation| violation.detail).collect()
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
        let found = validator.violations(&data, Some(&exact), "", 100).remove(0);
        assert_eq!(found.detail, "9007199254740993.01 is greater than the maximum of 1000000000000");
    }

    #[test]
    fn a_row_is_told_like_the_rest() {
        let validator = row_validator(&schema(), "rows").expect("a schema").expect("of rows");
        let told = details(&validator, &json!({"date": "today"}));
        assert_eq!(told, ["\"today\" does not fit: A calendar date, YYYY-MM-DD"]);
    }
}
