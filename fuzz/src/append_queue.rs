//! The body of `POST /append_queue`: taken in whole or not at all.

use axum::body::Body;
use axum::http::{Request, StatusCode};
use jobs::{JobId, Message};
use serde_json::Value;

use crate::door::{Answer, Door, at_the_door};
use crate::memory::Contents;

/// Sends `body` as a request for a report.
///
/// # Panics
///
/// If the answer is not a 202 or a problem of the caller's, if a 202 did not put exactly this job on record and into
/// the queue, or if anything else left a trace.
pub fn append_queue(body: &[u8]) {
    at_the_door(|door| {
        let answer = door.send(post(body).body(Body::from(body.to_owned())).expect("a request"));
        match answer.status {
            StatusCode::ACCEPTED => check_taken_in(door, &answer, body),
            status => {
                assert!(status.is_client_error(), "{answer:?}");
                let Contents { messages, jobs, objects, .. } = door.taken_in();
                assert!(messages.is_empty() && jobs.is_empty() && objects.is_empty(), "{answer:?}: {messages:?}");
            }
        }
    });
}

/// The start of a request with this body.
pub(crate) fn post(body: &[u8]) -> axum::http::request::Builder {
    let request = Request::post("/append_queue").header("host", "press.test").header("content-length", body.len());
    request.header("content-type", "application/json")
}

fn check_taken_in(door: &Door, answer: &Answer, body: &[u8]) {
    let Contents { messages, jobs, mut objects, .. } = door.taken_in();
    let [message] = messages.as_slice() else { panic!("{} messages", messages.len()) };
    let message = Message::decode(message).expect("a message that the processor reads");
    let id: JobId = answer.json["id"].as_str().and_then(|id| id.parse().ok()).expect("an id");
    assert_eq!(message.id, id);
    assert_eq!(jobs.into_values().collect::<Vec<_>>(), [message.job()]);

    let asked: Value =
        serde_json::from_slice(input::utf8(body).expect("a 202 is for UTF-8")).expect("a 202 is for JSON");
    assert_eq!(message.template, asked["template"]);
    let parked = objects.remove(&id.input_key()).map(|bytes| serde_json::from_slice(&bytes).expect("parked JSON"));
    assert!(objects.is_empty(), "{objects:?}");
    assert_eq!(parked.is_some(), message.data.is_none(), "the data is in the message or parked, never both");
    let data = message.data.map(|data| data.to_value().expect("JSON")).or(parked);
    assert_eq!(data.as_ref(), Some(&asked["data"]));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_good_is_taken_in_so_that_the_properties_are_about_something() {
        at_the_door(|door| {
            for (body, status) in [
                (&include_bytes!("../corpus/append_queue/good")[..], 202),
                (include_bytes!("../corpus/append_queue/good-with-everything"), 202),
                (include_bytes!("../corpus/append_queue/deep"), 202),
                (include_bytes!("../corpus/append_queue/data-does-not-fit"), 422),
                (include_bytes!("../corpus/append_queue/template-climbs"), 404),
                (include_bytes!("../corpus/append_queue/not-utf-8"), 400),
            ] {
                let answer = door.send(post(body).body(Body::from(body)).expect("a request"));
                assert_eq!(answer.status, status, "{answer:?}");
            }
            assert_eq!(door.taken_in().messages.len(), 3);
        });
    }
}
