//! The jobs in hand, and whether there is room for one more.

use std::future::pending;
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::sleep;

use crate::turns::Crowd;

/// How many jobs one caller may have in hand, for each worker. More than one, so that a small report need not wait for the
/// large ones of its own caller.
const OF_ONE_CALLER: usize = 3;

/// The most jobs in hand, for each worker: so many callers may have a long report and hold up nobody else. The last quarter is
/// for callers who have none in hand.
pub const MOST_IN_HAND: usize = 128;

/// How often it is looked whether a report is old by now.
const LOOK_AGAIN: Duration = Duration::from_millis(50);

/// What may be taken.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Room {
    /// Nothing.
    None,
    /// A message of a caller other than these.
    ForOthers(Vec<String>),
}

/// The runs in progress.
pub(super) struct Hands {
    workers: usize,
    most: usize,
    runs: JoinSet<()>,
}

impl Hands {
    /// Of so many workers, with no more than `beside` jobs in hand beside those that they work on.
    pub(super) fn new(workers: usize, beside: usize) -> Self {
        Self { workers, most: workers.saturating_add(beside).min(MOST_IN_HAND * workers), runs: JoinSet::new() }
    }

    pub(super) fn run(&mut self, run: impl Future<Output = ()> + Send + 'static) {
        self.runs.spawn(run);
    }

    /// A worker is free if fewer reports than that are young. The old ones make way; and a caller with nothing in hand need
    /// not wait for those who have something.
    pub(super) fn room(&mut self, Crowd { young, reports }: Crowd) -> Room {
        while self.runs.try_join_next().is_some() {}
        let most_of_one = if young < self.workers && self.runs.len() < (self.most * 3 / 4).max(self.workers) {
            OF_ONE_CALLER * self.workers
        } else if young < 2 * self.workers && self.runs.len() < self.most {
            1
        } else {
            return Room::None;
        };
        Room::ForOthers(
            reports.into_iter().filter(|(_, jobs)| *jobs >= most_of_one).map(|(caller, _)| caller).collect(),
        )
    }

    /// Returns when there may be more room than there was. `young` says whether there are young reports.
    pub(super) async fn more_room(&mut self, young: bool) {
        let ages = async {
            match young {
                true => sleep(LOOK_AGAIN).await,
                false => pending().await,
            }
        };
        tokio::select! {
            Some(_) = self.runs.join_next() => {}
            () = ages => {}
        }
    }

    /// Lets the runs come to their ends.
    pub(super) async fn finish(mut self) {
        while self.runs.join_next().await.is_some() {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What may be taken beside a caller's so many reports, some of them young.
    fn room(hands: &mut Hands, young: usize, reports: usize) -> Room {
        while hands.runs.len() < reports {
            hands.run(pending());
        }
        hands.room(Crowd { young, reports: [("a".to_owned(), reports)].into() })
    }

    #[tokio::test]
    async fn jobs_in_hand_are_bounded_by_workers_by_callers_and_by_files() {
        let others = || Room::ForOthers(vec!["a".to_owned()]);
        let mut hands = Hands::new(2, usize::MAX);
        assert_eq!(room(&mut hands, 1, 5), Room::ForOthers(Vec::new()));
        assert_eq!(room(&mut hands, 2, 5), others(), "one with nothing in hand need not wait");
        assert_eq!(room(&mut hands, 4, 5), Room::None);
        assert_eq!(room(&mut hands, 0, 6), others());
        assert_eq!(room(&mut hands, 0, 2 * MOST_IN_HAND - 1), others());
        assert_eq!(room(&mut hands, 0, 2 * MOST_IN_HAND), Room::None);

        let mut hands = Hands::new(2, 2);
        assert_eq!(room(&mut hands, 0, 2), Room::ForOthers(Vec::new()));
        assert_eq!(room(&mut hands, 0, 3), others(), "the last is for one with nothing in hand");
        assert_eq!(room(&mut hands, 0, 4), Room::None);
    }
}
