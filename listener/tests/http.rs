//! Every call of the listener and every row of its error table, over the ports of one machine.

mod bench;

use axum::body::Body;
use axum::http::{Method, Request, StatusCode};
use bench::{Bench, SCHEMA, add_template, good, post};
use chrono::TimeDelta;
use jobs::job::{PDF_STANDARDS, now};
use jobs::{
    Completed, Data, Destinations, Failed, Failure, JobId, JobStore, LinkSigner, Message, ObjectStore, Queue, Warning,
    rfc3339,
};
use listener::{Listener, MAX_BODY_BYTES};
use serde_json::{Value, json};

#[tokio::test]
async fn an_accepted_request_is_queued_and_on_record() {
    let bench = Bench::new().await;
    let answer = bench.post(good().to_string()).await;
    assert_eq!(answer.status, StatusCode::ACCEPTED);
    let body = answer.json();
    let id: JobId = body["id"].as_str().expect("an id").parse().expect("a UUID");
    let status_url = format!("http://press.test/jobs/{id}");
    assert_eq!(body["status"], "queued");
    assert_eq!(body["template"], "list");
    assert_eq!(body["status_url"], status_url);
    assert_eq!(body["report_url"], format!("{status_url}/report"));
    assert_eq!(answer.header("location"), status_url);
    assert_eq!(answer.header("retry-after"), "1");

    let message = Message::decode(&bench.queued().await.expect("a message")).expect("one of ours");
    let record = bench.local.jobs.get(id).await.expect("the store answers").expect("on record");
    assert_eq!((message.id, &message.job()), (id, &record));
    assert_eq!(message.data, Some(Data::from(&good()["data"])));
    assert_eq!(body["enqueued_at"], json!(rfc3339::text(&record.enqueued_at)));
}

#[tokio::test]
async fn json_is_taken_under_the_types_that_callers_send() {
    let bench = Bench::new().await;
    for content_type in [
        None,
        Some("application/json"),
        Some("application/json; charset=UTF-8"),
        Some("application/vnd.api+json"),
        Some("application/x-www-form-urlencoded"), // what `curl -d` sends
    ] {
        let mut request = post(good().to_string());
        request.headers_mut().remove("content-type");
        if let Some(value) = content_type {
            request.headers_mut().insert("content-type", value.parse().expect("a value"));
        }
        assert_eq!(bench.send(request).await.status, StatusCode::ACCEPTED, "{content_type:?}");
    }
}

#[tokio::test]
async fn other_types_are_refused() {
    let bench = Bench::new().await;
    for (name, value) in [
        ("content-type", "text/xml"),
        ("content-type", "text/plain"),
        ("content-type", "application/json; charset=latin1"),
        ("content-type", "nonsense"),
        ("content-encoding", "gzip"),
    ] {
        let mut request = post(good().to_string());
        request.headers_mut().insert(name, value.parse().expect("a value"));
        let answer = bench.send(request).await;
        assert_eq!(
            (answer.status.as_u16(), answer.problem().as_str()),
            (415, "unsupported-media-type"),
            "{name}: {value}"
        );
    }
}

#[tokio::test]
async fn malformed_json_is_refused_with_its_place() {
    let bench = Bench::new().await;
    let deep = format!(r#"{{"template":"list","data":{}{}}}"#, "[".repeat(10_000), "]".repeat(10_000));
    let cases: [(&[u8], u64, u64); 5] = [
        (b"", 1, 0),
        (b"{\n  \"template\": oops\n}", 2, 15),
        (b"{} trailing", 1, 4),
        (b"{\"template\": \"\xff\xfe\"}", 1, 15),
        (deep.as_bytes(), 1, 153),
    ];
    for (body, line, column) in cases {
        let answer = bench.post(body.to_vec()).await;
        assert_eq!((answer.status.as_u16(), answer.problem().as_str()), (400, "malformed-json"));
        let problem = answer.json();
        assert_eq!((&problem["line"], &problem["column"]), (&json!(line), &json!(column)), "{problem}");
    }
    assert_eq!(bench.queued().await, None);
}

#[tokio::test]
async fn whatever_is_accepted_can_be_read_again() {
    let bench = Bench::new().await;
    add_template(&bench.folder.path().join("templates"), "free", "{}", "{}");
    let mut accepted = Vec::new();
    for depth in [1, 10, 100, 124, 125, 126, 127, 128, 1000] {
        let data = format!("{}{}", "[".repeat(depth), "]".repeat(depth));
        let answer = bench.post(format!(r#"{{"template":"free","data":{data}}}"#)).await;
        if answer.status == StatusCode::ACCEPTED {
            let wait = std::time::Duration::from_secs(60);
            let delivery = bench.local.queue.receive(wait, wait).await.expect("the queue answers").expect("a message");
            Message::decode(&delivery.body).unwrap_or_else(|error| panic!("{depth} levels: {error}"));
            accepted.push(depth);
        } else {
            assert_eq!((answer.status.as_u16(), answer.problem().as_str()), (400, "malformed-json"));
        }
    }
    assert_eq!(accepted, [1, 10, 100, 124, 125, 126]);
}

#[tokio::test]
async fn a_request_of_the_wrong_shape_is_refused_whole() {
    let bench = Bench::new().await;
    for (body, pointers) in [
        (json!([]), vec![""]),
        (json!({}), vec!["", ""]),
        (json!({"template": 7, "data": 1}), vec!["/template"]),
        (json!({"template": "list", "data": {}, "surprise": 1}), vec![""]),
        (json!({"template": "list", "data": {}, "options": {"pdf_standard": "a-9"}}), vec!["/options/pdf_standard"]),
        (
            json!({"template": "list", "data": {}, "options": {"pdf_standard": "ua-1", "tagged": false}}),
            vec!["/options/tagged"],
        ),
        (
            json!({"template": "list", "data": {}, "options": {"on_missing_glyph": "box"}}),
            vec!["/options/on_missing_glyph"],
        ),
        (json!({"template": "list", "data": {}, "notify": {"subject": "line\nbreak"}}), vec!["/notify/subject"]),
        (json!({"template": "list", "data": {}, "notify": {"subject": "x\u{7}y"}}), vec!["/notify/subject"]),
        (json!({"template": "list", "data": {}, "notify": {"subject": " x"}}), vec!["/notify/subject"]),
        (json!({"template": "list", "data": {}, "notify": {"subject": ""}}), vec!["/notify/subject"]),
        (json!({"template": "list", "data": {}, "notify": {"subject": "x\u{2028}y"}}), vec!["/notify/subject"]),
        (json!({"template": "list", "data": {}, "notify": {"subject": "x\u{202e}y"}}), vec!["/notify/subject"]),
        (json!({"template": "list", "data": {}, "notify": {"subject": "\u{2066}xy"}}), vec!["/notify/subject"]),
        (json!({"template": "list", "data": {}, "notify": {"subject": "é".repeat(100)}}), vec!["/notify/subject"]),
        (json!({"template": "list", "data": {}, "notify": {"tags": ["a b"]}}), vec!["/notify/tags/0"]),
    ] {
        let answer = bench.post(body.to_string()).await;
        assert_eq!((answer.status.as_u16(), answer.problem().as_str()), (422, "invalid-request"), "{body}");
        let problem = answer.json();
        let found: Vec<_> = problem["errors"].as_array().expect("errors").iter().map(|it| &it["pointer"]).collect();
        assert_eq!(found, pointers, "{body}: {problem}");
        let detail = problem["detail"].as_str().expect("words");
        assert!(!detail.contains("match") && !detail.contains(".."), "it says what fits: {detail}");
    }
    assert_eq!(bench.queued().await, None);
}

#[tokio::test]
async fn a_subject_may_be_in_any_script() {
    let bench = Bench::new().await;
    for subject in ["Rechnung für Müller & Söhne", "請求書 42", "فاتورة ٤٢", "x", &"😀é漢".repeat(33)]
    {
        let mut body = good();
        body["notify"] = json!({"subject": subject});
        body["options"] = json!({"on_missing_glyph": "fail"});
        let answer = bench.post(body.to_string()).await;
        assert_eq!(answer.status, StatusCode::ACCEPTED, "{subject}: {}", answer.json());
        let wait = std::time::Duration::from_secs(60);
        let delivery = bench.local.queue.receive(wait, wait).await.expect("the queue answers").expect("a message");
        let message = Message::decode(&delivery.body).expect("one of ours");
        assert_eq!(message.notify.subject.as_deref(), Some(subject));
        assert_eq!(message.options.on_missing_glyph.as_deref(), Some("fail"));
    }
}

#[tokio::test]
async fn warnings_are_told_with_the_job() {
    let bench = Bench::new().await;
    let (job, owner) = bench.running().await;
    let warnings = [Warning::of_character("missing-glyph", "No font has it.", Some("/name".into()), '😀')];
    let report = Completed { pages: 1, bytes: 1, warnings: &warnings, at: now() };
    _ = bench.local.jobs.complete(job.id, owner, &report).await.expect("the store answers");
    let told = json!([{
        "code": "missing-glyph", "message": "No font has it.", "pointer": "/name", "count": 1, "character": "😀",
        "code_point": "U+1F600",
    }]);
    assert_eq!(bench.get(&format!("/jobs/{}", job.id)).await.json()["warnings"], told);
    assert_eq!(bench.get("/jobs").await.json()["jobs"][0]["warnings"], told);
    let completed = bench.completed(b"%PDF").await;
    assert_eq!(bench.get(&format!("/jobs/{}", completed.id)).await.json().get("warnings"), None);
}

#[tokio::test]
async fn every_violation_of_the_schema_is_told_and_nothing_is_queued() {
    let bench = Bench::new().await;
    let data = json!({"name": 5, "lines": [{"qty": 1}, {"qty": 0}, {}], "day": "2026-02-30", "extra": true});
    let answer = bench.post(json!({"template": "list", "data": data}).to_string()).await;
    assert_eq!((answer.status.as_u16(), answer.problem().as_str()), (422, "invalid-data"));
    let problem = answer.json();
    let mut pointers: Vec<_> = problem["errors"]
        .as_array()
        .expect("errors")
        .iter()
        .map(|error| error["pointer"].as_str().expect("a pointer"))
        .collect();
    pointers.sort_unstable();
    assert_eq!(pointers, ["/data", "/data/day", "/data/lines/1/qty", "/data/lines/2", "/data/name"], "{problem}");
    assert_eq!(bench.queued().await, None);
}

#[tokio::test]
async fn options_and_notify_travel_with_the_message() {
    let bench = Bench::new().await;
    for standard in PDF_STANDARDS {
        let mut body = good();
        body["options"] = json!({"pdf_standard": standard});
        body["notify"] = json!({"subject": standard});
        assert_eq!(bench.post(body.to_string()).await.status, StatusCode::ACCEPTED);
    }
    let mut arrived = Vec::new();
    for _ in PDF_STANDARDS {
        let wait = std::time::Duration::from_secs(60);
        let delivery = bench.local.queue.receive(wait, wait).await.expect("the queue answers").expect("a message");
        let message = Message::decode(&delivery.body).expect("one of ours");
        assert_eq!(message.options.pdf_standard, message.notify.subject);
        arrived.extend(message.options.pdf_standard);
    }
    assert_eq!(arrived, PDF_STANDARDS);
}

#[tokio::test]
async fn a_webhook_travels_with_the_message_and_is_pending() {
    let bench = Bench::new().await;
    let mut body = good();
    body["notify"] = json!({"webhook": "https://example.org/hook?a=b"});
    let answer = bench.post(body.to_string()).await;
    assert_eq!(answer.status, StatusCode::ACCEPTED);
    let message = Message::decode(&bench.queued().await.expect("a message")).expect("ours");
    assert_eq!(message.notify.webhook.as_deref(), Some("https://example.org/hook?a=b"));
    let job = bench.get(&format!("/jobs/{}", message.id)).await.json();
    let expected = json!({"url": "https://example.org/hook", "status": "pending", "attempts": 0});
    assert_eq!(job["webhook"], expected);
}

#[tokio::test]
async fn a_webhook_that_may_not_go_there_is_refused() {
    let long = format!("https://example.org/{}", "x".repeat(2_048));
    let refused =
        ["", "hook", "http://example.org", "http://127.0.0.1", "https://a:b@example.org", "https://a.test/#x", &long];
    let elsewhere = Bench::new().await;
    let here = Bench::with(|listener| {
        let hosts = "127.0.0.1, example.org".parse().expect("hosts");
        Listener { webhooks: Destinations { hosts, loopback: true }, ..listener }
    })
    .await;
    for (bench, refused) in
        [(&elsewhere, &refused[..]), (&here, &["https://example.com", "http://127.0.0.2", "http://10.0.0.1"])]
    {
        for url in refused {
            let mut body = good();
            body["notify"] = json!({"webhook": url});
            let answer = bench.post(body.to_string()).await;
            assert_eq!(
                (answer.status, answer.problem().as_str()),
                (StatusCode::UNPROCESSABLE_ENTITY, "invalid-request"),
                "{url}"
            );
            assert_eq!(answer.json()["errors"][0]["pointer"], "/notify/webhook", "{url}");
        }
        assert_eq!(bench.queued().await, None);
    }
    let mut body = good();
    body["notify"] = json!({"webhook": "http://127.0.0.1:8080/hook"});
    assert_eq!(here.post(body.to_string()).await.status, StatusCode::ACCEPTED);
}

#[tokio::test]
async fn large_data_goes_by_reference() {
    let bench = Bench::new().await;
    let body = json!({"template": "list", "data": {"name": "x".repeat(1_000_000), "lines": []}});
    let answer = bench.post(body.to_string()).await;
    assert_eq!(answer.status, StatusCode::ACCEPTED);
    let queued = bench.queued().await.expect("a message");
    assert!(queued.len() < 1_000, "{}", queued.len());
    let message = Message::decode(&queued).expect("one of ours");
    assert_eq!(message.data, None);
    let parked = bench.local.objects.get(&message.id.input_key()).await.expect("the store answers").expect("parked");
    assert_eq!(serde_json::from_slice::<Value>(&parked).expect("JSON"), body["data"]);
}

#[tokio::test]
async fn too_large_a_body_is_refused_with_the_way_out() {
    let bench = Bench::new().await;
    let answer = bench.post("x".repeat(MAX_BODY_BYTES + 1)).await;
    assert_eq!((answer.status.as_u16(), answer.problem().as_str()), (413, "body-too-large"));
    assert_eq!(answer.json()["limit_bytes"], MAX_BODY_BYTES);
}

#[tokio::test]
async fn too_much_data_is_refused_before_it_is_queued() {
    let bench = Bench::with(|listener| Listener { max_data_bytes: 64, ..listener }).await;
    let body = json!({"template": "list", "data": {"name": "x".repeat(64), "lines": []}});
    let answer = bench.post(body.to_string()).await;
    assert_eq!((answer.status.as_u16(), answer.problem().as_str()), (413, "data-limit-exceeded"));
    assert_eq!(bench.queued().await, None);
    assert_eq!(bench.post(good().to_string()).await.status, StatusCode::ACCEPTED);
}

#[tokio::test]
async fn unknown_things_are_404() {
    let bench = Bench::new().await;
    let unknown = JobId::new();
    for (path, name) in [
        ("/nothing", "unknown-path"),
        ("/append_queue/", "unknown-path"),
        ("/jobs/7", "unknown-job"),
        ("/jobs/%ff", "unknown-job"),
        (&format!("/jobs/{unknown}"), "unknown-job"),
        (&format!("/jobs/{unknown}/report"), "unknown-job"),
        ("/templates/nope", "unknown-template"),
        ("/templates/..%2Flist", "unknown-template"),
    ] {
        let answer = bench.get(path).await;
        assert_eq!((answer.status.as_u16(), answer.problem().as_str()), (404, name), "{path}");
    }
    for name in ["nope", "../list", "", "LIST"] {
        let answer = bench.post(json!({"template": name, "data": {}}).to_string()).await;
        assert_eq!((answer.status.as_u16(), answer.problem().as_str()), (404, "unknown-template"), "{name}");
        assert!(answer.json()["detail"].as_str().expect("a detail").contains("list"));
    }
}

#[tokio::test]
async fn a_wrong_method_is_told_the_right_one() {
    let bench = Bench::new().await;
    for (method, path, allow) in [
        (Method::GET, "/append_queue", "POST"),
        (Method::DELETE, "/jobs/x", "GET,HEAD"),
        (Method::POST, "/healthz", "GET,HEAD"),
        (Method::POST, "/r/x", "GET,HEAD"),
    ] {
        let request = Request::builder().method(&method).uri(path).body(Body::empty()).expect("a request");
        let answer = bench.send(request).await;
        assert_eq!((answer.status.as_u16(), answer.problem().as_str()), (405, "wrong-method"), "{method} {path}");
        assert_eq!(answer.header("allow"), allow);
    }
}

#[tokio::test]
async fn callers_must_show_the_token_where_there_is_one() {
    let bench = Bench::with(|listener| Listener { access: listener::Access::token("s3cret"), ..listener }).await;
    for authorization in [None, Some("Bearer wrong"), Some("Bearer s3cret2"), Some("Basic s3cret"), Some("Bearer ")] {
        for path in ["/templates", "/jobs/x", "/nothing"] {
            let mut request = Request::get(path).body(Body::empty()).expect("a request");
            if let Some(value) = authorization {
                request.headers_mut().insert("authorization", value.parse().expect("a value"));
            }
            let answer = bench.send(request).await;
            assert_eq!((answer.status.as_u16(), answer.problem().as_str()), (401, "unauthorized"), "{authorization:?}");
            let is_shown = authorization.is_some_and(|value| value.starts_with("Bearer"));
            let challenge = if is_shown { "Bearer error=\"invalid_token\"" } else { "Bearer" };
            assert_eq!(answer.header("www-authenticate"), challenge, "{authorization:?}");
        }
    }
    let request = Request::get("/templates").header("authorization", "bearer s3cret").body(Body::empty());
    assert_eq!(bench.send(request.expect("a request")).await.status, StatusCode::OK);
    assert_eq!(bench.get("/healthz").await.status, StatusCode::OK);
}

#[tokio::test]
async fn a_page_of_another_site_is_refused_where_there_is_no_token() {
    let bench = Bench::new().await;
    let with_origin = |origin: &str| {
        let mut request = post(good().to_string());
        request.headers_mut().insert("origin", origin.parse().expect("a header's value"));
        bench.send(request)
    };
    for origin in ["https://evil.example", "http://press.test:81", "null", ""] {
        let answer = with_origin(origin).await;
        assert_eq!((answer.status.as_u16(), answer.problem().as_str()), (403, "foreign-origin"), "{origin}");
    }
    assert_eq!(bench.queued().await, None);
    assert_eq!(with_origin("http://press.test").await.status, StatusCode::ACCEPTED);
}

#[tokio::test]
async fn templates_are_listed_and_shown_as_they_are_now() {
    let bench = Bench::new().await;
    assert_eq!(bench.get("/templates").await.json(), json!({"templates": ["list"]}));
    let shown = bench.get("/templates/list").await.json();
    assert_eq!(shown["name"], "list");
    assert_eq!(shown["schema"], serde_json::from_str::<Value>(SCHEMA).expect("JSON"));
    assert_eq!(shown["sample"]["name"], "x");

    let templates = bench.folder.path().join("templates");
    add_template(&templates, "other", r#"{"type": "nonsense"}"#, "{}");
    assert_eq!(bench.get("/templates").await.json(), json!({"templates": ["list", "other"]}));
    let answer = bench.get("/templates/other").await;
    assert_eq!((answer.status.as_u16(), answer.problem().as_str()), (500, "unusable-template"));
    let detail = answer.json()["detail"].as_str().expect("a detail").to_owned();
    assert!(detail.starts_with("other/schema.json is not a JSON Schema: "), "{detail}");
    add_template(&templates, "other", "{", "{}");
    let body = json!({"template": "other", "data": {}}).to_string();
    for answer in [bench.get("/templates/other").await, bench.post(body).await] {
        let detail = answer.json()["detail"].as_str().expect("a detail").to_owned();
        assert!(detail.starts_with("other/schema.json is not JSON: "), "{detail}");
    }
    add_template(&templates, "other", r#"{"type": "object", "title": "now it is a schema"}"#, "{}");
    assert_eq!(bench.get("/templates/other").await.status, StatusCode::OK);
}

#[tokio::test]
async fn a_job_is_shown_from_queue_to_report() {
    let bench = Bench::new().await;
    let (running, owner) = bench.running().await;
    let path = format!("/jobs/{}", running.id);
    let answer = bench.get(&path).await;
    assert_eq!((answer.json()["status"].as_str(), answer.header("retry-after")), (Some("running"), "1"));
    let early = bench.get(&format!("{path}/report")).await;
    assert_eq!((early.status.as_u16(), early.problem().as_str()), (409, "report-not-ready"));

    let failure = Failure::new("time-limit-exceeded", "The report took too long.", "Send less.");
    let failed = Failed { failure: &failure, input: None, set_aside: false, at: now() };
    _ = bench.local.jobs.fail(running.id, owner, &failed).await.expect("the store answers");
    let failed = bench.get(&path).await.json();
    assert_eq!((&failed["status"], &failed["error"]["type"]), (&json!("failed"), &json!(failure.kind)));
    let none = bench.get(&format!("{path}/report")).await;
    assert_eq!((none.status.as_u16(), none.problem().as_str()), (409, "job-failed"));
    assert_eq!(none.json()["error"], failed["error"]);

    let job = bench.completed(b"%PDF-1.7 hello").await;
    let completed = bench.get(&format!("/jobs/{}", job.id)).await.json();
    assert_eq!((&completed["pages"], &completed["bytes"], &completed["attempts"]), (&json!(3), &json!(14), &json!(1)));
    let links = LinkSigner::new(b"key");
    let expires_at = job.enqueued_at + TimeDelta::days(30);
    assert_eq!(completed["link"], links.sign("http://press.test", job.id, expires_at), "it needs no token");
    assert_eq!((&completed["link_expires_at"], failed.get("link")), (&json!(rfc3339::text(&expires_at)), None));
    let report_url = completed["report_url"].as_str().expect("a URL").to_owned();
    let report = bench.get(report_url.strip_prefix("http://press.test").expect("our own")).await;
    assert_eq!((report.status, report.bytes.as_slice()), (StatusCode::OK, &b"%PDF-1.7 hello"[..]));
    assert_eq!(report.header("content-type"), "application/pdf");
    assert_eq!(report.header("content-disposition"), format!("inline; filename=\"list-{}.pdf\"", job.id));
}

#[tokio::test]
async fn no_answer_has_what_a_terminal_acts_on() {
    let bench = Bench::new().await;
    let (job, owner) = bench.running().await;
    let failure = Failure::new("invalid-data", "It does not fit.", "\u{9b}31m\u{7f}\u{202e}");
    let failed = Failed { failure: &failure, input: None, set_aside: false, at: now() };
    _ = bench.local.jobs.fail(job.id, owner, &failed).await.expect("the store answers");
    let path = format!("/jobs/{}", job.id);
    for path in [&path, &format!("{path}/report"), &format!("{path}/events"), "/jobs"] {
        let answer = bench.get(path).await;
        let text = String::from_utf8(answer.bytes).expect("UTF-8");
        assert!(text.contains(r"\u009b31m\u007f\u202e"), "{text}");
        assert!(!text.contains(['\u{9b}', '\u{7f}', '\u{202e}']), "{text}");
    }
}

#[tokio::test]
async fn parts_of_a_report_can_be_asked_for() {
    let bench = Bench::new().await;
    let job = bench.completed(b"%PDF-1.7 hello").await;
    let ask = |range: &str| {
        let request = Request::get(format!("/jobs/{}/report", job.id)).header("range", range).body(Body::empty());
        bench.send(request.expect("a request"))
    };
    let part = ask("bytes=0-3").await;
    assert_eq!((part.status.as_u16(), part.bytes.as_slice()), (206, &b"%PDF"[..]));
    let beyond = ask("bytes=99-").await;
    assert_eq!((beyond.status.as_u16(), beyond.problem().as_str()), (416, "range-not-satisfiable"));
    assert_eq!(beyond.header("content-range"), "bytes */14");
    for range in ["bytes=-65536", "bytes=0-99999999999999999999999", "bytes=00-0013"] {
        let all = ask(range).await;
        assert_eq!((all.status.as_u16(), all.header("content-range")), (206, "bytes 0-13/14"), "{range}");
        assert_eq!(all.bytes, b"%PDF-1.7 hello");
    }
    let request = Request::head(format!("/jobs/{}/report", job.id)).header("range", "bytes=0-3").body(Body::empty());
    let head = bench.send(request.expect("a request")).await;
    assert_eq!((head.status.as_u16(), head.header("content-length")), (200, "14"));

    let request = Request::get(format!("/jobs/{}/report", job.id));
    let request = request.header("if-unmodified-since", "Sun, 06 Nov 1994 08:49:37 GMT").body(Body::empty());
    let older = bench.send(request.expect("a request")).await;
    assert_eq!((older.status.as_u16(), older.problem().as_str()), (412, "precondition-failed"));
}

#[tokio::test]
async fn a_range_that_is_not_understood_or_of_another_report_is_the_whole() {
    let bench = Bench::new().await;
    let job = bench.completed(b"%PDF-1.7 hello").await;
    let ask = async |headers: &[(&str, &str)]| {
        let request = Request::get(format!("/jobs/{}/report", job.id));
        let request = headers.iter().fold(request, |request, (name, value)| request.header(*name, *value));
        bench.send(request.body(Body::empty()).expect("a request")).await
    };
    let whole = ask(&[]).await;
    let (tag, date) = (whole.header("etag").to_owned(), whole.header("last-modified").to_owned());
    assert_eq!(whole.header("x-content-type-options"), "nosniff");
    for range in ["bytes=0-3,5-6", "rows=0-3", "bytes=3-1", "bytes=x", "bytes", "bytes=-", "bytes= 0-1", "0-3"] {
        assert_eq!(ask(&[("range", range)]).await.status, StatusCode::OK, "{range}");
    }
    assert_eq!(ask(&[("range", "bytes=0-3"), ("range", "bytes=5-6")]).await.status, StatusCode::OK);
    for range in ["bytes=0-3", "bytes=-4", "bytes=2-"] {
        assert_eq!(ask(&[("range", range)]).await.status, StatusCode::PARTIAL_CONTENT, "{range}");
    }
    for (condition, status) in [
        (tag.as_str(), 206),
        (&date, 206),
        ("\"another\"", 200),
        (&format!("W/{tag}"), 200),
        ("Sun, 06 Nov 1994 08:49:37 GMT", 200),
        ("nonsense", 200),
    ] {
        let answer = ask(&[("range", "bytes=0-3"), ("if-range", condition)]).await;
        assert_eq!(answer.status.as_u16(), status, "{condition}");
    }
    assert_eq!(ask(&[("if-range", "\"another\"")]).await.status, StatusCode::OK);
    for (list, status) in [("if-match", 200), ("if-none-match", 304)] {
        assert_eq!(ask(&[(list, "\"another\""), (list, &tag)]).await.status.as_u16(), status, "{list}");
    }
}

#[tokio::test]
async fn a_report_that_is_not_kept_any_more_is_gone() {
    let bench = Bench::new().await;
    let (job, owner) = bench.running().await;
    _ = bench
        .local
        .jobs
        .complete(job.id, owner, &Completed { pages: 1, bytes: 1, warnings: &[], at: now() })
        .await
        .expect("the store answers");
    let answer = bench.get(&format!("/jobs/{}/report", job.id)).await;
    assert_eq!((answer.status.as_u16(), answer.problem().as_str()), (410, "report-expired"));
}

#[tokio::test]
async fn a_signed_link_needs_no_token_and_cannot_be_altered() {
    let bench = Bench::with(|listener| Listener { access: listener::Access::token("s3cret"), ..listener }).await;
    let job = bench.completed(b"%PDF-1.7 hello").await;
    let path = LinkSigner::new(b"key").sign("", job.id, now() + TimeDelta::hours(1));
    assert_eq!(bench.get(&path).await.bytes, b"%PDF-1.7 hello");

    let expired = LinkSigner::new(b"key").sign("", job.id, now() - TimeDelta::seconds(1));
    let rotated = LinkSigner::new(b"old key").sign("", job.id, now() + TimeDelta::hours(1));
    let altered = format!("{}{}", &path[..path.len() - 2], "AA");
    let unsigned = format!("/r/{}", job.id);
    for path in [expired, rotated, altered, unsigned, "/r/x?expires=1&sig=x".into()] {
        let answer = bench.get(&path).await;
        assert_eq!((answer.status.as_u16(), answer.problem().as_str()), (403, "link-refused"), "{path}");
    }
}

#[tokio::test]
async fn the_reader_of_an_old_link_is_sent_to_the_sender() {
    let bench = Bench::new().await;
    let path = LinkSigner::new(b"key").sign("", JobId::new(), now() + TimeDelta::hours(1));
    let answer = bench.get(&path).await;
    assert_eq!((answer.status.as_u16(), answer.problem().as_str()), (404, "unknown-job"));
    assert_eq!(answer.json()["detail"], "The report has expired. Ask its sender for a new one.");

    let job = bench.completed(b"%PDF-1.7 hello").await;
    std::fs::remove_file(bench.folder.path().join("data/objects").join(job.id.report_key())).expect("removed");
    let path = LinkSigner::new(b"key").sign("", job.id, now() + TimeDelta::hours(1));
    let answer = bench.get(&path).await;
    assert_eq!((answer.status.as_u16(), answer.problem().as_str()), (410, "report-expired"));
    assert!(answer.json()["detail"].as_str().is_some_and(|detail| detail.contains("Ask the sender")));
}

#[tokio::test]
async fn a_store_that_does_not_answer_is_503_and_asks_for_patience() {
    let bench = Bench::new().await;
    bench.sql("DROP TABLE messages; DROP TABLE jobs").await;
    for answer in [bench.post(good().to_string()).await, bench.get(&format!("/jobs/{}", JobId::new())).await] {
        assert_eq!((answer.status.as_u16(), answer.problem().as_str()), (503, "unavailable"));
        assert_eq!(answer.header("retry-after"), "5");
    }
}
