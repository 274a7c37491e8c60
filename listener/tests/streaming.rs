//! The real Lambda function behind a function URL passes an answer on as it comes about.
//!
//! An emulator of AWS collects a function's answer before it hands it out. So the runtime API that the function speaks
//! is this test's own, and only its table is the emulator's.

use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use aws_sdk_dynamodb::types::{AttributeDefinition, BillingMode, KeySchemaElement, KeyType, ScalarAttributeType};
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::IntoResponse;
use axum::routing::{get, post};
use axum::{Json, Router};
use chrono::TimeDelta;
use futures_util::StreamExt;
use jobs::aws::{DynamoStore, SdkConfig, sdk_config};
use jobs::job::now;
use jobs::{Claim, Claimed, Failed, Failure, Job, JobId, JobStore, Purpose, Terms};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::{Mutex, mpsc};
use uuid::Uuid;

/// Long enough for a slow machine.
const LONG: Duration = Duration::from_secs(60);

/// What stands between an answer's head and its body.
const DELIMITER: &str = "\0\0\0\0\0\0\0\0";

/// The runtime API of one Lambda function: hands out events, and passes on answers piece by piece.
struct Runtime {
    events: Mutex<mpsc::Receiver<Value>>,
    answers: mpsc::Sender<Option<Bytes>>,
}

async fn next(State(runtime): State<Arc<Runtime>>) -> impl IntoResponse {
    let event = runtime.events.lock().await.recv().await.unwrap_or_default();
    let head = [("lambda-runtime-aws-request-id", "r1"), ("lambda-runtime-deadline-ms", "9999999999999")];
    (head, [("lambda-runtime-invoked-function-arn", "arn:aws:lambda:us-east-1:0:function:listener")], Json(event))
}

async fn response(State(runtime): State<Arc<Runtime>>, headers: HeaderMap, body: Body) -> StatusCode {
    assert_eq!(headers["lambda-runtime-function-response-mode"], "streaming");
    let mut pieces = body.into_data_stream();
    while let Some(piece) = pieces.next().await {
        runtime.answers.send(piece.ok()).await.expect("the test listens");
    }
    runtime.answers.send(None).await.expect("the test listens");
    StatusCode::ACCEPTED
}

/// The listener's function, and what it has answered so far.
struct Function {
    process: Child,
    events: mpsc::Sender<Value>,
    answers: mpsc::Receiver<Option<Bytes>>,
    text: String,
}

impl Function {
    async fn start(table: &str) -> Self {
        let (events, received) = mpsc::channel(1);
        let (sent, answers) = mpsc::channel(64);
        let runtime = Arc::new(Runtime { events: Mutex::new(received), answers: sent });
        let router = Router::new()
            .route("/2018-06-01/runtime/invocation/next", get(next))
            .route("/2018-06-01/runtime/invocation/r1/response", post(response));
        let socket = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = socket.local_addr().expect("an address").to_string();
        tokio::spawn(axum::serve(socket, router.with_state(runtime)).into_future());
        let process = Command::new(env!("CARGO_BIN_EXE_listener"))
            .envs([
                ("AWS_LAMBDA_RUNTIME_API", address.as_str()),
                ("AWS_LAMBDA_FUNCTION_NAME", "listener"),
                ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "512"),
                ("AWS_LAMBDA_FUNCTION_VERSION", "1"),
                ("PRESSRUN_TABLE", table),
                ("PRESSRUN_QUEUE_URL", "unused"),
                ("PRESSRUN_BUCKET", "unused"),
                ("PRESSRUN_LINK_KEY", "key"),
                ("PRESSRUN_ACCESS", "none"),
                ("PRESSRUN_ACCEPT_ANYBODY", "yes"),
                ("PRESSRUN_STREAM_SECONDS", "600"),
            ])
            .stdout(Stdio::null())
            .spawn()
            .expect("the function starts");
        Self { process, events, answers, text: String::new() }
    }

    async fn call(&self, path: &str) {
        let event = json!({
            "version": "2.0",
            "routeKey": "$default",
            "rawPath": path,
            "rawQueryString": "",
            "headers": {"host": "x.lambda-url.us-east-1.on.aws", "x-forwarded-proto": "https"},
            "requestContext": {
                "accountId": "anonymous",
                "apiId": "x",
                "domainName": "x.lambda-url.us-east-1.on.aws",
                "domainPrefix": "x",
                "http": {"method": "GET", "path": path, "protocol": "HTTP/1.1", "sourceIp": "127.0.0.1", "userAgent": ""},
                "requestId": "r1",
                "routeKey": "$default",
                "stage": "$default",
                "time": "22/Feb/2026:19:07:37 +0000",
                "timeEpoch": 1_771_787_257_902_i64
            },
            "isBase64Encoded": false
        });
        self.events.send(event).await.expect("the function waits for events");
    }

    /// Reads on until the answer holds `text`.
    async fn read_until(&mut self, text: &str) {
        while !self.text.contains(text) {
            assert!(self.read().await, "the answer ended: {}", self.text);
        }
    }

    /// Reads the next piece; false at the end of the answer.
    async fn read(&mut self) -> bool {
        let piece = tokio::time::timeout(LONG, self.answers.recv()).await.expect("something comes");
        match piece.expect("the function runs") {
            Some(piece) => self.text.push_str(std::str::from_utf8(&piece).expect("UTF-8")),
            None => return false,
        }
        true
    }
}

impl Drop for Function {
    fn drop(&mut self) {
        _ = self.process.kill();
        _ = self.process.wait();
    }
}

async fn make_table(config: &SdkConfig, name: &str) {
    let attribute = AttributeDefinition::builder().attribute_name("id").attribute_type(ScalarAttributeType::S).build();
    let key = KeySchemaElement::builder().attribute_name("id").key_type(KeyType::Hash).build();
    aws_sdk_dynamodb::Client::new(config)
        .create_table()
        .table_name(name)
        .billing_mode(BillingMode::PayPerRequest)
        .attribute_definitions(attribute.expect("complete"))
        .key_schema(key.expect("complete"))
        .send()
        .await
        .expect("a table");
}

#[tokio::test]
#[ignore = "needs the emulator: make test"]
async fn an_event_has_arrived_before_the_next_one_happens() {
    assert!(std::env::var_os("AWS_ENDPOINT_URL").is_some(), "no emulator: run `make test`");
    let (config, table) = (sdk_config(LONG).await, format!("streaming-{}", JobId::new()));
    make_table(&config, &table).await;
    let store = DynamoStore::new(&config, &table);
    let (job, now) = (Job::queued(JobId::new(), "letter", now()), now());
    let later = now + TimeDelta::hours(1);
    let terms = Terms { overdue_at: later, expires_at: later + TimeDelta::days(30) };
    store.record(&job, terms).await.expect("the store answers");

    let mut function = Function::start(&table).await;
    function.call(&format!("/jobs/{}/events", job.id)).await;
    function.read_until("event: queued").await;
    let (head, _) = function.text.split_once(DELIMITER).expect("a head and a body");
    let head: Value = serde_json::from_str(head).expect("JSON");
    assert_eq!((&head["statusCode"], &head["headers"]["content-type"]), (&json!(200), &json!("text/event-stream")));

    // All of the above was read while the job still waited.
    let claim = Claim { owner: Uuid::new_v4(), now, lease_until: later, purpose: Purpose::Run, terms };
    assert_eq!(store.claim(&job, &claim).await.expect("the store answers"), Claimed::Run(jobs::Attempt::FIRST));
    function.read_until("event: running").await;
    let failure = Failure::new("x", "x", "x");
    let failed = Failed { failure: &failure, input: None, set_aside: false, at: now };
    _ = store.fail(job.id, claim.owner, &failed).await.expect("the store answers");
    while function.read().await {}
    assert_eq!(function.text.matches("event: ").count(), 3, "{}", function.text);
    assert!(function.text.contains("event: failed"));
}
