//! What is at the source: groups with their datasets, schemas, trackers and tags.

use model::dataset::Domain;
use model::error::{Error, Result};
use model::schema::{Schema, Storage};
use model::{DatasetType, Layout};
use serde_json::{Value, json};

use super::side::{Side, text};
use super::tell::tell;

pub struct Group {
    pub name: String,
    pub domain: Option<String>,
    pub kms_key_arn: Option<String>,
    pub tags: Vec<Value>,
    pub datasets: Vec<Dataset>,
    pub tracker: Option<Tracker>,
}

pub struct Dataset {
    pub name: String,
    pub arn: String,
    pub kind: DatasetType,
    pub schema: NamedSchema,
    pub tags: Vec<Value>,
    /// Of action interactions, which have no tracker of their own.
    pub tracking_id: Option<String>,
}

pub struct NamedSchema {
    pub name: String,
    pub json: Value,
    pub domain: Option<String>,
}

pub struct Tracker {
    pub name: String,
    pub tracking_id: String,
    pub tags: Vec<Value>,
}

/// Reads the groups of these names, or all.
///
/// # Errors
/// `NotFound` for a name that no group bears; the source's own words when it refuses.
pub async fn read(side: &Side, names: &[String]) -> Result<Vec<Group>> {
    let listed = side.list("ListDatasetGroups", "datasetGroups", json!({})).await?;
    let found = |name: &String| listed.iter().any(|group| group["name"] == name.as_str());
    if let Some(name) = names.iter().find(|name| !found(name)) {
        let text = format!("there is no dataset group named {name} at {}", side.name);
        return Err(Error::new(model::ErrorKind::NotFound, text));
    }
    let mut groups = Vec::new();
    for listed in &listed {
        let name = text(listed, "name")?;
        if names.is_empty() && listed["status"] != "ACTIVE" {
            tell!("the dataset group {name} is left out: it is {}", listed["status"]);
        } else if names.is_empty() || names.contains(&name) {
            groups.push(group(side, name, &text(listed, "datasetGroupArn")?).await?);
        }
    }
    groups.sort_by(|a, b| a.name.cmp(&b.name));
    groups.iter().try_for_each(check_names)?;
    Ok(groups)
}

// Names become those of folders, and words of a script.
fn check_names(group: &Group) -> Result<()> {
    let of_datasets = group.datasets.iter().flat_map(|dataset| [&dataset.name, &dataset.schema.name]);
    let of_tracker = group.tracker.iter().flat_map(|tracker| [&tracker.name, &tracker.tracking_id]);
    let mut names = [&group.name].into_iter().chain(of_datasets).chain(of_tracker);
    let is_wrong = |name: &&String| {
        let is_letter = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
        !name.bytes().all(is_letter) || name.is_empty()
    };
    if let Some(name) = names.find(is_wrong) {
        return Err(Error::invalid(format!("{name:?} is a name that the service would not take")));
    }
    let of_schemas = group.datasets.iter().filter_map(|dataset| dataset.schema.domain.as_ref());
    match of_schemas.chain(&group.domain).find(|domain| Domain::parse(domain).is_none()) {
        Some(domain) => Err(Error::invalid(format!("{domain:?} is a domain that the service does not know"))),
        None => Ok(()),
    }
}

async fn group(side: &Side, name: String, arn: &str) -> Result<Group> {
    let described =
        side.until_active("DescribeDatasetGroup", json!({ "datasetGroupArn": arn }), "datasetGroup").await?;
    let of_group = json!({ "datasetGroupArn": arn });
    let mut datasets = Vec::new();
    for listed in side.list("ListDatasets", "datasets", of_group.clone()).await? {
        datasets.push(dataset(side, &text(&listed, "datasetArn")?).await?);
    }
    datasets.sort_by_key(|dataset| dataset.kind);
    let trackers = side.list("ListEventTrackers", "eventTrackers", of_group).await?;
    let tracker = match trackers.first() {
        Some(listed) => Some(tracker(side, &text(listed, "eventTrackerArn")?).await?),
        None => None,
    };
    let member = |name: &str| described[name].as_str().map(str::to_owned);
    let (domain, kms_key_arn) = (member("domain"), member("kmsKeyArn"));
    Ok(Group { name, domain, kms_key_arn, tags: side.tags(arn).await?, datasets, tracker })
}

async fn dataset(side: &Side, arn: &str) -> Result<Dataset> {
    let found = side.until_active("DescribeDataset", json!({ "datasetArn": arn }), "dataset").await?;
    let kind = text(&found, "datasetType")?;
    let kind = DatasetType::parse(&kind)
        .ok_or_else(|| Error::invalid(format!("{arn} is of a type that is not known here: {kind}")))?;
    let of_schema = json!({ "schemaArn": found["schemaArn"] });
    let mut answer = side.call("DescribeSchema", of_schema).await?;
    let found_schema = answer["schema"].take();
    let json = serde_json::from_str(&text(&found_schema, "schema")?)
        .map_err(|cause| Error::invalid(format!("the schema of {arn} is no JSON")).caused_by(cause))?;
    let domain = found_schema["domain"].as_str().map(str::to_owned);
    Ok(Dataset {
        name: text(&found, "name")?,
        arn: arn.to_owned(),
        kind,
        schema: NamedSchema { name: text(&found_schema, "name")?, json, domain },
        tags: side.tags(arn).await?,
        tracking_id: found["trackingId"].as_str().map(str::to_owned),
    })
}

async fn tracker(side: &Side, arn: &str) -> Result<Tracker> {
    let of_tracker = json!({ "eventTrackerArn": arn });
    let found = side.until_active("DescribeEventTracker", of_tracker, "eventTracker").await?;
    Ok(Tracker {
        name: text(&found, "name")?,
        tracking_id: text(&found, "trackingId")?,
        tags: side.tags(arn).await?,
    })
}

impl Dataset {
    /// The columns as they are read here: records that were put may lack values that imports need, and what was taken
    /// once is not measured again.
    ///
    /// # Errors
    /// `Invalid` when the schema is none that this server could take.
    pub fn layout(&self) -> Result<Layout> {
        let domain = self.schema.domain.as_deref().and_then(Domain::parse);
        let mut schema = Schema::parse(&self.schema.json.to_string(), domain).map_err(|problems| {
            Error::invalid(format!("the schema {} can't be taken: {}", self.schema.name, problems.join(" ")))
        })?;
        for field in &mut schema.fields {
            field.nullable = true;
            field.textual = field.kind.storage() == Storage::String;
        }
        Ok(Layout::new(self.kind, &schema))
    }
}
