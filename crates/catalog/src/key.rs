//! Keys of KMS: their state, their policy, their sealed material, and the aliases that name them.

use model::error::{Error, Result};
use model::{Arn, ErrorKind};
use sqlx::any::{AnyArguments, AnyRow};
use sqlx::{Any, Row};

use crate::{Catalog, Transaction, failed, not_inserted, stored_arn, tag};

pub(crate) const TABLES: &str = "
CREATE TABLE IF NOT EXISTS kms_key (
    id TEXT PRIMARY KEY, arn TEXT NOT NULL UNIQUE, description TEXT NOT NULL, enabled INTEGER NOT NULL,
    deletion_ms INTEGER, policy TEXT NOT NULL, material BLOB NOT NULL, created_ms INTEGER NOT NULL
) STRICT;
CREATE TABLE IF NOT EXISTS kms_alias (
    name TEXT PRIMARY KEY, key_id TEXT NOT NULL REFERENCES kms_key (id) ON DELETE CASCADE,
    created_ms INTEGER NOT NULL, updated_ms INTEGER NOT NULL
) STRICT;
CREATE INDEX IF NOT EXISTS kms_alias_key ON kms_alias (key_id);
";

#[derive(Clone, PartialEq, Eq)]
pub struct KeyRow {
    /// A UUID.
    pub id: String,
    pub arn: Arn,
    pub description: String,
    pub enabled: bool,
    /// When the key will be deleted, where that is planned.
    pub deletion_ms: Option<i64>,
    /// Byte for byte as it was sent.
    pub policy: String,
    /// Sealed by whoever made the key.
    pub material: Vec<u8>,
    pub created_ms: i64,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AliasRow {
    /// Such as `alias/exports`.
    pub name: String,
    pub key_id: String,
    pub created_ms: i64,
    pub updated_ms: i64,
}

/// What a key is named by.
#[derive(Clone, Copy, Debug)]
pub enum KeyName<'a> {
    Id(&'a str),
    Alias(&'a str),
}

impl Catalog {
    pub async fn create_key(&self, key: &KeyRow, tags: &[(String, String)]) -> Result<()> {
        let mut tx = self.write().await?;
        delete_due(&mut tx, self.now_ms()).await?;
        sqlx::query("INSERT INTO kms_key VALUES ($1, $2, $3, $4, $5, $6, $7, $8)")
            .bind(&key.id)
            .bind(key.arn.as_str())
            .bind(&key.description)
            .bind(i64::from(key.enabled))
            .bind(key.deletion_ms)
            .bind(&key.policy)
            .bind(&key.material)
            .bind(key.created_ms)
            .execute(&mut *tx)
            .await
            .map_err(not_inserted(&key.arn))?;
        tag::insert(&mut tx, &key.arn, tags).await?;
        tx.commit().await.map_err(failed)
    }

    /// The key of this name; one whose time is up is gone.
    pub async fn key(&self, name: KeyName<'_>) -> Result<Option<KeyRow>> {
        let (query, name) = match name {
            KeyName::Id(id) => {
                (sqlx::query("SELECT * FROM kms_key WHERE id = $1 AND coalesce(deletion_ms > $2, TRUE)"), id)
            }
            KeyName::Alias(alias) => {
                let sql = "SELECT kms_key.* FROM kms_key JOIN kms_alias ON key_id = id
                           WHERE name = $1 AND coalesce(deletion_ms > $2, TRUE)";
                (sqlx::query(sql), alias)
            }
        };
        let row = query.bind(name).bind(self.now_ms()).fetch_optional(self.pool()).await.map_err(failed)?;
        row.as_ref().map(read).transpose()
    }

    /// Up to `limit` keys behind `after`, by id.
    pub async fn keys(&self, after: &str, limit: i64) -> Result<Vec<KeyRow>> {
        let rows = sqlx::query(
            "SELECT * FROM kms_key WHERE id > $1 AND coalesce(deletion_ms > $2, TRUE) ORDER BY id LIMIT $3",
        )
        .bind(after)
        .bind(self.now_ms())
        .bind(limit)
        .fetch_all(self.pool())
        .await
        .map_err(failed)?;
        rows.iter().map(read).collect()
    }

    /// Any key, also one whose time is up: for whoever wants to know whether its material can be opened.
    pub async fn any_key(&self) -> Result<Option<KeyRow>> {
        let row = sqlx::query("SELECT * FROM kms_key LIMIT 1").fetch_optional(self.pool()).await;
        row.map_err(failed)?.as_ref().map(read).transpose()
    }

    /// Turns a key on or off, and plans its deletion or takes the plan back.
    ///
    /// # Errors
    /// `NotFound`; `InUse` when the key's deletion was planned, or taken back, meanwhile.
    pub async fn set_key_state(&self, key: &KeyRow, enabled: bool, deletion_ms: Option<i64>) -> Result<()> {
        let mut tx = self.write().await?;
        delete_due(&mut tx, self.now_ms()).await?;
        let query = sqlx::query(
            "UPDATE kms_key SET enabled = $1, deletion_ms = $2 WHERE id = $3 AND deletion_ms IS NOT DISTINCT FROM $4",
        );
        let query = query.bind(i64::from(enabled)).bind(deletion_ms).bind(&key.id).bind(key.deletion_ms);
        if query.execute(&mut *tx).await.map_err(failed)?.rows_affected() == 0 {
            return Err(crate::in_use(format!("The state of {} has changed meanwhile.", key.arn)));
        }
        tx.commit().await.map_err(failed)
    }

    /// # Errors
    /// `NotFound`.
    pub async fn set_key_policy(&self, key: &KeyRow, policy: &str) -> Result<()> {
        let query = sqlx::query("UPDATE kms_key SET policy = $1 WHERE id = $2").bind(policy).bind(&key.id);
        self.change_one(query, || no_key(&key.arn)).await
    }

    /// # Errors
    /// `NotFound`.
    pub async fn set_key_description(&self, key: &KeyRow, description: &str) -> Result<()> {
        let query = sqlx::query("UPDATE kms_key SET description = $1 WHERE id = $2");
        self.change_one(query.bind(description).bind(&key.id), || no_key(&key.arn)).await
    }

    /// # Errors
    /// `AlreadyExists` with the alias's ARN, which is `arn`.
    pub async fn create_alias(&self, name: &str, key_id: &str, arn: &Arn) -> Result<()> {
        let now_ms = self.now_ms();
        let mut tx = self.write().await?;
        delete_due(&mut tx, now_ms).await?;
        let query = sqlx::query("INSERT INTO kms_alias VALUES ($1, $2, $3, $4)");
        let query = query.bind(name).bind(key_id).bind(now_ms).bind(now_ms);
        query.execute(&mut *tx).await.map_err(|cause| match &cause {
            sqlx::Error::Database(e) if e.is_unique_violation() => {
                let text = format!("An alias with the name {arn} already exists");
                Error::new(ErrorKind::AlreadyExists, text)
            }
            _ => failed(cause),
        })?;
        tx.commit().await.map_err(failed)
    }

    /// # Errors
    /// `NotFound`.
    pub async fn set_alias(&self, name: &str, key_id: &str, arn: &Arn) -> Result<()> {
        let query = sqlx::query("UPDATE kms_alias SET key_id = $1, updated_ms = $2 WHERE name = $3");
        self.change_one(query.bind(key_id).bind(self.now_ms()).bind(name), || no_alias(arn)).await
    }

    /// # Errors
    /// `NotFound`.
    pub async fn delete_alias(&self, name: &str, arn: &Arn) -> Result<()> {
        let query = sqlx::query("DELETE FROM kms_alias WHERE name = $1").bind(name);
        self.change_one(query, || no_alias(arn)).await
    }

    /// Up to `limit` aliases behind `after`, by name, of one key or of all.
    pub async fn aliases(&self, key_id: Option<&str>, after: &str, limit: i64) -> Result<Vec<AliasRow>> {
        let rows = sqlx::query(
            "SELECT kms_alias.* FROM kms_alias JOIN kms_key ON key_id = id
             WHERE name > $1 AND ($2 IS NULL OR key_id = $2) AND coalesce(deletion_ms > $4, TRUE)
             ORDER BY name LIMIT $3",
        )
        .bind(after)
        .bind(key_id)
        .bind(limit)
        .bind(self.now_ms())
        .fetch_all(self.pool())
        .await
        .map_err(failed)?;
        rows.iter().map(read_alias).collect()
    }

    async fn change_one<'q>(
        &self,
        query: sqlx::query::Query<'q, Any, AnyArguments>,
        missing: impl FnOnce() -> Error,
    ) -> Result<()> {
        let mut tx = self.write().await?;
        if query.execute(&mut *tx).await.map_err(failed)?.rows_affected() == 0 {
            return Err(missing());
        }
        tx.commit().await.map_err(failed)
    }

    /// Forgets the keys whose time is up, with their material, aliases and grants.
    pub(crate) async fn delete_due_keys(&self) -> Result<()> {
        let mut tx = self.write().await?;
        delete_due(&mut tx, self.now_ms()).await?;
        tx.commit().await.map_err(failed)
    }
}

async fn delete_due(tx: &mut Transaction<'static, Any>, now_ms: i64) -> Result<()> {
    for sql in [
        "DELETE FROM tag WHERE resource_arn IN (SELECT arn FROM kms_key WHERE deletion_ms <= $1)",
        "DELETE FROM kms_key WHERE deletion_ms <= $1",
    ] {
        sqlx::query(sql).bind(now_ms).execute(&mut **tx).await.map_err(failed)?;
    }
    Ok(())
}

fn no_key(arn: &Arn) -> Error {
    Error::new(ErrorKind::NotFound, format!("Key '{arn}' does not exist"))
}

fn no_alias(arn: &Arn) -> Error {
    Error::new(ErrorKind::NotFound, format!("Alias {arn} is not found."))
}

fn read(row: &AnyRow) -> Result<KeyRow> {
    Ok(KeyRow {
        id: row.try_get("id").map_err(failed)?,
        arn: stored_arn(row.try_get("arn").map_err(failed)?)?,
        description: row.try_get("description").map_err(failed)?,
        enabled: row.try_get::<i64, _>("enabled").map_err(failed)? != 0,
        deletion_ms: row.try_get("deletion_ms").map_err(failed)?,
        policy: row.try_get("policy").map_err(failed)?,
        material: row.try_get("material").map_err(failed)?,
        created_ms: row.try_get("created_ms").map_err(failed)?,
    })
}

fn read_alias(row: &AnyRow) -> Result<AliasRow> {
    Ok(AliasRow {
        name: row.try_get("name").map_err(failed)?,
        key_id: row.try_get("key_id").map_err(failed)?,
        created_ms: row.try_get("created_ms").map_err(failed)?,
        updated_ms: row.try_get("updated_ms").map_err(failed)?,
    })
}
