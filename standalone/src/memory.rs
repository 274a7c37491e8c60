//! Memory that large requests took, and that the allocator keeps once they are answered.

use std::sync::{Mutex, PoisonError};

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

/// How many times in a row it is tried in vain.
const MOST_IN_VAIN: u32 = 4;

/// What changes less than this is as it was, in bytes.
const CHANGED: u64 = 4 << 20;

/// Gives memory that was freed back to the system, if much may have been.
#[derive(Debug, Default)]
pub(crate) struct Memory(Mutex<Held>);

/// How many bytes the server holds.
#[derive(Debug, Default)]
struct Held {
    /// The least so far.
    least: Option<u64>,
    /// After it last gave some back.
    after: u64,
    /// How often it gave back next to nothing since.
    in_vain: u32,
}

impl Memory {
    /// Blocks for some milliseconds.
    pub(crate) fn give_back(&self) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(held) = resident_bytes() else { return };
        let least = known.least.unwrap_or(held).min(held);
        known.least = Some(least);
        if held.abs_diff(known.after) >= CHANGED {
            known.in_vain = 0;
        }
        if held < least + WORTHWHILE || known.in_vain >= MOST_IN_VAIN {
            return;
        }
        trim();
        known.after = resident_bytes().unwrap_or(held);
        known.in_vain = if held.abs_diff(known.after) >= CHANGED { 0 } else { known.in_vain + 1 };
    }
}

/// How many bytes this process holds, where the system says so.
fn resident_bytes() -> Option<u64> {
    Some(resident_in(&std::fs::read_to_string("/proc/self/status").ok()?)).filter(|bytes| *bytes > 0)
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
