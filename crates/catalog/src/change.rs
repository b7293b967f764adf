//! Changes by other nodes: numbers that the changing transactions move, so that whoever keeps what it read learns that it
//! is out of date.

use std::sync::atomic::Ordering;

use model::error::Result;
use sqlx::{Any, Row};

use crate::{Catalog, Transaction, failed};

pub(crate) const TABLES: &str = "
INSERT INTO counter (name, value) VALUES ('identity', 1), ('dataset', 1), ('job', 1) ON CONFLICT DO NOTHING;
";

/// Who has not looked for so long asks the catalog before it believes what it keeps.
const BEHIND_MS: i64 = 1_000;

/// What a transaction has changed.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Changed {
    /// Users, access keys, roles and policies.
    Identity,
    /// Datasets, their schemas, and event trackers.
    Dataset,
    /// Jobs that can be claimed.
    Job,
}

/// How often each was changed since the catalog was made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Changes {
    pub identity: i64,
    pub dataset: i64,
    pub job: i64,
}

/// To be called in each transaction that changes what others keep.
pub(crate) async fn note(tx: &mut Transaction<'static, Any>, changed: Changed) -> Result<()> {
    let name = match changed {
        Changed::Identity => "identity",
        Changed::Dataset => "dataset",
        Changed::Job => "job",
    };
    let query = sqlx::query("UPDATE counter SET value = value + 1 WHERE name = $1").bind(name);
    query.execute(&mut **tx).await.map_err(failed).map(drop)
}

impl Catalog {
    /// Commits a transaction that changes what others keep.
    pub(crate) async fn commit_change(&self, mut tx: Transaction<'static, Any>, what: Changed) -> Result<()> {
        note(&mut tx, what).await?;
        tx.commit().await.map_err(failed)
    }

    /// Whether other nodes may change the catalog too.
    pub fn is_shared(&self) -> bool {
        self.is_shared
    }

    /// Looks how often the catalog was changed, by whichever node. What is read after this is at least as new.
    pub async fn changes(&self) -> Result<Changes> {
        // The time before the look: what is found may be as old.
        let now_ms = self.now_ms();
        let query = sqlx::query("SELECT name, value FROM counter");
        let mut changes = Changes::default();
        for row in query.fetch_all(self.pool()).await.map_err(failed)? {
            let value: i64 = row.try_get("value").map_err(failed)?;
            match row.try_get::<String, _>("name").map_err(failed)?.as_str() {
                "identity" => changes.identity = value,
                "dataset" => changes.dataset = value,
                "job" => changes.job = value,
                _ => {}
            }
        }
        if self.identity_seen.swap(changes.identity, Ordering::AcqRel) != changes.identity {
            self.identity_generation.fetch_add(1, Ordering::AcqRel);
        }
        self.looked_ms.store(now_ms, Ordering::Release);
        Ok(changes)
    }

    /// Whether other nodes may have changed something a while ago that this one has not heard of: it did not look, as
    /// it was stopped, or the catalog does not answer.
    pub fn is_behind(&self) -> bool {
        self.is_shared && (self.now_ms() - self.looked_ms.load(Ordering::Acquire)).abs() >= BEHIND_MS
    }
}
