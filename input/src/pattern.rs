//! Regular expressions in schemas. Most are matched in time linear in the text; those that look around or refer back to a
//! group are matched by trying, which may take exponentially long.

/// How long an engine takes for a byte and a state of a pattern, at the most.
const STATE_NANOSECONDS: u64 = 2;

/// How long one takes for a byte and each count that a repetition may have come to.
const COUNT_NANOSECONDS: u64 = 20;

/// Fewer counts than that cost nothing to speak of.
const FEW_COUNTS: u64 = 64;

/// What a match of a text with a pattern may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Effort {
    /// Every byte is held against so many states at the most.
    Linear { states: usize },
    /// Every part of the text may be read again, as a power of its length, with so many counts kept at once.
    Trying { power: u32, counts: u64 },
}

impl Effort {
    /// What matching a text of so many bytes may take, or trying it at the least.
    pub(crate) fn nanoseconds(&self, bytes: usize) -> u64 {
        let bytes = bytes as u64;
        match *self {
            Self::Linear { states } => bytes.saturating_mul(states as u64).saturating_mul(STATE_NANOSECONDS),
            Self::Trying { power, counts } => bytes.saturating_pow(1 + power).saturating_mul(counting(counts)),
        }
    }

    /// Whether it may take longer than that.
    pub(crate) fn is_unsure(&self) -> bool {
        matches!(self, Self::Trying { .. })
    }
}

/// What so many counts take for each byte, in nanoseconds. Small counts are kept in the engine's cache.
fn counting(counts: u64) -> u64 {
    if counts < FEW_COUNTS { 1 } else { counts.saturating_mul(COUNT_NANOSECONDS) }
}

/// What a group of a pattern has in it.
#[derive(Debug, Clone, Copy, Default)]
struct Group {
    /// Something before or in it may be repeated without end, so that what is counted may begin anywhere.
    is_endless: bool,
    /// The largest count in it.
    counts: u64,
    /// It looks ahead or behind itself.
    is_look: bool,
    /// It does, or a group in it.
    looks_around: bool,
    repeats: bool,
}

/// What is known of a pattern.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Shape {
    /// How deep groups that look around stand in each other.
    lookaround: u32,
    refers_back: bool,
    /// Whether something is repeated that repeats or looks around by itself.
    repeats_twice: bool,
    /// The largest count of what may begin anywhere.
    counts: u64,
}

impl Shape {
    /// Something in a group is repeated, which may be a group itself.
    fn repeat(&mut self, group: &mut Group, inner: Option<Group>, most: u64, is_endless: bool) {
        self.repeats_twice |= inner.is_some_and(|inner| inner.repeats || inner.looks_around);
        let within = inner.map_or(0, |inner| inner.counts);
        let counts = most.saturating_mul(within.max(1));
        if group.is_endless {
            self.counts = self.counts.max(counts);
        }
        if is_endless {
            self.counts = self.counts.max(within);
        }
        group.counts = group.counts.max(counts);
        group.is_endless |= is_endless;
        group.repeats = true;
    }
}

/// How often each part of a text may be read again by one match, as a power of the text's length: 0 for a pattern that needs
/// no trying.
pub(crate) fn lookaround(pattern: &str) -> u32 {
    let shape = shape(pattern);
    shape.lookaround.max(u32::from(shape.refers_back))
}

/// Whether white space in a pattern may be no part of it: the flag `x` is set somewhere.
pub(crate) fn skips_white_space(pattern: &str) -> bool {
    let flags = |group: &str| group.chars().take_while(|c| c.is_ascii_alphabetic()).any(|c| c == 'x');
    pattern.split("(?").skip(1).any(flags)
}

/// What trying a pattern may take.
pub(crate) fn trying(pattern: &str) -> Effort {
    Effort::Trying { power: lookaround(pattern).max(1), counts: shape(pattern).counts }
}

/// How often something is repeated at the most, and whether there is no end to it, as told after a `{`.
fn count(rest: &str) -> (u64, bool) {
    let bounds = rest.split('}').next().unwrap_or_default();
    let most = bounds.split(',').filter_map(|bound| bound.trim().parse().ok()).max();
    (most.unwrap_or(1), bounds.trim_end().ends_with(','))
}

/// Whether some texts may take exponential time.
pub(crate) fn is_costly(pattern: &str) -> bool {
    let shape = shape(pattern);
    shape.refers_back || (shape.lookaround > 0 && shape.repeats_twice)
}

fn shape(pattern: &str) -> Shape {
    let (mut shape, mut depth) = (Shape::default(), 0);
    let mut open = vec![Group::default()];
    let (mut closed, mut in_class, mut repeated) = (None, false, false);
    let mut chars = pattern.chars();
    while let Some(c) = chars.next() {
        let just_closed = std::mem::take(&mut closed);
        let just_repeated = std::mem::replace(&mut repeated, !in_class && matches!(c, '*' | '+' | '?' | '}'));
        match c {
            '\\' => {
                let escaped = chars.next();
                shape.refers_back |= !in_class && escaped.is_some_and(|c| matches!(c, '1'..='9' | 'k'));
            }
            ']' => in_class = false,
            _ if in_class => {}
            '[' => in_class = true,
            '(' => {
                let is_look = ["?=", "?!", "?<=", "?<!", "?>"].iter().any(|start| chars.as_str().starts_with(start));
                depth += u32::from(is_look);
                shape.lookaround = shape.lookaround.max(depth);
                let is_endless = !is_look && open.last().is_some_and(|outer| outer.is_endless);
                open.push(Group { is_look, looks_around: is_look, is_endless, ..Group::default() });
            }
            ')' if open.len() > 1 => {
                closed = open.pop();
                if let (Some(inner), Some(outer)) = (closed, open.last_mut()) {
                    depth -= u32::from(inner.is_look);
                    outer.looks_around |= inner.looks_around;
                    outer.repeats |= inner.repeats;
                    outer.is_endless |= inner.is_endless && !inner.is_look;
                    outer.counts = outer.counts.max(inner.counts);
                }
            }
            // What is repeated without giving back is a group that looks around, in other words.
            '+' if just_repeated => shape.lookaround = shape.lookaround.max(1),
            '*' | '+' | '{' => {
                let (most, is_endless) = if c == '{' { count(chars.as_str()) } else { (1, true) };
                if let Some(group) = open.last_mut() {
                    shape.repeat(group, just_closed, most, is_endless);
                }
            }
            _ => {}
        }
    }
    shape
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_looks_around_or_refers_back_is_matched_by_trying() {
        for (pattern, power, costly) in [
            ("^[A-Z]{3}-(a+)+$", 0, false),
            ("[(?=]\\(?=", 0, false),
            ("^(?=.*[A-Z])(?=.*[0-9]).{8,}$", 1, false),
            ("^(?!(a+)+$)", 1, true),
            ("((?=.*b)a)*", 1, true),
            ("(?=(?:(?<!x)a)*)b", 2, true),
            ("^(a|b)\\1$", 1, true),
            ("[\\1]", 0, false),
            ("a++b", 1, false),
            ("a{2}+b?+", 1, false),
            ("a\\++[*+]+", 0, false),
            (")(", 0, false),
        ] {
            assert_eq!((lookaround(pattern), is_costly(pattern)), (power, costly), "{pattern}");
        }
    }

    #[test]
    fn counts_are_kept_at_once_where_they_may_begin_anywhere() {
        for (pattern, counts) in [
            ("^(?=.*\\S).{0,2000}$", 0),
            ("(?=.*[a-z]{3}.{0,2000}[A-Z]{3})x", 2000),
            ("^(?!x).*(a(.{50}){20,})b", 1000),
            ("(?!x)(?:[a-z]|.{0,300}X)*", 300),
            ("^(?=.{1,253}$)[a-z]{2,63}$", 0),
        ] {
            assert_eq!(shape(pattern).counts, counts, "{pattern}");
        }
    }
}
