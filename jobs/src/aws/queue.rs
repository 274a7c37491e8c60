//! The queue on SQS.

use std::time::Duration;

use async_trait::async_trait;
use aws_config::SdkConfig;
use aws_sdk_sqs::Client;
use aws_sdk_sqs::types::{MessageSystemAttributeName, QueueAttributeName};

use super::refused;
use crate::ports::{Delivery, Queue, Ticket, Unavailable};

/// The longest SQS waits for a message.
const LONGEST_WAIT: Duration = Duration::from_secs(20);

/// A queue in SQS.
#[derive(Debug, Clone)]
pub struct SqsQueue {
    client: Client,
    url: String,
}

impl SqsQueue {
    /// The queue at `url`.
    pub fn new(config: &SdkConfig, url: impl Into<String>) -> Self {
        Self { client: Client::new(config), url: url.into() }
    }

    /// The queue that this one's redrive policy names. The policy holds its ARN,
    /// `arn:aws:sqs:{region}:{account}:{name}`.
    async fn dead_letter_url(&self) -> Result<Option<String>, Unavailable> {
        let policy = self.attribute(&self.url, QueueAttributeName::RedrivePolicy).await?;
        let policy: serde_json::Value = serde_json::from_str(policy.as_deref().unwrap_or("{}"))
            .map_err(Unavailable::when("read the redrive policy"))?;
        let Some(name) = policy["deadLetterTargetArn"].as_str().and_then(|arn| arn.rsplit(':').next()) else {
            return Ok(None);
        };
        let found = self.client.get_queue_url().queue_name(name).send().await;
        Ok(found.map_err(refused("find the dead-letter queue"))?.queue_url)
    }

    async fn attribute(&self, url: &str, name: QueueAttributeName) -> Result<Option<String>, Unavailable> {
        let request = self.client.get_queue_attributes().queue_url(url).attribute_names(name.clone());
        let answer = request.send().await.map_err(refused("read the queue's attributes"))?;
        Ok(answer.attributes.and_then(|mut attributes| attributes.remove(&name)))
    }
}

#[async_trait]
impl Queue for SqsQueue {
    async fn push(&self, body: &str) -> Result<(), Unavailable> {
        let request = self.client.send_message().queue_url(&self.url).message_body(body);
        request.send().await.map_err(refused("put the job in the queue"))?;
        Ok(())
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
            .map_err(refused("take a job from the queue"))?;
        let Some(message) = answer.messages.unwrap_or_default().pop() else { return Ok(None) };
        let count =
            message.attributes.as_ref().and_then(|it| it.get(&MessageSystemAttributeName::ApproximateReceiveCount));
        Ok(Some(Delivery {
            receives: count.and_then(|count| count.parse().ok()).unwrap_or(1),
            body: message.body.unwrap_or_default(),
            ticket: Ticket(message.receipt_handle.unwrap_or_default()),
        }))
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

    async fn dead_letters(&self) -> Result<u64, Unavailable> {
        let Some(url) = self.dead_letter_url().await? else { return Ok(0) };
        let count = self.attribute(&url, QueueAttributeName::ApproximateNumberOfMessages).await?;
        Ok(count.and_then(|count| count.parse().ok()).unwrap_or(0))
    }
}

fn seconds(duration: Duration) -> i32 {
    i32::try_from(duration.as_secs()).unwrap_or(i32::MAX)
}
