//! Objects in S3, read through URLs that are signed when they are asked for.

use std::path::Path;
use std::time::Duration;

use async_trait::async_trait;
use aws_config::SdkConfig;
use aws_sdk_s3::Client;
use aws_sdk_s3::presigning::PresigningConfig;
use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::{Delete, ObjectIdentifier, Tag, Tagging};
use tokio::fs::File;
use tokio::io::AsyncWriteExt;

use super::{multipart, refused};
use crate::ports::{Accepts, Content, ObjectStore, Opened, Unavailable};

/// How long a signed URL works: long enough for a browser to follow a redirect on a bad connection.
const URL_LIFE: Duration = Duration::from_secs(300);

/// The tag of uploads that says whether a job has named them, and its values.
const NAMED_TAG: &str = "pressrun-named";
const NAMED: &str = "yes";
const UNNAMED: &str = "no";

/// How an upload is tagged when it is put, as its PUT must say in the header `x-amz-tagging`.
const UNNAMED_TAGGING: &str = "pressrun-named=no";

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
        if let Content::File(path) | Content::Draft(path) = content
            && multipart::is_large(path).await
        {
            return multipart::upload(&self.client, &self.name, key, content_type, path).await;
        }
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

    /// The signature covers the headers Content-Type, Content-Length and x-amz-tagging: S3 refuses any other. It is good for no longer
    /// than the session of the role that signs.
    async fn accept(&self, key: &str, content_type: &str, bytes: u64, time: Duration) -> Result<Accepts, Unavailable> {
        let attempted = "sign the upload's URL";
        let life = PresigningConfig::expires_in(time).map_err(Unavailable::when(attempted))?;
        let bytes = i64::try_from(bytes).map_err(Unavailable::when(attempted))?;
        let put = self.client.put_object().bucket(&self.name).key(key).content_type(content_type).content_length(bytes);
        let put = put.tagging(UNNAMED_TAGGING);
        let signed = put.presigned(life).await.map_err(refused(attempted))?;
        Ok(Accepts::Url { url: signed.uri().to_owned(), tagging: UNNAMED_TAGGING })
    }

    /// What is tagged as named by no job is expired by the bucket's lifecycle after a day.
    async fn keep(&self, key: &str, fresh: bool) -> Result<Option<u64>, Unavailable> {
        let attempted = "keep the upload";
        let Some(size) = self.size(key).await? else { return Ok(None) };
        if !fresh {
            let tags = self.client.get_object_tagging().bucket(&self.name).key(key).send().await;
            let tags = tags.map_err(refused(attempted))?.tag_set;
            let unnamed = tags.iter().any(|tag| tag.key == NAMED_TAG && tag.value == UNNAMED);
            return Ok((!unnamed).then_some(size));
        }
        let tag = Tag::builder().key(NAMED_TAG).value(NAMED).build().map_err(Unavailable::when(attempted))?;
        let tags = Tagging::builder().tag_set(tag).build().map_err(Unavailable::when(attempted))?;
        let tagged = self.client.put_object_tagging().bucket(&self.name).key(key).tagging(tags).send().await;
        tagged.map_err(refused(attempted))?;
        Ok(Some(size))
    }

    async fn remove_under(&self, prefix: &str) -> Result<(), Unavailable> {
        let attempted = "remove objects";
        loop {
            let listing = self.client.list_objects_v2().bucket(&self.name).prefix(prefix);
            let found = listing.send().await.map_err(refused(attempted))?.contents.unwrap_or_default();
            let keys = found.into_iter().filter_map(|object| ObjectIdentifier::builder().key(object.key?).build().ok());
            let keys: Vec<_> = keys.collect();
            if keys.is_empty() {
                return Ok(());
            }
            let keys = Delete::builder().set_objects(Some(keys)).quiet(true).build();
            let keys = keys.map_err(Unavailable::when(attempted))?;
            let removed = self.client.delete_objects().bucket(&self.name).delete(keys).send().await;
            let errors = removed.map_err(refused(attempted))?.errors.unwrap_or_default();
            if let Some(error) = errors.first() {
                return Err(Unavailable::when(attempted)(format!("{error:?}")));
            }
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
