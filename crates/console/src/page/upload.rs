//! Uploads of a file into a bucket, piece by piece: small ones as one object, large ones in parts.

use std::io;

use access::bucket::Leaving;
use bytes::{Bytes, BytesMut};
use http::header::CONTENT_TYPE;
use http::{HeaderMap, Method};
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Full};
use multer::{Constraints, Field, Multipart, SizeLimit};

use super::{bucket, stale};
use crate::client::{Answer, Client, Refusal, object_path, segment};
use crate::reply;
use crate::visit::{Shown, Visit};

/// What is held of an upload at once; a file larger than this goes up in parts of this size.
const PART_BYTES: usize = 8 << 20;

/// The most that a field of the form may hold that is no file.
const FIELD_BYTES_MAX: u64 = 4096;

/// Takes a form with the session's token, a prefix and a file, in this order.
pub async fn take(
    visit: &Visit<'_>,
    bucket: &str,
    headers: &HeaderMap,
    body: BoxBody<Bytes, io::Error>,
) -> Shown {
    match taken(visit, bucket, headers, body).await {
        Ok(Some(answer)) => Ok(answer),
        Ok(None) => Ok(stale(visit)),
        Err(refusal) if refusal.is_of_keys() => Err(refusal),
        Err(refusal) => bucket::shown(visit, bucket, Some(&refusal)).await,
    }
}

// `None`: the form was made for another sign-in, or by another site.
async fn taken(
    visit: &Visit<'_>,
    bucket: &str,
    headers: &HeaderMap,
    body: BoxBody<Bytes, io::Error>,
) -> Answer<Option<Leaving>> {
    let content_type = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let boundary = multer::parse_boundary(content_type).map_err(wrong)?;
    let fields =
        SizeLimit::new().for_field("form-token", FIELD_BYTES_MAX).for_field("prefix", FIELD_BYTES_MAX);
    let limits = Constraints::new().size_limit(fields);
    let mut form = Multipart::with_constraints(body.into_data_stream(), boundary, limits);
    let (mut is_ours, mut prefix) = (false, String::new());
    while let Some(field) = form.next_field().await.map_err(wrong)? {
        match field.name().unwrap_or_default() {
            "form-token" => is_ours = visit.session.is_form_token(&field.text().await.map_err(wrong)?),
            "prefix" => prefix = field.text().await.map_err(wrong)?,
            "file" if is_ours => {
                let name = field.file_name().unwrap_or_default().to_owned();
                if name.is_empty() {
                    return Err(refusal("Choose a file first."));
                }
                if !prefix.is_empty() && !prefix.ends_with('/') {
                    prefix.push('/');
                }
                store(&visit.client(), bucket, &format!("{prefix}{name}"), field).await?;
                let folder = format!("{}?prefix={}", bucket::path(bucket), segment(&prefix));
                return Ok(Some(reply::to(&folder)));
            }
            "file" => return Ok(None),
            _ => {}
        }
    }
    if is_ours { Err(refusal("Choose a file first.")) } else { Ok(None) }
}

async fn store(client: &Client<'_>, bucket: &str, key: &str, mut field: Field<'_>) -> Answer<()> {
    let path = object_path(bucket, key);
    let first = next_part(&mut field).await?;
    if first.len() < PART_BYTES {
        return client.s3_put(path, "text/csv", whole(first.clone()), first.len() as u64).await.map(drop);
    }
    let begun = client.s3(Method::POST, format!("{path}?uploads"), "").await?;
    let upload = segment(begun.text_of(&["UploadId"]));
    let sent = send_parts(client, &path, &upload, first, &mut field).await;
    let completed = match sent {
        Ok(parts) => client.s3(Method::POST, format!("{path}?uploadId={upload}"), parts).await.map(drop),
        Err(refusal) => Err(refusal),
    };
    if completed.is_err() {
        let _ = client.s3(Method::DELETE, format!("{path}?uploadId={upload}"), "").await;
    }
    completed
}

// Gives what completes the upload.
async fn send_parts(
    client: &Client<'_>,
    path: &str,
    upload: &str,
    first: Bytes,
    field: &mut Field<'_>,
) -> Answer<String> {
    let mut parts = String::from("<CompleteMultipartUpload>");
    let (mut part, mut number) = (first, 1);
    while !part.is_empty() {
        let place = format!("{path}?partNumber={number}&uploadId={upload}");
        let size_bytes = part.len() as u64;
        let answer = client.s3_put(place, "application/octet-stream", whole(part), size_bytes).await?;
        let etag = answer.headers().get("etag").and_then(|value| value.to_str().ok()).unwrap_or_default();
        let etag = etag.replace('"', "&quot;");
        parts.push_str(&format!("<Part><PartNumber>{number}</PartNumber><ETag>{etag}</ETag></Part>"));
        part = next_part(field).await?;
        number += 1;
    }
    parts.push_str("</CompleteMultipartUpload>");
    Ok(parts)
}

// As much as a part holds, less only at the end.
async fn next_part(field: &mut Field<'_>) -> Answer<Bytes> {
    let mut part = BytesMut::new();
    while part.len() < PART_BYTES {
        match field.chunk().await.map_err(wrong)? {
            Some(chunk) => part.extend_from_slice(&chunk),
            None => break,
        }
    }
    Ok(part.freeze())
}

fn whole(bytes: Bytes) -> BoxBody<Bytes, io::Error> {
    Full::new(bytes).map_err(|never| match never {}).boxed()
}

fn wrong(_: multer::Error) -> Refusal {
    refusal("The upload broke off, or is no form of a browser.")
}

fn refusal(message: &str) -> Refusal {
    Refusal { status: 400, code: String::new(), message: message.to_owned() }
}
