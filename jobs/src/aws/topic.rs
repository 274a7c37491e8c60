//! Announcements through SNS, which mails them to the topic's subscribers.

use async_trait::async_trait;
use aws_config::SdkConfig;
use aws_sdk_sns::Client;
use aws_sdk_sns::error::BuildError;
use aws_sdk_sns::types::MessageAttributeValue;

use telemetry::metrics::{Channel, announced};

use super::refused;
use crate::announcement::Announcement;
use crate::ports::{Notifier, Unavailable};

/// A topic in SNS.
#[derive(Debug, Clone)]
pub struct Topic {
    client: Client,
    arn: String,
}

impl Topic {
    /// The topic with this ARN.
    pub fn new(config: &SdkConfig, arn: impl Into<String>) -> Self {
        Self { client: Client::new(config), arn: arn.into() }
    }
}

/// Several values under one name: a filter policy is met if one of them meets it.
fn list_attribute(values: &[String]) -> Result<MessageAttributeValue, Unavailable> {
    let value = serde_json::to_string(values).map_err(Unavailable::when("write the announcement"))?;
    let value = MessageAttributeValue::builder().data_type("String.Array").string_value(value).build();
    value.map_err(Unavailable::when::<BuildError>("write the announcement"))
}

#[async_trait]
impl Notifier for Topic {
    async fn announce(&self, announcement: &Announcement) -> Result<(), Unavailable> {
        let attribute = |value: String| {
            let value = MessageAttributeValue::builder().data_type("String").string_value(value).build();
            value.map_err(Unavailable::when::<BuildError>("write the announcement"))
        };
        let publish = self
            .client
            .publish()
            .topic_arn(&self.arn)
            .subject(&announcement.subject)
            .message(&announcement.text)
            .message_attributes("job_id", attribute(announcement.job_id.to_string())?)
            .message_attributes("template", attribute(announcement.template.clone())?)
            .message_attributes("status", attribute(announcement.status.to_string())?);
        // SNS takes no empty list.
        let publish = match announcement.tags.as_slice() {
            [] => publish,
            tags => publish.message_attributes("tags", list_attribute(tags)?),
        };
        publish.send().await.map_err(refused("announce the end of the job"))?;
        announced(Channel::Sns);
        Ok(())
    }
}
