//! An object on its way into the bucket: in parts while it is being written, in one request where it is small.

use std::io::{self, Write};
use std::sync::Arc;

use bytes::Bytes;
use model::error::{Context, Result};
use tokio::task::JoinSet;

use super::bucket::{OpenUpload, PartTag};
use super::remote::{Remote, key};

const PART_BYTES: usize = 8 << 20;
/// An upload has at most 10,000 parts: what is very large ends in larger ones.
const SMALL_PARTS: i32 = 8_000;
const LARGE_PART_BYTES: usize = 64 << 20;
/// Beside the part that is being filled.
const ON_THE_WAY: usize = 2;

/// Writes an object from its start to its end. It is there when it is finished; dropped before, nothing remains.
pub(super) struct PartsWriter {
    remote: Arc<Remote>,
    name: String,
    part: Vec<u8>,
    upload: Option<OpenUpload>,
    begun: i32,
    on_the_way: JoinSet<Result<PartTag>>,
    parts: Vec<PartTag>,
    written: u64,
}

impl PartsWriter {
    pub fn new(remote: &Arc<Remote>, name: &str) -> PartsWriter {
        PartsWriter {
            remote: remote.clone(),
            name: name.to_owned(),
            part: Vec::new(),
            upload: None,
            begun: 0,
            on_the_way: JoinSet::new(),
            parts: Vec::new(),
            written: 0,
        }
    }

    /// Makes the object visible; returns its size in bytes.
    pub fn finish(mut self) -> Result<u64> {
        match self.upload.clone() {
            None => {
                let whole = Bytes::from(std::mem::take(&mut self.part));
                self.remote.wait(self.remote.bucket.put(&key(&self.name), whole))?;
            }
            Some(upload) => {
                if !self.part.is_empty() {
                    self.send()?;
                }
                while !self.on_the_way.is_empty() {
                    self.arrive()?;
                }
                self.parts.sort_by_key(|part| part.number);
                let completing = self.remote.bucket.complete(&upload, &self.parts, self.written);
                self.remote.wait(completing)?;
                self.upload = None;
            }
        }
        Ok(self.written)
    }

    fn part_bytes(&self) -> usize {
        if self.begun < SMALL_PARTS { PART_BYTES } else { LARGE_PART_BYTES }
    }

    fn send(&mut self) -> Result<()> {
        let upload = match &self.upload {
            Some(upload) => upload.clone(),
            None => {
                let begun = self.remote.wait(self.remote.bucket.begin_upload(&key(&self.name)))?;
                self.upload.insert(begun).clone()
            }
        };
        while self.on_the_way.len() >= ON_THE_WAY {
            self.arrive()?;
        }
        self.begun += 1;
        let (bucket, number) = (self.remote.bucket.clone(), self.begun);
        let part = Bytes::from(std::mem::take(&mut self.part));
        let sending = async move { bucket.upload_part(&upload, number, part).await };
        self.on_the_way.spawn_on(sending, &self.remote.runtime);
        Ok(())
    }

    fn arrive(&mut self) -> Result<()> {
        let uploading = || "upload a part of an object".to_owned();
        let next = self.on_the_way.join_next();
        let arrived =
            self.remote.wait(async { next.await.transpose().unavailable(uploading)?.transpose() })?;
        self.parts.extend(arrived);
        Ok(())
    }
}

impl Write for PartsWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let taken = bytes.len().min(self.part_bytes() - self.part.len());
        self.part.extend_from_slice(&bytes[..taken]);
        self.written += taken as u64;
        if self.part.len() == self.part_bytes() {
            self.send().map_err(|error| io::Error::other(error.chain()))?;
        }
        Ok(taken)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Drop for PartsWriter {
    fn drop(&mut self) {
        let Some(upload) = self.upload.take() else { return };
        let (bucket, mut on_the_way) = (self.remote.bucket.clone(), std::mem::take(&mut self.on_the_way));
        self.remote.runtime.spawn(async move {
            on_the_way.shutdown().await;
            if let Err(cause) = bucket.abort(&upload).await {
                tracing::warn!(error = %cause.chain(), "an upload is left for later clearing");
            }
        });
    }
}
