//! A worker and nothing else: what the tests of `worker` start as their child process.

use std::process::ExitCode;

fn main() -> ExitCode {
    typesetter::worker::run()
}
