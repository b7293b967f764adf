//! Large objects: read in ranges of one version, written in parts from a file.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use bytes::Bytes;
use http::Method;
use http_body_util::BodyExt;
use model::error::{Context, Error, Result};
use percent_encoding::utf8_percent_encode;

use super::Client;
use super::s3::{VALUE, element, path, request};

/// Stores take parts of at least 5 MiB, and at most 10,000 of them.
const PART_BYTES_MIN: u64 = 8 << 20;
const PARTS_MAX: u64 = 9_000;

type Headers = Vec<(&'static str, String)>;

impl Client {
    /// Reads the bytes from `from` up to but without `to` of the version that `etag` names.
    ///
    /// # Errors
    /// `Invalid` when the object is another one by now.
    pub async fn s3_read_range(
        &self,
        bucket: &str,
        key: &str,
        etag: &str,
        from: u64,
        to: u64,
    ) -> Result<Bytes> {
        let range = format!("bytes={from}-{}", to.saturating_sub(1));
        let headers = vec![("range", range), ("if-match", etag.to_owned())];
        let bytes = self.send(request(Method::GET, path(bucket, key), headers)).await?;
        if bytes.len() as u64 == to - from {
            return Ok(bytes);
        }
        Err(Error::unavailable(format!("a range of s3://{bucket}/{key} came with {} bytes", bytes.len())))
    }

    /// Writes a file as an object, in parts where it is large; nothing is there before all of it is.
    pub async fn s3_write_file(&self, bucket: &str, key: &str, file: &Path, headers: Headers) -> Result<()> {
        let reading = || format!("read {}", file.display());
        let mut source = File::open(file).unavailable(reading)?;
        let size = source.metadata().unavailable(reading)?.len();
        if size <= PART_BYTES_MIN {
            let mut body = Vec::new();
            source.read_to_end(&mut body).unavailable(reading)?;
            let mut whole = request(Method::PUT, path(bucket, key), headers);
            whole.body = body.into();
            return self.send(whole).await.map(drop);
        }
        let begun =
            self.send(request(Method::POST, format!("{}?uploads", path(bucket, key)), headers)).await?;
        let upload = element(&String::from_utf8_lossy(&begun), "UploadId");
        let upload = upload.ok_or_else(|| Error::unavailable("the store began an upload without an id"))?;
        let upload = utf8_percent_encode(&upload, VALUE).to_string();
        let sent = self.send_parts(bucket, key, &upload, source, size).await;
        if sent.is_err() {
            let gone = request(Method::DELETE, format!("{}?uploadId={upload}", path(bucket, key)), vec![]);
            // The cause is told; what can't be given up the store clears away.
            let _ = self.send(gone).await;
        }
        sent
    }

    async fn send_parts(&self, bucket: &str, key: &str, upload: &str, file: File, size: u64) -> Result<()> {
        let part_bytes = PART_BYTES_MIN.max(size.div_ceil(PARTS_MAX));
        let mut parts = String::new();
        for number in 1..=size.div_ceil(part_bytes) {
            let mut body = Vec::new();
            let piece = (&file).take(part_bytes).read_to_end(&mut body);
            piece.unavailable(|| format!("read part {number} of {key}"))?;
            let at = format!("{}?partNumber={number}&uploadId={upload}", path(bucket, key));
            let mut part = request(Method::PUT, at, vec![]);
            part.body = body.into();
            let answer = self.open(part).await?;
            let etag = answer.headers().get("etag").and_then(|etag| etag.to_str().ok()).map(str::to_owned);
            answer.into_body().collect().await.unavailable(|| format!("write part {number} of {key}"))?;
            let etag = etag.ok_or_else(|| Error::unavailable("the store took a part without an ETag"))?;
            let etag = etag.replace('"', "&quot;");
            parts.push_str(&format!("<Part><PartNumber>{number}</PartNumber><ETag>{etag}</ETag></Part>"));
        }
        let mut end = request(Method::POST, format!("{}?uploadId={upload}", path(bucket, key)), vec![]);
        end.body = format!("<CompleteMultipartUpload>{parts}</CompleteMultipartUpload>").into();
        let answer = self.send(end).await?;
        // S3 may answer 200 before it knows.
        let answer = String::from_utf8_lossy(&answer);
        match element(&answer, "Code") {
            Some(code) => Err(Error::unavailable(format!("the store did not put {key} together: {code}"))),
            None => Ok(()),
        }
    }
}
