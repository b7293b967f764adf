//! The catalog looked at and never written, also while a server works on it: whose a run or a frame is.

use std::collections::BTreeMap;
use std::path::Path;
use std::str::FromStr;

use model::Origin;
use model::error::{Context, Result};
use percent_encoding::{NON_ALPHANUMERIC, percent_encode};
use sqlx::any::{AnyConnectOptions, AnyRow};
use sqlx::{AnyConnection, Connection, Row};

use crate::unknown_word;

/// A catalog in a file, open for reading.
pub struct Look(AnyConnection);

/// What is known of a run beside what it holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunSeen {
    pub dataset_id: i64,
    /// None when the dataset is gone.
    pub dataset_arn: Option<String>,
    pub origin: Origin,
    /// What is added to the sequence numbers in it.
    pub sequence_base: u64,
    /// Whether it is part of what the dataset holds now; else a job still reads it, or it is about to go.
    pub is_listed: bool,
    /// Whether the dataset's group has a key of KMS, under which it was sealed.
    pub has_group_key: bool,
}

impl Look {
    /// Opens a catalog that lies in a file.
    ///
    /// # Errors
    /// `Unavailable` when it can't be opened.
    pub async fn open(file: &Path) -> Result<Look> {
        let opening = || format!("open the catalog {}", file.display());
        sqlx::any::install_default_drivers();
        let file = std::path::absolute(file).unavailable(opening)?;
        let mut log = file.clone().into_os_string();
        log.push("-wal");
        // Without a log of changes nobody works on it, and nothing has to be made beside it to read it.
        let immutable = if Path::new(&log).exists() { "" } else { "&immutable=1" };
        let path = percent_encode(file.as_os_str().as_encoded_bytes(), NON_ALPHANUMERIC);
        let options = AnyConnectOptions::from_str(&format!("sqlite:{path}?mode=ro{immutable}"));
        let options = options.unavailable(opening)?;
        AnyConnection::connect_with(&options).await.map(Look).unavailable(opening)
    }

    /// What is known of the run in an object; `None` of one that is on no list.
    ///
    /// # Errors
    /// `Unavailable` when the catalog can't be read; `Corrupt` when it holds what nobody wrote.
    pub async fn run(&mut self, object: &str) -> Result<Option<RunSeen>> {
        let query = sqlx::query(
            "SELECT dataset_id, origin, sequence_base, listed, dataset.arn AS arn, kms_key_arn
             FROM run LEFT JOIN dataset ON dataset.id = dataset_id
             LEFT JOIN dataset_group ON dataset_group.arn = group_arn WHERE object = $1",
        );
        let row = query.bind(object).fetch_optional(&mut self.0).await.unavailable(reading)?;
        row.as_ref().map(run).transpose()
    }

    /// Numbers and sealed texts of former keys, in this order; an older catalog has none.
    ///
    /// # Errors
    /// `Unavailable` when the catalog can't be read.
    pub async fn former_keys(&mut self) -> Result<Vec<(i64, Vec<u8>)>> {
        let query = sqlx::query_scalar("SELECT count(*) FROM sqlite_master WHERE name = 'former_key'");
        let tables: i64 = query.fetch_one(&mut self.0).await.unavailable(reading)?;
        if tables == 0 {
            return Ok(Vec::new());
        }
        let query = sqlx::query_as("SELECT number, sealed FROM former_key ORDER BY number");
        query.fetch_all(&mut self.0).await.unavailable(reading)
    }

    /// The ARNs of all datasets, by the ids that frames of the log bear.
    ///
    /// # Errors
    /// As `run`.
    pub async fn datasets(&mut self) -> Result<BTreeMap<i64, String>> {
        let rows =
            sqlx::query("SELECT id, arn FROM dataset").fetch_all(&mut self.0).await.unavailable(reading)?;
        rows.iter()
            .map(|row| Ok((row.try_get("id")?, row.try_get("arn")?)))
            .collect::<sqlx::Result<_>>()
            .unavailable(reading)
    }
}

fn run(row: &AnyRow) -> Result<RunSeen> {
    let origin: String = row.try_get("origin").unavailable(reading)?;
    let base: i64 = row.try_get("sequence_base").unavailable(reading)?;
    let listed: i64 = row.try_get("listed").unavailable(reading)?;
    let key: Option<String> = row.try_get("kms_key_arn").unavailable(reading)?;
    Ok(RunSeen {
        dataset_id: row.try_get("dataset_id").unavailable(reading)?,
        dataset_arn: row.try_get("arn").unavailable(reading)?,
        origin: Origin::parse(&origin).ok_or_else(|| unknown_word("origin"))?,
        sequence_base: base.cast_unsigned(),
        is_listed: listed == 1,
        has_group_key: key.is_some(),
    })
}

fn reading() -> String {
    "read the catalog".to_owned()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use model::clock::SimulatedClock;

    use super::*;
    use crate::Catalog;

    #[tokio::test]
    async fn a_catalog_in_use_is_looked_at_and_not_changed() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("catalog.db");
        assert!(Look::open(&file).await.is_err());
        let catalog = Catalog::open(&file, Arc::new(SimulatedClock::new(0, 1))).await.unwrap();
        let insert = "INSERT INTO run (dataset_id, origin, schema_version, sequence_base, row_count, record_count, csv_bytes,
            object, size_bytes, listed, created_ms) VALUES (7, 'PUT', 1, 40, 1, 1, 1, 'a-1.parquet', 1, 1, 0)";
        let mut tx = catalog.write().await.unwrap();
        sqlx::query(insert).execute(&mut *tx).await.unwrap();
        tx.commit().await.unwrap();
        let mut look = Look::open(&file).await.unwrap();
        let seen = look.run("a-1.parquet").await.unwrap().unwrap();
        assert_eq!((seen.dataset_id, seen.origin, seen.sequence_base), (7, Origin::Put, 40));
        assert_eq!((seen.dataset_arn, seen.is_listed, seen.has_group_key), (None, true, false));
        assert_eq!(look.run("b").await.unwrap(), None);
        assert!(look.datasets().await.unwrap().is_empty() && look.former_keys().await.unwrap().is_empty());
        assert!(sqlx::query("DELETE FROM run").execute(&mut look.0).await.is_err());
    }
}
