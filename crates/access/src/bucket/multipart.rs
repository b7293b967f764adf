//! Uploads in parts: nothing is visible until the upload is completed, and nothing remains when it is aborted.

use std::collections::HashMap;

use aws_sdk_s3::error::ProvideErrorMetadata;
use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::{ChecksumAlgorithm, ChecksumType, CompletedMultipartUpload, CompletedPart};
use bytes::Bytes;
use model::{Error, ErrorKind, Result};

use super::client::patiently;
use super::{Bucket, ObjectEntry, crc_text};

/// A part that was uploaded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PartTag {
    /// From 1.
    pub number: i32,
    pub etag: String,
    pub crc64nvme: u64,
}

impl Bucket {
    /// Begins an upload in parts, checked as a whole by its CRC-64/NVME, and returns its id.
    pub async fn create_multipart(
        &self,
        key: &str,
        content_type: &str,
        metadata: HashMap<String, String>,
    ) -> Result<String> {
        let call =
            self.client.create_multipart_upload().bucket(&self.name).key(key).content_type(content_type);
        let call =
            call.checksum_algorithm(ChecksumAlgorithm::Crc64Nvme).checksum_type(ChecksumType::FullObject);
        let call = call.set_server_side_encryption(self.encryption()).set_ssekms_key_id(self.key.clone());
        let sent = call.set_metadata(Some(metadata)).send().await;
        let output = sent.map_err(|e| self.fault(e, "begin an upload of", key))?;
        output
            .upload_id
            .ok_or_else(|| Error::unavailable(format!("the store gave no upload id for {}", self.at(key))))
    }

    /// Uploads a part; sending a number again replaces the part.
    ///
    /// # Errors
    /// As all of `Bucket`; an upload that is gone is `Unavailable`, because another one can be begun.
    pub async fn upload_part(
        &self,
        key: &str,
        upload_id: &str,
        number: i32,
        bytes: Bytes,
        crc64nvme: u64,
    ) -> Result<PartTag> {
        let call =
            self.client.upload_part().bucket(&self.name).key(key).upload_id(upload_id).part_number(number);
        let call = call.body(ByteStream::from(bytes)).checksum_crc64_nvme(crc_text(crc64nvme)).customize();
        let call = call.config_override(patiently());
        let call = if self.signs_bodies { call } else { call.disable_payload_signing() };
        let output = call.send().await.map_err(|e| {
            let is_gone = e.code() == Some("NoSuchUpload");
            let mut fault = self.fault(e, "upload a part of", key);
            if is_gone {
                fault.kind = ErrorKind::Unavailable;
            }
            fault
        })?;
        let etag = output.e_tag.ok_or_else(|| {
            Error::unavailable(format!("the store gave no entity tag for a part of {}", self.at(key)))
        })?;
        Ok(PartTag { number, etag, crc64nvme })
    }

    /// Makes the object visible: all parts, in the order of their numbers; `crc64nvme` and `size` are the whole's.
    ///
    /// Safe to repeat: when the answer to a completion was lost, and another one is refused, the object is found by its
    /// key, size and number of parts, which needs the right to list only.
    ///
    /// # Errors
    /// As all of `Bucket`; `Corrupt` when the store's checksum of the whole is another one.
    pub async fn complete(
        &self,
        key: &str,
        upload_id: &str,
        parts: &[PartTag],
        crc64nvme: u64,
        size: u64,
    ) -> Result<()> {
        let crc = crc_text(crc64nvme);
        let completed = CompletedMultipartUpload::builder()
            .set_parts(Some(parts.iter().map(completed_part).collect()))
            .build();
        let call = self.client.complete_multipart_upload().bucket(&self.name).key(key).upload_id(upload_id);
        let call = call.multipart_upload(completed).checksum_type(ChecksumType::FullObject);
        let call = call.checksum_crc64_nvme(&crc).set_mpu_object_size(i64::try_from(size).ok());
        let call = call.customize().config_override(patiently());
        match call.send().await.map_err(|e| self.fault(e, "complete", key)) {
            Ok(output) if output.checksum_crc64_nvme().is_some_and(|theirs| theirs != crc) => {
                Err(Error::corrupt(format!("the store holds other bytes than were sent to {}", self.at(key))))
            }
            Ok(_) => Ok(()),
            Err(error) if error.kind == ErrorKind::Unavailable => Err(error),
            Err(error) => match self.is_complete(key, parts, size).await {
                Ok(true) => Ok(()),
                // What nobody could look up may be either: whoever asks again will know.
                Err(unknown) if unknown.kind == ErrorKind::Unavailable => Err(unknown),
                Ok(false) | Err(_) => Err(error),
            },
        }
    }

    /// Gives up an upload; one that is gone is no error.
    pub async fn abort(&self, key: &str, upload_id: &str) -> Result<()> {
        let call = self.client.abort_multipart_upload().bucket(&self.name).key(key).upload_id(upload_id);
        match call.send().await.map_err(|e| self.fault(e, "abort the upload of", key)) {
            Err(error) if error.kind != ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }

    // The entity tag of an upload in parts ends with their number.
    async fn is_complete(&self, key: &str, parts: &[PartTag], size: u64) -> Result<bool> {
        let suffix = format!("-{}", parts.len());
        let is_it =
            |o: &ObjectEntry| o.key == key && o.size == size && o.etag.trim_matches('"').ends_with(&suffix);
        Ok(self.list(key, true).await?.iter().any(is_it))
    }
}

fn completed_part(part: &PartTag) -> CompletedPart {
    let built = CompletedPart::builder().part_number(part.number).e_tag(&part.etag);
    built.checksum_crc64_nvme(crc_text(part.crc64nvme)).build()
}
