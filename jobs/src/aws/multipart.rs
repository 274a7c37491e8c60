//! A large file on its way to S3, part by part: in memory is one part at a time, and a part that fails is sent again by
//! itself.

use std::path::Path;

use aws_sdk_s3::Client;
use aws_sdk_s3::primitives::{ByteStream, Length};
use aws_sdk_s3::types::{ChecksumAlgorithm, CompletedMultipartUpload, CompletedPart};

use super::refused;
use crate::ports::Unavailable;

const ATTEMPTED: &str = "store the object";
const READING: &str = "read the report's file";

/// The size of a part in bytes. S3 takes 10,000 parts, so that a file may have 156 GiB.
const PART_BYTES: u64 = 16 * 1024 * 1024;

/// Whether a file is worth more than one part.
pub(super) async fn is_large(path: &Path) -> bool {
    tokio::fs::metadata(path).await.is_ok_and(|file| file.len() > 2 * PART_BYTES)
}

/// Uploads a file; the object appears when its last part is there.
pub(super) async fn upload(
    client: &Client,
    bucket: &str,
    key: &str,
    content_type: &str,
    path: &Path,
) -> Result<(), Unavailable> {
    let begin = client.create_multipart_upload().bucket(bucket).key(key).content_type(content_type);
    let begun = begin.checksum_algorithm(ChecksumAlgorithm::Crc32).send().await.map_err(refused(ATTEMPTED))?;
    let id = begun.upload_id.ok_or_else(|| Unavailable::when(ATTEMPTED)("S3 named no upload"))?;
    let upload = Upload { client, bucket, key, id: &id };
    let uploaded = upload.send(path).await;
    if uploaded.is_err() {
        // The error that matters is the first one, and the bucket's lifecycle removes what is left.
        _ = client.abort_multipart_upload().bucket(bucket).key(key).upload_id(&id).send().await;
    }
    uploaded
}

/// An upload that was begun.
struct Upload<'a> {
    client: &'a Client,
    bucket: &'a str,
    key: &'a str,
    id: &'a str,
}

impl Upload<'_> {
    async fn send(&self, path: &Path) -> Result<(), Unavailable> {
        let bytes = tokio::fs::metadata(path).await.map_err(Unavailable::when(READING))?.len();
        let mut parts = Vec::new();
        for (number, offset) in (1..).zip((0..bytes).step_by(PART_BYTES as usize)) {
            parts.push(self.send_part(path, number, offset, PART_BYTES.min(bytes - offset)).await?);
        }
        let parts = CompletedMultipartUpload::builder().set_parts(Some(parts)).build();
        let complete = self.client.complete_multipart_upload().bucket(self.bucket).key(self.key).upload_id(self.id);
        complete.multipart_upload(parts).send().await.map_err(refused(ATTEMPTED))?;
        Ok(())
    }

    async fn send_part(&self, path: &Path, number: i32, offset: u64, bytes: u64) -> Result<CompletedPart, Unavailable> {
        let part = ByteStream::read_from().path(path).offset(offset).length(Length::Exact(bytes));
        let part = part.build().await.map_err(Unavailable::when(READING))?;
        let send = self.client.upload_part().bucket(self.bucket).key(self.key).upload_id(self.id).part_number(number);
        let sent = send.checksum_algorithm(ChecksumAlgorithm::Crc32).body(part).send().await;
        let sent = sent.map_err(refused(ATTEMPTED))?;
        let part = CompletedPart::builder().part_number(number).set_e_tag(sent.e_tag);
        Ok(part.set_checksum_crc32(sent.checksum_crc32).build())
    }
}
