//! The policies of groups: those that are written into a group, and those that are attached to it.

use model::ErrorKind;
use model::error::{Error, Result};

use crate::group::group_in;
use crate::policy::{must_exist, not_attached};
use crate::role::Names;
use crate::{Catalog, failed};

pub(crate) const TABLES: &str = "
CREATE TABLE IF NOT EXISTS group_policy (
    group_arn TEXT NOT NULL REFERENCES user_group (arn), name TEXT NOT NULL, document TEXT NOT NULL,
    PRIMARY KEY (group_arn, name)
) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS group_attachment (
    group_arn TEXT NOT NULL REFERENCES user_group (arn), policy_arn TEXT NOT NULL REFERENCES policy (arn),
    PRIMARY KEY (group_arn, policy_arn)
) STRICT, WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS group_attachment_policy ON group_attachment (policy_arn);
CREATE VIEW IF NOT EXISTS all_attachments AS
    SELECT policy_arn FROM attachment UNION ALL SELECT policy_arn FROM user_attachment
    UNION ALL SELECT policy_arn FROM group_attachment;
";

impl Catalog {
    /// Writes a policy into a group, replacing one of the same name.
    ///
    /// # Errors
    /// `NotFound` when there is no such group; `LimitExceeded` when all policies written into the group would
    /// together have more than `size_max` characters, white space not counted.
    pub async fn put_group_policy(
        &self,
        group: &str,
        name: &str,
        document: &str,
        size_max: usize,
    ) -> Result<()> {
        let mut tx = self.write().await?;
        let arn = group_in(&mut tx, group).await?.arn;
        let query = sqlx::query("INSERT OR REPLACE INTO group_policy VALUES (?, ?, ?)");
        query.bind(arn.as_str()).bind(name).bind(document).execute(&mut *tx).await.map_err(failed)?;
        let all: Vec<String> = sqlx::query_scalar("SELECT document FROM group_policy WHERE group_arn = ?")
            .bind(arn.as_str())
            .fetch_all(&mut *tx)
            .await
            .map_err(failed)?;
        let size: usize = all.iter().map(|text| text.chars().filter(|c| !c.is_whitespace()).count()).sum();
        if size > size_max {
            let text = format!("Maximum policy size of {size_max} bytes exceeded for group {group}");
            return Err(Error::new(ErrorKind::LimitExceeded, text));
        }
        self.commit_identity(tx).await
    }

    /// The text of a policy that was written into a group.
    ///
    /// # Errors
    /// `NotFound` when there is no such group, or it has no such policy.
    pub async fn group_policy(&self, group: &str, name: &str) -> Result<String> {
        let mut tx = self.pool().begin().await.map_err(failed)?;
        let arn = group_in(&mut tx, group).await?.arn;
        let query = sqlx::query_scalar("SELECT document FROM group_policy WHERE group_arn = ? AND name = ?");
        let query = query.bind(arn.as_str()).bind(name);
        query.fetch_optional(&mut *tx).await.map_err(failed)?.ok_or_else(|| no_group_policy(name))
    }

    /// The names of the policies that are written into a group.
    ///
    /// # Errors
    /// `NotFound`.
    pub async fn group_policies(&self, group: &str, page: Names<'_>) -> Result<Vec<String>> {
        let mut tx = self.pool().begin().await.map_err(failed)?;
        let arn = group_in(&mut tx, group).await?.arn;
        let query = sqlx::query_scalar(
            "SELECT name FROM group_policy WHERE group_arn = ? AND name > ? ORDER BY name LIMIT ?",
        );
        let query = query.bind(arn.as_str()).bind(page.after).bind(page.limit);
        query.fetch_all(&mut *tx).await.map_err(failed)
    }

    /// # Errors
    /// `NotFound` when there is no such group, or it has no such policy.
    pub async fn delete_group_policy(&self, group: &str, name: &str) -> Result<()> {
        let mut tx = self.write().await?;
        let arn = group_in(&mut tx, group).await?.arn;
        let query = sqlx::query("DELETE FROM group_policy WHERE group_arn = ? AND name = ?");
        let query = query.bind(arn.as_str()).bind(name);
        if query.execute(&mut *tx).await.map_err(failed)?.rows_affected() == 0 {
            return Err(no_group_policy(name));
        }
        self.commit_identity(tx).await
    }

    /// Attaches a policy to a group; one that is attached stays so.
    ///
    /// # Errors
    /// `NotFound` when there is no such group or policy.
    pub async fn attach_group_policy(&self, group: &str, policy_arn: &str) -> Result<()> {
        let mut tx = self.write().await?;
        let arn = group_in(&mut tx, group).await?.arn;
        must_exist(&mut tx, policy_arn).await?;
        let query = sqlx::query("INSERT OR IGNORE INTO group_attachment VALUES (?, ?)");
        query.bind(arn.as_str()).bind(policy_arn).execute(&mut *tx).await.map_err(failed)?;
        self.commit_identity(tx).await
    }

    /// # Errors
    /// `NotFound` when there is no such group, or the policy is not attached to it.
    pub async fn detach_group_policy(&self, group: &str, policy_arn: &str) -> Result<()> {
        let mut tx = self.write().await?;
        let arn = group_in(&mut tx, group).await?.arn;
        let query = sqlx::query("DELETE FROM group_attachment WHERE group_arn = ? AND policy_arn = ?");
        let done = query.bind(arn.as_str()).bind(policy_arn).execute(&mut *tx).await.map_err(failed)?;
        if done.rows_affected() == 0 {
            return Err(not_attached(policy_arn));
        }
        self.commit_identity(tx).await
    }

    /// The names and ARNs of the policies that are attached to a group.
    ///
    /// # Errors
    /// `NotFound`.
    pub async fn attached_group_policies(
        &self,
        group: &str,
        page: Names<'_>,
    ) -> Result<Vec<(String, String)>> {
        let mut tx = self.pool().begin().await.map_err(failed)?;
        let arn = group_in(&mut tx, group).await?.arn;
        let query = sqlx::query_as(
            "SELECT name, arn FROM policy JOIN group_attachment ON policy_arn = arn
             WHERE group_arn = ?4 AND name > ?1 AND substr(path, 1, length(?2)) = ?2 ORDER BY name LIMIT ?3",
        );
        let query = query.bind(page.after).bind(page.path_prefix).bind(page.limit).bind(arn.as_str());
        query.fetch_all(&mut *tx).await.map_err(failed)
    }
}

fn no_group_policy(name: &str) -> Error {
    Error::new(ErrorKind::NotFound, format!("The group policy with name {name} cannot be found."))
}
