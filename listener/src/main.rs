//! The listener as an AWS Lambda function behind a function URL. Its environment variables are listed in
//! [`jobs::aws::environment`].

use std::sync::Arc;
use std::time::Duration;

use chrono::TimeDelta;
use jobs::LinkSigner;
use jobs::aws::environment::{self, BUCKET, LINK_KEY, QUEUE_URL, RETENTION_DAYS, TABLE, TOKEN};
use jobs::aws::{Bucket, DynamoStore, SqsQueue, sdk_config};
use lambda_http::Error;
use listener::{Catalogue, Listener};

/// How long a caller is kept waiting for a queue or store that does not answer.
const PATIENCE: Duration = Duration::from_secs(8);

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
        public_url: None,
    };
    lambda_http::run(listener.router()).await
}
