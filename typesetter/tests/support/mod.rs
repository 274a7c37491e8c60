//! A place for one test's template, kit, data and output, and the request that names them.

use std::fs;
use std::path::{Path, PathBuf};

use chrono::{DateTime, Utc};
use tempfile::TempDir;
use typesetter::{Diagnostic, Engine, Error, Options, OutputLimits, Report, Request};

/// Folders that vanish with the test.
pub(crate) struct Place {
    root: TempDir,
}

#[allow(dead_code, reason = "each test file uses some of these")]
impl Place {
    /// A template that consists of this main file, with `{}` as data and no kit.
    pub(crate) fn new(main: &str) -> Self {
        let root = tempfile::tempdir().expect("a temporary folder");
        let place = Self { root };
        place.write("template/main.typ", main);
        place.write("data.json", "{}");
        fs::create_dir(place.path("output")).expect("the output folder");
        place
    }

    /// One of the templates that are kept in `tests/templates`, copied.
    pub(crate) fn of(name: &str) -> Self {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/templates").join(name);
        let read = |path: &str| fs::read_to_string(folder.join(path));
        let place = Self::new(&read("main.typ").expect("the template"));
        if let Ok(kit) = read("kit/kit.typ") {
            place.write("kit/kit.typ", &kit);
        }
        if let Ok(data) = read("sample.json") {
            place.write("data.json", &data);
        }
        place
    }

    pub(crate) fn path(&self, path: &str) -> PathBuf {
        self.root.path().join(path)
    }

    pub(crate) fn write(&self, path: &str, content: impl AsRef<[u8]>) {
        let path = self.path(path);
        fs::create_dir_all(path.parent().expect("a parent")).expect("folders");
        fs::write(path, content).expect("a file");
    }

    pub(crate) fn request(&self) -> Request {
        Request {
            template: self.path("template"),
            kit: self.path("kit"),
            data: self.path("data.json"),
            output: self.path("output"),
            options: Options::new(noon(), "a-test"),
            limits: OutputLimits { max_output_bytes: 10 << 20, max_pages: 10_000 },
            section: None,
            rows: None,
        }
    }

    /// Typesets with the default options.
    pub(crate) fn typeset(&self) -> Result<Report, Error> {
        Engine::new().typeset(&self.request())
    }

    /// The one PDF.
    pub(crate) fn pdf(&self) -> Vec<u8> {
        fs::read(self.path("output/report.pdf")).expect("a PDF")
    }

    /// The names in the output folder, sorted.
    pub(crate) fn written(&self) -> Vec<String> {
        let entries = fs::read_dir(self.path("output")).expect("the output folder");
        let mut names: Vec<String> =
            entries.map(|entry| entry.expect("an entry").file_name().into_string().expect("a name")).collect();
        names.sort();
        names
    }

    /// The errors of a template that must have some, as a person reads them.
    pub(crate) fn errors(&self) -> String {
        match self.typeset() {
            Err(Error::Template { diagnostics }) => rendered(&diagnostics),
            other => panic!("expected a template error, got {other:?}"),
        }
    }
}

/// Diagnostics as a person reads them.
#[allow(dead_code, reason = "each test file uses some of these")]
pub(crate) fn rendered(diagnostics: &[Diagnostic]) -> String {
    diagnostics.iter().map(Diagnostic::to_string).collect::<Vec<_>>().join("\n")
}

/// The moment at which all tests take place.
pub(crate) fn noon() -> DateTime<Utc> {
    "2026-11-21T12:00:00Z".parse().expect("a timestamp")
}
