//! The region and account that all of a catalog's resources are of, fixed when the first node starts.

use model::Realm;
use model::error::{Error, Result};
use sqlx::Row;

use crate::{Catalog, failed};

pub(crate) const TABLES: &str = "
CREATE TABLE IF NOT EXISTS realm (one INTEGER PRIMARY KEY CHECK (one = 1), region TEXT NOT NULL, account TEXT NOT NULL) STRICT;
";

impl Catalog {
    /// `None` before the first node has started.
    pub async fn realm(&self) -> Result<Option<Realm>> {
        let query = sqlx::query("SELECT region, account FROM realm");
        let Some(row) = query.fetch_optional(self.pool()).await.map_err(failed)? else { return Ok(None) };
        let text = |column: &str| row.try_get::<String, _>(column).map_err(failed);
        Ok(Some(Realm { region: text("region")?, account: text("account")? }))
    }

    /// Fixes the realm, or checks that it is the one that was fixed.
    ///
    /// # Errors
    /// `Invalid` when it is another one.
    pub async fn settle_realm(&self, realm: &Realm) -> Result<()> {
        let mut tx = self.write().await?;
        let query =
            sqlx::query("INSERT INTO realm (one, region, account) VALUES (1, $1, $2) ON CONFLICT DO NOTHING");
        query.bind(&realm.region).bind(&realm.account).execute(&mut *tx).await.map_err(failed)?;
        tx.commit().await.map_err(failed)?;
        match self.realm().await? {
            Some(known) if known != *realm => Err(Error::invalid(format!(
                "the catalog is of region {} and account {}, and this server is of region {} and account {}: set \
                 region and account_id to those of the catalog, or name another catalog",
                known.region, known.account, realm.region, realm.account
            ))),
            _ => Ok(()),
        }
    }
}
