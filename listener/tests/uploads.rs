//! Uploads: how one is begun and put, and how a job is queued with it.

mod bench;

use std::time::Duration;

use axum::body::Body;
use axum::http::{Method, Request, Uri};
use bench::{Answer, Bench, add_template, post};
use chrono::TimeDelta;
use jobs::job::now;
use jobs::{
    AnnouncementRecord, Channel, Claim, Data, Failed, Failure, Job, JobId, JobStore, LinkSigner, Message, Purpose,
    Queue, Terms, UploadFormat, UploadId,
};
use serde_json::{Value, json};

const NDJSON: &str = "{\"qty\": 1}\n{\"qty\": 2}\n";

/// A bench whose template `rows` declares that its `lines` are rows.
async fn bench() -> Bench {
    let bench = Bench::new().await;
    let templates = bench.folder.path().join("templates");
    add_template(&templates, "rows", bench::SCHEMA, "{}");
    manifest(&bench, r#"{"rows": {"field": "lines"}}"#);
    bench
}

fn manifest(bench: &Bench, text: &str) {
    std::fs::write(bench.folder.path().join("templates/rows/template.json"), text).expect("a manifest");
}

async fn begin(bench: &Bench, content_type: &str, bytes: u64) -> Answer {
    let mut request = post(json!({"content_type": content_type, "bytes": bytes}).to_string());
    *request.uri_mut() = Uri::from_static("/uploads");
    bench.send(request).await
}

fn put_to(url: &str, content_type: &str, length: Option<usize>, body: impl Into<Body>) -> Request<Body> {
    let path = url.strip_prefix("http://press.test").expect("a URL of this listener").to_owned();
    let mut request = Request::builder().method(Method::PUT).uri(path).header("content-type", content_type);
    if let Some(length) = length {
        request = request.header("content-length", length);
    }
    request.body(body.into()).expect("a request")
}

/// Uploads a text; answers the upload's id.
async fn upload(bench: &Bench, content_type: &str, text: &'static str) -> String {
    let begun = begin(bench, content_type, text.len() as u64).await.json();
    let url = begun["url"].as_str().expect("a URL");
    let put = bench.send(put_to(url, content_type, Some(text.len()), text)).await;
    assert_eq!((put.status.as_u16(), &put.json()["bytes"]), (200, &json!(text.len())));
    begun["id"].as_str().expect("an id").to_owned()
}

async fn queue(bench: &Bench, request: Value) -> Answer {
    bench.post(request.to_string()).await
}

/// Takes the next message out of the queue.
async fn taken(bench: &Bench) -> Message {
    let delivery = bench.local.queue.receive(Duration::from_secs(60), Duration::ZERO).await.expect("the queue answers");
    let delivery = delivery.expect("a message");
    bench.local.queue.acknowledge(&delivery.ticket).await.expect("the queue answers");
    Message::decode(&delivery.body).expect("one of ours")
}

fn pointers(answer: &Answer) -> Vec<String> {
    let body = answer.json();
    let errors = body["errors"].as_array().unwrap_or_else(|| panic!("no errors in {body}"));
    errors.iter().map(|error| error["pointer"].as_str().expect("a pointer").to_owned()).collect()
}

#[tokio::test]
async fn an_upload_is_begun_for_a_type_and_a_size() {
    let bench = bench().await;
    let answer = begin(&bench, "application/x-ndjson; charset=utf-8", 24).await;
    assert_eq!(answer.status, 201);
    let body = answer.json();
    let id: UploadId = body["id"].as_str().expect("an id").parse().expect("an upload's id");
    assert_eq!(id.format(), UploadFormat::Ndjson);
    assert_eq!(body["method"], "PUT");
    assert_eq!(body["headers"], json!({"Content-Type": "application/x-ndjson", "Content-Length": "24"}));
    assert!(
        body["url"].as_str().expect("a URL").starts_with(&format!("http://press.test/uploads/{id}?bytes=24&expires="))
    );
    assert!(body["expires_at"].as_str().expect("a time") > json!(now()).as_str().expect("a time"));

    for (content_type, bytes, pointer) in [("text/xml", 1, "/content_type"), ("text/csv", 5_368_709_121, "/bytes")] {
        let answer = begin(&bench, content_type, bytes).await;
        assert_eq!((answer.problem().as_str(), pointers(&answer)), ("invalid-request", vec![pointer.to_owned()]));
    }
    assert_eq!(begin(&bench, "text/csv", 5_368_709_120).await.status, 201);
    for (bytes, status) in [("24.0", 201), ("24.5", 422), ("-1", 422), ("1e300", 422)] {
        let mut request = post(format!(r#"{{"content_type": "text/csv", "bytes": {bytes}}}"#));
        *request.uri_mut() = Uri::from_static("/uploads");
        assert_eq!(bench.send(request).await.status, status, "{bytes}");
    }
    let mut empty = post("{}");
    *empty.uri_mut() = Uri::from_static("/uploads");
    assert_eq!(bench.send(empty).await.problem(), "invalid-request");
}

#[tokio::test]
async fn an_upload_is_taken_as_it_was_begun_and_no_other() {
    let bench = bench().await;
    let begun = begin(&bench, "text/csv", 5).await.json();
    let (id, url) = (begun["id"].as_str().expect("an id"), begun["url"].as_str().expect("a URL"));
    let longer = url.replace("bytes=5", "bytes=6");
    let another = url.replace(id, &UploadId::new(UploadFormat::Csv).to_string());
    let unsigned = url.split('?').next().expect("a path");
    let past = now() - TimeDelta::seconds(1);
    let id = id.parse().expect("an upload's id");
    let expired = LinkSigner::new(b"key").sign_upload("http://press.test", id, 5, past);
    for (url, content_type, length, body, refused) in [
        (longer.as_str(), "text/csv", Some(6), "qty\n12", (403, "upload-refused")),
        (&another, "text/csv", Some(5), "qty\n1", (403, "upload-refused")),
        (unsigned, "text/csv", Some(5), "qty\n1", (403, "upload-refused")),
        (&expired, "text/csv", Some(5), "qty\n1", (403, "upload-refused")),
        (url, "application/json", Some(5), "qty\n1", (415, "unsupported-media-type")),
        (url, "text/csv", Some(6), "qty\n12", (413, "wrong-upload-size")),
        (url, "text/csv", Some(4), "qty\n", (400, "wrong-upload-size")),
        (url, "text/csv", None, "qty\n1", (411, "length-required")),
        (url, "text/csv", Some(5), "qty", (400, "incomplete-body")),
    ] {
        let answer = bench.send(put_to(url, content_type, length, body)).await;
        assert_eq!((answer.status.as_u16(), answer.problem().as_str()), refused, "{url} {body}");
    }
    let kept =
        |folder: &str| std::fs::read_dir(bench.folder.path().join("data").join(folder)).expect("a folder").count();
    assert_eq!((kept("objects/uploads"), kept("work")), (0, 0), "nothing is left of what was refused");
    for body in ["qty\n1", "qty\n2"] {
        assert_eq!(bench.send(put_to(url, "text/csv", Some(5), body)).await.status, 200, "also for the second time");
    }
    let stored = std::fs::read(bench.folder.path().join("data/objects").join(id.key())).expect("an object");
    assert_eq!((stored.as_slice(), kept("work")), (b"qty\n2".as_slice(), 0));
}

#[tokio::test]
async fn an_upload_is_begun_by_those_with_the_token_and_put_by_those_with_the_url() {
    let bench =
        Bench::with(|listener| listener::Listener { access: listener::Access::token("secret"), ..listener }).await;
    assert_eq!(begin(&bench, "text/csv", 5).await.problem(), "unauthorized");
    let id = UploadId::new(UploadFormat::Csv);
    let url = LinkSigner::new(b"key").sign_upload("http://press.test", id, 5, now() + TimeDelta::hours(1));
    assert_eq!(bench.send(put_to(&url, "text/csv", Some(5), "qty\n1")).await.status, 200);
}

#[tokio::test]
async fn a_job_is_queued_with_rows_and_with_whole_data() {
    let bench = bench().await;
    let rows = upload(&bench, "application/x-ndjson", NDJSON).await;
    let request = json!({"template": "rows", "input": rows, "data": {"name": "n"}});
    let answer = queue(&bench, request).await;
    assert_eq!(answer.status, 202, "{}", answer.json());
    let message = taken(&bench).await;
    assert_eq!(
        (message.input.map(|id| id.to_string()), message.data),
        (Some(rows.clone()), Some(json!({"name": "n"}).into()))
    );
    let job = bench.get(&format!("/jobs/{}", message.id)).await.json();
    assert_eq!(job["input"], json!(rows));

    let whole = upload(&bench, "application/json", r#"{"name": "n", "lines": []}"#).await;
    for template in ["rows", "list"] {
        assert_eq!(queue(&bench, json!({"template": template, "input": whole})).await.status, 202);
        let message = taken(&bench).await;
        assert_eq!((message.input.map(|id| id.to_string()), message.data), (Some(whole.clone()), None));
    }
}

#[tokio::test]
async fn an_input_that_cannot_be_the_jobs_is_refused_before_it_is_queued() {
    let bench = bench().await;
    let rows = upload(&bench, "text/csv", "qty\n1\n").await;
    let whole = upload(&bench, "application/json", "{}").await;
    for (request, problem, pointer) in [
        (json!({"template": "rows"}), "invalid-request", ""),
        (json!({"template": "rows", "input": "nonsense"}), "invalid-request", "/input"),
        (json!({"template": "rows", "input": whole, "data": {}}), "invalid-request", "/data"),
        (json!({"template": "list", "input": rows}), "invalid-request", "/input"),
        (json!({"template": "rows", "input": rows, "data": 7}), "invalid-request", "/data"),
        (json!({"template": "rows", "input": rows}), "invalid-data", "/data"),
        (json!({"template": "rows", "input": rows, "data": {"name": 7}}), "invalid-data", "/data/name"),
        (json!({"template": "rows", "input": rows, "data": {"name": "n", "lines": []}}), "invalid-data", "/data/lines"),
    ] {
        let answer = queue(&bench, request.clone()).await;
        assert_eq!((answer.problem().as_str(), pointers(&answer)), (problem, vec![pointer.to_owned()]), "{request}");
    }
    let never_put = UploadId::new(UploadFormat::Csv);
    let answer = queue(&bench, json!({"template": "rows", "input": never_put, "data": {"name": "n"}})).await;
    assert_eq!((answer.status.as_u16(), answer.problem().as_str()), (404, "unknown-upload"));
    assert_eq!(bench.queued().await, None);
}

#[tokio::test]
async fn an_upload_larger_than_the_data_may_be_is_refused_where_it_is_the_data() {
    let bench = Bench::with(|listener| listener::Listener { max_data_bytes: 10, ..listener }).await;
    let whole = upload(&bench, "application/json", r#"{"name": "n", "lines": []}"#).await;
    let answer = queue(&bench, json!({"template": "list", "input": whole})).await;
    assert_eq!((answer.status.as_u16(), answer.problem().as_str()), (413, "data-limit-exceeded"));
}

#[tokio::test]
async fn one_key_does_not_stand_for_two_inputs() {
    let bench = bench().await;
    let send = async |input: &str| {
        let mut request = post(json!({"template": "rows", "input": input, "data": {"name": "n"}}).to_string());
        request.headers_mut().insert("idempotency-key", "\"k\"".parse().expect("a value"));
        bench.send(request).await
    };
    let (one, another) = (upload(&bench, "text/csv", "qty\n1\n").await, upload(&bench, "text/csv", "qty\n1\n").await);
    let first = send(&one).await.json();
    assert_eq!(send(&one).await.json()["id"], first["id"]);
    assert_eq!(send(&another).await.problem(), "idempotency-key-reused");
}

#[tokio::test]
async fn a_failed_job_is_queued_again_with_its_upload_while_that_is_kept() {
    let bench = bench().await;
    for (content_type, text, data) in [
        ("application/x-ndjson", NDJSON, Some(json!({"name": "n"}))),
        ("application/json", r#"{"name": "n", "lines": []}"#, None),
    ] {
        let input = upload(&bench, content_type, text).await;
        let mut request = json!({"template": "rows", "input": input});
        if let Some(data) = &data {
            request["data"] = data.clone();
        }
        assert_eq!(queue(&bench, request).await.status, 202);
        let message = taken(&bench).await;
        for times in ["once", "once more, when the upload is gone"] {
            fail(&bench, &message).await;
            let path = format!("/jobs/{}/retry", message.id);
            let again = bench.send(Request::post(path).body(Body::empty()).expect("a request")).await;
            if times == "once" {
                assert_eq!(again.status, 202, "{}", again.json());
                let second = taken(&bench).await;
                assert_eq!(
                    (second.input, second.data, second.retries),
                    (message.input, data.clone().map(Data::from), 1)
                );
                let (past, future) = (now() - TimeDelta::days(30), now() + TimeDelta::hours(1));
                let removed = bench.local.expiry.remove_uploads(past, future).await;
                assert_eq!(removed.expect("the folder answers"), 0, "a job has named it");
                let removed = bench.local.expiry.remove_uploads(future, past).await;
                assert_eq!(removed.expect("the folder answers"), 1);
            } else {
                assert_eq!(again.problem(), "input-not-kept");
            }
        }
    }
}

#[tokio::test]
async fn a_job_that_is_removed_within_the_hour_is_not_queued_again() {
    let bench = bench().await;
    let job = Job::queued(JobId::new(), "rows", now());
    let message = Message::new(&job, Some(json!({"name": "n"}).into()));
    fail_and_keep(&bench, &message, TimeDelta::minutes(59)).await;
    let again = Request::post(format!("/jobs/{}/retry", job.id)).body(Body::empty()).expect("a request");
    let again = bench.send(again).await;
    assert_eq!(again.status, 409, "{}", again.json());
    assert_eq!(again.problem(), "input-not-kept");
}

#[tokio::test]
async fn an_upload_that_no_job_names_goes_after_a_day() {
    let bench = bench().await;
    upload(&bench, "text/csv", "qty\n1\n").await;
    let (past, future) = (now() - TimeDelta::days(30), now() + TimeDelta::hours(1));
    assert_eq!(bench.local.expiry.remove_uploads(past, past).await.expect("the folder answers"), 0);
    assert_eq!(bench.local.expiry.remove_uploads(past, future).await.expect("the folder answers"), 1);
    let left = std::fs::read_dir(bench.folder.path().join("data/objects/uploads")).expect("a folder").count();
    assert_eq!(left, 0);
}

async fn fail(bench: &Bench, message: &Message) {
    fail_and_keep(bench, message, TimeDelta::days(1)).await;
}

async fn fail_and_keep(bench: &Bench, message: &Message, kept: TimeDelta) {
    let later = now() + TimeDelta::minutes(1);
    let terms = Terms { overdue_at: later, expires_at: now() + kept };
    let claim = Claim { owner: uuid::Uuid::new_v4(), now: now(), lease_until: later, purpose: Purpose::Run, terms };
    bench.local.jobs.claim(&message.job(), &claim).await.expect("the store answers");
    let failure = Failure::new("x", "x", "x");
    let failed = Failed { failure: &failure, input: message.data.as_ref(), set_aside: false, at: now() };
    _ = bench.local.jobs.fail(message.id, claim.owner, &failed).await.expect("the store answers");
    _ = bench
        .local
        .jobs
        .mark_notified(message.id, claim.owner, now(), &AnnouncementRecord::pending(Channel::Mail))
        .await
        .expect("the store answers");
}

#[tokio::test]
async fn what_a_template_declares_is_shown_and_read_again_when_it_changes() {
    let bench = bench().await;
    assert_eq!(bench.get("/templates/rows").await.json()["rows"], json!({"field": "lines"}));
    assert_eq!(bench.get("/templates/list").await.json()["rows"], Value::Null);
    for broken in [r#"{"rows": {"fields": "lines"}}"#, r#"{"row": {}}"#, "nonsense!"] {
        std::fs::remove_file(bench.folder.path().join("templates/rows/template.json")).expect("our own file");
        assert_eq!(bench.get("/templates/rows").await.status, 200);
        manifest(&bench, broken);
        assert_eq!(bench.get("/templates/rows").await.problem(), "unusable-template", "{broken}");
    }
    manifest(&bench, r#"{"rows": {"field": "lines", "totals": ["qty"]}}"#);
    assert_eq!(bench.get("/templates/rows").await.json()["rows"]["totals"], json!(["qty"]));
}

#[tokio::test]
async fn how_csv_is_written_is_part_of_its_id() {
    let bench = bench().await;
    let begin = async |body: Value| {
        let mut request = post(body.to_string());
        *request.uri_mut() = Uri::from_static("/uploads");
        bench.send(request).await
    };
    for (separator, ending) in
        [(";", ".semicolon.decimal-comma.csv"), ("\t", ".tab.decimal-comma.csv"), (",", ".decimal-comma.csv")]
    {
        let body = json!({"content_type": "text/csv", "bytes": 4, "separator": separator, "decimal_comma": true});
        let answer = begin(body).await;
        assert_eq!(answer.status, 201, "{}", answer.json());
        let begun = answer.json();
        let id = begun["id"].as_str().expect("an id");
        assert!(id.ends_with(ending), "{id}");
        let url = begun["url"].as_str().expect("a URL").to_owned();
        assert_eq!(bench.send(put_to(&url, "text/csv", Some(4), "qty\n")).await.status, 200);
        let request = json!({"template": "rows", "input": id, "data": {"name": "n"}});
        assert_eq!(queue(&bench, request).await.status, 202);
        let dialect = taken(&bench).await.input.expect("an upload").dialect();
        assert_eq!((dialect.separator.character().to_string().as_str(), dialect.decimal_comma), (separator, true));
    }
    let refused = begin(json!({"content_type": "text/csv", "bytes": 4, "separator": ":"})).await;
    assert_eq!((refused.status.as_u16(), pointers(&refused)), (422, vec!["/separator".to_owned()]));
    let refused = begin(json!({"content_type": "text/csv", "bytes": 4, "separator": null})).await;
    assert_eq!(refused.status.as_u16(), 422);
    let refused = begin(json!({"content_type": "text/csv", "bytes": 4, "decimal_comma": "yes"})).await;
    assert_eq!((refused.status.as_u16(), pointers(&refused)), (422, vec!["/decimal_comma".to_owned()]));
    let detail = refused.json()["detail"].to_string();
    assert!(detail.contains("The first, at `/decimal_comma`: \\\"yes\\\" is not of type"), "{detail}");
}

#[tokio::test]
async fn how_csv_is_written_is_refused_for_what_is_none() {
    let bench = bench().await;
    let begin = async |body: Value| {
        let mut request = post(body.to_string());
        *request.uri_mut() = Uri::from_static("/uploads");
        bench.send(request).await
    };
    for content_type in ["application/json", "application/x-ndjson"] {
        let both = json!({"content_type": content_type, "bytes": 4, "separator": ",", "decimal_comma": true});
        let refused = begin(both).await;
        assert_eq!(pointers(&refused), ["/separator", "/decimal_comma"]);
        assert!(refused.json()["detail"].to_string().contains(content_type), "{}", refused.json());
        let neither = json!({"content_type": content_type, "bytes": 4, "decimal_comma": false});
        assert_eq!(begin(neither).await.status, 201);
    }
}

#[tokio::test]
async fn an_upload_may_be_empty() {
    let bench = bench().await;
    let begun = begin(&bench, "application/x-ndjson", 0).await;
    assert_eq!(begun.status, 201, "{}", begun.json());
    let begun = begun.json();
    let (id, url) = (begun["id"].as_str().expect("an id"), begun["url"].as_str().expect("a URL"));
    let put = bench.send(put_to(url, "application/x-ndjson", Some(0), "")).await;
    assert_eq!((put.status.as_u16(), &put.json()["bytes"]), (200, &json!(0)));
    let request = json!({"template": "rows", "input": id, "data": {"name": "n"}});
    assert_eq!(queue(&bench, request).await.status, 202);
}
