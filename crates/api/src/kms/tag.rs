//! Tags of keys.

use access::Asking;
use access::key::Naming;
use model::{Error, ErrorKind};
use serde::{Deserialize, Serialize};
use wire::shape::{Shape, Structure, list, required, text};

use super::key::stays;
use super::list::{End, PageInput};
use super::shapes::{self, limit, marker};
use super::{Kms, fault};
use crate::reply::{Answer, Failure};

static TAG_STRUCTURE: Structure =
    Structure::new(&[required("TagKey", text(1, 128)), required("TagValue", text(0, 256))]);
static TAG_ELEMENT: Shape = Shape::Structure(&TAG_STRUCTURE);
static TAG_KEY: Shape = text(1, 128);
pub static TAG: Structure = Structure::new(&[required("KeyId", shapes::key_id()), required("Tags", tags())]);
pub static UNTAG: Structure =
    Structure::new(&[required("KeyId", shapes::key_id()), required("TagKeys", list(0, 200, &TAG_KEY))]);
pub static LIST: Structure = Structure::new(&[required("KeyId", shapes::key_id()), limit(), marker()]);

/// Source: "Quotas" of KMS.
const TAGS_MAX: i64 = 50;

pub const fn tags() -> Shape {
    list(0, 200, &TAG_ELEMENT)
}

#[derive(Deserialize, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct Tag {
    tag_key: String,
    tag_value: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct TagInput {
    key_id: String,
    tags: Vec<Tag>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Untag {
    key_id: String,
    tag_keys: Vec<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct List {
    key_id: String,
    #[serde(flatten)]
    page: PageInput,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct Listed {
    tags: Vec<Tag>,
    #[serde(flatten)]
    end: End,
}

/// The tags that a key is to have.
///
/// # Errors
/// TagException for a key that is reserved or there twice; LimitExceededException above 50.
pub fn of_new(tags: Vec<Tag>) -> Answer<Vec<(String, String)>> {
    let mut pairs: Vec<(String, String)> = Vec::new();
    for tag in tags {
        if tag.tag_key.to_lowercase().starts_with("aws:") {
            return Err(fault("TagException", "Tag keys may not begin with aws:."));
        }
        if pairs.iter().any(|(key, _)| *key == tag.tag_key) {
            return Err(fault("TagException", format!("The tag key {} is there twice.", tag.tag_key)));
        }
        pairs.push((tag.tag_key, tag.tag_value));
    }
    if pairs.len() as i64 > TAGS_MAX { Err(too_many()) } else { Ok(pairs) }
}

pub async fn tag(kms: &Kms, caller: Asking<'_>, input: TagInput) -> Answer<()> {
    let tags = of_new(input.tags);
    let caller = caller.with_tags(tags.as_deref().unwrap_or_default());
    let key = kms.access.key(caller, "kms:TagResource", &input.key_id, Naming::Key).await?;
    stays(&key)?;
    let tags = tags?;
    match kms.catalog.set_tags(&key.arn, &tags, TAGS_MAX).await? {
        count if count > TAGS_MAX => Err(too_many()),
        _ => Ok(()),
    }
}

pub async fn untag(kms: &Kms, caller: Asking<'_>, input: Untag) -> Answer<()> {
    let caller = caller.without_tags(&input.tag_keys);
    let key = kms.access.key(caller, "kms:UntagResource", &input.key_id, Naming::Key).await?;
    stays(&key)?;
    Ok(kms.catalog.delete_tags(&key.arn, &input.tag_keys).await?)
}

pub async fn list_tags(kms: &Kms, caller: Asking<'_>, input: List) -> Answer<Listed> {
    let key = kms.access.key(caller, "kms:ListResourceTags", &input.key_id, Naming::Key).await?;
    let mut rows = kms.catalog.tags(&key.arn).await?;
    rows.retain(|(key, _)| key.as_str() > input.page.after());
    let end = input.page.cut(&mut rows, |(key, _)| key);
    let tags = rows.into_iter().map(|(tag_key, tag_value)| Tag { tag_key, tag_value }).collect();
    Ok(Listed { tags, end })
}

fn too_many() -> Failure {
    Error::new(ErrorKind::LimitExceeded, format!("A key may have {TAGS_MAX} tags.")).into()
}
