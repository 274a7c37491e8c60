//! `GET /metrics`: what was counted since the server started, for Prometheus. On AWS the metrics are in CloudWatch.

use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::IntoResponse;
use utoipa::IntoResponses;

use crate::Problem;
use crate::openapi::{Responses, guarded_refusals};

/// What Prometheus knows the text by.
const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Metrics for Prometheus.
///
/// As OpenMetrics text. On AWS there is nothing here: CloudWatch has the metrics.
#[utoipa::path(
    get,
    path = "/metrics",
    tag = "server",
    responses(
        (
            status = 200, description = "All metrics.",
            content_type = "application/openmetrics-text",
            body = String,
            example = "# TYPE pressrun_accepted counter\npressrun_accepted_total 17\n# EOF\n"
        ),
        MetricsRefusals,
    )
)]
pub(crate) async fn metrics() -> Result<impl IntoResponse, Problem> {
    let text = telemetry::metrics::render().ok_or_else(elsewhere)?;
    Ok(([(CONTENT_TYPE, OPEN_METRICS)], text))
}

fn elsewhere() -> Problem {
    let detail = "On AWS they are in CloudWatch, in the namespace Pressrun.";
    Problem::new(StatusCode::NOT_FOUND, "no-metrics", "This server keeps no metrics.", detail)
}

struct MetricsRefusals;

impl IntoResponses for MetricsRefusals {
    fn responses() -> Responses {
        guarded_refusals([elsewhere()])
    }
}
