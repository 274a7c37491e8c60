//! Who is let in, from which sites, and how much each may ask for.

mod bench;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair};
use axum::body::Body;
use axum::extract::State;
use axum::http::{Method, Request, StatusCode};
use axum::routing::get;
use axum::{Json, Router};
use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use bench::{Answer, Bench, good, post};
use jobs::job::now;
use jobs::{Claim, JobId, JobStore, Purpose, Terms};
use listener::access::{Hosts, Issuer, Mode, Principals, Quotas, Throttle, Tokens};
use listener::{Access, Listener};
use serde_json::{Value, json};

/// A bench whose callers `crm` and `billing` show their names as tokens.
async fn bench(requests: Option<u32>, jobs: Option<u32>) -> Bench {
    Bench::with_local(|listener, local| {
        let tokens = Tokens::default().with("crm", "crm").with("crm", "crm-too").with("billing", "billing");
        let quotas = Quotas { requests, jobs, bytes: None, usage: Arc::new(local.usage.clone()) };
        Listener { access: Access { quotas: Some(quotas), ..Access::by(Mode::Tokens(tokens.into())) }, ..listener }
    })
    .await
}

fn by(token: &str, mut request: Request<Body>) -> Request<Body> {
    request.headers_mut().insert("authorization", format!("Bearer {token}").parse().expect("a value"));
    request
}

async fn ask(bench: &Bench, token: &str) -> Answer {
    bench.send(by(token, post(good().to_string()))).await
}

fn refusal(answer: &Answer) -> (u16, String) {
    (answer.status.as_u16(), answer.problem())
}

#[tokio::test]
async fn a_caller_makes_so_many_requests_a_minute_and_no_more() {
    let bench = bench(Some(2), None).await;
    // So that all of it happens in one minute.
    while now().timestamp().rem_euclid(60) > 50 {
        tokio::time::sleep(std::time::Duration::from_secs(1)).await;
    }
    assert_eq!(ask(&bench, "crm").await.status, StatusCode::ACCEPTED);
    let upload = |token| by(token, Request::post("/uploads").body(Body::from("{}")).expect("a request"));
    assert_eq!(bench.send(upload("crm-too")).await.status, 422, "it counts although it is refused");
    let retry = Request::post(format!("/jobs/{}/retry", JobId::new())).body(Body::empty()).expect("a request");
    for request in [post(good().to_string()), upload("crm"), retry] {
        let answer = bench.send(by("crm", request)).await;
        assert_eq!(refusal(&answer), (429, "too-many-requests".into()));
        let wait: u64 = answer.header("retry-after").parse().expect("seconds");
        assert!((1..=60).contains(&wait), "{wait}");
    }
    let look = by("crm", Request::get("/templates").body(Body::empty()).expect("a request"));
    assert_eq!(bench.send(look).await.status, StatusCode::OK, "looking is free");
    assert_eq!(ask(&bench, "billing").await.status, StatusCode::ACCEPTED, "another caller has a quota of its own");
    assert_eq!(refusal(&ask(&bench, "wrong").await), (401, "unauthorized".into()));
}

async fn fail(bench: &Bench, id: JobId) {
    let (job, at) = (bench.local.jobs.get(id).await.expect("the store answers").expect("on record"), now());
    let (owner, later) = (uuid::Uuid::new_v4(), at + chrono::TimeDelta::minutes(1));
    let terms = Terms { overdue_at: later, expires_at: later + chrono::TimeDelta::days(30) };
    let claim = Claim { owner, now: at, lease_until: later, purpose: Purpose::Run, terms };
    bench.local.jobs.claim(&job, &claim).await.expect("the store answers");
    let (failure, data) = (jobs::Failure::new("x", "x", "x"), jobs::Data::from(&good()["data"]));
    let failed = jobs::Failed { failure: &failure, input: Some(&data), set_aside: false, at: now() };
    _ = bench.local.jobs.fail(id, owner, &failed).await.expect("the store answers");
}

fn id_of(answer: &Answer) -> JobId {
    assert_eq!(answer.status, StatusCode::ACCEPTED, "{}", answer.json());
    answer.json()["id"].as_str().expect("an id").parse().expect("a UUID")
}

#[tokio::test]
async fn a_caller_has_so_many_jobs_in_flight_and_no_more() {
    let bench = bench(None, Some(1)).await;
    let bad = by("crm", post(json!({"template": "list", "data": {}}).to_string()));
    assert_eq!(bench.send(bad).await.status, 422, "what is no job is not in flight");
    let keyed = || {
        let mut request = by("crm", post(good().to_string()));
        request.headers_mut().insert("idempotency-key", "once".parse().expect("a value"));
        request
    };
    let first = id_of(&bench.send(keyed()).await);
    let answer = ask(&bench, "crm-too").await;
    assert_eq!((refusal(&answer), answer.header("retry-after")), ((429, "too-many-jobs".into()), "5"));
    assert_eq!(id_of(&bench.send(keyed()).await), first, "a repeated request is the same job");
    id_of(&ask(&bench, "billing").await);

    fail(&bench, first).await;
    let second = id_of(&ask(&bench, "crm").await);
    let retry = || by("crm", Request::post(format!("/jobs/{first}/retry")).body(Body::empty()).expect("a request"));
    assert_eq!(refusal(&bench.send(retry()).await), (429, "too-many-jobs".into()));
    fail(&bench, second).await;
    assert_eq!(id_of(&bench.send(retry()).await), first);
    assert_eq!(refusal(&ask(&bench, "crm").await), (429, "too-many-jobs".into()), "a retried job is in flight again");
}

#[tokio::test]
async fn an_idempotency_key_is_its_callers_own() {
    let bench = bench(None, None).await;
    let ask = async |token| {
        let mut request = by(token, post(good().to_string()));
        request.headers_mut().insert("idempotency-key", "once".parse().expect("a value"));
        id_of(&bench.send(request).await)
    };
    let first = ask("crm").await;
    assert_eq!(ask("crm-too").await, first, "another token of the same caller");
    assert_ne!(ask("billing").await, first);
}

#[tokio::test]
async fn a_job_is_its_callers_and_of_those_who_may_see_all() {
    for shared_jobs in [false, true] {
        let tokens = "crm crm-token-of-a-test,billing billing-token-of-a-test,ops ops-token-of-a-test admin";
        let bench = Bench::with(|listener| {
            let tokens: Tokens = tokens.parse().expect("tokens");
            Listener { access: Access { shared_jobs, ..Access::by(Mode::Tokens(tokens.into())) }, ..listener }
        })
        .await;
        let id = id_of(&ask(&bench, "crm-token-of-a-test").await);
        // As an earlier build recorded one.
        let nobodys = bench.completed(b"%PDF").await.id;
        for (token, own, others) in [
            ("crm-token-of-a-test", true, shared_jobs),
            ("billing-token-of-a-test", shared_jobs, shared_jobs),
            ("ops-token-of-a-test", true, true),
        ] {
            let get = async |path: String| {
                bench.send(by(token, Request::get(path).body(Body::empty()).expect("a request"))).await
            };
            for (id, seen) in [(id, own), (nobodys, others)] {
                let status = if seen { StatusCode::OK } else { StatusCode::NOT_FOUND };
                assert_eq!(get(format!("/jobs/{id}")).await.status, status, "{token}");
                let listed = get("/jobs".into()).await.json();
                let listed = listed["jobs"].as_array().expect("a list").iter().any(|job| job["id"] == json!(id));
                assert_eq!(listed, seen, "{token}");
            }
        }
    }
}

async fn with_origins(origins: &str, token: Option<&str>) -> Bench {
    Bench::with(|listener| {
        let access = token.map_or_else(Access::anybody, Access::token);
        Listener { access: Access { origins: origins.parse().expect("origins"), ..access }, ..listener }
    })
    .await
}

fn from(origin: &str, mut request: Request<Body>) -> Request<Body> {
    request.headers_mut().insert("origin", origin.parse().expect("a value"));
    request
}

fn preflight(origin: &str) -> Request<Body> {
    let request = Request::builder().method(Method::OPTIONS).uri("/append_queue").header("host", "press.test");
    let request = request.header("access-control-request-method", "POST");
    let request = request.header("access-control-request-headers", "authorization,content-type,idempotency-key");
    from(origin, request.body(Body::empty()).expect("a request"))
}

#[tokio::test]
async fn pages_of_admitted_sites_may_call_and_read_what_they_are_told() {
    let bench = with_origins("https://app.example.org,http://localhost:3000", Some("s3cret")).await;
    let answer = bench.send(preflight("https://app.example.org")).await;
    assert_eq!(
        (answer.status, answer.header("access-control-allow-origin")),
        (StatusCode::OK, "https://app.example.org")
    );
    for (header, words) in [
        ("access-control-allow-methods", &["GET", "POST", "PUT"][..]),
        (
            "access-control-allow-headers",
            &["authorization", "content-type", "idempotency-key", "last-event-id", "prefer"],
        ),
    ] {
        assert!(words.iter().all(|word| answer.header(header).contains(word)), "{}", answer.header(header));
    }
    for (token, status) in [("s3cret", 202), ("wrong", 401)] {
        let answer = bench.send(from("http://localhost:3000", by(token, post(good().to_string())))).await;
        assert_eq!(answer.status.as_u16(), status);
        assert_eq!(answer.header("access-control-allow-origin"), "http://localhost:3000");
        let exposed = answer.header("access-control-expose-headers");
        assert!(["location", "retry-after", "etag"].iter().all(|name| exposed.contains(name)), "{exposed}");
    }
    for origin in ["https://evil.example", "null"] {
        let answer = bench.send(preflight(origin)).await;
        assert!(!answer.headers.contains_key("access-control-allow-origin"), "{origin}");
    }
    let closed = Bench::new().await.send(preflight("https://app.example.org")).await;
    assert!(!closed.headers.contains_key("access-control-allow-origin"));
}

#[tokio::test]
async fn without_a_token_pages_of_admitted_sites_alone_may_call() {
    for (origins, origin, status) in [
        ("https://app.example.org", "https://app.example.org", 202),
        ("https://app.example.org", "https://evil.example", 403),
        ("*", "https://evil.example", 202),
        ("", "https://app.example.org", 403),
    ] {
        let bench = with_origins(origins, None).await;
        let answer = bench.send(from(origin, post(good().to_string()))).await;
        assert_eq!(answer.status.as_u16(), status, "{origin} where {origins:?} may call");
    }
}

#[tokio::test]
async fn a_page_of_an_admitted_site_reads_that_it_called_another_host() {
    let bench = Bench::with(|listener| {
        let hosts = Hosts::default().of_server("127.0.0.1:9000".parse().expect("an address"), None);
        let origins = "https://app.example.org".parse().expect("origins");
        Listener { access: Access { hosts: Some(hosts), origins, ..Access::anybody() }, ..listener }
    })
    .await;
    let answer = bench.send(from("https://app.example.org", post(good().to_string()))).await;
    assert_eq!(refusal(&answer), (421, "misdirected".into()));
    assert_eq!(answer.header("access-control-allow-origin"), "https://app.example.org");
}

#[tokio::test]
async fn aws_must_have_said_who_calls_where_it_knows_callers() {
    let bench =
        Bench::with(|listener| Listener { access: Access::by(Mode::Iam(Principals::default())), ..listener }).await;
    let answer = bench.post(good().to_string()).await;
    assert_eq!((refusal(&answer), answer.header("www-authenticate")), ((401, "unauthorized".into()), "Bearer"));
    #[cfg(feature = "lambda")]
    {
        use lambda_http::request::{LambdaRequest, RequestContext};
        let event = json!({
            "version": "2.0", "routeKey": "$default", "rawPath": "/", "rawQueryString": "", "headers": {},
            "requestContext": {
                "accountId": "123456789012", "apiId": "x", "domainName": "x", "domainPrefix": "x", "stage": "$default",
                "requestId": "x", "routeKey": "$default", "time": "12/Mar/2026:19:03:58 +0000", "timeEpoch": 1,
                "http": {"method": "POST", "path": "/", "protocol": "HTTP/1.1", "sourceIp": "192.0.2.1", "userAgent": "x"},
                "authorizer": {"iam": {
                    "accessKey": "AKIA", "accountId": "123456789012", "callerId": "AIDA", "cognitoIdentity": null,
                    "principalOrgId": null, "userArn": "arn:aws:iam::123456789012:user/crm", "userId": "AIDA"
                }}
            },
            "isBase64Encoded": false
        });
        let LambdaRequest::ApiGatewayV2(event) = serde_json::from_value(event).expect("an event") else { panic!("v2") };
        let mut request = post(good().to_string());
        request.extensions_mut().insert(RequestContext::ApiGatewayV2(event.request_context));
        assert_eq!(bench.send(request).await.status, StatusCode::ACCEPTED);
    }
}

/// An issuer with one key, which counts how often it is asked for it.
struct Login {
    url: String,
    key: EcdsaKeyPair,
    asked: Arc<AtomicUsize>,
}

impl Login {
    async fn new() -> Self {
        let socket = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let url = format!("http://{}", socket.local_addr().expect("an address"));
        let key = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).expect("a key");
        let (x, y) = key.public_key().as_ref()[1..].split_at(32);
        let [x, y] = [x, y].map(|bytes| BASE64_URL_SAFE_NO_PAD.encode(bytes));
        let keys = json!({"keys": [{"kid": "k1", "kty": "EC", "crv": "P-256", "x": x, "y": y}, {"kty": "new"}]});
        let configuration = json!({"issuer": url, "jwks_uri": format!("{url}/keys")});
        let asked = Arc::new(AtomicUsize::new(0));
        let router =
            Router::new().route("/.well-known/openid-configuration", get(|| async { Json(configuration) })).route(
                "/keys",
                get(|State(asked): State<Arc<AtomicUsize>>| async move {
                    asked.fetch_add(1, Ordering::SeqCst);
                    Json(keys)
                }),
            );
        let router = router.with_state(asked.clone());
        tokio::spawn(async { axum::serve(socket, router).await.expect("it serves") });
        Self { url, key, asked }
    }

    fn token(&self, header: &Value, claims: &Value) -> String {
        let [header, claims] = [header, claims].map(|part| BASE64_URL_SAFE_NO_PAD.encode(part.to_string()));
        let message = format!("{header}.{claims}");
        let signature = self.key.sign(&SystemRandom::new(), message.as_bytes()).expect("a signature");
        format!("{message}.{}", BASE64_URL_SAFE_NO_PAD.encode(signature))
    }

    fn claims(&self) -> Value {
        json!({"iss": self.url, "aud": "reports", "sub": "crm", "exp": now().timestamp() + 600})
    }
}

fn header() -> Value {
    json!({"alg": "ES256", "kid": "k1", "typ": "JWT"})
}

async fn trusting(url: &str) -> Bench {
    let issuer = Issuer::new(url, "other, reports", true).expect("an issuer");
    let throttle = Throttle::new(std::time::Duration::ZERO);
    Bench::with(|listener| Listener { access: Access { throttle, ..Access::by(Mode::Jwt(issuer)) }, ..listener }).await
}

#[tokio::test]
async fn a_token_of_the_issuer_lets_its_subject_in() {
    let login = Login::new().await;
    let bench = trusting(&login.url).await;
    assert_eq!(ask(&bench, &login.token(&header(), &login.claims())).await.status, StatusCode::ACCEPTED);
    let with = |name: &str, value: Value| {
        let mut claims = login.claims();
        claims[name] = value;
        login.token(&header(), &claims)
    };
    let headed = |name: &str, value: Value| {
        let mut header = header();
        header[name] = value;
        login.token(&header, &login.claims())
    };
    let (now, good) = (now().timestamp(), login.token(&header(), &login.claims()));
    let unsigned = good.rsplit_once('.').expect("three parts").0;
    for (what, token) in [
        ("issuer", with("iss", json!("http://127.0.0.1:1"))),
        ("several issuers", with("iss", json!([login.url, 7]))),
        ("a list of one issuer", with("iss", json!([login.url]))),
        ("another type", headed("typ", json!("logout+jwt"))),
        ("no type", headed("typ", json!(""))),
        ("a type that is no text", headed("typ", json!(7))),
        ("audience", with("aud", json!("somebody"))),
        ("expired", with("exp", json!(now - 61))),
        ("no exp", with("exp", Value::Null)),
        ("exp of words", with("exp", json!("never"))),
        ("not yet", with("nbf", json!(now + 120))),
        ("nbf of words", with("nbf", json!("now"))),
        ("no subject", with("sub", Value::Null)),
        ("empty subject", with("sub", json!(""))),
        ("long subject", with("sub", json!("x".repeat(256)))),
        ("no algorithm", headed("alg", json!("none"))),
        ("another algorithm", headed("alg", json!("RS256"))),
        ("unknown key", headed("kid", json!("k2"))),
        ("no key", headed("kid", Value::Null)),
        ("critical", headed("crit", json!(["b64"]))),
        ("unsigned", format!("{unsigned}.")),
        ("no signature", unsigned.to_owned()),
        ("another signature", format!("{unsigned}.{}", BASE64_URL_SAFE_NO_PAD.encode([7; 64]))),
        ("nonsense", "nonsense".to_owned()),
    ] {
        let answer = ask(&bench, &token).await;
        assert_eq!(refusal(&answer), (401, "unauthorized".into()), "{what}");
        assert_eq!(answer.header("www-authenticate"), "Bearer error=\"invalid_token\"", "{what}");
    }
    for (what, token) in [
        ("expired within the leeway", with("exp", json!(now - 30))),
        ("not yet, within the leeway", with("nbf", json!(now + 30))),
        ("several audiences", with("aud", json!(["somebody", "reports"]))),
        ("another of the audiences", with("aud", json!("other"))),
    ] {
        assert_eq!(ask(&bench, &token).await.status, StatusCode::ACCEPTED, "{what}");
    }
    assert_eq!(bench.get("/templates").await.header("www-authenticate"), "Bearer");
}

#[tokio::test]
async fn an_issuer_is_asked_once_and_for_strangers_once_more() {
    let login = Login::new().await;
    let bench = trusting(&login.url).await;
    let (good, stranger) =
        (login.token(&header(), &login.claims()), login.token(&json!({"alg": "ES256", "kid": "x"}), &login.claims()));
    let many = (0..20).map(|_| ask(&bench, &good));
    assert!(futures_util::future::join_all(many).await.iter().all(|answer| answer.status == StatusCode::ACCEPTED));
    assert_eq!(login.asked.load(Ordering::SeqCst), 1);
    for _ in 0..10 {
        assert_eq!(ask(&bench, &stranger).await.status, StatusCode::UNAUTHORIZED);
    }
    assert_eq!(login.asked.load(Ordering::SeqCst), 2);
    assert_eq!(ask(&bench, &good).await.status, StatusCode::ACCEPTED);
}

#[tokio::test]
async fn an_issuer_that_does_not_answer_is_no_fault_of_the_caller() {
    let login = Login::new().await;
    let elsewhere = Login::new().await;
    // Its configuration is there, and of another issuer.
    let bench = trusting(&format!("{}/", elsewhere.url)).await;
    let answer = ask(&bench, &login.token(&header(), &login.claims())).await;
    assert_eq!((refusal(&answer), answer.header("retry-after")), ((503, "issuer-unavailable".into()), "5"));
    let free = std::net::TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("an address");
    let bench = trusting(&format!("http://{free}")).await;
    let answer = ask(&bench, &login.token(&header(), &login.claims())).await;
    assert_eq!(refusal(&answer), (503, "issuer-unavailable".into()));
}
