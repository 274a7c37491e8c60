//! The OpenAPI document: it is the one that is checked in, its calls exist, its examples are true, and Postman's
//! collection has every call of it.

mod bench;

use std::fs;
use std::path::{Path, PathBuf};

use axum::body::Body;
use axum::http::{Request, StatusCode};
use bench::{Bench, post};
use listener::{Catalogue, Listener};
use serde_json::{Value, json};

/// The document of a server with a token.
async fn document() -> Value {
    let bench = Bench::with(|listener| Listener { access: listener::Access::token("s3cret"), ..listener }).await;
    let answer = bench.get("/openapi.json").await;
    assert_eq!((answer.status, answer.header("content-type")), (StatusCode::OK, "application/json"));
    answer.json()
}

fn repository(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(path)
}

/// The method, path and description of every call.
fn calls(document: &Value) -> Vec<(String, String, Value)> {
    let paths = document["paths"].as_object().expect("paths");
    let calls = paths.iter().flat_map(|(path, item)| {
        let methods = item.as_object().expect("methods");
        methods.iter().map(|(method, call)| (method.to_uppercase(), path.clone(), call.clone()))
    });
    calls.collect()
}

#[tokio::test]
async fn the_document_is_the_one_that_is_checked_in() {
    let file = repository("resources/openapi.json");
    let is = format!("{:#}\n", document().await);
    if std::env::var_os("UPDATE").is_some() {
        fs::write(&file, &is).expect("the file is written");
    }
    let was = fs::read_to_string(&file).expect("the file is read");
    assert!(is == was, "resources/openapi.json is not what the listener serves: run `make openapi`, and commit it");
}

#[tokio::test]
async fn a_server_without_a_token_says_that_it_needs_none() {
    let mut open = Bench::new().await.get("/openapi.json").await.json();
    let document = document().await;
    assert_eq!((&open["security"], &document["security"]), (&json!([]), &json!([{"token": []}])));
    open["security"] = document["security"].clone();
    assert_eq!(open, document);
}

#[tokio::test]
async fn every_call_of_the_document_is_there_and_is_told_to_those_who_lose_their_way() {
    let bench = Bench::new().await;
    let detail = bench.get("/nothing").await.json()["detail"].as_str().expect("a detail").to_owned();
    let told: Vec<_> = detail.trim_start_matches("The calls are: ").trim_end_matches('.').split(", ").collect();
    for (method, path, call) in calls(&document().await) {
        let request = Request::builder().method(method.as_str()).uri(path.replace(['{', '}'], "")).body(Body::empty());
        let answer = bench.send(request.expect("a request")).await;
        if answer.header("content-type") == "application/problem+json" {
            let problem = answer.problem();
            assert!(!["unknown-path", "wrong-method"].contains(&problem.as_str()), "{method} {path}: {problem}");
        }
        assert!(call["responses"].get(answer.status.as_str()).is_some(), "{method} {path}: {}", answer.status);
        let by_all = call["tags"][0] != "page" && path != "/uploads/{id}";
        assert_eq!(told.contains(&format!("{method} {path}").as_str()), by_all, "{detail}");
    }
}

#[tokio::test]
async fn jobs_alone_may_be_too_many() {
    let document = document().await;
    let refusals = |path: &str| document["paths"][path]["post"]["responses"]["429"].to_string();
    for path in ["/append_queue", "/jobs/{id}/retry"] {
        assert!(refusals(path).contains("too-many-jobs") && refusals(path).contains("too-many-bytes"), "{path}");
    }
    assert!(refusals("/uploads").contains("too-many-bytes") && !refusals("/uploads").contains("too-many-jobs"));
}

#[tokio::test]
async fn the_request_of_the_document_is_taken_by_the_template_it_names() {
    let bench = Bench::with(|it| Listener { catalogue: Catalogue::new(repository("templates")), ..it }).await;
    let document = document().await;
    let body = &document["paths"]["/append_queue"]["post"]["requestBody"]["content"]["application/json"];
    let answer = bench.send(post(body["example"].to_string())).await;
    assert_eq!(answer.status, StatusCode::ACCEPTED, "{}", String::from_utf8_lossy(&answer.bytes));
}

#[tokio::test]
async fn every_example_fits_its_schema() {
    let document = document().await;
    let mut examples = Vec::new();
    collect_examples(&document["paths"], &mut examples);
    assert!(examples.len() > 50, "{}", examples.len());
    for (schema, example) in examples {
        let mut root = json!({"$ref": "#/schema", "schema": schema});
        root["components"] = document["components"].clone();
        let validator = jsonschema::draft202012::options().should_validate_formats(true).build(&root);
        let validator = validator.unwrap_or_else(|error| panic!("{error}: {schema}"));
        assert!(validator.is_valid(&example), "{example} does not fit {schema}");
    }
}

/// Every example below `value`, with the schema beside it.
fn collect_examples(value: &Value, found: &mut Vec<(Value, Value)>) {
    if let Some(schema) = value.get("schema") {
        found.extend(value.get("example").map(|example| (schema.clone(), example.clone())));
        let named = value.get("examples").and_then(Value::as_object).into_iter().flatten();
        found.extend(named.map(|(_, example)| (schema.clone(), example["value"].clone())));
    }
    match value {
        Value::Object(members) => members.values().for_each(|it| collect_examples(it, found)),
        Value::Array(items) => items.iter().for_each(|it| collect_examples(it, found)),
        _ => {}
    }
}

#[tokio::test]
async fn postmans_collection_has_every_call() {
    let collection = fs::read(repository("resources/pressrun.postman_collection.json")).expect("the file is read");
    let collection: Value = serde_json::from_slice(&collection).expect("JSON");
    let mut requests = Vec::new();
    collect_requests(&collection, &mut requests);
    // Postman keeps WebSockets out of its collections.
    let calls = calls(&document().await).into_iter().filter(|(_, path, _)| path != "/ws");
    let missing: Vec<_> = calls
        .filter(|(method, path, _)| !requests.iter().any(|(its, url)| its == method && is_of(url, path)))
        .map(|(method, path, _)| format!("{method} {path}"))
        .collect();
    assert_eq!(missing, Vec::<String>::new());
}

/// The method and path of every request in a folder of a collection.
fn collect_requests(folder: &Value, found: &mut Vec<(String, Vec<String>)>) {
    for item in folder["item"].as_array().into_iter().flatten() {
        if let Some(method) = item["request"]["method"].as_str() {
            let path = item["request"]["url"]["path"].as_array().into_iter().flatten();
            found.push((
                method.to_owned(),
                path.filter_map(|it| it.as_str().filter(|it| !it.is_empty()).map(ToOwned::to_owned)).collect(),
            ));
        }
        collect_requests(item, found);
    }
}

/// Whether a URL's segments are of a path, whose parameters stand for any segment.
fn is_of(url: &[String], path: &str) -> bool {
    let path: Vec<_> = path.split('/').skip(1).filter(|segment| !segment.is_empty()).collect();
    url.len() == path.len() && path.iter().zip(url).all(|(path, url)| path.starts_with('{') || path == url)
}
