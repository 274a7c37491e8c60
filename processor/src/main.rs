//! The processor as an AWS Lambda function that SQS invokes, one message at a time. Its environment variables are
//! listed in [`jobs::aws::environment`].

use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use aws_lambda_events::sqs::{SqsBatchResponse, SqsEvent, SqsMessage};
use chrono::TimeDelta;
use jobs::aws::environment::{
    self, BUCKET, LINK_KEY, MAX_ATTEMPTS, MEMORY_LIMIT, OUTPUT_LIMIT, PUBLIC_URL, QUEUE_URL, RETENTION_DAYS, TABLE,
    TIME_LIMIT, TOPIC_ARN,
};
use jobs::aws::{Bucket, DynamoStore, SqsQueue, Topic, sdk_config};
use jobs::{LinkSigner, Queue, Ticket};
use lambda_runtime::{Error, LambdaEvent, service_fn};
use processor::{Limits, MEBIBYTE, Press, Processor, Verdict};
use typesetter::worker;

/// How long a call to a store may take; an upload of the largest report is one call.
const PATIENCE: Duration = Duration::from_secs(60);

/// The memory that the function keeps for itself, in MiB, out of what it shares with the child that typesets.
const OWN_MEMORY: u64 = 192;

/// What a function has where Lambda does not say, in MiB.
const DEFAULT_FUNCTION_MEMORY: u64 = 2048;

fn main() -> ExitCode {
    if std::env::args().nth(1).as_deref() == Some(worker::ARGUMENT) {
        return worker::run();
    }
    lambda_runtime::tracing::init_default_subscriber();
    match serve() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            lambda_runtime::tracing::error!(%error, "the processor cannot start");
            ExitCode::FAILURE
        }
    }
}

#[tokio::main(flavor = "current_thread")]
async fn serve() -> Result<(), Error> {
    let config = sdk_config(PATIENCE).await;
    let queue = &SqsQueue::new(&config, environment::required(QUEUE_URL)?);
    let processor = &Processor {
        jobs: Arc::new(DynamoStore::new(&config, environment::required(TABLE)?)),
        objects: Arc::new(Bucket::new(&config, environment::required(BUCKET)?)),
        notifier: Arc::new(Topic::new(&config, environment::required(TOPIC_ARN)?)),
        press: Press::of_this_program(1, limits()?)?,
        templates: environment::templates(),
        work: std::env::temp_dir(),
        links: LinkSigner::new(environment::required(LINK_KEY)?.as_bytes()),
        public_url: environment::required(PUBLIC_URL)?,
        retention: TimeDelta::days(environment::parsed(RETENTION_DAYS)?.unwrap_or(30)),
        max_attempts: environment::parsed(MAX_ATTEMPTS)?.unwrap_or(4),
    };
    processor.press.warm_up()?;
    lambda_runtime::run(service_fn(async move |event: LambdaEvent<SqsEvent>| {
        let deadline = instant_of(event.context.deadline());
        let mut response = SqsBatchResponse::default();
        for message in event.payload.records {
            if let Some(undone) = process(processor, queue, &message, deadline).await {
                response.add_failure(undone);
            }
        }
        Ok::<_, Error>(response)
    }))
    .await
}

fn limits() -> Result<Limits, Error> {
    let function_memory = environment::parsed("AWS_LAMBDA_FUNCTION_MEMORY_SIZE")?.unwrap_or(DEFAULT_FUNCTION_MEMORY);
    let memory = environment::parsed(MEMORY_LIMIT)?.unwrap_or(function_memory.saturating_sub(OWN_MEMORY));
    let default = Limits::default();
    Ok(Limits {
        time: environment::parsed(TIME_LIMIT)?.map_or(Duration::MAX, Duration::from_secs),
        memory_bytes: memory * MEBIBYTE,
        output_bytes: environment::parsed(OUTPUT_LIMIT)?.map_or(default.output_bytes, |limit: u64| limit * MEBIBYTE),
    })
}

/// Lambda's deadline is a time of day; a run wants one that no clock change can move.
fn instant_of(deadline: SystemTime) -> Instant {
    Instant::now() + deadline.duration_since(SystemTime::now()).unwrap_or_default()
}

/// Runs one message; answers its id if it is to be delivered again.
async fn process(processor: &Processor, queue: &SqsQueue, message: &SqsMessage, deadline: Instant) -> Option<String> {
    let receives = message.attributes.get("ApproximateReceiveCount").and_then(|count| count.parse().ok()).unwrap_or(1);
    let body = message.body.as_deref().unwrap_or_default();
    let pause = match processor.process(body, receives, deadline).await {
        Verdict::Acknowledge => return None,
        Verdict::Release(pause) => pause,
        Verdict::Reject => Duration::ZERO,
    };
    if let Some(receipt) = &message.receipt_handle
        && let Err(error) = queue.release(&Ticket(receipt.clone()), pause).await
    {
        lambda_runtime::tracing::warn!(%error, "the message comes back when its visibility timeout ends");
    }
    message.message_id.clone()
}
