//! The loop that feeds a processor from a queue on one machine; on AWS the event source does this.

use std::sync::Arc;
use std::time::{Duration, Instant};

use jobs::{Delivery, Patience, Queue, Unavailable};
use tokio::sync::watch;

use crate::pipeline::{Processor, RECORDING_MARGIN, Verdict, concerning};

/// How long one call waits for a message.
const WAIT: Duration = Duration::from_secs(20);

/// How long to wait before asking a queue again that did not answer.
const PAUSE: Duration = Duration::from_secs(1);

/// Takes messages one at a time until `stop` turns true; a run in progress is finished first.
pub async fn work(processor: Arc<Processor>, queue: Arc<dyn Queue>, mut stop: watch::Receiver<bool>) {
    // Time to typeset, and as much as a report's upload and record may take on either side of it.
    let visibility = processor.press.limits().time + 2 * RECORDING_MARGIN;
    loop {
        let delivery = tokio::select! {
            _ = stop.wait_for(|stop| *stop) => return,
            delivery = queue.receive(visibility, WAIT) => delivery,
        };
        let outcome = match delivery {
            Ok(None) => continue,
            Ok(Some(delivery)) => deal_with(&processor, &*queue, delivery, Instant::now() + visibility).await,
            Err(error) => Err(error),
        };
        if let Err(error) = outcome {
            tracing::error!(%error, "the queue did not answer");
            tokio::time::sleep(PAUSE).await;
        }
    }
}

async fn deal_with(
    processor: &Arc<Processor>,
    queue: &dyn Queue,
    delivery: Delivery,
    deadline: Instant,
) -> Result<(), Unavailable> {
    let Delivery { body, receives, ticket } = delivery;
    let processor = processor.clone();
    // In a task of its own, a panic is this job's trouble and nobody else's.
    let run = tokio::spawn(async move {
        let verdict = processor.process(&body, receives, deadline).await;
        (verdict, body)
    });
    let pause = match run.await {
        Ok((Verdict::Acknowledge, _)) => return Patience::default().insist(|| queue.acknowledge(&ticket)).await,
        Ok((Verdict::Release(pause), _)) => pause,
        Ok((Verdict::PassOn(next), body)) => {
            concerning(&body, Patience::default().insist(|| queue.push(&next))).await?;
            return Patience::default().insist(|| queue.acknowledge(&ticket)).await;
        }
        Ok((Verdict::Reject, _)) => PAUSE,
        // What it met is in the log.
        Err(_) => PAUSE,
    };
    Patience::default().insist(|| queue.release(&ticket, pause)).await
}
