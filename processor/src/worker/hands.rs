//! The jobs in hand, and whether there is room for one more.

use std::collections::HashMap;
use std::future::pending;
use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::sleep;

use crate::turns::Turn;

/// How many jobs one caller may have in hand, for each worker. More than one, so that a small report need not wait for the
/// large ones of its own caller.
const OF_ONE_CALLER: usize = 3;

/// How many jobs there may be in hand, for each worker, before only callers without any are served.
const OF_ALL_CALLERS: usize = 12;

/// The most jobs in hand, for each worker.
const MOST: usize = 16;

/// How often it is looked whether a report is old by now.
const LOOK_AGAIN: Duration = Duration::from_millis(50);

/// What may be taken.
pub(super) enum Room {
    /// Nothing.
    None,
    /// A message of a caller other than these.
    ForOthers(Vec<String>),
}

/// The runs in progress.
pub(super) struct Hands {
    workers: usize,
    runs: JoinSet<()>,
    turns: Vec<(tokio::task::Id, Arc<Turn>)>,
}

impl Hands {
    pub(super) fn new(workers: usize) -> Self {
        Self { workers, runs: JoinSet::new(), turns: Vec::new() }
    }

    pub(super) fn run(&mut self, turn: Arc<Turn>, run: impl Future<Output = ()> + Send + 'static) {
        let id = self.runs.spawn(run).id();
        self.turns.push((id, turn));
    }

    /// A worker is free if fewer reports than that are young. The old ones make way; and a caller with nothing in hand need
    /// not wait for those who have something.
    pub(super) fn room(&mut self) -> Room {
        while let Some(ended) = self.runs.try_join_next_with_id() {
            self.forget(ended);
        }
        let young = self.turns.iter().filter(|(_, turn)| turn.is_young()).count();
        let most_of_one = if young < self.workers && self.turns.len() < OF_ALL_CALLERS * self.workers {
            OF_ONE_CALLER * self.workers
        } else if young < 2 * self.workers && self.turns.len() < MOST * self.workers {
            1
        } else {
            return Room::None;
        };
        let mut in_hand: HashMap<String, usize> = HashMap::new();
        for (_, turn) in &self.turns {
            *in_hand.entry(turn.caller()).or_default() += 1;
        }
        Room::ForOthers(
            in_hand.into_iter().filter(|(_, jobs)| *jobs >= most_of_one).map(|(caller, _)| caller).collect(),
        )
    }

    /// Returns when there may be more room than there was.
    pub(super) async fn more_room(&mut self) {
        let ages = async {
            match self.turns.iter().any(|(_, turn)| turn.is_young()) {
                true => sleep(LOOK_AGAIN).await,
                false => pending().await,
            }
        };
        let ended = tokio::select! {
            Some(ended) = self.runs.join_next_with_id() => ended,
            () = ages => return,
        };
        self.forget(ended);
    }

    fn forget(&mut self, ended: Result<(tokio::task::Id, ()), tokio::task::JoinError>) {
        let id = ended.map_or_else(|error| error.id(), |(id, ())| id);
        self.turns.retain(|(other, _)| *other != id);
    }

    /// Lets the runs come to their ends.
    pub(super) async fn finish(mut self) {
        while self.runs.join_next().await.is_some() {}
    }
}
