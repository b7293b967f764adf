//! DeleteObject and DeleteObjects.

use s3s::dto::*;
use s3s::{S3ErrorCode, S3Request, S3Response, S3Result};

use super::{answer, condition};
use crate::backend::Backend;
use crate::caller::Caller;
use crate::error::{not_offered, refuse};
use crate::index::object::Condition;
use crate::index::settle;

const KEYS_MAX: usize = 1000;

pub async fn object(
    backend: &Backend,
    request: S3Request<DeleteObjectInput>,
) -> S3Result<S3Response<DeleteObjectOutput>> {
    let condition = condition(&request.headers)?;
    let DeleteObjectInput { bucket, key, .. } = request.input;
    for outcome in remove(backend, bucket, vec![(key, condition)]).await? {
        outcome?;
    }
    answer(DeleteObjectOutput::default())
}

pub async fn objects(
    backend: &Backend,
    request: S3Request<DeleteObjectsInput>,
) -> S3Result<S3Response<DeleteObjectsOutput>> {
    let caller = Caller::of(&request)?;
    let DeleteObjectsInput { bucket, delete, .. } = request.input;
    if delete.objects.is_empty() || delete.objects.len() > KEYS_MAX {
        let text = format!("The request must name between 1 and {KEYS_MAX} keys.");
        return Err(refuse(S3ErrorCode::MalformedXML, text));
    }
    let (mut wanted, mut errors) = (Vec::new(), Vec::new());
    for object in delete.objects {
        match admit(backend, &caller, &bucket, &object).await {
            Ok(condition) => wanted.push((object.key, condition)),
            Err(error) => errors.push(show(object.key, &error)),
        }
    }
    let keys: Vec<String> = wanted.iter().map(|(key, _)| key.clone()).collect();
    let mut deleted = Vec::new();
    for (key, outcome) in keys.into_iter().zip(remove(backend, bucket, wanted).await?) {
        match outcome {
            Ok(()) => deleted.push(DeletedObject { key: Some(key), ..Default::default() }),
            Err(error) => errors.push(show(key, &error)),
        }
    }
    let deleted = (!delete.quiet.unwrap_or(false)).then_some(deleted);
    answer(DeleteObjectsOutput { deleted, errors: Some(errors), ..Default::default() })
}

async fn admit(
    backend: &Backend,
    caller: &Caller,
    bucket: &str,
    object: &ObjectIdentifier,
) -> S3Result<Condition> {
    backend.gate.permit_object(caller, "s3:DeleteObject", bucket, &object.key).await?;
    if object.version_id.as_ref().is_some_and(|version| version != "null") {
        return Err(not_offered("This server's object store keeps one version of an object."));
    }
    if object.size.is_some() || object.last_modified_time.is_some() {
        return Err(not_offered("Deletions may be conditional on the ETag alone."));
    }
    Ok(Condition { absent: false, matches: object.e_tag.clone().map(ETagCondition::ETag) })
}

async fn remove(
    backend: &Backend,
    bucket: String,
    wanted: Vec<(String, Condition)>,
) -> S3Result<Vec<S3Result<()>>> {
    let index = backend.index.clone();
    let (outcomes, unnamed) = settle(async move { index.delete_objects(&bucket, &wanted).await }).await?;
    backend.discard(unnamed);
    Ok(outcomes)
}

fn show(key: String, error: &s3s::S3Error) -> Error {
    Error {
        code: Some(error.code().as_str().to_owned()),
        key: Some(key),
        message: error.message().map(str::to_owned),
        version_id: None,
    }
}
