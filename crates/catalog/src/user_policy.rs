//! The policies of users: those that are written into a user, and those that are attached to it.

use model::error::{Error, Result};
use model::{Arn, ErrorKind};

use crate::policy::{must_exist, not_attached};
use crate::role::Names;
use crate::user::user_in;
use crate::{Catalog, failed};

pub(crate) const TABLES: &str = "
CREATE TABLE IF NOT EXISTS user_policy (
    user_arn TEXT NOT NULL REFERENCES user (arn), name TEXT NOT NULL, document TEXT NOT NULL,
    PRIMARY KEY (user_arn, name)
) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS user_attachment (
    user_arn TEXT NOT NULL REFERENCES user (arn), policy_arn TEXT NOT NULL REFERENCES policy (arn),
    PRIMARY KEY (user_arn, policy_arn)
) STRICT, WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS user_attachment_policy ON user_attachment (policy_arn);
";

impl Catalog {
    /// Writes a policy into a user, replacing one of the same name.
    ///
    /// # Errors
    /// `NotFound` when there is no such user; `LimitExceeded` when all policies written into the user would
    /// together have more than `size_max` characters, white space not counted.
    pub async fn put_user_policy(
        &self,
        user: &str,
        name: &str,
        document: &str,
        size_max: usize,
    ) -> Result<()> {
        let mut tx = self.write().await?;
        let arn = user_in(&mut tx, user).await?.arn;
        let query = sqlx::query("INSERT OR REPLACE INTO user_policy VALUES (?, ?, ?)");
        query.bind(arn.as_str()).bind(name).bind(document).execute(&mut *tx).await.map_err(failed)?;
        let all: Vec<String> = sqlx::query_scalar("SELECT document FROM user_policy WHERE user_arn = ?")
            .bind(arn.as_str())
            .fetch_all(&mut *tx)
            .await
            .map_err(failed)?;
        let size: usize = all.iter().map(|text| text.chars().filter(|c| !c.is_whitespace()).count()).sum();
        if size > size_max {
            let text = format!("Maximum policy size of {size_max} bytes exceeded for user {user}");
            return Err(Error::new(ErrorKind::LimitExceeded, text));
        }
        self.commit_identity(tx).await
    }

    /// The text of a policy that was written into a user.
    ///
    /// # Errors
    /// `NotFound` when there is no such user, or it has no such policy.
    pub async fn user_policy(&self, user: &str, name: &str) -> Result<String> {
        let mut tx = self.pool().begin().await.map_err(failed)?;
        let arn = user_in(&mut tx, user).await?.arn;
        let query = sqlx::query_scalar("SELECT document FROM user_policy WHERE user_arn = ? AND name = ?");
        let query = query.bind(arn.as_str()).bind(name);
        query.fetch_optional(&mut *tx).await.map_err(failed)?.ok_or_else(|| no_user_policy(name))
    }

    /// The names of the policies that are written into a user.
    ///
    /// # Errors
    /// `NotFound`.
    pub async fn user_policies(&self, user: &str, page: Names<'_>) -> Result<Vec<String>> {
        let mut tx = self.pool().begin().await.map_err(failed)?;
        let arn = user_in(&mut tx, user).await?.arn;
        let query = sqlx::query_scalar(
            "SELECT name FROM user_policy WHERE user_arn = ? AND name > ? ORDER BY name LIMIT ?",
        );
        let query = query.bind(arn.as_str()).bind(page.after).bind(page.limit);
        query.fetch_all(&mut *tx).await.map_err(failed)
    }

    /// # Errors
    /// `NotFound` when there is no such user, or it has no such policy.
    pub async fn delete_user_policy(&self, user: &str, name: &str) -> Result<()> {
        let mut tx = self.write().await?;
        let arn = user_in(&mut tx, user).await?.arn;
        let query = sqlx::query("DELETE FROM user_policy WHERE user_arn = ? AND name = ?");
        let query = query.bind(arn.as_str()).bind(name);
        if query.execute(&mut *tx).await.map_err(failed)?.rows_affected() == 0 {
            return Err(no_user_policy(name));
        }
        self.commit_identity(tx).await
    }

    /// Attaches a policy to a user; one that is attached stays so.
    ///
    /// # Errors
    /// `NotFound` when there is no such user or policy.
    pub async fn attach_user_policy(&self, user: &str, policy_arn: &str) -> Result<()> {
        let mut tx = self.write().await?;
        let arn = user_in(&mut tx, user).await?.arn;
        must_exist(&mut tx, policy_arn).await?;
        let query = sqlx::query("INSERT OR IGNORE INTO user_attachment VALUES (?, ?)");
        query.bind(arn.as_str()).bind(policy_arn).execute(&mut *tx).await.map_err(failed)?;
        self.commit_identity(tx).await
    }

    /// # Errors
    /// `NotFound` when there is no such user, or the policy is not attached to it.
    pub async fn detach_user_policy(&self, user: &str, policy_arn: &str) -> Result<()> {
        let mut tx = self.write().await?;
        let arn = user_in(&mut tx, user).await?.arn;
        let query = sqlx::query("DELETE FROM user_attachment WHERE user_arn = ? AND policy_arn = ?");
        let done = query.bind(arn.as_str()).bind(policy_arn).execute(&mut *tx).await.map_err(failed)?;
        if done.rows_affected() == 0 {
            return Err(not_attached(policy_arn));
        }
        self.commit_identity(tx).await
    }

    /// The names and ARNs of the policies that are attached to a user.
    ///
    /// # Errors
    /// `NotFound`.
    pub async fn attached_user_policies(&self, user: &str, page: Names<'_>) -> Result<Vec<(String, String)>> {
        let mut tx = self.pool().begin().await.map_err(failed)?;
        let arn = user_in(&mut tx, user).await?.arn;
        let query = sqlx::query_as(
            "SELECT name, arn FROM policy JOIN user_attachment ON policy_arn = arn
             WHERE user_arn = ?4 AND name > ?1 AND substr(path, 1, length(?2)) = ?2 ORDER BY name LIMIT ?3",
        );
        let query = query.bind(page.after).bind(page.path_prefix).bind(page.limit).bind(arn.as_str());
        query.fetch_all(&mut *tx).await.map_err(failed)
    }

    /// The texts of all policies that say what a user or a role may do, written into it or attached; a
    /// user has those of its groups, too. Of a group or a managed policy, its own.
    pub async fn identity_documents(&self, arn: &Arn) -> Result<Vec<String>> {
        let query = sqlx::query_scalar(
            "SELECT document FROM role_policy WHERE role_arn = ?1
             UNION ALL SELECT document FROM user_policy WHERE user_arn = ?1
             UNION ALL SELECT document FROM policy JOIN attachment ON policy.arn = policy_arn WHERE role_arn = ?1
             UNION ALL SELECT document FROM policy JOIN user_attachment ON policy.arn = policy_arn WHERE user_arn = ?1
             UNION ALL SELECT document FROM group_policy JOIN group_member USING (group_arn) WHERE user_arn = ?1
             UNION ALL SELECT document FROM policy JOIN group_attachment ON policy.arn = policy_arn
             JOIN group_member USING (group_arn) WHERE user_arn = ?1
             UNION ALL SELECT document FROM group_policy WHERE group_arn = ?1
             UNION ALL SELECT document FROM policy JOIN group_attachment ON policy.arn = policy_arn
             WHERE group_arn = ?1
             UNION ALL SELECT document FROM policy WHERE arn = ?1",
        );
        query.bind(arn.as_str()).fetch_all(self.pool()).await.map_err(failed)
    }
}

fn no_user_policy(name: &str) -> Error {
    Error::new(ErrorKind::NotFound, format!("The user policy with name {name} cannot be found."))
}
