//! What a server does besides serving: it ends jobs that no run will end, and removes what is kept no longer.

use std::sync::Arc;
use std::time::Duration;

use chrono::TimeDelta;
use jobs::Unavailable;
use jobs::job::now;
use jobs::local::Expiry;
use jobs::upload::{UNNAMED_KEPT, UPLOAD_GRACE};
use sweeper::Sweeper;
use tokio::sync::watch;
use tokio::time::{MissedTickBehavior, interval};

/// How often the server looks after its data.
const EVERY: Duration = Duration::from_secs(15);

/// Looks after the data until `stop` turns true. Any step may be the last, so none is waited for.
pub(crate) async fn upkeep(
    sweeper: Arc<Sweeper>,
    expiry: Expiry,
    retention: TimeDelta,
    mut stop: watch::Receiver<bool>,
) {
    let mut clock = interval(EVERY);
    clock.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        let round = async {
            clock.tick().await;
            // In a task of its own, a panic ends this round and not the upkeep.
            match tokio::spawn(look_after(sweeper.clone(), expiry.clone(), retention)).await {
                Ok(Ok(())) => {}
                Ok(Err(error)) => tracing::error!(%error, "upkeep failed and is tried again"),
                Err(error) => tracing::error!(%error, "upkeep panicked and is tried again"),
            }
        };
        tokio::select! {
            _ = stop.wait_for(|stop| *stop) => return,
            () = round => {}
        }
    }
}

async fn look_after(sweeper: Arc<Sweeper>, expiry: Expiry, retention: TimeDelta) -> Result<(), Unavailable> {
    let ended = sweeper.sweep().await?;
    if ended > 0 {
        tracing::warn!(ended, "ended jobs that no run would have ended");
    }
    let removed = expiry.remove_expired(now()).await?;
    if removed > 0 {
        tracing::info!(removed, "removed expired jobs");
    }
    let removed = expiry.remove_uploads(now() - retention - UPLOAD_GRACE, now() - UNNAMED_KEPT).await?;
    if removed > 0 {
        tracing::info!(removed, "removed expired uploads");
    }
    Ok(())
}
