//! The versions of managed policies; one of them is the default, which counts.

use model::ErrorKind;
use model::error::{Error, Result};
use sqlx::Any;

use crate::policy::must_exist;
use crate::role::Names;
use crate::{Catalog, Transaction, failed, in_use};

pub(crate) const TABLES: &str = "
CREATE TABLE IF NOT EXISTS policy_version (
    policy_arn TEXT NOT NULL REFERENCES policy (arn) ON DELETE CASCADE, number INTEGER NOT NULL,
    document TEXT NOT NULL, created_ms INTEGER NOT NULL, PRIMARY KEY (policy_arn, number)
) STRICT, WITHOUT ROWID;
";

/// A version of a managed policy: `v<number>`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PolicyVersionRow {
    /// From 1, never given twice.
    pub number: i64,
    pub is_default: bool,
    /// Byte for byte as it was sent.
    pub document: String,
    pub created_ms: i64,
}

impl Catalog {
    /// Adds a version, which may become the default at once.
    ///
    /// # Errors
    /// `NotFound`; `LimitExceeded` when there are `most` versions.
    pub async fn create_policy_version(
        &self,
        policy_arn: &str,
        document: &str,
        is_default: bool,
        most: i64,
    ) -> Result<PolicyVersionRow> {
        let (mut tx, created_ms) = (self.write().await?, self.now_ms());
        must_exist(&mut tx, policy_arn).await?;
        let query = sqlx::query_scalar("SELECT count(*) FROM policy_version WHERE policy_arn = $1");
        let count: i64 = query.bind(policy_arn).fetch_one(&mut *tx).await.map_err(failed)?;
        if count >= most {
            let text = format!(
                "A managed policy can have up to {most} versions. Before you create a new version, you must delete an \
                 existing version."
            );
            return Err(Error::new(ErrorKind::LimitExceeded, text));
        }
        let sql =
            "UPDATE policy SET newest_version = newest_version + 1 WHERE arn = $1 RETURNING newest_version";
        let query = sqlx::query_scalar(sql).bind(policy_arn);
        let number: i64 = query.fetch_one(&mut *tx).await.map_err(failed)?;
        insert(&mut tx, policy_arn, number, document, created_ms).await?;
        if is_default {
            make_default(&mut tx, policy_arn, number, created_ms).await?;
        }
        self.commit_identity(tx).await?;
        Ok(PolicyVersionRow { number, is_default, document: document.to_owned(), created_ms })
    }

    /// # Errors
    /// `NotFound`.
    pub async fn set_default_policy_version(&self, policy_arn: &str, number: i64) -> Result<()> {
        let (mut tx, now_ms) = (self.write().await?, self.now_ms());
        must_exist(&mut tx, policy_arn).await?;
        make_default(&mut tx, policy_arn, number, now_ms).await?;
        self.commit_identity(tx).await
    }

    /// # Errors
    /// `NotFound`; `InUse` for the default version.
    pub async fn delete_policy_version(&self, policy_arn: &str, number: i64) -> Result<()> {
        let mut tx = self.write().await?;
        must_exist(&mut tx, policy_arn).await?;
        let query = sqlx::query_scalar("SELECT default_version FROM policy WHERE arn = $1").bind(policy_arn);
        let default: i64 = query.fetch_one(&mut *tx).await.map_err(failed)?;
        if default == number {
            return Err(in_use("Cannot delete the default version of a policy."));
        }
        let query = sqlx::query("DELETE FROM policy_version WHERE policy_arn = $1 AND number = $2");
        let done = query.bind(policy_arn).bind(number).execute(&mut *tx).await.map_err(failed)?;
        if done.rows_affected() == 0 {
            return Err(no_version(policy_arn, number));
        }
        self.commit_identity(tx).await
    }

    /// # Errors
    /// `NotFound`.
    pub async fn policy_version(&self, policy_arn: &str, number: i64) -> Result<PolicyVersionRow> {
        let query = sqlx::query_as(
            "SELECT number, default_version, policy_version.document, policy_version.created_ms
             FROM policy_version JOIN policy ON arn = policy_arn WHERE policy_arn = $1 AND number = $2",
        );
        let row = query.bind(policy_arn).bind(number).fetch_optional(self.pool()).await.map_err(failed)?;
        row.map(read).ok_or_else(|| no_version(policy_arn, number))
    }

    /// The versions of a policy, the newest first; a page ends at the number of its last one.
    ///
    /// # Errors
    /// `NotFound`.
    pub async fn policy_versions(&self, policy_arn: &str, page: Names<'_>) -> Result<Vec<PolicyVersionRow>> {
        let mut tx = self.read().await?;
        must_exist(&mut tx, policy_arn).await?;
        let query = sqlx::query_as(
            "SELECT number, default_version, policy_version.document, policy_version.created_ms
             FROM policy_version JOIN policy ON arn = policy_arn
             WHERE policy_arn = $1 AND number < $2 ORDER BY number DESC LIMIT $3",
        );
        let query = query.bind(policy_arn).bind(before(page.after)).bind(page.limit);
        let rows: Vec<Columns> = query.fetch_all(&mut *tx).await.map_err(failed)?;
        Ok(rows.into_iter().map(read).collect())
    }
}

pub(crate) async fn insert(
    tx: &mut Transaction<'static, Any>,
    policy_arn: &str,
    number: i64,
    document: &str,
    created_ms: i64,
) -> Result<()> {
    let query = sqlx::query(
        "INSERT INTO policy_version VALUES ($1, $2, $3, $4) ON CONFLICT (policy_arn, number)
         DO UPDATE SET document = excluded.document, created_ms = excluded.created_ms",
    );
    let query = query.bind(policy_arn).bind(number).bind(document).bind(created_ms);
    query.execute(&mut **tx).await.map_err(failed).map(drop)
}

async fn make_default(
    tx: &mut Transaction<'static, Any>,
    policy_arn: &str,
    number: i64,
    now_ms: i64,
) -> Result<()> {
    let query = sqlx::query(
        "UPDATE policy SET default_version = number, document = policy_version.document, updated_ms = $3
         FROM policy_version WHERE arn = $1 AND policy_arn = $1 AND number = $2",
    );
    let done = query.bind(policy_arn).bind(number).bind(now_ms).execute(&mut **tx).await.map_err(failed)?;
    if done.rows_affected() == 0 { Err(no_version(policy_arn, number)) } else { Ok(()) }
}

// The last number of the page before; no number is as large as the one that stands for the first page.
fn before(after: &str) -> i64 {
    if after.is_empty() { i64::MAX } else { after.parse().unwrap_or(0) }
}

type Columns = (i64, i64, String, i64);

fn read((number, default, document, created_ms): Columns) -> PolicyVersionRow {
    PolicyVersionRow { number, is_default: number == default, document, created_ms }
}

fn no_version(policy_arn: &str, number: i64) -> Error {
    let text = format!("Policy {policy_arn} version v{number} does not exist or is not attachable.");
    Error::new(ErrorKind::NotFound, text)
}
