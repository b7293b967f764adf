//! Roles: who may assume them, and what is kept of them.

use model::error::{Error, Result};
use model::{Arn, ErrorKind};
use sqlx::any::AnyRow;
use sqlx::{Any, Row};

use crate::{Catalog, Transaction, failed, in_use, stored_arn};

// Two names of one kind that differ only in case are one name to IAM when it creates, but not when it looks up.
pub(crate) const TABLES: &str = "
CREATE TABLE IF NOT EXISTS role (
    arn TEXT PRIMARY KEY, id TEXT NOT NULL UNIQUE, name TEXT NOT NULL, path TEXT NOT NULL, trust_policy TEXT NOT NULL,
    description TEXT, max_session_s INTEGER NOT NULL, tags TEXT NOT NULL, created_ms INTEGER NOT NULL
) STRICT;
CREATE UNIQUE INDEX IF NOT EXISTS role_name ON role (name COLLATE NOCASE);
";

/// A role as it is created and kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RoleRow {
    pub arn: Arn,
    /// `AROA…`, never given twice.
    pub id: String,
    pub name: String,
    pub path: String,
    /// Who may assume it, byte for byte as it was sent.
    pub trust_policy: String,
    pub description: Option<String>,
    pub max_session_s: i64,
    pub tags: Vec<(String, String)>,
    pub created_ms: i64,
}

/// One page of a list that is ordered by name.
#[derive(Clone, Copy, Debug)]
pub struct Names<'a> {
    /// Only what has a path that begins so.
    pub path_prefix: &'a str,
    /// The last name of the page before; empty for the first page.
    pub after: &'a str,
    /// The most rows to return; one more than shown tells whether another page follows.
    pub limit: i64,
}

impl Catalog {
    /// # Errors
    /// `AlreadyExists` when the name is taken, in whatever case.
    pub async fn create_role(&self, role: &RoleRow) -> Result<()> {
        let tags =
            serde_json::to_string(&role.tags).map_err(|e| Error::internal("write tags").caused_by(e))?;
        let mut tx = self.write().await?;
        sqlx::query("INSERT INTO role VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)")
            .bind(role.arn.as_str())
            .bind(&role.id)
            .bind(&role.name)
            .bind(&role.path)
            .bind(&role.trust_policy)
            .bind(&role.description)
            .bind(role.max_session_s)
            .bind(tags)
            .bind(role.created_ms)
            .execute(&mut *tx)
            .await
            .map_err(taken(|| format!("Role with name {} already exists.", role.name)))?;
        self.commit_identity(tx).await
    }

    pub async fn role(&self, name: &str) -> Result<Option<RoleRow>> {
        let query = sqlx::query("SELECT * FROM role WHERE name = $1").bind(name);
        query.fetch_optional(self.pool()).await.map_err(failed)?.as_ref().map(read).transpose()
    }

    pub async fn role_by_arn(&self, arn: &Arn) -> Result<Option<RoleRow>> {
        let query = sqlx::query("SELECT * FROM role WHERE arn = $1").bind(arn.as_str());
        query.fetch_optional(self.pool()).await.map_err(failed)?.as_ref().map(read).transpose()
    }

    pub async fn roles(&self, page: Names<'_>) -> Result<Vec<RoleRow>> {
        let rows = sqlx::query(
            "SELECT * FROM role WHERE name > $1 AND substr(path, 1, length($2)) = $2 ORDER BY name LIMIT $3",
        )
        .bind(page.after)
        .bind(page.path_prefix)
        .bind(page.limit)
        .fetch_all(self.pool())
        .await
        .map_err(failed)?;
        rows.iter().map(read).collect()
    }

    /// # Errors
    /// `NotFound`; `InUse` while it has policies, written into it or attached.
    pub async fn delete_role(&self, name: &str) -> Result<()> {
        let mut tx = self.write().await?;
        let arn = role_arn(&mut tx, name).await?;
        for (table, text) in [
            ("role_policy", "Cannot delete entity, must delete policies first."),
            ("attachment", "Cannot delete entity, must detach all policies first."),
        ] {
            let query = sqlx::AssertSqlSafe(format!("SELECT count(*) FROM {table} WHERE role_arn = $1"));
            let held: i64 = sqlx::query_scalar(query).bind(&arn).fetch_one(&mut *tx).await.map_err(failed)?;
            if held > 0 {
                return Err(in_use(text));
            }
        }
        sqlx::query("DELETE FROM role WHERE arn = $1").bind(&arn).execute(&mut *tx).await.map_err(failed)?;
        self.commit_identity(tx).await
    }

    /// Replaces who may assume the role.
    ///
    /// # Errors
    /// `NotFound`.
    pub async fn set_trust_policy(&self, name: &str, document: &str) -> Result<()> {
        let mut tx = self.write().await?;
        let arn = role_arn(&mut tx, name).await?;
        let query = sqlx::query("UPDATE role SET trust_policy = $1 WHERE arn = $2").bind(document).bind(arn);
        query.execute(&mut *tx).await.map_err(failed)?;
        self.commit_identity(tx).await
    }

    /// Changes what a role says of itself; what is `None` stays.
    ///
    /// # Errors
    /// `NotFound`.
    pub async fn update_role(
        &self,
        name: &str,
        description: Option<&str>,
        max_session_s: Option<i64>,
    ) -> Result<()> {
        let mut tx = self.write().await?;
        let arn = role_arn(&mut tx, name).await?;
        let query = sqlx::query(
            "UPDATE role SET description = coalesce($1, description), max_session_s = coalesce($2, max_session_s) WHERE arn = $3",
        );
        query.bind(description).bind(max_session_s).bind(arn).execute(&mut *tx).await.map_err(failed)?;
        self.commit_identity(tx).await
    }
}

/// The ARN of a role, within a transaction.
async fn role_arn(tx: &mut Transaction<'static, Any>, name: &str) -> Result<String> {
    let query = sqlx::query_scalar("SELECT arn FROM role WHERE name = $1").bind(name);
    query.fetch_optional(&mut **tx).await.map_err(failed)?.ok_or_else(|| no_role(name))
}

/// A failure to insert: a taken name is told apart from a database that failed.
pub(crate) fn taken(text: impl FnOnce() -> String) -> impl FnOnce(sqlx::Error) -> Error {
    move |cause| match &cause {
        sqlx::Error::Database(e) if e.is_unique_violation() => Error::new(ErrorKind::AlreadyExists, text()),
        _ => failed(cause),
    }
}

fn no_role(name: &str) -> Error {
    Error::new(ErrorKind::NotFound, format!("The role with name {name} cannot be found."))
}

fn read(row: &AnyRow) -> Result<RoleRow> {
    let tags: &str = row.try_get("tags").map_err(failed)?;
    Ok(RoleRow {
        arn: stored_arn(row.try_get("arn").map_err(failed)?)?,
        id: row.try_get("id").map_err(failed)?,
        name: row.try_get("name").map_err(failed)?,
        path: row.try_get("path").map_err(failed)?,
        trust_policy: row.try_get("trust_policy").map_err(failed)?,
        description: row.try_get("description").map_err(failed)?,
        max_session_s: row.try_get("max_session_s").map_err(failed)?,
        tags: serde_json::from_str(tags)
            .map_err(|e| Error::corrupt("a role's tags can't be read").caused_by(e))?,
        created_ms: row.try_get("created_ms").map_err(failed)?,
    })
}
