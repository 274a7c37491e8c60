//! The listener as an AWS Lambda function: behind a function URL, and where [`CONNECTIONS_URL`] is set behind a
//! WebSocket API. Its environment variables are listed in [`jobs::aws::environment`].

use std::num::{NonZeroU32, NonZeroU64};
use std::sync::Arc;
use std::time::Duration;

use axum::middleware::map_response;
use chrono::TimeDelta;
use jobs::aws::environment::{
    self, ACCEPT_ANYBODY, ACCESS, BUCKET, CONNECTIONS_URL, CORS_ORIGINS, DATA_LIMIT, FOLLOWERS_TABLE, JWT_AUDIENCE,
    JWT_ISSUER, JWT_RIGHTS_CLAIM, LINK_KEY, PUBLIC_URL, QUEUE_URL, QUOTA_BYTES, QUOTA_JOBS, QUOTA_REQUESTS,
    REPORTS_ORIGIN, RETENTION_DAYS, RIGHTS, SHARED_JOBS, STREAM_SECONDS, TABLE, TOKEN, TOKENS, WEBHOOK_HOSTS,
};
use jobs::aws::{
    Bucket, DynamoFollowers, DynamoStore, DynamoUsage, GatewayConnections, SdkConfig, SqsQueue, sdk_config,
};
use jobs::job::{DEFAULT_MAX_DATA_BYTES, MEBIBYTE};
use jobs::{Destinations, LinkSigner};
use lambda_http::{Error, LambdaEvent, lambda_runtime, service_fn};
use listener::access::{BytesQuota, Delay, Issuer, Mode, Quotas, RIGHTS_CLAIM, Throttle, Tokens};
use listener::gateway::{Event, Gateway};
use listener::{Access, Catalogue, Checks, Listener};

/// How long one call to a queue or store may take. What is queued takes six at the most, within 30 seconds.
const PATIENCE: Duration = Duration::from_secs(4);

/// How long a caller may wait for a change, or a stream may last, where nothing else is set. The function's timeout must
/// leave what is queued its time besides.
const STREAM: u64 = 25;

/// The longest delay of the answer to a wrong token: a function is billed for it, and serves no other call meanwhile.
const LONGEST_WAIT: Duration = Duration::from_millis(200);

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let connections = environment::optional(CONNECTIONS_URL);
    telemetry::function(if connections.is_some() { "websocket" } else { "listener" });
    let config = sdk_config(PATIENCE).await;
    let listener = listener(&config)?;
    match connections {
        // Callers of the function URL were not admitted by a WebSocket API, so it takes HTTP alone.
        None => lambda_http::run_with_streaming_response(listener.router().layer(map_response(Delay::wait))).await,
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
        checks: Checks::default(),
        access: access_from(config)?,
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

fn access_from(config: &SdkConfig) -> Result<Access, Error> {
    let mode = match environment::optional(ACCESS).as_deref().unwrap_or("token") {
        "token" => Mode::Tokens(tokens()?.into()),
        "jwt" => {
            let (issuer, audience) = (environment::required(JWT_ISSUER)?, environment::required(JWT_AUDIENCE)?);
            let claim = environment::optional(JWT_RIGHTS_CLAIM).unwrap_or_else(|| RIGHTS_CLAIM.into());
            Mode::Jwt(Issuer::new(&issuer, &audience, false)?.with_rights_in(claim))
        }
        "iam" => Mode::Iam(environment::parsed(RIGHTS)?.unwrap_or_default()),
        "none" if environment::optional(ACCEPT_ANYBODY).as_deref() == Some("yes") => Mode::Anybody,
        "none" => {
            return Err(format!("{ACCESS} is `none`, which lets everybody in: set {ACCEPT_ANYBODY} to `yes`").into());
        }
        other => return Err(format!("{ACCESS} is `{other}`, and not token, iam, jwt or none").into()),
    };
    let most = |name| environment::parsed(name).map(|most: Option<NonZeroU32>| most.map(u32::from));
    let (requests, jobs) = (most(QUOTA_REQUESTS)?, most(QUOTA_JOBS)?);
    let usage = Arc::new(DynamoUsage::new(config, environment::required(TABLE)?));
    let kept = TimeDelta::days(environment::parsed(RETENTION_DAYS)?.unwrap_or(30));
    let bytes = environment::parsed(QUOTA_BYTES)?.map(|most: NonZeroU64| BytesQuota { most: most.into(), kept });
    Ok(Access {
        shared_jobs: environment::optional(SHARED_JOBS).as_deref() == Some("yes"),
        quotas: Quotas::given(requests, jobs, bytes, usage),
        origins: environment::parsed(CORS_ORIGINS)?.unwrap_or_default(),
        throttle: Throttle::new(LONGEST_WAIT),
        // AWS passes on what is for its own names alone.
        ..Access::by(mode)
    })
}

fn tokens() -> Result<Tokens, Error> {
    // What is wrong with tokens is said without them.
    let tokens = Tokens::given(environment::optional(TOKEN).as_deref(), environment::optional(TOKENS).as_deref())?;
    match tokens.is_empty() {
        true => Err(format!("there is no token that callers could send: set {TOKEN} or {TOKENS}").into()),
        false => Ok(tokens),
    }
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
