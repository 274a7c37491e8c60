//! The five ports on AWS: SQS, DynamoDB, S3 and SNS; and [two more](crate::followers) for API Gateway's WebSockets.

mod bytes;
mod connections;
pub mod environment;
mod followers;
mod https;
mod item;
mod multipart;
mod objects;
mod queue;
mod store;
mod topic;
mod usage;

use std::error::Error;
use std::time::Duration;

use aws_config::BehaviorVersion;
use aws_config::timeout::TimeoutConfig;
use aws_sdk_sqs::error::DisplayErrorContext;

pub use aws_config::SdkConfig;
pub use connections::GatewayConnections;
pub use followers::DynamoFollowers;
pub use objects::Bucket;
pub use queue::SqsQueue;
pub use store::DynamoStore;
pub use topic::Topic;
pub use usage::DynamoUsage;

use crate::ports::Unavailable;

/// What the SDK finds in the environment, with calls that give up after `patience`, retries included.
pub async fn sdk_config(patience: Duration) -> SdkConfig {
    let timeouts = TimeoutConfig::builder().connect_timeout(Duration::from_secs(2)).operation_timeout(patience).build();
    let config = aws_config::defaults(BehaviorVersion::latest()).http_client(https::client()).timeout_config(timeouts);
    config.load().await
}

/// Says what was tried, and all that the SDK knows about why it did not work; for `map_err`.
fn refused<E: Error>(attempted: &str) -> impl FnOnce(E) -> Unavailable {
    move |error| Unavailable::when(attempted)(DisplayErrorContext(error).to_string())
}
