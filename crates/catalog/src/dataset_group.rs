//! Dataset groups: what datasets, an event tracker and a metric attribution belong to.

use model::error::{Error, Result};
use model::status::Status;
use model::{Arn, Domain};
use sqlx::Row;
use sqlx::any::AnyRow;

use crate::job::analysis;
use crate::job::claim::forget_turn;
use crate::job::data_deletion_job::not_deleting;
use crate::{Catalog, Page, failed, in_use, not_found, not_inserted, stored_arn, tag, unknown_word, within};

pub(crate) const TABLES: &str = "
CREATE TABLE IF NOT EXISTS dataset_group (
    arn TEXT PRIMARY KEY, name TEXT NOT NULL, domain TEXT, status TEXT NOT NULL,
    created_ms INTEGER NOT NULL, updated_ms INTEGER NOT NULL, kms_key_arn TEXT, role_arn TEXT, data_key BLOB
) STRICT;
";

/// The key of KMS that seals a group's data.
#[derive(Clone, PartialEq, Eq)]
pub struct GroupKey {
    pub kms_key_arn: Arn,
    /// The role that uses the key.
    pub role_arn: Arn,
    /// As the key encrypted it.
    pub data_key: Vec<u8>,
}

impl std::fmt::Debug for GroupKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "GroupKey({}, {})", self.kms_key_arn, self.role_arn)
    }
}

pub struct NewDatasetGroup {
    pub arn: Arn,
    pub name: String,
    pub domain: Option<Domain>,
    /// None where the server's own key seals.
    pub key: Option<GroupKey>,
    pub tags: Vec<(String, String)>,
}

#[derive(Clone, Debug)]
pub struct DatasetGroupRow {
    pub arn: Arn,
    pub name: String,
    pub domain: Option<Domain>,
    /// None where the server's own key seals.
    pub key: Option<GroupKey>,
    pub status: Status,
    pub created_ms: i64,
    pub updated_ms: i64,
}

impl Catalog {
    /// Creates a group; nothing has to be made ready for it, so it is ACTIVE at once.
    ///
    /// # Errors
    /// `AlreadyExists` when the name is taken; `LimitExceeded`.
    pub async fn create_dataset_group(&self, new: &NewDatasetGroup) -> Result<()> {
        let now_ms = self.now_ms();
        let mut tx = self.write().await?;
        sqlx::query(
            "INSERT INTO dataset_group (arn, name, domain, status, created_ms, updated_ms, kms_key_arn, role_arn, data_key)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
        )
            .bind(new.arn.as_str())
            .bind(&new.name)
            .bind(new.domain.map(Domain::as_str))
            .bind(Status::Active.as_str())
            .bind(now_ms)
            .bind(now_ms)
            .bind(new.key.as_ref().map(|key| key.kms_key_arn.as_str()))
            .bind(new.key.as_ref().map(|key| key.role_arn.as_str()))
            .bind(new.key.as_ref().map(|key| key.data_key.as_slice()))
            .execute(&mut *tx)
            .await
            .map_err(not_inserted(&new.arn))?;
        let count: i64 = sqlx::query_scalar("SELECT count(*) - 1 FROM dataset_group")
            .fetch_one(&mut *tx)
            .await
            .map_err(failed)?;
        within(self.quotas.dataset_groups, count, |most| {
            format!("There are {most} dataset groups already, the most that an account can have.")
        })?;
        tag::insert(&mut tx, &new.arn, &new.tags).await?;
        tx.commit().await.map_err(failed)
    }

    pub async fn dataset_group(&self, arn: &Arn) -> Result<Option<DatasetGroupRow>> {
        let query = sqlx::query("SELECT * FROM dataset_group WHERE arn = $1").bind(arn.as_str());
        query.fetch_optional(self.pool()).await.map_err(failed)?.as_ref().map(read).transpose()
    }

    pub async fn dataset_groups(&self, page: &Page) -> Result<Vec<DatasetGroupRow>> {
        let rows = sqlx::query(
            "SELECT * FROM dataset_group WHERE created_ms < $1 OR (created_ms = $1 AND arn > $2)
             ORDER BY created_ms DESC, arn LIMIT $3",
        )
        .bind(page.before_ms())
        .bind(page.after_arn())
        .bind(page.rows())
        .fetch_all(self.pool())
        .await
        .map_err(failed)?;
        rows.iter().map(read).collect()
    }

    /// # Errors
    /// `NotFound`; `InUse` while it has datasets, an event tracker, a metric attribution, or a data deletion job that is
    /// open.
    pub async fn delete_dataset_group(&self, arn: &Arn) -> Result<()> {
        let mut tx = self.write().await?;
        not_deleting(&mut tx, arn).await?;
        let held: i64 = sqlx::query_scalar(
            "SELECT (SELECT count(*) FROM dataset WHERE group_arn = $1) + (SELECT count(*) FROM event_tracker WHERE group_arn = $1)
             + (SELECT count(*) FROM metric_attribution WHERE group_arn = $1)",
        )
        .bind(arn.as_str())
        .fetch_one(&mut *tx)
        .await
        .map_err(failed)?;
        if held > 0 {
            return Err(in_use(format!(
                "Delete the metric attribution, the event tracker and the datasets of the dataset group first: {arn}"
            )));
        }
        let done = sqlx::query("DELETE FROM dataset_group WHERE arn = $1")
            .bind(arn.as_str())
            .execute(&mut *tx)
            .await;
        if done.map_err(failed)?.rows_affected() == 0 {
            return Err(not_found("dataset group", arn));
        }
        tag::delete_all(&mut tx, arn).await?;
        analysis::forget_group(&mut tx, arn).await?;
        forget_turn(&mut tx, arn).await?;
        tx.commit().await.map_err(failed)
    }
}

fn read(row: &AnyRow) -> Result<DatasetGroupRow> {
    let domain: Option<String> = row.try_get("domain").map_err(failed)?;
    Ok(DatasetGroupRow {
        arn: stored_arn(row.try_get("arn").map_err(failed)?)?,
        name: row.try_get("name").map_err(failed)?,
        domain: domain.as_deref().and_then(Domain::parse),
        key: read_key(row)?,
        status: Status::parse(row.try_get("status").map_err(failed)?)
            .ok_or_else(|| unknown_word("status"))?,
        created_ms: row.try_get("created_ms").map_err(failed)?,
        updated_ms: row.try_get("updated_ms").map_err(failed)?,
    })
}

fn read_key(row: &AnyRow) -> Result<Option<GroupKey>> {
    let kms_key_arn: Option<&str> = row.try_get("kms_key_arn").map_err(failed)?;
    let role_arn: Option<&str> = row.try_get("role_arn").map_err(failed)?;
    let data_key: Option<Vec<u8>> = row.try_get("data_key").map_err(failed)?;
    match (kms_key_arn, role_arn, data_key) {
        (None, None, None) => Ok(None),
        (Some(key), Some(role), Some(data_key)) => {
            Ok(Some(GroupKey { kms_key_arn: stored_arn(key)?, role_arn: stored_arn(role)?, data_key }))
        }
        _ => Err(Error::corrupt("a dataset group's row holds a part of a key")),
    }
}
