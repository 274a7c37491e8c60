//! Spans over OTLP, where the standard variable `OTEL_EXPORTER_OTLP_ENDPOINT` names a collector. The other variables of
//! the OpenTelemetry SDK count as well.

use std::sync::OnceLock;
use std::time::Duration;

use async_trait::async_trait;
use opentelemetry::trace::{SpanContext, TraceContextExt, TraceFlags, TraceState, TracerProvider};
use opentelemetry_http::{Bytes, HttpClient, HttpError, Request, Response};
use opentelemetry_otlp::{ExporterBuildError, SpanExporter, WithHttpConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::{SdkTracerProvider, Tracer};
use tokio::runtime::Handle;
use tracing::{Level, Span};
use tracing_opentelemetry::OpenTelemetrySpanExt;
use tracing_subscriber::filter::filter_fn;
use tracing_subscriber::{Layer, Registry};

use crate::logs::is_ours;
use crate::trace::Context;

/// Either of these says that there is a collector.
const ENDPOINTS: [&str; 2] = ["OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"];

/// The variable that names the service in spans.
const SERVICE_NAME: &str = "OTEL_SERVICE_NAME";

/// How long one export may take.
const EXPORT_TIMEOUT: Duration = Duration::from_secs(10);

/// The source of spans, once there is a collector.
static TRACER: OnceLock<Tracer> = OnceLock::new();

/// Sends spans to the collector that the environment names; nothing if it names none. Must be called in a Tokio runtime.
pub(crate) fn provider() -> Result<Option<SdkTracerProvider>, ExporterBuildError> {
    let is_set = |name| std::env::var(name).is_ok_and(|value| !value.is_empty());
    if !ENDPOINTS.into_iter().any(is_set) {
        return Ok(None);
    }
    let client = Client { client: reqwest::Client::new(), runtime: Handle::current() };
    let exporter = SpanExporter::builder().with_http().with_http_client(client).build()?;
    let mut resource = Resource::builder();
    if !is_set(SERVICE_NAME) {
        resource = resource.with_service_name(crate::service());
    }
    let provider = SdkTracerProvider::builder().with_batch_exporter(exporter).with_resource(resource.build()).build();
    _ = TRACER.set(provider.tracer("pressrun"));
    Ok(Some(provider))
}

/// What makes spans of ours, for a subscriber; nothing where there is no collector.
pub(crate) fn layer() -> Option<impl Layer<Registry> + Send + Sync> {
    let tracer = TRACER.get()?.clone();
    let layer = tracing_opentelemetry::layer().with_tracer(tracer).with_location(false).with_threads(false);
    Some(layer.with_filter(filter_fn(|metadata| *metadata.level() <= Level::INFO && is_ours(metadata))))
}

/// Makes `span` a part of the trace that goes on from `origin`, or the first of a new one; answers where it is.
pub(crate) fn enter(span: &Span, origin: Option<Context>) -> Option<Context> {
    TRACER.get()?;
    if let Some(origin) = origin {
        let (trace, parent, sampled) = origin.parts();
        let flags = if sampled { TraceFlags::SAMPLED } else { TraceFlags::default() };
        let parent = SpanContext::new(trace.into(), parent.into(), flags, true, TraceState::default());
        // It fails for a span that nobody looks at.
        _ = span.set_parent(opentelemetry::Context::new().with_remote_span_context(parent));
    }
    place_of(span)
}

/// Where the span is that this is called in.
pub(crate) fn current() -> Option<Context> {
    TRACER.get()?;
    place_of(&Span::current())
}

fn place_of(span: &Span) -> Option<Context> {
    let context = span.context();
    let place = context.span().span_context().clone();
    let (trace, span) = (u128::from_be_bytes(place.trace_id().to_bytes()), place.span_id().to_bytes());
    place.is_valid().then(|| Context::of_parts(trace, u64::from_be_bytes(span), place.is_sampled()))
}

/// The HTTP client that takes spans to the collector. The SDK calls it from a thread of its own, outside the runtime.
#[derive(Debug)]
struct Client {
    client: reqwest::Client,
    runtime: Handle,
}

#[async_trait]
impl HttpClient for Client {
    async fn send_bytes(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let sent = self.runtime.spawn(send(self.client.clone(), request)).await?;
        // The SDK says nothing of it.
        sent.inspect_err(|error| tracing::warn!(%error, "the collector did not take the spans"))
    }
}

async fn send(client: reqwest::Client, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
    let request = request.try_into()?;
    let sent = async {
        let answer = client.execute(request).await?.error_for_status()?;
        let (status, headers) = (answer.status(), answer.headers().clone());
        let mut response = Response::new(answer.bytes().await?);
        *response.status_mut() = status;
        *response.headers_mut() = headers;
        Ok(response)
    };
    tokio::time::timeout(EXPORT_TIMEOUT, sent).await?
}
