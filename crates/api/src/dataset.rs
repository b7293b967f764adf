//! Datasets: CreateDataset, DescribeDataset, ListDatasets, DeleteDataset; UpdateDataset has a file of its own.

pub mod update;

use catalog::{DatasetGroupRow, DatasetRow, NewDataset, SchemaRow};
use model::status::Status;
use model::{Arn, DatasetType, Error, ErrorKind, Layout, Realm, Result, Schema};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use wire::shape::{Structure, matching, optional, required};

use crate::door::Api;
use crate::paging::{PageOfGroup, Pager};
use crate::reply::{Answer, Seconds, not_found};
use crate::shapes;
use crate::tag::{self, Tag};

pub static CREATE: Structure = Structure::new(&[
    required("name", shapes::name()),
    required("schemaArn", shapes::arn()),
    required("datasetGroupArn", shapes::arn()),
    required("datasetType", matching(0, 256, &shapes::DATASET_TYPE)),
    optional("tags", shapes::tags()),
]);
pub static BY_ARN: Structure = Structure::new(&[required("datasetArn", shapes::arn())]);

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Create {
    name: String,
    schema_arn: Arn,
    dataset_group_arn: Arn,
    dataset_type: String,
    tags: Option<Vec<Tag>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ByArn {
    dataset_arn: Arn,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Created {
    dataset_arn: Arn,
}

#[derive(Serialize)]
pub struct Described {
    dataset: Description,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Description {
    name: String,
    dataset_arn: Arn,
    /// Left out of lists, as is the schema.
    #[serde(skip_serializing_if = "Option::is_none")]
    dataset_group_arn: Option<Arn>,
    dataset_type: DatasetType,
    #[serde(skip_serializing_if = "Option::is_none")]
    schema_arn: Option<Arn>,
    status: &'static str,
    creation_date_time: Seconds,
    last_updated_date_time: Seconds,
    /// Left out of lists, and before the first update.
    #[serde(skip_serializing_if = "Option::is_none")]
    latest_dataset_update: Option<update::Summary>,
    /// Left out of lists; only action interactions have one.
    #[serde(skip_serializing_if = "Option::is_none")]
    tracking_id: Option<String>,
}

#[derive(Serialize)]
pub struct Listed {
    datasets: Vec<Description>,
    #[serde(rename = "nextToken", skip_serializing_if = "Option::is_none")]
    next_token: Option<String>,
}

/// The ARN that the dataset of a CreateDataset request will have.
pub fn arn_to_be(realm: &Realm, input: &Value) -> String {
    let text = |member: &str| input.get(member).and_then(Value::as_str).unwrap_or_default();
    let group = Arn::parse(text("datasetGroupArn"));
    let group_name = group.as_ref().map_or("", Arn::resource_name);
    match DatasetType::parse(text("datasetType")) {
        Some(dataset_type) => realm.dataset(group_name, dataset_type).to_string(),
        None => "*".to_owned(),
    }
}

/// # Errors
/// `Invalid` when type, schema and group don't fit together; `NotFound`, `AlreadyExists`, `InUse` as the catalog says.
pub async fn create(api: &Api, input: Create) -> Answer<Created> {
    let dataset_type =
        DatasetType::parse(&input.dataset_type).ok_or_else(|| unknown_type(&input.dataset_type))?;
    let tags = tag::of_new(input.tags)?;
    let (group_arn, schema_arn) = (input.dataset_group_arn, input.schema_arn);
    let group =
        api.catalog.dataset_group(&group_arn).await?.ok_or_else(|| not_found("dataset group", &group_arn))?;
    let schema = api.catalog.schema(&schema_arn).await?.ok_or_else(|| not_found("schema", &schema_arn))?;
    let layout = fitting_layout(&group, &schema, dataset_type)?;
    let arn = api.realm.dataset(&group.name, dataset_type);
    let is_tracked = dataset_type == DatasetType::ActionInteractions;
    let tracking_id = is_tracked.then(|| api.clock.uuid());
    let new = NewDataset {
        arn: arn.clone(),
        name: input.name,
        group_arn,
        dataset_type,
        schema_arn,
        layout,
        tracking_id,
        tags,
    };
    api.catalog.create_dataset(&new).await?;
    api.targets.forget();
    Ok(Created { dataset_arn: arn })
}

fn unknown_type(text: &str) -> Error {
    let known = DatasetType::ALL.map(DatasetType::as_str).join(", ");
    Error::invalid(format!("Invalid dataset type: {text}. It must be one of {known}."))
}

// Source: "Datasets and schemas"; actions are for custom groups only.
fn fitting_layout(group: &DatasetGroupRow, schema: &SchemaRow, dataset_type: DatasetType) -> Result<Layout> {
    let is_action = matches!(dataset_type, DatasetType::Actions | DatasetType::ActionInteractions);
    if is_action && group.domain.is_some() {
        return Err(Error::invalid(format!(
            "A domain dataset group can't have a dataset of type {}.",
            dataset_type.as_str()
        )));
    }
    let parsed = stored_schema(schema)?;
    let problems = misfits(group, schema, &parsed, dataset_type);
    if problems.is_empty() {
        Ok(Layout::new(dataset_type, &parsed))
    } else {
        Err(Error::invalid(problems.join(" ")))
    }
}

fn stored_schema(row: &SchemaRow) -> Result<Schema> {
    Schema::parse(&row.document, row.domain).map_err(|_| Error::corrupt("a stored schema can't be read"))
}

/// Why a dataset of this type in this group can't have a schema, whatever its fields.
fn misfits(
    group: &DatasetGroupRow,
    row: &SchemaRow,
    schema: &Schema,
    dataset_type: DatasetType,
) -> Vec<String> {
    let mut problems = Vec::new();
    if schema.dataset_type != dataset_type {
        let name = dataset_type.as_str();
        problems.push(format!("Schema {} can't be used for a dataset of type {name}.", row.arn));
    }
    if row.domain != group.domain {
        problems.push("Schema domain does not match dataset group domain.".to_owned());
    }
    problems
}

/// The dataset that a job is to work on.
///
/// # Errors
/// `NotFound`; `InUse` when it is not ACTIVE, or is being updated.
pub async fn active(api: &Api, arn: &Arn) -> Answer<DatasetRow> {
    let dataset = api.catalog.dataset(arn).await?.ok_or_else(|| not_found("dataset", arn))?;
    check_active(&dataset)?;
    Ok(dataset)
}

/// # Errors
/// `InUse` when the dataset is not ACTIVE, or is being updated.
pub fn check_active(dataset: &DatasetRow) -> Result<()> {
    match dataset.status {
        Status::Active => dataset.check_settled(),
        _ => Err(Error::new(ErrorKind::InUse, format!("The dataset is not active: {}", dataset.arn))),
    }
}

/// Tries what an export will need of the key of a dataset's group.
///
/// # Errors
/// `Invalid` when the group's role may not use the key, or it can't be used.
pub async fn probe_key(api: &Api, dataset: &DatasetRow) -> Result<()> {
    match api.catalog.dataset_group(&dataset.group_arn).await? {
        Some(group) => api.access.probe_group_key(&group).await,
        None => Ok(()),
    }
}

pub async fn describe(api: &Api, input: ByArn) -> Answer<Described> {
    let row = api
        .catalog
        .dataset(&input.dataset_arn)
        .await?
        .ok_or_else(|| not_found("dataset", &input.dataset_arn))?;
    let whole = Description {
        dataset_group_arn: Some(row.group_arn.clone()),
        schema_arn: Some(row.schema_arn.clone()),
        latest_dataset_update: row.latest_update.clone().map(Into::into),
        tracking_id: row.tracking_id.clone(),
        ..summary(row)
    };
    Ok(Described { dataset: whole })
}

pub async fn list(api: &Api, input: PageOfGroup) -> Answer<Listed> {
    let group = input.dataset_group_arn;
    let pager = Pager::open(&api.paging, "ListDatasets", group.as_ref(), input.page)?;
    let rows = api.catalog.datasets(group.as_ref(), &pager.page).await?;
    let (rows, next_token) = pager.cut(rows, |row| (row.created_ms, &row.arn));
    Ok(Listed { datasets: rows.into_iter().map(summary).collect(), next_token })
}

pub async fn delete(api: &Api, input: ByArn) -> Answer<()> {
    let deleted = api.catalog.delete_dataset(&input.dataset_arn).await;
    api.targets.forget();
    Ok(deleted?)
}

fn summary(row: DatasetRow) -> Description {
    Description {
        name: row.name,
        dataset_arn: row.arn,
        dataset_group_arn: None,
        dataset_type: row.dataset_type,
        schema_arn: None,
        status: row.status.as_str(),
        creation_date_time: Seconds(row.created_ms),
        last_updated_date_time: Seconds(row.updated_ms),
        latest_dataset_update: None,
        tracking_id: None,
    }
}
