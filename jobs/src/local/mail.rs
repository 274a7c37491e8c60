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

#[cfg(test)]
mod tests {
    use chrono::DateTime;

    use super::*;
    use crate::announcement::MAX_SUBJECT_CHARS;
    use crate::job::{Job, JobId, Notify};

    fn sent(subject: &str) -> String {
        let at = DateTime::from_timestamp_millis(1_763_715_600_000).expect("in range");
        let notify = Notify { subject: Some(subject.to_owned()), ..Notify::default() };
        let job = Job { notify, ..Job::queued(JobId::new(), "invoice", at) };
        let announcement = Announcement::completed(&job, "https://example.org/r/1", at);
        let (from, to) = ("Pressrun <pressrun@localhost>".parse(), "you@localhost".parse());
        let mail = mail(&announcement, &from.expect("an address"), &to.expect("addresses")).expect("a mail");
        String::from_utf8(mail.formatted()).expect("ASCII")
    }

    /// The lines of the subject's header, unfolded.
    fn lines(mail: &str) -> Vec<&str> {
        let from = mail.split("\r\n").skip_while(|line| !line.starts_with("Subject: "));
        let folded = from.enumerate().take_while(|(index, line)| *index == 0 || line.starts_with(' '));
        folded.map(|(_, line)| line).collect()
    }

    #[test]
    fn a_subject_in_any_script_is_folded_into_encoded_words() {
        let longest = "é漢😀".repeat(MAX_SUBJECT_CHARS / 3);
        for subject in ["Rechnung für Müller & Söhne, fällig", "عربي: فاتورة رقم ٤٢", "請求書 42 – 株式会社", &longest]
        {
            let mail = sent(subject);
            assert!(mail.is_ascii(), "{mail}");
            let lines = lines(&mail);
            assert!(lines.iter().all(|line| line.len() <= 78), "{lines:#?}");
            assert_eq!(decoded(&lines), subject, "{lines:#?}");
        }
        assert_eq!(lines(&sent("Invoice 42")), ["Subject: Invoice 42"]);
    }

    /// What a mail program shows of encoded words in base64 (RFC 2047) and of what stands between them.
    fn decoded(lines: &[&str]) -> String {
        use base64::Engine;

        let unfolded = lines.concat();
        let header = unfolded.strip_prefix("Subject: ").expect("the header");
        let (mut shown, mut was_encoded) = (String::new(), false);
        for word in header.split(' ') {
            let encoded = word.strip_prefix("=?utf-8?b?").and_then(|word| word.strip_suffix("?="));
            if !(shown.is_empty() || was_encoded && encoded.is_some()) {
                shown.push(' ');
            }
            was_encoded = encoded.is_some();
            match encoded {
                Some(encoded) => {
                    let bytes = base64::engine::general_purpose::STANDARD.decode(encoded).expect("base64");
                    shown.push_str(&String::from_utf8(bytes).expect("no character is cut"));
                }
                None => shown.push_str(word),
            }
        }
        shown
    }
}
