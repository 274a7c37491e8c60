//! The ports that a listener uses, in memory. What only a processor calls does not answer.

use std::collections::HashMap;
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use jobs::{
    Accepts, AnnouncementRecord, Claim, Claimed, Completed, Content, Data, Delivery, DeliveryMessage, Failed, Held,
    Job, JobId, JobStore, Listed, Listing, ObjectStore, Opened, Progress, Queue, Recorded, Reservation, Reserved,
    Terms, Ticket, Unavailable,
};
use uuid::Uuid;

/// A queue, a job store and an object store that forget everything with the process.
#[derive(Default)]
pub(crate) struct Memory {
    contents: Mutex<Contents>,
}

/// What was put into a [`Memory`].
#[derive(Debug, Default)]
pub(crate) struct Contents {
    /// The messages, in the order of their arrival.
    pub(crate) messages: Vec<String>,
    /// The jobs on record.
    pub(crate) jobs: HashMap<JobId, Job>,
    /// The objects by key.
    pub(crate) objects: HashMap<String, Vec<u8>>,
    keys: HashMap<String, (Reservation, bool)>,
}

impl Memory {
    /// Takes everything out.
    pub(crate) fn take(&self) -> Contents {
        std::mem::take(&mut *self.contents())
    }

    fn contents(&self) -> MutexGuard<'_, Contents> {
        self.contents.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn not_here<T>() -> Result<T, Unavailable> {
    Err(Unavailable::when("do a processor's work")("there is no processor here"))
}

#[async_trait]
impl Queue for Memory {
    async fn push(&self, body: &str) -> Result<(), Unavailable> {
        self.contents().messages.push(body.to_owned());
        Ok(())
    }

    async fn receive(&self, _: Duration, _: Duration) -> Result<Option<Delivery>, Unavailable> {
        not_here()
    }

    async fn acknowledge(&self, _: &Ticket) -> Result<(), Unavailable> {
        not_here()
    }

    async fn release(&self, _: &Ticket, _: Duration) -> Result<(), Unavailable> {
        not_here()
    }

    async fn dead_letters(&self) -> Result<Vec<Delivery>, Unavailable> {
        not_here()
    }

    async fn show_dead_letters(&self, _: &[Ticket]) -> Result<(), Unavailable> {
        not_here()
    }
}

#[async_trait]
impl JobStore for Memory {
    async fn record(&self, job: &Job, _: Terms) -> Result<(), Unavailable> {
        self.contents().jobs.entry(job.id).or_insert_with(|| job.clone());
        Ok(())
    }

    async fn get(&self, id: JobId) -> Result<Option<Job>, Unavailable> {
        Ok(self.contents().jobs.get(&id).cloned())
    }

    async fn list(&self, listing: &Listing) -> Result<Listed, Unavailable> {
        let contents = self.contents();
        Ok(Listed { jobs: contents.jobs.values().take(listing.limit).cloned().collect(), next: None })
    }

    async fn claim(&self, _: &Job, _: &Claim) -> Result<Claimed, Unavailable> {
        not_here()
    }

    async fn renew(&self, _: JobId, _: Uuid, _: DateTime<Utc>) -> Result<Held, Unavailable> {
        not_here()
    }

    async fn progress(&self, _: JobId, _: Uuid, _: Progress) -> Result<Held, Unavailable> {
        not_here()
    }

    async fn advanced(&self, _: JobId, _: Uuid) -> Result<Held, Unavailable> {
        not_here()
    }

    async fn complete(&self, _: JobId, _: Uuid, _: &Completed<'_>) -> Result<Held, Unavailable> {
        not_here()
    }

    async fn fail(&self, _: JobId, _: Uuid, _: &Failed<'_>) -> Result<Held, Unavailable> {
        not_here()
    }

    async fn release(&self, _: JobId, _: Uuid, _: bool) -> Result<Held, Unavailable> {
        not_here()
    }

    async fn mark_notified(
        &self,
        _: JobId,
        _: Uuid,
        _: DateTime<Utc>,
        _: &AnnouncementRecord,
    ) -> Result<Held, Unavailable> {
        not_here()
    }

    async fn record_delivery(&self, _: &DeliveryMessage, _: &Recorded) -> Result<Held, Unavailable> {
        not_here()
    }

    async fn kept_input(&self, _: JobId) -> Result<Option<Data>, Unavailable> {
        Ok(None)
    }

    async fn reopen(&self, _: JobId, _: Terms) -> Result<Option<Job>, Unavailable> {
        Ok(None)
    }

    async fn overdue(&self, _: DateTime<Utc>, _: usize) -> Result<Vec<Job>, Unavailable> {
        not_here()
    }

    async fn reserve(&self, wanted: &Reservation, now: DateTime<Utc>) -> Result<Reserved, Unavailable> {
        let mut contents = self.contents();
        let known = contents.keys.get(&wanted.key).filter(|(known, _)| known.expires_at > now);
        let reserved = match known {
            None => Reserved::Fresh,
            Some((known, _)) if known.fingerprint != wanted.fingerprint => Reserved::Differs,
            Some((known, confirmed)) => {
                Reserved::Repeated { id: known.id, enqueued_at: known.enqueued_at, confirmed: *confirmed }
            }
        };
        if reserved == Reserved::Fresh {
            contents.keys.insert(wanted.key.clone(), (wanted.clone(), false));
        }
        Ok(reserved)
    }

    async fn confirm(&self, key: &str) -> Result<(), Unavailable> {
        if let Some((_, confirmed)) = self.contents().keys.get_mut(key) {
            *confirmed = true;
        }
        Ok(())
    }
}

#[async_trait]
impl ObjectStore for Memory {
    async fn put(&self, key: &str, _: &str, content: Content<'_>) -> Result<(), Unavailable> {
        let Content::Bytes(bytes) = content else { return not_here() };
        self.contents().objects.insert(key.to_owned(), bytes.to_owned());
        Ok(())
    }

    async fn get(&self, key: &str) -> Result<Option<Vec<u8>>, Unavailable> {
        Ok(self.contents().objects.get(key).cloned())
    }

    async fn size(&self, key: &str) -> Result<Option<u64>, Unavailable> {
        Ok(self.contents().objects.get(key).map(|object| object.len() as u64))
    }

    async fn fetch(&self, _: &str, _: &Path) -> Result<bool, Unavailable> {
        not_here()
    }

    async fn accept(&self, key: &str, _: &str, _: u64, _: Duration) -> Result<Accepts, Unavailable> {
        Ok(Accepts::Url { url: format!("https://objects.test/{key}"), tagging: "named=no" })
    }

    async fn remove_under(&self, _: &str) -> Result<(), Unavailable> {
        not_here()
    }

    async fn open(&self, key: &str, _: &str) -> Result<Option<Opened>, Unavailable> {
        Ok(self.contents().objects.contains_key(key).then(|| Opened::Url(format!("https://objects.test/{key}"))))
    }
}
