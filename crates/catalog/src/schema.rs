//! Schemas: documents that datasets are made with.

use model::error::Result;
use model::{Arn, Domain};
use sqlx::Row;
use sqlx::any::AnyRow;

use crate::{Catalog, Page, failed, in_use, not_found, not_inserted, stored_arn, within};

pub(crate) const TABLES: &str = "
CREATE TABLE IF NOT EXISTS schema (
    arn TEXT PRIMARY KEY, name TEXT NOT NULL, document TEXT NOT NULL, domain TEXT,
    created_ms INTEGER NOT NULL, updated_ms INTEGER NOT NULL
) STRICT;
";

pub struct NewSchema {
    pub arn: Arn,
    pub name: String,
    /// The Avro schema, byte for byte as it was sent.
    pub document: String,
    pub domain: Option<Domain>,
}

#[derive(Clone, Debug)]
pub struct SchemaRow {
    pub arn: Arn,
    pub name: String,
    pub document: String,
    pub domain: Option<Domain>,
    pub created_ms: i64,
    pub updated_ms: i64,
}

impl Catalog {
    /// # Errors
    /// `AlreadyExists` when the name is taken; `LimitExceeded`.
    pub async fn create_schema(&self, new: &NewSchema) -> Result<()> {
        let now_ms = self.now_ms();
        let mut tx = self.write().await?;
        sqlx::query("INSERT INTO schema VALUES ($1, $2, $3, $4, $5, $6)")
            .bind(new.arn.as_str())
            .bind(&new.name)
            .bind(&new.document)
            .bind(new.domain.map(Domain::as_str))
            .bind(now_ms)
            .bind(now_ms)
            .execute(&mut *tx)
            .await
            .map_err(not_inserted(&new.arn))?;
        let count: i64 = sqlx::query_scalar("SELECT count(*) - 1 FROM schema")
            .fetch_one(&mut *tx)
            .await
            .map_err(failed)?;
        within(self.quotas.schemas, count, |most| {
            format!("There are {most} schemas already, the most that an account can have.")
        })?;
        tx.commit().await.map_err(failed)
    }

    pub async fn schema(&self, arn: &Arn) -> Result<Option<SchemaRow>> {
        let row = sqlx::query("SELECT * FROM schema WHERE arn = $1")
            .bind(arn.as_str())
            .fetch_optional(self.pool())
            .await;
        row.map_err(failed)?.as_ref().map(read).transpose()
    }

    pub async fn schemas(&self, page: &Page) -> Result<Vec<SchemaRow>> {
        let rows = sqlx::query(
            "SELECT * FROM schema WHERE created_ms < $1 OR (created_ms = $1 AND arn > $2)
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
    /// `NotFound`; `InUse` while a dataset has the schema, or is being updated to it.
    pub async fn delete_schema(&self, arn: &Arn) -> Result<()> {
        let mut tx = self.write().await?;
        let users: i64 = sqlx::query_scalar(
            "SELECT count(*) FROM dataset WHERE schema_arn = $1 OR (json_extract(latest_update, '$.schemaArn') = $1
             AND json_extract(latest_update, '$.status') IN ('UPDATE PENDING', 'UPDATE IN_PROGRESS'))",
        )
        .bind(arn.as_str())
        .fetch_one(&mut *tx)
        .await
        .map_err(failed)?;
        if users > 0 {
            return Err(in_use(format!("The schema is used by {users} dataset(s): {arn}")));
        }
        let done =
            sqlx::query("DELETE FROM schema WHERE arn = $1").bind(arn.as_str()).execute(&mut *tx).await;
        if done.map_err(failed)?.rows_affected() == 0 {
            return Err(not_found("schema", arn));
        }
        tx.commit().await.map_err(failed)
    }
}

fn read(row: &AnyRow) -> Result<SchemaRow> {
    let domain: Option<String> = row.try_get("domain").map_err(failed)?;
    Ok(SchemaRow {
        arn: stored_arn(row.try_get("arn").map_err(failed)?)?,
        name: row.try_get("name").map_err(failed)?,
        document: row.try_get("document").map_err(failed)?,
        domain: domain.as_deref().and_then(Domain::parse),
        created_ms: row.try_get("created_ms").map_err(failed)?,
        updated_ms: row.try_get("updated_ms").map_err(failed)?,
    })
}
