//! What one check of data against a schema may cost: processor time, and memory for the violations it finds.
//!
//! A schema can make its check take exponential time, so no check runs without a budget. [`node`](crate::node) counts every
//! look at the data against it; a check that has spent its budget ends at once, wherever it is.

use std::cell::{Cell, RefCell};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crate::pattern::Effort;

/// How long one check may take, in processor time of its thread.
pub const CHECK_TIME: Duration = Duration::from_secs(2);

/// After how many steps the clock is read: reading it takes as long as some dozen of them.
const STEPS_PER_LOOK: u64 = 1024;

/// What a step takes, roughly.
const STEP_NANOSECONDS: u64 = 16;

/// How many bytes of a text count as one step.
const BYTES_PER_STEP: usize = 64;

/// How much memory the errors of one check may take, in bytes.
const ERROR_BYTES: usize = 16 << 20;

/// What one error takes at the least, in bytes.
const ERROR_BASE_BYTES: usize = 512;

/// What one check may cost.
#[derive(Debug, Clone)]
pub struct Budget {
    time: Duration,
    wait: Option<Duration>,
    stop: Option<Arc<AtomicBool>>,
}

impl Budget {
    /// A check that takes so much processor time at most.
    pub fn of(time: Duration) -> Self {
        Self { time, wait: None, stop: None }
    }

    /// The same, for a check that someone waits for. On a busy machine it ends after a quarter more of wall-clock time than it
    /// has of processor time, unless it has used little of that.
    #[must_use]
    pub fn awaited(self) -> Self {
        Self { wait: Some(self.time * 5 / 4), ..self }
    }

    /// The same, for a check that also ends once `stop` is true.
    #[must_use]
    pub fn until(self, stop: Arc<AtomicBool>) -> Self {
        Self { stop: Some(stop), ..self }
    }
}

impl Default for Budget {
    fn default() -> Self {
        Self::of(CHECK_TIME)
    }
}

/// Why a check has no result.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CutOff {
    /// It spent its budget.
    #[error("the check against the schema takes too long")]
    TooCostly,
    /// The machine was too busy to finish it while someone [waited](Budget::awaited).
    #[error("the machine is too busy to check the data against the schema")]
    Late,
    /// It was told to stop.
    #[error("the check was stopped")]
    Stopped,
}

thread_local! {
    /// Counts what the check that runs on this thread costs.
    static RUNNING: RefCell<Option<Rc<Meter>>> = const { RefCell::new(None) };
}

/// Counts what a check costs.
#[derive(Debug)]
pub(crate) struct Meter {
    budget: Budget,
    steps: Cell<u64>,
    next_look: Cell<u64>,
    /// The thread's time when the clock was read first, and when that was.
    began: Cell<Option<(Duration, Instant)>>,
    /// What holding a name against the patterns for names takes.
    names: Arc<[Effort]>,
    /// What further errors may take, in bytes, once [errors are counted](Self::count_errors).
    error_room: Cell<usize>,
    error_bytes: Cell<usize>,
    errors: Cell<usize>,
}

impl Meter {
    pub(crate) fn new(budget: &Budget, names: &Arc<[Effort]>) -> Rc<Self> {
        Rc::new(Self {
            budget: budget.clone(),
            steps: Cell::new(0),
            next_look: Cell::new(STEPS_PER_LOOK),
            began: Cell::new(None),
            names: Arc::clone(names),
            error_room: Cell::new(usize::MAX),
            error_bytes: Cell::new(0),
            errors: Cell::new(0),
        })
    }

    /// What counts the check that runs on this thread.
    pub(crate) fn running() -> Option<Rc<Self>> {
        RUNNING.with_borrow(Clone::clone)
    }

    /// The result of `check`, unless it is cut off.
    pub(crate) fn run<T>(self: &Rc<Self>, check: impl FnOnce() -> T) -> Result<T, CutOff> {
        let outer = RUNNING.replace(Some(Rc::clone(self)));
        // Nothing of a check outlives it, so that unwinding leaves nothing half done.
        let result = catch_unwind(AssertUnwindSafe(check));
        RUNNING.set(outer);
        result.map_err(|reason| match reason.downcast::<CutOff>() {
            Ok(cut) => *cut,
            Err(panic) => resume_unwind(panic),
        })
    }

    /// Counts a look at a value.
    pub(crate) fn step(&self) {
        self.spend(1);
    }

    /// Counts the reading of a text of so many bytes.
    pub(crate) fn read(&self, bytes: usize) {
        self.spend(1 + (bytes / BYTES_PER_STEP) as u64);
    }

    /// Counts the reading of a name, which is held against all the patterns for names.
    pub(crate) fn read_name(&self, bytes: usize) {
        self.read(bytes);
        if !self.names.is_empty() {
            self.attempt(&self.names, bytes);
        }
    }

    /// Counts matches of a text of so many bytes that nothing ends before their time: those that would take more than the
    /// budget are not begun.
    pub(crate) fn attempt(&self, efforts: &[Effort], bytes: usize) {
        let nanoseconds = efforts.iter().map(|effort| effort.nanoseconds(bytes)).fold(0, u64::saturating_add);
        if Duration::from_nanos(nanoseconds) > self.budget.time {
            resume_unwind(Box::new(CutOff::TooCostly));
        }
        // How long trying takes, nobody knows.
        let steps = if efforts.iter().any(Effort::is_unsure) { STEPS_PER_LOOK } else { nanoseconds / STEP_NANOSECONDS };
        self.spend(steps);
    }

    /// Counts so many steps.
    pub(crate) fn spend(&self, steps: u64) {
        self.steps.set(self.steps.get() + steps);
        if self.steps.get() >= self.next_look.get() {
            self.look();
        }
    }

    #[cold]
    fn look(&self) {
        self.next_look.set(self.steps.get() + STEPS_PER_LOOK);
        let now = thread_time();
        let (began, since) = self.began.get().unwrap_or_else(|| (now, Instant::now()));
        self.began.set(Some((began, since)));
        let Budget { time, wait, stop } = &self.budget;
        let spent = now.saturating_sub(began);
        // What the largest request needs, it gets on a busy machine too.
        let is_late = || spent > *time / 8 && wait.is_some_and(|wait| since.elapsed() > wait);
        let cut = match () {
            () if spent > *time => CutOff::TooCostly,
            () if is_late() => CutOff::Late,
            () if stop.as_ref().is_some_and(|stop| stop.load(Ordering::Relaxed)) => CutOff::Stopped,
            () => return,
        };
        // Not a panic: no hook runs, and `run` catches it.
        resume_unwind(Box::new(cut));
    }

    /// Counts errors from here on, each of which takes so many bytes besides its own.
    pub(crate) fn count_errors(&self, bytes: usize) {
        self.error_bytes.set(ERROR_BASE_BYTES + bytes);
        self.error_room.set(ERROR_BYTES);
    }

    /// Counts an error that quotes so many bytes.
    pub(crate) fn error(&self, bytes: usize) {
        self.error_room.set(self.error_room.get().saturating_sub(self.error_bytes.get() + bytes));
        self.errors.set(self.errors.get() + 1);
    }

    /// How many errors were counted, with those that are the reasons of others.
    pub(crate) fn errors(&self) -> usize {
        self.errors.get()
    }

    /// Counts a value of so many bytes that the next error keeps a copy of. That error is shown; if the copy takes all the
    /// memory, it is the last one.
    pub(crate) fn copy(&self, bytes: usize) {
        let (room, last) = (self.error_room.get(), self.error_bytes.get() + 1);
        if room > last {
            self.error_room.set(room.saturating_sub(bytes).max(last));
        }
    }

    /// Whether errors took all the memory that they may. The check then sees no more of the data and ends soon.
    pub(crate) fn is_full(&self) -> bool {
        self.error_room.get() == 0
    }
}

/// The processor time that this thread took.
#[cfg(unix)]
fn thread_time() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    Duration::new(time.tv_sec.try_into().unwrap_or_default(), time.tv_nsec.try_into().unwrap_or_default())
}

/// The time that passed, where no thread's own can be read.
#[cfg(not(unix))]
fn thread_time() -> Duration {
    static START: std::sync::LazyLock<std::time::Instant> = std::sync::LazyLock::new(std::time::Instant::now);
    START.elapsed()
}

#[cfg(test)]
mod tests {
    use std::thread::sleep;

    use super::*;

    /// A check in which the thread stands still for much longer than it works.
    fn dragging(budget: &Budget) -> Result<(), CutOff> {
        let meter = Meter::new(budget, &Arc::default());
        let steps = || (0..STEPS_PER_LOOK).for_each(|_| meter.step());
        meter.run(|| {
            steps();
            sleep(Duration::from_millis(600));
            let began = thread_time();
            while thread_time() - began < Duration::from_millis(80) {}
            steps();
        })
    }

    #[test]
    #[cfg(unix)]
    fn a_check_that_someone_waits_for_ends_when_the_machine_is_busy() {
        let budget = Budget::of(Duration::from_millis(400));
        assert_eq!(dragging(&budget.clone().awaited()), Err(CutOff::Late));
        assert_eq!(dragging(&budget), Ok(()));
        assert_eq!(dragging(&Budget::of(Duration::from_millis(40)).awaited()), Err(CutOff::TooCostly));
    }
}
