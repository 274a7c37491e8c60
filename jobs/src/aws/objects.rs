//! Objects in S3, read through URLs that are signed when they are asked for.

use std::time::Duration;

use async_trait::async_trait;
use aws_config::SdkConfig;
use aws_sdk_s3::Client;
use aws_sdk_s3::presigning::PresigningConfig;
use aws_sdk_s3::primitives::ByteStream;

use super::refused;
use crate::ports::{Content, ObjectStore, Opened, Unavailable};

/// How long a signed URL works: long enough for a browser to follow a redirect on a bad connection.
const URL_LIFE: Duration = Duration::from_secs(300);

/// A bucket in S3.
#[derive(Debug, Clone)]
pub struct Bucket {
    client: Client,
    name: String,
}

impl Bucket {
    /// The bucket of this name.
    pub fn new(config: &SdkConfig, name: impl Into<String>) -> Self {
        Self { client: Client::new(config), name: name.into() }
    }
}

#[async_trait]
impl ObjectStore for Bucket {
    async fn put(&self, key: &str, content_type: &str, content: Content<'_>) -> Result<(), Unavailable> {
        let body = match content {
            Content::Bytes(bytes) => ByteStream::from(bytes.to_vec()),
            Content::File(path) => {
                ByteStream::from_path(path).await.map_err(Unavailable::when("read the report's file"))?
            }
        };
        let put = self.client.put_object().bucket(&self.name).key(key).content_type(content_type).body(body);
        put.send().await.map_err(refused("store the object"))?;
        Ok(())
    }

    async fn get(&self, key: &str) -> Result<Option<Vec<u8>>, Unavailable> {
        match self.client.get_object().bucket(&self.name).key(key).send().await {
            Ok(object) => {
                let bytes = object.body.collect().await.map_err(Unavailable::when("read the object"))?;
                Ok(Some(bytes.to_vec()))
            }
            Err(error) => match error.as_service_error() {
                Some(service) if service.is_no_such_key() => Ok(None),
                _ => Err(refused("read the object")(error)),
            },
        }
    }

    /// Asks S3 whether the object is there, since a signed URL to nothing would show the reader S3's own XML.
    async fn open(&self, key: &str, file_name: &str) -> Result<Option<Opened>, Unavailable> {
        match self.client.head_object().bucket(&self.name).key(key).send().await {
            Ok(_) => {}
            Err(error) if error.as_service_error().is_some_and(|service| service.is_not_found()) => return Ok(None),
            Err(error) => return Err(refused("find the object")(error)),
        }
        let life = PresigningConfig::expires_in(URL_LIFE).map_err(Unavailable::when("sign the report's URL"))?;
        let get = self.client.get_object().bucket(&self.name).key(key);
        let get = get.response_content_disposition(format!("inline; filename=\"{file_name}\""));
        let signed = get.presigned(life).await.map_err(refused("sign the report's URL"))?;
        Ok(Some(Opened::Url(signed.uri().to_owned())))
    }
}
