//! Announcements on one machine: printed for whoever watches, and kept in the outbox.

use std::io::{self, IsTerminal, Write};

use async_trait::async_trait;
use jobs::local::Outbox;
use jobs::{Announcement, Notifier, Unavailable};

/// Prints each announcement and leaves it in the outbox.
pub(crate) struct Announcer(pub(crate) Outbox);

#[async_trait]
impl Notifier for Announcer {
    async fn announce(&self, announcement: &Announcement) -> Result<(), Unavailable> {
        self.0.announce(announcement).await?;
        // A person may read the link; a log may not have it.
        if !io::stdout().is_terminal() {
            return Ok(());
        }
        // Printing is a courtesy: nobody may be reading.
        _ = writeln!(io::stdout(), "\n--- {}\n{}", announcement.subject, announcement.text);
        Ok(())
    }
}
