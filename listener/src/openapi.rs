//! `GET /openapi.json`: every call, as OpenAPI 3.1. The document is made of the routes, of what stands at their
//! handlers and of the schema that requests are checked against.

pub(crate) mod example;
mod refusals;

use std::sync::{Arc, LazyLock};

use axum::extract::State;
use axum::http::header::CONTENT_TYPE;
use axum::response::IntoResponse;
use serde_json::{Value, json};
use utoipa::OpenApi;

use crate::access::Mode;
use crate::calls::{Guarded, Open};
use crate::{Listener, problem, request};

pub(crate) use refusals::{Defect, Responses, guarded_refusals, refusals};

/// What no handler says.
#[derive(OpenApi)]
#[openapi(
    info(
        title = "Pressrun",
        description = "Queue a report, get a PDF.\n\n\
            `POST /append_queue` takes a template's name and data, and answers 202 with a job once it cannot be lost \
            any more; data that is too large for a request is uploaded first, by way of `POST /uploads`. \
            `GET /jobs/{id}` tells where it stands, at once or when it changes; so do a stream of events and a \
            WebSocket, and a webhook tells of its end. A job that has completed has a report, and a link to it that needs no token.\n\n\
            Every error is an RFC 9457 problem, whose `type` does not change. A method that a path does not take is \
            answered with 405, `wrong-method`, and what is under no path of this document with 404, `unknown-path`.",
    ),
    tags(
        (name = "jobs", description = "Queue reports, follow them and fetch them."),
        (name = "templates", description = "What there is to ask for, and with what data."),
        (name = "server", description = "The server itself."),
        (name = "page", description = "The page on which a person does all this."),
    ),
)]
struct Frame;

/// The document of a server that asks for a token.
static DOCUMENT: LazyLock<Value> = LazyLock::new(|| {
    let (mut whole, open) = (Frame::openapi(), Open::openapi());
    let open_paths: Vec<_> = open.paths.paths.keys().cloned().collect();
    whole.merge(Guarded::openapi());
    whole.merge(open);
    let mut document = serde_json::to_value(whole).unwrap_or_else(|error| unreachable!("it is always JSON: {error}"));
    let components = &mut document["components"];
    components["schemas"]["Request"] = request::schema();
    components["schemas"]["Problem"] = problem::schema();
    components["securitySchemes"] = json!({ "token": { "type": "http", "scheme": "bearer" } });
    document["security"] = json!([{ "token": [] }]);
    for path in open_paths {
        for (_, call) in document["paths"][path].as_object_mut().into_iter().flatten() {
            call["security"] = json!([]);
        }
    }
    document
});

/// The same of a server that asks for none.
static TOKENLESS: LazyLock<Value> = LazyLock::new(|| {
    let mut document = DOCUMENT.clone();
    document["security"] = json!([]);
    document
});

/// The same of a server whose callers AWS knows by their signatures, as API Gateway describes such a one.
static SIGNED: LazyLock<Value> = LazyLock::new(|| {
    let mut document = DOCUMENT.clone();
    document["components"]["securitySchemes"]["token"] = json!({
        "type": "apiKey", "name": "Authorization", "in": "header", "x-amazon-apigateway-authtype": "awsSigv4"
    });
    document
});

/// This description.
///
/// A server without a token says in it that no call needs one.
#[utoipa::path(
    get,
    path = "/openapi.json",
    tag = "server",
    responses((status = 200, description = "OpenAPI 3.1.", body = Value), Defect)
)]
pub(crate) async fn openapi_json(State(listener): State<Arc<Listener>>) -> impl IntoResponse {
    let document = match listener.access.mode {
        Mode::Tokens(_) | Mode::Jwt(_) => &*DOCUMENT,
        Mode::Anybody => &*TOKENLESS,
        Mode::Iam(_) => &*SIGNED,
    };
    ([(CONTENT_TYPE, "application/json")], document.to_string())
}

/// The methods and paths of all calls, but not of the page, nor the one that is made with a URL of `POST /uploads` and
/// only where uploads do not go to a bucket.
pub(crate) fn calls() -> Vec<String> {
    let paths = DOCUMENT["paths"].as_object().into_iter().flatten();
    let calls = paths.flat_map(|(path, item)| item.as_object().into_iter().flatten().map(move |call| (path, call)));
    let calls = calls.filter(|(path, (_, call))| call["tags"][0] != "page" && *path != "/uploads/{id}");
    calls.map(|(path, (method, _))| format!("{} {path}", method.to_uppercase())).collect()
}
