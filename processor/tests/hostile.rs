//! Templates that mean harm. Each meets the error it deserves, within its time, and the next job does not notice.

#[allow(dead_code, reason = "each test file uses some of it")]
mod bench;

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use bench::Bench;
use jobs::job::{MEBIBYTE, now};
use jobs::{Job, JobId, Message, Status};
use processor::{Limits, Verdict};
use serde_json::json;

/// What a job takes beside its time limit on a slow and busy machine.
const MARGIN: Duration = Duration::from_secs(30);

/// The most bytes that the record of one failure may have, whatever a template puts into its errors.
const MAX_FAILURE: usize = 256 * 1024;

/// The template that must come out whole after each of the others.
const HARMLESS: &str = "harmless";

/// What templates reach for. None of it may be in a failure.
const SECRETS: [&str; 3] = ["Two and two", "root:x:0:0", "RAYON_NUM_THREADS"];

/// Links that the hostile templates count on: in which template, under which name, to where.
const LINKS: [(&str, &str, &str); 4] = [
    ("follows-a-link-out", "stolen.typ", "../harmless/main.typ"),
    ("follows-a-linked-folder-out", "up", ".."),
    ("follows-a-link-in-circles", "circle.txt", "circle.txt"),
    ("takes-fonts-from-elsewhere", "fonts", "/"),
];

/// A template, and words that its failure must say.
type Row = (&'static str, &'static str);

/// Refused as `template-error`.
const REFUSED: [Row; 28] = [
    ("breaks-a-plugin", "failed to load WebAssembly module"),
    ("climbs-out", "would escape the project root"),
    ("climbs-out-of-the-kit", "would escape the project root"),
    ("compiles-a-huge-pattern", "exceeds size limit"),
    ("draws-an-svg-bomb", "nodes limit reached"),
    ("fails-two-thousand-times", "and 19 more"),
    ("follows-a-link-in-circles", "circle.txt"),
    ("follows-a-link-out", "is a link that leads out of the template's folder"),
    ("follows-a-linked-folder-out", "is a link that leads out of the template's folder"),
    ("hoards-in-a-plugin", "plugin panicked"),
    ("imports-a-local-package", "packages are not available here"),
    ("imports-a-package", "packages are not available here"),
    ("includes-itself", "cyclic import"),
    ("links-a-picture-from-elsewhere", "would escape the project root"),
    ("names-a-path-of-megabytes", "failed to load file"),
    ("nests-source-deeply", "maximum parsing depth exceeded"),
    ("nests-thousands-of-boxes", "maximum layout depth exceeded"),
    ("prints-terminal-codes", "panicked with"),
    ("reads-a-yaml-bomb", "repetition limit exceeded"),
    ("reads-an-absolute-path", "the template's folder has no `etc/passwd`"),
    ("reads-an-xml-bomb", "unknown entity 'file'"),
    ("reads-the-environment", "the template's folder has no `proc/self/environ`"),
    ("recurses-for-ever", "maximum function call depth exceeded"),
    ("recurses-in-a-plugin", "call stack exhausted"),
    ("shouts", "panicked with"),
    ("shows-itself-for-ever", "maximum show rule depth exceeded"),
    ("while-it-seems-to-end", "loop seems to be infinite"),
    ("while-true", "condition is always true"),
];

/// Killed with `time-limit-exceeded`.
const TOO_LONG: [Row; 6] = [
    ("loops-for-ever", "after 3 s"),
    ("loops-in-evaluated-code", "after 3 s"),
    ("matches-for-ever", "after 3 s"),
    ("spins-in-a-plugin", "after 3 s"),
    ("spins-in-a-plugins-start", "after 3 s"),
    ("unfolds-boxes", "after 3 s"),
];

/// Stopped with `memory-limit-exceeded`.
const TOO_GREEDY: [Row; 12] = [
    ("doubles-content", "512 MiB"),
    ("fetches-a-huge-range", "512 MiB"),
    ("fills-a-grid", "512 MiB"),
    ("hoards-strings", "512 MiB"),
    ("loops-in-layout", "512 MiB"),
    ("makes-an-endless-page", "512 MiB"),
    ("makes-endless-pages", "512 MiB"),
    ("multiplies-a-string", "512 MiB"),
    ("opens-a-picture-bomb", "512 MiB"),
    ("reads-a-lying-length", "512 MiB"),
    ("repeats-beyond-any-machine", "512 MiB"),
    ("warns-a-million-times", "512 MiB"),
];

/// Refused as `page-limit-exceeded`.
const TOO_MANY_PAGES: [Row; 1] = [("makes-ten-thousand-pages", "10000 pages, the limit is 500")];

/// Refused as `output-limit-exceeded`.
const TOO_LARGE: [Row; 1] = [("writes-megabytes", "the limit is 1048576")];

/// Does no harm after all: there is a report.
const COMPLETED: [&str; 7] = [
    HARMLESS,
    // Kills its child when it is forgotten, in the middle of the report after it.
    "nests-a-million-arrays",
    "makes-a-huge-page",
    "makes-an-infinite-page",
    "never-converges",
    "takes-fonts-from-elsewhere",
    "warns-ten-thousand-times",
];

/// Limits that a template meets soon.
fn small() -> Limits {
    Limits {
        time: Duration::from_secs(3),
        memory_bytes: 512 * MEBIBYTE,
        output_bytes: MEBIBYTE,
        pages: 500,
        ..Limits::default()
    }
}

/// The same, with time enough to fill the memory on a slow machine.
fn patient() -> Limits {
    Limits { time: Duration::from_secs(40), ..small() }
}

#[test]
fn every_hostile_template_is_in_one_list() {
    let listed = [&REFUSED[..], &TOO_LONG, &TOO_GREEDY, &TOO_MANY_PAGES, &TOO_LARGE];
    let mut names: Vec<&str> = listed.iter().flat_map(|rows| rows.iter().map(|row| row.0)).collect();
    names.extend(COMPLETED);
    let folders = fs::read_dir(hostile()).expect("the folder of hostile templates");
    let folders: BTreeSet<String> =
        folders.map(|entry| entry.expect("an entry").file_name().into_string().expect("a name")).collect();
    assert_eq!(names.len(), folders.len(), "a template is in two lists, or in none");
    assert_eq!(names.into_iter().map(str::to_owned).collect::<BTreeSet<_>>(), folders);
}

#[tokio::test]
async fn what_breaks_the_rules_is_refused() {
    each_fails("template-error", &REFUSED, patient()).await;
}

#[tokio::test]
async fn what_does_not_end_is_killed() {
    each_fails("time-limit-exceeded", &TOO_LONG, small()).await;
}

#[tokio::test]
async fn what_takes_all_memory_is_stopped() {
    each_fails("memory-limit-exceeded", &TOO_GREEDY, patient()).await;
}

#[tokio::test]
async fn what_becomes_too_large_is_refused() {
    each_fails("page-limit-exceeded", &TOO_MANY_PAGES, small()).await;
    each_fails("output-limit-exceeded", &TOO_LARGE, small()).await;
}

#[tokio::test]
async fn what_only_looks_hostile_becomes_a_report() {
    let bench = bench_of(&COMPLETED, patient()).await;
    for template in COMPLETED {
        completes(&bench, template).await;
        completes(&bench, HARMLESS).await;
    }
}

/// Runs each template and, on the same press, a harmless one after it.
async fn each_fails(name: &str, rows: &[Row], limits: Limits) {
    let templates: Vec<&str> = rows.iter().map(|row| row.0).chain([HARMLESS]).collect();
    let bench = bench_of(&templates, limits).await;
    for (template, words) in rows {
        let start = Instant::now();
        let job = run(&bench, template).await;
        let took = start.elapsed();
        assert_eq!(job.status, Status::Failed, "{template}: {job:?}");
        assert_eq!((job.attempts, job.notified_at.is_some()), (1, true), "{template}: {job:?}");
        let failure = job.error.expect("a failure has a reason");
        assert_eq!(failure.kind, format!("urn:pressrun:problem:{name}"), "{template}: {failure:?}");
        let record = serde_json::to_string(&failure).expect("JSON");
        assert!(record.len() < MAX_FAILURE, "{template}: a record of {} bytes", record.len());
        let shown = failure.diagnostics.iter().map(|diagnostic| diagnostic.rendered.as_str());
        let shown = shown.chain([failure.detail.as_str()]).collect::<String>();
        assert!(shown.contains(words), "{template}: {shown}");
        assert!(!shown.contains(['\u{1b}', '\u{202e}']), "{template} says what a terminal obeys: {shown:?}");
        for secret in SECRETS {
            assert!(!record.contains(secret), "{template} read what is not its own: {record}");
        }
        assert!(bench.mail(job.id, Status::Failed).contains(&job.id.to_string()), "{template}");
        assert!(took < limits.time + MARGIN, "{template} took {took:?}");
        completes(&bench, HARMLESS).await;
    }
}

async fn completes(bench: &Bench, template: &str) {
    let job = run(bench, template).await;
    assert_eq!((job.status, job.notified_at.is_some()), (Status::Completed, true), "{template}: {job:?}");
    bench.mail(job.id, Status::Completed);
    let report = bench.report(job.id).await.expect("a report");
    assert!(report.starts_with(b"%PDF-"), "{template}");
}

async fn run(bench: &Bench, template: &str) -> Job {
    let job = Job::queued(JobId::new(), template, now());
    let message = Message::new(&job, Some(json!({ "name": "world" }).into()));
    assert_eq!(bench.process(&message).await, Verdict::Acknowledge, "{template}");
    bench.job(message.id).await
}

/// A bench that has copies of these hostile templates, and their links.
async fn bench_of(templates: &[&str], limits: Limits) -> Bench {
    let bench = Bench::with_limits(&[], limits).await;
    let root = &bench.processor.templates;
    for template in templates {
        copy(&hostile().join(template), &root.join(template));
    }
    for (template, name, target) in LINKS.iter().filter(|link| templates.contains(&link.0)) {
        symlink(target, root.join(template).join(name)).expect("a link");
    }
    bench
}

fn hostile() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/hostile")
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("a folder");
    for entry in fs::read_dir(from).expect("a template's folder") {
        let entry = entry.expect("an entry");
        fs::copy(entry.path(), to.join(entry.file_name())).expect("a copy");
    }
}
