//! What happened to a job so far, read off its record: the events that a caller may follow it by.

use std::fmt;
use std::str::FromStr;

use crate::job::{Job, Status};

/// One thing that happened to a job.
#[derive(Debug, Clone, PartialEq)]
pub struct Event {
    /// Where it stands among the job's events.
    pub id: EventId,
    /// The job, as it was then.
    pub job: Job,
}

/// Where an event stands among its job's: events come in the order of their ids, and the same event has the same id
/// whoever asks. Written as `retries.attempts.step`, and while a run tells how far it is, `retries.attempts.step.done`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EventId {
    retries: u32,
    attempts: u32,
    step: u8,
    /// Sections that are done.
    done: u32,
}

/// The steps within an attempt: it runs, it is given back to the queue or the job ends.
const RUNNING: u8 = 0;
const QUEUED: u8 = 1;
const ENDED: u8 = 2;

impl EventId {
    /// The event that `job`'s record tells of.
    pub fn of(job: &Job) -> Self {
        let step = match job.status {
            Status::Running => RUNNING,
            Status::Queued => QUEUED,
            Status::Completed | Status::Failed => ENDED,
        };
        let done = job.progress.map_or(0, |progress| progress.sections_done);
        Self { retries: job.retries, attempts: job.attempts, step, done }
    }
}

impl fmt::Display for EventId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.retries, self.attempts, self.step)?;
        if self.done > 0 { write!(f, ".{}", self.done) } else { Ok(()) }
    }
}

impl FromStr for EventId {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let numbers: Option<Vec<u32>> = text.split('.').map(|number| number.parse().ok()).collect();
        let (retries, attempts, step, done) = match numbers.as_deref() {
            Some(&[retries, attempts, step]) => (retries, attempts, step, 0),
            Some(&[retries, attempts, step, done]) => (retries, attempts, step, done),
            _ => return Err(()),
        };
        Ok(Self { retries, attempts, step: step.try_into().map_err(|_| ())?, done })
    }
}

/// Whether a record tells of another event than `seen` does, or is gone.
pub fn is_news(job: Option<&Job>, seen: &Job) -> bool {
    job.map(EventId::of) != Some(EventId::of(seen))
}

/// What happened to `job` after the event `last`, in order; everything since it was last queued where there is none.
pub fn events(job: &Job, last: Option<EventId>) -> Vec<Event> {
    let now = EventId::of(job);
    // Attempts that were counted anew, after a redrive, leave a caller with an id that is yet to come.
    let last = last.filter(|last| *last <= now);
    let queued = Job {
        status: Status::Queued,
        attempts: 0,
        started_at: None,
        finished_at: None,
        pages: None,
        bytes: None,
        progress: None,
        warnings: Vec::new(),
        error: None,
        webhook: None,
        ..job.clone()
    };
    // An earlier attempt was given back or was killed: either way it is over. The record holds the latest alone, and how
    // far that is.
    let runs = (1..=job.attempts).map(|attempts| Job {
        status: Status::Running,
        attempts,
        started_at: job.started_at.filter(|_| attempts == job.attempts),
        ..queued.clone()
    });
    let mut all: Vec<Job> = std::iter::once(queued.clone()).chain(runs).collect();
    all.push(job.clone());
    all.dedup_by_key(|job| EventId::of(job));
    let events = all.into_iter().map(|job| Event { id: EventId::of(&job), job });
    events.filter(|event| event.id <= now && last.is_none_or(|last| event.id > last)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::job::{JobId, Progress, now};

    fn job(status: Status, attempts: u32) -> Job {
        Job { status, attempts, ..Job::queued(JobId::new(), "letter", now()) }
    }

    fn told(job: &Job, last: Option<&str>) -> Vec<(String, &'static str)> {
        let last = last.map(|id| id.parse().expect("an id"));
        events(job, last).into_iter().map(|event| (event.id.to_string(), event.job.status.as_str())).collect()
    }

    fn expected(events: &[(&str, &'static str)]) -> Vec<(String, &'static str)> {
        events.iter().map(|(id, status)| ((*id).to_owned(), *status)).collect()
    }

    #[test]
    fn a_job_is_told_from_its_beginning() {
        assert_eq!(told(&job(Status::Queued, 0), None), expected(&[("0.0.1", "queued")]));
        assert_eq!(told(&job(Status::Running, 1), None), expected(&[("0.0.1", "queued"), ("0.1.0", "running")]));
        let completed = [("0.0.1", "queued"), ("0.1.0", "running"), ("0.2.0", "running"), ("0.2.2", "completed")];
        assert_eq!(told(&job(Status::Completed, 2), None), expected(&completed));
        let swept = [("0.0.1", "queued"), ("0.0.2", "failed")];
        assert_eq!(told(&job(Status::Failed, 0), None), expected(&swept));
        let again = [("0.0.1", "queued"), ("0.1.0", "running"), ("0.1.1", "queued")];
        assert_eq!(told(&job(Status::Queued, 1), None), expected(&again));
    }

    #[test]
    fn what_was_told_is_not_told_again() {
        let job = job(Status::Completed, 2);
        assert_eq!(told(&job, Some("0.1.0")), expected(&[("0.2.0", "running"), ("0.2.2", "completed")]));
        assert_eq!(told(&job, Some("0.1.1")), expected(&[("0.2.0", "running"), ("0.2.2", "completed")]));
        assert_eq!(told(&job, Some("0.2.2")), []);
        let redriven = self::job(Status::Completed, 1);
        assert_eq!(told(&redriven, Some("0.5.2")).len(), 3, "attempts were counted anew, and all is told");
        let retried = Job { retries: 1, ..self::job(Status::Queued, 0) };
        assert_eq!(told(&retried, Some("0.2.2")), expected(&[("1.0.1", "queued")]));
    }

    #[test]
    fn a_run_tells_how_far_it_is() {
        let progress = Progress { sections_done: 3, sections: 40, pages: 120 };
        let job = Job { progress: Some(progress), ..job(Status::Running, 1) };
        let all = [("0.0.1", "queued"), ("0.1.0", "running"), ("0.1.0.3", "running")];
        assert_eq!(told(&job, None), expected(&all));
        assert_eq!(told(&job, Some("0.1.0.2")), expected(&all[2..]));
        assert_eq!(told(&job, Some("0.1.0.3")), []);
        assert_eq!(told(&self::job(Status::Completed, 1), Some("0.1.0.3")), expected(&[("0.1.2", "completed")]));
    }

    #[test]
    fn an_id_survives_its_spelling() {
        let progress = Progress { sections_done: 3, sections: 40, pages: 120 };
        let running = Job { progress: Some(progress), ..job(Status::Running, 3) };
        for event in [events(&job(Status::Failed, 3), None), events(&running, None)].concat() {
            assert_eq!(event.id.to_string().parse(), Ok(event.id));
        }
        for text in ["", "1", "1.2", "1.2.3.4.5", "a.b.c", "1.2.256", "-1.0.0"] {
            assert_eq!(text.parse::<EventId>(), Err(()), "{text}");
        }
    }
}
