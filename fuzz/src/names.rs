//! Names in paths, of templates and of jobs: each is one thing in one place, or nothing.

use std::fmt::Write;
use std::path::Path;

use axum::body::Body;
use axum::http::{Method, Request, StatusCode, Uri};
use jobs::JobId;
use jobs::job::is_template_name;
use listener::Catalogue;

use crate::door::{Door, at_the_door, templates};

/// The calls that have a name in their path, as what stands before and after it.
const CALLS: [(Method, &str, &str); 7] = [
    (Method::GET, "/templates/", ""),
    (Method::GET, "/jobs/", ""),
    (Method::GET, "/jobs/", "/report"),
    (Method::POST, "/jobs/", "/retry"),
    (Method::GET, "/r/", ""),
    (Method::GET, "/r/", "?expires=4102444800&sig=AAAA"),
    (Method::GET, "/r/019aa5b2-0000-7000-8000-000000000001?", ""),
];

/// Takes `name` for a template's name, for a job's id, and for part of a path, as it is and percent-encoded.
///
/// # Panics
///
/// If a template is found outside of the folder of templates, if a job has two addresses, or if a call answers with
/// anything but a template on offer or a problem of the caller's.
pub fn names(name: &[u8]) {
    let text = String::from_utf8_lossy(name);
    check_template(&text);
    check_job_id(&text);
    at_the_door(|door| {
        for (method, before, after) in CALLS {
            check_call(door, &method, [before.as_bytes(), name, after.as_bytes()].concat());
            check_call(door, &method, format!("{before}{}{after}", encoded(name)).into_bytes());
        }
        let taken_in = door.taken_in();
        assert!(taken_in.messages.is_empty() && taken_in.jobs.is_empty(), "{taken_in:?}");
    });
}

fn check_template(name: &str) {
    let folder = templates().join(name);
    if is_template_name(name) {
        assert_eq!(folder.parent(), Some(templates().as_path()));
        assert_eq!(folder.file_name().and_then(|it| it.to_str()), Some(name));
    }
    let catalogue = Catalogue::new(templates());
    match catalogue.find(name).expect("the templates on offer are usable") {
        Some(template) => {
            assert!(is_template_name(name), "{name:?} is found");
            assert_eq!(template.name, name);
            assert!(catalogue.names().expect("the folder").contains(&template.name));
        }
        None => assert!(!["any", "list"].contains(&name)),
    }
}

fn check_job_id(text: &str) {
    let Ok(id) = text.parse::<JobId>() else { return };
    assert!(id.to_string().eq_ignore_ascii_case(text), "{text:?} is {id}");
    for key in [id.report_key(), id.input_key()] {
        assert_eq!(Path::new(&key).components().count(), 2, "{key}");
    }
}

/// A path that HTTP itself does not allow is no request.
fn check_call(door: &Door, method: &Method, uri: Vec<u8>) {
    let Ok(uri) = Uri::try_from(uri) else { return };
    let path = uri.path().to_owned();
    let answer = door.send(Request::builder().method(method).uri(uri).body(Body::empty()).expect("a request"));
    match answer.status {
        StatusCode::OK => {
            assert!(["any", "list"].map(Into::into).contains(&answer.json["name"]), "{method} {path}: {answer:?}");
        }
        status => assert!(status.is_client_error(), "{method} {path}: {answer:?}"),
    }
}

/// Every byte as `%XX`, so that the whole of it is one segment of a path.
fn encoded(name: &[u8]) -> String {
    name.iter().fold(String::new(), |mut text, byte| {
        _ = write!(text, "%{byte:02X}");
        text
    })
}
