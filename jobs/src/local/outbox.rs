//! Announcements as `.eml` files, which any mail program opens.

use std::path::PathBuf;

use async_trait::async_trait;
use lettre::Address;
use lettre::message::{Mailbox, Mailboxes};
use telemetry::metrics::announced;

use super::mail::mail;
use super::objects::{blocking, write_whole};
use crate::announcement::Announcement;
use crate::delivery::{Channel, Sent, root_cause};
use crate::ports::{Notifier, Unavailable};

/// A folder of mails that nobody sent.
#[derive(Debug, Clone)]
pub struct Outbox {
    folder: PathBuf,
}

impl Outbox {
    pub(super) fn new(folder: PathBuf) -> Self {
        Self { folder }
    }
}

impl Outbox {
    /// Writes `{job id}-{status}.eml`; a repeated announcement replaces the first.
    async fn write(&self, announcement: &Announcement) -> Result<(), Unavailable> {
        let path = self.folder.join(format!("{}-{}.eml", announcement.job_id, announcement.status));
        let attempted = format!("write the mail {}", path.display());
        let local = |user| Address::new(user, "localhost").map_err(Unavailable::when(attempted.clone()));
        let from = Mailbox::new(Some("Pressrun".into()), local("pressrun")?);
        let to = Mailboxes::new().with(Mailbox::new(None, local("you")?));
        let mail = mail(announcement, &from, &to).map_err(Unavailable::when(attempted.clone()))?.formatted();
        blocking(attempted, move || write_whole(&path, &mail, None)).await
    }
}

#[async_trait]
impl Notifier for Outbox {
    fn channel(&self) -> Channel {
        Channel::Outbox
    }

    async fn announce(&self, announcement: &Announcement) -> Sent {
        match self.write(announcement).await {
            Ok(()) => {
                announced(Channel::Outbox.into());
                Sent::taken(None)
            }
            Err(error) => Sent::later(format!("The mail could not be written: {}.", root_cause(&error))),
        }
    }
}
