//! A server that is told to stop: it finishes what it can in the time it has, gives the rest back, and exits with 0.
#![cfg(unix)]

mod support;

use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::Command;
use std::time::{Duration, Instant};

use jobs::local::Local;
use jobs::{Job, JobId, JobStore, Status};
use support::Server;

const ENDLESS: &str = "#for a in range(100000) { for b in range(100000) { let c = a * b } }";
const SLOW: &str = "#for a in range(1000) { for b in range(1000) { let c = a * b } }\nDone.";

impl Server {
    fn call(&self, request: &str, body: &str) -> String {
        let mut stream = TcpStream::connect(&self.address).expect("the server listens");
        let (length, host) = (body.len(), &self.address);
        write!(
            stream,
            "{request} HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n{body}"
        )
        .expect("the server reads");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("the server answers");
        answer
    }

    /// Queues a job and returns when it runs.
    fn run_job(&self) -> JobId {
        let answer = self.call("POST /append_queue", r#"{"template": "mine", "data": {}}"#);
        let (_, body) = answer.split_once("\r\n\r\n").expect("a body");
        let body: serde_json::Value = serde_json::from_str(body).expect("JSON");
        let id: JobId = body["id"].as_str().expect("an id").parse().expect("a UUID");
        let deadline = Instant::now() + Duration::from_secs(60);
        while !self.call(&format!("GET /jobs/{id}"), "").contains(r#""status":"running""#) {
            assert!(Instant::now() < deadline, "the job does not run");
            std::thread::sleep(Duration::from_millis(20));
        }
        id
    }

    /// Sends SIGTERM, waits for the end, and reads the job's record.
    fn stop(&mut self, id: JobId) -> Job {
        let pid = self.process.id().to_string();
        assert!(Command::new("kill").args(["-TERM", &pid]).status().expect("kill runs").success());
        let status = self.process.wait().expect("it ends");
        assert_eq!(status.code(), Some(0), "{status}");
        let runtime = tokio::runtime::Runtime::new().expect("a runtime");
        runtime.block_on(async {
            let local = Local::open(&self.folder.path().join("pressrun-data"), 9).await.expect("the data folder opens");
            local.jobs.get(id).await.expect("the store answers").expect("on record")
        })
    }
}

#[test]
fn a_stopped_server_finishes_the_report_in_progress() {
    let mut server = Server::start(SLOW, &["--stop-timeout", "60"]);
    let id = server.run_job();
    let job = server.stop(id);
    assert_eq!(job.status, Status::Completed, "{job:?}");
    assert!(job.notified_at.is_some());
}

#[test]
fn a_stopped_server_gives_back_what_takes_too_long() {
    let mut server = Server::start(ENDLESS, &["--stop-timeout", "1"]);
    let id = server.run_job();
    let job = server.stop(id);
    assert_eq!((job.status, job.error), (Status::Queued, None));
}
