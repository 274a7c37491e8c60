//! Announcements as `.eml` files, which any mail program opens.

use std::path::PathBuf;

use async_trait::async_trait;
use lettre::message::header::{ContentTransferEncoding, ContentType, HeaderName, HeaderValue};
use lettre::message::{Body, Mailbox};
use lettre::{Address, Message};

use super::objects::{blocking, write_whole};
use crate::announcement::Announcement;
use crate::ports::{Notifier, Unavailable};

/// The longest line of a plain mail, in bytes (RFC 5322, section 2.1.1).
const MAX_LINE_BYTES: usize = 998;

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

#[async_trait]
impl Notifier for Outbox {
    /// Writes `{job id}-{status}.eml`; a repeated announcement replaces the first.
    async fn announce(&self, announcement: &Announcement) -> Result<(), Unavailable> {
        let path = self.folder.join(format!("{}-{}.eml", announcement.job_id, announcement.status));
        let attempted = format!("write the mail {}", path.display());
        let mail = mail(announcement).map_err(Unavailable::when(attempted.clone()))?.formatted();
        blocking(attempted, move || write_whole(&path, &mail, None)).await
    }
}

type Refused = Box<dyn std::error::Error + Send + Sync>;

fn mail(announcement: &Announcement) -> Result<Message, Refused> {
    let mut mail = Message::builder()
        .from(Mailbox::new(Some("Pressrun".into()), Address::new("pressrun", "localhost")?))
        .to(Mailbox::new(None, Address::new("you", "localhost")?))
        .subject(&announcement.subject)
        .header(ContentType::TEXT_PLAIN)
        .body(body(&announcement.text))?;
    for (name, value) in [
        ("X-Pressrun-Job", announcement.job_id.to_string()),
        ("X-Pressrun-Template", announcement.template.clone()),
        ("X-Pressrun-Status", announcement.status.to_string()),
    ] {
        mail.headers_mut().insert_raw(HeaderValue::new(HeaderName::new_from_ascii_str(name), value));
    }
    Ok(mail)
}

/// Plain where it can be, so that a link can be copied out of the file as it is. lettre by itself would break every
/// line at 76 characters.
fn body(text: &str) -> Body {
    if text.is_ascii() && text.lines().all(|line| line.len() <= MAX_LINE_BYTES) {
        let lines = text.replace('\n', "\r\n").into_bytes();
        return Body::dangerous_pre_encoded(lines, ContentTransferEncoding::SevenBit);
    }
    Body::new(text.to_owned())
}
