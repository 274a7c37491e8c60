//! Announcements on one machine: printed for whoever watches, and mailed where there is a mail server, or kept in the outbox.

use std::io::{self, Write};
use std::sync::Arc;

use async_trait::async_trait;
use jobs::{Announcement, Notifier, Unavailable};

/// Prints each announcement, once it is mailed or left in the outbox.
pub(crate) struct Announcer(pub(crate) Arc<dyn Notifier>);

#[async_trait]
impl Notifier for Announcer {
    async fn announce(&self, announcement: &Announcement) -> Result<(), Unavailable> {
        self.0.announce(announcement).await?;
        // Printing is a courtesy: nobody may be reading.
        _ = writeln!(io::stdout(), "\n--- {}\n{}", announcement.subject, announcement.text);
        Ok(())
    }
}
