//! A large file on its way to S3, part by part: in memory is one part at a time, and a part that fails is sent again by
//! itself.

use std::path::Path;

use aws_sdk_s3::Client;
use aws_sdk_s3::primitives::{ByteStream, Length};
use aws_sdk_s3::types::{CompletedMultipartUpload, CompletedPart};

use super::refused;
use crate::ports::Unavailable;

/// The size of a part in bytes. S3 takes 10,000 parts, so that a file may have 156 GiB.
const PART_BYTES: u64 = 16 * 1024 * 1024;

/// Whether a file is worth more than one part.
pub(super) async fn is_large(path: &Path) -> bool {
    tokio::fs::metadata(path).await.is_ok_and(|file| file.len() > 2 * PART_BYTES)
}

/// Uploads a file; the object appears when its last part is there. An upload that fails is left to S3, which removes what
/// was not completed by the bucket's lifecycle.
pub(super) async fn upload(
    client: &Client,
    bucket: &str,
    key: &str,
    content_type: &str,
    path: &Path,
) -> Result<(), Unavailable> {
    let attempted = "store the object";
    let bytes = tokio::fs::metadata(path).await.map_err(Unavailable::when("read the report's file"))?.len();
    let begun = client.create_multipart_upload().bucket(bucket).key(key).content_type(content_type);
    let upload = begun.send().await.map_err(refused(attempted))?.upload_id;
    let upload = upload.ok_or_else(|| Unavailable::when(attempted)("S3 named no upload"))?;
    let mut parts = Vec::new();
    for (number, offset) in (1..).zip((0..bytes).step_by(PART_BYTES as usize)) {
        let part =
            ByteStream::read_from().path(path).offset(offset).length(Length::Exact(PART_BYTES.min(bytes - offset)));
        let part = part.build().await.map_err(Unavailable::when("read the report's file"))?;
        let sent = client.upload_part().bucket(bucket).key(key).upload_id(&upload).part_number(number).body(part);
        let tag = sent.send().await.map_err(refused(attempted))?.e_tag;
        parts.push(CompletedPart::builder().part_number(number).set_e_tag(tag).build());
    }
    let parts = CompletedMultipartUpload::builder().set_parts(Some(parts)).build();
    let completed =
        client.complete_multipart_upload().bucket(bucket).key(key).upload_id(upload).multipart_upload(parts);
    completed.send().await.map_err(refused(attempted))?;
    Ok(())
}
