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
                for delivery in self.queue.due(&self.lanes.busy(), self.lanes.room()).await? {
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
            // A panic is this delivery's trouble and nobody else's. What it panicked of is in the log.
            let made = AssertUnwindSafe(make(&courier, &delivery)).catch_unwind().await;
            settle(&courier, &*queue, &delivery, made.unwrap_or(Verdict::Release(crate::PAUSE))).await;
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

/// Makes one attempt; answers what is to become of the delivery.
async fn make(courier: &Courier, delivery: &DueDelivery) -> Verdict {
    match courier.deliver(&delivery.body, delivery.attempts.saturating_add(1), now()).await {
        Verdict::Reject if delivery.attempts >= MAX_LOOKS => {
            tracing::error!("removed a message that is no delivery");
            Verdict::Acknowledge
        }
        Verdict::Reject => Verdict::Release(REJECTED),
        verdict => verdict,
    }
}

/// Removes a delivery or puts it off, however long its queue takes: as long as the queue does not know what came of the attempt,
/// it has the delivery made again, so that its place stays taken.
async fn settle(courier: &Courier, queue: &dyn DueDeliveries, delivery: &DueDelivery, verdict: Verdict) {
    loop {
        let settled = courier.patience.insist(|| async {
            match verdict {
                Verdict::Release(pause) => queue.postpone(delivery.id, pause).await,
                Verdict::Acknowledge | Verdict::Reject => queue.remove(delivery.id).await,
            }
        });
        match settled.await {
            Ok(()) => return,
            Err(error) => tracing::error!(%error, "the delivery queue did not answer, and is asked again"),
        }
        sleep(PAUSE).await;
    }
}
