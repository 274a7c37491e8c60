//! How many connections there are file descriptors for, once the server's own work has what it needs.

use crate::http::Bounds;

/// What the server itself holds: standard streams, the runtime, the socket, the locks, the database, the log.
const OWN: u64 = 32;

/// What a worker holds: a child's pipes, and the files of a report.
const PER_WORKER: u64 = 8;

/// What mails, webhooks and their name resolution hold where there are enough.
const DELIVERIES: u64 = 96;

/// What the children that stand still for others hold, for each worker, where there are enough.
const PAUSED: u64 = 12;

/// What a connection holds: a socket, and a file that is sent or received.
const PER_CONNECTION: u64 = 2;

/// The process may not open the files that it needs.
#[derive(Debug, thiserror::Error)]
#[error(
    "this process may open {limit} files, and needs {needed} to serve with {workers} workers: raise the limit (ulimit -n, \
     or LimitNOFILE= of systemd), or use fewer --workers"
)]
pub(crate) struct TooFewDescriptors {
    limit: u64,
    needed: u64,
    workers: usize,
}

/// Asks the system for as many descriptors as `wanted` connections and so many workers need, and bounds connections by
/// what there is.
pub(crate) fn reserve(wanted: Bounds, workers: usize) -> Result<Bounds, TooFewDescriptors> {
    let needed = needed(wanted, workers);
    // A system that does not tell its limit has none that is known; one that refuses has the one it had.
    let limit = rlimit::increase_nofile_limit(needed).or_else(|_| rlimit::Resource::NOFILE.get_soft());
    let limit = limit.unwrap_or(needed);
    let bounds = within(limit, wanted, workers)?;
    if bounds.all < wanted.all {
        tracing::warn!(
            limit,
            max_connections = bounds.all,
            "the limit of open files bounds the connections; raise it for {}",
            wanted.all
        );
    }
    Ok(bounds)
}

fn own(workers: usize) -> u64 {
    OWN + PER_WORKER * workers as u64
}

fn spare(workers: usize) -> u64 {
    DELIVERIES + PAUSED * workers as u64
}

fn needed(wanted: Bounds, workers: usize) -> u64 {
    own(workers) + spare(workers) + PER_CONNECTION * wanted.all as u64
}

/// How many connections a process may have that may open `limit` files.
fn within(limit: u64, wanted: Bounds, workers: usize) -> Result<Bounds, TooFewDescriptors> {
    let rest = limit.saturating_sub(own(workers));
    let rest = rest - spare(workers).min(rest / 2);
    let all = usize::try_from(rest / PER_CONNECTION).unwrap_or(usize::MAX).min(wanted.all);
    if all == 0 {
        return Err(TooFewDescriptors { limit, needed: own(workers) + PER_CONNECTION, workers });
    }
    Ok(Bounds { all, of_one_address: wanted.of_one_address.min(all) })
}

#[cfg(test)]
mod tests {
    use super::*;

    const WANTED: Bounds = Bounds { all: 2048, of_one_address: 1536 };

    #[test]
    fn connections_get_what_the_work_leaves() {
        let all = |limit, workers| within(limit, WANTED, workers).map(|bounds| bounds.all).ok();
        assert_eq!(all(needed(WANTED, 2), 2), Some(2048));
        assert_eq!(all(u64::MAX, 2), Some(2048));
        assert_eq!(all(1024, 2), Some(428));
        assert_eq!(all(64, 2), Some(4));
        assert_eq!(all(48, 2), None);
        assert_eq!(all(64, 4), None);
    }
}
