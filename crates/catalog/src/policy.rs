//! Managed policies, and the users and roles that they are attached to.

use model::error::{Error, Result};
use model::{Arn, ErrorKind};
use sqlx::any::AnyRow;
use sqlx::{Any, Row};

use crate::role::{Names, taken};
use crate::{Catalog, Transaction, failed, in_use, policy_version, stored_arn};

pub(crate) const TABLES: &str = "
CREATE TABLE IF NOT EXISTS policy (
    arn TEXT PRIMARY KEY, id TEXT NOT NULL UNIQUE, name TEXT NOT NULL, path TEXT NOT NULL, document TEXT NOT NULL,
    description TEXT, tags TEXT NOT NULL, created_ms INTEGER NOT NULL, default_version INTEGER NOT NULL DEFAULT 1,
    newest_version INTEGER NOT NULL DEFAULT 1, updated_ms INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE UNIQUE INDEX IF NOT EXISTS policy_own_name ON policy (name COLLATE NOCASE)
    WHERE arn NOT LIKE 'arn:aws:iam::aws:%';
";

/// A managed policy, with the document of its default version.
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

/// What becomes of a managed policy over time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PolicyState {
    /// To how many users, groups and roles it is attached.
    pub attachments: i64,
    /// The number of the version that counts.
    pub default_version: i64,
    /// When a version came, or another became the default.
    pub updated_ms: i64,
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
        sqlx::query("INSERT INTO policy VALUES ($1, $2, $3, $4, $5, $6, $7, $8, 1, 1, $8)")
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
        policy_version::insert(&mut tx, policy.arn.as_str(), 1, &policy.document, policy.created_ms).await?;
        self.commit_identity(tx).await
    }

    /// Keeps the policies that AWS itself gives to every account, in place of those of an earlier start.
    pub async fn keep_aws_policies(&self, policies: &[PolicyRow]) -> Result<()> {
        let mut tx = self.write().await?;
        for policy in policies {
            let query = sqlx::query(
                "INSERT INTO policy VALUES ($1, $2, $3, $4, $5, $6, '[]', $7, 1, 1, $7)
                 ON CONFLICT (arn) DO UPDATE SET document = excluded.document, description = excluded.description",
            );
            let query =
                query.bind(policy.arn.as_str()).bind(&policy.id).bind(&policy.name).bind(&policy.path);
            let query = query.bind(&policy.document).bind(&policy.description).bind(policy.created_ms);
            query.execute(&mut *tx).await.map_err(failed)?;
            policy_version::insert(&mut tx, policy.arn.as_str(), 1, &policy.document, policy.created_ms)
                .await?;
        }
        self.commit_identity(tx).await
    }

    /// A policy, and what has become of it.
    pub async fn policy(&self, arn: &str) -> Result<Option<(PolicyRow, PolicyState)>> {
        let query = sqlx::query(
            "SELECT *, (SELECT count(*) FROM all_attachments WHERE policy_arn = policy.arn) AS attachments
             FROM policy WHERE arn = $1",
        );
        query.bind(arn).fetch_optional(self.pool()).await.map_err(failed)?.as_ref().map(read).transpose()
    }

    /// Policies of AWS or of the account, of all or of those attached to anybody.
    ///
    /// They are ordered by name and id, so that a page ends at `name/id` of its last one.
    pub async fn policies(
        &self,
        (of_aws, of_account): (bool, bool),
        only_attached: bool,
        page: Names<'_>,
    ) -> Result<Vec<(PolicyRow, PolicyState)>> {
        let rows = sqlx::query(
            "SELECT * FROM (SELECT *, (SELECT count(*) FROM all_attachments WHERE policy_arn = policy.arn) AS attachments
                 FROM policy) AS attached WHERE name || '/' || id > $1 AND substr(path, 1, length($2)) = $2 AND (NOT $4 OR attachments > 0)
             AND CASE WHEN arn LIKE 'arn:aws:iam::aws:%' THEN $5 ELSE $6 END
             ORDER BY name || '/' || id LIMIT $3",
        )
        .bind(page.after)
        .bind(page.path_prefix)
        .bind(page.limit)
        .bind(only_attached)
        .bind(of_aws)
        .bind(of_account)
        .fetch_all(self.pool())
        .await
        .map_err(failed)?;
        rows.iter().map(read).collect()
    }

    /// # Errors
    /// `NotFound`; `InUse` while it is attached to anybody, or has versions beside its default.
    pub async fn delete_policy(&self, arn: &str) -> Result<()> {
        let mut tx = self.write().await?;
        must_exist(&mut tx, arn).await?;
        let query = sqlx::query_as(
            "SELECT (SELECT count(*) FROM all_attachments WHERE policy_arn = $1),
                 (SELECT count(*) FROM policy_version WHERE policy_arn = $1)",
        );
        let (held, versions): (i64, i64) = query.bind(arn).fetch_one(&mut *tx).await.map_err(failed)?;
        if held > 0 {
            return Err(in_use("Cannot delete a policy attached to entities."));
        }
        if versions > 1 {
            let text = "This policy has more than one version. Before you delete a policy, you must delete the policy's \
                        versions. The default version is deleted with the policy.";
            return Err(in_use(text));
        }
        sqlx::query("DELETE FROM policy WHERE arn = $1").bind(arn).execute(&mut *tx).await.map_err(failed)?;
        self.commit_identity(tx).await
    }

    /// The users, groups and roles that a policy is attached to, those of `kinds`; the path prefix is theirs.
    ///
    /// They are ordered by name, so that a page ends at the `place` of its last one.
    ///
    /// # Errors
    /// `NotFound`.
    pub async fn policy_entities(
        &self,
        policy_arn: &str,
        [users, groups, roles]: [bool; 3],
        page: Names<'_>,
    ) -> Result<Vec<AttachedEntity>> {
        let mut tx = self.read().await?;
        must_exist(&mut tx, policy_arn).await?;
        let query = sqlx::query_as(
            "SELECT name || '/' || kind AS place, name, id, kind FROM (
                 SELECT name, id, path, 'User' AS kind FROM \"user\" JOIN user_attachment ON user_arn = arn
                 WHERE policy_arn = $4 AND $5
                 UNION ALL SELECT name, id, path, 'Group' AS kind FROM user_group
                 JOIN group_attachment ON group_arn = arn WHERE policy_arn = $4 AND $6
                 UNION ALL SELECT name, id, path, 'Role' AS kind FROM role JOIN attachment ON role_arn = arn
                 WHERE policy_arn = $4 AND $7) AS entity
             WHERE name || '/' || kind > $1 AND substr(path, 1, length($2)) = $2 ORDER BY place LIMIT $3",
        );
        let query = query.bind(page.after).bind(page.path_prefix).bind(page.limit).bind(policy_arn);
        let query = query.bind(users).bind(groups).bind(roles);
        let rows: Vec<(String, String, String, String)> = query.fetch_all(&mut *tx).await.map_err(failed)?;
        let entity = |(place, name, id, kind)| AttachedEntity { place, name, id, kind };
        Ok(rows.into_iter().map(entity).collect())
    }
}

/// A user, group or role that a policy is attached to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AttachedEntity {
    /// Its place in the list, by which the next page continues.
    pub place: String,
    pub name: String,
    pub id: String,
    /// `User`, `Group` or `Role`.
    pub kind: String,
}

pub(crate) async fn must_exist(tx: &mut Transaction<'static, Any>, arn: &str) -> Result<()> {
    let query = sqlx::query_scalar::<_, i64>("SELECT 1 FROM policy WHERE arn = $1").bind(arn);
    let found = query.fetch_optional(&mut **tx).await.map_err(failed)?;
    let text = || format!("Policy {arn} does not exist or is not attachable.");
    found.map(drop).ok_or_else(|| Error::new(ErrorKind::NotFound, text()))
}

fn read(row: &AnyRow) -> Result<(PolicyRow, PolicyState)> {
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
    let number = |column: &str| row.try_get::<i64, _>(column).map_err(failed);
    let state = PolicyState {
        attachments: number("attachments")?,
        default_version: number("default_version")?,
        updated_ms: number("updated_ms")?,
    };
    Ok((policy, state))
}
