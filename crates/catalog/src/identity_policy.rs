//! The policies of users, groups and roles: those that are written into one, and those that are attached to it.

use model::error::{Error, Result};
use model::{Arn, ErrorKind};
use sqlx::{Any, AssertSqlSafe};

use crate::policy::must_exist;
use crate::role::Names;
use crate::{Catalog, Transaction, failed};

pub(crate) const TABLES: &str = "
CREATE TABLE IF NOT EXISTS user_policy (
    user_arn TEXT NOT NULL REFERENCES \"user\" (arn), name TEXT NOT NULL, document TEXT NOT NULL,
    PRIMARY KEY (user_arn, name)
) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS user_attachment (
    user_arn TEXT NOT NULL REFERENCES \"user\" (arn), policy_arn TEXT NOT NULL REFERENCES policy (arn),
    PRIMARY KEY (user_arn, policy_arn)
) STRICT, WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS user_attachment_policy ON user_attachment (policy_arn);
CREATE TABLE IF NOT EXISTS group_policy (
    group_arn TEXT NOT NULL REFERENCES user_group (arn), name TEXT NOT NULL, document TEXT NOT NULL,
    PRIMARY KEY (group_arn, name)
) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS group_attachment (
    group_arn TEXT NOT NULL REFERENCES user_group (arn), policy_arn TEXT NOT NULL REFERENCES policy (arn),
    PRIMARY KEY (group_arn, policy_arn)
) STRICT, WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS group_attachment_policy ON group_attachment (policy_arn);
CREATE TABLE IF NOT EXISTS role_policy (
    role_arn TEXT NOT NULL REFERENCES role (arn), name TEXT NOT NULL, document TEXT NOT NULL,
    PRIMARY KEY (role_arn, name)
) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS attachment (
    role_arn TEXT NOT NULL REFERENCES role (arn), policy_arn TEXT NOT NULL REFERENCES policy (arn),
    PRIMARY KEY (role_arn, policy_arn)
) STRICT, WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS attachment_policy ON attachment (policy_arn);
CREATE VIEW IF NOT EXISTS all_attachments AS
    SELECT policy_arn FROM attachment UNION ALL SELECT policy_arn FROM user_attachment
    UNION ALL SELECT policy_arn FROM group_attachment;
";

/// Whose policies they are, by name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Identity<'a> {
    User(&'a str),
    Group(&'a str),
    Role(&'a str),
}

/// Where the rows of one kind lie.
struct Place {
    table: &'static str,
    /// The column of both tables below that names the identity.
    owner: &'static str,
    policies: &'static str,
    attachments: &'static str,
}

impl<'a> Identity<'a> {
    pub fn name(self) -> &'a str {
        match self {
            Identity::User(name) | Identity::Group(name) | Identity::Role(name) => name,
        }
    }

    fn noun(self) -> &'static str {
        match self {
            Identity::User(_) => "user",
            Identity::Group(_) => "group",
            Identity::Role(_) => "role",
        }
    }

    fn place(self) -> Place {
        let (table, owner, policies, attachments) = match self {
            Identity::User(_) => ("\"user\"", "user_arn", "user_policy", "user_attachment"),
            Identity::Group(_) => ("user_group", "group_arn", "group_policy", "group_attachment"),
            Identity::Role(_) => ("role", "role_arn", "role_policy", "attachment"),
        };
        Place { table, owner, policies, attachments }
    }

    /// The ARN of what bears the name, within a transaction.
    async fn arn(self, tx: &mut Transaction<'static, Any>) -> Result<String> {
        let Place { table, .. } = self.place();
        let query = sqlx::query_scalar(safe(format!("SELECT arn FROM {table} WHERE name = $1")));
        let found = query.bind(self.name()).fetch_optional(&mut **tx).await.map_err(failed)?;
        found.ok_or_else(|| {
            not_found(format!("The {} with name {} cannot be found.", self.noun(), self.name()))
        })
    }

    fn no_policy(self, name: &str) -> Error {
        not_found(format!("The {} policy with name {name} cannot be found.", self.noun()))
    }
}

impl Catalog {
    /// Writes a policy into a user, group or role, replacing one of the same name.
    ///
    /// # Errors
    /// `NotFound` when there is none of this name; `LimitExceeded` when all policies written into it would together have
    /// more than `size_max` characters, white space not counted.
    pub async fn put_identity_policy(
        &self,
        of: Identity<'_>,
        name: &str,
        document: &str,
        size_max: usize,
    ) -> Result<()> {
        let Place { policies, owner, .. } = of.place();
        let mut tx = self.write().await?;
        let arn = of.arn(&mut tx).await?;
        let put = safe(format!(
            "INSERT INTO {policies} VALUES ($1, $2, $3)
             ON CONFLICT ({owner}, name) DO UPDATE SET document = excluded.document"
        ));
        sqlx::query(put).bind(&arn).bind(name).bind(document).execute(&mut *tx).await.map_err(failed)?;
        let all = safe(format!("SELECT document FROM {policies} WHERE {owner} = $1"));
        let all: Vec<String> =
            sqlx::query_scalar(all).bind(&arn).fetch_all(&mut *tx).await.map_err(failed)?;
        let size: usize = all.iter().map(|text| text.chars().filter(|c| !c.is_whitespace()).count()).sum();
        if size > size_max {
            let (noun, name) = (of.noun(), of.name());
            let text = format!("Maximum policy size of {size_max} bytes exceeded for {noun} {name}");
            return Err(Error::new(ErrorKind::LimitExceeded, text));
        }
        self.commit_identity(tx).await
    }

    /// The text of a policy that was written into a user, group or role.
    ///
    /// # Errors
    /// `NotFound` when there is none of this name, or it has no such policy.
    pub async fn identity_policy(&self, of: Identity<'_>, name: &str) -> Result<String> {
        let Place { policies, owner, .. } = of.place();
        let mut tx = self.read().await?;
        let arn = of.arn(&mut tx).await?;
        let query = safe(format!("SELECT document FROM {policies} WHERE {owner} = $1 AND name = $2"));
        let query = sqlx::query_scalar(query).bind(arn).bind(name);
        query.fetch_optional(&mut *tx).await.map_err(failed)?.ok_or_else(|| of.no_policy(name))
    }

    /// The names of the policies that are written into a user, group or role.
    ///
    /// # Errors
    /// `NotFound`.
    pub async fn identity_policies(&self, of: Identity<'_>, page: Names<'_>) -> Result<Vec<String>> {
        let Place { policies, owner, .. } = of.place();
        let mut tx = self.read().await?;
        let arn = of.arn(&mut tx).await?;
        let query = safe(format!(
            "SELECT name FROM {policies} WHERE {owner} = $1 AND name > $2 ORDER BY name LIMIT $3"
        ));
        let query = sqlx::query_scalar(query).bind(arn).bind(page.after).bind(page.limit);
        query.fetch_all(&mut *tx).await.map_err(failed)
    }

    /// # Errors
    /// `NotFound` when there is none of this name, or it has no such policy.
    pub async fn delete_identity_policy(&self, of: Identity<'_>, name: &str) -> Result<()> {
        let Place { policies, owner, .. } = of.place();
        let mut tx = self.write().await?;
        let arn = of.arn(&mut tx).await?;
        let query = safe(format!("DELETE FROM {policies} WHERE {owner} = $1 AND name = $2"));
        let done = sqlx::query(query).bind(arn).bind(name).execute(&mut *tx).await.map_err(failed)?;
        if done.rows_affected() == 0 {
            return Err(of.no_policy(name));
        }
        self.commit_identity(tx).await
    }

    /// Attaches a policy to a user, group or role; one that is attached stays so.
    ///
    /// # Errors
    /// `NotFound` when there is none of this name, or no such policy.
    pub async fn attach_policy(&self, to: Identity<'_>, policy_arn: &str) -> Result<()> {
        let Place { attachments, .. } = to.place();
        let mut tx = self.write().await?;
        let arn = to.arn(&mut tx).await?;
        must_exist(&mut tx, policy_arn).await?;
        let query = safe(format!("INSERT INTO {attachments} VALUES ($1, $2) ON CONFLICT DO NOTHING"));
        sqlx::query(query).bind(arn).bind(policy_arn).execute(&mut *tx).await.map_err(failed)?;
        self.commit_identity(tx).await
    }

    /// # Errors
    /// `NotFound` when there is none of this name, or the policy is not attached to it.
    pub async fn detach_policy(&self, from: Identity<'_>, policy_arn: &str) -> Result<()> {
        let Place { attachments, owner, .. } = from.place();
        let mut tx = self.write().await?;
        let arn = from.arn(&mut tx).await?;
        let query = safe(format!("DELETE FROM {attachments} WHERE {owner} = $1 AND policy_arn = $2"));
        let done = sqlx::query(query).bind(arn).bind(policy_arn).execute(&mut *tx).await.map_err(failed)?;
        if done.rows_affected() == 0 {
            return Err(not_found(format!("Policy {policy_arn} was not found.")));
        }
        self.commit_identity(tx).await
    }

    /// The names and ARNs of the policies that are attached to a user, group or role.
    ///
    /// # Errors
    /// `NotFound`.
    pub async fn attached_policies(
        &self,
        to: Identity<'_>,
        page: Names<'_>,
    ) -> Result<Vec<(String, String)>> {
        let Place { attachments, owner, .. } = to.place();
        let mut tx = self.read().await?;
        let arn = to.arn(&mut tx).await?;
        let query = safe(format!(
            "SELECT name, arn FROM policy JOIN {attachments} ON policy_arn = arn
             WHERE {owner} = $4 AND name > $1 AND substr(path, 1, length($2)) = $2 ORDER BY name LIMIT $3"
        ));
        let query = sqlx::query_as(query).bind(page.after).bind(page.path_prefix).bind(page.limit).bind(arn);
        query.fetch_all(&mut *tx).await.map_err(failed)
    }

    /// The texts of all policies that say what a user or a role may do, written into it or attached; a
    /// user has those of its groups, too. Of a group or a managed policy, its own.
    pub async fn identity_documents(&self, arn: &Arn) -> Result<Vec<String>> {
        let query = sqlx::query_scalar(
            "SELECT document FROM role_policy WHERE role_arn = $1
             UNION ALL SELECT document FROM user_policy WHERE user_arn = $1
             UNION ALL SELECT document FROM policy JOIN attachment ON policy.arn = policy_arn WHERE role_arn = $1
             UNION ALL SELECT document FROM policy JOIN user_attachment ON policy.arn = policy_arn WHERE user_arn = $1
             UNION ALL SELECT document FROM group_policy JOIN group_member USING (group_arn) WHERE user_arn = $1
             UNION ALL SELECT document FROM policy JOIN group_attachment ON policy.arn = policy_arn
             JOIN group_member USING (group_arn) WHERE user_arn = $1
             UNION ALL SELECT document FROM group_policy WHERE group_arn = $1
             UNION ALL SELECT document FROM policy JOIN group_attachment ON policy.arn = policy_arn
             WHERE group_arn = $1
             UNION ALL SELECT document FROM policy WHERE arn = $1",
        );
        query.bind(arn.as_str()).fetch_all(self.pool()).await.map_err(failed)
    }
}

// Only names of tables and columns of `Place` are written into such a text; what a caller gave is bound.
fn safe(sql: String) -> AssertSqlSafe<String> {
    AssertSqlSafe(sql)
}

fn not_found(text: String) -> Error {
    Error::new(ErrorKind::NotFound, text)
}
