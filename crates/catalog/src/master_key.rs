//! The mark of the master key: a text that it sealed, by which a start knows that it is the same one.

use model::error::Result;

use crate::{Catalog, failed};

pub(crate) const TABLES: &str = "
CREATE TABLE IF NOT EXISTS master_key_mark (one INTEGER PRIMARY KEY CHECK (one = 1), sealed BLOB NOT NULL) STRICT;
";

impl Catalog {
    /// The text that was sealed at the first start; `None` before it.
    pub async fn master_key_mark(&self) -> Result<Option<Vec<u8>>> {
        let query = sqlx::query_scalar("SELECT sealed FROM master_key_mark");
        query.fetch_optional(self.pool()).await.map_err(failed)
    }

    /// Keeps the mark for good; one that is there stays.
    pub async fn set_master_key_mark(&self, sealed: &[u8]) -> Result<()> {
        let mut tx = self.write().await?;
        let query = sqlx::query("INSERT INTO master_key_mark VALUES (1, $1) ON CONFLICT DO NOTHING");
        query.bind(sealed).execute(&mut *tx).await.map_err(failed)?;
        tx.commit().await.map_err(failed)
    }

    /// Whether there is anything that a master key may have sealed: its mark, a key of KMS, the secret of an access key, or
    /// a dataset, whose records may be sealed.
    pub async fn needs_master_key(&self) -> Result<bool> {
        let query = sqlx::query_scalar(
            "SELECT CASE WHEN EXISTS (SELECT 1 FROM master_key_mark) OR EXISTS (SELECT 1 FROM kms_key)
                 OR EXISTS (SELECT 1 FROM access_key WHERE secret_access_key LIKE 'sealed:%')
                 OR EXISTS (SELECT 1 FROM dataset) THEN 1 ELSE 0 END",
        );
        let needed: i64 = query.fetch_one(self.pool()).await.map_err(failed)?;
        Ok(needed != 0)
    }
}
