//! Where requests are parsed and checked: off the runtime's threads, a bounded number at a time.
//!
//! Small requests have a separate lane, and a short time in it. What is larger or takes longer goes through a narrow
//! lane, caller by caller, on threads that give way to all others. So no request holds up the small ones of others, and
//! memory is bounded by what the narrow lane holds.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::thread::{self, available_parallelism};
use std::time::Duration;

use axum::http::StatusCode;
use axum::http::header::RETRY_AFTER;
use input::Budget;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};
use tokio::task::spawn_blocking;
use tokio::time::timeout;

use crate::Problem;
use crate::access::Caller;
use crate::problem::defect;

/// Up to this size a request is small, in bytes.
pub(crate) const SMALL_BYTES: usize = 64 * 1024;

/// How long a check may take among the small requests, in processor time.
const SMALL_TIME: Duration = Duration::from_millis(20);

/// The narrow lane holds one check for each this many cores, and at least one.
const CORES_PER_LARGE: usize = 4;

/// How many large bodies are in memory at a time.
const BODIES: usize = 6;

/// How many of them are of one caller.
const BODIES_OF_ONE: usize = 3;

/// How long a request waits for its turn.
const PATIENCE: Duration = Duration::from_secs(60);

/// When a refused caller may try again, in seconds.
const RETRY_AFTER_SECONDS: u64 = 5;

/// How much lower the priority of a thread of the narrow lane is than that of others.
#[cfg(target_os = "linux")]
const NICE: i32 = 3;

/// The lanes.
#[derive(Debug)]
pub struct Checks {
    small: Turns,
    large: Turns,
    bodies: Turns,
    folder: Option<PathBuf>,
}

impl Default for Checks {
    /// As many lanes as this machine has cores for.
    fn default() -> Self {
        let cores = available_parallelism().map_or(1, usize::from);
        Self {
            // One caller never has all of them.
            small: Turns::new(cores, (cores / 2).max(1), PATIENCE),
            large: Turns::new((cores / CORES_PER_LARGE).max(1), 1, PATIENCE),
            bodies: Turns::new(BODIES, BODIES_OF_ONE, PATIENCE),
            folder: None,
        }
    }
}

/// Why a check has no result.
pub(crate) enum Refused {
    /// There is a problem with what was checked.
    Of(Problem),
    /// It was beyond its budget, and this is what to say where it had all the time it may have.
    CutOff(Problem),
}

impl From<Problem> for Refused {
    fn from(problem: Problem) -> Self {
        Self::Of(problem)
    }
}

impl Refused {
    fn into_problem(self) -> Problem {
        match self {
            Self::Of(problem) | Self::CutOff(problem) => problem,
        }
    }
}

impl Checks {
    /// The same lanes, where large bodies lie in files of this folder while they arrive.
    #[must_use]
    pub fn receiving_in(self, folder: impl Into<PathBuf>) -> Self {
        Self { folder: Some(folder.into()), ..self }
    }

    pub(crate) fn folder(&self) -> Option<&Path> {
        self.folder.as_deref()
    }

    /// Waits until a large body of this caller may be in memory; it may for as long as the turn is held.
    pub(crate) async fn body(&self, caller: &Caller) -> Result<Turn, Problem> {
        self.bodies.wait(caller).await
    }

    /// The result of a check of so many bytes, which may be made twice.
    pub(crate) async fn run<T, C>(&self, caller: &Caller, bytes: usize, check: C) -> Result<T, Problem>
    where
        T: Send + 'static,
        C: Fn(&Budget) -> Result<T, Refused> + Send + 'static,
    {
        let span = tracing::Span::current();
        let check = move |budget: &Budget| span.in_scope(|| check(budget));
        let check = if bytes <= SMALL_BYTES {
            let turn = self.small.wait(caller).await?;
            let tried = spawn_blocking(move || {
                let _turn = turn;
                let result = check(&Budget::of(SMALL_TIME).awaited());
                (check, result)
            });
            match tried.await {
                Ok((check, Err(Refused::CutOff(_)))) => check,
                Ok((_, result)) => return result.map_err(Refused::into_problem),
                Err(panic) => std::panic::resume_unwind(panic.into_panic()),
            }
        } else {
            check
        };
        self.run_large(caller, check).await
    }

    async fn run_large<T, C>(&self, caller: &Caller, check: C) -> Result<T, Problem>
    where
        T: Send + 'static,
        C: Fn(&Budget) -> Result<T, Refused> + Send + 'static,
    {
        let turn = self.large.wait(caller).await?;
        let stop = StopOnDrop(Arc::default());
        let budget = Budget::default().awaited().until(stop.0.clone());
        let (answer, answered) = oneshot::channel();
        let work = move || {
            lower_priority();
            let result = check(&budget);
            // What the check held is given back before the next one begins.
            drop(check);
            drop(turn);
            _ = answer.send(result);
        };
        if let Err(error) = thread::Builder::new().name("check".to_owned()).spawn(work) {
            tracing::error!(%error, "no thread for a check");
            return Err(busy());
        }
        // A thread that panicked has said so.
        answered.await.unwrap_or_else(|_| Err(defect().into())).map_err(Refused::into_problem)
    }
}

/// Lowers this thread's priority, so that small requests and typesetters go first. Elsewhere than on Linux, the call would
/// be about the whole process.
fn lower_priority() {
    #[cfg(target_os = "linux")]
    if let Err(error) = rustix::process::nice(NICE) {
        tracing::debug!(%error, "a check runs at the priority of all others");
    }
}

/// Ends a check whose result is no longer wanted.
struct StopOnDrop(Arc<AtomicBool>);

impl Drop for StopOnDrop {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// A bounded number of turns, which callers take one after the other: of those who wait, each has a bounded number in line.
#[derive(Debug)]
struct Turns {
    all: Arc<Semaphore>,
    of_one: usize,
    patience: Duration,
    callers: Mutex<HashMap<String, Weak<Semaphore>>>,
}

/// A turn. It ends when this is dropped.
#[derive(Debug)]
pub(crate) struct Turn {
    _of_all: OwnedSemaphorePermit,
    _own: OwnedSemaphorePermit,
}

impl Turns {
    fn new(all: usize, of_one: usize, patience: Duration) -> Self {
        Self { all: Arc::new(Semaphore::new(all)), of_one, patience, callers: Mutex::default() }
    }

    async fn wait(&self, caller: &Caller) -> Result<Turn, Problem> {
        let own = self.of(caller.name());
        let turn = async {
            let own = own.acquire_owned().await.ok()?;
            let of_all = self.all.clone().acquire_owned().await.ok()?;
            Some(Turn { _of_all: of_all, _own: own })
        };
        timeout(self.patience, turn).await.ok().flatten().ok_or_else(busy)
    }

    /// The turns of one caller.
    fn of(&self, name: &str) -> Arc<Semaphore> {
        let mut callers = self.callers.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = callers.get(name).and_then(Weak::upgrade) {
            return known;
        }
        callers.retain(|_, known| known.strong_count() > 0);
        let own = Arc::new(Semaphore::new(self.of_one));
        callers.insert(name.to_owned(), Arc::downgrade(&own));
        own
    }
}

/// How a request may be refused before it is checked.
pub(crate) fn refusals() -> [Problem; 1] {
    [busy()]
}

/// The server has no time for a check now.
pub(crate) fn busy() -> Problem {
    let detail = format!(
        "Too many requests are being checked. Send this one again in {RETRY_AFTER_SECONDS} seconds, or upload its \
         data with POST /uploads."
    );
    Problem::new(StatusCode::SERVICE_UNAVAILABLE, "too-busy", "The server has too much to check.", detail)
        .with_header(RETRY_AFTER, RETRY_AFTER_SECONDS)
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicUsize;

    use tokio::time::{Instant, sleep};

    use super::*;
    use crate::access::Rights;

    fn caller(name: &str) -> Caller {
        Caller::new(name, Rights::default())
    }

    #[tokio::test]
    async fn callers_take_turns() {
        let turns = Arc::new(Turns::new(1, 1, PATIENCE));
        let first = turns.wait(&caller("a")).await.expect("a turn");
        let (done, mut order) = tokio::sync::mpsc::unbounded_channel();
        for name in ["a", "a", "a", "b"] {
            let (turns, done) = (turns.clone(), done.clone());
            tokio::spawn(async move {
                let _turn = turns.wait(&caller(name)).await.expect("a turn");
                _ = done.send(name);
            });
        }
        // Until all of them wait.
        sleep(Duration::from_millis(50)).await;
        drop(first);
        let mut seen = Vec::new();
        for _ in 0..4 {
            seen.push(order.recv().await.expect("a name"));
        }
        // Those of one caller are in line one at a time, so that another waits for one of them at most.
        assert!(seen[..2].contains(&"b"), "{seen:?}");
    }

    #[tokio::test]
    async fn nobody_waits_for_ever() {
        let turns = Turns::new(1, 1, Duration::from_millis(50));
        let _held = turns.wait(&caller("a")).await.expect("a turn");
        let start = Instant::now();
        for name in ["b", "c", "d"] {
            let refused = turns.wait(&caller(name)).await.expect_err("no turn");
            assert_eq!(refused.name, "too-busy");
        }
        assert!(start.elapsed() >= 3 * turns.patience);
        let known = turns.callers.lock().expect("no panic").len();
        assert!(known <= 2, "{known} callers are remembered");
    }

    #[tokio::test]
    async fn what_takes_too_long_among_the_small_has_its_time_in_the_narrow_lane() {
        let (checks, caller) = (Checks::default(), caller("a"));
        let thread_name = || thread::current().name().map(ToOwned::to_owned);
        let times = AtomicUsize::new(0);
        let check = move |_: &Budget| match times.fetch_add(1, Ordering::Relaxed) {
            0 => Err(Refused::CutOff(busy())),
            _ => Ok(thread_name()),
        };
        assert_eq!(checks.run(&caller, 1, check).await.expect("a result").as_deref(), Some("check"));
        let small = checks.run(&caller, 1, move |_| Ok(thread_name())).await.expect("a result");
        assert_ne!(small.as_deref(), Some("check"));
        let large = checks.run(&caller, SMALL_BYTES + 1, move |_| Ok(thread_name())).await.expect("a result");
        assert_eq!(large.as_deref(), Some("check"));
    }

    #[tokio::test]
    async fn a_check_ends_with_the_request_it_is_for() {
        let (checks, caller) = (Checks::default(), caller("a"));
        let (ended, end) = std::sync::mpsc::channel();
        let waiting = checks.run(&caller, SMALL_BYTES + 1, move |budget| {
            let schema = serde_json::json!({"items": {"type": "integer"}});
            let validator = input::validator(&schema).expect("a schema");
            let data = vec![0; 10_000].into();
            let mut checked = Ok(true);
            while checked.is_ok() {
                checked = validator.is_valid(&data, budget);
            }
            _ = ended.send(checked.expect_err("it is cut off"));
            Ok(())
        });
        assert!(timeout(Duration::from_millis(100), waiting).await.is_err());
        let cut = end.recv_timeout(Duration::from_secs(10)).expect("it ends");
        assert_eq!(cut, input::CutOff::Stopped);
    }
}
