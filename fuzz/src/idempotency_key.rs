//! The header `Idempotency-Key`: one key, one job.

use axum::body::Body;
use axum::http::{HeaderValue, StatusCode};

use crate::append_queue::post;
use crate::door::{Answer, Door, at_the_door};

const BODY: &str = r#"{"template": "any", "data": 1}"#;
const OTHER_BODY: &str = r#"{"template": "any", "data": 2}"#;

/// Sends a good request twice, and another one, with each line of `headers` as an `Idempotency-Key`. A line that HTTP
/// itself does not allow is left out.
///
/// # Panics
///
/// If an answer is neither a 202 nor a problem of the caller's, if the second answer is not about the first one's job,
/// or if the other request is taken for the same.
pub fn idempotency_key(headers: &[u8]) {
    let keys: Vec<HeaderValue> =
        headers.split(|byte| *byte == b'\n').filter_map(|line| HeaderValue::from_bytes(line).ok()).collect();
    at_the_door(|door| {
        let (first, again, other) = (send(door, &keys, BODY), send(door, &keys, BODY), send(door, &keys, OTHER_BODY));
        let taken_in = door.taken_in();
        let statuses = [&first, &again, &other].map(|answer| answer.status);
        if keys.is_empty() {
            assert_eq!(statuses, [StatusCode::ACCEPTED; 3]);
            assert_ne!(first.json["id"], again.json["id"], "two requests without a key are two jobs");
            return;
        }
        match first.status {
            StatusCode::ACCEPTED => {
                assert_eq!((again.status, again.json), (StatusCode::ACCEPTED, first.json));
                assert_eq!(other.json["type"], "urn:pressrun:problem:idempotency-key-reused");
                assert_eq!((taken_in.messages.len(), taken_in.jobs.len()), (1, 1));
            }
            status => {
                assert!(status.is_client_error(), "{first:?}");
                assert_eq!(statuses, [status; 3]);
                assert_eq!((taken_in.messages.len(), taken_in.jobs.len()), (0, 0));
            }
        }
    });
}

fn send(door: &Door, keys: &[HeaderValue], body: &'static str) -> Answer {
    let mut request = post(body.as_bytes());
    for key in keys {
        request = request.header("idempotency-key", key);
    }
    door.send(request.body(Body::from(body)).expect("a request"))
}
