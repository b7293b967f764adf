//! Some records of a dataset: those of one id, or a few that show what it holds.

use std::pin::Pin;

use access::trail;
use catalog::DatasetRow;
use model::lookup::{Found, Lookup};
use model::{Arn, Error, IngestionMode, Result};
use serde::Deserialize;

use crate::call::Call;
use crate::dataset;
use crate::door::Api;
use crate::permission::authorize_on;
use crate::reply::{Answer, not_found};

const LIMIT: usize = 20;
const LIMIT_MAX: usize = 1000;

/// Looks records up; from outside, because the door knows nothing of runs.
pub type ReadRecords = Box<dyn Fn(DatasetRow, Lookup) -> Looking + Send + Sync>;

/// A look at what there is.
pub type Looking = Pin<Box<dyn Future<Output = Result<Found>> + Send>>;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Input {
    dataset_arn: Arn,
    id: Option<String>,
    origin: Option<IngestionMode>,
    limit: Option<usize>,
}

/// Reads some records of a dataset; permission is that to export, asked on the dataset.
///
/// # Errors
/// `NotFound` and `InUse` for the dataset; `Invalid` for a limit that there is not.
pub async fn read(api: &Api, call: &Call) -> Answer<Found> {
    let wrong = |_| {
        Error::invalid(
            "The body must be JSON with the member datasetArn, and may have id, origin (BULK, PUT or ALL) and limit.",
        )
    };
    let Input { dataset_arn, id, origin, limit } = serde_json::from_slice(&call.body).map_err(wrong)?;
    trail::resource(dataset_arn.as_str());
    authorize_on(api, call, "personalize:CreateDatasetExportJob", &dataset_arn).await?;
    let limit = limit.unwrap_or(LIMIT);
    if !(1..=LIMIT_MAX).contains(&limit) {
        let text = format!("The member limit must be a number from 1 to {LIMIT_MAX}, and is {limit}.");
        return Err(Error::invalid(text).into());
    }
    let dataset =
        api.catalog.dataset(&dataset_arn).await?.ok_or_else(|| not_found("dataset", &dataset_arn))?;
    dataset::check_active(&dataset)?;
    let reader = api.record_reader.get();
    let reader = reader.ok_or_else(|| Error::unavailable("the server is starting"))?;
    let lookup = Lookup { id, mode: origin.unwrap_or(IngestionMode::All), limit };
    Ok(reader(dataset, lookup).await?)
}
