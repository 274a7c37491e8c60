//! The ways a run can end without a report, and when to try again.

use std::time::Duration;

use jobs::{Failure, Unavailable};

use crate::failure::{failure, sentence};
use crate::lack::Lack;
use crate::press::PressError;
use crate::sections::LongError;

/// Why a run has no report.
#[derive(Debug)]
pub(crate) enum Trouble {
    /// Another attempt would end the same: fail the job at once.
    Permanent(Failure),
    /// The world was against it: try again later. Says what happened.
    Transient(String),
    /// The same, for want of something that the machine lacks.
    Lack(Lack, String),
    /// The service stops: another process goes on.
    Stopped,
    /// The run's time is over, and it brought its job further: the next goes on from there.
    HandedOver,
    /// Another run has taken over: do nothing any more.
    Overtaken,
}

impl Trouble {
    /// Trouble that may pass, and what the machine lacks, if that is behind it.
    fn passing(lack: Option<Lack>, reason: String) -> Self {
        match lack {
            Some(lack) => Self::Lack(lack, reason),
            None => Self::Transient(reason),
        }
    }
}

impl From<Unavailable> for Trouble {
    fn from(error: Unavailable) -> Self {
        Self::passing(Lack::behind(&error), error.to_string())
    }
}

impl From<std::io::Error> for Trouble {
    fn from(error: std::io::Error) -> Self {
        Self::passing(Lack::behind(&error), format!("work in the temporary folder: {error}"))
    }
}

impl From<serde_json::Error> for Trouble {
    fn from(error: serde_json::Error) -> Self {
        Self::Transient(format!("read the job's parked data: {error}"))
    }
}

impl From<PressError> for Trouble {
    fn from(error: PressError) -> Self {
        match (crate::failure_of(&error), &error) {
            (Some(failure), _) => Self::Permanent(failure),
            // What a child said last may quote the data, and this is logged.
            (None, PressError::Crashed { status, .. }) => Self::Transient(format!("the child ended with {status}")),
            // The job's record tells of it, and callers need not know where files are.
            (None, PressError::Typesetter(typesetter::Error::Io { action, message, path })) => {
                let name = path.file_name().unwrap_or_default().display();
                Self::passing(Lack::told(message), format!("{action} {name}: {message}"))
            }
            (None, error) => Self::passing(Lack::behind(error), error.to_string()),
        }
    }
}

impl From<LongError> for Trouble {
    fn from(error: LongError) -> Self {
        match error {
            LongError::Press(error) => error.into(),
            LongError::Io(error) => error.into(),
            LongError::Stitcher(error) => Self::Permanent(failure("section-refused", sentence(&error))),
            LongError::Unavailable(error) => error.into(),
            LongError::Overtaken => Self::Overtaken,
        }
    }
}

/// How long to wait before the next attempt: 10 s, 20 s, 40 s and so on, five minutes at most; up to a quarter less by
/// chance, so that jobs that met the same trouble do not come back together.
pub(crate) fn pause_after(attempt: u32) -> Duration {
    let longest = Duration::from_secs(5 << attempt.min(6)).min(Duration::from_secs(300));
    longest.mul_f64(1.0 - fastrand::f64() / 4.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_named_without_its_place_on_this_machine() {
        let (action, message) = ("read the data".to_owned(), "Permission denied".to_owned());
        let error = typesetter::Error::Io { action, path: "/srv/data/work/1/data.json".into(), message };
        let Trouble::Transient(reason) = PressError::Typesetter(error).into() else { panic!("it may pass") };
        assert_eq!(reason, "read the data data.json: Permission denied");
    }
}
