//! One `pressrun serve` on a port of its own.

use std::fs;
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

use tempfile::TempDir;

/// A server with one template, `mine`, and its data in the folder `pressrun-data`.
pub(crate) struct Server {
    pub(crate) process: Child,
    /// Host and port.
    pub(crate) address: String,
    pub(crate) folder: TempDir,
}

impl Server {
    /// Serves the template `main`.
    pub(crate) fn start(main: &str, options: &[&str]) -> Self {
        let folder = TempDir::new().expect("a folder");
        let template = folder.path().join("templates/mine");
        fs::create_dir_all(&template).expect("a folder");
        fs::write(template.join("main.typ"), main).expect("a template");
        let mut process = Command::new(env!("CARGO_BIN_EXE_pressrun"))
            .args(["serve", "--addr", "127.0.0.1:0"])
            .args(options)
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
}

impl Drop for Server {
    fn drop(&mut self) {
        _ = self.process.kill();
        _ = self.process.wait();
    }
}
