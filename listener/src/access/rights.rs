//! What callers may do beyond what is their own.

use std::fmt::{self, Display};
use std::str::FromStr;

/// One right.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Right {
    /// To see the jobs of all callers, and to retry them.
    Admin,
}

impl Right {
    /// All there are.
    const ALL: [Self; 1] = [Self::Admin];

    /// What it is called where callers are given it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Admin => "admin",
        }
    }

    fn bit(self) -> u8 {
        1 << self as u8
    }
}

/// The text is no right.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("there is no right `{0}`; there is `admin`")]
pub struct UnknownRight(String);

impl FromStr for Right {
    type Err = UnknownRight;

    fn from_str(text: &str) -> Result<Self, UnknownRight> {
        Self::ALL.into_iter().find(|right| right.name() == text).ok_or_else(|| UnknownRight(text.into()))
    }
}

/// The rights of a caller.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Rights(u8);

impl Rights {
    /// Every right.
    pub fn all() -> Self {
        Right::ALL.into_iter().collect()
    }

    /// Whether this right is among them.
    pub fn include(self, right: Right) -> bool {
        self.0 & right.bit() != 0
    }
}

impl FromIterator<Right> for Rights {
    fn from_iter<T: IntoIterator<Item = Right>>(rights: T) -> Self {
        Self(rights.into_iter().fold(0, |bits, right| bits | right.bit()))
    }
}

impl FromStr for Rights {
    type Err = UnknownRight;

    /// Reads rights separated by white space.
    fn from_str(text: &str) -> Result<Self, UnknownRight> {
        text.split_whitespace().map(str::parse::<Right>).collect()
    }
}

impl Display for Rights {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = Right::ALL.into_iter().filter(|right| self.include(*right)).map(Right::name);
        f.write_str(&names.collect::<Vec<_>>().join(" "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rights_survive_their_spelling_and_unknown_ones_are_refused() {
        for rights in [Rights::default(), Rights::all()] {
            assert_eq!(rights.to_string().parse(), Ok(rights));
        }
        assert!(!Rights::default().include(Right::Admin) && Rights::all().include(Right::Admin));
        for text in ["Admin", "admin,", "publish", "admin publish"] {
            assert!(text.parse::<Rights>().is_err(), "{text}");
        }
    }
}
