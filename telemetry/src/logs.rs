//! Logs: one line an event, as JSON or for people. The fields of the spans that an event happens in (`job_id`,
//! `attempt`, `template`, `request_id`, `trace_id`) are members of its line.

use std::fmt;
use std::io::IsTerminal;

use json_subscriber::JsonLayer;
use tracing::{Level, Metadata, Subscriber};
use tracing_subscriber::filter::{FilterExt, filter_fn};
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::fmt::time::SystemTime;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Layer, Registry, fmt as text};

/// The crates whose spans and events are ours, in every detail.
const OURS: [&str; 10] =
    ["courier", "input", "jobs", "listener", "pressrun", "processor", "stitcher", "sweeper", "telemetry", "typesetter"];

/// How lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// For people, in colour on a terminal.
    Human,
    /// One JSON object a line.
    Json,
}

impl Format {
    /// The word for it in settings.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Human => "human",
            Self::Json => "json",
        }
    }
}

impl fmt::Display for Format {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

/// Starts the log of this process. `RUST_LOG` says what is logged, or `default` where it is absent or makes no sense.
/// What other crates say below `info` never is: it may hold requests, with the tokens and the data in them.
pub fn start<W>(format: Format, writer: W, default: &str)
where
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    start_with(layer(format, writer, default));
}

/// Starts the log with this layer, and no more than once.
pub(crate) fn start_with<L: Layer<Registry> + Send + Sync>(layers: L) {
    _ = tracing_subscriber::registry().with(layers).try_init();
    // Where it was, and not what it says: that may quote data.
    std::panic::set_hook(Box::new(|panic| {
        let place = panic.location().map(tracing::field::display);
        tracing::error!(place, "panicked");
    }));
}

/// What writes the lines.
pub(crate) fn layer<S, W>(format: Format, writer: W, default: &str) -> Box<dyn Layer<S> + Send + Sync>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    let asked = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(default));
    // A span is where an event's fields come from, however few events are asked for.
    let asked = asked.or(filter_fn(|metadata| metadata.is_span() && is_ours(metadata)));
    let filter = asked.and(filter_fn(|metadata| *metadata.level() <= Level::INFO || is_ours(metadata)));
    match format {
        Format::Human => {
            let layer = text::layer().with_ansi(std::io::stderr().is_terminal()).with_target(false);
            layer.with_writer(writer).with_filter(filter).boxed()
        }
        Format::Json => {
            let mut layer = JsonLayer::new(writer);
            layer.with_timer("timestamp", SystemTime);
            layer.with_level("level").with_target("target");
            layer.with_flattened_event().with_top_level_flattened_span_list();
            layer.with_filter(filter).boxed()
        }
    }
}

/// Whether a span or an event is of this program's own making.
pub(crate) fn is_ours(metadata: &Metadata<'_>) -> bool {
    let name = metadata.target().split("::").next().unwrap_or_default();
    OURS.contains(&name)
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::sync::{Arc, Mutex, PoisonError};

    use serde_json::Value;

    use super::*;

    #[derive(Clone, Default)]
    struct Written(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Written {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn lines(level: &str, events: impl FnOnce()) -> Vec<Value> {
        let written = Written::default();
        let writer = written.clone();
        let layer = layer(Format::Json, move || writer.clone(), level);
        tracing::subscriber::with_default(tracing_subscriber::registry().with(layer), events);
        let bytes = written.0.lock().expect("the lines").clone();
        let text = String::from_utf8(bytes).expect("text");
        text.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"))).collect()
    }

    #[test]
    fn a_line_has_the_fields_of_the_spans_around_it() {
        let lines = lines("warn", || {
            let run = tracing::info_span!("run", job_id = "j", template = "letter", attempt = tracing::field::Empty);
            run.record("attempt", 2);
            let _run = run.enter();
            let _store = tracing::info_span!("store", job_id = "j").entered();
            tracing::warn!(pages = 3, "completed");
            tracing::info!("not asked for");
        });
        let [line] = lines.as_slice() else { panic!("{lines:?}") };
        assert_eq!(line["message"], "completed");
        assert_eq!(line["level"], "WARN");
        assert_eq!((&line["job_id"], &line["template"]), (&"j".into(), &"letter".into()));
        assert_eq!((&line["attempt"], &line["pages"]), (&2.into(), &3.into()));
        assert!(line["timestamp"].is_string());
    }

    #[test]
    fn what_others_say_in_detail_is_not_logged() {
        let lines = lines("debug", || {
            tracing::debug!(target: "hyper::proto", "authorization: Bearer s3cret");
            tracing::debug!(target: "jobs::aws", "ours");
            tracing::info!(target: "hyper::proto", "theirs");
        });
        let said: Vec<_> = lines.iter().map(|line| line["message"].as_str().unwrap_or_default()).collect();
        assert_eq!(said, ["ours", "theirs"]);
    }
}
