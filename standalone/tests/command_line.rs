//! The command line as a script meets it: files, exit statuses, and what is printed.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use tempfile::TempDir;

/// A folder to work in, with a `templates` folder beside it.
struct Desk {
    folder: TempDir,
}

impl Desk {
    fn new() -> Self {
        Self { folder: TempDir::new().expect("a folder") }
    }

    fn with_template(main: &str) -> Self {
        let desk = Self::new();
        fs::create_dir_all(desk.path("templates/mine")).expect("a folder");
        fs::write(desk.path("templates/mine/main.typ"), main).expect("a template");
        fs::write(desk.path("templates/mine/sample.json"), r#"{"name": "sample"}"#).expect("a sample");
        desk
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_pressrun"));
        command.args(arguments).current_dir(&self.folder).env_remove("SOURCE_DATE_EPOCH");
        command
    }

    fn run(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().expect("pressrun starts")
    }

    /// The files in the folder, without the templates.
    fn files(&self) -> Vec<String> {
        let entries = fs::read_dir(&self.folder).expect("a folder");
        let mut names: Vec<_> =
            entries.map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned()).collect();
        names.retain(|name| name != "templates");
        names.sort();
        names
    }
}

fn shipped_templates() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../templates")
}

#[track_caller]
fn assert_status(output: &Output, status: i32) -> String {
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(status), "{stderr}");
    stderr
}

#[test]
fn every_shipped_sample_renders_and_conforms_to_the_accessible_standards() {
    let (desk, templates) = (Desk::new(), shipped_templates());
    for template in ["invoice", "statement", "ledger", "letter"] {
        for standard in ["1.7", "a-2b", "a-2a", "a-3b", "ua-1"] {
            let output = desk
                .command(&["render", template, "--pdf-standard", standard, "-o", "out.pdf"])
                .env("PRESSRUN_TEMPLATES", &templates)
                .output()
                .expect("pressrun starts");
            assert_eq!(assert_status(&output, 0), "", "{template} {standard}");
            assert!(fs::read(desk.path("out.pdf")).expect("a file").starts_with(b"%PDF-1."));
        }
    }
}

#[test]
fn the_same_input_gives_the_same_bytes_and_another_gives_others() {
    let desk = Desk::with_template("Hello #json(\"/data.json\").name");
    fs::write(desk.path("other.json"), r#"{"name": "other"}"#).expect("data");
    assert_status(&desk.run(&["render", "mine", "-o", "a.pdf"]), 0);
    assert_status(&desk.run(&["render", "mine", "-o", "b.pdf"]), 0);
    assert_status(&desk.run(&["render", "mine", "-o", "c.pdf", "--data", "other.json"]), 0);
    assert_status(&desk.run(&["render", "mine", "-o", "d.pdf", "--timestamp", "2001-02-03T04:05:06Z"]), 0);
    let [a, b, c, d] = ["a.pdf", "b.pdf", "c.pdf", "d.pdf"].map(|name| fs::read(desk.path(name)).expect("a file"));
    assert_eq!(a, b);
    assert_ne!(a, c);
    assert_ne!(a, d);
}

#[test]
fn a_templates_error_is_shown_where_it_stands_and_no_file_is_written() {
    let desk = Desk::with_template("= Title\n\nTotal: #totl");
    let stderr = assert_status(&desk.run(&["render", "mine", "-o", "out.pdf"]), 1);
    assert!(stderr.contains("main.typ:3:9"), "{stderr}");
    assert!(stderr.contains("Total: #totl") && stderr.contains("^^^^"), "{stderr}");
    assert_eq!(desk.files(), Vec::<String>::new());
}

#[test]
fn data_that_does_not_fit_the_schema_is_refused_with_its_places() {
    let desk = Desk::with_template("hello");
    let schema = r#"{"type": "object", "required": ["total"], "properties": {"name": {"type": "integer"}}}"#;
    fs::write(desk.path("templates/mine/schema.json"), schema).expect("a schema");
    let stderr = assert_status(&desk.run(&["render", "mine"]), 3);
    assert!(stderr.contains("/name:") && stderr.contains("\"total\" is a required property"), "{stderr}");

    fs::write(desk.path("broken.json"), "{\n  oops").expect("data");
    let stderr = assert_status(&desk.run(&["render", "mine", "--data", "broken.json"]), 3);
    assert!(stderr.contains("broken.json is not JSON") && stderr.contains("line 2 column 3"), "{stderr}");
    assert_eq!(desk.files(), ["broken.json"]);
}

#[test]
fn data_that_cannot_be_read_is_the_datas_fault() {
    let desk = Desk::new();
    let utf16 = |text: &str| text.encode_utf16().flat_map(u16::to_le_bytes).collect::<Vec<_>>();
    fs::write(desk.path("utf16.json"), utf16("{}")).expect("data");
    fs::write(desk.path("list.json"), "[]").expect("data");
    fs::write(desk.path("rows.ndjson"), "").expect("rows");
    for (template, arguments, words) in [
        ("letter", &["--data", "utf16.json"][..], "utf16.json cannot be read: the text is UTF-16; save it as UTF-8"),
        ("ledger", &["--data", "rows.ndjson", "--head", "utf16.json"], "utf16.json cannot be read: the text is UTF-16"),
        ("ledger", &["--data", "rows.ndjson", "--head", "list.json"], "list.json is not a JSON object"),
    ] {
        let mut command = desk.command(&["render", template]);
        let output = command.args(arguments).env("PRESSRUN_TEMPLATES", shipped_templates()).output();
        let stderr = assert_status(&output.expect("pressrun starts"), 3);
        assert!(stderr.contains(words), "{arguments:?}: {stderr}");
    }
}

#[test]
fn the_whole_document_is_called_so() {
    let desk = Desk::with_template("hello");
    fs::write(desk.path("templates/mine/schema.json"), r#"{"required": ["total"]}"#).expect("a schema");
    let stderr = assert_status(&desk.run(&["render", "mine"]), 3);
    assert!(stderr.contains("\n  the document: \"total\" is a required property"), "{stderr}");
}

#[test]
fn data_comes_from_standard_input_and_the_report_goes_to_standard_output() {
    let desk = Desk::with_template("Hello #json(\"/data.json\").name");
    let mut command = desk.command(&["render", "mine", "--data", "-", "-o", "-"]);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("pressrun starts");
    child.stdin.take().expect("a pipe").write_all(br#"{"name": "pipe"}"#).expect("written");
    let output = child.wait_with_output().expect("pressrun ends");
    assert_eq!(output.status.code(), Some(0));
    assert!(output.stdout.starts_with(b"%PDF-"));
    assert_eq!(desk.files(), Vec::<String>::new());
}

#[test]
fn images_come_one_a_page() {
    let desk = Desk::with_template("#set page(width: 40pt, height: 40pt)\none #pagebreak() two");
    assert_status(&desk.run(&["render", "mine", "--format", "png", "-o", "page.png"]), 0);
    assert_status(&desk.run(&["render", "./templates/mine", "--format", "svg"]), 0);
    assert_eq!(desk.files(), ["mine-1.svg", "mine-2.svg", "page-1.png", "page-2.png"]);
    assert!(fs::read(desk.path("page-2.png")).expect("a file").starts_with(b"\x89PNG"));
}

#[test]
fn each_limit_ends_a_report_by_its_name() {
    for (main, limit, words) in [
        ("#for a in range(100000) { for b in range(100000) { let c = a * b } }", "--time-limit=1", "took too long"),
        ("#let all = range(1000000000)", "--memory-limit=256", "took too much memory"),
        ("#for n in range(20000) [#n #linebreak()]", "--output-limit=1", "became too large"),
    ] {
        let main = main.replace("[#n #linebreak()]", "[#str(n * 7919) #linebreak()]");
        let desk = Desk::with_template(&format!("#set page(height: 200pt)\n{main}"));
        let stderr = assert_status(&desk.run(&["render", "mine", limit]), 4);
        assert!(stderr.contains(words), "{stderr}");
        assert_eq!(desk.files(), Vec::<String>::new());
    }
}

#[test]
fn what_makes_no_sense_is_said_before_anything_starts() {
    let desk = Desk::with_template("hello");
    for (arguments, words) in [
        (&["render", "absent"][..], "there is no template `absent`"),
        (&["render", "mine", "--format", "gif"], "gif"),
        (&["render", "mine", "--separator", ","], "--separator goes with a .csv file"),
        (&["render", "mine", "--data", "rows.ndjson", "--decimal-comma"], "--decimal-comma goes with a .csv file"),
        (&["render", "mine", "--pdf-standard", "a-9"], "a-9"),
        (&["render", "mine", "--format", "png", "--pdf-standard", "a-2b"], "a-2b"),
        (&["render", "mine", "--pdf-standard", "ua-1", "--no-tags"], "ua-1"),
        (&["serve", "--addr", "0.0.0.0:0"], "add --tokens-file"),
        (&["serve", "--addr", "0.0.0.0:0", "--access", "none"], "add --accept-anybody"),
        (&["serve", "--access", "iam"], "--access iam is for AWS"),
        (&["serve", "--access", "jwt"], "--access jwt needs --jwt-issuer and --jwt-audience"),
        (
            &["serve", "--access", "jwt", "--jwt-issuer", "http://x.example", "--jwt-audience", "x"],
            "must be an https URL",
        ),
        (&["serve", "--addr", "0.0.0.0:0"], "--access none --accept-anybody"),
        (&["serve", "--addr", "localhost:9000"], "such as 127.0.0.1:9000"),
        (&["serve", "--access", "jwt", "--tokens", "crm x-of-16-characters"], "--access jwt takes no tokens"),
        (&["serve", "--access", "none", "--token", "x-of-16-characters"], "--access none takes no tokens"),
        (&["serve", "--jwt-audience", "x"], "are for --access jwt"),
        (&["serve", "--tokens", "crm"], "entry 1 is not"),
        (&["serve", "--tokens", "crm sixteen-characters publish"], "entry 1 names an unknown right"),
        (
            &["serve", "--token", "x-of-16-characters", "--tokens", "crm x-of-16-characters"],
            "entry 1 has the token of another caller",
        ),
        (&["serve", "--tokens-file", "/dev/null"], "/dev/null has no token. Add one: `echo"),
        (&["serve", "--token", "a"], "at least 16 characters"),
        (&["serve", "--token", ""], "at least 16 characters"),
        (&["serve", "--token", " "], "at least 16 characters"),
        (&["serve", "--token", "sixteen-charactersü"], "at least 16 characters"),
        (&["serve", "--allowed-hosts", "http://press"], "is no host"),
        (&["serve", "--tokens-file", "absent"], "cannot read absent"),
        (&["serve", "--cors-origins", "app.example.org"], "is no origin"),
        (&["serve", "--quota-jobs", "0"], "quota-jobs"),
        (&["serve", "--quota-bytes", "5M"], "a whole number of bytes"),
        (&["serve", "--mail-from", "a"], "not an address"),
        (&["serve", "--mail-to", "b@c.d;e@f.g"], "several are separated by commas"),
    ] {
        let stderr = assert_status(&desk.run(arguments), 2);
        assert!(stderr.contains(words), "{arguments:?}: {stderr}");
    }
    assert_eq!(desk.files(), Vec::<String>::new());
}

#[test]
fn a_server_that_cannot_start_says_what_to_do() {
    let desk = Desk::with_template("hello");
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let addr = taken.local_addr().expect("an address").to_string();
    let stderr = assert_status(&desk.run(&["serve", "--addr", &addr]), 1);
    assert!(stderr.contains(&addr) && stderr.contains("--addr"), "{stderr}");

    fs::create_dir(desk.path("data")).expect("a folder");
    fs::write(desk.path("data/pressrun.db"), "this is no database, however long it may be ".repeat(100))
        .expect("a file");
    let stderr = assert_status(&desk.run(&["serve", "--addr", "127.0.0.1:0", "--data", "data"]), 1);
    assert!(stderr.contains("data/pressrun.db") && stderr.contains("Restore the file"), "{stderr}");

    let stderr = assert_status(&desk.run(&["serve", "--addr", "127.0.0.1:0", "--templates", "nowhere"]), 1);
    assert!(stderr.contains("nowhere") && stderr.contains("--templates"), "{stderr}");
}
