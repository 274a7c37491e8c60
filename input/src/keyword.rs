//! The keyword `pattern`, each match of which ends within the [budget](crate::budget) of its check.

use std::sync::Arc;

use jsonschema::paths::Location;
use jsonschema::{
    Draft, Keyword, PatternOptions, Retrieve, ValidationError, ValidationOptions, error::ValidationErrorKind,
};
use jsonschema_regex::to_rust_regex;
use serde_json::{Map, Value, json};

use crate::linear::Linear;
use crate::node::{Counted, Node};
use crate::pattern::{Effort, lookaround, skips_white_space, trying};

/// The keyword's name.
const PATTERN: &str = "pattern";

/// How often a pattern that is matched by trying may try another way, on one text.
const MAX_BACKTRACKS: usize = 100_000;

/// Whether data broke a pattern.
pub(crate) fn is_pattern(kind: &ValidationErrorKind) -> bool {
    match kind {
        ValidationErrorKind::Custom { keyword, .. } => keyword == PATTERN,
        kind => matches!(kind, ValidationErrorKind::Pattern { .. }),
    }
}

/// How schemas are read.
pub(crate) fn options() -> ValidationOptions<'static, Arc<dyn Retrieve>, Counted> {
    plain_options().with_keyword(PATTERN, keyword)
}

fn plain_options() -> ValidationOptions<'static, Arc<dyn Retrieve>, Counted> {
    let options = jsonschema::options_for::<Counted>().with_draft(Draft::Draft202012).should_validate_formats(true);
    options.with_pattern_options(PatternOptions::fancy_regex().backtrack_limit(MAX_BACKTRACKS))
}

/// What a match with a pattern of a schema may take.
pub(crate) fn effort(pattern: &str) -> Effort {
    linear(pattern).map_or_else(|| trying(pattern), |linear| linear.effort())
}

/// The matcher in linear time, if there is one.
fn linear(pattern: &str) -> Option<Linear> {
    // Where white space is skipped, the library reads other quantifiers than the automaton's.
    let is_same = lookaround(pattern) == 0 && !skips_white_space(pattern);
    let translated = to_rust_regex(pattern).ok().filter(|_| is_same)?;
    Linear::new(&translated).ok()
}

enum Pattern {
    Linear(Box<Linear>),
    /// The library's own keyword, and what a match may take.
    Trying(Box<jsonschema::Validator<Counted>>, Effort),
}

fn keyword<'a>(
    _: &'a Map<String, Value>,
    pattern: &'a Value,
    _: Location,
) -> Result<Box<dyn for<'i> Keyword<'i, Counted>>, ValidationError<'a>> {
    // It says which patterns are none, too.
    let own = plain_options().build(&json!({ PATTERN: pattern }))?;
    let text = pattern.as_str().unwrap_or_default();
    let linear = linear(text).map(|linear| Pattern::Linear(Box::new(linear)));
    Ok(Box::new(linear.unwrap_or_else(|| Pattern::Trying(Box::new(own), trying(text)))))
}

impl<'i> Keyword<'i, Counted> for Pattern {
    fn validate(&self, node: Node<'i>) -> Result<(), ValidationError<'i>> {
        let Some((text, meter)) = node.text() else { return Ok(()) };
        let result = match self {
            Self::Linear(linear) if linear.is_match(text, meter) => Ok(()),
            Self::Linear(_) => Err(ValidationError::custom("does not have the form that the schema asks for")),
            Self::Trying(own, effort) => {
                meter.attempt(&[*effort], text.len());
                own.validate(node)
            }
        };
        // A keyword of one's own copies what it is about.
        result.inspect_err(|_| meter.copy(text.len()))
    }

    fn is_valid(&self, node: Node<'i>) -> bool {
        let Some((text, meter)) = node.text() else { return true };
        match self {
            Self::Linear(linear) => linear.is_match(text, meter),
            Self::Trying(own, effort) => {
                meter.attempt(&[*effort], text.len());
                own.is_valid(node)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::budget::{Budget, Meter};

    /// Whether a text matches, by a schema's reader.
    fn is_match(
        options: &ValidationOptions<'static, Arc<dyn Retrieve>, Counted>,
        pattern: &str,
        text: &str,
    ) -> Option<bool> {
        let validator = options.build(&json!({ PATTERN: pattern })).ok()?;
        let (meter, text) = (Meter::new(&Budget::default(), &Arc::default()), json!(text));
        meter.run(|| validator.is_valid(Node::root(&text, &meter))).ok()
    }

    fn assert_unchanged(pattern: &str, text: &str) {
        let (now, before) = (is_match(&options(), pattern, text), is_match(&plain_options(), pattern, text));
        assert_eq!(now, before, "{pattern:?} {text:?}");
    }

    #[test]
    fn texts_match_as_they_do_by_the_library() {
        let long = format!("{}é{}", "ab".repeat(600), "c".repeat(1_023));
        for pattern in [
            "",
            "^$",
            "é",
            "c$",
            "^(ab)+é",
            "ab?c",
            "\\bé",
            "\\b",
            "\\B",
            "^\\B",
            "(?-u:\\B)",
            "(?-u:\\b)c",
            "[^\\s\\S]",
            "a++b",
            "(?:a|ab)++c",
            "(?m)^b$",
            "(?mR)^b$",
            "(?R)a.b",
            "a.b",
            "(?i)É",
            "\\p{Lu}",
            "\\cA",
            "(?x)a b # c",
            "(?x)^a+ +a$",
            "(?ix:^a+ # [\n+a$)",
            "(?<n>a)",
            "^\\S*$",
            "^(a|b)$",
            "^ab",
            "(?=b)b",
            "(a)\\1",
            "[a&&b]",
            "(?U)a+",
            "\\d{3}",
            "^.{0,2000}$",
            "(",
            "a{2,1}",
            "\\z",
            "\\A",
            "\\h",
            "\\<a",
            "a{,2}",
            "*",
            "(?R)",
            "(?#a)",
            "\\N",
            "\\K",
            "\\Z",
        ] {
            for text in [
                "",
                "a",
                "ab",
                "aéa",
                "é",
                "É",
                "a\r\nb",
                "\r\nb\r\n",
                "aab",
                "abc",
                "aa",
                "&",
                "\u{1}",
                "\u{2028}",
                "١٢٣",
                &long,
            ] {
                assert_unchanged(pattern, text);
            }
        }
    }

    /// A pattern that may have any of what is matched in linear time.
    fn patterns() -> impl Strategy<Value = String> {
        let atom = proptest::sample::select(vec![
            "a",
            "b",
            "é",
            "€",
            ".",
            "\\n",
            "\\r",
            "\\s",
            "\\w",
            "\\d",
            "[^a]",
            "[a-cé]",
            "\\b",
            "\\B",
            "^",
            "$",
            "(?m:^)",
            "(?m:$)",
            "(?mR:$)",
            "(?s:.)",
            "(?i:É)",
            "(?-u:\\B)",
        ]);
        atom.prop_map(str::to_owned).prop_recursive(4, 16, 3, |inner| {
            let repeats = proptest::sample::select(vec!["*", "+", "?", "{2}", "{0,3}", "*?", "+?"]);
            prop_oneof![
                proptest::collection::vec(inner.clone(), 1..4).prop_map(|parts| parts.concat()),
                proptest::collection::vec(inner.clone(), 1..4).prop_map(|parts| format!("(?:{})", parts.join("|"))),
                (inner, repeats).prop_map(|(part, repeat)| format!("({part}){repeat}")),
            ]
        })
    }

    proptest! {
        #[test]
        fn random_texts_match_as_they_do_by_the_library(
            pattern in patterns(),
            texts in proptest::collection::vec("[ab1 é€É\\r\\n]{0,8}", 8),
        ) {
            texts.iter().for_each(|text| assert_unchanged(&pattern, text));
        }
    }

    #[test]
    fn what_is_no_pattern_is_refused_in_the_words_of_the_library() {
        for pattern in [json!("("), json!(5), json!("a{2,1}"), json!("(?:.{1000}){1000}")] {
            let schema = json!({ PATTERN: pattern });
            let words = |options: ValidationOptions<'static, Arc<dyn Retrieve>, Counted>| {
                options.build(&schema).expect_err("no pattern").to_string()
            };
            assert_eq!(words(options()), words(plain_options()));
        }
    }
}
