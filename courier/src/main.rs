//! The courier as an AWS Lambda function that SQS invokes, some messages at a time. Its environment variables are
//! listed in [`jobs::aws::environment`].

use std::sync::Arc;
use std::time::Duration;

use aws_lambda_events::sqs::{SqsBatchResponse, SqsEvent, SqsMessage};
use courier::{Courier, Poster, Secrets, SystemLookup, Verdict};
use futures_util::future::join_all;
use jobs::aws::environment::{self, TABLE, TOPIC_ARN, WEBHOOK_HOSTS, WEBHOOK_SECRET, WEBHOOKS_URL};
use jobs::aws::{DynamoStore, SqsQueue, Topic, sdk_config};
use jobs::job::now;
use jobs::{DeliveryMessage, Destinations, Patience, Queue, Ticket};
use lambda_runtime::{Error, LambdaEvent, service_fn};
use tracing::field::display;

/// How long a call to a queue or store may take.
const CALL_TIMEOUT: Duration = Duration::from_secs(5);

/// How long one attempt may take.
const TIME_LIMIT: Duration = Duration::from_secs(15);

/// How long a message that is no delivery is hidden between its deliveries.
const REJECTED: Duration = Duration::from_secs(60);

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    telemetry::function("courier");
    let config = sdk_config(CALL_TIMEOUT).await;
    let queue = &SqsQueue::new(&config, environment::required(WEBHOOKS_URL)?);
    let secrets: Secrets = environment::required(WEBHOOK_SECRET)?.parse()?;
    let hosts = environment::parsed(WEBHOOK_HOSTS)?.unwrap_or_default();
    let destinations = Destinations { hosts, loopback: false };
    let courier = &Courier {
        jobs: Arc::new(DynamoStore::new(&config, environment::required(TABLE)?)),
        poster: Poster::new(destinations, Arc::new(SystemLookup), secrets, TIME_LIMIT)?,
        notifier: Arc::new(Topic::new(&config, environment::required(TOPIC_ARN)?)),
        patience: Patience::default(),
    };
    lambda_runtime::run(service_fn(async move |event: LambdaEvent<SqsEvent>| {
        let messages = &event.payload.records;
        let undone = join_all(messages.iter().map(|message| deliver(courier, queue, message))).await;
        let mut response = SqsBatchResponse::default();
        undone.into_iter().flatten().for_each(|undone| response.add_failure(undone));
        Ok::<_, Error>(response)
    }))
    .await
}

/// Makes one attempt; answers the message's id if it is to be delivered again.
async fn deliver(courier: &Courier, queue: &SqsQueue, message: &SqsMessage) -> Option<String> {
    let receives = message.attributes.get("ApproximateReceiveCount").and_then(|count| count.parse().ok()).unwrap_or(1);
    let body = message.body.as_deref().unwrap_or_default();
    let pause = match courier.deliver(body, receives, now()).await {
        Verdict::Acknowledge => return None,
        Verdict::Release(pause) => pause,
        Verdict::Reject => REJECTED,
    };
    if let Some(receipt) = &message.receipt_handle
        && let Err(error) = queue.release(&Ticket(receipt.clone()), pause).await
    {
        let job_id = DeliveryMessage::decode(body).ok().map(|message| display(message.id));
        tracing::warn!(job_id, %error, "the message comes back when its visibility timeout ends");
    }
    message.message_id.clone()
}
