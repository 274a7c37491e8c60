//! The loop that makes due deliveries on one machine; on AWS the event source does this.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use jobs::job::now;
use jobs::{DueDeliveries, DueDelivery, Unavailable};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::sleep;

use crate::lanes::Lanes;
use crate::{Courier, Verdict};

/// How often to look for deliveries whose time has come. Pushed ones are taken at once.
const LOOK_AGAIN: Duration = Duration::from_millis(500);

/// How long to wait before asking a queue again that did not answer.
const PAUSE: Duration = Duration::from_secs(1);

/// When a message that is no delivery is looked at again: perhaps by a later build.
const REJECTED: Duration = Duration::from_secs(3_600);

/// After how many looks such a message is removed.
const MAX_LOOKS: u32 = 100;

/// Of how many lanes the next delivery is looked at, at a time.
const MOST_LANES: usize = 128;

/// Makes deliveries until `stop` turns true. Attempts in progress are finished first, unless `interrupt` turns true;
/// what it cuts off is attempted again by the next process.
pub async fn work(
    courier: Arc<Courier>,
    queue: Arc<dyn DueDeliveries>,
    mut stop: watch::Receiver<bool>,
    mut interrupt: watch::Receiver<bool>,
) {
    let mut round = Round { courier, queue, lanes: Lanes::default(), attempts: JoinSet::new() };
    loop {
        if let Err(error) = round.begin_due().await {
            tracing::error!(%error, "the delivery queue did not answer");
            sleep(PAUSE).await;
        }
        tokio::select! {
            _ = stop.wait_for(|stop| *stop) => break,
            Some(ended) = round.attempts.join_next() => round.end(ended),
            () = round.queue.pushed() => {}
            () = sleep(LOOK_AGAIN) => {}
        }
        while let Some(ended) = round.attempts.try_join_next() {
            round.end(ended);
        }
    }
    tokio::select! {
        () = async { while round.attempts.join_next().await.is_some() {} } => {}
        _ = interrupt.wait_for(|interrupt| *interrupt) => {}
    }
}

/// The attempts under way.
struct Round {
    courier: Arc<Courier>,
    queue: Arc<dyn DueDeliveries>,
    lanes: Lanes,
    attempts: JoinSet<DueDelivery>,
}

impl Round {
    /// Begins an attempt at every delivery that is due and that there is room for.
    async fn begin_due(&mut self) -> Result<(), Unavailable> {
        loop {
            let mut begun = 0;
            if self.lanes.room() > 0 {
                let mut due = self.queue.due(&self.lanes.busy(), MOST_LANES).await?;
                self.lanes.by_turns(&mut due);
                for delivery in due {
                    if self.lanes.enter(&delivery) {
                        self.begin(delivery);
                        begun += 1;
                    }
                }
            }
            if begun == 0 {
                return Ok(());
            }
        }
    }

    fn begin(&mut self, delivery: DueDelivery) {
        let (courier, queue) = (self.courier.clone(), self.queue.clone());
        self.attempts.spawn(async move {
            // A panic is this delivery's trouble and nobody else's.
            let made = AssertUnwindSafe(make(&courier, &*queue, &delivery)).catch_unwind().await;
            let made = match made {
                Ok(made) => made,
                // What it panicked of is in the log.
                Err(_) => queue.postpone(delivery.id, crate::PAUSE).await,
            };
            if let Err(error) = made {
                tracing::error!(%error, "the delivery queue did not answer, and the delivery may be made again");
            }
            delivery
        });
    }

    fn end(&mut self, ended: Result<DueDelivery, tokio::task::JoinError>) {
        // Its panics were caught.
        if let Ok(delivery) = ended {
            self.lanes.leave(&delivery);
        }
    }
}

/// Makes one attempt, and does with the message what came of it.
async fn make(courier: &Courier, queue: &dyn DueDeliveries, delivery: &DueDelivery) -> Result<(), Unavailable> {
    let pause = match courier.deliver(&delivery.body, delivery.attempts.saturating_add(1), now()).await {
        Verdict::Acknowledge => return courier.patience.insist(|| queue.remove(delivery.id)).await,
        Verdict::Release(pause) => pause,
        Verdict::Reject if delivery.attempts >= MAX_LOOKS => {
            tracing::error!("removed a message that is no delivery");
            return courier.patience.insist(|| queue.remove(delivery.id)).await;
        }
        Verdict::Reject => REJECTED,
    };
    courier.patience.insist(|| queue.postpone(delivery.id, pause)).await
}
