//! Pressrun on one machine: `pressrun serve` is the listener and the processor in one process, `pressrun render`
//! goes straight from data to a file, and `pressrun send`, `job` and `jobs` call a server, this one or another.

mod access;
mod announcer;
mod caller;
mod cli;
mod client;
mod http;
mod memory;
mod output;
mod progress;
mod render;
mod rows;
mod send;
mod serve;
mod show;
mod upkeep;

use std::process::ExitCode;

use clap::Parser;
use cli::{Cli, Command};
use telemetry::logs;
use typesetter::worker;

fn main() -> ExitCode {
    if std::env::args_os().nth(1).is_some_and(|argument| argument == worker::ARGUMENT) {
        return worker::run();
    }
    let cli = Cli::parse();
    if !matches!(cli.command, Command::Serve(_)) {
        logs::start(logs::Format::Human, std::io::stderr, "warn");
    }
    match cli.command {
        Command::Serve(options) => serve::serve(*options),
        Command::Render(options) => render::render(options),
        Command::Send(options) => send::send(options),
        Command::Job(options) => show::job(options),
        Command::Jobs(options) => show::jobs(options),
    }
}
