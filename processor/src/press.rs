//! A press typesets in child processes: this very program, started again. One a core works at a time; which one, reports
//! decide among themselves by [turns](crate::turns).
//!
//! A child that is done waits warm for the next report, so that a small one costs no process start. A child that
//! breaks a limit is killed, and the next report gets a fresh one.

use std::collections::VecDeque;
use std::io;
use std::path::PathBuf;
use std::process::{ExitStatus, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::future::try_join_all;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::process::{Child, ChildStderr, ChildStdin, ChildStdout, Command};
use tokio::task::JoinHandle;
use tokio::time::timeout;
use typesetter::worker::{self, Response};
use typesetter::{Geometry, Report, Request};

use crate::limits::Limits;
use crate::turns::{Asking, Crowd, Hand, Most, Turn, Turns};

/// A child that holds more of its memory limit than one part in so many at the end of a job, with what Typst still
/// remembers, is not kept.
const KEPT_SHARE: u64 = 2;

/// How many of the last lines that a child wrote on standard error are kept.
const COMPLAINT_LINES: usize = 20;

/// How long a report waits for a child to end its rehearsal. A fresh one takes a tenth of that to start.
const REHEARSAL_PATIENCE: Duration = Duration::from_secs(1);

/// What the system's out-of-memory killer sends. It says nothing of a limit: the child was below its own.
const SIGKILL: i32 = 9;

/// How long a child that closed its output may take to exit.
const EXIT_PATIENCE: Duration = Duration::from_secs(5);

/// Typesets reports in child processes.
#[derive(Debug)]
pub struct Press {
    program: PathBuf,
    limits: Limits,
    turns: Arc<Turns>,
    /// How many reports may be in hand beside those that are worked on.
    beside: usize,
    warm: Mutex<Vec<Typist>>,
}

/// Why the press has no report.
#[derive(Debug, thiserror::Error)]
pub enum PressError {
    /// The typesetter says why.
    #[error(transparent)]
    Typesetter(#[from] typesetter::Error),
    /// It took too long and was stopped.
    #[error("typesetting was stopped after {} s", .0.as_secs_f64())]
    TimeLimit(Duration),
    /// It asked for more memory than it may have, and was stopped.
    #[error("typesetting was stopped at {0} bytes of memory")]
    MemoryLimit(u64),
    /// Somebody else ended it: the system, where the machine is short of memory.
    #[error("the typesetting process was killed, as the system does where the machine is short of memory")]
    Killed,
    /// The child process ended in a way it should not.
    #[error("the typesetting process ended with {status}: {complaint}")]
    Crashed {
        /// How it ended.
        status: ExitStatus,
        /// The last it wrote on standard error.
        complaint: String,
    },
    /// The child process could not be started or talked to.
    #[error("the typesetting process could not be used: {0}")]
    Unusable(#[from] io::Error),
}

impl Press {
    /// A press whose children work at most `slots` at a time, each held to `limits`. `program` must call
    /// [`typesetter::worker::run`] when its first argument is [`worker::ARGUMENT`].
    pub fn new(program: impl Into<PathBuf>, slots: usize, limits: Limits) -> Self {
        let slots = slots.max(1);
        let turns = Turns::new(slots, Most::beside(slots, limits.memory_bytes));
        Self { program: program.into(), limits, turns, beside: usize::MAX, warm: Mutex::default() }
    }

    /// A press whose children are this very program, even if its file was replaced since it started.
    pub fn of_this_program(slots: usize, limits: Limits) -> io::Result<Self> {
        let program = if cfg!(target_os = "linux") { "/proc/self/exe".into() } else { std::env::current_exe()? };
        Ok(Self::new(program, slots, limits))
    }

    /// With files for so many reports in hand beside those that are worked on.
    #[must_use]
    pub fn with_room_beside(mut self, reports: usize) -> Self {
        self.turns.bound_paused(reports);
        self.beside = reports;
        self
    }

    /// How many reports may be in hand beside those that are worked on.
    pub(crate) fn beside(&self) -> usize {
        self.beside
    }

    /// What one report may cost.
    pub fn limits(&self) -> Limits {
        self.limits
    }

    /// How many children work at a time at most.
    pub fn slots(&self) -> usize {
        self.turns.slots()
    }

    /// A report of this caller begins; it takes turns with the others that are being made.
    pub fn begin(&self, caller: &str) -> Turn {
        self.turns.begin(caller)
    }

    /// Who is served at this moment.
    pub(crate) fn crowd(&self) -> Crowd {
        self.turns.crowd()
    }

    /// Starts a child ahead of the first report.
    pub fn warm_up(&self) -> io::Result<()> {
        let typist = Typist::start(self)?;
        self.warm().push(typist);
        Ok(())
    }

    /// Has every child that waits make something ahead of its first report, while there is nothing else for it to do: it then
    /// knows the template. What comes of it is not heard. For a press of which nothing else is asked meanwhile.
    pub async fn rehearse(&self, request: &Request) {
        let waiting = std::mem::take(&mut *self.warm());
        for mut typist in waiting {
            // One that cannot be told is gone, and will be replaced when it is needed.
            if typist.rehearse(request).await.is_ok() {
                self.warm().push(typist);
            }
        }
    }

    /// Typesets one report, or a section of it, in `time` at most, without the turns of others.
    pub async fn typeset(&self, turn: &Turn, request: &Request, time: Duration) -> Result<Report, PressError> {
        match self.ask(turn, request, time).await? {
            Answer::Report(report) => Ok(report),
            Answer::Geometry(_) => Err(unexpected("it measured")),
        }
    }

    /// Measures as [`measure`](Self::measure) does, in every child that is idle, or in `most`: each then knows the template.
    pub async fn measure_everywhere(
        &self,
        turn: &Turn,
        request: &Request,
        time: Duration,
        most: usize,
    ) -> Result<Geometry, PressError> {
        let idle = self.turns.free().min(most).max(1);
        let mut measured = try_join_all((0..idle).map(|_| self.measure(turn, request, time))).await?;
        measured.pop().ok_or_else(|| unexpected("nobody measured"))
    }

    /// Measures what decides which rows go on which page, in `time` at most. The request's section must say `measure`.
    pub async fn measure(&self, turn: &Turn, request: &Request, time: Duration) -> Result<Geometry, PressError> {
        match self.ask(turn, request, time).await? {
            Answer::Geometry(geometry) => Ok(geometry),
            Answer::Report(_) => Err(unexpected("it did not measure")),
        }
    }

    async fn ask(&self, turn: &Turn, request: &Request, time: Duration) -> Result<Answer, PressError> {
        let asking = turn.ask();
        let (typist, answer) = loop {
            asking.granted().await;
            match self.try_once(&asking, request, time).await? {
                Some(answered) => break answered,
                None => asking.again(),
            }
        };
        drop(asking);
        self.settle(typist, answer)
    }

    /// Asks a child; nothing if it was ended in others' favour.
    async fn try_once(
        &self,
        asking: &Asking<'_>,
        request: &Request,
        time: Duration,
    ) -> Result<Option<(Typist, Response)>, PressError> {
        let mut typist = self.take_warm().map_or_else(|| Typist::start(self), Ok)?;
        if !typist.hear_out().await {
            typist = Typist::start(self)?;
        }
        let mut heard = typist.answer(asking, request, time).await?;
        if matches!(heard, Heard::Nothing) && typist.has_worked {
            // It may have died of what the report before left in it.
            typist = Typist::start(self)?;
            asking.granted().await;
            heard = typist.answer(asking, request, time).await?;
        }
        match heard {
            Heard::Answer(answer) => Ok(Some((typist, *answer))),
            Heard::Eviction => Ok(None),
            Heard::Nothing => Err(self.verdict_on(typist).await?),
        }
    }

    /// Keeps a child that answered for the next report, if it is fit for one.
    fn settle(&self, mut typist: Typist, answer: Response) -> Result<Answer, PressError> {
        let (result, resident_bytes, spent) = match answer {
            Response::Done { report, resident_bytes, spent } => (Ok(Answer::Report(report)), resident_bytes, spent),
            Response::Measured { geometry, resident_bytes, spent } => {
                (Ok(Answer::Geometry(geometry)), resident_bytes, spent)
            }
            Response::Failed { error, resident_bytes, spent } => (Err(error), resident_bytes, spent),
        };
        if !spent && resident_bytes <= self.limits.memory_bytes / KEPT_SHARE {
            typist.has_worked = true;
            let mut warm = self.warm();
            // There may have been more children than can work at a time.
            if warm.len() < self.slots() {
                warm.push(typist);
            }
        }
        result.map_err(|error| match error {
            typesetter::Error::Panicked { message } if is_of_memory(&message) => {
                PressError::MemoryLimit(self.limits.memory_bytes)
            }
            error => error.into(),
        })
    }

    fn warm(&self) -> std::sync::MutexGuard<'_, Vec<Typist>> {
        self.warm.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A child that is still there; one may have been killed while it waited.
    fn take_warm(&self) -> Option<Typist> {
        let mut warm = self.warm();
        std::iter::from_fn(|| warm.pop()).find_map(|mut typist| match typist.process.try_wait() {
            Ok(None) => Some(typist),
            _ => None,
        })
    }

    /// Why a child closed its output without an answer.
    async fn verdict_on(&self, mut typist: Typist) -> io::Result<PressError> {
        let status = timeout(EXIT_PATIENCE, typist.process.wait()).await.map_err(io::Error::from)??;
        let complaint = typist.complaint.await.unwrap_or_default().trim().to_owned();
        if is_out_of_memory(&complaint) {
            return Ok(PressError::MemoryLimit(self.limits.memory_bytes));
        }
        if signal_of(status) == Some(SIGKILL) {
            return Ok(PressError::Killed);
        }
        Ok(PressError::Crashed { status, complaint })
    }
}

/// What came of asking a child.
enum Heard {
    Answer(Box<Response>),
    /// It ended in place of answering.
    Nothing,
    /// It is to be ended in favour of others.
    Eviction,
}

/// What a child answers.
enum Answer {
    Report(Report),
    Geometry(Geometry),
}

fn unexpected(what: &str) -> PressError {
    io::Error::other(format!("the child answered another question: {what}")).into()
}

/// Rust aborts with this sentence when an allocation fails.
fn is_out_of_memory(complaint: &str) -> bool {
    (complaint.contains("memory allocation of") && complaint.contains("bytes failed")) || is_of_memory(complaint)
}

/// Whether a panic is over memory: asking for more than any machine has is refused before a byte is allocated, and zlib
/// tells its caller in place of aborting.
fn is_of_memory(panic: &str) -> bool {
    panic.contains("capacity overflow") || panic.contains("left: MemError")
}

/// The signal that ended a process.
pub(crate) fn signal_of(status: ExitStatus) -> Option<i32> {
    #[cfg(unix)]
    return std::os::unix::process::ExitStatusExt::signal(&status);
    #[cfg(not(unix))]
    None
}

/// A child process that typesets.
#[derive(Debug)]
struct Typist {
    process: Child,
    requests: ChildStdin,
    answers: Lines<BufReader<ChildStdout>>,
    complaint: JoinHandle<String>,
    /// Whether it has typeset a report before, or rehearsed.
    has_worked: bool,
    /// Whether it rehearses: its next answer is not heard.
    rehearses: bool,
}

impl Typist {
    fn start(press: &Press) -> io::Result<Self> {
        let mut command = Command::from(worker::command(&press.program, Some(press.limits.memory_bytes)));
        let mut process = command.stderr(Stdio::piped()).kill_on_drop(true).spawn()?;
        let missing = || io::Error::other("a pipe to the child is missing");
        Ok(Self {
            requests: process.stdin.take().ok_or_else(missing)?,
            answers: BufReader::new(process.stdout.take().ok_or_else(missing)?).lines(),
            complaint: tokio::spawn(read_complaint(process.stderr.take().ok_or_else(missing)?)),
            process,
            has_worked: false,
            rehearses: false,
        })
    }

    /// What comes of asking the child, within `time` of its work. On an error it is of no more use: dropping it kills it.
    async fn answer(&mut self, asking: &Asking<'_>, request: &Request, time: Duration) -> Result<Heard, PressError> {
        let Some(child) = self.process.id() else { return Ok(Heard::Nothing) };
        let mut answer = std::pin::pin!(self.ask(request));
        // Given back before the child is.
        let working = asking.work(Hand::Child(child));
        loop {
            tokio::select! {
                biased;
                answer = &mut answer => {
                    return Ok(answer?.map_or(Heard::Nothing, |answer| Heard::Answer(Box::new(answer))));
                }
                () = working.rest(time) => {}
            }
            if working.is_evicted() {
                return Ok(Heard::Eviction);
            }
            if working.worked() >= time {
                return Err(PressError::TimeLimit(time));
            }
        }
    }

    /// The child's answer; nothing if it ended in place of answering.
    async fn ask(&mut self, request: &Request) -> io::Result<Option<Response>> {
        match self.tell(request).await {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => return Ok(None),
            Err(error) => return Err(error),
        }
        let Some(line) = self.answers.next_line().await? else { return Ok(None) };
        Ok(Some(serde_json::from_str(&line)?))
    }

    /// Tells the child what to make, and does not wait for it.
    async fn rehearse(&mut self, request: &Request) -> io::Result<()> {
        if !self.rehearses {
            (self.has_worked, self.rehearses) = (true, true);
            self.tell(request).await?;
        }
        Ok(())
    }

    /// Lets it come to the end of its rehearsal, if it does soon; answers whether it may be asked.
    async fn hear_out(&mut self) -> bool {
        !std::mem::take(&mut self.rehearses)
            || matches!(timeout(REHEARSAL_PATIENCE, self.answers.next_line()).await, Ok(Ok(Some(_))))
    }

    async fn tell(&mut self, request: &Request) -> io::Result<()> {
        let mut line = serde_json::to_vec(request)?;
        line.push(b'\n');
        self.requests.write_all(&line).await
    }
}

/// Reads to the end, so that the child never waits for a reader.
async fn read_complaint(stderr: ChildStderr) -> String {
    let mut lines = BufReader::new(stderr).lines();
    let mut kept = VecDeque::new();
    while let Ok(Some(line)) = lines.next_line().await {
        kept.push_back(line);
        if kept.len() > COMPLAINT_LINES {
            kept.pop_front();
        }
    }
    Vec::from(kept).join("\n")
}
