//! The progress of a job: one line that changes on a terminal, a line for every step elsewhere.

use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};
use jobs::{Job, Status};

use crate::caller::complain;

/// How often the line moves.
const TICK: Duration = Duration::from_millis(100);

const WAITING: &str = "{spinner} {msg} [{elapsed}]";
const SECTIONS: &str = "{spinner} {msg} [{bar:30}] {pos} of {len} sections [{elapsed}]";
const TRANSFER: &str = "{spinner} {msg} [{bar:30}] {bytes} of {total_bytes}";

/// Shows progress on standard error.
#[derive(Clone)]
pub(crate) struct Progress {
    /// Hidden where standard error is no terminal.
    bar: ProgressBar,
    began: Instant,
}

impl Progress {
    pub(crate) fn new() -> Self {
        Self { bar: ProgressBar::new_spinner().with_style(style(WAITING)), began: Instant::now() }
    }

    /// Shows a job whose state changed.
    pub(crate) fn step(&self, job: &Job) {
        let mut words = job.status.to_string();
        if job.status == Status::Running && job.attempts > 1 {
            words += &format!(", attempt {}", job.attempts);
        }
        if let Some(progress) = &job.progress {
            words += &format!(", {} of {} sections", progress.sections_done, progress.sections);
        }
        if job.status.is_final() || self.bar.is_hidden() {
            self.say(&format!("{words:<10} after {:.1} s", self.began.elapsed().as_secs_f64()));
            words = "fetching the report".into();
        }
        match &job.progress {
            Some(progress) => self.sections(progress),
            None => {
                self.bar.set_style(style(WAITING));
                self.bar.set_message(words);
            }
        }
        self.bar.enable_steady_tick(TICK);
    }

    /// Shows how many sections of a report are done.
    pub(crate) fn sections(&self, progress: &jobs::Progress) {
        self.bar.set_style(style(SECTIONS));
        self.bar.set_length(progress.sections.into());
        self.bar.set_position(progress.sections_done.into());
        self.bar.set_message(format!("{} pages", progress.pages));
    }

    /// Shows how much of an upload was sent, in bytes.
    pub(crate) fn uploaded(&self, bytes: u64, total: u64) {
        if bytes == 0 {
            self.bar.set_message("uploading");
            self.bar.set_style(style(TRANSFER));
            self.bar.set_length(total);
        }
        self.bar.set_position(bytes);
        if bytes == total {
            self.bar.set_style(style(WAITING));
            self.bar.unset_length();
        }
    }

    /// Shows how much of a report was received, in bytes.
    pub(crate) fn downloaded(&self, bytes: u64, of: Option<u64>) {
        if let Some(total) = of.filter(|_| self.bar.length() != of) {
            self.bar.set_style(style(TRANSFER));
            self.bar.set_length(total);
        }
        self.bar.set_position(bytes);
    }

    /// Shows a line that stays.
    pub(crate) fn say(&self, line: &str) {
        self.bar.suspend(|| complain(line));
    }

    /// Takes the moving line away.
    pub(crate) fn end(&self) {
        self.bar.finish_and_clear();
    }
}

fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).unwrap_or_else(|error| unreachable!("a template of ours: {error}"))
}
