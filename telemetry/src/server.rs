//! Telemetry of `pressrun serve`: a log on standard error, metrics for Prometheus, and spans for a collector.

use opentelemetry_otlp::ExporterBuildError;
use opentelemetry_sdk::trace::SdkTracerProvider;
use tokio::task::spawn_blocking;
use tracing_subscriber::Layer;

use crate::logs::{Format, layer, start_with};
use crate::metrics::{cold_start, install};
use crate::otlp;
use crate::prometheus::Prometheus;

/// The function that a server is counted as.
const FUNCTION: &str = "serve";

/// What must be stopped when the server does.
#[must_use]
pub struct Telemetry(Option<SdkTracerProvider>);

/// Why spans cannot be sent.
#[derive(Debug, thiserror::Error)]
#[error("spans cannot be sent: {0}. Look at the variables OTEL_EXPORTER_OTLP_…")]
pub struct BadExporter(#[from] ExporterBuildError);

/// Starts all of it; the log's default level is `info`. Must be called in a Tokio runtime.
pub fn start(format: Format) -> Result<Telemetry, BadExporter> {
    let provider = otlp::provider()?;
    let log = layer(format, std::io::stderr, "info");
    start_with(match otlp::layer() {
        Some(spans) => log.and_then(spans).boxed(),
        None => log,
    });
    install(Box::new(Prometheus::new()));
    cold_start(FUNCTION);
    Ok(Telemetry(provider))
}

impl Telemetry {
    /// Sends the spans that were not sent yet.
    pub async fn stop(self) {
        let Some(provider) = self.0 else { return };
        // It waits for the thread that exports, which waits for this runtime.
        if let Ok(Err(error)) = spawn_blocking(move || provider.shutdown()).await {
            tracing::warn!(%error, "the last spans were not sent");
        }
    }
}
