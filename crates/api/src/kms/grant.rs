//! Grants: a principal may use a key beside what its policy says, until the grant is taken back.

use access::Asking;
use access::key::{EncryptionContext, Naming, is_one_of, usable};
use catalog::{GrantRow, KeyRow};
use model::{Arn, Error, ErrorKind};
use serde::{Deserialize, Serialize};
use wire::shape::{Pattern, Shape, Structure, list, matching, optional, required, text};

use super::list::{End, PageInput};
use super::shapes::{self, key_id, limit, marker};
use super::{Kms, fault};
use crate::reply::{Answer, Failure, Seconds};

static PRINCIPAL: Pattern = Pattern::new(r"^[\w+=,.@:/-]+$");
static NAME: Pattern = Pattern::new(r"^[a-zA-Z0-9:/_-]+$");
static OPERATION: Shape = Shape::Enum(&[
    "Decrypt",
    "Encrypt",
    "GenerateDataKey",
    "GenerateDataKeyWithoutPlaintext",
    "ReEncryptFrom",
    "ReEncryptTo",
    "RetireGrant",
    "DescribeKey",
]);
pub static CREATE: Structure = Structure::new(&[
    required("KeyId", key_id()),
    required("GranteePrincipal", matching(1, 256, &PRINCIPAL)),
    optional("RetiringPrincipal", matching(1, 256, &PRINCIPAL)),
    required("Operations", list(1, 50, &OPERATION)),
    shapes::grant_tokens(),
    optional("Name", matching(1, 256, &NAME)),
]);
pub static LIST: Structure = Structure::new(&[
    required("KeyId", key_id()),
    optional("GrantId", text(1, 128)),
    optional("GranteePrincipal", matching(1, 256, &PRINCIPAL)),
    limit(),
    marker(),
]);
pub static REVOKE: Structure =
    Structure::new(&[required("KeyId", key_id()), required("GrantId", text(1, 128))]);
pub static RETIRE: Structure = Structure::new(&[
    optional("GrantToken", text(1, 8192)),
    optional("KeyId", key_id()),
    optional("GrantId", text(1, 128)),
]);

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Create {
    key_id: String,
    grantee_principal: String,
    retiring_principal: Option<String>,
    operations: Vec<String>,
    constraints: Option<Constraints>,
    name: Option<String>,
}

#[derive(Deserialize, Serialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub struct Constraints {
    #[serde(skip_serializing_if = "Option::is_none")]
    encryption_context_subset: Option<EncryptionContext>,
    #[serde(skip_serializing_if = "Option::is_none")]
    encryption_context_equals: Option<EncryptionContext>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct Created {
    grant_token: String,
    grant_id: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct List {
    key_id: String,
    grant_id: Option<String>,
    grantee_principal: Option<String>,
    #[serde(flatten)]
    page: PageInput,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct Listed {
    grants: Vec<Entry>,
    #[serde(flatten)]
    end: End,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct Entry {
    key_id: Arn,
    grant_id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    creation_date: Seconds,
    grantee_principal: Arn,
    #[serde(skip_serializing_if = "Option::is_none")]
    retiring_principal: Option<Arn>,
    issuing_account: Arn,
    operations: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    constraints: Option<Constraints>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Revoke {
    key_id: String,
    grant_id: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Retire {
    grant_token: Option<String>,
    key_id: Option<String>,
    grant_id: Option<String>,
}

/// A named grant that is there already, alike in all, is given once more.
pub async fn create(kms: &Kms, caller: Asking<'_>, input: Create) -> Answer<Created> {
    let key = kms.access.key(caller, "kms:CreateGrant", &input.key_id, Naming::Key).await?;
    usable(&key)?;
    let (context_subset, context_equals) = input
        .constraints
        .map_or((None, None), |c| (c.encryption_context_subset, c.encryption_context_equals));
    let grant = GrantRow {
        id: kms.clock.hex(64),
        key_id: key.id.clone(),
        name: input.name,
        token: kms.clock.base32(128),
        grantee: principal(&input.grantee_principal)?,
        retiring: input.retiring_principal.as_deref().map(principal).transpose()?,
        issuing: caller.principal.arn().clone(),
        operations: input.operations,
        context_subset,
        context_equals,
        created_ms: kms.clock.now_ms(),
    };
    let known =
        all(kms, &key).await?.into_iter().find(|known| known.name.is_some() && is_alike(known, &grant));
    if known.is_none() {
        kms.catalog.create_grant(&grant).await?;
    }
    let grant = known.unwrap_or(grant);
    Ok(Created { grant_token: grant.token, grant_id: grant.id })
}

pub async fn list_grants(kms: &Kms, caller: Asking<'_>, input: List) -> Answer<Listed> {
    let key = kms.access.key(caller, "kms:ListGrants", &input.key_id, Naming::Key).await?;
    let mut rows = all(kms, &key).await?;
    rows.retain(|row| row.id.as_str() > input.page.after());
    rows.retain(|row| input.grant_id.as_ref().is_none_or(|id| *id == row.id));
    rows.retain(|row| input.grantee_principal.as_ref().is_none_or(|arn| arn == row.grantee.as_str()));
    let end = input.page.cut(&mut rows, |row| &row.id);
    Ok(Listed { grants: rows.into_iter().map(|row| entry(&key, row)).collect(), end })
}

pub async fn revoke(kms: &Kms, caller: Asking<'_>, input: Revoke) -> Answer<()> {
    let key = kms.access.key(caller, "kms:RevokeGrant", &input.key_id, Naming::Key).await?;
    let grant = kms.catalog.grant(&input.grant_id).await?;
    let grant = grant.filter(|grant| grant.key_id == key.id).ok_or_else(|| missing(&input.grant_id))?;
    Ok(kms.catalog.delete_grant(&grant.id).await?)
}

/// The retiring principal may, the grantee where it was granted, and who may by policy.
pub async fn retire(kms: &Kms, caller: Asking<'_>, input: Retire) -> Answer<()> {
    let name = match (input.grant_token, &input.key_id, input.grant_id) {
        (Some(token), None, None) => token,
        (None, Some(_), Some(id)) => id,
        _ => return Err(Error::invalid("Name the grant by GrantToken, or by KeyId and GrantId.").into()),
    };
    let grant = kms.catalog.grant(&name).await?.ok_or_else(|| missing(&name))?;
    let key = kms.access.find_key(input.key_id.as_deref().unwrap_or(&grant.key_id), Naming::Key).await?;
    if key.id != grant.key_id {
        return Err(missing(&name));
    }
    let is_retiring = grant.retiring.as_ref().is_some_and(|arn| is_one_of(caller.principal, arn));
    let is_granted = grant.operations.iter().any(|operation| operation == "RetireGrant")
        && is_one_of(caller.principal, &grant.grantee);
    if !is_retiring && !is_granted {
        kms.access.permit_key(caller, "kms:RetireGrant", &key, None).await?;
    }
    Ok(kms.catalog.delete_grant(&grant.id).await?)
}

async fn all(kms: &Kms, key: &KeyRow) -> Answer<Vec<GrantRow>> {
    Ok(kms.catalog.grants(&key.id, "", i64::MAX).await?)
}

fn is_alike(known: &GrantRow, asked: &GrantRow) -> bool {
    let GrantRow { id, token, created_ms, issuing, .. } = known.clone();
    GrantRow { id, token, created_ms, issuing, ..asked.clone() } == *known
}

fn principal(text: &str) -> Answer<Arn> {
    let is_principal = |arn: &Arn| {
        matches!(
            (arn.service(), arn.resource_type()),
            ("iam", "role" | "user" | "root") | ("sts", "assumed-role")
        )
    };
    let arn = Arn::parse(text).filter(is_principal);
    arn.ok_or_else(|| fault("InvalidArnException", format!("{text} is not the ARN of a principal.")))
}

fn missing(name: &str) -> Failure {
    Error::new(ErrorKind::NotFound, format!("Grant {name} is not found.")).into()
}

fn entry(key: &KeyRow, row: GrantRow) -> Entry {
    let (subset, equals) = (row.context_subset, row.context_equals);
    let constraints = (subset.is_some() || equals.is_some())
        .then_some(Constraints { encryption_context_subset: subset, encryption_context_equals: equals });
    Entry {
        key_id: key.arn.clone(),
        grant_id: row.id,
        name: row.name,
        creation_date: Seconds(row.created_ms),
        grantee_principal: row.grantee,
        retiring_principal: row.retiring,
        issuing_account: row.issuing,
        operations: row.operations,
        constraints,
    }
}
