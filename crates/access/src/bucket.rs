//! A bucket opened as a role: the only door to buckets that are not ours.

mod body;
mod client;
mod denial;
mod embedded;
mod fault;
mod multipart;

pub use body::Body;
pub use client::own_client;
pub(crate) use client::{Store, Way};
pub use embedded::{Answering, Arriving, EmbeddedS3, Leaving};
pub use multipart::PartTag;

use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;

use aws_sdk_s3::Client;
use aws_sdk_s3::config::{Config, ResponseChecksumValidation};
use aws_sdk_s3::operation::get_object::GetObjectOutput;
use aws_sdk_s3::operation::list_objects_v2::ListObjectsV2Output;
use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::{ChecksumAlgorithm, ServerSideEncryption};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use model::{Error, ErrorKind, Result};

use crate::services::Acting;
use crate::session::SessionKeys;

/// A bucket and the session that opened it.
///
/// All errors name the bucket and the key: `NotFound`; `Denied` with the store's own text; `Invalid` when the store
/// does not take the request; `Unavailable` when it does not answer, after five attempts.
#[derive(Clone)]
pub struct Bucket {
    name: String,
    client: Client,
    /// Whether the signature covers the bodies that are sent; else only their checksums protect them.
    signs_bodies: bool,
    /// The key of KMS under which objects are written.
    key: Option<String>,
    /// As whom a real store sees the requests; `None` at the embedded one, which says it by itself.
    acting: Option<Acting>,
    /// The keys of a session at the embedded store, which work while a bucket is open with them.
    _keys: Option<Arc<SessionKeys>>,
}

/// An object as a list shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ObjectEntry {
    pub key: String,
    pub size: u64,
    /// With its quotation marks, as `if_match` takes it.
    pub etag: String,
}

/// What a store knows about an object beside its bytes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ObjectHead {
    /// The size of the whole object, also where only a range was asked for.
    pub size: u64,
    pub etag: String,
    pub content_type: Option<String>,
    pub metadata: HashMap<String, String>,
}

impl Bucket {
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The same bucket, in which objects are written under a key of KMS; without one nothing is said, so that the
    /// bucket's own default holds.
    #[must_use]
    pub fn with_key(self, kms_key_arn: Option<String>) -> Bucket {
        Bucket { key: kms_key_arn, ..self }
    }

    fn encryption(&self) -> Option<ServerSideEncryption> {
        self.key.as_ref().map(|_| ServerSideEncryption::AwsKms)
    }

    /// Checks that the bucket is there and may be listed.
    pub async fn probe_list(&self) -> Result<()> {
        let sent = self.client.list_objects_v2().bucket(&self.name).max_keys(1).send().await;
        sent.map(drop).map_err(|e| self.fault(e, "list", ""))
    }

    /// All objects whose keys begin with `prefix`, in the store's order.
    ///
    /// With `delimiter_slash` only those without a further slash: a folder without its subfolders.
    pub async fn list(&self, prefix: &str, delimiter_slash: bool) -> Result<Vec<ObjectEntry>> {
        let mut entries = Vec::new();
        let mut token = None;
        loop {
            let call = self.client.list_objects_v2().bucket(&self.name).prefix(prefix);
            let call =
                call.set_delimiter(delimiter_slash.then(|| "/".to_owned())).set_continuation_token(token);
            let page = call.send().await.map_err(|e| self.fault(e, "list", prefix))?;
            if !is_whole(&page) {
                return Err(Error::unavailable(format!("the list of {} ended too early", self.at(prefix))));
            }
            entries.extend(page.contents().iter().filter_map(|object| {
                let size = u64::try_from(object.size()?).ok()?;
                let etag = object.e_tag().unwrap_or_default().to_owned();
                Some(ObjectEntry { key: object.key()?.to_owned(), size, etag })
            }));
            match page.next_continuation_token {
                Some(next) if page.is_truncated == Some(true) => token = Some(next),
                _ => return Ok(entries),
            }
        }
    }

    /// Reads an object, or a range of its bytes; `if_match` is the entity tag that it must still have.
    ///
    /// # Errors
    /// `Invalid` when the object has another entity tag, or ends before the range begins.
    pub async fn get(
        &self,
        key: &str,
        range: Option<Range<u64>>,
        if_match: Option<&str>,
    ) -> Result<(ObjectHead, Body)> {
        let ranged = range.is_some();
        let header = range.map(|r| format!("bytes={}-{}", r.start, r.end.saturating_sub(1)));
        let call = self.client.get_object().bucket(&self.name).key(key);
        let call = call.set_range(header).set_if_match(if_match.map(str::to_owned));
        let sent = if ranged {
            // A checksum is of the whole object: some stores send it with a range too, where it can't match.
            let lax =
                Config::builder().response_checksum_validation(ResponseChecksumValidation::WhenRequired);
            call.customize().config_override(lax).send().await
        } else {
            call.send().await
        };
        let output = sent.map_err(|e| self.fault(e, "read", key))?;
        if ranged && output.content_range().is_none() {
            return Err(Error::unavailable(format!(
                "the store sent all of {} instead of a range",
                self.at(key)
            )));
        }
        let left = output.content_length().and_then(|length| u64::try_from(length).ok());
        let head = head_of(&output, left.unwrap_or_default());
        Ok((head, Body::new(output.body, left, self.at(key))))
    }

    /// What the store knows about an object; asks for the right to read it.
    pub async fn head(&self, key: &str) -> Result<ObjectHead> {
        let sent = self.client.head_object().bucket(&self.name).key(key).send().await;
        let output = sent.map_err(|e| self.fault(e, "look at", key))?;
        Ok(ObjectHead {
            size: output.content_length().and_then(|size| u64::try_from(size).ok()).unwrap_or_default(),
            etag: output.e_tag().unwrap_or_default().to_owned(),
            content_type: output.content_type().map(str::to_owned),
            metadata: output.metadata().cloned().unwrap_or_default(),
        })
    }

    /// Writes an object in one request and returns its entity tag.
    ///
    /// `crc64nvme` is that of `bytes`; without it, it is computed here.
    pub async fn put(
        &self,
        key: &str,
        bytes: Bytes,
        content_type: &str,
        metadata: HashMap<String, String>,
        crc64nvme: Option<u64>,
    ) -> Result<String> {
        let call = self.client.put_object().bucket(&self.name).key(key).content_type(content_type);
        let call = call.set_metadata(Some(metadata)).body(ByteStream::from(bytes));
        let call = call.set_server_side_encryption(self.encryption()).set_ssekms_key_id(self.key.clone());
        let call = call.set_checksum_crc64_nvme(crc64nvme.map(crc_text));
        let call = call.set_checksum_algorithm(crc64nvme.is_none().then_some(ChecksumAlgorithm::Crc64Nvme));
        let call = call.customize();
        let call = if self.signs_bodies { call } else { call.disable_payload_signing() };
        let output = call.send().await.map_err(|e| self.fault(e, "write", key))?;
        Ok(output.e_tag().unwrap_or_default().to_owned())
    }

    /// Deletes an object; one that is gone is no error.
    pub async fn delete(&self, key: &str) -> Result<()> {
        let sent = self.client.delete_object().bucket(&self.name).key(key).send().await;
        match sent.map_err(|e| self.fault(e, "delete", key)) {
            Err(error) if error.kind != ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }

    fn at(&self, key: &str) -> String {
        format!("s3://{}/{key}", self.name)
    }
}

/// A checksum as headers hold it: base64 of its eight bytes, the highest first.
fn crc_text(crc: u64) -> String {
    STANDARD.encode(crc.to_be_bytes())
}

/// Whether a page holds as much as it says: whoever reads one that was cut off does not miss what is gone.
///
/// All stores count the keys of a page, but not all of them what is common to several.
fn is_whole(page: &ListObjectsV2Output) -> bool {
    let (keys, prefixes) = (page.contents().len(), page.common_prefixes().len());
    let said = page.key_count.and_then(|count| usize::try_from(count).ok());
    page.is_truncated.is_some() && said.is_some_and(|said| said == keys || said == keys + prefixes)
}

fn head_of(output: &GetObjectOutput, length: u64) -> ObjectHead {
    let whole = output.content_range().and_then(|range| range.rsplit('/').next()?.parse().ok());
    ObjectHead {
        size: whole.unwrap_or(length),
        etag: output.e_tag().unwrap_or_default().to_owned(),
        content_type: output.content_type().map(str::to_owned),
        metadata: output.metadata().cloned().unwrap_or_default(),
    }
}

#[cfg(test)]
mod tests;
