//! The loop that feeds a courier from a queue on one machine; on AWS the event source does this.

use std::sync::Arc;
use std::time::Duration;

use jobs::job::now;
use jobs::{Delivery, Queue, Unavailable};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;

use crate::{Courier, Verdict};

/// How many attempts are made at the same time, so that a slow receiver does not hold up the others.
const AT_ONCE: usize = 32;

/// How long a message is hidden while an attempt is made: longer than that takes.
const VISIBILITY: Duration = Duration::from_secs(120);

/// How long one call waits for a message.
const WAIT: Duration = Duration::from_secs(20);

/// How long to wait before asking a queue again that did not answer.
const PAUSE: Duration = Duration::from_secs(1);

/// Delivers events until `stop` turns true. Attempts in progress are finished first, unless `interrupt` turns true;
/// what it cuts off is delivered again.
pub async fn work(
    courier: Arc<Courier>,
    queue: Arc<dyn Queue>,
    mut stop: watch::Receiver<bool>,
    mut interrupt: watch::Receiver<bool>,
) {
    let (free, mut attempts) = (Arc::new(Semaphore::new(AT_ONCE)), JoinSet::new());
    loop {
        let next = async {
            // Nobody closes the semaphore.
            let turn = free.clone().acquire_owned().await.ok();
            (turn, queue.receive(VISIBILITY, WAIT).await)
        };
        let (turn, delivery) = tokio::select! {
            _ = stop.wait_for(|stop| *stop) => break,
            next = next => next,
        };
        while let Some(attempt) = attempts.try_join_next() {
            told(attempt);
        }
        match delivery {
            Ok(None) => {}
            Ok(Some(delivery)) => {
                let (courier, queue) = (courier.clone(), queue.clone());
                // In a task of its own, a panic is this event's trouble and nobody else's.
                attempts.spawn(async move {
                    let _turn = turn;
                    deal_with(&courier, &*queue, delivery).await
                });
            }
            Err(error) => {
                tracing::error!(%error, "the queue did not answer");
                tokio::time::sleep(PAUSE).await;
            }
        }
    }
    let finished = async {
        while let Some(attempt) = attempts.join_next().await {
            told(attempt);
        }
    };
    tokio::select! {
        () = finished => {}
        _ = interrupt.wait_for(|interrupt| *interrupt) => {}
    }
}

fn told(attempt: Result<Result<(), Unavailable>, tokio::task::JoinError>) {
    match attempt {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::error!(%error, "the queue did not answer, and will deliver the webhook again"),
        // It is in the log.
        Err(_) => {}
    }
}

async fn deal_with(courier: &Courier, queue: &dyn Queue, delivery: Delivery) -> Result<(), Unavailable> {
    let Delivery { body, receives, ticket } = delivery;
    let pause = match courier.deliver(&body, receives, now()).await {
        Verdict::Acknowledge => return courier.patience.insist(|| queue.acknowledge(&ticket)).await,
        Verdict::Release(pause) => pause,
        Verdict::Reject => PAUSE,
    };
    courier.patience.insist(|| queue.release(&ticket, pause)).await
}
