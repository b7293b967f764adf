//! The server's own bucket: whole objects under one prefix, put once, read, listed and deleted; faults that pass are waited out.

mod fault;
mod list;
mod probe;
mod upload;

pub use upload::{OpenUpload, PartTag};

use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use aws_sdk_s3::Client;
use aws_sdk_s3::config::{Config, ResponseChecksumValidation};
use aws_sdk_s3::operation::get_object::GetObjectOutput;
use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::{Delete, ObjectIdentifier};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use crc_fast::CrcAlgorithm;
use model::{Error, ErrorKind, Result};
use tokio::sync::watch;
use tokio::time::{Instant, sleep, timeout};

use fault::{Fault, Meaning};

/// For so long a call is made again before it is given up.
const PATIENCE: Duration = Duration::from_secs(60);
/// Between two attempts: at first, and at most.
const PAUSE: Duration = Duration::from_millis(50);
const PAUSE_MAX: Duration = Duration::from_secs(2);
/// How long one attempt may take, its bytes counted.
const ATTEMPT_MAX: Duration = Duration::from_secs(120);
/// As many keys as one request may name.
const DELETED_AT_ONCE: usize = 1000;

/// Where the server keeps its objects.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BucketPlace {
    pub bucket: String,
    /// Empty, or a folder without a slash at its end.
    pub prefix: String,
}

/// The checksum that is sent with bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Checksum {
    Crc64Nvme,
    Crc32c,
}

impl Checksum {
    /// As headers hold it: base64 of its bytes, the highest first.
    fn of(self, bytes: &[u8]) -> String {
        match self {
            Checksum::Crc64Nvme => {
                STANDARD.encode(crc_fast::checksum(CrcAlgorithm::Crc64Nvme, bytes).to_be_bytes())
            }
            Checksum::Crc32c => STANDARD.encode(crc32c::crc32c(bytes).to_be_bytes()),
        }
    }
}

/// The server's own bucket; keys are those below its prefix.
///
/// A call is made again after faults that may pass, for about a minute.
///
/// All errors say little, as they may reach a client, and have the store's words as their cause: `NotFound`; `Denied`;
/// `Invalid` when the store does not take the request; `Unavailable` when it did not answer in time.
#[derive(Clone)]
pub struct OwnBucket {
    client: Client,
    bucket: String,
    /// Empty, or with a slash at its end.
    prefix: String,
    /// Whether the signature covers the bodies that are sent; else only their checksums protect them.
    signs_bodies: bool,
    checksum: Checksum,
    patience: Duration,
    ended: Arc<watch::Sender<bool>>,
}

/// What a store knows about an object beside its bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ObjectHead {
    /// Of the whole object, also where only a range was asked for.
    pub size: u64,
    /// With its quotation marks.
    pub etag: String,
}

impl OwnBucket {
    /// Opens a bucket with a client that makes no second attempts by itself, and tries out what is needed of the store.
    ///
    /// `probe` is a name that nobody has used, for an object that is put and deleted.
    ///
    /// # Errors
    /// Those of the calls, in words for who set the server up; `Invalid` when the store lacks what is needed.
    pub async fn open(
        client: Client,
        signs_bodies: bool,
        place: &BucketPlace,
        probe: &str,
    ) -> Result<OwnBucket> {
        let mut bucket = OwnBucket::unproven(client, signs_bodies, place);
        bucket.prove(&format!("probe/{probe}")).await?;
        Ok(bucket)
    }

    fn unproven(client: Client, signs_bodies: bool, place: &BucketPlace) -> OwnBucket {
        let slash = if place.prefix.is_empty() { "" } else { "/" };
        OwnBucket {
            client,
            bucket: place.bucket.clone(),
            prefix: format!("{}{slash}", place.prefix),
            signs_bodies,
            checksum: Checksum::Crc64Nvme,
            patience: PATIENCE,
            ended: Arc::new(watch::Sender::new(false)),
        }
    }

    /// Gives up all calls, those to come too: nobody must wait for them when the runtime ends.
    pub fn end(&self) {
        self.ended.send_replace(true);
    }

    /// The same bucket, whose calls are given up after this time.
    #[must_use]
    pub fn with_patience(&self, patience: Duration) -> OwnBucket {
        OwnBucket { patience, ..self.clone() }
    }

    /// Puts an object that is not there yet, whole.
    ///
    /// Safe to repeat: an object with the same bytes is the one that was put.
    ///
    /// # Errors
    /// As all; `AlreadyExists` when other bytes have this key.
    pub async fn put_new(&self, key: &str, bytes: Bytes) -> Result<()> {
        let checksum = self.checksum.of(&bytes);
        let put = self.retried(|| self.try_put(key, bytes.clone(), &checksum, true)).await;
        match put {
            Err(fault) if fault.meaning == Meaning::Taken => match self.get(key).await? == bytes {
                true => Ok(()),
                false => Err(Error::new(ErrorKind::AlreadyExists, "an object of this key is there already")),
            },
            put => put.map_err(|fault| self.error(fault, "write", key)),
        }
    }

    /// Puts an object, whatever was there before.
    pub(crate) async fn put(&self, key: &str, bytes: Bytes) -> Result<()> {
        let checksum = self.checksum.of(&bytes);
        let put = self.retried(|| self.try_put(key, bytes.clone(), &checksum, false)).await;
        put.map_err(|fault| self.error(fault, "write", key))
    }

    async fn try_put(&self, key: &str, bytes: Bytes, checksum: &str, is_new: bool) -> Result<(), Fault> {
        let call = self.client.put_object().bucket(&self.bucket).key(self.full(key));
        let call = call.set_if_none_match(is_new.then(|| "*".to_owned())).body(ByteStream::from(bytes));
        let call = match self.checksum {
            Checksum::Crc64Nvme => call.checksum_crc64_nvme(checksum),
            Checksum::Crc32c => call.checksum_crc32_c(checksum),
        };
        let call = call.customize();
        let call = if self.signs_bodies { call } else { call.disable_payload_signing() };
        call.send().await.map(drop).map_err(Fault::of)
    }

    /// Reads a whole object.
    pub async fn get(&self, key: &str) -> Result<Bytes> {
        let read = || async {
            let sent = self.client.get_object().bucket(&self.bucket).key(self.full(key)).send().await;
            let output = sent.map_err(Fault::of)?;
            let size = output.content_length();
            body(output, size).await
        };
        self.retried(read).await.map_err(|fault| self.error(fault, "read", key))
    }

    /// Reads bytes of an object; fewer where it ends before.
    ///
    /// # Errors
    /// As all; `Invalid` when the object ends before the range begins.
    pub async fn get_range(&self, key: &str, range: Range<u64>) -> Result<Bytes> {
        self.get_part(key, range, None).await.map(|(_, bytes)| bytes)
    }

    /// As `get_range`, with what is known of the object, which must still have this entity tag.
    pub(crate) async fn get_part(
        &self,
        key: &str,
        range: Range<u64>,
        etag: Option<&str>,
    ) -> Result<(ObjectHead, Bytes)> {
        let read = self.retried(|| self.try_get_part(key, range.clone(), etag)).await;
        read.map_err(|fault| self.error(fault, "read", key))
    }

    async fn try_get_part(
        &self,
        key: &str,
        range: Range<u64>,
        etag: Option<&str>,
    ) -> Result<(ObjectHead, Bytes), Fault> {
        let header = format!("bytes={}-{}", range.start, range.end.saturating_sub(1));
        let call = self.client.get_object().bucket(&self.bucket).key(self.full(key)).range(header);
        let call = call.set_if_match(etag.map(str::to_owned));
        // A checksum is of the whole object: some stores send it with a range too, where it can't match.
        let lax = Config::builder().response_checksum_validation(ResponseChecksumValidation::WhenRequired);
        let output = call.customize().config_override(lax).send().await.map_err(Fault::of)?;
        let size = output.content_range().and_then(|range| range.rsplit('/').next()?.parse::<u64>().ok());
        let size =
            size.ok_or_else(|| Fault::passing("the store sent all of an object in place of a part"))?;
        let head = ObjectHead { size, etag: output.e_tag().unwrap_or_default().to_owned() };
        let length = range.end.min(size).saturating_sub(range.start);
        let bytes = body(output, i64::try_from(length).ok()).await?;
        Ok((head, bytes))
    }

    /// Deletes objects; those that are not there are no error.
    pub async fn delete(&self, keys: &[String]) -> Result<()> {
        for keys in keys.chunks(DELETED_AT_ONCE) {
            match keys {
                [key] => self.delete_one(key).await?,
                keys => match self.retried(|| self.try_delete_many(keys)).await {
                    // Not every store knows this request.
                    Err(fault) if fault.meaning == Meaning::Refused => {
                        for key in keys {
                            self.delete_one(key).await?;
                        }
                    }
                    deleted => deleted.map_err(|fault| self.error(fault, "delete", &keys[0]))?,
                },
            }
        }
        Ok(())
    }

    async fn delete_one(&self, key: &str) -> Result<()> {
        let delete = || async {
            let call = self.client.delete_object().bucket(&self.bucket).key(self.full(key));
            call.send().await.map(drop).map_err(Fault::of)
        };
        match self.retried(delete).await {
            Err(fault) if fault.meaning != Meaning::Missing => Err(self.error(fault, "delete", key)),
            _ => Ok(()),
        }
    }

    async fn try_delete_many(&self, keys: &[String]) -> Result<(), Fault> {
        let named = keys.iter().map(|key| ObjectIdentifier::builder().key(self.full(key)).build());
        let named = named.collect::<Result<Vec<_>, _>>().map_err(|e| Fault::refused(&e.to_string()))?;
        let all = Delete::builder().set_objects(Some(named)).quiet(true).build();
        let all = all.map_err(|e| Fault::refused(&e.to_string()))?;
        let sent = self.client.delete_objects().bucket(&self.bucket).delete(all).send().await;
        let output = sent.map_err(Fault::of)?;
        match output.errors().iter().find(|error| error.code() != Some("NoSuchKey")) {
            Some(error) => Err(Fault::told(error.code().unwrap_or_default(), error.message())),
            None => Ok(()),
        }
    }

    fn full(&self, key: &str) -> String {
        format!("{}{key}", self.prefix)
    }

    /// Makes a call until it succeeds or fails for good, time is up, or all calls are given up.
    async fn retried<T, F>(&self, call: impl Fn() -> F) -> Result<T, Fault>
    where
        F: Future<Output = Result<T, Fault>>,
    {
        let mut ended = self.ended.subscribe();
        tokio::select! {
            biased;
            _ = ended.wait_for(|has_ended| *has_ended) => Err(Fault::passing("the server is stopping")),
            done = self.insist(call) => done,
        }
    }

    async fn insist<T, F>(&self, call: impl Fn() -> F) -> Result<T, Fault>
    where
        F: Future<Output = Result<T, Fault>>,
    {
        let end = Instant::now() + self.patience;
        let mut pause = PAUSE;
        loop {
            let left = end.saturating_duration_since(Instant::now()).clamp(PAUSE, ATTEMPT_MAX);
            let silent = |_| Err(Fault::passing("the store did not answer in time"));
            let fault = match timeout(left, call()).await.unwrap_or_else(silent) {
                Err(fault) if fault.meaning == Meaning::Passing => fault,
                done => return done,
            };
            if Instant::now() + pause >= end {
                return Err(fault);
            }
            tracing::debug!(cause = %fault.text, "the store is asked again");
            sleep(pause).await;
            pause = (pause * 2).min(PAUSE_MAX);
        }
    }

    fn error(&self, fault: Fault, doing: &str, key: &str) -> Error {
        let cause = format!("can't {doing} s3://{}/{}: {}", self.bucket, self.full(key), fault.text);
        let (kind, text) = match fault.meaning {
            Meaning::Passing => (ErrorKind::Unavailable, "the store of the server's objects does not answer"),
            Meaning::Missing => (ErrorKind::NotFound, "an object of the server is not in its store"),
            Meaning::Denied => (ErrorKind::Denied, "the store of the server's objects denies access"),
            Meaning::Taken => (ErrorKind::Corrupt, "an object of the server was replaced in its store"),
            Meaning::Refused => (ErrorKind::Invalid, "the store of the server's objects refused a request"),
        };
        Error::new(kind, text).caused_by(cause)
    }
}

/// All bytes of an answer, of which there have to be so many.
async fn body(output: GetObjectOutput, size: Option<i64>) -> Result<Bytes, Fault> {
    let bytes =
        output.body.collect().await.map_err(|e| Fault::passing(&model::error::chain(&e)))?.into_bytes();
    match size {
        Some(size) if i64::try_from(bytes.len()) != Ok(size) => {
            Err(Fault::passing(&format!("{} bytes came in place of {size}", bytes.len())))
        }
        _ => Ok(bytes),
    }
}

#[cfg(test)]
mod tests;
