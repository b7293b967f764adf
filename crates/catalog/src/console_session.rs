//! Sessions of the console: sealed rows, so that a browser is known to every node and a session ends on all of them.

use model::error::Result;
use sqlx::Row;

use crate::{Catalog, failed};

pub(crate) const TABLES: &str = "
CREATE TABLE IF NOT EXISTS console_session (
    id TEXT PRIMARY KEY, sealed BLOB NOT NULL, began_ms INTEGER NOT NULL, used_ms INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
";

/// As many are kept; the one that was not used for longest makes way.
const KEPT: i64 = 10_000;

pub struct ConsoleSessionRow {
    pub sealed: Vec<u8>,
    pub began_ms: i64,
    pub used_ms: i64,
}

impl Catalog {
    /// Keeps a session that begins now, and forgets those that began or were used before these times.
    pub async fn begin_console_session(
        &self,
        id: &str,
        sealed: &[u8],
        began_before_ms: i64,
        used_before_ms: i64,
    ) -> Result<()> {
        let now_ms = self.now_ms();
        let mut tx = self.write().await?;
        let query = sqlx::query("DELETE FROM console_session WHERE began_ms < $1 OR used_ms < $2");
        query.bind(began_before_ms).bind(used_before_ms).execute(&mut *tx).await.map_err(failed)?;
        let query = sqlx::query(
            "DELETE FROM console_session WHERE id IN (
                 SELECT id FROM console_session ORDER BY used_ms DESC, id LIMIT $2 OFFSET $1)",
        );
        query.bind(KEPT - 1).bind(KEPT).execute(&mut *tx).await.map_err(failed)?;
        let query = sqlx::query(
            "INSERT INTO console_session (id, sealed, began_ms, used_ms) VALUES ($1, $2, $3, $3)",
        );
        query.bind(id).bind(sealed.to_vec()).bind(now_ms).execute(&mut *tx).await.map_err(failed)?;
        tx.commit().await.map_err(failed)
    }

    pub async fn console_session(&self, id: &str) -> Result<Option<ConsoleSessionRow>> {
        let query = sqlx::query("SELECT * FROM console_session WHERE id = $1").bind(id);
        let Some(row) = query.fetch_optional(self.pool()).await.map_err(failed)? else { return Ok(None) };
        Ok(Some(ConsoleSessionRow {
            sealed: row.try_get("sealed").map_err(failed)?,
            began_ms: row.try_get("began_ms").map_err(failed)?,
            used_ms: row.try_get("used_ms").map_err(failed)?,
        }))
    }

    /// Notes that a session was used now.
    pub async fn use_console_session(&self, id: &str) -> Result<()> {
        let mut tx = self.write().await?;
        let query = sqlx::query("UPDATE console_session SET used_ms = $1 WHERE id = $2");
        query.bind(self.now_ms()).bind(id).execute(&mut *tx).await.map_err(failed)?;
        tx.commit().await.map_err(failed)
    }

    pub async fn end_console_session(&self, id: &str) -> Result<()> {
        let mut tx = self.write().await?;
        let query = sqlx::query("DELETE FROM console_session WHERE id = $1").bind(id);
        query.execute(&mut *tx).await.map_err(failed)?;
        tx.commit().await.map_err(failed)
    }
}
