//! UpdateDataset: another schema takes the place of a dataset's own.

use catalog::{DatasetRow, DatasetUpdate, NewJob, SchemaRow, UpdateRequest};
use model::{Arn, DatasetType, Error, Result};
use serde::{Deserialize, Serialize};
use wire::shape::{Structure, required};

use super::{check_active, misfits, stored_schema};
use crate::door::Api;
use crate::reply::{Answer, Seconds, not_found};
use crate::shapes;

pub static UPDATE: Structure =
    Structure::new(&[required("datasetArn", shapes::arn()), required("schemaArn", shapes::arn())]);

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Update {
    dataset_arn: Arn,
    schema_arn: Arn,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Updated {
    dataset_arn: Arn,
}

/// The latest update, as the dataset's description shows it.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Summary {
    schema_arn: Arn,
    status: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    failure_reason: Option<String>,
    creation_date_time: Seconds,
    last_updated_date_time: Seconds,
}

impl From<DatasetUpdate> for Summary {
    fn from(update: DatasetUpdate) -> Summary {
        Summary {
            schema_arn: update.schema_arn,
            status: update.status.as_str(),
            failure_reason: update.failure_reason,
            creation_date_time: Seconds(update.created_ms),
            last_updated_date_time: Seconds(update.updated_ms),
        }
    }
}

/// Begins to replace a dataset's schema, after every check that there is: what follows fails only with the disk.
///
/// Source: "Replacing a dataset's schema".
///
/// # Errors
/// `NotFound` for dataset and schema; `Invalid` for a type whose schema stays and for a schema that does not fit, with
/// all that is wrong with it; `InUse` when the dataset is not ACTIVE, is being updated or imported into.
pub async fn update(api: &Api, input: Update) -> Answer<Updated> {
    let (dataset_arn, schema_arn) = (input.dataset_arn, input.schema_arn);
    let dataset =
        api.catalog.dataset(&dataset_arn).await?.ok_or_else(|| not_found("dataset", &dataset_arn))?;
    let schema = api.catalog.schema(&schema_arn).await?.ok_or_else(|| not_found("schema", &schema_arn))?;
    check_type(&dataset)?;
    check_active(&dataset)?;
    check_schema(api, &dataset, &schema).await?;
    let (name, role_arn) = (String::new(), String::new());
    let (arn, subject_arn) = (api.realm.dataset_update(&api.clock.hex(32)), dataset_arn.clone());
    let new =
        NewJob { arn, name, subject_arn, role_arn, request: UpdateRequest { schema_arn }, tags: Vec::new() };
    let created = api.catalog.create_dataset_update(&new).await;
    api.targets.forget();
    created?;
    api.bell.notify_one();
    Ok(Updated { dataset_arn })
}

fn check_type(dataset: &DatasetRow) -> Result<()> {
    match dataset.dataset_type {
        DatasetType::Items | DatasetType::Users => Ok(()),
        other => Err(Error::invalid(format!(
            "The schema of a dataset of type {} can't be replaced: only those of ITEMS and USERS can.",
            other.as_str()
        ))),
    }
}

async fn check_schema(api: &Api, dataset: &DatasetRow, row: &SchemaRow) -> Answer<()> {
    if row.arn == dataset.schema_arn {
        return Err(Error::invalid(format!("The dataset has this schema already: {}", row.arn)).into());
    }
    let group = api.catalog.dataset_group(&dataset.group_arn).await?;
    let group = group.ok_or_else(|| not_found("dataset group", &dataset.group_arn))?;
    let schema = stored_schema(row)?;
    let mut problems = misfits(&group, row, &schema, dataset.dataset_type);
    // The fields of another type's schema would all be missing, which says nothing new.
    if schema.dataset_type == dataset.dataset_type
        && let Err(more) = dataset.layout.replaced_by(&schema)
    {
        problems.extend(more);
    }
    if problems.is_empty() { Ok(()) } else { Err(Error::invalid(problems.join(" ")).into()) }
}

#[cfg(test)]
mod tests;
