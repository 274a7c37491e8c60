//! Announcements through SNS, which mails them to the topic's subscribers.

use async_trait::async_trait;
use aws_config::SdkConfig;
use aws_sdk_sns::Client;
use aws_sdk_sns::error::{BuildError, ProvideErrorMetadata};
use aws_sdk_sns::operation::publish::builders::PublishFluentBuilder;
use aws_sdk_sns::types::MessageAttributeValue;

use telemetry::metrics::announced;

use super::refused;
use crate::announcement::Announcement;
use crate::delivery::{Channel, DeliveryOutcome, Sent, reason};
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

const ATTEMPTED: &str = "announce the end of the job";

/// Several values under one name: a filter policy is met if one of them meets it.
fn list_attribute(values: &[String]) -> Result<MessageAttributeValue, Unavailable> {
    let value = serde_json::to_string(values).map_err(Unavailable::when("write the announcement"))?;
    let value = MessageAttributeValue::builder().data_type("String.Array").string_value(value).build();
    value.map_err(Unavailable::when::<BuildError>("write the announcement"))
}

/// What SNS says to a subject, or anything else, that it does not take.
const REFUSED: [&str; 4] =
    ["InvalidParameter", "InvalidParameterValue", "ParameterValueInvalid", "ValidationException"];

impl Topic {
    fn request(&self, announcement: &Announcement) -> Result<PublishFluentBuilder, Unavailable> {
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
        Ok(match announcement.tags.as_slice() {
            [] => publish,
            tags => publish.message_attributes("tags", list_attribute(tags)?),
        })
    }

    async fn publish(&self, announcement: &Announcement) -> Sent {
        let told = |error: Unavailable| format!("Could not {}.", reason(&error.to_string()));
        let request = match self.request(announcement) {
            Ok(request) => request,
            Err(error) => return Sent::later(told(error)),
        };
        match request.send().await {
            Ok(_) => Sent::taken(None),
            Err(error) if error.code().is_some_and(|code| REFUSED.contains(&code)) => {
                Sent::refused(told(refused(ATTEMPTED)(error)))
            }
            Err(error) => Sent::later(told(refused(ATTEMPTED)(error))),
        }
    }
}

#[async_trait]
impl Notifier for Topic {
    fn channel(&self) -> Channel {
        Channel::Topic
    }

    /// Subjects are "UTF-8 text with no line breaks or control characters, and less than 100 characters long"
    /// (<https://docs.aws.amazon.com/sns/latest/api/API_Publish.html>). That was ASCII once, and other services with SNS's
    /// interface still want it: what is refused is sent again under a subject in ASCII.
    async fn announce(&self, announcement: &Announcement) -> Sent {
        let mut sent = self.publish(announcement).await;
        if sent.outcome == DeliveryOutcome::Refused && !announcement.subject.is_ascii() {
            tracing::warn!("the topic takes no such subject, so the text begins with it");
            sent = self.publish(&announcement.under(announcement.plain_subject.clone())).await;
        }
        if sent.outcome == DeliveryOutcome::Taken {
            announced(Channel::Topic.into());
        }
        sent
    }
}
