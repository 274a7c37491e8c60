//! Announcements on one machine: printed, and kept in the outbox.

use std::io::{self, IsTerminal, Write};

use async_trait::async_trait;
use jobs::local::Outbox;
use jobs::{Announcement, Channel, DeliveryOutcome, Notifier, Sent};

/// Prints each announcement and leaves it in the outbox.
pub(crate) struct Announcer(pub(crate) Outbox);

#[async_trait]
impl Notifier for Announcer {
    fn channel(&self) -> Channel {
        self.0.channel()
    }

    async fn announce(&self, announcement: &Announcement) -> Sent {
        let sent = self.0.announce(announcement).await;
        // A person may read the link; a log may not have it.
        if sent.outcome == DeliveryOutcome::Taken && io::stdout().is_terminal() {
            // Printing is a courtesy: nobody may be reading.
            _ = writeln!(io::stdout(), "\n--- {}\n{}", announcement.subject, announcement.text);
        }
        sent
    }
}
