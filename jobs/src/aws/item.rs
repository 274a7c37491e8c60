//! Items of DynamoDB: their attributes, and writes that depend on a condition.

use std::collections::HashMap;

use aws_sdk_dynamodb::operation::put_item::builders::PutItemFluentBuilder;
use aws_sdk_dynamodb::operation::update_item::builders::UpdateItemFluentBuilder;
use aws_sdk_dynamodb::types::AttributeValue;

use super::refused;
use crate::ports::Unavailable;

pub(super) type Item = HashMap<String, AttributeValue>;

/// Sends an update; nothing comes back if its condition did not hold.
pub(super) async fn update_if(attempted: &str, update: UpdateItemFluentBuilder) -> Result<Option<Item>, Unavailable> {
    match update.send().await {
        Ok(done) => Ok(Some(done.attributes.unwrap_or_default())),
        Err(error) => match error.as_service_error() {
            Some(service) if service.is_conditional_check_failed_exception() => Ok(None),
            _ => Err(refused(attempted)(error)),
        },
    }
}

/// Sends a conditional put; answers whether its condition held.
pub(super) async fn put_if(attempted: &str, put: PutItemFluentBuilder) -> Result<bool, Unavailable> {
    match put.send().await {
        Ok(_) => Ok(true),
        Err(error) => match error.as_service_error() {
            Some(service) if service.is_conditional_check_failed_exception() => Ok(false),
            _ => Err(refused(attempted)(error)),
        },
    }
}

pub(super) fn text(value: impl ToString) -> AttributeValue {
    AttributeValue::S(value.to_string())
}

pub(super) fn number(value: i64) -> AttributeValue {
    AttributeValue::N(value.to_string())
}
