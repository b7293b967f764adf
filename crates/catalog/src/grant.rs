//! Grants: what a principal may do with a key beside what the key's policy says.

use std::collections::BTreeMap;

use model::Arn;
use model::error::{Error, Result};
use sqlx::Row;
use sqlx::any::AnyRow;

use crate::{Catalog, failed, stored_arn};

pub(crate) const TABLES: &str = "
CREATE TABLE IF NOT EXISTS kms_grant (
    id TEXT PRIMARY KEY, key_id TEXT NOT NULL REFERENCES kms_key (id) ON DELETE CASCADE, name TEXT,
    token TEXT NOT NULL UNIQUE, grantee_arn TEXT NOT NULL, retiring_arn TEXT, issuing_arn TEXT NOT NULL,
    operations TEXT NOT NULL, context_subset TEXT, context_equals TEXT, created_ms INTEGER NOT NULL
) STRICT;
CREATE INDEX IF NOT EXISTS kms_grant_key ON kms_grant (key_id, id);
";

/// An encryption context.
pub type Context = BTreeMap<String, String>;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GrantRow {
    /// 64 hexadecimal digits.
    pub id: String,
    pub key_id: String,
    pub name: Option<String>,
    pub token: String,
    pub grantee: Arn,
    pub retiring: Option<Arn>,
    /// Who made it.
    pub issuing: Arn,
    /// Such as `GenerateDataKey`.
    pub operations: Vec<String>,
    /// Pairs that a request's context must hold.
    pub context_subset: Option<Context>,
    /// The context that a request must have.
    pub context_equals: Option<Context>,
    pub created_ms: i64,
}

impl Catalog {
    pub async fn create_grant(&self, grant: &GrantRow) -> Result<()> {
        let context = |context: &Option<Context>| context.as_ref().map(text).transpose();
        let mut tx = self.write().await?;
        sqlx::query("INSERT INTO kms_grant VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)")
            .bind(&grant.id)
            .bind(&grant.key_id)
            .bind(&grant.name)
            .bind(&grant.token)
            .bind(grant.grantee.as_str())
            .bind(grant.retiring.as_ref().map(Arn::as_str))
            .bind(grant.issuing.as_str())
            .bind(text(&grant.operations)?)
            .bind(context(&grant.context_subset)?)
            .bind(context(&grant.context_equals)?)
            .bind(grant.created_ms)
            .execute(&mut *tx)
            .await
            .map_err(failed)?;
        tx.commit().await.map_err(failed)
    }

    /// Up to `limit` grants of a key behind `after`, by id.
    pub async fn grants(&self, key_id: &str, after: &str, limit: i64) -> Result<Vec<GrantRow>> {
        let query = sqlx::query("SELECT * FROM kms_grant WHERE key_id = $1 AND id > $2 ORDER BY id LIMIT $3");
        let rows = query.bind(key_id).bind(after).bind(limit).fetch_all(self.pool()).await.map_err(failed)?;
        rows.iter().map(read).collect()
    }

    /// The grant with this id or token.
    pub async fn grant(&self, id_or_token: &str) -> Result<Option<GrantRow>> {
        let query = sqlx::query("SELECT * FROM kms_grant WHERE id = $1 OR token = $1").bind(id_or_token);
        query.fetch_optional(self.pool()).await.map_err(failed)?.as_ref().map(read).transpose()
    }

    /// Ends a grant; one that is gone is no error.
    pub async fn delete_grant(&self, id: &str) -> Result<()> {
        let mut tx = self.write().await?;
        let query = sqlx::query("DELETE FROM kms_grant WHERE id = $1").bind(id);
        query.execute(&mut *tx).await.map_err(failed)?;
        tx.commit().await.map_err(failed)
    }
}

fn text(value: &impl serde::Serialize) -> Result<String> {
    serde_json::to_string(value).map_err(|e| Error::internal("write a grant").caused_by(e))
}

fn parse<T: for<'de> serde::Deserialize<'de>>(text: &str) -> Result<T> {
    serde_json::from_str(text).map_err(|e| Error::corrupt("a grant can't be read").caused_by(e))
}

fn read(row: &AnyRow) -> Result<GrantRow> {
    let optional = |column: &str| row.try_get::<Option<&str>, _>(column).map_err(failed);
    let arn = |column: &str| stored_arn(row.try_get(column).map_err(failed)?);
    Ok(GrantRow {
        id: row.try_get("id").map_err(failed)?,
        key_id: row.try_get("key_id").map_err(failed)?,
        name: row.try_get("name").map_err(failed)?,
        token: row.try_get("token").map_err(failed)?,
        grantee: arn("grantee_arn")?,
        retiring: optional("retiring_arn")?.map(stored_arn).transpose()?,
        issuing: arn("issuing_arn")?,
        operations: parse(row.try_get("operations").map_err(failed)?)?,
        context_subset: optional("context_subset")?.map(parse).transpose()?,
        context_equals: optional("context_equals")?.map(parse).transpose()?,
        created_ms: row.try_get("created_ms").map_err(failed)?,
    })
}
