//! A server that is told to stop: it finishes what it can in the time it has, gives the rest back, and exits with 0.
#![cfg(unix)]

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use jobs::local::Local;
use jobs::{Job, JobId, JobStore, Status};
use tempfile::TempDir;

const ENDLESS: &str = "#for a in range(100000) { for b in range(100000) { let c = a * b } }";
const SLOW: &str = "#for a in range(1000) { for b in range(1000) { let c = a * b } }\nDone.";

struct Server {
    process: Child,
    address: String,
    folder: TempDir,
}

impl Server {
    fn start(main: &str, stop_timeout: &str) -> Self {
        let folder = TempDir::new().expect("a folder");
        let template = folder.path().join("templates/mine");
        fs::create_dir_all(&template).expect("a folder");
        fs::write(template.join("main.typ"), main).expect("a template");
        let mut process = Command::new(env!("CARGO_BIN_EXE_pressrun"))
            .args(["serve", "--addr", "127.0.0.1:0", "--stop-timeout", stop_timeout])
            .current_dir(&folder)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("pressrun starts");
        let mut greeting = String::new();
        let mut stdout = BufReader::new(process.stdout.take().expect("piped"));
        stdout.read_line(&mut greeting).expect("it says where it listens");
        let address = greeting.trim().rsplit("http://").next().expect("a URL").to_owned();
        // It must be able to print its announcements.
        std::thread::spawn(move || std::io::copy(&mut stdout, &mut std::io::sink()));
        Self { process, address, folder }
    }

    fn call(&self, request: &str, body: &str) -> String {
        let mut stream = TcpStream::connect(&self.address).expect("the server listens");
        let length = body.len();
        write!(
            stream,
            "{request} HTTP/1.1\r\nhost: press.test\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n{body}"
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

impl Drop for Server {
    fn drop(&mut self) {
        _ = self.process.kill();
        _ = self.process.wait();
    }
}

#[test]
fn a_stopped_server_finishes_the_report_in_progress() {
    let mut server = Server::start(SLOW, "60");
    let id = server.run_job();
    let job = server.stop(id);
    assert_eq!(job.status, Status::Completed, "{job:?}");
    assert!(job.notified_at.is_some());
}

#[test]
fn a_stopped_server_gives_back_what_takes_too_long() {
    let mut server = Server::start(ENDLESS, "1");
    let id = server.run_job();
    let job = server.stop(id);
    assert_eq!((job.status, job.error), (Status::Queued, None));
}
