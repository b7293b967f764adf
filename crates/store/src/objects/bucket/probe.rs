//! What is tried out before the server trusts a bucket: that it is there, may be used, and that one put of two wins.

use bytes::Bytes;
use model::{Error, ErrorKind, Result};

use super::fault::{Fault, Meaning};
use super::{Checksum, OwnBucket};

const FIRST: &[u8] = b"first";
const SECOND: &[u8] = b"second";

impl OwnBucket {
    pub(super) async fn prove(&mut self, key: &str) -> Result<()> {
        if !self.takes_a_put(key).await? {
            self.checksum = Checksum::Crc32c;
            if !self.takes_a_put(key).await? {
                return Err(self.lacks("checks neither CRC-64/NVME nor CRC32C"));
            }
        }
        let tried = self.prove_one_winner(key).await;
        let deleted = self.delete_one(key).await.map_err(|error| self.explained_error(error));
        tried.and(deleted)?;
        match self.list(key, None).await.map_err(|error| self.explained_error(error))?.is_empty() {
            true => Ok(()),
            false => Err(self.lacks("still lists an object that was deleted")),
        }
    }

    /// Whether the store takes a put with the checksum that is to be used.
    async fn takes_a_put(&self, key: &str) -> Result<bool> {
        let bytes = Bytes::from_static(FIRST);
        let checksum = self.checksum.of(&bytes);
        match self.retried(|| self.try_put(key, bytes.clone(), &checksum, true)).await {
            // An attempt whose answer was lost has put it.
            Ok(()) => Ok(true),
            Err(fault) => match fault.meaning {
                Meaning::Taken => Ok(true),
                Meaning::Refused => {
                    tracing::debug!(cause = %fault.text, "the store does not take this checksum");
                    Ok(false)
                }
                _ => Err(self.explained(&fault)),
            },
        }
    }

    async fn prove_one_winner(&self, key: &str) -> Result<()> {
        let second = Bytes::from_static(SECOND);
        match self.put_new(key, second).await {
            Err(error) if error.kind == ErrorKind::AlreadyExists => {}
            Ok(()) => {
                return Err(
                    self.lacks("does not honour If-None-Match: a second put of an object replaced it")
                );
            }
            Err(error) => return Err(self.explained_error(error)),
        }
        match self.get(key).await.map_err(|error| self.explained_error(error))? == FIRST {
            true => Ok(()),
            false => Err(self.lacks("gives back other bytes than were put")),
        }
    }

    fn lacks(&self, what: &str) -> Error {
        Error::invalid(format!(
            "the store of the bucket {}, which the setting objects names, can't hold the server's objects: it {what}",
            self.bucket
        ))
    }

    fn explained(&self, fault: &Fault) -> Error {
        let bucket = &self.bucket;
        let (kind, text) = match (fault.meaning, fault.code.as_str()) {
            (_, "InvalidAccessKeyId") => (
                ErrorKind::Denied,
                format!(
                    "the store of the bucket {bucket} does not know the key of the setting objects_access_key_id"
                ),
            ),
            (_, "SignatureDoesNotMatch") => (
                ErrorKind::Denied,
                format!(
                    "the store of the bucket {bucket} does not accept the setting objects_secret_access_key"
                ),
            ),
            (Meaning::Denied, _) => (
                ErrorKind::Denied,
                format!(
                    "the key of the setting objects_access_key_id may not use the bucket {bucket}: it needs \
                     s3:ListBucket, s3:ListBucketMultipartUploads, s3:GetObject, s3:PutObject, s3:DeleteObject and \
                     s3:AbortMultipartUpload"
                ),
            ),
            (Meaning::Missing, _) => (
                ErrorKind::NotFound,
                format!(
                    "there is no bucket {bucket}, which the setting objects names: make it, or name another one"
                ),
            ),
            (Meaning::Passing, _) => (
                ErrorKind::Unavailable,
                format!(
                    "the store of the bucket {bucket} does not answer: see the setting objects_endpoint, and whether \
                     the store runs"
                ),
            ),
            (Meaning::Taken | Meaning::Refused, _) => (
                ErrorKind::Invalid,
                format!(
                    "the store of the bucket {bucket} refused a request: see the settings objects_endpoint and \
                     objects_region"
                ),
            ),
        };
        Error::new(kind, text).caused_by(fault.text.clone())
    }

    fn explained_error(&self, error: Error) -> Error {
        let meaning = match error.kind {
            ErrorKind::Denied => Meaning::Denied,
            ErrorKind::NotFound => Meaning::Missing,
            ErrorKind::Unavailable => Meaning::Passing,
            _ => Meaning::Refused,
        };
        self.explained(&Fault { meaning, code: String::new(), text: error.chain() })
    }
}
