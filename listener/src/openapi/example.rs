//! The examples of the document: one letter, from the request to its link.

use chrono::{DateTime, TimeDelta, Utc};
use jobs::job::Diagnostic;
use jobs::{Failure, Job, LinkSigner, Status};
use serde_json::{Value, json};

use crate::job::Answer;

/// Where the example's caller reaches the listener.
pub(crate) const BASE_URL: &str = "https://press.example.org";

/// A request that the template `letter` takes.
pub(crate) fn request() -> Value {
    json!({
        "template": "letter",
        "data": {
            "locale": "en-GB",
            "date": "2026-11-21",
            "sender": {"name": "Kestrel & Vane Ltd", "address": ["14 Foundry Wharf", "Bristol BS1 6XN"]},
            "recipient": {"name": "Ms Imogen Achebe", "address": ["3 Cathedral Close", "Salisbury SP1 2EF"]},
            "subject": "Annual calibration of your weather stations",
            "salutation": "Dear Ms Achebe,",
            "paragraphs": ["The first calibration falls due in October 2027. We have reserved the week of 11 October."],
            "closing": "Yours sincerely,",
            "signature": {"name": "Eleanor Whitcombe"},
        },
        "options": {"pdf_standard": "a-2b"},
        "notify": {"subject": "Your letter", "tags": ["field-services"]},
    })
}

/// The job that this request becomes.
pub(crate) fn job(status: Status) -> Job {
    let (id, enqueued_at) = ("01a1fd88-28fa-7243-a82c-05f04864e387".parse(), "2026-11-21T09:55:21.466Z".parse());
    let (Ok(id), Ok(enqueued_at)): (_, Result<DateTime<Utc>, _>) = (id, enqueued_at) else {
        unreachable!("an id and a time")
    };
    let after = |milliseconds| Some(enqueued_at + TimeDelta::milliseconds(milliseconds));
    let queued = Job::queued(id, "letter", enqueued_at);
    let running = Job { status: Status::Running, attempts: 1, started_at: after(9), ..queued.clone() };
    match status {
        Status::Queued => queued,
        Status::Running => running,
        Status::Completed => Job { status, finished_at: after(74), pages: Some(1), bytes: Some(21_468), ..running },
        Status::Failed => Job { status, finished_at: after(31), error: Some(failure()), ..running },
    }
}

/// What a caller is told of it.
pub(crate) fn answer(status: Status) -> Answer {
    Answer::signed(&LinkSigner::new(b"of an example"), TimeDelta::days(30), job(status), BASE_URL)
}

fn failure() -> Failure {
    let rendered = "error: unknown variable: totl\n --> main.typ:3:9\n  |\n3 | Total: #totl\n  |         ^^^^";
    let diagnostic = Diagnostic {
        message: "unknown variable: totl".into(),
        file: Some("main.typ".into()),
        line: Some(3),
        column: Some(9),
        hints: Vec::new(),
        rendered: rendered.into(),
    };
    let title = "The template has an error, or does not fit this data.";
    let failure = Failure::new("template-error", title, format!("main.typ:3:9: {}", diagnostic.message));
    Failure { diagnostics: vec![diagnostic], ..failure }
}
