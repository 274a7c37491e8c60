//! A courier over the ports of one machine, receivers to tell, and names for them.

use std::collections::VecDeque;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::Request;
use axum::http::header::LOCATION;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use chrono::TimeDelta;
use courier::{Courier, Lookup, Poster};
use jobs::job::now;
use jobs::local::Local;
use jobs::{
    Announcement, AnnouncementRecord, Channel, Claim, Completed, DeliveryMessage, DeliveryRecord, Destinations, Failed,
    Failure, Held, Job, JobId, JobStore, Notifier, Notify, Patience, Payload, Purpose, Sent, Terms, Webhook, webhook,
};
use tempfile::TempDir;
use tokio::net::TcpListener;
use uuid::Uuid;

pub(crate) const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

/// Longer than any test takes.
const LONG: Duration = Duration::from_secs(60);

pub(crate) struct Bench {
    pub(crate) courier: Arc<Courier>,
    pub(crate) local: Local,
    pub(crate) mailer: Arc<Mailer>,
    pub(crate) folder: TempDir,
}

impl Bench {
    pub(crate) async fn new(destinations: Destinations, lookup: impl Lookup + 'static) -> Self {
        Self::within(destinations, lookup, LONG).await
    }

    pub(crate) async fn within(
        destinations: Destinations,
        lookup: impl Lookup + 'static,
        time_limit: Duration,
    ) -> Self {
        let folder = TempDir::new().expect("a folder");
        let local = Local::open(folder.path(), 9).await.expect("a fresh data folder opens");
        let secrets = SECRET.parse().expect("a secret");
        let poster = Poster::new(destinations, Arc::new(lookup), secrets, time_limit).expect("a client");
        let patience = Patience { first_pause: Duration::from_millis(1), ..Patience::default() };
        let mailer = Arc::new(Mailer::default());
        let notifier = mailer.clone();
        let courier = Arc::new(Courier { jobs: Arc::new(local.jobs.clone()), poster, notifier, patience });
        Self { courier, local, mailer, folder }
    }

    async fn running(&self, url: &str) -> (Job, Uuid) {
        let notify = Notify { webhook: Some(url.to_owned()), ..Notify::default() };
        let job = Job { notify, ..Job::queued(JobId::new(), "letter", now()) };
        let (owner, now) = (Uuid::new_v4(), now());
        let terms = Terms::of(&job, now, TimeDelta::days(1), TimeDelta::days(1));
        let claim = Claim { owner, now, lease_until: now, purpose: Purpose::Run, terms };
        self.local.jobs.claim(&job, &claim).await.expect("the store answers");
        (job, owner)
    }

    async fn message(&self, id: JobId) -> DeliveryMessage {
        let job = self.local.jobs.get(id).await.expect("the store answers").expect("on record");
        let url = job.notify.webhook.clone().expect("a webhook");
        webhook::delivery(&job, &url, "https://press.test", Some(("https://press.test/r/1", now())))
    }

    /// The message about a job that completed.
    pub(crate) async fn completed(&self, url: &str) -> DeliveryMessage {
        let (job, owner) = self.running(url).await;
        assert_eq!(
            self.local
                .jobs
                .complete(job.id, owner, &Completed { pages: 1, bytes: 1, warnings: &[], at: now() })
                .await
                .expect("answers"),
            Held::Yes
        );
        self.message(job.id).await
    }

    /// The message about a job that failed.
    pub(crate) async fn failed(&self, url: &str) -> DeliveryMessage {
        let (job, owner) = self.running(url).await;
        let failure = Failure::new("x", "why", "x");
        let failed = Failed { failure: &failure, input: None, set_aside: false, at: now() };
        assert_eq!(self.local.jobs.fail(job.id, owner, &failed).await.expect("answers"), Held::Yes);
        self.message(job.id).await
    }

    /// The message that announces a job that failed.
    pub(crate) async fn announcement(&self) -> DeliveryMessage {
        let job = self.failed("https://example.org/").await.id;
        let job = self.local.jobs.get(job).await.expect("the store answers").expect("on record");
        let words = Announcement::failed(&job, &Failure::new("x", "why", "x"));
        DeliveryMessage::new(&job, Payload::Announcement(words))
    }

    /// What is on record of it.
    pub(crate) async fn announced(&self, message: &DeliveryMessage) -> DeliveryRecord {
        let job = self.local.jobs.get(message.id).await.expect("the store answers").expect("on record");
        let AnnouncementRecord { channel, delivery } = job.announcement.expect("an attempt is on record");
        assert_eq!(channel, Channel::Mail);
        delivery
    }

    pub(crate) async fn webhook(&self, message: &DeliveryMessage) -> Webhook {
        let job = self.local.jobs.get(message.id).await.expect("the store answers").expect("on record");
        job.webhook.expect("an attempt is on record")
    }
}

/// A mail server that answers in turn, and takes every mail from then on.
#[derive(Default)]
pub(crate) struct Mailer {
    answers: Mutex<VecDeque<Sent>>,
    taken: Mutex<Vec<JobId>>,
}

impl Mailer {
    pub(crate) fn answers(&self, answers: impl IntoIterator<Item = Sent>) {
        self.answers.lock().expect("no panic in here").extend(answers);
    }

    /// The jobs whose mails it took.
    pub(crate) fn taken(&self) -> Vec<JobId> {
        self.taken.lock().expect("no panic in here").clone()
    }
}

#[async_trait]
impl Notifier for Mailer {
    fn channel(&self) -> Channel {
        Channel::Mail
    }

    async fn announce(&self, announcement: &Announcement) -> Sent {
        if let Some(answer) = self.answers.lock().expect("no panic in here").pop_front() {
            return answer;
        }
        self.taken.lock().expect("no panic in here").push(announcement.job_id);
        Sent::taken(Some(250))
    }
}

/// What a receiver was asked.
#[derive(Debug, Clone)]
pub(crate) struct Asked {
    pub(crate) method: String,
    pub(crate) uri: String,
    pub(crate) headers: HeaderMap,
    pub(crate) body: String,
}

/// A server on this machine. Its process's end is its own.
pub(crate) struct Receiver {
    pub(crate) address: SocketAddr,
    asked: Arc<Mutex<Vec<Asked>>>,
    server: tokio::task::JoinHandle<()>,
}

/// An answer: its status, and where it leads.
pub(crate) type Answer = (StatusCode, Option<String>);

pub(crate) fn answer(status: StatusCode) -> Answer {
    (status, None)
}

pub(crate) fn redirect(status: u16, location: &str) -> Answer {
    (StatusCode::from_u16(status).expect("a status"), Some(location.to_owned()))
}

impl Receiver {
    /// Gives these answers in turn, and then an error that no test expects.
    pub(crate) async fn start(answers: impl IntoIterator<Item = Answer>) -> Self {
        let answers = Mutex::new(answers.into_iter().collect::<VecDeque<_>>());
        Self::with(move || match answers.lock().expect("no panic in here").pop_front() {
            Some((status, Some(location))) => (status, [(LOCATION, location)]).into_response(),
            Some((status, None)) => status.into_response(),
            None => StatusCode::IM_A_TEAPOT.into_response(),
        })
        .await
    }

    /// Takes events and never answers.
    pub(crate) async fn silent() -> Self {
        Self::serve(|| None).await
    }

    /// Answers for ever.
    pub(crate) async fn endless() -> Self {
        Self::with(|| {
            let chunks = futures_util::stream::repeat_with(|| Ok::<_, io::Error>(Bytes::from_static(&[b'x'; 65_536])));
            Body::from_stream(chunks).into_response()
        })
        .await
    }

    async fn with(answer: impl Fn() -> Response + Send + Sync + 'static) -> Self {
        Self::serve(move || Some(answer())).await
    }

    async fn serve(answer: impl Fn() -> Option<Response> + Send + Sync + 'static) -> Self {
        let socket = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = socket.local_addr().expect("an address");
        let (asked, answer) = (Arc::new(Mutex::new(Vec::new())), Arc::new(answer));
        let log = asked.clone();
        let router = Router::new().fallback(move |request: Request| {
            let (log, answer) = (log.clone(), answer.clone());
            async move {
                let (head, body) = request.into_parts();
                let body = axum::body::to_bytes(body, 1 << 20).await.expect("whole");
                log.lock().expect("no panic in here").push(Asked {
                    method: head.method.to_string(),
                    uri: head.uri.to_string(),
                    headers: head.headers,
                    body: String::from_utf8(body.to_vec()).expect("text"),
                });
                match answer() {
                    Some(response) => response,
                    None => std::future::pending().await,
                }
            }
        });
        let server = tokio::spawn(async move { axum::serve(socket, router).await.expect("it serves") });
        Self { address, asked, server }
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    pub(crate) fn requests(&self) -> Vec<Asked> {
        self.asked.lock().expect("no panic in here").clone()
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.server.abort();
    }
}

/// Names that resolve to what a test says, each look-up to the next of its lines, and then to the last.
pub(crate) struct Names(Mutex<Vec<(String, Vec<IpAddr>)>>);

impl Names {
    pub(crate) fn new<const N: usize>(names: [(&str, &str); N]) -> Self {
        let addresses = |text: &str| text.split(' ').map(|address| address.parse().expect("an address")).collect();
        Self(Mutex::new(names.map(|(name, text)| (name.to_owned(), addresses(text))).into()))
    }
}

#[async_trait]
impl Lookup for Names {
    async fn addresses(&self, name: &str) -> io::Result<Vec<IpAddr>> {
        let mut names = self.0.lock().expect("no panic in here");
        let found: Vec<_> = (0..names.len()).filter(|line| names[*line].0 == name).collect();
        match found[..] {
            [] => Err(io::Error::other(format!("there is no {name}"))),
            [only] => Ok(names[only].1.clone()),
            [first, ..] => Ok(names.remove(first).1),
        }
    }
}
