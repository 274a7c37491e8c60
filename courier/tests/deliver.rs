//! What becomes of an event, with real receivers on this machine and names that resolve to whatever a test says.

mod bench;

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use axum::http::StatusCode;
use bench::{Bench, Names, Receiver, SECRET, answer, redirect};
use chrono::TimeDelta;
use courier::{SystemLookup, Verdict, work};
use jobs::job::now;
use jobs::local::SqliteDeliveries;
use jobs::{
    Busy, Deliveries, DeliveryMessage, DeliveryStatus, Destinations, DueDeliveries, DueDelivery, JobStore, Payload,
    Sent, Status, Terms, Unavailable,
};
use serde_json::{Value, json};
use sqlx::ConnectOptions;
use sqlx::sqlite::SqliteConnectOptions;
use standardwebhooks::Webhook;
use tokio::sync::watch;

/// Where a webhook may go from AWS.
fn elsewhere() -> Destinations {
    Destinations::default()
}

/// Where a webhook may go from one machine.
fn here() -> Destinations {
    Destinations { loopback: true, ..Destinations::default() }
}

fn event(message: &DeliveryMessage) -> &Value {
    match &message.payload {
        Payload::Webhook { event, .. } => event,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_receiver_that_stumbles_gets_the_event() {
    let error = StatusCode::INTERNAL_SERVER_ERROR;
    let receiver = Receiver::start([answer(error), answer(error), answer(error), answer(StatusCode::OK)]).await;
    let bench = Bench::new(here(), SystemLookup).await;
    let message = bench.completed(&receiver.url("/hook?for=me")).await;
    let mut at = now();
    for attempt in 1..=3 {
        let Verdict::Release(pause) = bench.courier.deliver(&message.encode(), attempt, at).await else {
            panic!("no other attempt is made after {attempt}")
        };
        let webhook = bench.webhook(&message).await.delivery;
        assert_eq!((webhook.status, webhook.attempts), (DeliveryStatus::Pending, attempt));
        assert_eq!(webhook.latest.last().and_then(|attempt| attempt.status), Some(500));
        let due = webhook.next_attempt_at.expect("there is another attempt");
        assert!(
            matches!(bench.courier.deliver(&message.encode(), 9, at).await, Verdict::Release(_)),
            "a copy, too early"
        );
        assert!(due <= now() + TimeDelta::seconds(60) && !pause.is_zero());
        at = due;
    }
    for copy in ["the last attempt", "another copy of the message"] {
        assert_eq!(bench.courier.deliver(&message.encode(), 4, at).await, Verdict::Acknowledge, "{copy}");
    }
    let webhook = bench.webhook(&message).await.delivery;
    assert_eq!((webhook.status, webhook.attempts, webhook.next_attempt_at), (DeliveryStatus::Delivered, 4, None));
    assert_eq!(bench.webhook(&message).await.url, receiver.url("/hook?for=me"));

    let requests = receiver.requests();
    assert_eq!(requests.len(), 4);
    for request in &requests {
        assert_eq!((request.method.as_str(), request.uri.as_str()), ("POST", "/hook?for=me"));
        assert_eq!(request.headers["content-type"], "application/json");
        assert!(request.headers["user-agent"].to_str().expect("text").starts_with("Pressrun/"));
        assert_eq!(request.headers["webhook-id"], message.end_id().as_str());
        assert_eq!(request.body, event(&message).to_string());
        let checked = Webhook::new(SECRET).expect("a secret").verify(request.body.as_bytes(), &request.headers);
        checked.expect("the signature is good");
    }
    assert_eq!(event(&message)["type"], json!("job.completed"));
}

#[tokio::test]
async fn what_is_out_of_reach_is_refused_for_good() {
    let names = Names::new([
        ("metadata.test", "169.254.169.254"),
        ("here.test", "127.0.0.1"),
        ("lan.test", "fd00::1"),
        ("mapped.test", "::ffff:10.0.0.1"),
    ]);
    let bench = Bench::new(elsewhere(), names).await;
    for (url, reason) in [
        ("https://169.254.169.254/latest/meta-data", "169.254.169.254, which is not a public address"),
        ("https://127.0.0.1:8443/", "webhooks may not go to the server's own machine"),
        ("https://2130706433/", "webhooks may not go to the server's own machine"),
        ("https://[::1]/", "webhooks may not go to the server's own machine"),
        ("https://[::ffff:10.0.0.1]/", "which is not a public address"),
        ("https://metadata.test/", "metadata.test is not the name of a public address"),
        ("https://here.test/", "here.test is not the name of a public address"),
        ("https://lan.test/", "lan.test is not the name of a public address"),
        ("https://mapped.test/", "mapped.test is not the name of a public address"),
        ("http://example.org/", "must be https"),
    ] {
        let message = bench.completed(url).await;
        assert_eq!(bench.courier.deliver(&message.encode(), 1, now()).await, Verdict::Acknowledge, "{url}");
        let webhook = bench.webhook(&message).await.delivery;
        assert_eq!((webhook.status, webhook.attempts), (DeliveryStatus::Refused, 1), "{url}");
        let error = webhook.latest[0].error.clone().expect("a reason");
        assert!(error.contains(reason), "{url}: {error}");
        assert!(!url.contains(".test") || !error.contains(|c: char| c.is_ascii_digit()), "no address is told: {error}");
    }
}

#[tokio::test]
async fn the_name_of_this_machine_is_out_of_reach_from_elsewhere() {
    let bench = Bench::new(elsewhere(), SystemLookup).await;
    let message = bench.completed("https://localhost/").await;
    assert_eq!(bench.courier.deliver(&message.encode(), 1, now()).await, Verdict::Acknowledge);
    let webhook = bench.webhook(&message).await.delivery;
    let error = webhook.latest[0].error.clone().expect("a reason");
    assert!(
        webhook.status == DeliveryStatus::Refused && error.contains("webhooks may not go to the server's own machine"),
        "{error}"
    );
}

#[tokio::test]
async fn addresses_within_reach_are_used_where_others_are_not() {
    let receiver = Receiver::start([answer(StatusCode::OK)]).await;
    let names = Names::new([("localhost", "10.0.0.1 127.0.0.1 169.254.169.254")]);
    let bench = Bench::new(here(), names).await;
    let message = bench.completed(&format!("http://localhost:{}/", receiver.address.port())).await;
    assert_eq!(bench.courier.deliver(&message.encode(), 1, now()).await, Verdict::Acknowledge);
    assert_eq!(bench.webhook(&message).await.delivery.status, DeliveryStatus::Delivered);
}

#[tokio::test]
async fn a_name_that_is_bound_anew_is_checked_anew() {
    let receiver = Receiver::start([answer(StatusCode::BAD_GATEWAY)]).await;
    let names = Names::new([("localhost", "127.0.0.1"), ("localhost", "169.254.169.254")]);
    let bench = Bench::new(here(), names).await;
    let message = bench.completed(&format!("http://localhost:{}/", receiver.address.port())).await;
    assert!(matches!(bench.courier.deliver(&message.encode(), 1, now()).await, Verdict::Release(_)));
    let later = now() + TimeDelta::minutes(1);
    assert_eq!(bench.courier.deliver(&message.encode(), 2, later).await, Verdict::Acknowledge);
    assert_eq!(bench.webhook(&message).await.delivery.status, DeliveryStatus::Refused);
    assert_eq!(receiver.requests().len(), 1);
}

#[tokio::test]
async fn a_redirect_is_followed_with_the_same_event() {
    for status in [301, 302, 303, 307, 308] {
        let goal = Receiver::start([answer(StatusCode::ACCEPTED)]).await;
        let receiver = Receiver::start([redirect(status, &goal.url("/there")), redirect(status, "/x")]).await;
        let bench = Bench::new(here(), SystemLookup).await;
        let message = bench.completed(&receiver.url("/")).await;
        assert_eq!(bench.courier.deliver(&message.encode(), 1, now()).await, Verdict::Acknowledge, "{status}");
        let ([first], [second]) = (&*receiver.requests(), &*goal.requests()) else { panic!("one request each") };
        assert_eq!((second.method.as_str(), second.uri.as_str()), ("POST", "/there"));
        assert_eq!(
            (&first.body, &first.headers["webhook-signature"]),
            (&second.body, &second.headers["webhook-signature"])
        );
        let webhook = bench.webhook(&message).await.delivery;
        assert_eq!((webhook.status, webhook.latest[0].status), (DeliveryStatus::Delivered, Some(202)));
    }
}

#[tokio::test]
async fn a_redirect_out_of_reach_is_refused() {
    let hosts = "127.0.0.1, *.test, 169.254.169.254".parse().expect("hosts");
    let destinations = Destinations { hosts, loopback: true };
    for (location, reason) in [
        ("https://169.254.169.254/latest", "169.254.169.254, which is not a public address"),
        (
            "http://169.254.169.254/latest",
            "redirects to 169.254.169.254: the URL must be https, or http to this machine",
        ),
        ("https://metadata.test/", "metadata.test is not the name of a public address"),
        ("https://example.org/", "the host example.org is not among those"),
        ("https://user:secret@x.test/", "user name"),
        ("file:///etc/passwd", "must name a host"),
    ] {
        let receiver = Receiver::start([redirect(307, location)]).await;
        let names = Names::new([("metadata.test", "169.254.169.254")]);
        let bench = Bench::new(destinations.clone(), names).await;
        let message = bench.completed(&receiver.url("/")).await;
        assert_eq!(bench.courier.deliver(&message.encode(), 1, now()).await, Verdict::Acknowledge, "{location}");
        let webhook = bench.webhook(&message).await.delivery;
        let error = webhook.latest[0].error.clone().expect("a reason");
        assert!(webhook.status == DeliveryStatus::Refused && error.contains(reason), "{location}: {error}");
        assert!(!error.contains("secret"), "{error}");
    }
}

#[tokio::test]
async fn a_redirect_to_a_name_that_is_bound_anew_is_refused() {
    let receiver = Receiver::start([redirect(308, "/again")]).await;
    let names = Names::new([("localhost", "127.0.0.1"), ("localhost", "10.0.0.1")]);
    let bench = Bench::new(here(), names).await;
    let message = bench.completed(&format!("http://localhost:{}/", receiver.address.port())).await;
    assert_eq!(bench.courier.deliver(&message.encode(), 1, now()).await, Verdict::Acknowledge);
    assert_eq!(bench.webhook(&message).await.delivery.status, DeliveryStatus::Refused);
    assert_eq!(receiver.requests().len(), 1);
}

#[tokio::test]
async fn answers_that_are_none_are_tried_again() {
    let round = Receiver::start(std::iter::repeat_n(redirect(302, "/"), 9)).await;
    let nowhere = Receiver::start([answer(StatusCode::FOUND)]).await;
    let missing = Receiver::start([answer(StatusCode::NOT_FOUND)]).await;
    let closed: SocketAddr = Receiver::start([]).await.address;
    let bench = Bench::new(here(), SystemLookup).await;
    for (url, reason) in [
        (round.url("/"), "redirects more than 3 times"),
        (nowhere.url("/"), "named no other place"),
        (missing.url("/"), "404 Not Found"),
        (format!("http://{closed}/"), "could not be reached: Connection refused"),
    ] {
        let message = bench.completed(&url).await;
        assert!(matches!(bench.courier.deliver(&message.encode(), 1, now()).await, Verdict::Release(_)), "{reason}");
        let webhook = bench.webhook(&message).await.delivery;
        let error = webhook.latest[0].error.clone().expect("a reason");
        assert!(webhook.status == DeliveryStatus::Pending && error.contains(reason), "{error}");
    }
    assert_eq!(round.requests().len(), 4);
}

#[tokio::test]
async fn a_receiver_that_does_not_answer_is_tried_again() {
    let receiver = Receiver::silent().await;
    let bench = Bench::within(here(), SystemLookup, Duration::from_millis(300)).await;
    let message = bench.completed(&receiver.url("/")).await;
    assert!(matches!(bench.courier.deliver(&message.encode(), 1, now()).await, Verdict::Release(_)));
    let error = bench.webhook(&message).await.delivery.latest[0].error.clone().expect("a reason");
    assert_eq!(error, "The receiver did not answer within 0.3 s.");
}

#[tokio::test]
async fn an_answer_without_end_is_an_answer() {
    let receiver = Receiver::endless().await;
    let bench = Bench::new(here(), SystemLookup).await;
    let message = bench.completed(&receiver.url("/")).await;
    assert_eq!(bench.courier.deliver(&message.encode(), 1, now()).await, Verdict::Acknowledge);
    assert_eq!(bench.webhook(&message).await.delivery.status, DeliveryStatus::Delivered);
}

#[tokio::test]
async fn a_receiver_that_wants_no_more_is_left_alone() {
    let receiver = Receiver::start([answer(StatusCode::GONE)]).await;
    let bench = Bench::new(here(), SystemLookup).await;
    let message = bench.completed(&receiver.url("/")).await;
    for _ in ["the event", "another copy of it"] {
        assert_eq!(bench.courier.deliver(&message.encode(), 1, now()).await, Verdict::Acknowledge);
    }
    let webhook = bench.webhook(&message).await.delivery;
    assert_eq!((webhook.status, webhook.attempts), (DeliveryStatus::Failed, 1));
    assert_eq!(receiver.requests().len(), 1);
}

#[tokio::test]
async fn after_a_day_it_is_given_up() {
    let receiver = Receiver::start(std::iter::repeat_n(answer(StatusCode::SERVICE_UNAVAILABLE), 50)).await;
    let bench = Bench::new(here(), SystemLookup).await;
    let message = bench.completed(&receiver.url("/")).await;
    let (mut at, mut receives) = (message.since, 0);
    loop {
        receives += 1;
        match bench.courier.deliver(&message.encode(), receives, at).await {
            Verdict::Release(_) => {
                at = bench.webhook(&message).await.delivery.next_attempt_at.expect("another attempt")
            }
            verdict => break assert_eq!(verdict, Verdict::Acknowledge),
        }
    }
    let webhook = bench.webhook(&message).await.delivery;
    assert_eq!((webhook.status, webhook.attempts), (DeliveryStatus::Failed, receives));
    let told = at - message.since;
    assert!(told > TimeDelta::hours(19) && told <= TimeDelta::hours(25), "{told}");
    assert!((12..=20).contains(&receives), "{receives}");
}

#[tokio::test]
async fn an_event_is_delivered_though_its_job_has_gone_on() {
    let receiver = Receiver::start([answer(StatusCode::INTERNAL_SERVER_ERROR), answer(StatusCode::OK)]).await;
    let bench = Bench::new(here(), SystemLookup).await;
    let message = bench.failed(&receiver.url("/")).await;
    let terms = Terms { overdue_at: now(), expires_at: now() };
    bench.local.jobs.reopen(message.id, terms).await.expect("the store answers").expect("it failed");
    assert!(matches!(bench.courier.deliver(&message.encode(), 1, now()).await, Verdict::Release(_)));
    assert_eq!(bench.courier.deliver(&message.encode(), 2, now()).await, Verdict::Acknowledge);
    let sent: serde_json::Value = serde_json::from_str(&receiver.requests()[1].body).expect("JSON");
    assert_eq!((&sent["type"], &sent["data"]["error"]["title"]), (&json!("job.failed"), &json!("why")));
    let job = bench.local.jobs.get(message.id).await.expect("the store answers").expect("on record");
    assert_eq!((job.status, job.webhook), (Status::Queued, None));
}

#[tokio::test]
async fn what_is_no_delivery_is_rejected() {
    let bench = Bench::new(here(), SystemLookup).await;
    assert_eq!(bench.courier.deliver("hello", 1, now()).await, Verdict::Reject);
}

/// A courier at work, with two ways to stop it.
struct Working {
    task: tokio::task::JoinHandle<()>,
    stop: watch::Sender<bool>,
    interrupt: watch::Sender<bool>,
}

impl Working {
    fn on(bench: &Bench) -> Self {
        Self::with(bench, Arc::new(bench.local.deliveries.clone()))
    }

    fn with(bench: &Bench, queue: Arc<dyn DueDeliveries>) -> Self {
        let ((stop, stopped), (interrupt, interrupted)) = (watch::channel(false), watch::channel(false));
        Self { task: tokio::spawn(work(bench.courier.clone(), queue, stopped, interrupted)), stop, interrupt }
    }

    /// Stops it, cutting off what is under way.
    async fn stop(self) {
        self.stop.send(true).expect("it works");
        self.interrupt.send(true).expect("it works");
        tokio::time::timeout(Duration::from_secs(5), self.task).await.expect("at once").expect("no panic");
    }
}

/// Waits until something is so.
async fn until(what: &str, is_so: impl AsyncFn() -> bool) {
    for _ in 0..1_000 {
        if is_so().await {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("waited in vain for {what}");
}

async fn waiting(bench: &Bench) -> usize {
    bench.local.deliveries.due(&Busy::default(), 1_000).await.expect("the queue answers").len()
}

#[tokio::test]
async fn a_slow_receiver_holds_up_neither_others_nor_the_stop() {
    let (silent, quick) = (Receiver::silent().await, Receiver::start(vec![answer(StatusCode::OK); 20]).await);
    let bench = Bench::new(here(), SystemLookup).await;
    let mut slow = Vec::new();
    for _ in 0..100 {
        let message = bench.completed(&silent.url("/")).await;
        bench.local.deliveries.push(&message).await.expect("push");
        slow.push(message);
    }
    let working = Working::on(&bench);
    until("the slow one to be busy", async || silent.requests().len() == 4).await;
    let mut quickly = Vec::new();
    let start = Instant::now();
    for _ in 0..20 {
        let message = bench.completed(&quick.url("/")).await;
        bench.local.deliveries.push(&message).await.expect("push");
        quickly.push(message);
    }
    until("the quick one", async || quick.requests().len() == 20).await;
    assert!(start.elapsed() < Duration::from_secs(2), "{:?}", start.elapsed());
    for message in &quickly {
        until("its record", async || {
            let job = bench.local.jobs.get(message.id).await.expect("the store answers").expect("on record");
            job.webhook.is_some_and(|webhook| webhook.delivery.status == DeliveryStatus::Delivered)
        })
        .await;
    }
    assert_eq!(silent.requests().len(), 4, "no more at once than one destination may have");
    working.stop().await;
    let cut_off = bench.local.jobs.get(slow[0].id).await.expect("the store answers").expect("on record");
    assert_eq!(cut_off.webhook, None, "it was cut off, and will be delivered again");
    let busy = Busy::default();
    let due = bench.local.deliveries.due(&busy, 9).await.expect("the queue answers");
    assert_eq!(due.iter().map(|it| (it.body.as_str(), it.attempts)).collect::<Vec<_>>(), [(&*slow[0].encode(), 0)]);
}

#[tokio::test]
async fn an_announcement_is_made_once_and_is_on_record() {
    let bench = Bench::new(here(), SystemLookup).await;
    let message = bench.announcement().await;
    bench.mailer.answers([Sent { status: Some(451), ..Sent::later("The mail server answered 451: full.") }]);
    let Verdict::Release(_) = bench.courier.deliver(&message.encode(), 1, now()).await else { panic!("it may pass") };
    let pending = bench.announced(&message).await;
    assert_eq!((pending.status, pending.attempts, pending.latest[0].status), (DeliveryStatus::Pending, 1, Some(451)));
    assert_eq!(pending.latest[0].error.as_deref(), Some("The mail server answered 451: full."));
    let due = pending.next_attempt_at.expect("another attempt");
    for _ in ["the attempt", "a copy of the message"] {
        assert_eq!(bench.courier.deliver(&message.encode(), 2, due).await, Verdict::Acknowledge);
    }
    let delivered = bench.announced(&message).await;
    assert_eq!((delivered.status, delivered.attempts), (DeliveryStatus::Delivered, 2));
    assert_eq!(bench.mailer.taken(), [message.id]);
}

#[tokio::test]
async fn a_mail_that_is_refused_for_good_is_not_tried_again() {
    let bench = Bench::new(here(), SystemLookup).await;
    let message = bench.announcement().await;
    bench.mailer.answers([Sent { status: Some(550), ..Sent::refused("The mail server answered 550: no.") }]);
    for _ in ["the attempt", "a copy of the message"] {
        assert_eq!(bench.courier.deliver(&message.encode(), 1, now()).await, Verdict::Acknowledge);
    }
    let refused = bench.announced(&message).await;
    assert_eq!((refused.status, refused.attempts, refused.next_attempt_at), (DeliveryStatus::Refused, 1, None));
    assert_eq!(bench.mailer.taken(), []);
}

#[tokio::test]
async fn a_worker_removes_what_is_done_and_keeps_what_is_not() {
    let receiver = Receiver::start([answer(StatusCode::OK), answer(StatusCode::INTERNAL_SERVER_ERROR)]).await;
    let bench = Bench::new(here(), SystemLookup).await;
    let messages = [bench.completed(&receiver.url("/")).await, bench.announcement().await];
    for message in &messages {
        bench.local.deliveries.push(message).await.expect("push");
    }
    let working = Working::on(&bench);
    until("both to be made", async || waiting(&bench).await == 0).await;
    assert_eq!((receiver.requests().len(), bench.mailer.taken()), (1, vec![messages[1].id]));

    let late = bench.completed(&receiver.url("/")).await;
    bench.local.deliveries.push(&late).await.expect("push");
    until("an attempt", async || receiver.requests().len() >= 2).await;
    until("its pause", async || waiting(&bench).await == 0).await;
    working.stop().await;
    tokio::time::sleep(Duration::from_millis(1_500)).await;
    assert_eq!(waiting(&bench).await, 1, "it is due again when its pause is over");
}

/// Breaks the record of a message's job.
async fn break_record(bench: &Bench, message: &DeliveryMessage) {
    let database = bench.folder.path().join("pressrun.db");
    let mut database = SqliteConnectOptions::new().filename(database).connect().await.expect("the database opens");
    let broken = sqlx::query("UPDATE jobs SET notify = '{' WHERE id = ?1").bind(message.id.to_string());
    broken.execute(&mut database).await.expect("it writes");
}

#[tokio::test]
async fn a_delivery_whose_record_cannot_be_read_ends_after_a_day() {
    let receiver = Receiver::start([]).await;
    let bench = Bench::new(here(), SystemLookup).await;
    let message = bench.completed(&receiver.url("/")).await;
    break_record(&bench, &message).await;
    let (mut at, mut receives) = (message.since, 0);
    loop {
        receives += 1;
        match bench.courier.deliver(&message.encode(), receives, at).await {
            Verdict::Release(pause) => {
                assert!(pause >= Duration::from_secs(30), "{pause:?}");
                at += TimeDelta::from_std(pause).expect("short");
            }
            verdict => break assert_eq!(verdict, Verdict::Acknowledge),
        }
        assert!(receives < 20, "it never ends");
    }
    assert!(at - message.since > TimeDelta::hours(19), "{at}");
    assert_eq!(receiver.requests().len(), 0, "perhaps it was delivered before");
}

#[tokio::test]
async fn a_time_that_no_pause_reaches_does_not_hold_an_attempt_up() {
    let receiver = Receiver::start([answer(StatusCode::INTERNAL_SERVER_ERROR), answer(StatusCode::OK)]).await;
    let bench = Bench::new(here(), SystemLookup).await;
    let message = bench.completed(&receiver.url("/")).await;
    assert!(matches!(bench.courier.deliver(&message.encode(), 1, now()).await, Verdict::Release(_)));
    let stepped_back = now() - TimeDelta::days(30);
    assert_eq!(bench.courier.deliver(&message.encode(), 2, stepped_back).await, Verdict::Acknowledge);
    assert_eq!(bench.webhook(&message).await.delivery.status, DeliveryStatus::Delivered);
}

/// A queue that does not take what came of attempts, at first.
struct Refusing {
    queue: SqliteDeliveries,
    refusals: AtomicUsize,
}

impl Refusing {
    fn answer(&self) -> Result<(), Unavailable> {
        let left = self.refusals.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1));
        left.map_or(Ok(()), |_| Err(Unavailable::when("write")("the disk is full")))
    }
}

#[async_trait]
impl DueDeliveries for Refusing {
    async fn due(&self, busy: &Busy, most: usize) -> Result<Vec<DueDelivery>, Unavailable> {
        self.queue.due(busy, most).await
    }

    async fn remove(&self, id: i64) -> Result<(), Unavailable> {
        self.answer()?;
        self.queue.remove(id).await
    }

    async fn postpone(&self, id: i64, pause: Duration) -> Result<(), Unavailable> {
        self.answer()?;
        self.queue.postpone(id, pause).await
    }

    async fn pushed(&self) {
        self.queue.pushed().await;
    }
}

#[tokio::test]
async fn what_was_sent_is_not_sent_again_because_the_queue_cannot_remove_it() {
    let bench = Bench::new(here(), SystemLookup).await;
    let message = bench.announcement().await;
    bench.local.deliveries.push(&message).await.expect("push");
    // Each is asked four times with patience.
    let queue = Arc::new(Refusing { queue: bench.local.deliveries.clone(), refusals: AtomicUsize::new(6) });
    let working = Working::with(&bench, queue.clone());
    until("the disk to have room", async || queue.refusals.load(Ordering::Relaxed) == 0).await;
    until("its removal", async || waiting(&bench).await == 0).await;
    working.stop().await;
    assert_eq!(bench.mailer.taken(), [message.id]);
}
