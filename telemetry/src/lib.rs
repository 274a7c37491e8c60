//! What an operator sees: logs ([`logs`]), metrics ([`metrics`]) and traces ([`trace`]).
//!
//! A Lambda function starts all three with [`function`]. `pressrun serve` starts them with `server::start`, behind the
//! feature `server`, which adds metrics for Prometheus and spans over OTLP.

mod emf;
pub mod logs;
pub mod metrics;
#[cfg(feature = "server")]
mod otlp;
#[cfg(feature = "server")]
mod prometheus;
#[cfg(feature = "server")]
pub mod server;
pub mod trace;

/// The environment variable with the deployment's name, which tells its metrics and spans from others'.
pub const SERVICE: &str = "PRESSRUN_SERVICE";

/// The deployment's name.
pub(crate) fn service() -> String {
    std::env::var(SERVICE).ok().filter(|name| !name.is_empty()).unwrap_or_else(|| "pressrun".to_owned())
}

/// Starts logs and metrics of the Lambda function of this name, and counts its cold start.
pub fn function(name: &'static str) {
    logs::start(logs::Format::Json, std::io::stdout, "info");
    metrics::install(Box::new(emf::Emf::new(service())));
    metrics::cold_start(name);
}
