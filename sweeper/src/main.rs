//! The sweeper as an AWS Lambda function that a schedule invokes. Its environment variables are listed in
//! [`jobs::aws::environment`].

use std::sync::Arc;
use std::time::Duration;

use chrono::TimeDelta;
use jobs::aws::environment::{
    self, DEAD_LETTERS_URL, LINK_KEY, PUBLIC_URL, QUEUE_URL, RETENTION_DAYS, TABLE, TOPIC_ARN, WEBHOOKS_URL,
};
use jobs::aws::{DynamoStore, SqsQueue, Topic, sdk_config};
use jobs::{Announcing, Closing, LinkSigner, Patience};
use lambda_runtime::{Error, LambdaEvent, service_fn};
use serde_json::Value;
use sweeper::Sweeper;

/// How long a call to a queue or store may take.
const CALL_TIMEOUT: Duration = Duration::from_secs(10);

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    telemetry::function("sweeper");
    let config = sdk_config(CALL_TIMEOUT).await;
    let queue = SqsQueue::new(&config, environment::required(QUEUE_URL)?);
    let sweeper = &Sweeper {
        queue: Arc::new(queue.with_dead_letters(environment::required(DEAD_LETTERS_URL)?)),
        closing: Closing {
            jobs: Arc::new(DynamoStore::new(&config, environment::required(TABLE)?)),
            announcing: Announcing::InRun(Arc::new(Topic::new(&config, environment::required(TOPIC_ARN)?))),
            deliveries: Arc::new(SqsQueue::new(&config, environment::required(WEBHOOKS_URL)?)),
            links: LinkSigner::new(environment::required(LINK_KEY)?.as_bytes()),
            public_url: environment::required(PUBLIC_URL)?,
            retention: TimeDelta::days(environment::parsed(RETENTION_DAYS)?.unwrap_or(30)),
            patience: Patience::default(),
        },
    };
    lambda_runtime::run(service_fn(async move |_: LambdaEvent<Value>| {
        let ended = sweeper.sweep().await?;
        if ended > 0 {
            tracing::warn!(ended, "ended jobs that no run would have ended");
        }
        Ok::<_, Error>(())
    }))
    .await
}
