//! The listener as an AWS Lambda function: behind a function URL, and where [`CONNECTIONS_URL`] is set behind a
//! WebSocket API. Its environment variables are listed in [`jobs::aws::environment`].

use std::sync::Arc;
use std::time::Duration;

use chrono::TimeDelta;
use jobs::aws::environment::{
    self, BUCKET, CONNECTIONS_URL, DATA_LIMIT, FOLLOWERS_TABLE, LINK_KEY, PUBLIC_URL, QUEUE_URL, REPORTS_ORIGIN,
    RETENTION_DAYS, STREAM_SECONDS, TABLE, TOKEN, WEBHOOK_HOSTS,
};
use jobs::aws::{Bucket, DynamoFollowers, DynamoStore, GatewayConnections, SdkConfig, SqsQueue, sdk_config};
use jobs::job::{DEFAULT_MAX_DATA_BYTES, MEBIBYTE};
use jobs::{Destinations, LinkSigner};
use lambda_http::{Error, LambdaEvent, lambda_runtime, service_fn};
use listener::gateway::{Event, Gateway};
use listener::{Catalogue, Listener};

/// How long one call to a queue or store may take. What is queued takes six at the most, within 30 seconds.
const PATIENCE: Duration = Duration::from_secs(4);

/// How long a caller may wait for a change, or a stream may last, where nothing else is set. The function's timeout must
/// leave what is queued its time besides.
const STREAM: u64 = 25;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let connections = environment::optional(CONNECTIONS_URL);
    telemetry::function(if connections.is_some() { "websocket" } else { "listener" });
    let config = sdk_config(PATIENCE).await;
    let listener = listener(&config)?;
    match connections {
        // Whoever may call the function behind the URL is nobody that a WebSocket API has let in: it takes HTTP alone.
        None => lambda_http::run_with_streaming_response(listener.router()).await,
        Some(connections) => serve_sockets(&gateway(&config, listener, connections)?).await,
    }
}

fn listener(config: &SdkConfig) -> Result<Listener, Error> {
    let stream = Duration::from_secs(environment::parsed(STREAM_SECONDS)?.unwrap_or(STREAM));
    Ok(Listener {
        queue: Arc::new(SqsQueue::new(config, environment::required(QUEUE_URL)?)),
        jobs: Arc::new(DynamoStore::new(config, environment::required(TABLE)?)),
        objects: Arc::new(Bucket::new(config, environment::required(BUCKET)?)),
        catalogue: Catalogue::new(environment::templates()),
        token: environment::optional(TOKEN),
        links: LinkSigner::new(environment::required(LINK_KEY)?.as_bytes()),
        retention: TimeDelta::days(environment::parsed(RETENTION_DAYS)?.unwrap_or(30)),
        queue_life: environment::queue_life()?,
        max_data_bytes: environment::parsed(DATA_LIMIT)?.map_or(DEFAULT_MAX_DATA_BYTES, |limit: u64| limit * MEBIBYTE),
        reports_origin: environment::optional(REPORTS_ORIGIN),
        longest_wait: stream,
        longest_stream: Some(stream),
        webhooks: Destinations { hosts: environment::parsed(WEBHOOK_HOSTS)?.unwrap_or_default(), loopback: false },
        public_url: None,
    })
}

fn gateway(config: &SdkConfig, listener: Listener, connections: String) -> Result<Gateway, Error> {
    let (followers, jobs) = (environment::required(FOLLOWERS_TABLE)?, environment::required(TABLE)?);
    Ok(Gateway {
        listener: Listener { public_url: Some(environment::required(PUBLIC_URL)?), ..listener },
        followers: Arc::new(DynamoFollowers::new(config, followers, jobs)),
        connections: Arc::new(GatewayConnections::new(config, connections)),
    })
}

async fn serve_sockets(gateway: &Gateway) -> Result<(), Error> {
    lambda_runtime::run(service_fn(async move |event: LambdaEvent<Event>| {
        gateway.handle(event.payload).await.map_err(Error::from)
    }))
    .await
}
