//! The queue on SQS.

use std::time::Duration;

use async_trait::async_trait;
use aws_config::SdkConfig;
use aws_sdk_sqs::Client;
use aws_sdk_sqs::error::BuildError;
use aws_sdk_sqs::types::{
    Message, MessageSystemAttributeName, MessageSystemAttributeNameForSends, MessageSystemAttributeValue,
};
use sha2::{Digest, Sha256};
use telemetry::trace;

use super::refused;
use crate::delivery::DeliveryMessage;
use crate::message::caller_of;
use crate::ports::{Deliveries, Delivery, Queue, Ticket, Unavailable};

/// The longest SQS waits for a message.
const LONGEST_WAIT: Duration = Duration::from_secs(20);

/// The longest SQS delays a new message.
const LONGEST_DELAY: Duration = Duration::from_secs(900);

/// How many messages SQS hands out at a time.
const BATCH: i32 = 10;

/// How long a dead letter is hidden from others while one looks at it.
const GLANCE_SECONDS: i32 = 60;

/// A queue in SQS.
#[derive(Debug, Clone)]
pub struct SqsQueue {
    client: Client,
    url: String,
    dead_letters: Option<String>,
}

impl SqsQueue {
    /// The queue at `url`.
    pub fn new(config: &SdkConfig, url: impl Into<String>) -> Self {
        Self { client: Client::new(config), url: url.into(), dead_letters: None }
    }

    /// With the queue at `url` as the one where messages are set aside.
    #[must_use]
    pub fn with_dead_letters(self, url: impl Into<String>) -> Self {
        Self { dead_letters: Some(url.into()), ..self }
    }

    /// Puts a message in. SQS lets groups with few messages in hand go first, on a standard queue too.
    async fn send(&self, body: &str, group: &str, delay: Duration) -> Result<(), Unavailable> {
        let mut request = self.client.send_message().queue_url(&self.url).message_body(body);
        if !delay.is_zero() {
            request = request.delay_seconds(seconds(delay.min(LONGEST_DELAY)));
        }
        if !group.is_empty() {
            request = request.message_group_id(group_id(group));
        }
        if let Some(context) = trace::current() {
            let header = MessageSystemAttributeValue::builder().data_type("String").string_value(context.to_xray());
            let header = header.build().map_err(Unavailable::when::<BuildError>("put the message in the queue"))?;
            request = request.message_system_attributes(MessageSystemAttributeNameForSends::AwsTraceHeader, header);
        }
        request.send().await.map_err(refused("put the message in the queue"))?;
        Ok(())
    }
}

#[async_trait]
impl Deliveries for SqsQueue {
    async fn push(&self, message: &DeliveryMessage) -> Result<(), Unavailable> {
        let lane = format!("{} {}", message.destination(), message.caller());
        self.send(&message.encode(), &lane, Duration::ZERO).await
    }
}

#[async_trait]
impl Queue for SqsQueue {
    async fn push(&self, body: &str) -> Result<(), Unavailable> {
        self.send(body, &caller_of(body), Duration::ZERO).await
    }

    async fn receive(&self, visibility: Duration, wait: Duration) -> Result<Option<Delivery>, Unavailable> {
        let answer = self
            .client
            .receive_message()
            .queue_url(&self.url)
            .max_number_of_messages(1)
            .visibility_timeout(seconds(visibility))
            .wait_time_seconds(seconds(wait.min(LONGEST_WAIT)))
            .message_system_attribute_names(MessageSystemAttributeName::ApproximateReceiveCount)
            .send()
            .await
            .map_err(refused("take a message from the queue"))?;
        Ok(answer.messages.unwrap_or_default().pop().map(delivery))
    }

    async fn acknowledge(&self, ticket: &Ticket) -> Result<(), Unavailable> {
        let request = self.client.delete_message().queue_url(&self.url).receipt_handle(&ticket.0);
        request.send().await.map_err(refused("acknowledge the message"))?;
        Ok(())
    }

    async fn release(&self, ticket: &Ticket, delay: Duration) -> Result<(), Unavailable> {
        let request = self.client.change_message_visibility().queue_url(&self.url).receipt_handle(&ticket.0);
        let request = request.visibility_timeout(seconds(delay));
        request.send().await.map_err(refused("give the message back"))?;
        Ok(())
    }

    async fn hold(&self, ticket: &Ticket, visibility: Duration) -> Result<(), Unavailable> {
        self.release(ticket, visibility).await
    }

    /// By a new message, since SQS never takes a delivery back.
    async fn requeue(&self, delivery: &Delivery, delay: Duration) -> Result<(), Unavailable> {
        self.send(&delivery.body, &caller_of(&delivery.body), delay).await?;
        self.acknowledge(&delivery.ticket).await
    }

    async fn dead_letters(&self) -> Result<Vec<Delivery>, Unavailable> {
        let Some(url) = &self.dead_letters else { return Ok(Vec::new()) };
        let request = self
            .client
            .receive_message()
            .queue_url(url)
            .max_number_of_messages(BATCH)
            .visibility_timeout(GLANCE_SECONDS)
            // With a wait SQS asks all of its servers, not a sample of them.
            .wait_time_seconds(1)
            .message_system_attribute_names(MessageSystemAttributeName::ApproximateReceiveCount);
        let answer = request.send().await.map_err(refused("look at the dead letters"))?;
        Ok(answer.messages.unwrap_or_default().into_iter().map(delivery).collect())
    }

    async fn show_dead_letters(&self, tickets: &[Ticket]) -> Result<(), Unavailable> {
        let Some(url) = &self.dead_letters else { return Ok(()) };
        // One by one, under the very action that the policy names.
        for Ticket(ticket) in tickets {
            let request = self.client.change_message_visibility().queue_url(url).receipt_handle(ticket);
            let request = request.visibility_timeout(0);
            // Those that cannot be shown show by themselves, a minute after they were hidden.
            if let Err(error) = request.send().await.map_err(refused("show the dead letters again")) {
                tracing::warn!(%error, "a dead letter stays hidden for a while");
            }
        }
        Ok(())
    }
}

fn delivery(message: Message) -> Delivery {
    let count = message.attributes.as_ref().and_then(|it| it.get(&MessageSystemAttributeName::ApproximateReceiveCount));
    Delivery {
        receives: count.and_then(|count| count.parse().ok()).unwrap_or(1),
        body: message.body.unwrap_or_default(),
        ticket: Ticket(message.receipt_handle.unwrap_or_default()),
    }
}

/// A group's name may hold 128 characters, and not all that hosts and callers' names hold.
fn group_id(group: &str) -> String {
    Sha256::digest(group).iter().take(16).map(|byte| format!("{byte:02x}")).collect()
}

fn seconds(duration: Duration) -> i32 {
    i32::try_from(duration.as_secs()).unwrap_or(i32::MAX)
}
