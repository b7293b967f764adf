//! Keys: made, shown, turned on and off, deleted after a while.

use access::key::{Naming, usable};
use access::{Asking, KeyFault};
use catalog::KeyRow;
use model::Arn;
use serde::{Deserialize, Serialize};
use wire::shape::{Shape, Structure, optional, required, text};

use super::list::{End, PageInput};
use super::shapes::{self, ByKey, limit, marker};
use super::tag::{self, Tag};
use super::{Kms, policy, unsupported};
use crate::reply::{Answer, Seconds};

pub static CREATE: Structure = Structure::new(&[
    optional("Policy", shapes::policy()),
    optional("Description", text(0, 8192)),
    optional("KeyUsage", text(1, 64)),
    optional("CustomerMasterKeySpec", text(1, 64)),
    optional("KeySpec", text(1, 64)),
    optional("Origin", text(1, 64)),
    optional("BypassPolicyLockoutSafetyCheck", Shape::Boolean),
    optional("Tags", tag::tags()),
]);
pub static DESCRIBE: Structure =
    Structure::new(&[required("KeyId", shapes::key_id()), shapes::grant_tokens()]);
pub static LIST: Structure = Structure::new(&[limit(), marker()]);
pub static SCHEDULE: Structure = Structure::new(&[
    required("KeyId", shapes::key_id()),
    optional("PendingWindowInDays", Shape::Integer { min: 7, max: 30 }),
]);
pub static UPDATE_DESCRIPTION: Structure =
    Structure::new(&[required("KeyId", shapes::key_id()), required("Description", text(0, 8192))]);

const DAY_MS: i64 = 24 * 3600 * 1000;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Create {
    policy: Option<String>,
    description: Option<String>,
    key_usage: Option<String>,
    customer_master_key_spec: Option<String>,
    key_spec: Option<String>,
    origin: Option<String>,
    bypass_policy_lockout_safety_check: Option<bool>,
    tags: Option<Vec<Tag>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Schedule {
    key_id: String,
    pending_window_in_days: Option<i64>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct UpdateDescription {
    key_id: String,
    description: String,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct Described {
    key_metadata: Metadata,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct Metadata {
    #[serde(rename = "AWSAccountId")]
    account: String,
    key_id: String,
    arn: Arn,
    creation_date: Seconds,
    enabled: bool,
    description: String,
    key_usage: &'static str,
    key_state: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    deletion_date: Option<Seconds>,
    origin: &'static str,
    key_manager: &'static str,
    customer_master_key_spec: &'static str,
    key_spec: &'static str,
    encryption_algorithms: [&'static str; 1],
    multi_region: bool,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct Listed {
    keys: Vec<Entry>,
    #[serde(flatten)]
    end: End,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct Entry {
    key_id: String,
    key_arn: Arn,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct Scheduled {
    key_id: Arn,
    deletion_date: Seconds,
    key_state: &'static str,
    pending_window_in_days: i64,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct Cancelled {
    key_id: Arn,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct Rotation {
    key_id: Arn,
    key_rotation_enabled: bool,
}

pub async fn create(kms: &Kms, caller: Asking<'_>, input: Create) -> Answer<Described> {
    let tags = tag::of_new(input.tags.unwrap_or_default());
    let asking = caller.with_tags(tags.as_deref().unwrap_or_default());
    kms.permit(asking, "kms:CreateKey", "*").await?;
    let tags = tags?;
    if !tags.is_empty() {
        kms.permit(caller.with_tags(&tags), "kms:TagResource", "*").await?;
    }
    refuse_other("KeyUsage", input.key_usage.as_deref(), "ENCRYPT_DECRYPT")?;
    refuse_other("KeySpec", input.key_spec.as_deref(), "SYMMETRIC_DEFAULT")?;
    refuse_other("CustomerMasterKeySpec", input.customer_master_key_spec.as_deref(), "SYMMETRIC_DEFAULT")?;
    refuse_other("Origin", input.origin.as_deref(), "AWS_KMS")?;
    let text = input.policy.unwrap_or_else(|| policy::by_default(&kms.realm));
    let key = kms.access.new_key(input.description.unwrap_or_default(), text);
    let bypass = input.bypass_policy_lockout_safety_check.unwrap_or(false);
    policy::check(caller, &key.policy, &key.arn, bypass)?;
    kms.catalog.create_key(&key, &tags).await?;
    Ok(Described { key_metadata: metadata(kms, key) })
}

fn refuse_other(member: &str, asked: Option<&str>, offered: &str) -> Answer<()> {
    match asked {
        Some(asked) if asked != offered => Err(unsupported(format!(
            "{member} {asked} is not offered by this server: it has {offered} alone."
        ))),
        _ => Ok(()),
    }
}

pub async fn describe(kms: &Kms, caller: Asking<'_>, input: ByKey) -> Answer<Described> {
    let key = kms.access.key(caller, "kms:DescribeKey", &input.key_id, Naming::KeyOrAlias).await?;
    Ok(Described { key_metadata: metadata(kms, key) })
}

pub async fn list(kms: &Kms, caller: Asking<'_>, page: PageInput) -> Answer<Listed> {
    kms.permit(caller, "kms:ListKeys", "*").await?;
    let mut rows = kms.catalog.keys(page.after(), page.rows()).await?;
    let end = page.cut(&mut rows, |row| &row.id);
    let keys = rows.into_iter().map(|row| Entry { key_id: row.id, key_arn: row.arn }).collect();
    Ok(Listed { keys, end })
}

pub async fn enable(kms: &Kms, caller: Asking<'_>, input: ByKey) -> Answer<()> {
    turn(kms, caller, "kms:EnableKey", &input.key_id, true).await
}

pub async fn disable(kms: &Kms, caller: Asking<'_>, input: ByKey) -> Answer<()> {
    turn(kms, caller, "kms:DisableKey", &input.key_id, false).await
}

async fn turn(kms: &Kms, caller: Asking<'_>, action: &str, key: &str, enabled: bool) -> Answer<()> {
    let key = kms.access.key(caller, action, key, Naming::Key).await?;
    stays(&key)?;
    Ok(kms.catalog.set_key_state(&key, enabled, None).await?)
}

pub async fn schedule_deletion(kms: &Kms, caller: Asking<'_>, input: Schedule) -> Answer<Scheduled> {
    let key = kms.access.key(caller, "kms:ScheduleKeyDeletion", &input.key_id, Naming::Key).await?;
    stays(&key)?;
    let pending_window_in_days = input.pending_window_in_days.unwrap_or(30);
    let deletion_ms = kms.clock.now_ms() + pending_window_in_days * DAY_MS;
    kms.catalog.set_key_state(&key, false, Some(deletion_ms)).await?;
    Ok(Scheduled {
        key_id: key.arn,
        deletion_date: Seconds(deletion_ms),
        key_state: "PendingDeletion",
        pending_window_in_days,
    })
}

/// The key comes back turned off.
pub async fn cancel_deletion(kms: &Kms, caller: Asking<'_>, input: ByKey) -> Answer<Cancelled> {
    let key = kms.access.key(caller, "kms:CancelKeyDeletion", &input.key_id, Naming::Key).await?;
    if key.deletion_ms.is_none() {
        return Err(super::fault(
            "KMSInvalidStateException",
            format!("{} is not pending deletion.", key.arn),
        ));
    }
    kms.catalog.set_key_state(&key, false, None).await?;
    Ok(Cancelled { key_id: key.arn })
}

pub async fn update_description(kms: &Kms, caller: Asking<'_>, input: UpdateDescription) -> Answer<()> {
    let key = kms.access.key(caller, "kms:UpdateKeyDescription", &input.key_id, Naming::Key).await?;
    stays(&key)?;
    Ok(kms.catalog.set_key_description(&key, &input.description).await?)
}

/// Keys are never rotated here.
pub async fn rotation(kms: &Kms, caller: Asking<'_>, input: ByKey) -> Answer<Rotation> {
    let key = kms.access.key(caller, "kms:GetKeyRotationStatus", &input.key_id, Naming::Key).await?;
    Ok(Rotation { key_id: key.arn, key_rotation_enabled: false })
}

/// # Errors
/// KMSInvalidStateException for a key that is to be deleted; one that is turned off will do.
pub fn stays(key: &KeyRow) -> Result<(), KeyFault> {
    match usable(key) {
        Err(KeyFault::Disabled(_)) => Ok(()),
        state => state,
    }
}

fn metadata(kms: &Kms, key: KeyRow) -> Metadata {
    let key_state = match (key.deletion_ms, key.enabled) {
        (Some(_), _) => "PendingDeletion",
        (None, true) => "Enabled",
        (None, false) => "Disabled",
    };
    Metadata {
        account: kms.realm.account.clone(),
        key_id: key.id,
        arn: key.arn,
        creation_date: Seconds(key.created_ms),
        enabled: key_state == "Enabled",
        description: key.description,
        key_usage: "ENCRYPT_DECRYPT",
        key_state,
        deletion_date: key.deletion_ms.map(Seconds),
        origin: "AWS_KMS",
        key_manager: "CUSTOMER",
        customer_master_key_spec: "SYMMETRIC_DEFAULT",
        key_spec: "SYMMETRIC_DEFAULT",
        encryption_algorithms: ["SYMMETRIC_DEFAULT"],
        multi_region: false,
    }
}
