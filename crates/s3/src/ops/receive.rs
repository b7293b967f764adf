//! Takes an object's or a part's bytes in: streamed to a blob, counted and checked.

use access::SealingKey;
use futures_util::StreamExt;
use http::{Extensions, HeaderMap};
use s3s::dto::StreamingBlob;
use s3s::{S3ErrorCode, S3Result};

use crate::assembly::PART_BYTES_MAX;
use crate::backend::Backend;
use crate::blob::Stored;
use crate::body::{broken, incomplete};
use crate::checksum::Algorithm;
use crate::digest::Digests;
use crate::error::refuse;
use crate::integrity::Stated;

/// Bytes on their way in, and what the request says about them.
pub struct Incoming<'r> {
    pub body: Option<StreamingBlob>,
    pub length: Option<i64>,
    pub headers: &'r HeaderMap,
    pub extensions: &'r Extensions,
    /// Where the bytes belong, if the service itself sends them: their ETag is then no MD5.
    pub own_place: Option<String>,
}

/// Writes the bytes to a blob, encrypted where there is a key, and checks them; `choose` picks the checksum to keep from the one the client chose.
///
/// # Errors
/// `MissingContentLength`, `EntityTooLarge`, `IncompleteBody`, `BadDigest`, and what is wrong with the statements
/// or the body's signature. Nothing is then stored.
pub async fn receive(
    backend: &Backend,
    incoming: Incoming<'_>,
    key: Option<&SealingKey>,
    choose: impl FnOnce(Option<Algorithm>) -> S3Result<Algorithm>,
) -> S3Result<(Stored, Algorithm, Stated)> {
    let mut stated = Stated::new(incoming.headers)?;
    let algorithm = choose(stated.algorithm())?;
    let length = check_length(incoming.length)?;
    let mut algorithms = stated.algorithms();
    algorithms.push(algorithm);
    let digests = match incoming.own_place {
        // Source: Object: "The ETag may or may not be an MD5 digest of the object data."
        Some(place) if !stated.has_md5() => Digests::without_md5(place, &algorithms),
        _ => Digests::new(&algorithms),
    };
    let mut writer = backend.blobs.write(digests, key);
    let mut received = 0;
    let mut body = incoming.body;
    while let Some(bytes) = next(&mut body).await {
        let bytes = bytes.map_err(broken)?;
        received += bytes.len() as u64;
        if received > length {
            let text = "The body has more bytes than Content-Length states.";
            return Err(refuse(S3ErrorCode::InvalidRequest, text));
        }
        writer.push(bytes).await?;
    }
    if received < length {
        return Err(incomplete());
    }
    stated.take_trailer(incoming.extensions)?;
    let stored = writer.finish().await?;
    stated.check(&stored.digested)?;
    Ok((stored, algorithm, stated))
}

async fn next(body: &mut Option<StreamingBlob>) -> Option<Result<bytes::Bytes, s3s::StdError>> {
    body.as_mut()?.next().await
}

fn check_length(length: Option<i64>) -> S3Result<u64> {
    let text = "You must provide the Content-Length HTTP header.";
    let length = length.ok_or_else(|| refuse(S3ErrorCode::MissingContentLength, text))?;
    match u64::try_from(length) {
        Ok(length) if length <= PART_BYTES_MAX => Ok(length),
        Ok(_) => {
            let text =
                "Your proposed upload exceeds the maximum allowed size of 5 GiB; use a multipart upload.";
            Err(refuse(S3ErrorCode::EntityTooLarge, text))
        }
        Err(_) => Err(refuse(S3ErrorCode::InvalidArgument, "Content-Length must not be negative.")),
    }
}
