//! Whether there is room for new work: on the server's disk, and in what its caller may store.

use axum::http::StatusCode;
use axum::http::header::RETRY_AFTER;
use jobs::job::MEBIBYTE;
use jobs::{JobId, Shortage};

use crate::access::Caller;
use crate::{Listener, Problem};

/// When a caller who found the disk full may try again, in seconds.
const RETRY_AFTER_SECONDS: u64 = 60;

impl Listener {
    /// Admits a job of `caller` that is to be queued, or refuses it.
    pub(crate) async fn take_on(&self, caller: &Caller, job: JobId) -> Result<(), Problem> {
        self.check_room(0).await?;
        self.access.count_bytes(caller, 0).await?;
        self.access.take_off(caller, job).await
    }

    /// Refuses to store so many bytes more if they would take from the reserve for work that was accepted.
    pub(crate) async fn check_room(&self, bytes: u64) -> Result<(), Problem> {
        match self.objects.shortage(bytes).await? {
            None => Ok(()),
            Some(shortage) => {
                let [free_mib, reserve_mib] = [shortage.free, shortage.reserve].map(|bytes| bytes / MEBIBYTE);
                tracing::warn!(
                    bytes,
                    free_mib,
                    reserve_mib,
                    "the disk is too full for new work: free some space, or lower --min-free-space"
                );
                Err(no_room(shortage, bytes))
            }
        }
    }
}

/// How a call may be refused for lack of room.
pub(crate) fn refusals() -> [Problem; 1] {
    [no_room(Shortage { free: 900 * MEBIBYTE, reserve: 1024 * MEBIBYTE }, 0)]
}

/// The refusal of n bytes for lack of room on the disk.
fn no_room(Shortage { free, reserve }: Shortage, bytes: u64) -> Problem {
    let asked = if bytes == 0 { String::new() } else { format!(", and this needs {bytes} bytes") };
    let detail = format!(
        "The server's disk has {} MiB free and keeps {} MiB for accepted work{asked}. Send it again later; the operator must \
         free space or lower --min-free-space.",
        free / MEBIBYTE,
        reserve / MEBIBYTE
    );
    storage_full(&detail)
}

/// The disk is full, as the detail says.
pub(crate) fn storage_full(detail: &str) -> Problem {
    Problem::new(StatusCode::INSUFFICIENT_STORAGE, "storage-full", "The server's disk is full.", detail)
        .with_header(RETRY_AFTER, RETRY_AFTER_SECONDS)
}
