//! Objects in S3, read through URLs that are signed when they are asked for.

use std::path::Path;
use std::time::Duration;

use async_trait::async_trait;
use aws_config::SdkConfig;
use aws_sdk_s3::Client;
use aws_sdk_s3::presigning::PresigningConfig;
use aws_sdk_s3::primitives::ByteStream;
use tokio::fs::File;
use tokio::io::AsyncWriteExt;

use super::refused;
use crate::ports::{Accepts, Content, ObjectStore, Opened, Unavailable};

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
            Content::File(path) | Content::Draft(path) => {
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

    async fn size(&self, key: &str) -> Result<Option<u64>, Unavailable> {
        match self.client.head_object().bucket(&self.name).key(key).send().await {
            Ok(head) => Ok(Some(head.content_length.unwrap_or_default().try_into().unwrap_or_default())),
            Err(error) if error.as_service_error().is_some_and(|service| service.is_not_found()) => Ok(None),
            Err(error) => Err(refused("find the object")(error)),
        }
    }

    async fn fetch(&self, key: &str, file: &Path) -> Result<bool, Unavailable> {
        let mut object = match self.client.get_object().bucket(&self.name).key(key).send().await {
            Ok(object) => object.body,
            Err(error) => match error.as_service_error() {
                Some(service) if service.is_no_such_key() => return Ok(false),
                _ => return Err(refused("read the object")(error)),
            },
        };
        let attempted = "write the object to a file";
        let mut file = File::create(file).await.map_err(Unavailable::when(attempted))?;
        while let Some(piece) = object.try_next().await.map_err(Unavailable::when("read the object"))? {
            file.write_all(&piece).await.map_err(Unavailable::when(attempted))?;
        }
        file.flush().await.map_err(Unavailable::when(attempted))?;
        Ok(true)
    }

    /// The signature covers the headers Content-Type and Content-Length: S3 refuses any other. It is good for no longer
    /// than the session of the role that signs.
    async fn accept(&self, key: &str, content_type: &str, bytes: u64, time: Duration) -> Result<Accepts, Unavailable> {
        let attempted = "sign the upload's URL";
        let life = PresigningConfig::expires_in(time).map_err(Unavailable::when(attempted))?;
        let bytes = i64::try_from(bytes).map_err(Unavailable::when(attempted))?;
        let put = self.client.put_object().bucket(&self.name).key(key).content_type(content_type).content_length(bytes);
        let signed = put.presigned(life).await.map_err(refused(attempted))?;
        Ok(Accepts::Url(signed.uri().to_owned()))
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
