//! What callers wrote is what is queued: numbers with all their digits, whatever the text begins with; and what the
//! template declares of rows is checked before.

mod bench;

use axum::http::StatusCode;
use bench::{Answer, Bench, add_template, good, post};
use jobs::Message;
use serde_json::{Value, json};

/// Data with numbers that a double does not hold.
const DATA: &str = r#"{"name": "n", "lines": [{"qty": 9007199254740993.010}, {"qty": 9223372036854775808}]}"#;

fn request(data: &str) -> String {
    format!(r#"{{"template": "list", "data": {data}}}"#)
}

/// A bench whose template `rows` declares columns and a period.
async fn with_rows() -> Bench {
    let bench = Bench::new().await;
    let templates = bench.folder.path().join("templates");
    add_template(&templates, "rows", "{}", "{}");
    let manifest = json!({"rows": {
        "field": "lines", "columns": "/columns", "totals": ["qty"], "period": {"from": "/from", "to": "/to"},
    }});
    std::fs::write(templates.join("rows/template.json"), manifest.to_string()).expect("a manifest");
    bench
}

fn errors(answer: &Answer) -> Vec<String> {
    assert_eq!((answer.status.as_u16(), answer.problem().as_str()), (422, "invalid-data"), "{}", answer.json());
    let problem = answer.json();
    let errors = problem["errors"].as_array().expect("errors").iter();
    let text = |error: &Value, member| error[member].as_str().expect("text").to_owned();
    errors.map(|error| format!("{} {}", text(error, "pointer"), text(error, "detail"))).collect()
}

async fn taken(bench: &Bench) -> Message {
    Message::decode(&bench.queued().await.expect("a message")).expect("one of ours")
}

#[tokio::test]
async fn numbers_keep_their_digits() {
    let bench = Bench::new().await;
    assert_eq!(bench.post(request(DATA)).await.status, StatusCode::ACCEPTED);
    assert_eq!(taken(&bench).await.data.expect("data").get(), DATA);
}

#[tokio::test]
async fn one_key_is_not_for_two_numbers_that_are_one_double() {
    let bench = Bench::new().await;
    let send = async |number: &str| {
        let mut request = post(request(&format!(r#"{{"name": "n", "lines": [{{"qty": {number}}}]}}"#)));
        request.headers_mut().insert("idempotency-key", "k".parse().expect("a value"));
        bench.send(request).await
    };
    assert_eq!(send("9007199254740993.01").await.status, StatusCode::ACCEPTED);
    assert_eq!(send(" 9007199254740993.01").await.status, StatusCode::ACCEPTED);
    assert_eq!(send("9007199254740993.02").await.problem(), "idempotency-key-reused");
}

#[tokio::test]
async fn numbers_of_too_many_digits_are_refused() {
    let bench = Bench::new().await;
    for number in ["123456789012345678901234567890", "1e400", "1e-400"] {
        let answer = bench.post(request(&format!(r#"{{"name": "n", "lines": [{{"qty": {number}}}]}}"#))).await;
        let detail = format!("/data/lines/0/qty {number} has more than 28 digits, the most that a number may have");
        assert_eq!(errors(&answer), [detail]);
    }
    let answer = bench.post(request("{\"n\": 1e400, oops}")).await;
    assert_eq!((answer.status.as_u16(), answer.problem().as_str()), (400, "malformed-json"));
    assert_eq!(bench.queued().await, None);
}

#[tokio::test]
async fn a_byte_order_mark_is_skipped_and_other_encodings_are_told() {
    let bench = Bench::new().await;
    assert_eq!(bench.post(format!("\u{feff}{}", good())).await.status, StatusCode::ACCEPTED);
    let utf16: Vec<u8> = good().to_string().encode_utf16().flat_map(u16::to_le_bytes).collect();
    let answer = bench.post(utf16).await;
    assert_eq!((answer.status.as_u16(), answer.problem().as_str()), (400, "malformed-json"));
    assert_eq!(answer.json()["detail"], "the text is UTF-16; save it as UTF-8.");
}

#[tokio::test]
async fn declared_fields_figures_and_periods_are_checked_before_queueing() {
    let bench = with_rows().await;
    let send = async |lines: Value, to: &str| {
        let columns = json!([{"field": "day", "format": "date"}, {"field": "qty", "format": "number"}]);
        let data = json!({"from": "2026-01-01", "to": to, "columns": columns, "lines": lines});
        bench.post(json!({"template": "rows", "data": data}).to_string()).await
    };
    let row = |day: &str, qty: Value| json!({"day": day, "qty": qty});
    assert_eq!(
        errors(&send(json!([{"Day": "2026-01-01", "qty": 1}]), "2026-12-31").await),
        ["/data/columns/0/field no row has the field `day`; the rows have `Day`, `qty`; a column that may be empty \
             says \"optional\": true; did you mean `Day`?"]
    );
    assert_eq!(
        errors(&send(json!([row("2026-02-29", json!("1,5")), row("2026-02-28", json!(1))]), "2026-12-31").await),
        [
            "/data/lines/0/qty \"1,5\" is not a decimal number, such as 1234.50 or \"1234.50\"",
            "/data/lines/0/day \"2026-02-29\" is not a day of the calendar as YYYY-MM-DD, from the year 1600 to 2999",
        ]
    );
    assert_eq!(
        errors(&send(json!([]), "2025-12-31").await),
        ["/data/to the period ends on 2025-12-31, before it begins, on 2026-01-01"]
    );
    assert_eq!(bench.queued().await, None);
    assert_eq!(send(json!([row("2026-02-28", json!(1))]), "2026-12-31").await.status, StatusCode::ACCEPTED);
}
