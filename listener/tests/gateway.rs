//! Clients of a WebSocket API: what they are answered, and what they are told as their jobs' records change.

mod bench;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard};

use async_trait::async_trait;
use bench::{Bench, good, listener};
use chrono::{DateTime, Utc};
use jobs::event::EventId;
use jobs::followers::{Connected, Connections, Follower, Followers, MAX_POSTED_BYTES, Posted};
use jobs::job::now;
use jobs::{Failed, Failure, Job, JobId, JobStore, Unavailable};
use listener::access::{Mode, Principals, Quotas, Tokens};
use listener::gateway::{Change, Client, Event, Gateway, Message};
use listener::{Access, Listener};
use serde_json::{Value, json};
use uuid::Uuid;

/// Followers in memory, and connections that keep what is posted.
#[derive(Default)]
struct World {
    followers: BTreeMap<(JobId, String), Option<EventId>>,
    /// Who is at the other end of a connection.
    callers: BTreeMap<String, Connected>,
    /// How often a job's record was changed so that its change comes by.
    stirred: usize,
    posted: Vec<(String, Value)>,
    gone: BTreeSet<String>,
    /// Connections that take one message and no more for now.
    clogged: BTreeSet<String>,
    /// Whether followers cannot be recorded.
    full: bool,
}

#[derive(Clone, Default)]
struct Shared(Arc<Mutex<World>>);

impl Shared {
    fn lock(&self) -> MutexGuard<'_, World> {
        self.0.lock().expect("nobody panicked")
    }

    /// What a connection was told since the last look.
    fn told(&self, connection: &str) -> Vec<Value> {
        let mut world = self.lock();
        let (its, others) = world.posted.drain(..).partition(|(to, _)| to == connection);
        world.posted = others;
        let its: Vec<(String, Value)> = its;
        its.into_iter().map(|(_, frame)| frame).collect()
    }

    fn events(&self, connection: &str) -> Vec<String> {
        let told = self.told(connection);
        told.iter().filter_map(|frame| Some(frame.get("event")?.as_str()?.to_owned())).collect()
    }
}

#[async_trait]
impl Followers for Shared {
    async fn add(&self, job: JobId, follower: &Follower, _: DateTime<Utc>) -> Result<(), Unavailable> {
        let mut world = self.lock();
        if world.full {
            return Err(Unavailable::when("record a follower")("no room"));
        }
        world.followers.insert((job, follower.connection.clone()), follower.last);
        world.stirred += 1;
        Ok(())
    }

    async fn of(&self, job: JobId) -> Result<Vec<Follower>, Unavailable> {
        let world = self.lock();
        let its = world.followers.iter().filter(|((id, _), _)| *id == job);
        Ok(its.map(|((_, connection), last)| Follower { connection: connection.clone(), last: *last }).collect())
    }

    async fn advance(&self, job: JobId, connection: &str, last: EventId) -> Result<(), Unavailable> {
        if let Some(told) = self.lock().followers.get_mut(&(job, connection.to_owned())) {
            *told = Some(last);
        }
        Ok(())
    }

    async fn remove(&self, job: JobId, connection: &str) -> Result<(), Unavailable> {
        self.lock().followers.remove(&(job, connection.to_owned()));
        Ok(())
    }

    async fn followed_by(&self, connection: &str, most: usize) -> Result<usize, Unavailable> {
        Ok(self.lock().followers.keys().filter(|(_, its)| its == connection).count().min(most))
    }

    async fn remember(&self, connection: &str, who: &Connected, _: DateTime<Utc>) -> Result<(), Unavailable> {
        self.lock().callers.insert(connection.into(), who.clone());
        Ok(())
    }

    async fn caller_of(&self, connection: &str) -> Result<Option<Connected>, Unavailable> {
        Ok(self.lock().callers.get(connection).cloned())
    }

    async fn forget(&self, connection: &str) -> Result<(), Unavailable> {
        self.lock().followers.retain(|(_, its), _| its != connection);
        Ok(())
    }
}

#[async_trait]
impl Connections for Shared {
    async fn post(&self, connection: &str, text: &str) -> Result<Posted, Unavailable> {
        assert!(text.len() <= MAX_POSTED_BYTES, "{}", text.len());
        let mut world = self.lock();
        if world.gone.contains(connection) {
            return Ok(Posted::Gone);
        }
        if world.clogged.contains(connection) && world.posted.iter().any(|(to, _)| to == connection) {
            return Err(Unavailable::when("tell a connection")("too many requests"));
        }
        world.posted.push((connection.to_owned(), serde_json::from_str(text).expect("JSON")));
        Ok(Posted::Yes)
    }
}

/// A gateway over the ports of one machine.
struct Hall {
    bench: Bench,
    gateway: Gateway,
    world: Shared,
}

impl Hall {
    async fn new() -> Self {
        let (bench, world) = (Bench::new().await, Shared::default());
        let listener = Listener {
            public_url: Some("https://press.test".into()),
            access: Access::token("s3cret"),
            ..listener(&bench.local, bench.folder.path())
        };
        let gateway = Gateway { listener, followers: Arc::new(world.clone()), connections: Arc::new(world.clone()) };
        Self { bench, gateway, world }
    }

    async fn client(&self, connection: &str, message: Message) -> Result<Value, Unavailable> {
        let client = Client { connection: connection.into(), message, arn: None, peer: None };
        self.gateway.handle(Event::Client(client)).await
    }

    /// Has the operator be at the other end of a connection, unless somebody shook hands.
    fn introduce(&self, connection: &str) {
        let operator = Connected { caller: "default".into(), rights: "admin".into() };
        self.world.lock().callers.entry(connection.into()).or_insert(operator);
    }

    /// Has a connection say something.
    async fn say(&self, connection: &str, message: &Value) -> Result<Value, Unavailable> {
        self.introduce(connection);
        self.client(connection, Message::Text(message.to_string())).await
    }

    /// Lets the changes of these jobs come by; answers which must come again.
    async fn changed(&self, jobs: &[JobId]) -> Vec<Value> {
        let change = |(number, id): (usize, &JobId)| Change { id: *id, sequence_number: number.to_string() };
        let changes = jobs.iter().enumerate().map(change).collect();
        let answer = self.gateway.handle(Event::Changes(changes)).await.expect("an answer");
        answer["batchItemFailures"].as_array().expect("a list").clone()
    }

    async fn fail(&self, job: &Job, owner: Uuid) {
        let failure = Failure::new("x", "x", "x");
        let failed = Failed { failure: &failure, input: None, set_aside: false, at: now() };
        _ = self.bench.local.jobs.fail(job.id, owner, &failed).await.expect("the store answers");
    }
}

#[tokio::test]
async fn a_handshake_needs_the_token() {
    let hall = Hall::new().await;
    for (authorization, status) in [(None, 401), (Some("Bearer wrong"), 401), (Some("Bearer s3cret"), 200)] {
        let mut headers = axum::http::HeaderMap::new();
        if let Some(value) = authorization {
            headers.insert("authorization", value.parse().expect("a value"));
        }
        let answer = hall.client("a", Message::Connect(headers)).await.expect("an answer");
        assert_eq!(answer["statusCode"], status, "{authorization:?}");
    }
}

#[tokio::test]
async fn quotas_are_of_the_caller_who_shook_hands() {
    let mut hall = Hall::new().await;
    let usage = Arc::new(hall.bench.local.usage.clone());
    let tokens = Tokens::default().with("crm", "one").with("crm", "two").with("billing", "three");
    hall.gateway.listener.access = Access::by(Mode::Tokens(tokens.into()));
    hall.gateway.listener.access.quotas = Some(Quotas { requests: None, jobs: Some(1), bytes: None, usage });
    for (connection, token) in [("a", "one"), ("b", "two"), ("c", "three")] {
        let mut headers = axum::http::HeaderMap::new();
        headers.insert("authorization", format!("Bearer {token}").parse().expect("a value"));
        assert_eq!(hall.client(connection, Message::Connect(headers)).await.expect("an answer")["statusCode"], 200);
    }
    let told = async |connection| {
        hall.say(connection, &good()).await.expect("an answer");
        hall.world.told(connection).swap_remove(0)
    };
    assert_eq!(told("a").await["status"], "queued");
    let refused = told("b").await;
    assert_eq!((&refused["status"], &refused["type"]), (&json!(429), &json!("urn:pressrun:problem:too-many-jobs")));
    assert_eq!(told("c").await["status"], "queued", "another caller has a quota of its own");
}

#[tokio::test]
async fn a_connection_follows_its_callers_jobs_and_so_many_of_them() {
    let mut hall = Hall::new().await;
    let tokens = "crm crm-token-of-a-test,ops ops-token-of-a-test admin".parse::<Tokens>().expect("tokens");
    hall.gateway.listener.access = Access::by(Mode::Tokens(tokens.into()));
    let (job, _) = hall.bench.running().await;
    for (connection, token, seen) in [("a", "crm-token-of-a-test", false), ("b", "ops-token-of-a-test", true)] {
        let mut headers = axum::http::HeaderMap::new();
        headers.insert("authorization", format!("Bearer {token}").parse().expect("a value"));
        assert_eq!(hall.client(connection, Message::Connect(headers)).await.expect("an answer")["statusCode"], 200);
        hall.say(connection, &json!({"subscribe": job.id})).await.expect("an answer");
        let told = hall.world.told(connection).swap_remove(0);
        let unknown = json!("urn:pressrun:problem:unknown-job");
        assert_eq!(told == json!({"subscribed": job.id}), seen, "{told}");
        assert_eq!(told["type"] == unknown, !seen, "{told}");
    }
    let stranger = Message::Text(json!({"subscribe": job.id}).to_string());
    hall.client("before", stranger).await.expect("an answer");
    assert_eq!(hall.world.told("before")[0]["status"], 401, "of before connections were remembered");

    let follow = |world: &Shared| {
        for _ in 0..1_000 {
            world.lock().followers.insert((JobId::new(), "b".into()), None);
        }
    };
    follow(&hall.world);
    hall.say("b", &json!({"subscribe": job.id})).await.expect("an answer");
    assert_eq!(hall.world.told("b")[0]["type"], "urn:pressrun:problem:too-many-followed");
}

#[tokio::test]
async fn aws_says_who_shakes_hands_where_it_knows_callers() {
    let mut hall = Hall::new().await;
    hall.gateway.listener.access = Access::by(Mode::Iam(Principals::default()));
    let (user, federated) = ("arn:aws:iam::123456789012:user/crm", "arn:aws:sts::123456789012:federated-user/crm");
    for (arn, status) in [(None, 401), (Some(user), 200), (Some(federated), 401)] {
        let (connection, message) = ("a".into(), Message::Connect(axum::http::HeaderMap::new()));
        let client = Client { connection, message, arn: arn.map(Into::into), peer: None };
        let answer = hall.gateway.handle(Event::Client(client)).await.expect("an answer");
        assert_eq!(answer["statusCode"], status, "{arn:?}");
    }
}

#[tokio::test]
async fn a_request_is_answered_and_followed() {
    let hall = Hall::new().await;
    assert_eq!(hall.say("a", &good()).await.expect("an answer"), json!({"statusCode": 200}));
    let told = hall.world.told("a");
    let id: JobId = told[0]["id"].as_str().expect("an id").parse().expect("a job's");
    assert_eq!(told[0]["status_url"], format!("https://press.test/jobs/{id}"));
    assert_eq!((told.len(), &told[1]["event"], &told[1]["id"]), (2, &json!("queued"), &json!("0.0.1")));
    let followers = hall.world.of(id).await.expect("an answer");
    assert_eq!(followers, [Follower { connection: "a".into(), last: "0.0.1".parse().ok() }]);
    assert_eq!(hall.world.lock().stirred, 1);
    assert_eq!(hall.changed(&[id]).await, [] as [Value; 0]);
    assert_eq!(hall.world.told("a"), [] as [Value; 0], "what was told is not told again");
}

#[tokio::test]
async fn followers_are_told_once_each_and_let_go_at_the_end() {
    let hall = Hall::new().await;
    let (job, owner) = hall.bench.running().await;
    hall.say("a", &json!({"subscribe": job.id})).await.expect("an answer");
    hall.say("b", &json!({"subscribe": job.id, "last_event_id": "0.0.1"})).await.expect("an answer");
    assert_eq!(hall.world.told("a")[0], json!({"subscribed": job.id}));
    assert_eq!(hall.world.events("b"), ["running"]);

    hall.fail(&job, owner).await;
    assert_eq!(hall.changed(&[job.id, job.id]).await, [] as [Value; 0]);
    assert_eq!((hall.world.events("a"), hall.world.events("b")), (vec!["failed".into()], vec!["failed".into()]));
    assert_eq!(hall.world.of(job.id).await.expect("an answer"), []);
}

#[tokio::test]
async fn what_happened_before_the_follower_was_recorded_is_told_when_the_change_comes_by() {
    let hall = Hall::new().await;
    let (job, owner) = hall.bench.running().await;
    // The job as one who subscribes read it; it ends before the follower is on record.
    let follower = Follower { connection: "a".into(), last: "0.1.0".parse().ok() };
    hall.fail(&job, owner).await;
    hall.world.add(job.id, &follower, now()).await.expect("an answer");
    hall.changed(&[job.id]).await;
    assert_eq!(hall.world.events("a"), ["failed"]);
}

#[tokio::test]
async fn a_job_that_ended_is_told_at_once_and_not_followed() {
    let hall = Hall::new().await;
    let job = hall.bench.completed(b"%PDF-1.7").await;
    hall.say("a", &json!({"subscribe": job.id})).await.expect("an answer");
    let told = hall.world.told("a");
    assert_eq!(told.last().expect("a frame")["event"], "completed");
    let link = told.last().expect("a frame")["link"].as_str().expect("a link");
    assert!(link.starts_with(&format!("https://press.test/r/{}?expires=", job.id)), "{link}");
    assert_eq!((hall.world.of(job.id).await.expect("an answer"), hall.world.lock().stirred), (vec![], 0));
}

#[tokio::test]
async fn a_connection_that_is_gone_is_forgotten_with_all_that_it_followed() {
    let hall = Hall::new().await;
    let ((first, owner), (second, _)) = (hall.bench.running().await, hall.bench.running().await);
    for job in [&first, &second] {
        for connection in ["a", "b"] {
            hall.say(connection, &json!({"subscribe": job.id})).await.expect("an answer");
        }
    }
    _ = (hall.world.told("a"), hall.world.told("b"));
    hall.world.lock().gone.insert("a".into());
    hall.fail(&first, owner).await;
    assert_eq!(hall.changed(&[first.id]).await, [] as [Value; 0]);
    assert_eq!(hall.world.events("b"), ["failed"]);
    let left: Vec<_> = hall.world.lock().followers.keys().cloned().collect();
    assert_eq!(left, [(second.id, "b".to_owned())]);

    hall.client("b", Message::Disconnect).await.expect("an answer");
    assert!(hall.world.lock().followers.is_empty());
}

#[tokio::test]
async fn one_that_cannot_be_told_is_told_later_and_the_others_not_again() {
    let hall = Hall::new().await;
    let ((quiet, _), (job, owner)) = (hall.bench.running().await, hall.bench.running().await);
    for connection in ["a", "b"] {
        let follower = Follower { connection: connection.into(), last: None };
        hall.world.add(job.id, &follower, now()).await.expect("an answer");
    }
    hall.fail(&job, owner).await;
    hall.world.lock().clogged.insert("a".into());
    assert_eq!(hall.changed(&[quiet.id, job.id, job.id]).await, [json!({"itemIdentifier": "1"})]);
    assert_eq!((hall.world.events("a").len(), hall.world.events("b").len()), (1, 3));

    hall.world.lock().clogged.clear();
    assert_eq!(hall.changed(&[job.id]).await, [] as [Value; 0]);
    assert_eq!(hall.world.events("a"), ["running", "failed"]);
    assert_eq!(hall.world.events("b"), [] as [String; 0]);
}

#[tokio::test]
async fn what_is_wrong_is_told() {
    let hall = Hall::new().await;
    for (text, name) in [
        ("{".to_owned(), "malformed-json"),
        (json!({"template": "list"}).to_string(), "invalid-request"),
        (json!({"template": "list", "data": {}}).to_string(), "invalid-data"),
        (json!({"template": "nope", "data": {}}).to_string(), "unknown-template"),
        (json!({"subscribe": "x"}).to_string(), "unknown-job"),
        (json!({"subscribe": JobId::new(), "surprise": 1}).to_string(), "invalid-request"),
    ] {
        hall.introduce("a");
        hall.client("a", Message::Text(text.clone())).await.expect("an answer");
        let told = hall.world.told("a");
        let kinds: Vec<_> = told.iter().map(|it| it["type"].as_str().unwrap_or_default()).collect();
        assert_eq!(kinds, [format!("{}{name}", Failure::TYPE_PREFIX)], "{text}");
    }
}

#[tokio::test]
async fn of_too_many_violations_as_many_are_told_as_one_message_holds() {
    let hall = Hall::new().await;
    let lines = vec!["no line".repeat(50); 999];
    hall.say("a", &json!({"template": "list", "data": {"name": "n", "lines": lines}})).await.expect("an answer");
    let told = hall.world.told("a");
    assert_eq!(told[0]["type"], format!("{}invalid-data", Failure::TYPE_PREFIX));
    assert!(told[0]["errors"].as_array().is_some_and(|errors| !errors.is_empty()));
}

#[tokio::test]
async fn a_follower_that_cannot_be_recorded_hears_so() {
    let hall = Hall::new().await;
    let (job, _) = hall.bench.running().await;
    hall.world.lock().full = true;
    hall.say("a", &json!({"subscribe": job.id})).await.expect("an answer");
    let told = hall.world.told("a");
    let last = told.last().expect("a frame");
    assert_eq!((&last["status"], &last["job_id"]), (&json!(503), &json!(job.id)));
}
