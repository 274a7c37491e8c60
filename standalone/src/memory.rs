//! Memory that large requests took, and that the allocator keeps once they are answered.

use std::sync::atomic::{AtomicU64, Ordering};

use typesetter::worker::resident_in;

/// By how many bytes the server must have grown before it is worth a look at all that was freed.
const WORTHWHILE: u64 = 64 << 20;

/// From how many bytes on, what the allocator frees goes back by itself.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
const LARGE: i32 = 1 << 20;

/// Has large pieces go back to the system as they are freed. By itself, glibc learns from each of them to keep the next. To be
/// called before there are other threads.
pub(crate) fn keep_little() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    for threshold in [libc::M_MMAP_THRESHOLD, libc::M_TRIM_THRESHOLD] {
        #[expect(unsafe_code, reason = "no crate has a safe call for it")]
        // SAFETY: it takes two numbers (mallopt(3)).
        unsafe {
            libc::mallopt(threshold, LARGE);
        }
    }
}

/// Gives memory that was freed back to the system, if much may have been.
#[derive(Debug)]
pub(crate) struct Memory {
    /// The fewest bytes that the server has held.
    least: AtomicU64,
}

impl Memory {
    pub(crate) fn new() -> Self {
        Self { least: AtomicU64::new(resident_bytes()) }
    }

    /// Blocks for some milliseconds.
    pub(crate) fn give_back(&self) {
        let held = resident_bytes();
        let least = self.least.fetch_min(held, Ordering::Relaxed);
        if held >= least + WORTHWHILE {
            trim();
        }
    }
}

/// How many bytes this process holds; 0 where the system does not say.
fn resident_bytes() -> u64 {
    resident_in(&std::fs::read_to_string("/proc/self/status").unwrap_or_default())
}

/// By itself, glibc gives back no more than the end of each of its heaps, and by this call all but that.
fn trim() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    #[expect(unsafe_code, reason = "no crate has a safe call for it")]
    // SAFETY: it takes no pointer, and any thread may call it at any time (malloc_trim(3)).
    unsafe {
        libc::malloc_trim(0);
    }
}
