//! Nodes: the processes that work on this catalog, each in sessions of its own; one that is not seen for a while has ended.
//!
//! The transaction that ends a session hands back its jobs and deletes its attempts and duties, so that nothing which was
//! begun in it can be committed any more.

use std::sync::{Arc, PoisonError, RwLock};

use model::error::Result;
use sqlx::any::AnyRow;
use sqlx::{Any, Row};

use crate::change::{self, Changed};
use crate::{Catalog, Transaction, failed, in_use};

pub(crate) const TABLES: &str = "
CREATE TABLE IF NOT EXISTS node (
    id TEXT PRIMARY KEY, name TEXT NOT NULL, url TEXT NOT NULL, started_ms INTEGER NOT NULL, seen_ms INTEGER NOT NULL,
    ended_ms INTEGER, version TEXT NOT NULL, objects TEXT NOT NULL
) STRICT, WITHOUT ROWID;
";

/// A node that was not seen for so long has ended.
pub const SILENCE_MS: i64 = 10_000;
/// Sessions that ended so long ago are forgotten.
const KEPT_MS: i64 = 7 * 24 * 3_600_000;

/// What a node says of itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct About {
    pub name: String,
    /// Where it listens.
    pub url: String,
    pub version: String,
    /// Where it keeps objects: `file`, or the place that all nodes share.
    pub objects: String,
}

/// A node that lives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeRow {
    /// Of its session.
    pub id: String,
    pub about: About,
    pub started_ms: i64,
    pub seen_ms: i64,
    /// The ARNs of the jobs that it runs.
    pub jobs: Vec<String>,
}

/// What came of telling that a node lives.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pulse {
    /// Whether the node had ended meanwhile, and has begun a session anew.
    pub is_anew: bool,
    /// The sessions that were ended because nobody had seen their nodes.
    pub ended: Vec<String>,
}

/// The session of this process, as all handles to its catalog know it.
#[derive(Clone, Default)]
pub(crate) struct Session(Arc<RwLock<Known>>);

#[derive(Clone, Default)]
struct Known {
    id: String,
    about: About,
}

impl Session {
    fn known(&self) -> Known {
        self.0.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn set(&self, known: Known) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = known;
    }
}

impl Catalog {
    /// The session of this node: another one once it was ended behind the node's back.
    pub fn node(&self) -> String {
        self.session.known().id
    }

    /// Begins the session of a process that has just opened the catalog.
    pub(crate) async fn begin_session(&self) -> Result<()> {
        let mut tx = self.write().await?;
        let id = self.unused_id(&mut tx).await?;
        let now_ms = self.shared_now_ms(&mut tx).await?;
        if !self.is_shared {
            end_all(&mut tx, now_ms).await?;
        }
        insert(&mut tx, &id, &About::default(), now_ms).await?;
        forget(&mut tx, now_ms).await?;
        tx.commit().await.map_err(failed)?;
        self.session.set(Known { id, about: About::default() });
        Ok(())
    }

    /// Tells the others who this node is, and checks that it can work beside them.
    ///
    /// # Errors
    /// `InUse` when nodes live that keep their objects elsewhere, or this one or another keeps them to itself.
    pub async fn introduce(&self, about: About) -> Result<()> {
        let id = self.node();
        let mut tx = self.write().await?;
        let now_ms = self.shared_now_ms(&mut tx).await?;
        end_silent(&mut tx, &id, now_ms).await?;
        fits(&mut tx, &id, &about).await?;
        let query =
            sqlx::query("UPDATE node SET name = $1, url = $2, version = $3, objects = $4 WHERE id = $5");
        let query =
            query.bind(&about.name).bind(&about.url).bind(&about.version).bind(&about.objects).bind(&id);
        query.execute(&mut *tx).await.map_err(failed)?;
        tx.commit().await.map_err(failed)?;
        self.session.set(Known { id, about });
        Ok(())
    }

    /// Tells that this node lives, and ends those that have not for a while; begins a session anew when this one's was
    /// ended.
    ///
    /// # Errors
    /// `InUse` when it can't work beside those that live by now.
    pub async fn tell_alive(&self) -> Result<Pulse> {
        let mut known = self.session.known();
        let mut tx = self.write().await?;
        let now_ms = self.shared_now_ms(&mut tx).await?;
        let query = sqlx::query("UPDATE node SET seen_ms = $1 WHERE id = $2 AND ended_ms IS NULL");
        let seen = query.bind(now_ms).bind(&known.id).execute(&mut *tx).await.map_err(failed)?;
        let is_anew = seen.rows_affected() == 0;
        let ended = end_silent(&mut tx, &known.id, now_ms).await?;
        if is_anew {
            known.id = self.unused_id(&mut tx).await?;
            fits(&mut tx, &known.id, &known.about).await?;
            insert(&mut tx, &known.id, &known.about, now_ms).await?;
            forget(&mut tx, now_ms).await?;
        }
        tx.commit().await.map_err(failed)?;
        if is_anew {
            self.session.set(known);
        }
        Ok(Pulse { is_anew, ended })
    }

    /// Whether the session of this node lives.
    pub async fn is_alive(&self) -> Result<bool> {
        let query = sqlx::query_scalar("SELECT count(*) FROM node WHERE id = $1 AND ended_ms IS NULL");
        let live: i64 = query.bind(self.node()).fetch_one(self.pool()).await.map_err(failed)?;
        Ok(live > 0)
    }

    /// Ends the session of this node: others take its jobs over at once.
    pub async fn end_session(&self) -> Result<()> {
        let mut tx = self.write().await?;
        let now_ms = self.shared_now_ms(&mut tx).await?;
        end(&mut tx, &self.node(), now_ms).await?;
        tx.commit().await.map_err(failed)
    }

    /// The nodes that live, in the order in which they began, with the jobs that they run.
    pub async fn nodes(&self) -> Result<Vec<NodeRow>> {
        let query = sqlx::query("SELECT * FROM node WHERE ended_ms IS NULL ORDER BY started_ms, id");
        let rows = query.fetch_all(self.pool()).await.map_err(failed)?;
        let mut nodes = rows.iter().map(read).collect::<Result<Vec<_>>>()?;
        let query = sqlx::query(
            "SELECT arn, node FROM job WHERE status = 'CREATE IN_PROGRESS' AND node IS NOT NULL ORDER BY number",
        );
        for row in query.fetch_all(self.pool()).await.map_err(failed)? {
            let (arn, node): (String, String) =
                (row.try_get("arn").map_err(failed)?, row.try_get("node").map_err(failed)?);
            if let Some(node) = nodes.iter_mut().find(|known| known.id == node) {
                node.jobs.push(arn);
            }
        }
        Ok(nodes)
    }

    // A clock of a test may have the same chance twice.
    async fn unused_id(&self, tx: &mut Transaction<'static, Any>) -> Result<String> {
        loop {
            let id = self.clock.hex(16);
            let query = sqlx::query_scalar("SELECT count(*) FROM node WHERE id = $1").bind(&id);
            let known: i64 = query.fetch_one(&mut **tx).await.map_err(failed)?;
            if known == 0 {
                return Ok(id);
            }
        }
    }

    /// The time by which nodes, leases and duties are held against each other: on a server of PostgreSQL its own, as the
    /// clocks of nodes differ.
    pub(crate) async fn shared_now_ms(&self, tx: &mut Transaction<'static, Any>) -> Result<i64> {
        if self.has_own_time {
            return Ok(self.now_ms());
        }
        let query = sqlx::query_scalar("SELECT CAST(extract(epoch FROM clock_timestamp()) * 1000 AS BIGINT)");
        query.fetch_one(&mut **tx).await.map_err(failed)
    }

    /// The session of this node, which has not ended in this transaction.
    ///
    /// # Errors
    /// `InUse` when it has.
    pub(crate) async fn live_session(&self, tx: &mut Transaction<'static, Any>) -> Result<String> {
        let id = self.node();
        check_live(tx, &id).await?;
        Ok(id)
    }
}

/// Refuses what was begun in a session that has ended.
///
/// # Errors
/// `InUse`.
pub(crate) async fn check_live(tx: &mut Transaction<'static, Any>, id: &str) -> Result<()> {
    let query = sqlx::query_scalar("SELECT count(*) FROM node WHERE id = $1 AND ended_ms IS NULL").bind(id);
    let live: i64 = query.fetch_one(&mut **tx).await.map_err(failed)?;
    if live == 0 {
        Err(in_use("this node was not seen for a while, and what it had begun was ended"))
    } else {
        Ok(())
    }
}

// A node that keeps its objects to itself works alone; those that share them share one place.
async fn fits(tx: &mut Transaction<'static, Any>, id: &str, about: &About) -> Result<()> {
    let query =
        sqlx::query("SELECT * FROM node WHERE ended_ms IS NULL AND id <> $1 AND objects <> ''").bind(id);
    for row in query.fetch_all(&mut **tx).await.map_err(failed)? {
        let other = read(&row)?.about;
        let who = if other.url.is_empty() { other.name } else { format!("{} ({})", other.name, other.url) };
        if about.objects == FILE || other.objects == FILE {
            return Err(in_use(format!(
                "another node works on this catalog: {who}. With objects = \"file\" there can only be one: stop the other, \
                 or set objects = \"s3://BUCKET/PREFIX\" on all of them. One that was killed is given up after {} s.",
                SILENCE_MS / 1000
            )));
        }
        if about.objects != other.objects {
            return Err(in_use(format!(
                "the node {who} on this catalog has objects = \"{}\", and this one has \"{}\": set the same place on all nodes",
                other.objects, about.objects
            )));
        }
    }
    Ok(())
}

const FILE: &str = "file";

async fn insert(tx: &mut Transaction<'static, Any>, id: &str, about: &About, now_ms: i64) -> Result<()> {
    let query = sqlx::query(
        "INSERT INTO node (id, name, url, started_ms, seen_ms, version, objects) VALUES ($1, $2, $3, $4, $4, $5, $6)",
    );
    let query = query.bind(id).bind(&about.name).bind(&about.url).bind(now_ms);
    let query = query.bind(&about.version).bind(&about.objects);
    query.execute(&mut **tx).await.map_err(failed).map(drop)
}

/// Ends the other nodes that nobody has seen for a while; tells which.
async fn end_silent(tx: &mut Transaction<'static, Any>, id: &str, now_ms: i64) -> Result<Vec<String>> {
    // A clock that was set back gives nobody a longer life.
    let query =
        sqlx::query("UPDATE node SET seen_ms = $1 WHERE seen_ms > $1 AND ended_ms IS NULL").bind(now_ms);
    query.execute(&mut **tx).await.map_err(failed)?;
    let query =
        sqlx::query_scalar("SELECT id FROM node WHERE ended_ms IS NULL AND seen_ms < $1 AND id <> $2");
    let query = query.bind(now_ms - SILENCE_MS).bind(id);
    let silent: Vec<String> = query.fetch_all(&mut **tx).await.map_err(failed)?;
    for id in &silent {
        end(tx, id, now_ms).await?;
    }
    Ok(silent)
}

/// Ends a session: its jobs can be claimed, and nothing that it began can be committed.
async fn end(tx: &mut Transaction<'static, Any>, id: &str, now_ms: i64) -> Result<()> {
    for sql in [
        "UPDATE job SET lease_until_ms = 0, fence = fence + 1, node = NULL
         WHERE status = 'CREATE IN_PROGRESS' AND node = $1",
        "DELETE FROM attempt WHERE node = $1",
        "DELETE FROM duty WHERE node = $1",
    ] {
        sqlx::query(sql).bind(id).execute(&mut **tx).await.map_err(failed)?;
    }
    let query = sqlx::query("UPDATE node SET ended_ms = $1 WHERE id = $2 AND ended_ms IS NULL");
    query.bind(now_ms).bind(id).execute(&mut **tx).await.map_err(failed)?;
    change::note(tx, Changed::Job).await
}

/// Ends all sessions: nobody else has the catalog open.
async fn end_all(tx: &mut Transaction<'static, Any>, now_ms: i64) -> Result<()> {
    for sql in [
        "UPDATE job SET lease_until_ms = 0, fence = fence + 1, node = NULL WHERE status = 'CREATE IN_PROGRESS'",
        "DELETE FROM attempt",
        "DELETE FROM duty",
    ] {
        sqlx::query(sql).execute(&mut **tx).await.map_err(failed)?;
    }
    let query = sqlx::query("UPDATE node SET ended_ms = $1 WHERE ended_ms IS NULL").bind(now_ms);
    query.execute(&mut **tx).await.map_err(failed).map(drop)
}

async fn forget(tx: &mut Transaction<'static, Any>, now_ms: i64) -> Result<()> {
    let query = sqlx::query("DELETE FROM node WHERE ended_ms < $1").bind(now_ms - KEPT_MS);
    query.execute(&mut **tx).await.map_err(failed).map(drop)
}

fn read(row: &AnyRow) -> Result<NodeRow> {
    let text = |column: &str| row.try_get::<String, _>(column).map_err(failed);
    Ok(NodeRow {
        id: text("id")?,
        about: About {
            name: text("name")?,
            url: text("url")?,
            version: text("version")?,
            objects: text("objects")?,
        },
        started_ms: row.try_get("started_ms").map_err(failed)?,
        seen_ms: row.try_get("seen_ms").map_err(failed)?,
        jobs: Vec::new(),
    })
}
