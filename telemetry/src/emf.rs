//! Metrics on AWS: each value is a line of JSON on standard output, which CloudWatch reads as a metric (embedded metric
//! format). A line is written the moment that something happens, so that nothing waits in a function that is frozen or
//! killed.

use std::io::{Write, stdout};
use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};

use crate::metrics::{Metric, NAMESPACE, Sink};

/// The dimension that every metric has: the deployment's name.
const SERVICE_DIMENSION: &str = "service";

/// Writes every value as a line.
pub(crate) struct Emf {
    service: String,
}

impl Emf {
    /// For the deployment of this name.
    pub(crate) fn new(service: String) -> Self {
        Self { service }
    }

    /// One value, under the deployment's name alone and, where the metric has a label, under both.
    fn line(&self, metric: &Metric, label: Option<&str>, value: u64, timestamp: u64) -> Value {
        let mut dimensions = vec![vec![SERVICE_DIMENSION]];
        dimensions.extend(metric.label.map(|label| vec![SERVICE_DIMENSION, label]));
        let mut line = json!({
            "_aws": {
                "Timestamp": timestamp,
                "CloudWatchMetrics": [{
                    "Namespace": NAMESPACE,
                    "Dimensions": dimensions,
                    "Metrics": [{ "Name": metric.name, "Unit": metric.unit.as_str() }],
                }],
            },
            SERVICE_DIMENSION: self.service,
        });
        line[metric.name] = value.into();
        if let (Some(name), Some(label)) = (metric.label, label) {
            line[name] = label.into();
        }
        line
    }
}

impl Sink for Emf {
    fn record(&self, metric: &'static Metric, label: Option<&str>, value: u64) {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let line = self.line(metric, label, value, u64::try_from(now.as_millis()).unwrap_or(u64::MAX));
        // In one call, so that no line of the log falls into it. Nobody may be reading.
        _ = stdout().write_all(format!("{line}\n").as_bytes());
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::metrics::METRICS;

    fn metric(name: &str) -> &'static Metric {
        METRICS.iter().find(|metric| metric.name == name).expect("a metric of the table")
    }

    #[test]
    fn a_value_is_a_line_that_cloudwatch_reads() {
        let emf = Emf::new("reports".into());
        let expected = json!({
            "_aws": {
                "Timestamp": 1_700_000_000_123_u64,
                "CloudWatchMetrics": [{
                    "Namespace": "Pressrun",
                    "Dimensions": [["service"], ["service", "type"]],
                    "Metrics": [{ "Name": "failed", "Unit": "Count" }],
                }],
            },
            "service": "reports",
            "type": "template-error",
            "failed": 1,
        });
        assert_eq!(emf.line(metric("failed"), Some("template-error"), 1, 1_700_000_000_123), expected);
        let line = emf.line(metric("bytes"), None, 4096, 1);
        let directive = &line["_aws"]["CloudWatchMetrics"][0];
        assert_eq!(directive["Dimensions"], json!([["service"]]));
        assert_eq!(directive["Metrics"], json!([{ "Name": "bytes", "Unit": "Bytes" }]));
        assert_eq!(line["bytes"], 4096);
        assert!(!line.to_string().contains('\n'));
    }

    /// What is emitted has members where its dimensions and its metric point to, for every metric.
    #[test]
    fn every_dimension_and_metric_has_its_member() {
        for metric in &METRICS {
            let line = Emf::new("it".into()).line(metric, metric.label.map(|_| "x"), 7, 1);
            let directive = &line["_aws"]["CloudWatchMetrics"][0];
            for dimension in directive["Dimensions"].as_array().expect("sets").iter().flat_map(|set| set.as_array()) {
                for name in dimension {
                    assert!(line[name.as_str().expect("a name")].is_string(), "{line}");
                }
            }
            assert_eq!(line[metric.name], 7);
        }
    }

    /// The list that alarms and dashboards are checked against.
    #[test]
    fn the_published_list_names_what_is_emitted() {
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../resources/metrics.json");
        let text = std::fs::read_to_string(file).expect("the list");
        let list: Value = serde_json::from_str(&text).expect("JSON");
        assert_eq!(list["namespace"], NAMESPACE);
        let emitted = METRICS.iter().map(|metric| {
            let dimensions: Vec<_> = [SERVICE_DIMENSION].into_iter().chain(metric.label).collect();
            (metric.name.to_owned(), json!({ "unit": metric.unit.as_str(), "dimensions": dimensions }))
        });
        let published = list["metrics"].as_array().expect("metrics").iter().map(|it| {
            let name = it["name"].as_str().expect("a name").to_owned();
            (name, json!({ "unit": it["unit"], "dimensions": it["dimensions"] }))
        });
        let (emitted, published): (Vec<_>, Vec<_>) = (emitted.collect(), published.collect());
        assert_eq!(emitted, published);
    }
}
