//! The connections of a WebSocket API in API Gateway.

use async_trait::async_trait;
use aws_config::SdkConfig;
use aws_sdk_apigatewaymanagement::Client;
use aws_sdk_apigatewaymanagement::config::Builder;
use aws_sdk_apigatewaymanagement::primitives::Blob;

use super::refused;
use crate::followers::{Connections, Posted};
use crate::ports::Unavailable;

/// The connections of one stage of one API.
#[derive(Debug, Clone)]
pub struct GatewayConnections {
    client: Client,
}

impl GatewayConnections {
    /// The connections behind `url`, such as `https://{api}.execute-api.{region}.amazonaws.com/{stage}`.
    pub fn new(config: &SdkConfig, url: impl Into<String>) -> Self {
        Self { client: Client::from_conf(Builder::from(config).endpoint_url(url).build()) }
    }
}

#[async_trait]
impl Connections for GatewayConnections {
    async fn post(&self, connection: &str, text: &str) -> Result<Posted, Unavailable> {
        let post = self.client.post_to_connection().connection_id(connection).data(Blob::new(text));
        match post.send().await {
            Ok(_) => Ok(Posted::Yes),
            Err(error) if error.as_service_error().is_some_and(|service| service.is_gone_exception()) => {
                Ok(Posted::Gone)
            }
            Err(error) => Err(refused("tell a connection")(error)),
        }
    }
}
