//! The examples of the document: one letter, from the request to its link.

use chrono::{DateTime, TimeDelta, Utc};
use jobs::job::Diagnostic;
use jobs::{
    AnnouncementRecord, Channel, DeliveryRecord, Failure, Job, LinkSigner, Notify, Sent, Status, UploadId, Violation,
    Webhook,
};
use serde_json::{Value, json};

use crate::job::Answer;
use crate::uploads::{Begun, Stored};

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
        "notify": {"subject": "Your letter", "tags": ["field-services"], "webhook": WEBHOOK},
    })
}

/// Where the example's caller is told of the job's end.
const WEBHOOK: &str = "https://crm.example.org/hooks/pressrun";

/// The job that this request becomes.
pub(crate) fn job(status: Status) -> Job {
    let (id, enqueued_at) = ("01a1fd88-28fa-7243-a82c-05f04864e387".parse(), "2026-11-21T09:55:21.466Z".parse());
    let (Ok(id), Ok(enqueued_at)): (_, Result<DateTime<Utc>, _>) = (id, enqueued_at) else {
        unreachable!("an id and a time")
    };
    let after = |milliseconds| Some(enqueued_at + TimeDelta::milliseconds(milliseconds));
    let notify = Notify { webhook: Some(WEBHOOK.into()), ..Notify::default() };
    let queued = Job { notify, ..Job::queued(id, "letter", enqueued_at) };
    let running = Job { status: Status::Running, attempts: 1, started_at: after(9), ..queued.clone() };
    match status {
        Status::Queued => queued,
        Status::Running => running,
        Status::Completed => {
            let delivered = |after, status| {
                let at = enqueued_at + TimeDelta::milliseconds(after);
                DeliveryRecord::pending().after(Sent::taken(Some(status)), (at, at), at).0
            };
            let webhook = Some(Webhook { url: WEBHOOK.into(), delivery: delivered(88, 204) });
            let announcement = Some(AnnouncementRecord { channel: Channel::Mail, delivery: delivered(92, 250) });
            let (finished_at, pages, bytes) = (after(74), Some(1), Some(21_468));
            Job { status, finished_at, pages, bytes, webhook, announcement, ..running }
        }
        Status::Failed => Job { status, finished_at: after(31), error: Some(failure()), ..running },
    }
}

/// What a caller is told of it.
pub(crate) fn answer(status: Status) -> Answer {
    told(job(status))
}

/// What a caller is told of a job whose upload does not fit its template.
pub(crate) fn misfit() -> Answer {
    let errors = vec![Violation {
        line: Some(3),
        column: None,
        pointer: "/transactions/1/date".into(),
        detail: "\"2026-07-35\" does not fit: A calendar date, YYYY-MM-DD, from the year 1600 to 2999".into(),
    }];
    let title = "The data does not fit the template.";
    let detail = format!("1 violation. The first, {}. Mend the data, upload it again and queue it again.", errors[0]);
    let failure = Failure { errors, ..Failure::new("invalid-data", title, detail) };
    told(Job { template: "statement".into(), input: Some(upload_id()), error: Some(failure), ..job(Status::Failed) })
}

pub(crate) fn told(job: Job) -> Answer {
    Answer::signed(&links(), TimeDelta::days(30), job, BASE_URL)
}

fn links() -> LinkSigner {
    LinkSigner::new(b"of an example")
}

/// The size of the example's upload, in bytes.
const UPLOAD_BYTES: u64 = 48;

/// What is said of rows for the template `statement` before they are put.
pub(crate) fn wanted_upload() -> Value {
    json!({"content_type": "text/csv", "bytes": UPLOAD_BYTES, "separator": ";", "decimal_comma": true})
}

/// Where to put them.
pub(crate) fn upload() -> Begun {
    let Ok(expires_at) = "2026-11-21T10:54:51.230Z".parse() else { unreachable!("a time") };
    let url = links().sign_upload(BASE_URL, upload_id(), UPLOAD_BYTES, expires_at);
    Begun::new(upload_id(), UPLOAD_BYTES, url, expires_at)
}

/// That they are there.
pub(crate) fn stored_upload() -> Stored {
    Stored::new(upload_id(), UPLOAD_BYTES)
}

fn upload_id() -> UploadId {
    let Ok(id) = "01a1fd87-9c3e-7b11-8f60-2c51d7a0e4b9.semicolon.decimal-comma.csv".parse() else {
        unreachable!("an id")
    };
    id
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
