//! The listener as an AWS Lambda function behind a function URL. Its environment variables are listed in
//! [`jobs::aws::environment`].

use std::sync::Arc;
use std::time::Duration;

use chrono::TimeDelta;
use jobs::aws::environment::{
    self, BUCKET, DATA_LIMIT, LINK_KEY, QUEUE_URL, REPORTS_ORIGIN, RETENTION_DAYS, TABLE, TOKEN, WEBHOOK_HOSTS,
};
use jobs::aws::{Bucket, DynamoStore, SqsQueue, sdk_config};
use jobs::job::{DEFAULT_MAX_DATA_BYTES, MEBIBYTE};
use jobs::{Destinations, LinkSigner};
use lambda_http::Error;
use listener::{Catalogue, Listener};

/// How long one call to a queue or store may take. What is queued takes six at the most, within the function's 30 seconds.
const PATIENCE: Duration = Duration::from_secs(4);

/// How long a caller may wait for a change: the function's timeout is 30 seconds unless set otherwise.
const LONGEST_WAIT: Duration = Duration::from_secs(15);

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    lambda_http::tracing::init_default_subscriber();
    let config = sdk_config(PATIENCE).await;
    let listener = Listener {
        queue: Arc::new(SqsQueue::new(&config, environment::required(QUEUE_URL)?)),
        jobs: Arc::new(DynamoStore::new(&config, environment::required(TABLE)?)),
        objects: Arc::new(Bucket::new(&config, environment::required(BUCKET)?)),
        catalogue: Catalogue::new(environment::templates()),
        token: environment::optional(TOKEN),
        links: LinkSigner::new(environment::required(LINK_KEY)?.as_bytes()),
        retention: TimeDelta::days(environment::parsed(RETENTION_DAYS)?.unwrap_or(30)),
        queue_life: environment::queue_life()?,
        max_data_bytes: environment::parsed(DATA_LIMIT)?.map_or(DEFAULT_MAX_DATA_BYTES, |limit: u64| limit * MEBIBYTE),
        reports_origin: environment::optional(REPORTS_ORIGIN),
        longest_wait: LONGEST_WAIT,
        longest_stream: Some(LONGEST_WAIT),
        webhooks: Destinations { hosts: environment::parsed(WEBHOOK_HOSTS)?.unwrap_or_default(), loopback: false },
        public_url: None,
    };
    lambda_http::run(listener.router()).await
}
