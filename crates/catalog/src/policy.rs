//! Managed policies, and the roles that they are attached to.

use model::error::{Error, Result};
use model::{Arn, ErrorKind};
use sqlx::sqlite::SqliteRow;
use sqlx::{Row, Sqlite, Transaction};

use crate::role::{Names, role_arn, taken};
use crate::{Catalog, failed, in_use, stored_arn};

pub(crate) const TABLES: &str = "
CREATE TABLE IF NOT EXISTS policy (
    arn TEXT PRIMARY KEY, id TEXT NOT NULL UNIQUE, name TEXT NOT NULL, path TEXT NOT NULL, document TEXT NOT NULL,
    description TEXT, tags TEXT NOT NULL, created_ms INTEGER NOT NULL
) STRICT;
CREATE UNIQUE INDEX IF NOT EXISTS policy_name ON policy (name COLLATE NOCASE);
CREATE TABLE IF NOT EXISTS attachment (
    role_arn TEXT NOT NULL REFERENCES role (arn), policy_arn TEXT NOT NULL REFERENCES policy (arn),
    PRIMARY KEY (role_arn, policy_arn)
) STRICT, WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS attachment_policy ON attachment (policy_arn);
";

/// A managed policy as it is created; it never changes, so its one version is `v1`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PolicyRow {
    pub arn: Arn,
    /// `ANPA…`, never given twice.
    pub id: String,
    pub name: String,
    pub path: String,
    /// Byte for byte as it was sent.
    pub document: String,
    pub description: Option<String>,
    pub tags: Vec<(String, String)>,
    pub created_ms: i64,
}

impl Catalog {
    /// # Errors
    /// `AlreadyExists` when the name is taken, in whatever case.
    pub async fn create_policy(&self, policy: &PolicyRow) -> Result<()> {
        let tags =
            serde_json::to_string(&policy.tags).map_err(|e| Error::internal("write tags").caused_by(e))?;
        let text =
            || format!("A policy called {} already exists. Duplicate names are not allowed.", policy.name);
        let mut tx = self.write().await?;
        sqlx::query("INSERT INTO policy VALUES (?, ?, ?, ?, ?, ?, ?, ?)")
            .bind(policy.arn.as_str())
            .bind(&policy.id)
            .bind(&policy.name)
            .bind(&policy.path)
            .bind(&policy.document)
            .bind(&policy.description)
            .bind(tags)
            .bind(policy.created_ms)
            .execute(&mut *tx)
            .await
            .map_err(taken(text))?;
        tx.commit().await.map_err(failed)
    }

    /// A policy, and to how many roles it is attached.
    pub async fn policy(&self, arn: &str) -> Result<Option<(PolicyRow, i64)>> {
        let query = sqlx::query(
            "SELECT *, (SELECT count(*) FROM attachment WHERE policy_arn = policy.arn) AS attachments
             FROM policy WHERE arn = ?",
        );
        query.bind(arn).fetch_optional(self.pool()).await.map_err(failed)?.as_ref().map(read).transpose()
    }

    /// Policies, each with how many roles it is attached to; of all, or of those attached to any.
    pub async fn policies(&self, only_attached: bool, page: Names<'_>) -> Result<Vec<(PolicyRow, i64)>> {
        let rows = sqlx::query(
            "SELECT *, (SELECT count(*) FROM attachment WHERE policy_arn = policy.arn) AS attachments FROM policy
             WHERE name > ?1 AND substr(path, 1, length(?2)) = ?2
             AND (NOT ?4 OR EXISTS (SELECT 1 FROM attachment WHERE policy_arn = policy.arn)) ORDER BY name LIMIT ?3",
        )
        .bind(page.after)
        .bind(page.path_prefix)
        .bind(page.limit)
        .bind(only_attached)
        .fetch_all(self.pool())
        .await
        .map_err(failed)?;
        rows.iter().map(read).collect()
    }

    /// # Errors
    /// `NotFound`; `InUse` while it is attached to a role.
    pub async fn delete_policy(&self, arn: &str) -> Result<()> {
        let mut tx = self.write().await?;
        must_exist(&mut tx, arn).await?;
        let held: i64 = sqlx::query_scalar("SELECT count(*) FROM attachment WHERE policy_arn = ?")
            .bind(arn)
            .fetch_one(&mut *tx)
            .await
            .map_err(failed)?;
        if held > 0 {
            return Err(in_use("Cannot delete a policy attached to entities."));
        }
        sqlx::query("DELETE FROM policy WHERE arn = ?").bind(arn).execute(&mut *tx).await.map_err(failed)?;
        tx.commit().await.map_err(failed)
    }

    /// Attaches a policy to a role; one that is attached stays so.
    ///
    /// # Errors
    /// `NotFound` when there is no such role or policy.
    pub async fn attach_policy(&self, role: &str, policy_arn: &str) -> Result<()> {
        let mut tx = self.write().await?;
        let arn = role_arn(&mut tx, role).await?;
        must_exist(&mut tx, policy_arn).await?;
        let query = sqlx::query("INSERT OR IGNORE INTO attachment VALUES (?, ?)").bind(arn).bind(policy_arn);
        query.execute(&mut *tx).await.map_err(failed)?;
        tx.commit().await.map_err(failed)
    }

    /// # Errors
    /// `NotFound` when there is no such role, or the policy is not attached to it.
    pub async fn detach_policy(&self, role: &str, policy_arn: &str) -> Result<()> {
        let mut tx = self.write().await?;
        let arn = role_arn(&mut tx, role).await?;
        let query = sqlx::query("DELETE FROM attachment WHERE role_arn = ? AND policy_arn = ?");
        let done = query.bind(arn).bind(policy_arn).execute(&mut *tx).await.map_err(failed)?;
        if done.rows_affected() == 0 {
            return Err(Error::new(ErrorKind::NotFound, format!("Policy {policy_arn} was not found.")));
        }
        tx.commit().await.map_err(failed)
    }

    /// The names and ARNs of the policies that are attached to a role.
    ///
    /// # Errors
    /// `NotFound`.
    pub async fn attached_policies(&self, role: &str, page: Names<'_>) -> Result<Vec<(String, String)>> {
        let mut tx = self.pool().begin().await.map_err(failed)?;
        let arn = role_arn(&mut tx, role).await?;
        let query = sqlx::query_as(
            "SELECT name, arn FROM policy JOIN attachment ON policy_arn = arn
             WHERE role_arn = ?4 AND name > ?1 AND substr(path, 1, length(?2)) = ?2 ORDER BY name LIMIT ?3",
        );
        let query = query.bind(page.after).bind(page.path_prefix).bind(page.limit).bind(arn);
        query.fetch_all(&mut *tx).await.map_err(failed)
    }

    /// The names and ids of the roles that a policy is attached to; the path prefix is the roles'.
    ///
    /// # Errors
    /// `NotFound`.
    pub async fn policy_roles(&self, policy_arn: &str, page: Names<'_>) -> Result<Vec<(String, String)>> {
        let mut tx = self.pool().begin().await.map_err(failed)?;
        must_exist(&mut tx, policy_arn).await?;
        let query = sqlx::query_as(
            "SELECT name, id FROM role JOIN attachment ON role_arn = arn
             WHERE policy_arn = ?4 AND name > ?1 AND substr(path, 1, length(?2)) = ?2 ORDER BY name LIMIT ?3",
        );
        let query = query.bind(page.after).bind(page.path_prefix).bind(page.limit).bind(policy_arn);
        query.fetch_all(&mut *tx).await.map_err(failed)
    }
}

async fn must_exist(tx: &mut Transaction<'static, Sqlite>, arn: &str) -> Result<()> {
    let query = sqlx::query_scalar::<_, i64>("SELECT 1 FROM policy WHERE arn = ?").bind(arn);
    let found = query.fetch_optional(&mut **tx).await.map_err(failed)?;
    let text = || format!("Policy {arn} does not exist or is not attachable.");
    found.map(drop).ok_or_else(|| Error::new(ErrorKind::NotFound, text()))
}

fn read(row: &SqliteRow) -> Result<(PolicyRow, i64)> {
    let tags: &str = row.try_get("tags").map_err(failed)?;
    let policy = PolicyRow {
        arn: stored_arn(row.try_get("arn").map_err(failed)?)?,
        id: row.try_get("id").map_err(failed)?,
        name: row.try_get("name").map_err(failed)?,
        path: row.try_get("path").map_err(failed)?,
        document: row.try_get("document").map_err(failed)?,
        description: row.try_get("description").map_err(failed)?,
        tags: serde_json::from_str(tags)
            .map_err(|e| Error::corrupt("a policy's tags can't be read").caused_by(e))?,
        created_ms: row.try_get("created_ms").map_err(failed)?,
    };
    Ok((policy, row.try_get("attachments").map_err(failed)?))
}
