//! Keys of KMS, each named by its alias.

use model::ErrorKind;
use model::error::{Error, Result};
use serde_json::{Value, json};

use super::{Attributes, Found, document, if_any, put_tags, tags};
use crate::apply::item::text;
use crate::client::Client;

/// Marks a key until it has its alias, so that an interrupted run leaves none behind that nobody knows.
const MARK: &str = "lade-apply-alias";

/// The ARN of the key behind an alias, where there is one.
pub async fn arn(kms: &Client, alias: &str) -> Result<Option<String>> {
    let described = if_any(kms.kms("DescribeKey", json!({ "KeyId": format!("alias/{alias}") })).await)?;
    Ok(described.and_then(|key| key["KeyMetadata"]["Arn"].as_str().map(str::to_owned)))
}

pub async fn find(kms: &Client, alias: &str) -> Result<Option<Found>> {
    let id = format!("alias/{alias}");
    let Some(described) = if_any(kms.kms("DescribeKey", json!({ "KeyId": id })).await)? else {
        return Ok(None);
    };
    let key = &described["KeyMetadata"];
    if key["KeyState"] == "PendingDeletion" {
        let text =
            format!("the key behind {id} is to be deleted: cancel that, or give the file another alias");
        return Err(Error::invalid(text));
    }
    let arn = json!({ "KeyId": key["Arn"] });
    let policy = kms.kms("GetKeyPolicy", json!({ "KeyId": key["Arn"], "PolicyName": "default" })).await?;
    let mut attributes = Attributes::from([
        ("description".to_owned(), key["Description"].clone()),
        ("policy".to_owned(), document(policy["Policy"].as_str().unwrap_or_default())?),
    ]);
    put_tags(&mut attributes, &kms.kms("ListResourceTags", arn).await?["Tags"], "TagKey", "TagValue");
    Ok(Some(Found { attributes, more: Vec::new() }))
}

pub async fn create(kms: &Client, alias: &str, wanted: &Attributes) -> Result<()> {
    let key = match unnamed(kms, alias).await? {
        Some(key) => key,
        None => {
            let mut all = tags(wanted, "TagKey", "TagValue");
            all.push(json!({ "TagKey": MARK, "TagValue": alias }));
            let mut input = json!({ "Tags": all });
            if let Some(description) = text(wanted, "description") {
                input["Description"] = json!(description);
            }
            if let Some(policy) = wanted.get("policy") {
                input["Policy"] = json!(policy.to_string());
            }
            kms.kms("CreateKey", input).await?["KeyMetadata"]["Arn"].clone()
        }
    };
    kms.kms("CreateAlias", json!({ "AliasName": format!("alias/{alias}"), "TargetKeyId": key })).await?;
    kms.kms("UntagResource", json!({ "KeyId": key, "TagKeys": [MARK] })).await.map(drop)
}

/// The key that an earlier run made and could not name any more.
async fn unnamed(kms: &Client, alias: &str) -> Result<Option<Value>> {
    let mut input = json!({});
    loop {
        let page = kms.kms("ListKeys", input).await?;
        for key in page["Keys"].as_array().into_iter().flatten() {
            let arn = &key["KeyArn"];
            let listed = kms.kms("ListResourceTags", json!({ "KeyId": arn })).await;
            // Keys of others, which the caller may not look at, are not the one that it made.
            if listed.as_ref().is_err_and(|cause| cause.kind == ErrorKind::Denied) {
                continue;
            }
            let Some(listed) = if_any(listed)? else { continue };
            let mut tags = listed["Tags"].as_array().into_iter().flatten();
            if tags.any(|tag| tag["TagKey"] == MARK && tag["TagValue"] == alias) {
                return Ok(Some(arn.clone()));
            }
        }
        let Value::String(marker) = &page["NextMarker"] else { return Ok(None) };
        input = json!({ "Marker": marker });
    }
}

pub async fn change(kms: &Client, alias: &str, wanted: &Attributes) -> Result<()> {
    let arn = arn(kms, alias).await?;
    if let Some(description) = text(wanted, "description") {
        kms.kms("UpdateKeyDescription", json!({ "KeyId": arn, "Description": description })).await?;
    }
    if let Some(policy) = wanted.get("policy") {
        let input = json!({ "KeyId": arn, "PolicyName": "default", "Policy": policy.to_string() });
        kms.kms("PutKeyPolicy", input).await?;
    }
    let tags = tags(wanted, "TagKey", "TagValue");
    if tags.is_empty() {
        return Ok(());
    }
    kms.kms("TagResource", json!({ "KeyId": arn, "Tags": tags })).await.map(drop)
}
