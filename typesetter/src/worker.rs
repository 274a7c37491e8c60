//! Typesetting in a child process, which can be killed and cannot take more memory than it was given.
//!
//! A program becomes its own worker: it starts itself again with [`ARGUMENT`], and its `main` then calls [`run`]
//! before anything else. The worker reads requests from standard input, one JSON object a line, and answers each with
//! one line on standard output. It answers in order and does one at a time.
//!
//! The end of standard input ends the worker at once, even in the middle of a compilation, so that no worker outlives
//! its parent. The system kills a worker that is stopped and cannot see that end. Wall time is the parent's to watch: kill
//! the worker and start another.

use std::env;
use std::ffi::OsString;
use std::fs;
use std::io::{self, BufRead, Write};
use std::path::Path;
use std::process::{self, Command, ExitCode, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::thread;

use rlimit::Resource;
use serde::{Deserialize, Serialize};

use crate::engine::Engine;
use crate::error::Error;
use crate::plan::Geometry;
use crate::request::{Report, Request};

/// The first argument of a program that is to be a worker. The second is its memory limit in bytes; none, no limit.
pub const ARGUMENT: &str = "__typeset";

/// The exit status when the arguments are wrong or the memory limit cannot be set.
const EXIT_USAGE: u8 = 2;

/// The stack of the thread that reads standard input.
const READER_STACK_BYTES: usize = 256 << 10;

/// The stack of Typst's own threads, which lay out. Counts towards the memory limit, touched or not.
const LAYOUT_STACK_BYTES: usize = 8 << 20;

/// Has glibc take memory from the system in large pieces, and keep some of it between two reports. By itself it asks for a
/// page at a time in all threads but the first, and Typst works in one of its own. Bytes, but for the number of arenas and for
/// `hugetlb`, which has the kernel give memory in huge pages where it can.
const MEMORY: [(&str, &str); 5] = [
    ("GLIBC_TUNABLES", "glibc.malloc.hugetlb=1"),
    ("MALLOC_ARENA_MAX", "1"),
    ("MALLOC_TOP_PAD_", "4194304"),
    ("MALLOC_TRIM_THRESHOLD_", "67108864"),
    ("MALLOC_MMAP_THRESHOLD_", "4194304"),
];

/// The answer to one request.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "outcome", rename_all = "lowercase")]
pub enum Response {
    /// The files are written.
    Done {
        /// What was written.
        report: Report,
        /// The worker's resident memory after the job; 0 where the system does not tell.
        resident_bytes: u64,
        /// Whether the worker ends after this answer, so that it must not be sent another request.
        spent: bool,
    },
    /// The rows are measured. The answer to a request whose section says `measure`.
    Measured {
        /// How the pages are made up.
        geometry: Geometry,
        /// The worker's resident memory after the job; 0 where the system does not tell.
        resident_bytes: u64,
        /// Whether the worker ends after this answer, so that it must not be sent another request.
        spent: bool,
    },
    /// There is no report.
    Failed {
        /// Why.
        error: Error,
        /// The worker's resident memory after the job; 0 where the system does not tell.
        resident_bytes: u64,
        /// Whether the worker ends after this answer, so that it must not be sent another request.
        spent: bool,
    },
}

/// The command that starts `executable` as a worker with so many bytes of memory. Standard input and output are
/// piped; standard error is the parent's unless changed.
///
/// The worker gets an environment of its own: it has no use for the parent's secrets. One Typst thread is enough, because
/// a machine runs one worker a core.
pub fn command(executable: &Path, memory_bytes: Option<u64>) -> Command {
    let mut command = Command::new(executable);
    command.arg(ARGUMENT).args(memory_bytes.map(|bytes| bytes.to_string()));
    command.env_clear().env("RAYON_NUM_THREADS", "1").env("RUST_MIN_STACK", LAYOUT_STACK_BYTES.to_string());
    command.envs(MEMORY);
    command.stdin(Stdio::piped()).stdout(Stdio::piped());
    // Ctrl-C and a service manager's stop are for the parent, which lets its workers finish.
    #[cfg(unix)]
    std::os::unix::process::CommandExt::process_group(&mut command, 0);
    command
}

/// Works until standard input ends. For the `main` of a program whose first argument is [`ARGUMENT`].
///
/// When memory runs out the process aborts with `memory allocation of … bytes failed` on standard error.
pub fn run() -> ExitCode {
    die_with_parent();
    if let Err(problem) = limit_memory(env::args_os().nth(2)) {
        eprintln!("{ARGUMENT}: {problem}");
        return ExitCode::from(EXIT_USAGE);
    }
    let requests = match read_requests() {
        Ok(requests) => requests,
        Err(problem) => {
            eprintln!("{ARGUMENT}: cannot start a thread: {problem}");
            return ExitCode::FAILURE;
        }
    };
    let mut engine = Engine::new();
    for line in requests {
        let response = answer(&mut engine, &line);
        // A parent that does not listen any more is gone or has given this worker up.
        if write_line(&response).is_err() || engine.is_spent() {
            break;
        }
        // While the parent stores the report.
        engine.tidy();
    }
    ExitCode::SUCCESS
}

/// Has the system kill this process when its parent is gone, even where it stands still. The parent starts workers on threads
/// that live as long as itself.
fn die_with_parent() {
    #[cfg(target_os = "linux")]
    if let Err(error) = rustix::process::set_parent_process_death_signal(Some(rustix::process::Signal::KILL)) {
        // The end of standard input remains.
        eprintln!("{ARGUMENT}: cannot be told of the parent's end: {error}");
    }
}

fn limit_memory(bytes: Option<OsString>) -> Result<(), String> {
    let Some(bytes) = bytes else { return Ok(()) };
    let bytes: u64 = bytes
        .to_str()
        .and_then(|text| text.parse().ok())
        .ok_or_else(|| format!("the memory limit must be a number of bytes, not {bytes:?}"))?;
    let limit = |resource: Resource, most| resource.set(most, most).map_err(|error| format!("{resource:?}: {error}"));
    limit(Resource::CORE, 0)?;
    limit(Resource::DATA, bytes)
}

/// Reads on a thread of its own, because that is how the end of standard input is seen during a compilation.
fn read_requests() -> io::Result<Receiver<String>> {
    let (sender, receiver) = mpsc::channel();
    let read = move || {
        for line in io::stdin().lock().lines().map_while(Result::ok) {
            if sender.send(line).is_err() {
                return;
            }
        }
        process::exit(0);
    };
    thread::Builder::new().name("requests".to_owned()).stack_size(READER_STACK_BYTES).spawn(read)?;
    Ok(receiver)
}

/// What an engine made.
enum Outcome {
    Done(Report),
    Measured(Geometry),
}

fn answer(engine: &mut Engine, line: &str) -> Response {
    let request = serde_json::from_str::<Request>(line);
    let result = match &request {
        Ok(request) if request.section.as_ref().is_some_and(|section| section.measure) => {
            engine.take(request).map(Outcome::Measured)
        }
        Ok(request) => engine.make(request).map(Outcome::Done),
        Err(error) => Err(Error::Request { message: error.to_string() }),
    };
    let (resident_bytes, spent) = (resident_bytes(), engine.is_spent());
    match result {
        Ok(Outcome::Done(report)) => Response::Done { report, resident_bytes, spent },
        Ok(Outcome::Measured(geometry)) => Response::Measured { geometry, resident_bytes, spent },
        Err(error) => Response::Failed { error, resident_bytes, spent },
    }
}

fn write_line(response: &Response) -> io::Result<()> {
    let mut line = serde_json::to_vec(response)?;
    line.push(b'\n');
    let mut out = io::stdout().lock();
    out.write_all(&line)?;
    out.flush()
}

/// The memory this process holds; 0 where the system does not tell.
fn resident_bytes() -> u64 {
    resident_in(&fs::read_to_string("/proc/self/status").unwrap_or_default())
}

/// The memory that a process holds, in bytes, by the line `VmRSS:  12345 kB` of its status on Linux; 0 if there is none.
pub fn resident_in(status: &str) -> u64 {
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kilobytes = line.and_then(|line| line.trim().trim_end_matches("kB").trim().parse().ok());
    kilobytes.unwrap_or(0) * 1024
}
