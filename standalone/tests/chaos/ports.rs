//! The four ports with a gate before and after each call. Times that the store compares are the world's.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use jobs::{
    Accepts, Announcement, AnnouncementRecord, Channel, Claim, Claimed, Completed, Content, Data, Deliveries, Delivery,
    DeliveryMessage, Failed, Held, Job, JobId, JobStore, Listed, Listing, Message, Notifier, ObjectStore, Opened,
    Payload, Progress, Queue, Recorded, Reservation, Reserved, Sent, Terms, Ticket, Unavailable,
};
use uuid::Uuid;

use crate::faults::Faults;
use crate::world::World;

/// The world's ports, as one process reaches them.
pub(crate) struct Ports {
    pub(crate) world: Arc<World>,
    pub(crate) faults: Arc<Faults>,
}

#[async_trait]
impl JobStore for Ports {
    async fn record(&self, job: &Job, terms: Terms) -> Result<(), Unavailable> {
        let terms = Terms { overdue_at: terms.overdue_at + self.world.ahead(), ..terms };
        let record = async {
            self.world.see(job.id);
            self.world.local.jobs.record(job, terms).await
        };
        self.faults.call("record", record).await
    }

    async fn get(&self, id: JobId) -> Result<Option<Job>, Unavailable> {
        self.faults.call("get", self.world.local.jobs.get(id)).await
    }

    async fn list(&self, listing: &Listing) -> Result<Listed, Unavailable> {
        self.faults.call("list", self.world.local.jobs.list(listing)).await
    }

    async fn claim(&self, job: &Job, claim: &Claim) -> Result<Claimed, Unavailable> {
        let ahead = self.world.ahead();
        let terms = Terms { overdue_at: claim.terms.overdue_at + ahead, ..claim.terms };
        let claim = Claim { now: claim.now + ahead, lease_until: claim.lease_until + ahead, terms, ..*claim };
        let claimed = self.faults.call("claim", self.world.local.jobs.claim(job, &claim)).await?;
        Ok(match claimed {
            Claimed::Busy(until) => Claimed::Busy(until - ahead),
            other => other,
        })
    }

    async fn renew(&self, id: JobId, owner: Uuid, lease_until: DateTime<Utc>) -> Result<Held, Unavailable> {
        let lease_until = lease_until + self.world.ahead();
        self.faults.call("renew", self.world.local.jobs.renew(id, owner, lease_until)).await
    }

    async fn progress(&self, id: JobId, owner: Uuid, progress: Progress) -> Result<Held, Unavailable> {
        self.faults.call("progress", self.world.local.jobs.progress(id, owner, progress)).await
    }

    async fn advanced(&self, id: JobId, owner: Uuid) -> Result<Held, Unavailable> {
        self.faults.call("advanced", self.world.local.jobs.advanced(id, owner)).await
    }

    async fn complete(&self, id: JobId, owner: Uuid, completed: &Completed<'_>) -> Result<Held, Unavailable> {
        self.faults.call("complete", self.world.local.jobs.complete(id, owner, completed)).await
    }

    async fn fail(&self, id: JobId, owner: Uuid, failed: &Failed<'_>) -> Result<Held, Unavailable> {
        self.faults.call("fail", self.world.local.jobs.fail(id, owner, failed)).await
    }

    async fn release(&self, id: JobId, owner: Uuid, forgiven: bool) -> Result<Held, Unavailable> {
        self.faults.call("release", self.world.local.jobs.release(id, owner, forgiven)).await
    }

    async fn mark_notified(
        &self,
        id: JobId,
        owner: Uuid,
        at: DateTime<Utc>,
        announcement: &AnnouncementRecord,
    ) -> Result<Held, Unavailable> {
        self.faults.call("mark notified", self.world.local.jobs.mark_notified(id, owner, at, announcement)).await
    }

    async fn record_delivery(&self, message: &DeliveryMessage, recorded: &Recorded) -> Result<Held, Unavailable> {
        self.faults.call("record delivery", self.world.local.jobs.record_delivery(message, recorded)).await
    }

    async fn kept_input(&self, id: JobId) -> Result<Option<Data>, Unavailable> {
        self.faults.call("kept input", self.world.local.jobs.kept_input(id)).await
    }

    async fn reopen(&self, id: JobId, terms: Terms) -> Result<Option<Job>, Unavailable> {
        let ahead = self.world.ahead();
        let terms = Terms { overdue_at: terms.overdue_at + ahead, expires_at: terms.expires_at + ahead };
        self.faults.call("reopen", self.world.local.jobs.reopen(id, terms)).await
    }

    async fn overdue(&self, now: DateTime<Utc>, most: usize) -> Result<Vec<Job>, Unavailable> {
        self.faults.call("overdue", self.world.local.jobs.overdue(now + self.world.ahead(), most)).await
    }

    async fn reserve(&self, reservation: &Reservation, now: DateTime<Utc>) -> Result<Reserved, Unavailable> {
        self.faults.call("reserve", self.world.local.jobs.reserve(reservation, now)).await
    }

    async fn confirm(&self, key: &str) -> Result<(), Unavailable> {
        self.faults.call("confirm", self.world.local.jobs.confirm(key)).await
    }
}

#[async_trait]
impl ObjectStore for Ports {
    async fn put(&self, key: &str, content_type: &str, content: Content<'_>) -> Result<(), Unavailable> {
        let put = async {
            let bytes = match content {
                Content::Bytes(bytes) => bytes.to_vec(),
                Content::File(path) | Content::Draft(path) => {
                    std::fs::read(path).map_err(Unavailable::when("read the file"))?
                }
            };
            self.world.store(key, bytes);
            self.world.local.objects.put(key, content_type, content).await
        };
        self.faults.call("store", put).await
    }

    async fn get(&self, key: &str) -> Result<Option<Vec<u8>>, Unavailable> {
        self.faults.call("load", self.world.local.objects.get(key)).await
    }

    async fn size(&self, key: &str) -> Result<Option<u64>, Unavailable> {
        self.faults.call("size", self.world.local.objects.size(key)).await
    }

    async fn fetch(&self, key: &str, file: &Path) -> Result<bool, Unavailable> {
        self.faults.call("fetch", self.world.local.objects.fetch(key, file)).await
    }

    async fn accept(&self, key: &str, content_type: &str, bytes: u64, time: Duration) -> Result<Accepts, Unavailable> {
        self.faults.call("accept", self.world.local.objects.accept(key, content_type, bytes, time)).await
    }

    async fn remove_under(&self, prefix: &str) -> Result<(), Unavailable> {
        self.faults.call("remove", self.world.local.objects.remove_under(prefix)).await
    }

    async fn open(&self, key: &str, file_name: &str) -> Result<Option<Opened>, Unavailable> {
        self.faults.call("open", self.world.local.objects.open(key, file_name)).await
    }
}

#[async_trait]
impl Notifier for Ports {
    fn channel(&self) -> Channel {
        Channel::Mail
    }

    async fn announce(&self, announcement: &Announcement) -> Sent {
        let announce = async {
            self.world.announce(announcement.job_id, announcement.status);
            Ok(())
        };
        match self.faults.call("announce", announce).await {
            Ok(()) => Sent::taken(Some(250)),
            Err(error) => Sent::later(error.to_string()),
        }
    }
}

#[async_trait]
impl Deliveries for Ports {
    async fn push(&self, message: &DeliveryMessage) -> Result<(), Unavailable> {
        let push = async {
            match message.payload {
                // Nobody answers at the webhooks' host: that the event waits is all there is to see.
                Payload::Webhook { .. } => self.world.tell(message.id, message.status),
                Payload::Announcement(_) => self.world.deliver_later(&message.encode()),
            }
            Ok(())
        };
        self.faults.call("push delivery", push).await
    }
}

/// Who gets which message is the world's own business.
#[async_trait]
impl Queue for Ports {
    async fn push(&self, body: &str) -> Result<(), Unavailable> {
        let push = async {
            self.world.see(Message::decode(body).expect("one of ours").id);
            self.world.messages().push(body, self.world.now());
            Ok(())
        };
        self.faults.call("push", push).await
    }

    async fn receive(&self, _visibility: Duration, _wait: Duration) -> Result<Option<Delivery>, Unavailable> {
        Ok(None)
    }

    async fn acknowledge(&self, _ticket: &Ticket) -> Result<(), Unavailable> {
        Ok(())
    }

    async fn release(&self, _ticket: &Ticket, _delay: Duration) -> Result<(), Unavailable> {
        Ok(())
    }

    async fn dead_letters(&self) -> Result<Vec<Delivery>, Unavailable> {
        self.faults.call("dead letters", async { Ok(self.world.messages().dead_letters()) }).await
    }

    async fn show_dead_letters(&self, _tickets: &[Ticket]) -> Result<(), Unavailable> {
        self.world.messages().show_dead_letters();
        Ok(())
    }
}
