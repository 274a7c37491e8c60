//! A real child process: warm between jobs, held to its memory, gone when its parent is.

mod support;

use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::fs::symlink;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use support::Place;
use typesetter::worker::{self, Response};
use typesetter::{Error, Request};

/// Memory that is plenty for the small templates here.
const PLENTY: u64 = 512 << 20;
/// Longer than anything here takes, so that a failure is reported instead of a test that hangs.
const PATIENCE: Duration = Duration::from_secs(60);

/// A worker that dies with the test.
struct Worker {
    child: Child,
    input: Option<ChildStdin>,
    output: BufReader<ChildStdout>,
}

impl Worker {
    fn start(memory_bytes: Option<u64>) -> Self {
        let mut command = worker::command(Path::new(env!("CARGO_BIN_EXE_typeset-child")), memory_bytes);
        let mut child = command.stderr(Stdio::piped()).spawn().expect("a worker");
        let input = child.stdin.take();
        let output = BufReader::new(child.stdout.take().expect("its output"));
        Self { child, input, output }
    }

    fn send(&mut self, request: &Request) {
        self.send_line(&serde_json::to_string(request).expect("JSON"));
    }

    fn send_line(&mut self, line: &str) {
        let input = self.input.as_mut().expect("an open input");
        writeln!(input, "{line}").expect("the worker listens");
    }

    /// The next answer, or nothing if the worker has ended.
    fn receive(&mut self) -> Option<Response> {
        let mut line = String::new();
        self.output.read_line(&mut line).expect("its output");
        (!line.is_empty()).then(|| serde_json::from_str(&line).expect("a response"))
    }

    fn close_input(&mut self) {
        self.input = None;
    }

    fn wait(&mut self) -> ExitStatus {
        let start = Instant::now();
        loop {
            match self.child.try_wait().expect("its status") {
                Some(status) => return status,
                None if start.elapsed() > PATIENCE => panic!("the worker does not end"),
                None => thread::sleep(Duration::from_millis(5)),
            }
        }
    }

    /// The status and standard error of a worker that ends by itself.
    fn end(&mut self) -> (ExitStatus, String) {
        let status = self.wait();
        let mut said = String::new();
        self.child.stderr.take().expect("its errors").read_to_string(&mut said).expect("text");
        (status, said)
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

/// Typst has to lay out every start of such a text that is tried, and remembers it until the report is done.
#[test]
fn long_texts_that_are_cut_are_not_laid_out_in_every_length() {
    let place = Place::new(
        "#import \"/kit/kit.typ\": *\n#show: document-page\n\
         #rows(range(20).map(n => (text: str(n) + \" من أجل ذلك\" * 80)), columns: ((field: \"text\"),))",
    );
    let kit = Path::new(env!("CARGO_MANIFEST_DIR")).join("../templates/kit");
    let mut worker = Worker::start(Some(PLENTY / 2));
    worker.send(&Request { kit, ..place.request() });
    let answer = worker.receive();
    assert!(matches!(answer, Some(Response::Done { .. })), "{answer:?}");
}

#[test]
fn a_worker_answers_one_request_after_another() {
    let (good, bad) = (Place::of("plain"), Place::new("#oops"));
    let mut worker = Worker::start(Some(PLENTY));
    for _ in 0..3 {
        worker.send(&good.request());
        worker.send(&bad.request());
        match worker.receive() {
            Some(Response::Done { report, resident_bytes, spent }) => {
                assert_eq!((report.pages, spent), (1, false));
                assert!(resident_bytes > 1 << 20);
            }
            other => panic!("expected a report, got {other:?}"),
        }
        match worker.receive() {
            Some(Response::Failed { error: Error::Template { diagnostics }, .. }) => {
                assert_eq!(diagnostics[0].headline(), "main.typ:1:2: unknown variable: oops");
            }
            other => panic!("expected an error, got {other:?}"),
        }
    }
    worker.close_input();
    assert!(worker.wait().success());
}

#[test]
fn a_worker_gives_the_bytes_of_an_engine() {
    let place = Place::of("plain");
    place.typeset().expect("a report");
    let expected = place.pdf();
    let mut worker = Worker::start(Some(PLENTY));
    worker.send(&place.request());
    assert!(matches!(worker.receive(), Some(Response::Done { .. })));
    assert_eq!(place.pdf(), expected);
}

#[test]
fn what_is_no_request_is_answered() {
    let mut worker = Worker::start(Some(PLENTY));
    for line in ["", "{", "{}", "[1]"] {
        worker.send_line(line);
        assert!(matches!(worker.receive(), Some(Response::Failed { error: Error::Request { .. }, .. })));
    }
}

#[test]
fn memory_that_grows_without_end_aborts_the_worker() {
    for template in ["memory-loop", "memory-range"] {
        let place = Place::of(template);
        let mut worker = Worker::start(Some(PLENTY));
        worker.send(&place.request());
        assert_eq!(worker.receive(), None, "{template}");
        let (status, said) = worker.end();
        assert_eq!(status.signal(), Some(6), "{template}: {status}, {said}");
        assert!(said.contains("memory allocation of"), "{template}: {said}");
        assert_eq!(place.written(), [""; 0]);
    }
}

#[test]
fn the_end_of_input_ends_a_worker_in_the_middle_of_a_job() {
    let place = Place::of("endless");
    let mut worker = Worker::start(Some(PLENTY));
    // The answer to the first request shows that the worker reads; the second one never ends.
    worker.send_line("{}");
    assert!(worker.receive().is_some());
    worker.send(&place.request());
    let busy = processor_ticks(worker.child.id());
    let start = Instant::now();
    while processor_ticks(worker.child.id()) < busy + 20 {
        assert!(start.elapsed() < PATIENCE, "the worker does not work");
        thread::sleep(Duration::from_millis(5));
    }
    assert_eq!(worker.child.try_wait().expect("its status"), None);
    worker.close_input();
    assert!(worker.wait().success());
}

#[test]
fn a_panic_is_an_error_and_spends_the_worker() {
    // Two links to their own folder give one file more paths than Typst has file ids.
    let place = Place::new(
        "#for n in range(70000) {\n  let turns = \"\"\n  for bit in range(17) \
         { turns += if calc.odd(n.bit-rshift(bit)) { \"a/\" } else { \"b/\" } }\n  \
         let _ = read(turns + \"main.typ\")\n}",
    );
    for link in ["a", "b"] {
        symlink(".", place.path("template").join(link)).expect("a link");
    }
    let mut worker = Worker::start(Some(PLENTY));
    worker.send(&place.request());
    match worker.receive() {
        Some(Response::Failed { error: Error::Panicked { message }, spent: true, .. }) => {
            assert!(message.starts_with("out of file ids"), "{message}");
        }
        other => panic!("expected a panic, got {other:?}"),
    }
    assert_eq!(worker.receive(), None);
    assert!(worker.wait().success());
}

#[test]
fn a_memory_limit_that_is_no_number_is_refused() {
    let mut command = worker::command(Path::new(env!("CARGO_BIN_EXE_typeset-child")), None);
    let output = command.arg("much").output().expect("a worker");
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).contains("must be a number of bytes"));
}

/// The processor time a process has used, in the kernel's ticks.
fn processor_ticks(process: u32) -> u64 {
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat")).expect("the process");
    let after_name = stat.rsplit_once(") ").expect("a process name").1;
    after_name.split(' ').skip(11).take(2).map(|ticks| ticks.parse::<u64>().expect("ticks")).sum()
}
