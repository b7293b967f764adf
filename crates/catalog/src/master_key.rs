//! The mark of the master key: a text that it sealed, by which a start knows that it is the same one; and its change.

use model::error::Result;
use sqlx::AssertSqlSafe;

use crate::access_key::StoredSecret;
use crate::database::Dialect;
use crate::{Catalog, failed};

pub(crate) const TABLES: &str = "
CREATE TABLE IF NOT EXISTS master_key_mark (one INTEGER PRIMARY KEY CHECK (one = 1), sealed BLOB NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS former_key (number INTEGER PRIMARY KEY, sealed BLOB NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS objects_owner (one INTEGER PRIMARY KEY CHECK (one = 1), mark BLOB NOT NULL) STRICT;
";

/// Where texts lie that a master key sealed.
const SEALED_IN: [&str; 5] = ["access_key", "console_session", "former_key", "kms_key", "master_key_mark"];

/// All that is sealed anew when the master key changes.
pub struct MasterKeyChange {
    /// The new key's mark.
    pub mark: Vec<u8>,
    /// The ids of keys of KMS and their material.
    pub keys: Vec<(String, Vec<u8>)>,
    pub secrets: Vec<StoredSecret>,
    /// Former keys, the oldest first.
    pub former: Vec<Vec<u8>>,
}

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

    /// The mark of the first master key, by which objects in a bucket know whose they are.
    pub async fn owner_mark(&self) -> Result<Option<Vec<u8>>> {
        let query = sqlx::query_scalar("SELECT mark FROM objects_owner");
        match query.fetch_optional(self.pool()).await.map_err(failed)? {
            Some(mark) => Ok(Some(mark)),
            None => self.master_key_mark().await,
        }
    }

    /// Numbers from 1 and sealed texts of former keys, in this order.
    pub async fn former_keys(&self) -> Result<Vec<(i64, Vec<u8>)>> {
        let query = sqlx::query_as("SELECT number, sealed FROM former_key ORDER BY number");
        query.fetch_all(self.pool()).await.map_err(failed)
    }

    /// Puts what another master key sealed in the place of what the last one did: all of it or nothing. Sessions of the
    /// console end.
    ///
    /// # Errors
    /// `InUse` when the session of this process has ended: others use the catalog.
    pub async fn change_master_key(&self, change: &MasterKeyChange) -> Result<()> {
        let mut tx = self.write().await?;
        self.live_session(&mut tx).await?;
        for sql in [
            "INSERT INTO objects_owner SELECT 1, sealed FROM master_key_mark WHERE one = 1 ON CONFLICT DO NOTHING",
            "DELETE FROM console_session",
            "DELETE FROM former_key",
        ] {
            sqlx::query(sql).execute(&mut *tx).await.map_err(failed)?;
        }
        let query = sqlx::query("UPDATE master_key_mark SET sealed = $1").bind(&change.mark);
        query.execute(&mut *tx).await.map_err(failed)?;
        for (id, material) in &change.keys {
            let query = sqlx::query("UPDATE kms_key SET material = $1 WHERE id = $2").bind(material).bind(id);
            query.execute(&mut *tx).await.map_err(failed)?;
        }
        for secret in &change.secrets {
            let query = sqlx::query("UPDATE access_key SET secret_access_key = $1 WHERE access_key_id = $2");
            let query = query.bind(&secret.text).bind(&secret.access_key_id);
            query.execute(&mut *tx).await.map_err(failed)?;
        }
        for (number, sealed) in (1_i64..).zip(&change.former) {
            let query = sqlx::query("INSERT INTO former_key VALUES ($1, $2)").bind(number).bind(sealed);
            query.execute(&mut *tx).await.map_err(failed)?;
        }
        self.commit_identity(tx).await
    }

    /// Takes what earlier keys sealed out of the free pages of the database too.
    pub async fn forget_former_seals(&self) -> Result<()> {
        if self.dialect == Dialect::Sqlite {
            return self.rewrite().await;
        }
        for table in SEALED_IN {
            let query = sqlx::raw_sql(AssertSqlSafe(format!("VACUUM (FULL) {table}")));
            query.execute(&self.writer).await.map_err(failed)?;
        }
        Ok(())
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
