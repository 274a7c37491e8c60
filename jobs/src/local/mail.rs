//! An announcement as a mail, and a mail server that sends it.

use std::error::Error;
use std::io;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use lettre::message::header::{ContentTransferEncoding, ContentType, HeaderName, HeaderValue};
use lettre::message::{Body, Mailbox, Mailboxes};
use lettre::transport::smtp::Error as SmtpError;
use lettre::{AsyncSmtpTransport, AsyncTransport, Message, Tokio1Executor};
use telemetry::metrics::announced;
use tokio::time::timeout;
use url::Url;

use super::breaker::Breaker;
use crate::announcement::Announcement;
use crate::delivery::{Channel, DeliveryOutcome, Sent, reason, root_cause};
use crate::ports::Notifier;

/// The longest line of a plain mail, in bytes (RFC 5322, section 2.1.1).
const MAX_LINE_BYTES: usize = 998;

/// How long a mail server may take to connect, or to answer one command.
const COMMAND_LIMIT: Duration = Duration::from_secs(10);

/// How long one attempt may take in all, with the lookup of the server's name.
const TIME_LIMIT: Duration = Duration::from_secs(30);

/// An attempt without an answer that took so long has met a server that hangs, not one that is away.
const HANGS: Duration = Duration::from_secs(5);

/// Replies to signing in (RFC 4954, section 6), which an operator can mend.
const SIGN_IN: [u16; 4] = [530, 534, 535, 538];

/// Replies to a command that the server does not know or take, which may quote it.
const SYNTAX: std::ops::RangeInclusive<u16> = 500..=504;

/// A mail server, and who gets the mails.
#[derive(Debug, Clone)]
pub struct Smtp {
    server: AsyncSmtpTransport<Tokio1Executor>,
    from: Mailbox,
    to: Mailboxes,
    signs_in: bool,
    breaker: Breaker,
}

impl Smtp {
    /// Mails through the server at `url`: `smtps://user:password@host` or, with STARTTLS,
    /// `smtp://user:password@host:587?tls=required`; `smtp://host:25` sends in the clear.
    pub fn new(url: &str, from: Mailbox, to: Mailboxes) -> Result<Self, SmtpError> {
        let server = AsyncSmtpTransport::<Tokio1Executor>::from_url(url)?.timeout(Some(COMMAND_LIMIT)).build();
        let signs_in = Url::parse(url).is_ok_and(|url| url.password().is_some());
        Ok(Self { server, from, to, signs_in, breaker: Breaker::default() })
    }
}

#[async_trait]
impl Notifier for Smtp {
    fn channel(&self) -> Channel {
        Channel::Mail
    }

    async fn announce(&self, announcement: &Announcement) -> Sent {
        let mail = match mail(announcement, &self.from, &self.to) {
            Ok(mail) => mail,
            Err(error) => {
                return Sent::refused(format!("The mail could not be written: {}.", reason(&error.to_string())));
            }
        };
        let start = Instant::now();
        let Some(permit) = self.breaker.permit(start) else {
            return Sent::later("Skipped: the mail server has not answered recently.");
        };
        let sent = self.send(mail).await;
        if sent.error.is_some() && sent.status.is_none() && start.elapsed() >= HANGS {
            permit.hung(Instant::now());
        } else {
            permit.answered();
        }
        sent
    }
}

impl Smtp {
    async fn send(&self, mail: Message) -> Sent {
        match timeout(TIME_LIMIT, self.server.send(mail)).await {
            Ok(Ok(reply)) => {
                announced(Channel::Mail.into());
                Sent::taken(Some(reply.code().into()))
            }
            Ok(Err(error)) => self.refused(&error),
            Err(_) => Sent::later(format!("The mail server did not take the mail within {} s.", TIME_LIMIT.as_secs())),
        }
    }

    /// What it means that the mail server did not take a mail.
    fn refused(&self, error: &SmtpError) -> Sent {
        let Some(status) = error.status().map(u16::from) else {
            let what = if is_unreadable(error) { "'s answer could not be read" } else { " could not be reached" };
            return Sent::later(format!("The mail server{what}: {}.", root_cause(error)));
        };
        let may_quote_a_password = self.signs_in && (SIGN_IN.contains(&status) || SYNTAX.contains(&status));
        let text = match error.source() {
            Some(_) if may_quote_a_password => " when Pressrun signed in, or soon after".to_owned(),
            Some(said) => format!(": {}", reason(&said.to_string())),
            None => String::new(),
        };
        let told = Some(format!("The mail server answered {status}{}.", text.trim_end_matches('.')));
        let is_final = error.is_permanent() && !SIGN_IN.contains(&status);
        let outcome = if is_final { DeliveryOutcome::Refused } else { DeliveryOutcome::Later { retry_after: None } };
        Sent { status: Some(status), error: told, outcome }
    }
}

/// Whether the server answered what lettre does not take: lines that are too long or no UTF-8, or no whole answer. It does not
/// tell the code of such an answer, so that a refusal for good cannot be told from any other.
fn is_unreadable(error: &SmtpError) -> bool {
    let is_no_text = |cause: &(dyn Error + 'static)| {
        cause.downcast_ref::<io::Error>().is_some_and(|error| error.kind() == io::ErrorKind::InvalidData)
    };
    error.is_response() || !error.is_tls() && error.source().is_some_and(is_no_text)
}

type Unwritable = Box<dyn Error + Send + Sync>;

/// The mail that tells `announcement`. Its `Message-ID` is the same however often it is sent, so that a mail program can
/// tell a repeated one, and another when the job was queued again.
pub(super) fn mail(announcement: &Announcement, from: &Mailbox, to: &Mailboxes) -> Result<Message, Unwritable> {
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
        // RFC 3834: no vacation notice is to answer it.
        ("Auto-Submitted", "auto-generated".to_owned()),
        ("X-Pressrun-Job", job_id.to_string()),
        ("X-Pressrun-Template", announcement.template.clone()),
        ("X-Pressrun-Status", status.to_string()),
        ("X-Pressrun-Tags", announcement.tags.join(", ")),
    ] {
        if value.is_empty() {
            continue;
        }
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

    #[test]
    fn a_mail_says_that_a_program_sent_it_and_has_no_empty_header() {
        let mail = sent("Invoice 42");
        let (head, _) = mail.split_once("\r\n\r\n").expect("a head");
        assert!(head.contains("\r\nAuto-Submitted: auto-generated\r\n"), "{head}");
        assert!(head.split("\r\n").all(|line| !line.trim_end().ends_with(':')), "{head}");
    }

    /// What comes of a mail to a server that greets with these bytes.
    async fn sent_to(greeting: &'static [u8]) -> Sent {
        use tokio::io::AsyncWriteExt;

        let socket = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let url = format!("smtp://{}", socket.local_addr().expect("an address"));
        tokio::spawn(async move {
            let (mut connection, _) = socket.accept().await.expect("a connection");
            connection.write_all(greeting).await.expect("it writes");
        });
        let (from, to) = ("a@example.org".parse().expect("an address"), "b@example.org".parse().expect("addresses"));
        let job = Job::queued(JobId::new(), "letter", crate::job::now());
        let announcement = Announcement::completed(&job, "https://example.org/r/1", job.enqueued_at);
        Smtp::new(&url, from, to).expect("a server").announce(&announcement).await
    }

    #[tokio::test]
    async fn an_answer_that_cannot_be_read_is_told_as_that_and_a_readable_one_by_its_code() {
        let long: &'static [u8] = format!("550 {}\r\n", "x".repeat(3_000)).leak().as_bytes();
        for unreadable in [&b"550 5.7.1 Empf\xe4nger gesperrt\r\n"[..], long, b"what?\r\n", b"550-and"] {
            let sent = sent_to(unreadable).await;
            let error = sent.error.expect("a reason");
            assert!(error.starts_with("The mail server's answer could not be read: "), "{error}");
            assert_eq!((sent.status, sent.outcome), (None, DeliveryOutcome::Later { retry_after: None }), "{error}");
        }
        let refused = sent_to("550 5.7.1 Empfänger gesperrt\r\n".as_bytes()).await;
        assert_eq!((refused.status, refused.outcome), (Some(550), DeliveryOutcome::Refused));
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
