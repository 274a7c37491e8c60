//! An announcement as a mail, and a mail server that sends it.

use async_trait::async_trait;
use lettre::message::header::{ContentTransferEncoding, ContentType, HeaderName, HeaderValue};
use lettre::message::{Body, Mailbox, Mailboxes};
use lettre::transport::smtp::Error as SmtpError;
use lettre::{AsyncSmtpTransport, AsyncTransport, Message, Tokio1Executor};
use telemetry::metrics::{Channel, announced};

use crate::announcement::Announcement;
use crate::ports::{Notifier, Unavailable};

/// The longest line of a plain mail, in bytes (RFC 5322, section 2.1.1).
const MAX_LINE_BYTES: usize = 998;

/// A mail server, and who gets the mails.
#[derive(Debug, Clone)]
pub struct Smtp {
    server: AsyncSmtpTransport<Tokio1Executor>,
    from: Mailbox,
    to: Mailboxes,
}

impl Smtp {
    /// Mails through the server at `url`: `smtps://user:password@host` or, with STARTTLS,
    /// `smtp://user:password@host:587?tls=required`; `smtp://host:25` sends in the clear.
    pub fn new(url: &str, from: Mailbox, to: Mailboxes) -> Result<Self, SmtpError> {
        let server = AsyncSmtpTransport::<Tokio1Executor>::from_url(url)?.build();
        Ok(Self { server, from, to })
    }
}

#[async_trait]
impl Notifier for Smtp {
    async fn announce(&self, announcement: &Announcement) -> Result<(), Unavailable> {
        let attempted = "send the mail";
        let mail = mail(announcement, &self.from, &self.to).map_err(Unavailable::when(attempted))?;
        self.server.send(mail).await.map_err(Unavailable::when(attempted))?;
        announced(Channel::Mail);
        Ok(())
    }
}

type Refused = Box<dyn std::error::Error + Send + Sync>;

/// The mail that tells `announcement`. Its `Message-ID` is the same however often it is sent, so that a mail program can
/// tell a repeated one, and another when the job was queued again.
pub(super) fn mail(announcement: &Announcement, from: &Mailbox, to: &Mailboxes) -> Result<Message, Refused> {
    let Announcement { job_id, status, retries, .. } = announcement;
    let mut mail = Message::builder()
        .from(from.clone())
        .subject(&announcement.subject)
        .message_id(Some(format!("<{job_id}.{retries}.{status}@pressrun>")))
        .header(ContentType::TEXT_PLAIN);
    for mailbox in to.iter() {
        mail = mail.to(mailbox.clone());
    }
    let mut mail = mail.body(body(&announcement.text))?;
    for (name, value) in [
        ("X-Pressrun-Job", job_id.to_string()),
        ("X-Pressrun-Template", announcement.template.clone()),
        ("X-Pressrun-Status", status.to_string()),
        ("X-Pressrun-Tags", announcement.tags.join(", ")),
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
