//! Dataset groups: CreateDatasetGroup, DescribeDatasetGroup, ListDatasetGroups, DeleteDatasetGroup.

use catalog::dataset_group::GroupKey;
use catalog::{DatasetGroupRow, NewDatasetGroup};
use model::{Arn, Domain, Error, Result};
use serde::{Deserialize, Serialize};
use wire::shape::{Structure, optional, required};

use crate::door::Api;
use crate::paging::{PageInput, Pager};
use crate::reply::{Answer, Seconds, not_found};
use crate::shapes;
use crate::tag::{self, Tag};

pub static CREATE: Structure = Structure::new(&[
    required("name", shapes::name()),
    optional("roleArn", shapes::role_arn()),
    optional("kmsKeyArn", shapes::kms_key_arn()),
    optional("domain", shapes::domain()),
    optional("tags", shapes::tags()),
]);
pub static BY_ARN: Structure = Structure::new(&[required("datasetGroupArn", shapes::arn())]);

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Create {
    name: String,
    role_arn: Option<String>,
    kms_key_arn: Option<String>,
    domain: Option<Domain>,
    tags: Option<Vec<Tag>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ByArn {
    dataset_group_arn: Arn,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Created {
    dataset_group_arn: Arn,
    #[serde(skip_serializing_if = "Option::is_none")]
    domain: Option<Domain>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Described {
    dataset_group: Description,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Description {
    name: String,
    dataset_group_arn: Arn,
    status: &'static str,
    creation_date_time: Seconds,
    last_updated_date_time: Seconds,
    #[serde(skip_serializing_if = "Option::is_none")]
    domain: Option<Domain>,
    #[serde(skip_serializing_if = "Option::is_none")]
    role_arn: Option<Arn>,
    #[serde(skip_serializing_if = "Option::is_none")]
    kms_key_arn: Option<Arn>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Listed {
    dataset_groups: Vec<Description>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_token: Option<String>,
}

/// # Errors
/// `Invalid` when the role can't be assumed or may not use the key; `AlreadyExists`.
pub async fn create(api: &Api, input: Create) -> Answer<Created> {
    let tags = tag::of_new(input.tags)?;
    let arn = api.realm.dataset_group(&input.name);
    let key = group_key(api, &arn, input.role_arn.as_deref(), input.kms_key_arn.as_deref()).await?;
    let new = NewDatasetGroup { arn: arn.clone(), name: input.name, domain: input.domain, key, tags };
    api.catalog.create_dataset_group(&new).await?;
    Ok(Created { dataset_group_arn: arn, domain: input.domain })
}

// Source: CreateDatasetGroup; a role is given to use the key.
async fn group_key(
    api: &Api,
    group: &Arn,
    role: Option<&str>,
    key: Option<&str>,
) -> Result<Option<GroupKey>> {
    let text = match (role, key) {
        (None, None) => return Ok(None),
        (Some(_), None) => "roleArn is valid together with kmsKeyArn alone: give both or neither.",
        (None, Some(_)) => "kmsKeyArn needs a roleArn, the role that may use the key: give both or neither.",
        (Some(role), Some(key)) => match (Arn::parse(role), Arn::parse(key)) {
            (Some(role), Some(key)) => return api.access.new_group_key(group, &role, &key).await.map(Some),
            _ => "roleArn and kmsKeyArn must be ARNs.",
        },
    };
    Err(Error::invalid(text))
}

pub async fn describe(api: &Api, input: ByArn) -> Answer<Described> {
    let arn = &input.dataset_group_arn;
    let row = api.catalog.dataset_group(arn).await?.ok_or_else(|| not_found("dataset group", arn))?;
    Ok(Described { dataset_group: description(row) })
}

pub async fn list(api: &Api, input: PageInput) -> Answer<Listed> {
    let pager = Pager::open(&api.paging, "ListDatasetGroups", None, input)?;
    let rows = api.catalog.dataset_groups(&pager.page).await?;
    let (rows, next_token) = pager.cut(rows, |row| (row.created_ms, &row.arn));
    Ok(Listed { dataset_groups: rows.into_iter().map(summary).collect(), next_token })
}

pub async fn delete(api: &Api, input: ByArn) -> Answer<()> {
    Ok(api.catalog.delete_dataset_group(&input.dataset_group_arn).await?)
}

// Lists say nothing of keys.
fn summary(row: DatasetGroupRow) -> Description {
    Description { role_arn: None, kms_key_arn: None, ..description(row) }
}

fn description(row: DatasetGroupRow) -> Description {
    let (role_arn, kms_key_arn) = row.key.map(|key| (key.role_arn, key.kms_key_arn)).unzip();
    Description {
        name: row.name,
        dataset_group_arn: row.arn,
        status: row.status.as_str(),
        creation_date_time: Seconds(row.created_ms),
        last_updated_date_time: Seconds(row.updated_ms),
        domain: row.domain,
        role_arn,
        kms_key_arn,
    }
}
