//! The processor as an AWS Lambda function that SQS invokes, one message at a time. Its environment variables are
//! listed in [`jobs::aws::environment`].

use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use aws_lambda_events::sqs::{SqsBatchResponse, SqsEvent, SqsMessage};
use chrono::TimeDelta;
use jobs::aws::environment::{
    self, BUCKET, DATA_LIMIT, LINK_KEY, MAX_ATTEMPTS, MEMORY_LIMIT, OUTPUT_LIMIT, PAGE_LIMIT, PUBLIC_URL, QUEUE_URL,
    QUOTA_BYTES, RETENTION_DAYS, SECTION_ROWS, TABLE, TIME_LIMIT, TOPIC_ARN, WEBHOOKS_URL,
};
use jobs::aws::{Bucket, DynamoStore, SqsQueue, Topic, sdk_config};
use jobs::job::MEBIBYTE;
use jobs::{Announcing, Closing, Delivery, LinkSigner, Patience, Queue, Ticket, Unavailable};
use lambda_runtime::{Error, LambdaEvent, service_fn};
use processor::{DEFAULT_SECTION_ROWS, Limits, Press, Processor, Scratch, Verdict, concerning};
use tokio::sync::watch;
use typesetter::worker;

/// How long a call to a store may take; sending 32 MiB of a report is one call.
const PATIENCE: Duration = Duration::from_secs(60);

/// The memory that the function keeps for itself, in MiB, out of what it shares with the child that typesets.
const OWN_MEMORY: u64 = 192;

/// What a function has where Lambda does not say, in MiB.
const DEFAULT_FUNCTION_MEMORY: u64 = 2048;

fn main() -> ExitCode {
    if std::env::args().nth(1).as_deref() == Some(worker::ARGUMENT) {
        return worker::run();
    }
    telemetry::function("processor");
    match serve() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!(%error, "the processor cannot start");
            ExitCode::FAILURE
        }
    }
}

#[tokio::main(flavor = "current_thread")]
async fn serve() -> Result<(), Error> {
    let config = sdk_config(PATIENCE).await;
    let queue = &SqsQueue::new(&config, environment::required(QUEUE_URL)?);
    let jobs = DynamoStore::new(&config, environment::required(TABLE)?);
    let jobs = if environment::optional(QUOTA_BYTES).is_some() { jobs.counting_bytes() } else { jobs };
    let processor = &Processor {
        closing: Closing {
            jobs: Arc::new(jobs),
            announcing: Announcing::InRun(Arc::new(Topic::new(&config, environment::required(TOPIC_ARN)?))),
            deliveries: Arc::new(SqsQueue::new(&config, environment::required(WEBHOOKS_URL)?)),
            links: LinkSigner::new(environment::required(LINK_KEY)?.as_bytes()),
            public_url: environment::required(PUBLIC_URL)?,
            retention: TimeDelta::days(environment::parsed(RETENTION_DAYS)?.unwrap_or(30)),
            patience: Patience::default(),
        },
        objects: Arc::new(Bucket::new(&config, environment::required(BUCKET)?)),
        press: Press::of_this_program(children()?, limits()?)?,
        templates: environment::templates(),
        scratch: Scratch::new(std::env::temp_dir()),
        queue_life: environment::queue_life()?,
        max_attempts: environment::parsed(MAX_ATTEMPTS)?.unwrap_or(4),
        section_rows: environment::parsed(SECTION_ROWS)?.unwrap_or(DEFAULT_SECTION_ROWS),
        // Lambda stops a function between runs, never in one.
        interrupt: watch::channel(false).1,
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

/// As many children as the function has cores, of which there is one for each 1,769 MiB of its memory.
fn children() -> Result<usize, Error> {
    let function_memory: usize = environment::parsed("AWS_LAMBDA_FUNCTION_MEMORY_SIZE")?.unwrap_or(0);
    Ok((function_memory / 1769).max(1))
}

fn limits() -> Result<Limits, Error> {
    let function_memory = environment::parsed("AWS_LAMBDA_FUNCTION_MEMORY_SIZE")?.unwrap_or(DEFAULT_FUNCTION_MEMORY);
    let memory = environment::parsed(MEMORY_LIMIT)?.unwrap_or(function_memory.saturating_sub(OWN_MEMORY));
    let default = Limits::default();
    let bytes = |name, default| Ok::<u64, Error>(environment::parsed(name)?.map_or(default, |mib: u64| mib * MEBIBYTE));
    Ok(Limits {
        time: environment::parsed(TIME_LIMIT)?.map_or(Duration::MAX, Duration::from_secs),
        memory_bytes: memory * MEBIBYTE,
        output_bytes: bytes(OUTPUT_LIMIT, default.output_bytes)?,
        pages: environment::parsed(PAGE_LIMIT)?.unwrap_or(default.pages),
        data_bytes: bytes(DATA_LIMIT, default.data_bytes)?,
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
    match processor.process(body, receives, deadline).await {
        Verdict::Acknowledge => None,
        verdict => concerning(body, hand_back(verdict, queue, message)).await,
    }
}

/// Gives a message back, or puts another in its place, which removes it.
async fn hand_back(verdict: Verdict, queue: &SqsQueue, message: &SqsMessage) -> Option<String> {
    let replaced = match &verdict {
        Verdict::PassOn(body) => queue.push(body).await.map(|()| true),
        Verdict::Requeue(pause) => requeue(queue, message, *pause).await.map(|()| true),
        Verdict::Acknowledge | Verdict::Release(_) | Verdict::Reject => Ok(false),
    };
    match replaced {
        Ok(true) => return None,
        Ok(false) => {}
        Err(error) => tracing::warn!(%error, "the message itself is delivered again"),
    }
    let pause = match verdict {
        Verdict::Release(pause) | Verdict::Requeue(pause) => pause,
        Verdict::Acknowledge | Verdict::PassOn(_) | Verdict::Reject => Duration::ZERO,
    };
    if let Some(receipt) = &message.receipt_handle
        && let Err(error) = queue.release(&Ticket(receipt.clone()), pause).await
    {
        tracing::warn!(%error, "the message comes back when its visibility timeout ends");
    }
    message.message_id.clone()
}

async fn requeue(queue: &SqsQueue, message: &SqsMessage, pause: Duration) -> Result<(), Unavailable> {
    let (body, ticket) = (message.body.clone().unwrap_or_default(), message.receipt_handle.clone().unwrap_or_default());
    queue.requeue(&Delivery { body, receives: 1, ticket: Ticket(ticket) }, pause).await
}
