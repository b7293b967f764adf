//! The uploads of an export: parts go up while later ones are made, and nothing is visible until all are there.

use std::sync::Arc;

use access::Bucket;
use access::bucket::PartTag;
use bytes::Bytes;
use catalog::Lease;
use engine::export::{FileId, FileSummary, Piece};
use model::Arn;
use model::error::{Error, Result};
use serde::{Deserialize, Serialize};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tracing::warn;

use crate::Parts;
use crate::naming::Naming;

/// How many parts are on their way at once: each waits for the disk, which takes some at a time as fast as one.
const IN_FLIGHT: usize = 3;

/// A file whose parts are all on the store, waiting to be completed.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Uploaded {
    pub key: String,
    pub upload_id: String,
    /// Number, entity tag and CRC-64/NVME of each part, in order.
    pub parts: Vec<(i32, String, u64)>,
    pub crc64nvme: u64,
    pub bytes: u64,
}

impl Uploaded {
    pub fn part_tags(&self) -> Vec<PartTag> {
        let tag = |(number, etag, crc): &(i32, String, u64)| PartTag {
            number: *number,
            etag: etag.clone(),
            crc64nvme: *crc,
        };
        self.parts.iter().map(tag).collect()
    }
}

/// Takes the pieces of an export and uploads them.
pub struct Uploader {
    pub parts: Arc<Parts>,
    pub lease: Lease,
    pub bucket: Bucket,
    pub naming: Naming,
}

impl Uploader {
    /// Uploads all pieces, in order of files; returns when every part is on the store.
    pub async fn run(self, mut pieces: mpsc::Receiver<Piece>) -> Result<Vec<(Uploaded, FileSummary)>> {
        if self.naming.are_unwritten {
            return Ok(self.weigh(pieces).await);
        }
        let mut finished = Vec::new();
        let mut open: Option<OpenFile> = None;
        while let Some(piece) = pieces.recv().await {
            match piece {
                Piece::Part { file, bytes, crc64nvme } => {
                    if open.is_none() {
                        open = Some(self.begin(file).await?);
                    }
                    let upload = open.as_mut().ok_or_else(|| Error::internal("a part has no upload"))?;
                    upload.send(&self.bucket, Bytes::from_owner(bytes), crc64nvme).await?;
                }
                Piece::End(summary) => {
                    let upload =
                        open.take().ok_or_else(|| Error::internal("a file ended that never began"))?;
                    finished.push((upload.end(&summary).await?, summary));
                }
            }
        }
        Ok(finished)
    }

    // What the files would be.
    async fn weigh(self, mut pieces: mpsc::Receiver<Piece>) -> Vec<(Uploaded, FileSummary)> {
        let mut finished = Vec::new();
        while let Some(piece) = pieces.recv().await {
            if let Piece::End(summary) = piece {
                let (key, ..) = self.naming.object(summary.file);
                let (upload_id, parts) = Default::default();
                let FileSummary { crc64nvme, bytes, .. } = summary;
                finished.push((Uploaded { key, upload_id, parts, crc64nvme, bytes }, summary));
            }
        }
        finished
    }

    async fn begin(&self, file: FileId) -> Result<OpenFile> {
        let (key, content_type, metadata) = self.naming.object(file);
        let upload_id = self.bucket.create_multipart(&key, content_type, metadata).await?;
        if let Err(cause) = self.parts.catalog.record_upload(&self.lease, &key, &upload_id).await {
            // Nobody else knows of it.
            if let Err(left) = self.bucket.abort(&key, &upload_id).await {
                warn!(job.arn = %self.lease.arn, error = %left.chain(), "an upload was left open on the store");
            }
            return Err(cause);
        }
        Ok(OpenFile { key, upload_id, number: 0, on_their_way: JoinSet::new(), sent: Vec::new() })
    }
}

struct OpenFile {
    key: String,
    upload_id: String,
    number: i32,
    on_their_way: JoinSet<Result<PartTag>>,
    sent: Vec<PartTag>,
}

impl OpenFile {
    async fn send(&mut self, bucket: &Bucket, bytes: Bytes, crc64nvme: u64) -> Result<()> {
        while self.on_their_way.len() >= IN_FLIGHT {
            self.wait_for_one().await?;
        }
        self.number += 1;
        let (bucket, key, upload_id, number) =
            (bucket.clone(), self.key.clone(), self.upload_id.clone(), self.number);
        self.on_their_way.spawn(access::about::along(async move {
            bucket.upload_part(&key, &upload_id, number, bytes, crc64nvme).await
        }));
        Ok(())
    }

    async fn wait_for_one(&mut self) -> Result<()> {
        if let Some(sent) = self.on_their_way.join_next().await {
            self.sent.push(sent.map_err(|e| Error::internal("an upload ended unexpectedly").caused_by(e))??);
        }
        Ok(())
    }

    async fn end(mut self, summary: &FileSummary) -> Result<Uploaded> {
        while !self.on_their_way.is_empty() {
            self.wait_for_one().await?;
        }
        self.sent.sort_by_key(|part| part.number);
        Ok(Uploaded {
            key: self.key,
            upload_id: self.upload_id,
            parts: self.sent.into_iter().map(|part| (part.number, part.etag, part.crc64nvme)).collect(),
            crc64nvme: summary.crc64nvme,
            bytes: summary.bytes,
        })
    }
}

/// An upload that a store would not give up: the right to abort is not among those that the documented role has.
pub struct LeftOpen {
    pub key: String,
    pub cause: Error,
}

/// Gives up what a job left open on the store, but for what is kept; returns what the store still holds.
pub async fn abandon(parts: &Parts, job: &Arn, kept: &[Uploaded], bucket: &Bucket) -> Result<Vec<LeftOpen>> {
    let mut left = Vec::new();
    for (key, upload_id) in parts.catalog.uploads(job).await? {
        if kept.iter().any(|upload| upload.upload_id == upload_id && upload.key == key) {
            continue;
        }
        match bucket.abort(&key, &upload_id).await {
            Ok(()) => parts.catalog.forget_upload(job, &upload_id).await?,
            Err(cause) => {
                warn!(job.arn = %job, error = %cause.chain(), "an upload was left open on the store");
                left.push(LeftOpen { key, cause });
            }
        }
    }
    Ok(left)
}
