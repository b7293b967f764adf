//! Tags of resources.

use model::Arn;
use model::error::Result;
use sqlx::{Any, Row};

use crate::{Catalog, Transaction, failed};

pub(crate) const TABLES: &str = "
CREATE TABLE IF NOT EXISTS tag (
    resource_arn TEXT NOT NULL, tag_key TEXT NOT NULL, tag_value TEXT NOT NULL,
    PRIMARY KEY (resource_arn, tag_key)
) STRICT, WITHOUT ROWID;
";

impl Catalog {
    /// The tags of a resource, by key.
    pub async fn tags(&self, arn: &Arn) -> Result<Vec<(String, String)>> {
        let query =
            sqlx::query("SELECT tag_key, tag_value FROM tag WHERE resource_arn = $1 ORDER BY tag_key");
        let rows = query.bind(arn.as_str()).fetch_all(self.pool()).await.map_err(failed)?;
        rows.iter().map(|r| Ok((r.try_get(0).map_err(failed)?, r.try_get(1).map_err(failed)?))).collect()
    }

    /// Sets tags, replacing the values of keys that are there; returns how many the resource would have.
    ///
    /// Nothing changes when that number is above `most`.
    pub async fn set_tags(&self, arn: &Arn, tags: &[(String, String)], most: i64) -> Result<i64> {
        let mut tx = self.write().await?;
        insert(&mut tx, arn, tags).await?;
        let count: i64 = sqlx::query_scalar("SELECT count(*) FROM tag WHERE resource_arn = $1")
            .bind(arn.as_str())
            .fetch_one(&mut *tx)
            .await
            .map_err(failed)?;
        if count <= most {
            tx.commit().await.map_err(failed)?;
        }
        Ok(count)
    }

    /// Removes tags; keys that are not there are no error.
    pub async fn delete_tags(&self, arn: &Arn, keys: &[String]) -> Result<()> {
        let mut tx = self.write().await?;
        for key in keys {
            let query = sqlx::query("DELETE FROM tag WHERE resource_arn = $1 AND tag_key = $2")
                .bind(arn.as_str())
                .bind(key);
            query.execute(&mut *tx).await.map_err(failed)?;
        }
        tx.commit().await.map_err(failed)
    }
}

pub(crate) async fn insert(
    tx: &mut Transaction<'static, Any>,
    arn: &Arn,
    tags: &[(String, String)],
) -> Result<()> {
    for (key, value) in tags {
        let query = sqlx::query(
            "INSERT INTO tag VALUES ($1, $2, $3)
             ON CONFLICT (resource_arn, tag_key) DO UPDATE SET tag_value = excluded.tag_value",
        )
        .bind(arn.as_str())
        .bind(key)
        .bind(value);
        query.execute(&mut **tx).await.map_err(failed)?;
    }
    Ok(())
}

pub(crate) async fn delete_all(tx: &mut Transaction<'static, Any>, arn: &Arn) -> Result<()> {
    let query = sqlx::query("DELETE FROM tag WHERE resource_arn = $1").bind(arn.as_str());
    query.execute(&mut **tx).await.map_err(failed).map(drop)
}
