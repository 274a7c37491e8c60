//! What the machine may lack, for which no job is to blame.

use std::error::Error;
use std::io;
use std::time::Duration;

/// What the machine lacks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Lack {
    /// Room on the disk.
    Room,
    /// Files that this process, or all together, may open.
    Files,
}

/// What SQLite says of a disk that is full.
const SQLITE_FULL: &str = "database or disk is full";

impl Lack {
    /// What is behind an error, if that is something that the machine lacks.
    pub(crate) fn behind(error: &(dyn Error + 'static)) -> Option<Self> {
        let mut links = std::iter::successors(Some(error), |link: &&(dyn Error + 'static)| (*link).source());
        links.find_map(|link| match link.downcast_ref::<io::Error>() {
            Some(error) => Self::of(error),
            None => link.to_string().contains(SQLITE_FULL).then_some(Self::Room),
        })
    }

    /// The same of an error that another process told in the system's words.
    pub(crate) fn told(error: &str) -> Option<Self> {
        let (_, code) = error.rsplit_once("(os error ")?;
        Self::of(&io::Error::from_raw_os_error(code.strip_suffix(')')?.parse().ok()?))
    }

    fn of(error: &io::Error) -> Option<Self> {
        match error.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Some(Self::Room),
            _ if lacks_files(error) => Some(Self::Files),
            // It may stand around another.
            _ => error.get_ref().and_then(|inner| Self::behind(inner)),
        }
    }

    /// How long a job waits until it is tried again.
    pub(crate) fn pause(self) -> Duration {
        match self {
            Self::Room => Duration::from_secs(30),
            Self::Files => Duration::from_secs(5),
        }
    }
}

#[cfg(unix)]
fn lacks_files(error: &io::Error) -> bool {
    use rustix::io::Errno;
    matches!(Errno::from_io_error(error), Some(Errno::MFILE | Errno::NFILE))
}

#[cfg(not(unix))]
fn lacks_files(_: &io::Error) -> bool {
    false
}

#[cfg(all(test, unix))]
mod tests {
    use jobs::Unavailable;
    use rustix::io::Errno;

    use super::*;

    #[test]
    fn what_the_machine_lacks_is_seen_through_what_is_told_of_it() {
        let error = |errno: Errno| io::Error::from(errno);
        for (errno, lack) in [
            (Errno::NOSPC, Some(Lack::Room)),
            (Errno::DQUOT, Some(Lack::Room)),
            (Errno::MFILE, Some(Lack::Files)),
            (Errno::NFILE, Some(Lack::Files)),
            (Errno::ACCESS, None),
        ] {
            assert_eq!(Lack::behind(&Unavailable::when("store it")(error(errno))), lack);
            assert_eq!(Lack::behind(&io::Error::other(error(errno))), lack);
            assert_eq!(Lack::told(&error(errno).to_string()), lack);
        }
        let full = Unavailable::when("record it")("error returned from database: (code: 13) database or disk is full");
        assert_eq!(Lack::behind(&full), Some(Lack::Room));
        assert_eq!(Lack::told("it is not there"), None);
    }
}
