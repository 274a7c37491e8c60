//! How many connections there are file descriptors for, and how many reports in hand, once the server's own work has what it
//! needs.

use processor::MOST_IN_HAND;

use crate::http::Bounds;

/// What the server itself holds: standard streams, the runtime, the socket, the locks, the database, the log.
const OWN: u64 = 32;

/// What a worker holds: a child's pipes, and the files of a report.
const PER_WORKER: u64 = 8;

/// What mails, webhooks and their name resolution hold where there are enough.
const DELIVERIES: u64 = 96;

/// What a report holds that is in hand beside those that are worked on: a child that stands still, and its files.
const PER_REPORT_BESIDE: u64 = 8;

/// How many of these there are for each worker, where there are enough descriptors.
const BESIDE: u64 = 15;

/// What a report holds that waits for its turn: the files that it reads and writes.
const PER_REPORT_WAITING: u64 = 4;

/// How many of these there are for each worker, where connections leave enough descriptors.
const WAITING: u64 = MOST_IN_HAND as u64 - BESIDE - 1;

/// What a connection holds: a socket, and a file that is sent or received.
const PER_CONNECTION: u64 = 2;

/// What there are descriptors for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Room {
    /// Connections.
    pub(crate) connections: Bounds,
    /// Reports in hand beside those that are worked on.
    pub(crate) reports_beside: usize,
}

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

/// Asks the system for as many descriptors as `wanted` connections and so many workers need, and says what there is room for.
pub(crate) fn reserve(wanted: Bounds, workers: usize) -> Result<Room, TooFewDescriptors> {
    let needed = needed(wanted, workers);
    // A system that does not tell its limit has none that is known; one that refuses has the one it had.
    let limit = rlimit::increase_nofile_limit(needed).or_else(|_| rlimit::Resource::NOFILE.get_soft());
    let limit = limit.unwrap_or(needed);
    let room = within(limit, wanted, workers)?;
    if room.connections.all < wanted.all {
        tracing::warn!(
            limit,
            "the limit of open files allows {} connections of {}: raise it with `ulimit -n` or LimitNOFILE=",
            room.connections.all,
            wanted.all
        );
    }
    Ok(room)
}

fn own(workers: usize) -> u64 {
    OWN + PER_WORKER * workers as u64
}

fn beside(workers: usize) -> u64 {
    PER_REPORT_BESIDE * BESIDE * workers as u64
}

fn spare(workers: usize) -> u64 {
    DELIVERIES + beside(workers)
}

fn waiting(workers: usize) -> u64 {
    PER_REPORT_WAITING * WAITING * workers as u64
}

fn needed(wanted: Bounds, workers: usize) -> u64 {
    own(workers) + spare(workers) + PER_CONNECTION * wanted.all as u64 + waiting(workers)
}

/// What a process has room for that may open `limit` files.
fn within(limit: u64, wanted: Bounds, workers: usize) -> Result<Room, TooFewDescriptors> {
    let rest = limit.saturating_sub(own(workers));
    let spare = spare(workers).min(rest / 2);
    let all = count((rest - spare) / PER_CONNECTION).min(wanted.all);
    if all == 0 {
        return Err(TooFewDescriptors { limit, needed: own(workers) + PER_CONNECTION, workers });
    }
    let connections = Bounds { all, of_one_address: wanted.of_one_address.min(all) };
    // Deliveries take what they need, up to half of it.
    let reports = spare - DELIVERIES.min(spare / 2);
    let left = (rest - spare).saturating_sub(PER_CONNECTION * all as u64).min(waiting(workers));
    let reports_beside = count(reports.div_ceil(PER_REPORT_BESIDE) + left / PER_REPORT_WAITING);
    Ok(Room { connections, reports_beside })
}

fn count(of: u64) -> usize {
    usize::try_from(of).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const WANTED: Bounds = Bounds { all: 2048, of_one_address: 1536 };

    #[test]
    fn connections_and_reports_beside_get_what_the_work_leaves() {
        let room = |limit, workers| {
            within(limit, WANTED, workers).map(|room| (room.connections.all, room.reports_beside)).ok()
        };
        assert_eq!(room(needed(WANTED, 2), 2), Some((2048, 254)));
        assert_eq!(room(u64::MAX, 2), Some((2048, 254)));
        assert_eq!(room(needed(WANTED, 2) - 400, 2), Some((2048, 154)));
        assert_eq!(room(1024, 2), Some((320, 30)));
        assert_eq!(room(256, 2), Some((52, 7)));
        assert_eq!(room(64, 2), Some((4, 1)));
        assert_eq!(room(48, 2), None);
        assert_eq!(room(64, 4), None);
    }
}
