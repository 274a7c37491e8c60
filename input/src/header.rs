//! The first line of a CSV upload, held against the fields that there must be and those that there may be.

use crate::fault::MAX_FAULTS;
use crate::names::{listed, question, quoted};
use crate::sink::Sink;

/// What may stand between fields, and what to call it.
const SEPARATORS: [(char, &str); 4] = [(',', "`,`"), (';', "`;`"), ('\t', "TAB"), ('|', "`|`")];

/// Checks the names that the first line has.
pub(crate) fn check<W: std::io::Write>(names: &[String], separator: u8, sink: &Sink<'_, W>) -> Result<(), Vec<String>> {
    let template = sink.template;
    let mut wanted: Vec<&str> = sink.tally.wanted().collect();
    let required = template.required.iter().map(String::as_str).filter(|field| !wanted.contains(field));
    let required: Vec<_> = required.collect();
    wanted.extend(required);
    let known: Vec<&str> =
        if template.closed { template.described.iter().map(String::as_str).collect() } else { Vec::new() };
    if let Some(detail) = other_separator(names, separator.into(), wanted.iter().chain(&known).copied().collect()) {
        return Err(vec![detail]);
    }
    let has = |field: &str| names.iter().any(|name| name == field);
    let missing = wanted.iter().filter(|field| !has(field)).map(|field| missing(field, names));
    let unknown = names.iter().filter(|name| template.closed && !known.contains(&name.as_str()));
    let details: Vec<_> = missing.chain(unknown.map(|name| unknown_to(name, &known))).take(MAX_FAULTS).collect();
    if details.is_empty() { Ok(()) } else { Err(details) }
}

fn missing(field: &str, names: &[String]) -> String {
    let names = || names.iter().map(String::as_str);
    format!("the first line names no `{field}`, but {}{}", listed(names()), question(field, names()))
}

fn unknown_to(name: &str, known: &[&str]) -> String {
    let question = question(name, known.iter().copied());
    format!(
        "the first line names {}, and there is no such field{question}; a row may have {}",
        quoted(name),
        listed(known.iter().copied())
    )
}

/// What to say of a line that another separator takes apart into more of these fields.
fn other_separator(names: &[String], own: char, fields: Vec<&str>) -> Option<String> {
    let line = names.join(&own.to_string());
    let fits = |separator: char| {
        let parts = || line.split(separator).map(|part| part.trim().trim_matches('"').to_lowercase());
        fields.iter().filter(|field| parts().any(|part| part == field.to_lowercase())).count()
    };
    let now = fits(own);
    let others = SEPARATORS.iter().filter(|(separator, _)| *separator != own);
    let (found, separator) = others.map(|other| (fits(other.0), other)).max_by_key(|(found, _)| *found)?;
    (found > now).then(|| {
        let (_, own) = SEPARATORS.iter().find(|(separator, _)| *separator == own).copied().unwrap_or_default();
        format!(
            "the first line is {}: its fields are separated by {}, and were read with {own}; separate them so, or say which separator it is",
            quoted(&line),
            separator.1
        )
    })
}
