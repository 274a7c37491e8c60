//! What costs more than it may: the check of a request, and the answer to it.

mod bench;

use std::time::{Duration, Instant};

use axum::body::Body;
use axum::http::{Request, StatusCode};
use bench::{Bench, add_template, good, post};
use serde_json::{Value, json};

/// How long a check may take, and a machine that is busy with other things.
const AMPLE: Duration = Duration::from_secs(20);

/// Data with references that double without an end: not one violation is found before all time is spent.
fn endless() -> String {
    let twice = |at: usize| json!({"allOf": vec![json!({"$ref": format!("#/$defs/{}", at + 1)}); 2]});
    let mut schemas: Value = (0..40).map(|at| (at.to_string(), twice(at))).collect();
    schemas["40"] = json!({"type": "object"});
    json!({"$ref": "#/$defs/0", "required": ["missing"], "$defs": schemas}).to_string()
}

async fn with_templates() -> Bench {
    let bench = Bench::new().await;
    let templates = bench.folder.path().join("templates");
    add_template(&templates, "endless", &endless(), "{}");
    let texts = json!({"additionalProperties": {"items": {"type": "string"}}});
    add_template(&templates, "texts", &texts.to_string(), "{}");
    bench
}

#[tokio::test]
async fn a_check_that_takes_too_long_is_the_templates_fault_and_holds_nobody_up() {
    let bench = with_templates().await;
    let start = Instant::now();
    let costly = bench.post(json!({"template": "endless", "data": {}}).to_string());
    let (costly, small) = tokio::join!(costly, async {
        let answer = bench.post(good().to_string()).await;
        assert_eq!(answer.status, StatusCode::ACCEPTED);
        start.elapsed()
    });
    assert_eq!((costly.status.as_u16(), costly.problem().as_str()), (422, "schema-too-costly"));
    let detail = costly.json()["detail"].to_string();
    assert!(detail.contains("`endless`"), "{detail}");
    assert!(start.elapsed() < AMPLE, "{:?}", start.elapsed());
    assert!(small < start.elapsed() / 2, "{small:?} of {:?}", start.elapsed());
}

#[tokio::test]
async fn the_sum_of_an_answer_is_bounded() {
    let bench = with_templates().await;
    for data in [
        json!({"n".repeat(950_000): vec![0; 5_000]}),
        (0..1_000).map(|number| (format!("{number}{}", "\u{1}".repeat(390)), json!([1]))).collect(),
    ] {
        let answer = bench.post(json!({"template": "texts", "data": data}).to_string()).await;
        assert_eq!(answer.problem(), "invalid-data");
        assert!(answer.bytes.len() <= 1 << 20, "{} bytes", answer.bytes.len());
        let problem = answer.json();
        let (listed, detail) = (problem["errors"].as_array().expect("errors").len(), problem["detail"].to_string());
        assert!(listed > 0 && detail.contains(&format!("{listed} violations and ")), "{listed}: {}", &detail[..200]);
    }
    // Of the request around the data as well.
    let answer = bench.post(json!({"template": "texts", "data": {}, "x".repeat(1_000_000): 1}).to_string()).await;
    assert_eq!(answer.problem(), "invalid-request");
    assert!(answer.bytes.len() < 4_000, "{} bytes", answer.bytes.len());
}

#[tokio::test]
async fn the_same_json_in_another_order_is_the_same_request() {
    let bench = Bench::new().await;
    let send = async |body: &str| {
        let mut request = post(body.to_owned());
        request.headers_mut().insert("idempotency-key", "k".parse().expect("a value"));
        bench.send(request).await
    };
    let first = send(r#"{"template": "list", "data": {"name": "é", "lines": [{"qty": 2.50, "unit": "h"}]}}"#).await;
    assert_eq!(first.status, StatusCode::ACCEPTED);
    let again = r#" {"data":{"lines":[{"unit":"h","qty":2.50}],"name":"\u00e9"},"template":"list"}"#;
    assert_eq!(send(again).await.json(), first.json());
    let other = r#"{"template": "list", "data": {"name": "é", "lines": [{"qty": 2.5, "unit": "h"}]}}"#;
    assert_eq!(send(other).await.problem(), "idempotency-key-reused");
}

#[tokio::test]
async fn a_template_needs_no_schema() {
    let bench = Bench::new().await;
    let folder = bench.folder.path().join("templates/free");
    std::fs::create_dir_all(&folder).expect("a folder");
    std::fs::write(folder.join("main.typ"), "").expect("a file");
    let answer = bench.post(json!({"template": "free", "data": [1, {"a": null}]}).to_string()).await;
    assert_eq!(answer.status, StatusCode::ACCEPTED);
}

#[tokio::test]
async fn a_call_for_an_upload_is_small() {
    let bench = Bench::new().await;
    let body = format!("{{\"content_type\": \"text/csv\", \"bytes\": 3, \"x\": \"{}\"}}", "x".repeat(100_000));
    let request = Request::post("/uploads").header("host", "press.test").header("content-type", "application/json");
    let answer = bench.send(request.body(Body::from(body)).expect("a request")).await;
    assert_eq!((answer.status.as_u16(), answer.problem().as_str()), (413, "body-too-large"));
    assert_eq!(answer.json()["limit_bytes"], 64 * 1024);
}
