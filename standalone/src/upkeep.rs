//! What a server does besides serving: it ends jobs that no run will end, removes what is kept no longer, and gives back
//! memory that it does not need any more. None waits for another.

use std::sync::Arc;
use std::time::Duration;

use chrono::TimeDelta;
use jobs::Unavailable;
use jobs::job::now;
use jobs::local::Expiry;
use jobs::upload::{UNNAMED_KEPT, UPLOAD_GRACE};
use sweeper::Sweeper;
use tokio::sync::watch;
use tokio::task::spawn_blocking;
use tokio::time::{MissedTickBehavior, interval};

use crate::memory::Memory;

/// How often the server looks after its data.
const EVERY: Duration = Duration::from_secs(15);

/// Ends jobs that no run will end, until `stop` turns true.
pub(crate) async fn sweeps(sweeper: Arc<Sweeper>, stop: watch::Receiver<bool>) {
    repeat("the sweep", stop, || sweep(sweeper.clone())).await;
}

/// Removes what is kept no longer, until `stop` turns true.
pub(crate) async fn expiries(expiry: Expiry, retention: TimeDelta, stop: watch::Receiver<bool>) {
    tokio::join!(
        repeat("the expiry of jobs", stop.clone(), || expire_jobs(expiry.clone())),
        repeat("the expiry of uploads", stop, || expire_uploads(expiry.clone(), retention)),
    );
}

/// Gives back memory that was freed, until `stop` turns true.
pub(crate) async fn trims(stop: watch::Receiver<bool>) {
    let memory = Arc::new(Memory::default());
    repeat("giving memory back", stop, || give_back(memory.clone())).await;
}

/// Does `work` again and again until `stop` turns true. Any step may be the last, so none is waited for.
async fn repeat<F>(name: &str, mut stop: watch::Receiver<bool>, work: impl Fn() -> F)
where
    F: Future<Output = Result<(), Unavailable>> + Send + 'static,
{
    let mut clock = interval(EVERY);
    clock.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        let round = async {
            clock.tick().await;
            // In a task of its own, a panic ends this round and not the next.
            match tokio::spawn(work()).await {
                Ok(Ok(())) => {}
                Ok(Err(error)) => tracing::error!(%error, "{name} failed and is tried again"),
                Err(error) => tracing::error!(%error, "{name} panicked and is tried again"),
            }
        };
        tokio::select! {
            _ = stop.wait_for(|stop| *stop) => return,
            () = round => {}
        }
    }
}

async fn sweep(sweeper: Arc<Sweeper>) -> Result<(), Unavailable> {
    let ended = sweeper.sweep().await?;
    if ended > 0 {
        tracing::warn!(ended, "ended jobs that no run would have ended");
    }
    Ok(())
}

async fn expire_jobs(expiry: Expiry) -> Result<(), Unavailable> {
    note_removed("jobs", expiry.remove_expired(now()).await?);
    Ok(())
}

async fn expire_uploads(expiry: Expiry, retention: TimeDelta) -> Result<(), Unavailable> {
    let removed = expiry.remove_uploads(now() - retention - UPLOAD_GRACE, now() - UNNAMED_KEPT).await?;
    note_removed("uploads", removed);
    Ok(())
}

async fn give_back(memory: Arc<Memory>) -> Result<(), Unavailable> {
    _ = spawn_blocking(move || memory.give_back()).await;
    Ok(())
}

fn note_removed(kind: &str, removed: usize) {
    if removed > 0 {
        tracing::info!(removed, "removed expired {kind}");
    }
}
