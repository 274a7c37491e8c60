//! What one report may cost, in one place.

use std::time::Duration;

use jobs::job::{DEFAULT_MAX_DATA_BYTES, MEBIBYTE};

/// What one report may cost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Wall time of typesetting a report, or a section of it.
    pub time: Duration,
    /// Memory of the child process that typesets, in bytes.
    pub memory_bytes: u64,
    /// Size of the report, in bytes.
    pub output_bytes: u64,
    /// Pages of the report.
    pub pages: usize,
    /// Size of the data, in bytes of JSON; without its rows where the report is typeset in sections.
    pub data_bytes: u64,
}

impl Default for Limits {
    /// Five minutes, 2 GiB of memory, a report of 256 MiB and 100,000 pages, 64 MiB of data.
    fn default() -> Self {
        Self {
            time: Duration::from_secs(300),
            memory_bytes: 2048 * MEBIBYTE,
            output_bytes: 256 * MEBIBYTE,
            pages: 100_000,
            data_bytes: DEFAULT_MAX_DATA_BYTES,
        }
    }
}
