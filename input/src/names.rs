//! Field names in messages, and the name that was probably meant.

use strsim::damerau_levenshtein;

/// How many names are listed.
const MOST_LISTED: usize = 12;

/// The most of a name that a message quotes, in characters.
const MOST_SHOWN: usize = 40;

/// Names in backticks, as many as can be read.
pub(crate) fn listed<'a>(names: impl ExactSizeIterator<Item = &'a str>) -> String {
    let more = if names.len() > MOST_LISTED { " and others" } else { "" };
    let names: Vec<_> = names.take(MOST_LISTED).map(quoted).collect();
    format!("{}{more}", names.join(", "))
}

/// A name in backticks, so that blanks around it can be seen.
pub(crate) fn quoted(name: &str) -> String {
    let shown: String = name.chars().take(MOST_SHOWN).collect();
    let more = if shown.len() < name.len() { "…" } else { "" };
    format!("`{shown}{more}`")
}

/// A question for the name that was meant, if there is one that is near.
pub(crate) fn question<'a>(wanted: &str, names: impl Iterator<Item = &'a str>) -> String {
    nearest(wanted, names).map(|name| format!("; did you mean {}?", quoted(name))).unwrap_or_default()
}

/// The name that is nearest to another: the same but for case, blanks and punctuation, or for a few letters.
pub(crate) fn nearest<'a>(wanted: &str, names: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let plain =
        |name: &str| name.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect::<String>();
    let meant = plain(wanted);
    let distance = |name: &str| match plain(name) {
        // Quadratic in time.
        name if name.len() > 4 * MOST_SHOWN || meant.len() > 4 * MOST_SHOWN => usize::MAX,
        name => damerau_levenshtein(&meant, &name),
    };
    let (distance, name) = names.map(|name| (distance(name), name)).min_by_key(|(distance, _)| *distance)?;
    (distance <= meant.chars().count() / 3).then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_name_is_asked_for() {
        let question = |wanted, names: &[&str]| question(wanted, names.iter().copied());
        assert_eq!(question("amount", &["Date", "Amount"]), "; did you mean `Amount`?");
        assert_eq!(question("amount", &["date", " amount "]), "; did you mean ` amount `?");
        assert_eq!(question("due_date", &["Due Date", "date"]), "; did you mean `Due Date`?");
        assert_eq!(question("amount", &["amuont", "account"]), "; did you mean `amuont`?");
        assert_eq!(question("amount", &["betrag"]), "");
        assert_eq!(question("amount", &[]), "");
    }

    #[test]
    fn a_list_has_an_end() {
        let names: Vec<_> = (0..20).map(|number| format!("n{number}")).collect();
        assert!(listed(names.iter().map(String::as_str)).ends_with("`n11` and others"));
        assert_eq!(listed(["a b", &"x".repeat(50)].into_iter()), format!("`a b`, `{}…`", "x".repeat(40)));
    }
}
