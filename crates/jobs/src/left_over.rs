//! What an export that fails leaves on the store: given up where the store lets it, else named in the job's reason.

use std::time::Duration;

use access::{Bucket, Errand, S3Location};
use catalog::JobRow;
use model::error::{Error, Result};
use tracing::warn;

use crate::dataset_export_job::Plan;
use crate::{Parts, upload};

/// Longer than this no end of a job waits for a store.
const PATIENCE: Duration = Duration::from_secs(60);

/// Gives up the uploads of a job that ends, and says what of it stays; empty where nothing does, else behind a reason.
pub async fn clear(parts: &Parts, job: &JobRow) -> String {
    let cleared = tokio::time::timeout(PATIENCE, try_clear(parts, job)).await;
    match cleared.unwrap_or_else(|_| Err(Error::unavailable("the store did not answer"))) {
        Ok(left) => left,
        Err(cause) => {
            warn!(job.arn = %job.arn, error = %cause.chain(), "nobody knows what a job left on the store");
            format!(" What it left on the store is not known: {}.", cause.message())
        }
    }
}

async fn try_clear(parts: &Parts, job: &JobRow) -> Result<String> {
    let plan = Plan::of(parts.catalog.job(&job.arn).await?.as_ref())?;
    if plan.is_none() && parts.catalog.uploads(&job.arn).await?.is_empty() {
        return Ok(String::new());
    }
    let path = job.export_request()?.path;
    let place = S3Location::parse(&path).ok_or_else(|| Error::invalid("Invalid S3 output path"))?;
    let bucket = parts.access.open_bucket(&job.role_arn, &job.arn, &Errand::writing(&place)).await?;
    // What is listed after this is there to stay: no upload becomes visible any more.
    let mut open = upload::abandon(parts, &job.arn, &[], &bucket).await?;
    let mut text = String::new();
    if let Some(plan) = &plan {
        let (seen, visible) = visible(&bucket, plan).await;
        open.retain(|upload| !visible.contains(&upload.key));
        if !visible.is_empty() {
            text.push_str(&format!(" {seen}: {}.", names(&bucket, visible.iter())));
        }
    }
    if let Some(first) = open.first() {
        let keys = names(&bucket, open.iter().map(|upload| &upload.key));
        text.push_str(&format!(" Uploads left open: {keys} ({}).", first.cause.message()));
    }
    Ok(text)
}

/// The objects of a plan that are visible; all of them, and that they may be, where the store does not show it.
async fn visible(bucket: &Bucket, plan: &Plan) -> (&'static str, Vec<String>) {
    match bucket.list(plan.folder(), true).await {
        Ok(listed) => {
            let is_there = |key: &String| listed.iter().any(|entry| entry.key == *key);
            ("Already visible", plan.keys().into_iter().filter(is_there).collect())
        }
        Err(cause) => {
            warn!(error = %cause.chain(), "what is visible of an export could not be listed");
            ("Perhaps visible", plan.keys())
        }
    }
}

fn names<'a>(bucket: &Bucket, keys: impl Iterator<Item = &'a String>) -> String {
    let names: Vec<String> = keys.map(|key| format!("s3://{}/{key}", bucket.name())).collect();
    names.join(", ")
}
