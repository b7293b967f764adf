//! All records of one user in a dataset, as CSV.

use std::pin::Pin;

use access::trail;
use catalog::DatasetRow;
use model::{Arn, Error, Result};
use serde::Deserialize;

use super::Pieces;
use crate::call::Call;
use crate::dataset;
use crate::door::Api;
use crate::permission::authorize_on;
use crate::reply::{Answer, not_found};

/// Reads the records of a user; from outside, because the door knows nothing of runs.
pub type ReadUser = Box<dyn Fn(DatasetRow, String) -> Reading + Send + Sync>;

/// A look at what there is.
pub type Reading = Pin<Box<dyn Future<Output = Result<Pieces>> + Send>>;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Input {
    dataset_arn: Arn,
    user_id: String,
}

/// Reads all records of a user in one dataset; permission is that to export, asked on the dataset.
///
/// # Errors
/// `NotFound` and `InUse` for the dataset; `Invalid` for one without users.
pub async fn read(api: &Api, call: &Call) -> Answer<Pieces> {
    let wrong = |_| Error::invalid("The body must be JSON with the members datasetArn and userId.");
    let Input { dataset_arn, user_id } = serde_json::from_slice(&call.body).map_err(wrong)?;
    trail::resource(dataset_arn.as_str());
    authorize_on(api, call, "personalize:CreateDatasetExportJob", &dataset_arn).await?;
    let dataset =
        api.catalog.dataset(&dataset_arn).await?.ok_or_else(|| not_found("dataset", &dataset_arn))?;
    dataset::check_active(&dataset)?;
    if !dataset.dataset_type.is_of_users() {
        let name = dataset.dataset_type.as_str();
        return Err(Error::invalid(format!("A dataset of type {name} holds no records of users.")).into());
    }
    let reader = api.user_reader.get();
    let reader = reader.ok_or_else(|| Error::unavailable("the server is starting"))?;
    Ok(reader(dataset, user_id).await?)
}
