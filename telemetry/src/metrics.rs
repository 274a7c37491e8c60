//! What is counted and measured. Every metric is in [`METRICS`], under the name that alarms and dashboards use; where
//! its values go is up to the [`Sink`].

use std::sync::OnceLock;
use std::time::Duration;

/// The namespace of the metrics in CloudWatch, and in lower case their prefix in Prometheus.
pub const NAMESPACE: &str = "Pressrun";

/// One metric.
#[derive(Debug, PartialEq, Eq)]
pub struct Metric {
    /// Its name.
    pub name: &'static str,
    /// What its values are in.
    pub unit: Unit,
    /// What it is told apart by, if by anything: a dimension of few values.
    pub label: Option<&'static str>,
    /// What it means, in a sentence.
    pub meaning: &'static str,
}

/// What the values of a metric are in, by the names that CloudWatch has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    /// A number of things.
    Count,
    /// A time.
    Milliseconds,
    /// A size.
    Bytes,
}

impl Unit {
    /// CloudWatch's name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Count => "Count",
            Self::Milliseconds => "Milliseconds",
            Self::Bytes => "Bytes",
        }
    }
}

const fn metric(name: &'static str, unit: Unit, label: Option<&'static str>, meaning: &'static str) -> Metric {
    Metric { name, unit, label, meaning }
}

/// Every metric, in the order of a job's life.
pub static METRICS: [Metric; 13] = [
    metric("accepted", Unit::Count, None, "Requests that were answered with 202 and a new job."),
    metric("rejected", Unit::Count, Some("reason"), "Calls that were refused, by the last word of the problem's type."),
    metric("queue_wait", Unit::Milliseconds, None, "Time from a job's enqueueing to its first claim by a run."),
    metric("typeset_time", Unit::Milliseconds, None, "Wall time of typesetting one report."),
    metric("pages", Unit::Count, None, "Pages of completed reports."),
    metric("bytes", Unit::Bytes, None, "Size of completed reports."),
    metric("completed", Unit::Count, None, "Jobs that ended with a report."),
    metric("warned", Unit::Count, None, "Completed reports that have warnings."),
    metric("failed", Unit::Count, Some("type"), "Jobs that ended without one, by the last word of the error's type."),
    metric("retries", Unit::Count, None, "Attempts at jobs beyond the first."),
    metric("cold_starts", Unit::Count, Some("function"), "Starts of a process that serves a function."),
    metric("announcements", Unit::Count, Some("channel"), "Ends of jobs that were told, by channel."),
    metric("undelivered", Unit::Count, Some("kind"), "Deliveries that were given up or refused, by kind."),
];

/// Where values go.
pub trait Sink: Send + Sync {
    /// Takes one value; `label` is there exactly if the metric has one.
    fn record(&self, metric: &'static Metric, label: Option<&str>, value: u64);

    /// All there is so far, in the format of Prometheus, where the sink keeps it.
    fn render(&self) -> Option<String> {
        None
    }
}

static SINK: OnceLock<Box<dyn Sink>> = OnceLock::new();

/// Says where the values of this process go; the first to say so decides. Until then they are dropped.
pub fn install(sink: Box<dyn Sink>) {
    _ = SINK.set(sink);
}

/// All metrics of this process as OpenMetrics text, where they are kept rather than sent.
pub fn render() -> Option<String> {
    SINK.get()?.render()
}

/// How the end of a job was told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Channel {
    /// A topic, which tells its subscribers.
    Sns,
    /// A mail server.
    Mail,
    /// A file in the outbox.
    Outbox,
    /// A caller's server.
    Webhook,
}

impl Channel {
    fn as_str(self) -> &'static str {
        match self {
            Self::Sns => "sns",
            Self::Mail => "mail",
            Self::Outbox => "outbox",
            Self::Webhook => "webhook",
        }
    }
}

/// A request was answered with 202 and a new job.
pub fn accepted() {
    record("accepted", None, 1);
}

/// A call was refused with the problem of this name.
pub fn rejected(reason: &str) {
    record("rejected", Some(reason), 1);
}

/// A job's first run began so long after it was queued.
pub fn queue_wait(time: Duration) {
    record("queue_wait", None, milliseconds(time));
}

/// One report was typeset in so long.
pub fn typeset_time(time: Duration) {
    record("typeset_time", None, milliseconds(time));
}

/// A job ended with a report.
pub fn completed(pages: u64, bytes: u64) {
    record("completed", None, 1);
    record("pages", None, pages);
    record("bytes", None, bytes);
}

/// A completed report has warnings.
pub fn warned() {
    record("warned", None, 1);
}

/// A job ended without a report, for the error of this name.
pub fn failed(kind: &str) {
    record("failed", Some(kind), 1);
}

/// A run began that is not its job's first.
pub fn retried() {
    record("retries", None, 1);
}

/// A process began that serves this function.
pub fn cold_start(function: &str) {
    record("cold_starts", Some(function), 1);
}

/// The end of a job was told.
pub fn announced(channel: Channel) {
    record("announcements", Some(channel.as_str()), 1);
}

/// A delivery of this kind was given up, or refused for good.
pub fn undelivered(kind: &str) {
    record("undelivered", Some(kind), 1);
}

fn record(name: &str, label: Option<&str>, value: u64) {
    if let (Some(sink), Some(metric)) = (SINK.get(), METRICS.iter().find(|metric| metric.name == name)) {
        sink.record(metric, label, value);
    }
}

fn milliseconds(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Mutex;

    type Values = Mutex<Vec<(&'static Metric, Option<String>, u64)>>;

    struct Kept(&'static Values);

    impl Sink for Kept {
        fn record(&self, metric: &'static Metric, label: Option<&str>, value: u64) {
            self.0.lock().expect("the values").push((metric, label.map(str::to_owned), value));
        }
    }

    /// Every function has its metric in the table, with a label where the table says so.
    #[test]
    fn every_metric_is_recorded_as_the_table_says() {
        static VALUES: Values = Mutex::new(Vec::new());
        install(Box::new(Kept(&VALUES)));
        accepted();
        rejected("invalid-data");
        queue_wait(Duration::from_millis(1500));
        typeset_time(Duration::MAX);
        completed(3, 4096);
        warned();
        failed("template-error");
        retried();
        cold_start("listener");
        announced(Channel::Sns);
        undelivered("webhook");
        let values = VALUES.lock().expect("the values");
        let recorded = |name: &str| values.iter().find(|(metric, ..)| metric.name == name);
        for metric in &METRICS {
            let (_, label, _) = recorded(metric.name).unwrap_or_else(|| panic!("{} is not recorded", metric.name));
            assert_eq!(label.is_some(), metric.label.is_some(), "{}", metric.name);
        }
        assert_eq!(values.len(), METRICS.len());
        assert_eq!(recorded("queue_wait").map(|it| it.2), Some(1500));
        assert_eq!(recorded("typeset_time").map(|it| it.2), Some(u64::MAX));
        assert_eq!(recorded("bytes").map(|it| it.2), Some(4096));
        assert_eq!(recorded("announcements").and_then(|it| it.1.as_deref()), Some("sns"));
    }
}
