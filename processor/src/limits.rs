//! What one report may cost, in one place.

use std::time::Duration;

/// What one report may cost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Wall time of typesetting.
    pub time: Duration,
    /// Memory of the child process that typesets, in bytes.
    pub memory_bytes: u64,
    /// Size of the report, in bytes.
    pub output_bytes: u64,
}

/// A megabyte of these limits, as AWS counts Lambda's memory.
pub const MEBIBYTE: u64 = 1024 * 1024;

impl Default for Limits {
    /// Five minutes, 2 GiB, 256 MiB.
    fn default() -> Self {
        Self { time: Duration::from_secs(300), memory_bytes: 2048 * MEBIBYTE, output_bytes: 256 * MEBIBYTE }
    }
}
