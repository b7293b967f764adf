//! Datasets: which schema they have, and how far their put records are flushed.

pub(crate) mod contents;
pub(crate) mod history;

use model::error::{Error, Result};
use model::status::Status;
use model::{Arn, DatasetType, ErrorKind, Layout};
use sqlx::Row;
use sqlx::any::AnyRow;

use crate::change::Changed;
use crate::job::claim::forget_turn;
use crate::job::data_deletion_job::not_deleting;
use crate::job::{analysis, read_note, reject};
use crate::{
    Catalog, DatasetUpdate, Page, failed, in_use, metric_attribution, not_found, not_inserted, page,
    put_count, stored_arn, tag, unknown_word,
};

pub(crate) const TABLES: &str = "
CREATE TABLE IF NOT EXISTS dataset (
    id INTEGER PRIMARY KEY AUTOINCREMENT, arn TEXT NOT NULL UNIQUE, name TEXT NOT NULL,
    group_arn TEXT NOT NULL REFERENCES dataset_group (arn), dataset_type TEXT NOT NULL,
    schema_arn TEXT NOT NULL REFERENCES schema (arn), layout TEXT NOT NULL, status TEXT NOT NULL,
    flushed_position INTEGER NOT NULL, created_ms INTEGER NOT NULL, updated_ms INTEGER NOT NULL,
    tracking_id TEXT, latest_update TEXT, replaced_sequence INTEGER NOT NULL DEFAULT 0,
    deleted_sequence INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE UNIQUE INDEX IF NOT EXISTS dataset_tracking_id ON dataset (tracking_id) WHERE tracking_id IS NOT NULL;
CREATE INDEX IF NOT EXISTS dataset_group_arn ON dataset (group_arn);
";

pub struct NewDataset {
    pub arn: Arn,
    pub name: String,
    pub group_arn: Arn,
    pub dataset_type: DatasetType,
    pub schema_arn: Arn,
    pub layout: Layout,
    /// What action interactions are sent under; other datasets have none.
    pub tracking_id: Option<String>,
    pub tags: Vec<(String, String)>,
}

#[derive(Clone, Debug)]
pub struct DatasetRow {
    /// This incarnation: a dataset deleted and made again has the old ARN but a new id.
    pub id: i64,
    pub arn: Arn,
    pub name: String,
    pub group_arn: Arn,
    pub dataset_type: DatasetType,
    pub schema_arn: Arn,
    pub layout: Layout,
    pub status: Status,
    /// Put records below this position of the log are in runs.
    pub flushed_position: u64,
    pub created_ms: i64,
    pub updated_ms: i64,
    /// What action interactions are sent under; other datasets have none.
    pub tracking_id: Option<String>,
    /// None before the first update.
    pub latest_update: Option<DatasetUpdate>,
}

impl DatasetRow {
    /// # Errors
    /// `InUse` while the schema is being replaced.
    pub fn check_settled(&self) -> Result<()> {
        match &self.latest_update {
            Some(update) if update.status.is_open() => {
                Err(in_use(format!("The dataset is being updated: {}", self.arn)))
            }
            _ => Ok(()),
        }
    }
}

impl Catalog {
    /// Creates an empty dataset; nothing has to be made ready for it, so it is ACTIVE at once.
    ///
    /// # Errors
    /// `NotFound` when group or schema are gone; `InUse` when the group is not ACTIVE; `AlreadyExists` when the
    /// group has a dataset of this type.
    pub async fn create_dataset(&self, new: &NewDataset) -> Result<()> {
        let now_ms = self.now_ms();
        let layout =
            serde_json::to_string(&new.layout).map_err(|e| Error::internal("write a layout").caused_by(e))?;
        let mut tx = self.write().await?;
        let status: Option<String> = sqlx::query_scalar("SELECT status FROM dataset_group WHERE arn = $1")
            .bind(new.group_arn.as_str())
            .fetch_optional(&mut *tx)
            .await
            .map_err(failed)?;
        match status.as_deref().and_then(Status::parse) {
            None => return Err(not_found("dataset group", &new.group_arn)),
            Some(Status::Active) => {}
            Some(_) => return Err(in_use(format!("The dataset group is not active: {}", new.group_arn))),
        }
        let schema: Option<i64> = sqlx::query_scalar("SELECT 1 FROM schema WHERE arn = $1")
            .bind(new.schema_arn.as_str())
            .fetch_optional(&mut *tx)
            .await
            .map_err(failed)?;
        schema.ok_or_else(|| not_found("schema", &new.schema_arn))?;
        sqlx::query(
            "INSERT INTO dataset (arn, name, group_arn, dataset_type, schema_arn, layout, status, flushed_position,
             created_ms, updated_ms, tracking_id) VALUES ($1, $2, $3, $4, $5, $6, $7, 0, $8, $9, $10)",
        )
        .bind(new.arn.as_str())
        .bind(&new.name)
        .bind(new.group_arn.as_str())
        .bind(new.dataset_type.as_str())
        .bind(new.schema_arn.as_str())
        .bind(layout)
        .bind(Status::Active.as_str())
        .bind(now_ms)
        .bind(now_ms)
        .bind(&new.tracking_id)
        .execute(&mut *tx)
        .await
        .map_err(not_inserted(&new.arn))?;
        tag::insert(&mut tx, &new.arn, &new.tags).await?;
        tx.commit().await.map_err(failed)
    }

    pub async fn dataset(&self, arn: &Arn) -> Result<Option<DatasetRow>> {
        let query = sqlx::query("SELECT * FROM dataset WHERE arn = $1").bind(arn.as_str());
        query.fetch_optional(self.pool()).await.map_err(failed)?.as_ref().map(read).transpose()
    }

    pub async fn dataset_by_id(&self, id: i64) -> Result<Option<DatasetRow>> {
        let query = sqlx::query("SELECT * FROM dataset WHERE id = $1").bind(id);
        query.fetch_optional(self.pool()).await.map_err(failed)?.as_ref().map(read).transpose()
    }

    /// The dataset that action interactions under a tracking id go to. Event trackers have other ids.
    pub async fn dataset_tracked(&self, tracking_id: &str) -> Result<Option<DatasetRow>> {
        let query = sqlx::query("SELECT * FROM dataset WHERE tracking_id = $1").bind(tracking_id);
        query.fetch_optional(self.pool()).await.map_err(failed)?.as_ref().map(read).transpose()
    }

    /// Gives a tracking id to each dataset of action interactions that a version without them has made.
    pub(crate) async fn give_tracking_ids(&self) -> Result<()> {
        let mut tx = self.write().await?;
        let query =
            sqlx::query_scalar("SELECT id FROM dataset WHERE dataset_type = $1 AND tracking_id IS NULL");
        let query = query.bind(DatasetType::ActionInteractions.as_str());
        let without: Vec<i64> = query.fetch_all(&mut *tx).await.map_err(failed)?;
        for id in without {
            let query = sqlx::query("UPDATE dataset SET tracking_id = $1 WHERE id = $2");
            query.bind(self.clock.uuid()).bind(id).execute(&mut *tx).await.map_err(failed)?;
        }
        tx.commit().await.map_err(failed)
    }

    /// One page of datasets, of one group or of all.
    pub async fn datasets(&self, group: Option<&Arn>, page: &Page) -> Result<Vec<DatasetRow>> {
        let rows = sqlx::query(
            "SELECT * FROM dataset WHERE (created_ms < $1 OR (created_ms = $1 AND arn > $2))
             AND ($4 IS NULL OR group_arn = $4) ORDER BY created_ms DESC, arn LIMIT $3",
        )
        .bind(page.before_ms())
        .bind(page.after_arn())
        .bind(page.rows())
        .bind(page::filter(group))
        .fetch_all(self.pool())
        .await
        .map_err(failed)?;
        rows.iter().map(read).collect()
    }

    /// Every dataset there is, for upkeep.
    pub async fn all_datasets(&self) -> Result<Vec<DatasetRow>> {
        let rows =
            sqlx::query("SELECT * FROM dataset ORDER BY id").fetch_all(self.pool()).await.map_err(failed)?;
        rows.iter().map(read).collect()
    }

    /// Deletes a dataset with all its records; the objects behind its runs go with the next clean-up.
    ///
    /// Source: "Deleting a dataset".
    ///
    /// # Errors
    /// `NotFound`; `InUse` while a job of it or a data deletion job of its group runs, it is being updated, an event
    /// tracker feeds it, or a metric attribution refers to it.
    pub async fn delete_dataset(&self, arn: &Arn) -> Result<()> {
        let dataset = self.dataset(arn).await?.ok_or_else(|| not_found("dataset", arn))?;
        dataset.check_settled()?;
        let mut tx = self.write().await?;
        let jobs: i64 = sqlx::query_scalar(
            "SELECT count(*) FROM job WHERE dataset_id = $1 AND status IN ('CREATE PENDING', 'CREATE IN_PROGRESS')",
        )
        .bind(dataset.id)
        .fetch_one(&mut *tx)
        .await
        .map_err(failed)?;
        if jobs > 0 {
            return Err(in_use(format!("{jobs} job(s) of the dataset are pending or in progress: {arn}")));
        }
        not_deleting(&mut tx, &dataset.group_arn).await?;
        let trackers: i64 = sqlx::query_scalar("SELECT count(*) FROM event_tracker WHERE group_arn = $1")
            .bind(dataset.group_arn.as_str())
            .fetch_one(&mut *tx)
            .await
            .map_err(failed)?;
        if trackers > 0 && dataset.dataset_type == DatasetType::Interactions {
            return Err(in_use(format!("Delete the event tracker of the dataset group first: {arn}")));
        }
        let (interactions, items) = metric_attribution::needed_datasets(&mut tx, &dataset.group_arn).await?;
        let is_needed = match dataset.dataset_type {
            DatasetType::Interactions => interactions,
            DatasetType::Items => items,
            _ => false,
        };
        if is_needed {
            return Err(in_use(format!("Delete the metric attribution of the dataset group first: {arn}")));
        }
        sqlx::query("UPDATE run SET listed = 0 WHERE dataset_id = $1")
            .bind(dataset.id)
            .execute(&mut *tx)
            .await
            .map_err(failed)?;
        reject::forget_rows(&mut tx, dataset.id).await?;
        put_count::forget(&mut tx, dataset.id).await?;
        history::forget(&mut tx, dataset.id).await?;
        analysis::forget(&mut tx, &dataset.group_arn).await?;
        let done = sqlx::query("DELETE FROM dataset WHERE id = $1").bind(dataset.id).execute(&mut *tx).await;
        if done.map_err(failed)?.rows_affected() == 0 {
            return Err(not_found("dataset", arn));
        }
        tag::delete_all(&mut tx, arn).await?;
        forget_turn(&mut tx, arn).await?;
        self.commit_change(tx, Changed::Dataset).await
    }
}

pub(crate) fn read(row: &AnyRow) -> Result<DatasetRow> {
    let layout: &str = row.try_get("layout").map_err(failed)?;
    let position: i64 = row.try_get("flushed_position").map_err(failed)?;
    let note: Option<&str> = row.try_get("latest_update").map_err(failed)?;
    Ok(DatasetRow {
        id: row.try_get("id").map_err(failed)?,
        arn: stored_arn(row.try_get("arn").map_err(failed)?)?,
        name: row.try_get("name").map_err(failed)?,
        group_arn: stored_arn(row.try_get("group_arn").map_err(failed)?)?,
        dataset_type: DatasetType::parse(row.try_get("dataset_type").map_err(failed)?)
            .ok_or_else(|| unknown_word("dataset_type"))?,
        schema_arn: stored_arn(row.try_get("schema_arn").map_err(failed)?)?,
        layout: serde_json::from_str(layout)
            .map_err(|e| Error::new(ErrorKind::Corrupt, "a dataset's layout can't be read").caused_by(e))?,
        status: Status::parse(row.try_get("status").map_err(failed)?)
            .ok_or_else(|| unknown_word("status"))?,
        flushed_position: position.cast_unsigned(),
        created_ms: row.try_get("created_ms").map_err(failed)?,
        updated_ms: row.try_get("updated_ms").map_err(failed)?,
        tracking_id: row.try_get("tracking_id").map_err(failed)?,
        latest_update: read_note(note)?,
    })
}
