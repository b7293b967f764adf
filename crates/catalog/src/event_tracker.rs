//! Event trackers: one a group, known to clients by its tracking id.

use model::error::Result;
use model::status::Status;
use model::{Arn, DatasetType};
use sqlx::Row;
use sqlx::any::AnyRow;

use crate::change::Changed;
use crate::{
    Catalog, DatasetRow, Page, dataset, failed, not_found, not_inserted, page, stored_arn, tag, unknown_word,
};

pub(crate) const TABLES: &str = "
CREATE TABLE IF NOT EXISTS event_tracker (
    arn TEXT PRIMARY KEY, name TEXT NOT NULL, tracking_id TEXT NOT NULL UNIQUE,
    group_arn TEXT NOT NULL UNIQUE REFERENCES dataset_group (arn), status TEXT NOT NULL,
    created_ms INTEGER NOT NULL, updated_ms INTEGER NOT NULL
) STRICT;
";

pub struct NewEventTracker {
    pub arn: Arn,
    pub name: String,
    pub tracking_id: String,
    pub group_arn: Arn,
    pub tags: Vec<(String, String)>,
}

#[derive(Clone, Debug)]
pub struct EventTrackerRow {
    pub arn: Arn,
    pub name: String,
    pub tracking_id: String,
    pub group_arn: Arn,
    pub status: Status,
    pub created_ms: i64,
    pub updated_ms: i64,
}

/// What a tracking id leads to.
#[derive(Clone, Debug)]
pub struct Tracked {
    pub tracker: EventTrackerRow,
    /// The group's Interactions dataset, once there is one.
    pub dataset: Option<DatasetRow>,
}

impl Catalog {
    /// # Errors
    /// `NotFound` when the group is gone; `AlreadyExists` when it has a tracker.
    pub async fn create_event_tracker(&self, new: &NewEventTracker) -> Result<()> {
        let now_ms = self.now_ms();
        let mut tx = self.write().await?;
        let group: Option<i64> = sqlx::query_scalar("SELECT 1 FROM dataset_group WHERE arn = $1")
            .bind(new.group_arn.as_str())
            .fetch_optional(&mut *tx)
            .await
            .map_err(failed)?;
        group.ok_or_else(|| not_found("dataset group", &new.group_arn))?;
        sqlx::query("INSERT INTO event_tracker VALUES ($1, $2, $3, $4, $5, $6, $7)")
            .bind(new.arn.as_str())
            .bind(&new.name)
            .bind(&new.tracking_id)
            .bind(new.group_arn.as_str())
            .bind(Status::Active.as_str())
            .bind(now_ms)
            .bind(now_ms)
            .execute(&mut *tx)
            .await
            .map_err(not_inserted(&new.arn))?;
        tag::insert(&mut tx, &new.arn, &new.tags).await?;
        tx.commit().await.map_err(failed)
    }

    pub async fn event_tracker(&self, arn: &Arn) -> Result<Option<EventTrackerRow>> {
        let query = sqlx::query("SELECT * FROM event_tracker WHERE arn = $1").bind(arn.as_str());
        query.fetch_optional(self.pool()).await.map_err(failed)?.as_ref().map(read).transpose()
    }

    /// The tracker behind a tracking id, with the dataset that its events go to.
    pub async fn tracked(&self, tracking_id: &str) -> Result<Option<Tracked>> {
        let query = sqlx::query("SELECT * FROM event_tracker WHERE tracking_id = $1").bind(tracking_id);
        let Some(row) = query.fetch_optional(self.pool()).await.map_err(failed)? else { return Ok(None) };
        let tracker = read(&row)?;
        let query = sqlx::query("SELECT * FROM dataset WHERE group_arn = $1 AND dataset_type = $2")
            .bind(tracker.group_arn.as_str())
            .bind(DatasetType::Interactions.as_str());
        let row = query.fetch_optional(self.pool()).await.map_err(failed)?;
        Ok(Some(Tracked { tracker, dataset: row.as_ref().map(dataset::read).transpose()? }))
    }

    /// One page of trackers, of one group or of all.
    pub async fn event_trackers(&self, group: Option<&Arn>, page: &Page) -> Result<Vec<EventTrackerRow>> {
        let rows = sqlx::query(
            "SELECT * FROM event_tracker WHERE (created_ms < $1 OR (created_ms = $1 AND arn > $2))
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

    /// # Errors
    /// `NotFound`.
    pub async fn delete_event_tracker(&self, arn: &Arn) -> Result<()> {
        let mut tx = self.write().await?;
        let done = sqlx::query("DELETE FROM event_tracker WHERE arn = $1")
            .bind(arn.as_str())
            .execute(&mut *tx)
            .await;
        if done.map_err(failed)?.rows_affected() == 0 {
            return Err(not_found("event tracker", arn));
        }
        tag::delete_all(&mut tx, arn).await?;
        self.commit_change(tx, Changed::Dataset).await
    }
}

fn read(row: &AnyRow) -> Result<EventTrackerRow> {
    Ok(EventTrackerRow {
        arn: stored_arn(row.try_get("arn").map_err(failed)?)?,
        name: row.try_get("name").map_err(failed)?,
        tracking_id: row.try_get("tracking_id").map_err(failed)?,
        group_arn: stored_arn(row.try_get("group_arn").map_err(failed)?)?,
        status: Status::parse(row.try_get("status").map_err(failed)?)
            .ok_or_else(|| unknown_word("status"))?,
        created_ms: row.try_get("created_ms").map_err(failed)?,
        updated_ms: row.try_get("updated_ms").map_err(failed)?,
    })
}
