//! Tags: TagResource, UntagResource, ListTagsForResource, and the tags of new resources.

use std::collections::HashSet;

use http::StatusCode;
use model::export::Asked;
use model::{Arn, Error};
use serde::{Deserialize, Serialize};
use wire::error::Fault;
use wire::shape::{Structure, required};

use crate::door::Api;
use crate::reply::{Answer, Failure, Nothing, not_found};
use crate::shapes;

/// Source: "Quotas", tags per resource.
const TAGS_MAX: usize = 50;
/// What the keys of a job's options begin with.
const OPTION: &str = "lade:";

pub static TAG: Structure =
    Structure::new(&[required("resourceArn", shapes::arn()), required("tags", shapes::tags())]);
pub static UNTAG: Structure =
    Structure::new(&[required("resourceArn", shapes::arn()), required("tagKeys", shapes::tag_keys())]);
pub static LIST: Structure = Structure::new(&[required("resourceArn", shapes::arn())]);

#[derive(Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Tag {
    tag_key: String,
    tag_value: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TagInput {
    resource_arn: Arn,
    tags: Vec<Tag>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct UntagInput {
    resource_arn: Arn,
    tag_keys: Vec<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ListInput {
    resource_arn: Arn,
}

#[derive(Serialize)]
pub struct Listed {
    tags: Vec<Tag>,
}

/// The tags that a new resource is to have.
///
/// # Errors
/// TooManyTags above 50; `Invalid` for a key that is reserved or there twice, and for options.
pub fn of_new(tags: Option<Vec<Tag>>) -> Answer<Vec<(String, String)>> {
    with_options(tags, |key, _| {
        Err(Error::invalid(format!("The option {key} does not exist for this resource.")))
    })
}

/// Those of the tags of a new job that are options of it.
pub fn options(tags: Option<&[Tag]>) -> Asked {
    let options = tags.unwrap_or_default().iter().filter(|tag| tag.tag_key.starts_with(OPTION));
    options.map(|tag| (tag.tag_key.clone(), tag.tag_value.clone())).collect()
}

/// The tags of a new job; those that begin with `lade:` are options of it and go through `take`.
///
/// Options travel as tags because every client can send those. One that is not known must not be taken for a mere
/// label.
///
/// # Errors
/// As `of_new`; those of `take`.
pub fn with_options(
    tags: Option<Vec<Tag>>,
    mut take: impl FnMut(&str, &str) -> Result<(), Error>,
) -> Answer<Vec<(String, String)>> {
    let tags = tags.unwrap_or_default();
    let mut seen = HashSet::new();
    for tag in &tags {
        check(tag)?;
        if tag.tag_key.starts_with(OPTION) {
            take(&tag.tag_key, &tag.tag_value)?;
        }
        if !seen.insert(&tag.tag_key) {
            return Err(Error::invalid(format!("Tag key is there twice: {}", tag.tag_key)).into());
        }
    }
    if tags.len() > TAGS_MAX {
        return Err(too_many_tags());
    }
    Ok(tags.into_iter().map(|tag| (tag.tag_key, tag.tag_value)).collect())
}

fn check(tag: &Tag) -> Answer<()> {
    let key = &tag.tag_key;
    if key.starts_with("aws:") || tag.tag_value.starts_with("aws:") {
        return Err(
            Error::invalid(format!("Tag keys and values must not begin with aws: (tag {key}).")).into()
        );
    }
    Ok(())
}

fn too_many_tags() -> Failure {
    let message = format!("A resource can have at most {TAGS_MAX} tags.");
    Failure::Fault(Fault::new("TooManyTagsException", StatusCode::BAD_REQUEST, message))
}

// What a job does is settled when it is created.
fn fixed(option: &str) -> Error {
    Error::invalid(format!("The option {option} can be given only when a job is created."))
}

pub async fn tag(api: &Api, input: TagInput) -> Answer<Nothing> {
    let tags = with_options(Some(input.tags), |key, _| Err(fixed(key)))?;
    taggable(api, &input.resource_arn).await?;
    let most = i64::try_from(TAGS_MAX).unwrap_or(i64::MAX);
    if api.catalog.set_tags(&input.resource_arn, &tags, most).await? > most {
        return Err(too_many_tags());
    }
    Ok(Nothing {})
}

pub async fn untag(api: &Api, input: UntagInput) -> Answer<Nothing> {
    if input.tag_keys.len() > TAGS_MAX {
        let message = format!("A request can name at most {TAGS_MAX} tag keys.");
        return Err(Failure::Fault(Fault::new("TooManyTagKeysException", StatusCode::BAD_REQUEST, message)));
    }
    if let Some(option) = input.tag_keys.iter().find(|key| key.starts_with(OPTION)) {
        return Err(fixed(option).into());
    }
    taggable(api, &input.resource_arn).await?;
    api.catalog.delete_tags(&input.resource_arn, &input.tag_keys).await?;
    Ok(Nothing {})
}

pub async fn list(api: &Api, input: ListInput) -> Answer<Listed> {
    taggable(api, &input.resource_arn).await?;
    let tags = api.catalog.tags(&input.resource_arn).await?;
    Ok(Listed { tags: tags.into_iter().map(|(tag_key, tag_value)| Tag { tag_key, tag_value }).collect() })
}

// Source: "Tagging resources": schemas and metric attributions have no tags.
async fn taggable(api: &Api, arn: &Arn) -> Answer<()> {
    let (what, is_there) = match arn.resource_type() {
        "dataset-group" => ("dataset group", api.catalog.dataset_group(arn).await?.is_some()),
        "dataset" => ("dataset", api.catalog.dataset(arn).await?.is_some()),
        "dataset-import-job" => ("dataset import job", api.catalog.job(arn).await?.is_some()),
        "dataset-export-job" => ("dataset export job", api.catalog.job(arn).await?.is_some()),
        "data-deletion-job" => ("data deletion job", api.catalog.job(arn).await?.is_some()),
        "event-tracker" => ("event tracker", api.catalog.event_tracker(arn).await?.is_some()),
        "schema" | "metric-attribution" => {
            return Err(Error::invalid(format!("A {} can't have tags: {arn}", arn.resource_type())).into());
        }
        _ => ("resource", false),
    };
    if is_there { Ok(()) } else { Err(not_found(what, arn)) }
}
