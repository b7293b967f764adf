//! Uploads in parts: nothing is visible until the upload is completed, and nothing remains when it is aborted.

use aws_sdk_s3::config::Config;
use aws_sdk_s3::config::timeout::TimeoutConfig;
use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::{ChecksumAlgorithm, ChecksumType, CompletedMultipartUpload, CompletedPart};
use bytes::Bytes;
use model::{Error, Result};

use super::fault::{Fault, Meaning};
use super::{ATTEMPT_MAX, Checksum, OwnBucket};

/// To put a large upload together takes a store longer than anything else, by this factor.
const COMPLETION_PATIENCE: u32 = 5;

/// An upload that was begun.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OpenUpload {
    pub key: String,
    pub id: String,
}

/// A part that was uploaded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PartTag {
    /// From 1.
    pub number: i32,
    etag: String,
    checksum: String,
}

impl OwnBucket {
    /// Begins an upload; one that an attempt began whose answer was lost stays for whoever clears up.
    pub(crate) async fn begin_upload(&self, key: &str) -> Result<OpenUpload> {
        let begin = || async {
            let call = self.client.create_multipart_upload().bucket(&self.bucket).key(self.full(key));
            let call = match self.checksum {
                Checksum::Crc64Nvme => call
                    .checksum_algorithm(ChecksumAlgorithm::Crc64Nvme)
                    .checksum_type(ChecksumType::FullObject),
                Checksum::Crc32c => call.checksum_algorithm(ChecksumAlgorithm::Crc32C),
            };
            let output = call.send().await.map_err(Fault::of)?;
            output.upload_id.ok_or_else(|| Fault::passing("the store gave no upload id"))
        };
        let id = self.retried(begin).await.map_err(|fault| self.error(fault, "begin an upload of", key))?;
        Ok(OpenUpload { key: key.to_owned(), id })
    }

    /// Uploads a part; sending a number again replaces the part.
    ///
    /// # Errors
    /// As all; an upload that is gone is `Unavailable`, because another one can be begun.
    pub(crate) async fn upload_part(
        &self,
        upload: &OpenUpload,
        number: i32,
        bytes: Bytes,
    ) -> Result<PartTag> {
        let checksum = self.checksum.of(&bytes);
        let send = || async {
            let call = self.client.upload_part().bucket(&self.bucket).key(self.full(&upload.key));
            let call = call.upload_id(&upload.id).part_number(number).body(ByteStream::from(bytes.clone()));
            let call = match self.checksum {
                Checksum::Crc64Nvme => call.checksum_crc64_nvme(&checksum),
                Checksum::Crc32c => call.checksum_crc32_c(&checksum),
            };
            let call = call.customize();
            let call = if self.signs_bodies { call } else { call.disable_payload_signing() };
            let output = call.send().await.map_err(Fault::of)?;
            output.e_tag.ok_or_else(|| Fault::passing("the store gave no entity tag for a part"))
        };
        match self.retried(send).await {
            Ok(etag) => Ok(PartTag { number, etag, checksum }),
            Err(fault) => Err(self.gone(fault, "upload a part of", &upload.key)),
        }
    }

    /// Makes the object visible: all parts, in the order of their numbers, with so many bytes together.
    ///
    /// Safe to repeat: when the answer to a completion was lost, and another one is refused, the object is found by its
    /// key and size.
    ///
    /// # Errors
    /// As `upload_part`.
    pub(crate) async fn complete(&self, upload: &OpenUpload, parts: &[PartTag], size: u64) -> Result<()> {
        let patient = self.with_patience(self.patience * COMPLETION_PATIENCE);
        match patient.retried(|| self.try_complete(upload, parts, size)).await {
            Err(fault) if fault.meaning == Meaning::Missing => match self.size(&upload.key).await {
                Ok(found) if found == Some(size) => Ok(()),
                Ok(_) => Err(self.gone(fault, "complete", &upload.key)),
                Err(fault) => Err(self.gone(fault, "complete", &upload.key)),
            },
            completed => completed.map_err(|fault| self.error(fault, "complete", &upload.key)),
        }
    }

    async fn try_complete(&self, upload: &OpenUpload, parts: &[PartTag], size: u64) -> Result<(), Fault> {
        let of_part = |part: &PartTag| {
            let built = CompletedPart::builder().part_number(part.number).e_tag(&part.etag);
            match self.checksum {
                Checksum::Crc64Nvme => built.checksum_crc64_nvme(&part.checksum).build(),
                Checksum::Crc32c => built.checksum_crc32_c(&part.checksum).build(),
            }
        };
        let all = parts.iter().map(of_part).collect();
        let all = CompletedMultipartUpload::builder().set_parts(Some(all)).build();
        let call = self.client.complete_multipart_upload().bucket(&self.bucket).key(self.full(&upload.key));
        let call = call.upload_id(&upload.id).multipart_upload(all);
        let call = call.set_mpu_object_size(i64::try_from(size).ok());
        let call = match self.checksum {
            Checksum::Crc64Nvme => call.checksum_type(ChecksumType::FullObject),
            Checksum::Crc32c => call,
        };
        // A store may have much to do before its answer begins.
        let patient = TimeoutConfig::builder().read_timeout(ATTEMPT_MAX).build();
        let call = call.customize().config_override(Config::builder().timeout_config(patient));
        call.send().await.map(drop).map_err(Fault::of)
    }

    /// `None` where there is no such object.
    async fn size(&self, key: &str) -> Result<Option<u64>, Fault> {
        let look = || async {
            let call = self.client.head_object().bucket(&self.bucket).key(self.full(key));
            call.send().await.map_err(Fault::of)
        };
        match self.retried(look).await {
            Ok(output) => Ok(output.content_length().and_then(|size| u64::try_from(size).ok())),
            Err(fault) if fault.meaning == Meaning::Missing => Ok(None),
            Err(fault) => Err(fault),
        }
    }

    /// The size of an object.
    pub(crate) async fn size_of(&self, key: &str) -> Result<u64> {
        let size = self.size(key).await.map_err(|fault| self.error(fault, "look at", key))?;
        size.ok_or_else(|| self.error(Fault::missing(), "look at", key))
    }

    /// Gives up an upload; one that is gone is no error.
    pub(crate) async fn abort(&self, upload: &OpenUpload) -> Result<()> {
        let abort = || async {
            let call = self.client.abort_multipart_upload().bucket(&self.bucket).key(self.full(&upload.key));
            call.upload_id(&upload.id).send().await.map(drop).map_err(Fault::of)
        };
        match self.retried(abort).await {
            Err(fault) if fault.meaning != Meaning::Missing => {
                Err(self.error(fault, "abort the upload of", &upload.key))
            }
            _ => Ok(()),
        }
    }

    fn gone(&self, fault: Fault, doing: &str, key: &str) -> Error {
        let meaning = if fault.meaning == Meaning::Missing { Meaning::Passing } else { fault.meaning };
        self.error(Fault { meaning, ..fault }, doing, key)
    }
}
