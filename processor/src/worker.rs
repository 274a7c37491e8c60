//! The loop that feeds a processor from a queue on one machine; on AWS the event source does this.

mod hands;

use std::sync::Arc;
use std::time::{Duration, Instant};

use jobs::{Delivery, Patience, Queue, Unavailable};
use tokio::sync::watch;
use tokio::time::{interval_at, sleep};

pub use self::hands::MOST_IN_HAND;
use self::hands::{Hands, Room};
use crate::pipeline::{Processor, RECORDING_MARGIN, Verdict, concerning};
use crate::turns::Turn;

/// How long a message is hidden by one look at it; one in hand is hidden anew.
const HIDDEN: Duration = Duration::from_secs(120);

/// How often it is.
const HIDE_EVERY: Duration = Duration::from_secs(30);

/// How long to wait before asking a queue again that did not answer.
const PAUSE: Duration = Duration::from_secs(1);

/// Takes messages, `workers` at a time and some beside those that take long, until `stop` turns true; runs in progress are
/// finished first.
pub async fn work(processor: Arc<Processor>, queue: Arc<dyn Queue>, mut stop: watch::Receiver<bool>, workers: usize) {
    let mut hands = Hands::new(workers, processor.press.beside());
    while !*stop.borrow() {
        // Never given up once it has begun: what was sent to the queue may have been done.
        let crowd = processor.press.crowd();
        let young = crowd.young > 0;
        let taken = take(&*queue, &hands.room(crowd)).await;
        match taken {
            Ok(Some(delivery)) if *stop.borrow() => {
                hand_back(&*queue, &delivery, Verdict::Requeue(Duration::ZERO)).await;
                break;
            }
            Ok(Some(delivery)) => {
                let turn = Arc::new(processor.press.begin(&jobs::caller_of(&delivery.body)));
                hands.run(deal_with(processor.clone(), queue.clone(), delivery, turn));
                continue;
            }
            Ok(None) => {}
            Err(error) => {
                tracing::error!(%error, "the queue did not answer");
                tokio::select! {
                    _ = stop.wait_for(|stop| *stop) => {}
                    () = sleep(PAUSE) => {}
                }
                continue;
            }
        }
        tokio::select! {
            _ = stop.wait_for(|stop| *stop) => {}
            () = hands.more_room(young) => {}
            () = queue.arrival() => {}
        }
    }
    hands.finish().await;
}

async fn take(queue: &dyn Queue, room: &Room) -> Result<Option<Delivery>, Unavailable> {
    match room {
        Room::None => Ok(None),
        Room::ForOthers(passed_over) => queue.take(HIDDEN, passed_over).await,
    }
}

async fn deal_with(processor: Arc<Processor>, queue: Arc<dyn Queue>, delivery: Delivery, turn: Arc<Turn>) {
    // Time to typeset, and as much as a report's upload and record may take on either side of it.
    let deadline = Instant::now() + processor.press.limits().time + 2 * RECORDING_MARGIN;
    let (body, receives, run_turn) = (delivery.body.clone(), delivery.receives, turn.clone());
    // In a task of its own, a panic is this job's trouble and nobody else's.
    let mut run = tokio::spawn(async move { processor.process_by_turns(run_turn, &body, receives, deadline).await });
    let mut hide = interval_at((Instant::now() + HIDE_EVERY).into(), HIDE_EVERY);
    let verdict = loop {
        tokio::select! {
            // What it met is in the log.
            verdict = &mut run => break verdict.unwrap_or(Verdict::Release(PAUSE)),
            _ = hide.tick() => {
                if let Err(error) = queue.hold(&delivery.ticket, HIDDEN).await {
                    tracing::warn!(%error, "the message may be delivered once more");
                }
            }
        }
    };
    hand_back(&*queue, &delivery, verdict).await;
    // Until here the job is in its caller's hand.
    drop(turn);
}

/// Does with a message what its run said.
async fn hand_back(queue: &dyn Queue, delivery: &Delivery, verdict: Verdict) {
    let (patience, ticket) = (Patience::default(), &delivery.ticket);
    let done = match verdict {
        Verdict::Acknowledge => patience.insist(|| queue.acknowledge(ticket)).await,
        Verdict::Release(pause) => patience.insist(|| queue.release(ticket, pause)).await,
        Verdict::Requeue(pause) => patience.insist(|| queue.requeue(delivery, pause)).await,
        Verdict::Reject => patience.insist(|| queue.release(ticket, PAUSE)).await,
        Verdict::PassOn(next) => match concerning(&delivery.body, patience.insist(|| queue.push(&next))).await {
            Ok(()) => patience.insist(|| queue.acknowledge(ticket)).await,
            Err(error) => Err(error),
        },
    };
    if let Err(error) = done {
        tracing::error!(%error, "the queue did not answer");
    }
}
