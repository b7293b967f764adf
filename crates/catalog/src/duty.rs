//! Duties: what one node at a time should do, such as compacting a dataset. They save work; that nothing is done twice is
//! for the transactions to see to.

use model::error::Result;

use crate::{Catalog, failed};

pub(crate) const TABLES: &str = "
CREATE TABLE IF NOT EXISTS duty (name TEXT PRIMARY KEY, node TEXT NOT NULL, until_ms INTEGER NOT NULL) STRICT;
";

impl Catalog {
    /// Takes a duty for `life_ms`, or keeps it for so long; false while another node has it.
    ///
    /// A duty ends with the session of its node at the latest. Where there are no other nodes, none is asked for.
    pub async fn take_duty(&self, name: &str, life_ms: i64) -> Result<bool> {
        if !self.is_shared {
            return Ok(true);
        }
        let mut tx = self.write().await?;
        let node = self.live_session(&mut tx).await?;
        let now_ms = self.shared_now_ms(&mut tx).await?;
        // One that ends later than any that is given now was given before the clock was set back.
        let taken = sqlx::query(
            "INSERT INTO duty (name, node, until_ms) VALUES ($1, $2, $3)
             ON CONFLICT (name) DO UPDATE SET node = excluded.node, until_ms = excluded.until_ms
             WHERE duty.node = excluded.node OR duty.until_ms <= $4 OR duty.until_ms > $4 + 2 * ($3 - $4)",
        );
        let taken = taken.bind(name).bind(&node).bind(now_ms + life_ms).bind(now_ms);
        let taken = taken.execute(&mut *tx).await.map_err(failed)?;
        tx.commit().await.map_err(failed)?;
        Ok(taken.rows_affected() > 0)
    }

    /// Gives a duty up, if it is this node's.
    pub async fn leave_duty(&self, name: &str) -> Result<()> {
        if !self.is_shared {
            return Ok(());
        }
        let mut tx = self.write().await?;
        let query = sqlx::query("DELETE FROM duty WHERE name = $1 AND node = $2");
        query.bind(name).bind(self.node()).execute(&mut *tx).await.map_err(failed)?;
        tx.commit().await.map_err(failed)
    }
}
