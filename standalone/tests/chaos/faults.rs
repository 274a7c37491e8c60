//! What goes wrong, and where: every call to a port passes a gate before it and one after it.

use std::collections::HashMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use jobs::Unavailable;
use tokio::sync::Notify;
use tokio::time::sleep;

/// What happens at a gate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    /// The process is gone, as by kill -9: nothing after this gate happens.
    Kill,
    /// The call is not made, or its answer is lost; either way its caller hears of trouble.
    Trouble,
    /// The run stands still until it is resumed, and does not know it.
    Pause,
}

/// The gates that one process passes, by their number.
#[derive(Debug, Default)]
pub(crate) struct Faults {
    armed: Mutex<HashMap<usize, Fault>>,
    passed: Mutex<Vec<String>>,
    struck_at: Mutex<String>,
    /// Whether the process is gone.
    gone: AtomicBool,
    /// Calls that were made and are not answered.
    in_flight: AtomicUsize,
    killed: Notify,
    paused: Notify,
    resumed: Notify,
}

impl Faults {
    /// Forgets what was passed, and lets `fault` happen at gate `number`.
    pub(crate) fn arm(&self, number: usize, fault: Fault) {
        self.arm_all([(number, fault)]);
    }

    /// The same, for many.
    pub(crate) fn arm_all(&self, faults: impl IntoIterator<Item = (usize, Fault)>) {
        *self.armed.lock().expect("no panic in here") = faults.into_iter().collect();
        self.passed.lock().expect("no panic in here").clear();
        self.gone.store(false, Ordering::SeqCst);
    }

    /// Whether the last faults that were armed all happened.
    pub(crate) fn struck(&self) -> bool {
        self.armed.lock().expect("no panic in here").is_empty()
    }

    /// The gates passed since they were armed, for a person to read.
    pub(crate) fn passed(&self) -> String {
        self.passed.lock().expect("no panic in here").join(", ")
    }

    /// The last gate at which a fault happened.
    pub(crate) fn struck_at(&self) -> String {
        self.struck_at.lock().expect("no panic in here").clone()
    }

    /// Returns when the process is gone, and the calls it had made have reached the store: what is on its way when a
    /// process dies arrives or does not, but not an hour later.
    pub(crate) async fn killed(&self) {
        self.killed.notified().await;
        while self.in_flight.load(Ordering::SeqCst) > 0 {
            sleep(Duration::from_millis(1)).await;
        }
    }

    /// Makes a call, between a gate before and one after it.
    pub(crate) async fn call<T>(
        &self,
        name: &str,
        call: impl Future<Output = Result<T, Unavailable>>,
    ) -> Result<T, Unavailable> {
        self.gate(&format!("before {name}")).await?;
        self.in_flight.fetch_add(1, Ordering::SeqCst);
        let answer = call.await;
        self.in_flight.fetch_sub(1, Ordering::SeqCst);
        self.gate(&format!("after {name}")).await?;
        answer
    }

    /// Returns when the run stands still.
    pub(crate) async fn paused(&self) {
        self.paused.notified().await;
    }

    /// Lets a run that stands still go on.
    pub(crate) fn resume(&self) {
        self.resumed.notify_one();
    }

    /// Passes a gate.
    pub(crate) async fn gate(&self, name: &str) -> Result<(), Unavailable> {
        if self.gone.load(Ordering::SeqCst) {
            return std::future::pending().await;
        }
        let fault = {
            let mut passed = self.passed.lock().expect("no panic in here");
            passed.push(name.to_owned());
            self.armed.lock().expect("no panic in here").remove(&(passed.len() - 1))
        };
        if fault.is_some() {
            name.clone_into(&mut self.struck_at.lock().expect("no panic in here"));
        }
        match fault {
            None => Ok(()),
            Some(Fault::Kill) => {
                self.gone.store(true, Ordering::SeqCst);
                self.killed.notify_one();
                std::future::pending().await
            }
            Some(Fault::Trouble) => Err(Unavailable::when(name)("trouble on purpose")),
            Some(Fault::Pause) => {
                self.paused.notify_one();
                self.resumed.notified().await;
                Ok(())
            }
        }
    }
}
