//! Metrics for Prometheus: kept in memory, and told as OpenMetrics text when asked for. The names are those of the table
//! with `pressrun_` before them; counters end in `_total`, and times are histograms in seconds.

use std::collections::HashMap;

use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit as InRegistry};

use crate::metrics::{METRICS, Metric, NAMESPACE, Sink, Unit};

/// The upper ends of the buckets of times, in seconds: from a letter to the longest run.
const BUCKETS: [f64; 15] = [0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 900.0];

type Labels = [(&'static str, String); 1];

enum Kept {
    Sum(Counter),
    Sums(&'static str, Family<Labels, Counter>),
    Times(Histogram),
}

/// Keeps every value.
pub(crate) struct Prometheus {
    registry: Registry,
    kept: HashMap<&'static str, Kept>,
}

impl Prometheus {
    /// With nothing counted yet.
    pub(crate) fn new() -> Self {
        let mut registry = Registry::with_prefix(NAMESPACE.to_lowercase());
        let kept = METRICS.iter().map(|metric| (metric.name, register(&mut registry, metric))).collect();
        Self { registry, kept }
    }
}

fn register(registry: &mut Registry, metric: &'static Metric) -> Kept {
    // The registry ends the sentence itself.
    let meaning = metric.meaning.trim_end_matches('.');
    match (metric.unit, metric.label) {
        (Unit::Milliseconds, _) => {
            let times = Histogram::new(BUCKETS);
            registry.register_with_unit(metric.name, meaning, InRegistry::Seconds, times.clone());
            Kept::Times(times)
        }
        (Unit::Count | Unit::Bytes, None) => {
            let sum = Counter::default();
            registry.register(metric.name, meaning, sum.clone());
            Kept::Sum(sum)
        }
        (Unit::Count | Unit::Bytes, Some(label)) => {
            let sums = Family::default();
            registry.register(metric.name, meaning, sums.clone());
            Kept::Sums(label, sums)
        }
    }
}

impl Sink for Prometheus {
    fn record(&self, metric: &'static Metric, label: Option<&str>, value: u64) {
        match self.kept.get(metric.name) {
            Some(Kept::Sum(sum)) => _ = sum.inc_by(value),
            Some(Kept::Sums(name, sums)) => {
                _ = sums.get_or_create(&[(name, label.unwrap_or_default().to_owned())]).inc_by(value);
            }
            #[expect(clippy::cast_precision_loss, reason = "a bucket is wider than what is lost")]
            Some(Kept::Times(times)) => times.observe(value as f64 / 1000.0),
            None => {}
        }
    }

    fn render(&self) -> Option<String> {
        let mut text = String::new();
        encode(&mut text, &self.registry).ok()?;
        Some(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_metric_is_told_under_its_name() {
        let sink = Prometheus::new();
        for metric in &METRICS {
            sink.record(metric, metric.label.map(|_| "some"), 1500);
        }
        sink.record(&METRICS[1], Some("other"), 2);
        let text = sink.render().expect("text");
        for line in [
            "pressrun_accepted_total 1500",
            "pressrun_rejected_total{reason=\"some\"} 1500",
            "pressrun_rejected_total{reason=\"other\"} 2",
            "pressrun_queue_wait_seconds_sum 1.5",
            "pressrun_queue_wait_seconds_bucket{le=\"1.0\"} 0",
            "pressrun_queue_wait_seconds_bucket{le=\"2.5\"} 1",
            "pressrun_typeset_time_seconds_count 1",
            "pressrun_pages_total 1500",
            "pressrun_bytes_total 1500",
            "pressrun_completed_total 1500",
            "pressrun_failed_total{type=\"some\"} 1500",
            "pressrun_retries_total 1500",
            "pressrun_cold_starts_total{function=\"some\"} 1500",
            "pressrun_announcements_total{channel=\"some\"} 1500",
            "# EOF",
        ] {
            assert!(text.lines().any(|it| it == line), "{line} is not in\n{text}");
        }
    }

    #[test]
    fn what_has_not_happened_is_nought() {
        let text = Prometheus::new().render().expect("text");
        assert!(text.lines().any(|line| line == "pressrun_completed_total 0"), "{text}");
    }
}
