//! The first line of a CSV upload, held against the fields that there must be and those that there may be.

use serde_json::Value;

use crate::fault::MAX_FAULTS;
use crate::names::{listed, nearest, question, quoted};
use crate::sink::Sink;

/// What may stand between fields, what to call it, and how a command line has it.
const SEPARATORS: [(char, &str, &str); 4] =
    [(',', "`,`", "','"), (';', "`;`", "';'"), ('\t', "TAB", "tab"), ('|', "`|`", "'|'")];

/// A field that the first line must name.
struct Wanted<'a> {
    field: &'a str,
    way_out: &'static str,
}

/// Checks the names that the first line has. `broken` says what is wrong with the line if this separator is the right one.
pub(crate) fn check<W: std::io::Write>(
    names: &[String],
    separator: u8,
    broken: Option<&str>,
    sink: &Sink<'_, W>,
) -> Result<(), Vec<String>> {
    let template = sink.template;
    let wanted = wanted(sink);
    let known: Vec<&str> =
        if template.closed { template.described.iter().map(String::as_str).collect() } else { Vec::new() };
    let fields: Vec<&str> = wanted.iter().map(|wanted| wanted.field).chain(known.iter().copied()).collect();
    if let Some(detail) = other_separator(names, separator.into(), &fields) {
        return Err(vec![detail]);
    }
    if let Some(detail) = broken {
        return Err(vec![detail.to_owned()]);
    }
    // Names that may be misspelt ones.
    let mut others: Vec<&str> = names.iter().map(String::as_str).filter(|name| !fields.contains(name)).collect();
    let mut details = Vec::new();
    for Wanted { field, way_out } in wanted.iter().filter(|wanted| !names.iter().any(|name| name == wanted.field)) {
        details.push(match nearest(field, others.iter().copied()) {
            Some(name) => {
                others.retain(|other| *other != name);
                format!("the first line names {}, and no `{field}`; did you mean `{field}`?", quoted(name))
            }
            None => {
                format!("the first line names no `{field}`, but {}{way_out}", listed(names.iter().map(String::as_str)))
            }
        });
    }
    if template.closed {
        details.extend(others.iter().map(|name| unknown_to(name, &known)));
    }
    details.truncate(MAX_FAULTS);
    if details.is_empty() { Ok(()) } else { Err(details) }
}

/// The fields that columns and totals name, then others that the schema requires.
fn wanted<'a, W: std::io::Write>(sink: &'a Sink<'_, W>) -> Vec<Wanted<'a>> {
    let named = sink.tally.wanted().iter();
    let mut wanted: Vec<_> = named.map(|it| Wanted { field: &it.field, way_out: it.way_out() }).collect();
    for field in &sink.template.required {
        if !wanted.iter().any(|known| known.field == field) {
            wanted.push(Wanted { field, way_out: "" });
        }
    }
    wanted
}

fn unknown_to(name: &str, known: &[&str]) -> String {
    format!(
        "the first line names {}, and there is no such field; a row may have {}{}",
        quoted(name),
        listed(known.iter().copied()),
        question(name, known.iter().copied())
    )
}

/// What to say of a line that another separator takes apart into more of these fields.
fn other_separator(names: &[String], own: char, fields: &[&str]) -> Option<String> {
    let line = names.join(&own.to_string());
    let fits = |separator: char| {
        let parts = || line.split(separator).map(|part| part.trim().trim_matches('"').to_lowercase());
        fields.iter().filter(|field| parts().any(|part| part == field.to_lowercase())).count()
    };
    let now = fits(own);
    let others = SEPARATORS.iter().filter(|(separator, ..)| *separator != own);
    let (found, (separator, name, argument)) =
        others.map(|other| (fits(other.0), other)).max_by_key(|(found, _)| *found)?;
    (found > now).then(|| {
        let (_, own, _) = SEPARATORS.iter().find(|(separator, ..)| *separator == own).copied().unwrap_or_default();
        format!(
            "the first line is {}: its fields are separated by {name}, and were read with {own}; send \"separator\": {} to POST \
             /uploads, or give --separator {argument}",
            quoted(&line),
            Value::from(separator.to_string()),
        )
    })
}
