//! Aliases: names for keys that may move from one key to another.

use access::Asking;
use access::key::Naming;
use model::Arn;
use serde::{Deserialize, Serialize};
use wire::shape::{Structure, optional, required};

use super::key::stays;
use super::list::{End, PageInput};
use super::shapes::{self, limit, marker};
use super::{Kms, fault};
use crate::reply::{Answer, Seconds};

pub static SET: Structure =
    Structure::new(&[required("AliasName", shapes::alias_name()), required("TargetKeyId", shapes::key_id())]);
pub static DELETE: Structure = Structure::new(&[required("AliasName", shapes::alias_name())]);
pub static LIST: Structure = Structure::new(&[optional("KeyId", shapes::key_id()), limit(), marker()]);

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Set {
    alias_name: String,
    target_key_id: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Delete {
    alias_name: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct List {
    key_id: Option<String>,
    #[serde(flatten)]
    page: PageInput,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct Listed {
    aliases: Vec<Entry>,
    #[serde(flatten)]
    end: End,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct Entry {
    alias_name: String,
    alias_arn: Arn,
    target_key_id: String,
    creation_date: Seconds,
    last_updated_date: Seconds,
}

pub async fn create(kms: &Kms, caller: Asking<'_>, input: Set) -> Answer<()> {
    let alias = permitted(kms, caller, "kms:CreateAlias", &input.alias_name).await?;
    let key = kms.access.key(caller, "kms:CreateAlias", &input.target_key_id, Naming::Key).await?;
    stays(&key)?;
    Ok(kms.catalog.create_alias(&input.alias_name, &key.id, &alias).await?)
}

pub async fn update(kms: &Kms, caller: Asking<'_>, input: Set) -> Answer<()> {
    let alias = permitted(kms, caller, "kms:UpdateAlias", &input.alias_name).await?;
    kms.access.key(caller, "kms:UpdateAlias", &input.alias_name, Naming::KeyOrAlias).await?;
    let key = kms.access.key(caller, "kms:UpdateAlias", &input.target_key_id, Naming::Key).await?;
    stays(&key)?;
    Ok(kms.catalog.set_alias(&input.alias_name, &key.id, &alias).await?)
}

pub async fn delete(kms: &Kms, caller: Asking<'_>, input: Delete) -> Answer<()> {
    let alias = permitted(kms, caller, "kms:DeleteAlias", &input.alias_name).await?;
    kms.access.key(caller, "kms:DeleteAlias", &input.alias_name, Naming::KeyOrAlias).await?;
    Ok(kms.catalog.delete_alias(&input.alias_name, &alias).await?)
}

pub async fn list(kms: &Kms, caller: Asking<'_>, input: List) -> Answer<Listed> {
    kms.permit(caller, "kms:ListAliases", "*").await?;
    let key = match &input.key_id {
        Some(reference) => Some(kms.access.find_key(reference, Naming::Key).await?.id),
        None => None,
    };
    let page = input.page;
    let mut rows = kms.catalog.aliases(key.as_deref(), page.after(), page.rows()).await?;
    let end = page.cut(&mut rows, |row| &row.name);
    let aliases = rows.into_iter().map(|row| Entry {
        alias_arn: kms.realm.alias(&row.name),
        alias_name: row.name,
        target_key_id: row.key_id,
        creation_date: Seconds(row.created_ms),
        last_updated_date: Seconds(row.updated_ms),
    });
    Ok(Listed { aliases: aliases.collect(), end })
}

// The alias's ARN, for a caller whose own policies allow the action on it.
async fn permitted(kms: &Kms, caller: Asking<'_>, action: &str, name: &str) -> Answer<Arn> {
    match name.strip_prefix("alias/") {
        Some(rest) if rest.starts_with("aws/") => {
            Err(fault("InvalidAliasNameException", "The prefix alias/aws/ is reserved."))
        }
        Some(rest) if !rest.is_empty() && !rest.ends_with('/') => {
            let alias = kms.realm.alias(name);
            kms.permit(caller, action, alias.as_str()).await?;
            Ok(alias)
        }
        _ => Err(fault("InvalidAliasNameException", "An alias begins with alias/ and goes on with a name.")),
    }
}
