//! Whose turn it is: callers are gone through in the order of their names, from the one after the caller served last, so
//! that an index finds the next in one step however many messages wait.

/// The callers from one name up to before another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::local) struct Stretch {
    /// The first name there may be.
    pub(in crate::local) from: String,
    /// What comes after the last; nothing where all do that come after `from`.
    pub(in crate::local) before: Option<String>,
}

/// All callers but those `passed_over`, in their turns after `served`.
pub(in crate::local) fn stretches(served: &str, passed_over: &[String]) -> Vec<Stretch> {
    let mut passed: Vec<&str> = passed_over.iter().map(String::as_str).collect();
    passed.sort_unstable();
    let next = after(served);
    let later = between(next.clone(), None, passed.iter().filter(|name| **name >= next.as_str()));
    let earlier = between(String::new(), Some(next.clone()), passed.iter().filter(|name| **name < next.as_str()));
    later.into_iter().chain(earlier).collect()
}

/// What is left between two names without those `passed`, which are in order.
fn between<'a>(from: String, before: Option<String>, passed: impl Iterator<Item = &'a &'a str>) -> Vec<Stretch> {
    let (mut from, mut left) = (from, Vec::new());
    for name in passed {
        left.push(Stretch { from, before: Some((*name).to_owned()) });
        from = after(name);
    }
    left.push(Stretch { from, before });
    left.retain(|stretch| stretch.before.as_ref().is_none_or(|before| *before > stretch.from));
    left
}

/// The first text after a name.
pub(in crate::local) fn after(name: &str) -> String {
    format!("{name}\0")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn taken(served: &str, passed_over: &[&str]) -> Vec<&'static str> {
        let passed_over: Vec<_> = passed_over.iter().map(|name| (*name).to_owned()).collect();
        let stretches = stretches(served, &passed_over);
        let within = |stretch: &Stretch, name: &str| {
            *name >= *stretch.from && stretch.before.as_ref().is_none_or(|before| *name < **before)
        };
        let names = ["", "a", "b", "c"];
        stretches.iter().flat_map(|it| names.into_iter().filter(move |name| within(it, name))).collect()
    }

    #[test]
    fn every_caller_comes_once_and_the_one_served_last_comes_last() {
        assert_eq!(taken("", &[]), ["a", "b", "c", ""]);
        assert_eq!(taken("b", &[]), ["c", "", "a", "b"]);
        assert_eq!(taken("c", &[]), ["", "a", "b", "c"]);
        assert_eq!(taken("gone", &[]), ["", "a", "b", "c"]);
    }

    #[test]
    fn those_passed_over_do_not_come() {
        assert_eq!(taken("b", &["a"]), ["c", "", "b"]);
        assert_eq!(taken("b", &["b", "c"]), ["", "a"]);
        assert_eq!(taken("", &["c", "a", "", "b"]), Vec::<&str>::new());
    }
}
