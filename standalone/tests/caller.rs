//! The commands for callers as a script meets them: files, exit statuses, what is printed, and what is sent.

mod support;

use std::fs;
use std::io::Write;
use std::net::TcpListener;
use std::panic::resume_unwind;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use axum::body::Bytes;
use axum::http::header::{CONTENT_TYPE, LOCATION, RETRY_AFTER};
use axum::http::{HeaderMap, Method, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use axum::{Json, Router};
use serde_json::{Value, json};
use support::Server;
use tempfile::TempDir;
use tokio::runtime::Runtime;

const HELLO: &str = "Hello #json(\"/data.json\").name";

/// A folder to work in.
struct Desk(TempDir);

impl Desk {
    fn new() -> Self {
        Self(TempDir::new().expect("a folder"))
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn command(&self, url: &str, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_pressrun"));
        command.args(arguments).env("PRESSRUN_URL", url).env_remove("PRESSRUN_TOKEN").env("NO_PROXY", "127.0.0.1");
        command.current_dir(&self.0);
        command
    }

    fn run(&self, url: &str, arguments: &[&str]) -> Output {
        self.command(url, arguments).output().expect("pressrun starts")
    }

    fn is_empty(&self) -> bool {
        fs::read_dir(&self.0).expect("a folder").next().is_none()
    }
}

impl Server {
    /// Serves [`HELLO`] with a sample and a schema.
    fn hello(options: &[&str]) -> Self {
        let server = Self::start(HELLO, options);
        let schema = r#"{"type": "object", "required": ["name"], "properties": {"name": {"type": "string"}}}"#;
        server.add("templates/mine/schema.json", schema);
        server.add("templates/mine/sample.json", r#"{"name": "sample"}"#);
        server
    }

    fn add(&self, path: &str, content: &str) {
        let path = self.folder.path().join(path);
        fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
        fs::write(path, content).expect("a file");
    }

    fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    fn get(&self, path: &str) -> Value {
        let url = format!("{}{path}", self.url());
        let text = async { reqwest::Client::builder().no_proxy().build()?.get(url).send().await?.text().await };
        let text = Runtime::new().expect("a runtime").block_on(text).expect("an answer");
        serde_json::from_str(&text).expect("JSON")
    }
}

/// A server that answers as a test says, and remembers what it was sent.
struct Decoy {
    url: String,
    seen: Arc<Mutex<Vec<(String, HeaderMap)>>>,
    _runtime: Runtime,
}

impl Decoy {
    /// Answers what `answer` makes of `METHOD /path?query`; nothing breaks the connection.
    fn start(answer: impl Fn(&str) -> Option<Response> + Send + Sync + 'static) -> Self {
        let (runtime, answer) = (Runtime::new().expect("a runtime"), Arc::new(answer));
        let seen: Arc<Mutex<Vec<(String, HeaderMap)>>> = Arc::default();
        let socket = runtime.block_on(tokio::net::TcpListener::bind("127.0.0.1:0")).expect("a port");
        let url = format!("http://{}", socket.local_addr().expect("an address"));
        let memory = seen.clone();
        let router = Router::new().fallback(move |method: Method, uri: Uri, headers: HeaderMap, _: Bytes| {
            let call = format!("{method} {uri}");
            memory.lock().expect("no panic").push((call.clone(), headers));
            let answer = answer.clone();
            async move { answer(&call).unwrap_or_else(|| resume_unwind(Box::new("broken off"))) }
        });
        runtime.spawn(async { axum::serve(socket, router).await });
        Self { url, seen, _runtime: runtime }
    }

    /// The headers of the calls that began so.
    fn seen(&self, call: &str) -> Vec<HeaderMap> {
        let seen = self.seen.lock().expect("no panic");
        seen.iter().filter(|(seen, _)| seen.starts_with(call)).map(|(_, headers)| headers.clone()).collect()
    }
}

const ID: &str = "01a1fd88-28fa-7243-a82c-05f04864e387";

fn accepted() -> Option<Response> {
    Some((StatusCode::ACCEPTED, Json(json!({"id": ID, "status_url": "http://press.test/jobs/1"}))).into_response())
}

fn record(status: &str) -> Value {
    json!({
        "id": ID, "status": status, "template": "mine", "attempts": 1, "enqueued_at": "2026-11-21T09:55:21.466Z",
        "pages": 1, "bytes": 5,
    })
}

fn told(record: Value) -> Option<Response> {
    Some(Json(record).into_response())
}

#[track_caller]
fn assert_status(output: &Output, status: i32) -> String {
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(status), "{stderr}");
    stderr
}

fn stdout(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// What is written after a word in the first column.
fn told_as(output: &Output, word: &str) -> String {
    let stdout = stdout(output);
    let line = stdout.lines().find_map(|line| line.strip_prefix(word)).expect("a line with the word");
    line.trim().to_owned()
}

#[test]
fn a_sample_is_sent_and_its_report_written() {
    let (server, desk) = (Server::hello(&[]), Desk::new());
    let output = desk.run(&server.url(), &["send", "mine", "-o", "out.pdf"]);
    let stderr = assert_status(&output, 0);
    assert!(stderr.contains("completed"), "{stderr}");
    let report = fs::read(desk.path("out.pdf")).expect("a file");
    assert!(report.starts_with(b"%PDF-"));
    let job = server.get(&format!("/jobs/{}", told_as(&output, "job")));
    assert_eq!((&job["status"], &job["bytes"]), (&json!("completed"), &json!(report.len())));
}

#[test]
fn an_empty_file_of_rows_is_a_report_without_rows() {
    let (server, desk) = (Server::start("#json(\"/data.json\").rows.len()", &[]), Desk::new());
    server.add("templates/mine/template.json", r#"{"rows": {"field": "rows"}}"#);
    fs::write(desk.path("rows.ndjson"), "").expect("a file");
    let sent = desk.run(&server.url(), &["send", "mine", "--data", "rows.ndjson", "-o", "out.pdf"]);
    assert_status(&sent, 0);
    assert!(fs::read(desk.path("out.pdf")).expect("a file").starts_with(b"%PDF-"));
}

#[test]
fn a_sample_is_sent_with_the_digits_that_it_has() {
    let main = "#assert.eq(json(\"/data.json\").amount, \"9007199254740993.01\")";
    let (server, desk) = (Server::start(main, &[]), Desk::new());
    server.add("templates/mine/sample.json", r#"{"amount": 9007199254740993.01}"#);
    assert_status(&desk.run(&server.url(), &["send", "mine", "-o", "out.pdf"]), 0);
}

#[test]
fn without_a_file_the_link_to_the_report_is_told() {
    let (server, desk) = (Server::hello(&[]), Desk::new());
    let output = desk.run(&server.url(), &["send", "mine", "--wait", "--subject", "Your report"]);
    assert_status(&output, 0);
    let (id, link) = (told_as(&output, "job"), told_as(&output, "link"));
    assert_eq!(server.get(&format!("/jobs/{id}"))["link"], json!(link));
    assert!(link.starts_with(&format!("{}/r/{id}?expires=", server.url())), "it needs no token: {link}");

    let signed = "http://press.test/r/x?expires=1&sig=y";
    let decoy = Decoy::start(move |call| match call {
        "POST /append_queue" => accepted(),
        _ => {
            let mut record = record("completed");
            record["link"] = json!(signed);
            told(record)
        }
    });
    let output = desk.run(&decoy.url, &["send", "mine", "--data", "/dev/null", "--wait"]);
    assert_status(&output, 3);
    fs::write(desk.path("data.json"), "{}").expect("a file");
    let output = desk.run(&decoy.url, &["send", "mine", "--data", "data.json", "--wait"]);
    assert_status(&output, 0);
    assert_eq!(told_as(&output, "link"), signed);
}

#[test]
fn data_comes_from_standard_input_and_the_report_goes_to_standard_output() {
    let (server, desk) = (Server::hello(&[]), Desk::new());
    let mut command = desk.command(&server.url(), &["send", "mine", "--data", "-", "-o", "-"]);
    let command = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("pressrun starts");
    child.stdin.take().expect("a pipe").write_all(br#"{"name": "pipe"}"#).expect("written");
    let output = child.wait_with_output().expect("pressrun ends");
    assert_status(&output, 0);
    assert!(output.stdout.starts_with(b"%PDF-"));
    assert!(desk.is_empty());
}

#[test]
fn data_that_does_not_fit_is_refused_with_its_places() {
    let (server, desk) = (Server::hello(&[]), Desk::new());
    fs::write(desk.path("data.json"), r#"{"name": 7}"#).expect("a file");
    let stderr = assert_status(&desk.run(&server.url(), &["send", "mine", "--data", "data.json"]), 3);
    assert!(stderr.contains("/data/name: 7 is not of type \"string\""), "{stderr}");

    fs::write(desk.path("data.json"), "{\n  oops").expect("a file");
    let stderr = assert_status(&desk.run(&server.url(), &["send", "mine", "--data", "data.json"]), 3);
    assert!(stderr.contains("data.json is not JSON") && stderr.contains("line 2 column 3"), "{stderr}");

    let utf16: Vec<_> = "{}".encode_utf16().flat_map(u16::to_le_bytes).collect();
    fs::write(desk.path("data.json"), utf16).expect("a file");
    let stderr = assert_status(&desk.run(&server.url(), &["send", "mine", "--data", "data.json"]), 3);
    assert!(stderr.contains("data.json cannot be read: the text is UTF-16"), "{stderr}");

    let stderr = assert_status(&desk.run(&server.url(), &["send", "yours"]), 3);
    assert!(stderr.contains("The templates are: mine"), "{stderr}");
    let stderr = assert_status(&desk.run(&server.url(), &["job", ID]), 3);
    assert!(stderr.contains("No job has this id"), "{stderr}");
    assert_eq!(server.get("/jobs"), json!({"jobs": []}));
}

#[test]
fn a_templates_error_is_shown_where_it_stands_and_no_file_is_written() {
    let (server, desk) = (Server::hello(&[]), Desk::new());
    server.add("templates/mine/main.typ", "= Title\n\nTotal: #totl");
    let output = desk.run(&server.url(), &["send", "mine", "-o", "out.pdf"]);
    let stderr = assert_status(&output, 1);
    assert!(stderr.contains("main.typ:3:9") && stderr.contains("^^^^"), "{stderr}");
    assert!(desk.is_empty());

    let shown = desk.run(&server.url(), &["job", &told_as(&output, "job")]);
    assert_status(&shown, 0);
    assert_eq!(told_as(&shown, "status"), "failed");
    assert!(stdout(&shown).contains("main.typ:3:9"), "{}", stdout(&shown));
}

#[test]
fn a_server_with_a_token_lets_in_who_shows_it() {
    let (server, desk) = (Server::hello(&["--token", "secret-of-the-test"]), Desk::new());
    for arguments in [&["send", "mine"][..], &["send", "mine", "--token", "guess"], &["jobs"], &["job", ID]] {
        let stderr = assert_status(&desk.run(&server.url(), arguments), 3);
        assert!(stderr.contains("The token is missing or not valid.") && stderr.contains("PRESSRUN_TOKEN"), "{stderr}");
    }
    assert_status(&desk.run(&server.url(), &["send", "mine", "--token", "secret-of-the-test", "-o", "out.pdf"]), 0);
    let listed =
        desk.command(&server.url(), &["jobs"]).env("PRESSRUN_TOKEN", "secret-of-the-test").output().expect("it starts");
    assert_status(&listed, 0);
    assert!(stdout(&listed).contains("completed"), "{}", stdout(&listed));
}

#[test]
fn the_token_does_not_follow_a_redirect_to_another_host() {
    let storage = Decoy::start(|_| Some(([(CONTENT_TYPE, "application/pdf")], "%PDF-").into_response()));
    let report = format!("{}/report.pdf", storage.url);
    let server = Decoy::start(move |call| match call {
        "POST /append_queue" => accepted(),
        call if call.ends_with("/report") => Some((StatusCode::FOUND, [(LOCATION, report.as_str())]).into_response()),
        call if call.starts_with("GET /templates") => told(json!({"sample": {}})),
        _ => told(record("completed")),
    });
    let desk = Desk::new();
    assert_status(&desk.run(&server.url, &["send", "mine", "--token", "secret", "-o", "out.pdf"]), 0);
    assert_eq!(fs::read(desk.path("out.pdf")).expect("a file"), b"%PDF-");
    for call in ["GET /templates/mine", "POST /append_queue", "GET /jobs/"] {
        let seen = server.seen(call);
        assert!(!seen.is_empty() && seen.iter().all(|headers| headers["authorization"] == "Bearer secret"), "{call}");
    }
    let [headers] = &storage.seen("GET /report.pdf")[..] else { panic!("one download") };
    assert!(!headers.contains_key("authorization") && !headers.contains_key("referer"), "{headers:?}");
}

#[test]
fn a_call_is_never_sent_on_to_another_address() {
    let elsewhere = Decoy::start(|_| accepted());
    let location = format!("{}/append_queue", elsewhere.url);
    let server = Decoy::start(move |call| match call {
        "POST /append_queue" => Some((StatusCode::TEMPORARY_REDIRECT, [(LOCATION, &*location)]).into_response()),
        _ => told(json!({"sample": {}})),
    });
    let stderr = assert_status(&Desk::new().run(&server.url, &["send", "mine", "--token", "secret"]), 4);
    assert!(stderr.contains(&elsewhere.url) && stderr.contains("--url"), "{stderr}");
    assert!(elsewhere.seen("").is_empty());
}

#[test]
fn a_request_is_sent_again_under_its_key_while_trouble_may_pass() {
    let calls = Mutex::new(0);
    let server = Decoy::start(move |call| {
        if !call.starts_with("POST") {
            return told(json!({"sample": {}}));
        }
        let mut calls = calls.lock().expect("no panic");
        *calls += 1;
        match *calls {
            1 => None,
            2 => Some((StatusCode::SERVICE_UNAVAILABLE, [(RETRY_AFTER, "1")], "It is busy.").into_response()),
            _ => accepted(),
        }
    });
    let desk = Desk::new();
    let output = desk.run(&server.url, &["send", "mine"]);
    let stderr = assert_status(&output, 0);
    assert_eq!(stderr.matches("trying again").count(), 2, "{stderr}");
    assert!(stderr.contains("It is busy; trying again in"), "{stderr}");
    assert_eq!(told_as(&output, "job"), ID);
    assert_status(&desk.run(&server.url, &["send", "mine"]), 0);

    let keys: Vec<_> = server.seen("POST").iter().map(|headers| headers["idempotency-key"].clone()).collect();
    assert_eq!(keys.len(), 4);
    assert!(keys[0] == keys[1] && keys[1] == keys[2] && keys[2] != keys[3], "{keys:?}");
}

#[test]
fn a_full_quota_of_bytes_is_not_waited_for() {
    let problem = json!({
        "type": "urn:pressrun:problem:too-many-bytes", "title": "You have stored too much.", "detail": "Send less.",
    });
    let refusal = move || (StatusCode::TOO_MANY_REQUESTS, [(RETRY_AFTER, "86400")], Json(problem.clone()));
    let server = Decoy::start(move |call| match call {
        "POST /append_queue" => Some(refusal().into_response()),
        _ => told(json!({"sample": {}})),
    });
    let stderr = assert_status(&Desk::new().run(&server.url, &["send", "mine"]), 3);
    assert!(stderr.contains("You have stored too much. Send less.") && !stderr.contains("trying again"), "{stderr}");
    assert_eq!(server.seen("POST").len(), 1);
}

#[test]
fn a_server_that_cannot_be_reached_or_has_trouble_is_told_from_one_that_refuses() {
    let free = TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("an address");
    let stderr = assert_status(&Desk::new().run(&format!("http://{free}"), &["jobs"]), 4);
    assert!(stderr.contains(&free.to_string()) && stderr.contains("pressrun serve"), "{stderr}");

    let defect = Decoy::start(|_| Some((StatusCode::INTERNAL_SERVER_ERROR, "oh no").into_response()));
    let stderr = assert_status(&Desk::new().run(&defect.url, &["jobs"]), 4);
    assert!(stderr.contains("500") && stderr.contains("oh no") && stderr.contains("log"), "{stderr}");

    let other = Decoy::start(|_| Some("<html>Welcome!</html>".into_response()));
    let stderr = assert_status(&Desk::new().run(&other.url, &["jobs"]), 4);
    assert!(stderr.contains("does not answer as Pressrun does") && stderr.contains("--url"), "{stderr}");
}

#[test]
fn where_a_job_stands_is_told_before_its_end_is_waited_for() {
    let server = Decoy::start(|call| match call {
        "POST /append_queue" => accepted(),
        call if call.starts_with("GET /templates") => told(json!({"sample": {}})),
        call if call.contains("?wait=") => told(record("completed")),
        call if call.ends_with("/report") => Some("%PDF-".into_response()),
        _ => told(record("running")),
    });
    let stderr = assert_status(&Desk::new().run(&server.url, &["send", "mine", "--wait"]), 0);
    let words: Vec<_> = stderr.lines().filter_map(|line| line.split_whitespace().next()).collect();
    assert_eq!(words, ["running", "completed"]);
}

#[test]
fn a_server_that_answers_at_once_is_not_asked_without_pause() {
    let began = Mutex::new(None);
    let server = Decoy::start(move |call| match call {
        "POST /append_queue" => accepted(),
        call if call.starts_with("GET /templates") => told(json!({"sample": {}})),
        call if call.ends_with("/report") => Some("%PDF-".into_response()),
        _ => {
            let began = *began.lock().expect("no panic").get_or_insert_with(Instant::now);
            told(record(if began.elapsed() < Duration::from_secs(1) { "running" } else { "completed" }))
        }
    });
    assert_status(&Desk::new().run(&server.url, &["send", "mine", "--wait"]), 0);
    let asked = server.seen("GET /jobs/").len() - server.seen(&format!("GET /jobs/{ID}/report")).len();
    assert!((2..=7).contains(&asked), "{asked} times");
}

#[test]
fn a_report_that_is_not_whole_is_not_written() {
    let server = Decoy::start(|call| match call {
        "POST /append_queue" => accepted(),
        call if call.starts_with("GET /templates") => told(json!({"sample": {}})),
        call if call.ends_with("/report") => Some("%PD".into_response()),
        _ => told(record("completed")),
    });
    let desk = Desk::new();
    let output = desk.run(&server.url, &["send", "mine", "-o", "out.pdf"]);
    let stderr = assert_status(&output, 4);
    assert!(stderr.contains("3 bytes") && stderr.contains(&format!("pressrun job {ID}")), "{stderr}");
    assert!(desk.is_empty());
}

#[test]
fn files_that_cannot_be_read_or_written_are_named_before_anything_is_sent() {
    let server = Decoy::start(|_| accepted());
    let desk = Desk::new();
    fs::create_dir(desk.path("folder")).expect("a folder");
    for (arguments, name) in [
        (["--data", "absent.json"], "absent.json"),
        (["-o", "nowhere/out.pdf"], "nowhere/out.pdf"),
        (["-o", "folder"], "folder"),
    ] {
        let stderr = assert_status(&desk.run(&server.url, &[&["send", "mine"][..], &arguments].concat()), 5);
        assert!(stderr.contains(name), "{stderr}");
    }
    assert!(server.seen("").is_empty());
}

#[test]
fn what_makes_no_sense_is_said() {
    let (server, desk) = (Server::start(HELLO, &[]), Desk::new());
    for (arguments, words) in [
        (&["send", "mine"][..], "--data"),
        (&["send", "../mine"], "../mine"),
        (&["send", "mine", "--data", "rows.ndjson", "--separator", ";"], "--separator goes with a .csv file"),
        (&["send", "mine", "--token", "two\nlines"], "token"),
        (&["job", "7"], "7"),
        (&["jobs", "--status", "lost"], "lost"),
        (&["jobs", "--limit", "0"], "0"),
        (&["jobs", "--url", "reports.example.org"], "https://"),
    ] {
        let stderr = assert_status(&desk.run(&server.url(), arguments), 2);
        assert!(stderr.contains(words), "{arguments:?}: {stderr}");
    }
}

#[test]
fn jobs_are_listed_the_newest_first_and_filtered() {
    let (server, desk) = (Server::hello(&[]), Desk::new());
    server.add("templates/broken/main.typ", "#totl");
    server.add("templates/broken/sample.json", "{}");
    let mut sent = Vec::new();
    for (template, status) in [("mine", 0), ("broken", 1), ("mine", 0)] {
        let output = desk.run(&server.url(), &["send", template, "--wait"]);
        assert_status(&output, status);
        sent.insert(0, told_as(&output, "job"));
    }
    let listed = |arguments: &[&str]| {
        let output = desk.run(&server.url(), &[&["jobs"], arguments].concat());
        assert_status(&output, 0);
        let text = stdout(&output);
        let ids = text.lines().skip(1).map(|line| line.split_whitespace().next().expect("a word").to_owned());
        (ids.collect::<Vec<_>>(), text)
    };
    assert_eq!(listed(&[]).0, sent);
    assert_eq!(listed(&["--limit", "2"]).0, sent[..2]);
    assert_eq!(listed(&["--template", "mine"]).0, [sent[0].clone(), sent[2].clone()]);
    let (failed, text) = listed(&["--status", "failed"]);
    assert_eq!(failed, sent[1..2]);
    let error = server.get(&format!("/jobs/{}", sent[1]))["error"]["title"].clone();
    assert!(text.contains(error.as_str().expect("a title")), "{text}");
    assert_eq!(listed(&["--status", "queued"]).1, "");
}

#[test]
fn a_list_longer_than_a_page_goes_on_where_the_page_ends() {
    let server = Decoy::start(|call| {
        let page = |jobs: usize, next: Option<&str>| told(json!({"jobs": vec![record("queued"); jobs], "next": next}));
        match call {
            "GET /jobs?limit=100" => page(100, Some("a b")),
            "GET /jobs?limit=50&cursor=a+b" => page(20, Some("c")),
            "GET /jobs?limit=30&cursor=c" => page(3, None),
            _ => None,
        }
    });
    let output = Desk::new().run(&server.url, &["jobs", "--limit", "150", "--json"]);
    assert_status(&output, 0);
    let list: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!((list["jobs"].as_array().map(Vec::len), list.get("next")), (Some(123), None));
}

#[test]
fn as_json_a_job_and_a_list_are_what_the_server_says() {
    let (server, desk) = (Server::hello(&[]), Desk::new());
    let id = told_as(&desk.run(&server.url(), &["send", "mine", "--wait"]), "job");
    for (arguments, path) in [(&["job", &id][..], format!("/jobs/{id}")), (&["jobs"], "/jobs".to_owned())] {
        let output = desk.run(&server.url(), &[arguments, &["--json"]].concat());
        assert_status(&output, 0);
        let printed: Value = serde_json::from_slice(&output.stdout).expect("JSON");
        assert_eq!(printed, server.get(&path));
    }
}

#[test]
fn no_json_has_what_a_terminal_acts_on() {
    let controls = "\u{9b}31m\u{7f}\u{202e}";
    let failed = move || {
        let mut failed = record("failed");
        failed["error"] = json!({"type": "x", "title": "Odd.", "detail": controls});
        failed
    };
    let server = Decoy::start(move |call| match call {
        "GET /jobs?limit=20" => told(json!({"jobs": [failed()]})),
        _ => told(failed()),
    });
    for (arguments, pointer) in [(["job", ID].as_slice(), "/error/detail"), (&["jobs"], "/jobs/0/error/detail")] {
        let output = Desk::new().run(&server.url, &[arguments, &["--json"]].concat());
        assert_status(&output, 0);
        let text = stdout(&output);
        assert!(text.contains(r"\u009b31m\u007f\u202e") && !text.contains(['\u{9b}', '\u{7f}', '\u{202e}']), "{text}");
        let printed: Value = serde_json::from_str(&text).expect("JSON");
        assert_eq!(printed.pointer(pointer), Some(&json!(controls)));
    }
}
