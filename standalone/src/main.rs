//! Pressrun on one machine: `pressrun serve` is the listener and the processor in one process, `pressrun render`
//! goes straight from data to a file, and `pressrun send`, `job` and `jobs` call a server, this one or another.

mod access;
mod announcer;
mod caller;
mod cli;
mod client;
mod output;
mod progress;
mod render;
mod rows;
mod send;
mod serve;
mod show;
mod upkeep;

use std::io::IsTerminal;
use std::process::ExitCode;

use clap::Parser;
use cli::{Cli, Command};
use tracing_subscriber::EnvFilter;
use typesetter::worker;

fn main() -> ExitCode {
    if std::env::args_os().nth(1).is_some_and(|argument| argument == worker::ARGUMENT) {
        return worker::run();
    }
    let cli = Cli::parse();
    let default_filter = match cli.command {
        Command::Serve(_) => "info",
        _ => "warn",
    };
    tracing_subscriber::fmt()
        .with_env_filter(EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(default_filter)))
        .with_ansi(std::io::stderr().is_terminal())
        .with_target(false)
        .with_writer(std::io::stderr)
        .init();
    match cli.command {
        Command::Serve(options) => serve::serve(options),
        Command::Render(options) => render::render(options),
        Command::Send(options) => send::send(options),
        Command::Job(options) => show::job(options),
        Command::Jobs(options) => show::jobs(options),
    }
}
