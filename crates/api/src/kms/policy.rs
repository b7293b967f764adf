//! Key policies: each key has one, called `default`.

use access::Asking;
use access::key::{Naming, keeps_policy_open};
use access::policy::Document;
use model::{Arn, Error, ErrorKind, Realm};
use serde::{Deserialize, Serialize};
use wire::shape::{Shape, Structure, optional, required};

use super::shapes::{self, ByKey, limit, marker};
use super::{Kms, fault};
use crate::reply::Answer;

pub static GET: Structure =
    Structure::new(&[required("KeyId", shapes::key_id()), optional("PolicyName", shapes::policy_name())]);
pub static PUT: Structure = Structure::new(&[
    required("KeyId", shapes::key_id()),
    optional("PolicyName", shapes::policy_name()),
    required("Policy", shapes::policy()),
    optional("BypassPolicyLockoutSafetyCheck", Shape::Boolean),
]);
pub static LIST: Structure = Structure::new(&[required("KeyId", shapes::key_id()), limit(), marker()]);

const NAME: &str = "default";

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Get {
    key_id: String,
    policy_name: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Put {
    key_id: String,
    policy_name: Option<String>,
    policy: String,
    bypass_policy_lockout_safety_check: Option<bool>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct Got {
    policy: String,
    policy_name: &'static str,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct Listed {
    policy_names: [&'static str; 1],
    truncated: bool,
}

pub async fn get(kms: &Kms, caller: Asking<'_>, input: Get) -> Answer<Got> {
    let key = kms.access.key(caller, "kms:GetKeyPolicy", &input.key_id, Naming::Key).await?;
    check_name(input.policy_name.as_deref())?;
    Ok(Got { policy: key.policy, policy_name: NAME })
}

pub async fn put(kms: &Kms, caller: Asking<'_>, input: Put) -> Answer<()> {
    let key = kms.access.key(caller, "kms:PutKeyPolicy", &input.key_id, Naming::Key).await?;
    check_name(input.policy_name.as_deref())?;
    let bypass = input.bypass_policy_lockout_safety_check.unwrap_or(false);
    check(caller, &input.policy, &key.arn, bypass)?;
    Ok(kms.catalog.set_key_policy(&key, &input.policy).await?)
}

pub async fn list(kms: &Kms, caller: Asking<'_>, input: ByKey) -> Answer<Listed> {
    kms.access.key(caller, "kms:ListKeyPolicies", &input.key_id, Naming::Key).await?;
    Ok(Listed { policy_names: [NAME], truncated: false })
}

/// Reads a policy that a key is to have.
///
/// # Errors
/// MalformedPolicyDocumentException; also when the caller could not change the policy again, unless `bypass`.
pub fn check(caller: Asking<'_>, text: &str, key: &Arn, bypass: bool) -> Answer<()> {
    let malformed = |text: &str| fault("MalformedPolicyDocumentException", text);
    let policy = Document::parse_key_policy(text).map_err(|e| malformed(e.message()))?;
    match bypass || keeps_policy_open(&policy, caller.principal, key) {
        true => Ok(()),
        false => {
            Err(malformed("The new key policy will not allow you to update the key policy in the future."))
        }
    }
}

/// The policy of a key that was made without one: the account's own policies decide.
///
/// Source: "Default key policy".
pub fn by_default(realm: &Realm) -> String {
    serde_json::json!({
        "Version": "2012-10-17",
        "Id": "key-default-1",
        "Statement": [{
            "Sid": "Enable IAM User Permissions",
            "Effect": "Allow",
            "Principal": {"AWS": realm.root()},
            "Action": "kms:*",
            "Resource": "*",
        }],
    })
    .to_string()
}

fn check_name(name: Option<&str>) -> Answer<()> {
    match name {
        None | Some(NAME) => Ok(()),
        Some(_) => Err(Error::new(ErrorKind::NotFound, "No such policy exists").into()),
    }
}
