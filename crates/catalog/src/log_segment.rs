//! The order of the log that nodes share: a row for each segment, placed by two counters that one short transaction moves.
//!
//! Rows of segments that left the log stay for a while, so that a node which did not hear of a commit can't make it twice.

use model::error::{Error, Result};
use model::segment::{Held, NewSegment, Place, Segment, Segments};
use sqlx::any::AnyRow;
use sqlx::{Any, Row};

use crate::{Catalog, Transaction, failed, in_use};

/// `forgotten_ms` is null while the segment is part of the log; once it is not, its object goes, then `is_cleared` is 1.
pub(crate) const TABLES: &str = "
INSERT INTO counter (name, value) VALUES ('log', 0) ON CONFLICT DO NOTHING;
CREATE TABLE IF NOT EXISTS log_segment (
    object TEXT PRIMARY KEY, node TEXT NOT NULL, start_position INTEGER NOT NULL, end_position INTEGER NOT NULL,
    sequence_base INTEGER NOT NULL, is_again INTEGER NOT NULL, holds TEXT NOT NULL, forgotten_ms INTEGER,
    is_cleared INTEGER NOT NULL
) STRICT;
CREATE INDEX IF NOT EXISTS log_segment_start ON log_segment (is_cleared, start_position);
";

/// No node asks again about a segment that was forgotten so long ago.
const KEPT_MS: i64 = 600_000;

impl Catalog {
    /// The number that the next record will get; every record that shows by now has a smaller one.
    pub async fn next_sequence(&self) -> Result<u64> {
        if !self.orders_log {
            return Ok(self.sequencer.next());
        }
        let query = sqlx::query_scalar("SELECT value FROM counter WHERE name = 'sequence'");
        let next: i64 = query.fetch_one(self.pool()).await.map_err(failed)?;
        Ok(next.cast_unsigned())
    }

    /// The same in a transaction.
    pub(crate) async fn next_in(&self, tx: &mut Transaction<'static, Any>) -> Result<u64> {
        if self.orders_log { Ok(end(tx).await?.1) } else { Ok(self.sequencer.next()) }
    }

    /// Refuses to let a log begin anew where another one has been.
    ///
    /// # Errors
    /// `Invalid` when datasets were flushed from a log of the other kind, or hold records in one.
    pub async fn check_log(&self) -> Result<()> {
        let query = sqlx::query_as(
            "SELECT (SELECT value FROM counter WHERE name = 'log'), (SELECT max(flushed_position) FROM dataset)",
        );
        let (end, flushed): (i64, Option<i64>) = query.fetch_one(self.pool()).await.map_err(failed)?;
        let text = match self.orders_log {
            true if flushed > Some(end) => {
                "the records of this catalog were put into files: the setting objects can't be changed from file any more"
            }
            false if end > 0 => {
                "the records of this catalog were put into a bucket: the setting objects can't be changed to file any more"
            }
            _ => return Ok(()),
        };
        Err(Error::invalid(text))
    }

    /// Gives a segment its place at the end of the log, and its records their numbers; one that has its place keeps it.
    ///
    /// `None` when the session of its node has ended, or it was withdrawn: it never gets a place.
    ///
    /// # Errors
    /// `InUse` when its records were written before, and a data deletion job counts on where they are.
    pub async fn add_log_segment(&self, new: &NewSegment) -> Result<Option<Place>> {
        // The counters' rows alone put ordinary segments in order; the others must not meet a job that begins.
        let is_again = new.again_from.is_some();
        let mut tx = if is_again { self.write().await? } else { self.write_beside().await? };
        let size = i64::try_from(new.size_bytes).map_err(|_| too_large())?;
        let end = moved(&mut tx, "log", size).await?;
        // Asked behind the lock that a lost commit may still hold.
        if let Some(known) = known(&mut tx, &new.object).await? {
            return Ok(known);
        }
        // Written to, so that whoever ends the session at this moment waits, or this does.
        let live = sqlx::query("UPDATE node SET seen_ms = seen_ms WHERE id = $1 AND ended_ms IS NULL");
        let live = live.bind(&new.node).execute(&mut *tx).await.map_err(failed)?;
        if live.rows_affected() == 0 {
            return Ok(None);
        }
        if let Some(from) = new.again_from {
            check_again(&mut tx, &new.holds, from).await?;
        }
        let sequence_base = match is_again {
            true => 0,
            false => draw(&mut tx, new.numbers).await?,
        };
        let start = end - size;
        let holds = serde_json::to_string(&new.holds)
            .map_err(|e| Error::internal("write what a segment of the log holds").caused_by(e))?;
        let query = sqlx::query("INSERT INTO log_segment VALUES ($1, $2, $3, $4, $5, $6, $7, NULL, 0)");
        let query = query.bind(&new.object).bind(&new.node).bind(start).bind(end);
        let query = query.bind(sequence_base.cast_signed()).bind(i64::from(is_again)).bind(holds);
        query.execute(&mut *tx).await.map_err(failed)?;
        tx.commit().await.map_err(failed)?;
        Ok(Some(Place { start: start.cast_unsigned(), sequence_base }))
    }

    /// Sees to it that a segment which has no place never gets one; gives the place of one that has it.
    pub async fn withdraw_log_segment(&self, object: &str) -> Result<Option<Place>> {
        let mut tx = self.write_beside().await?;
        moved(&mut tx, "log", 0).await?;
        if let Some(known) = known(&mut tx, object).await? {
            return Ok(known);
        }
        let query = sqlx::query("INSERT INTO log_segment VALUES ($1, '', -1, -1, 0, 0, '[]', $2, 1)");
        query.bind(object).bind(self.now_ms()).execute(&mut *tx).await.map_err(failed)?;
        tx.commit().await.map_err(failed)?;
        Ok(None)
    }

    /// Whether a segment is part of the log.
    pub async fn has_log_segment(&self, object: &str) -> Result<bool> {
        let query =
            sqlx::query_scalar("SELECT count(*) FROM log_segment WHERE object = $1 AND forgotten_ms IS NULL");
        let count: i64 = query.bind(object).fetch_one(self.pool()).await.map_err(failed)?;
        Ok(count > 0)
    }

    /// The segments that start at `from` or behind it.
    pub async fn log_segments(&self, from: u64) -> Result<Segments> {
        let mut connection = self.pool().acquire().await.map_err(failed)?;
        let query = sqlx::query(
            "SELECT (SELECT value FROM counter WHERE name = 'log') AS log_end,
                    (SELECT value FROM counter WHERE name = 'sequence') AS sequence,
                    (SELECT min(start_position) FROM log_segment WHERE is_cleared = 0) AS log_start",
        );
        let row = query.fetch_one(&mut *connection).await.map_err(failed)?;
        let end: i64 = row.try_get("log_end").map_err(failed)?;
        let start: Option<i64> = row.try_get("log_start").map_err(failed)?;
        let sequence: i64 = row.try_get("sequence").map_err(failed)?;
        // What came meanwhile is left for the next time.
        let query = sqlx::query(
            "SELECT * FROM log_segment WHERE is_cleared = 0 AND start_position >= $1 AND start_position < $2
             ORDER BY start_position",
        );
        let rows =
            query.bind(from.cast_signed()).bind(end).fetch_all(&mut *connection).await.map_err(failed)?;
        Ok(Segments {
            start: start.unwrap_or(end).cast_unsigned(),
            end: end.cast_unsigned(),
            sequence: sequence.cast_unsigned(),
            segments: rows.iter().map(read).collect::<Result<_>>()?,
        })
    }

    /// Takes the segments that end at or before a position out of the log; gives all whose objects are to be deleted.
    pub async fn forget_log_segments(&self, before: u64) -> Result<Vec<String>> {
        let mut tx = self.write().await?;
        let query = sqlx::query(
            "UPDATE log_segment SET forgotten_ms = $1
             WHERE forgotten_ms IS NULL AND is_cleared = 0 AND end_position <= $2",
        );
        let query = query.bind(self.now_ms()).bind(before.cast_signed());
        query.execute(&mut *tx).await.map_err(failed)?;
        let query = sqlx::query_scalar(
            "SELECT object FROM log_segment WHERE is_cleared = 0 AND forgotten_ms IS NOT NULL
             ORDER BY start_position",
        );
        let objects = query.fetch_all(&mut *tx).await.map_err(failed)?;
        tx.commit().await.map_err(failed)?;
        Ok(objects)
    }

    /// Notes that the objects of forgotten segments are deleted.
    pub async fn clear_log_segments(&self, objects: &[String]) -> Result<()> {
        let mut tx = self.write().await?;
        for object in objects {
            let query = sqlx::query(
                "UPDATE log_segment SET is_cleared = 1 WHERE object = $1 AND forgotten_ms IS NOT NULL",
            );
            query.bind(object).execute(&mut *tx).await.map_err(failed)?;
        }
        let query = sqlx::query("DELETE FROM log_segment WHERE is_cleared = 1 AND forgotten_ms < $1");
        query.bind(self.now_ms() - KEPT_MS).execute(&mut *tx).await.map_err(failed)?;
        tx.commit().await.map_err(failed)
    }

    /// Of these objects of the log, those that no row needs and none ever will: their sessions have ended, or are this
    /// node's own.
    pub async fn unplaced_log_segments(&self, objects: &[String]) -> Result<Vec<String>> {
        let own = self.node();
        // In this order: a session that has ended adds no row any more.
        let query = sqlx::query_scalar("SELECT id FROM node WHERE ended_ms IS NULL");
        let live: Vec<String> = query.fetch_all(self.pool()).await.map_err(failed)?;
        let query = sqlx::query_scalar("SELECT object FROM log_segment WHERE is_cleared = 0");
        let placed: Vec<String> = query.fetch_all(self.pool()).await.map_err(failed)?;
        let placed: std::collections::HashSet<&str> = placed.iter().map(String::as_str).collect();
        let is_of = |object: &str, node: &str| object.split('/').rev().nth(1) == Some(node);
        let may_come = |object: &str| live.iter().any(|node| *node != own && is_of(object, node));
        let is_unplaced = |object: &&String| !placed.contains(object.as_str()) && !may_come(object);
        Ok(objects.iter().filter(is_unplaced).cloned().collect())
    }
}

/// Moves a counter, and holds it until the transaction ends; its new value.
async fn moved(tx: &mut Transaction<'static, Any>, counter: &str, by: i64) -> Result<i64> {
    let query = sqlx::query_scalar("UPDATE counter SET value = value + $1 WHERE name = $2 RETURNING value");
    query.bind(by).bind(counter).fetch_one(&mut **tx).await.map_err(failed)
}

/// Draws sequence numbers that nobody else ever gets, in the order in which transactions end; the first of them.
pub(crate) async fn draw(tx: &mut Transaction<'static, Any>, count: u64) -> Result<u64> {
    let count = i64::try_from(count).map_err(|_| too_large())?;
    Ok((moved(tx, "sequence", count).await? - count).cast_unsigned())
}

/// How far the log goes in this transaction, and the number that its next record gets.
pub(crate) async fn end(tx: &mut Transaction<'static, Any>) -> Result<(u64, u64)> {
    // One statement, so that both are of one moment.
    let query = sqlx::query_as(
        "SELECT (SELECT value FROM counter WHERE name = 'log'), (SELECT value FROM counter WHERE name = 'sequence')",
    );
    let (position, sequence): (i64, i64) = query.fetch_one(&mut **tx).await.map_err(failed)?;
    Ok((position.cast_unsigned(), sequence.cast_unsigned()))
}

// A segment that has its place, or was withdrawn.
async fn known(tx: &mut Transaction<'static, Any>, object: &str) -> Result<Option<Option<Place>>> {
    let query = sqlx::query_as("SELECT start_position, sequence_base FROM log_segment WHERE object = $1");
    let found: Option<(i64, i64)> = query.bind(object).fetch_optional(&mut **tx).await.map_err(failed)?;
    Ok(found.map(|(start, sequence_base)| {
        let (start, sequence_base) = (u64::try_from(start).ok()?, sequence_base.cast_unsigned());
        Some(Place { start, sequence_base })
    }))
}

// Records that a job is about to delete, or that somebody has moved to a run, must not show up behind that.
async fn check_again(tx: &mut Transaction<'static, Any>, holds: &[Held], from: u64) -> Result<()> {
    for held in holds {
        let query = sqlx::query_scalar("SELECT flushed_position FROM dataset WHERE id = $1");
        let query = query.bind(held.dataset_id.cast_signed());
        let flushed: Option<i64> = query.fetch_optional(&mut **tx).await.map_err(failed)?;
        if flushed.is_none_or(|flushed| flushed.cast_unsigned() > from) {
            return Err(in_use("the records were moved to a run meanwhile"));
        }
        let query = sqlx::query_scalar(
            "SELECT count(*) FROM job JOIN dataset ON dataset.group_arn = job.subject_arn
             WHERE dataset.id = $1 AND job.kind = 'DELETION' AND job.plan IS NULL
             AND job.status IN ('CREATE PENDING', 'CREATE IN_PROGRESS')",
        );
        let query = query.bind(held.dataset_id.cast_signed());
        let count: i64 = query.fetch_one(&mut **tx).await.map_err(failed)?;
        if count > 0 {
            return Err(in_use("a data deletion job of the dataset group has begun"));
        }
    }
    Ok(())
}

/// Refuses to flush a dataset up to a position behind which some of the same records lie once more.
///
/// # Errors
/// `InUse`: a flush up to the log's end takes both for one.
pub(crate) async fn check_not_again(
    tx: &mut Transaction<'static, Any>,
    dataset_id: i64,
    to: u64,
) -> Result<()> {
    let query = sqlx::query(
        "SELECT * FROM log_segment WHERE is_again = 1 AND forgotten_ms IS NULL AND start_position >= $1",
    );
    for row in query.bind(to.cast_signed()).fetch_all(&mut **tx).await.map_err(failed)? {
        if read(&row)?.holds.iter().any(|held| held.dataset_id == dataset_id.cast_unsigned()) {
            return Err(in_use("records of the dataset are just being written again"));
        }
    }
    Ok(())
}

fn read(row: &AnyRow) -> Result<Segment> {
    let number = |column: &str| row.try_get::<i64, _>(column).map(i64::cast_unsigned).map_err(failed);
    let (start, end) = (number("start_position")?, number("end_position")?);
    let holds: String = row.try_get("holds").map_err(failed)?;
    Ok(Segment {
        object: row.try_get("object").map_err(failed)?,
        place: Place { start, sequence_base: number("sequence_base")? },
        size_bytes: end - start,
        is_again: number("is_again")? != 0,
        holds: serde_json::from_str(&holds)
            .map_err(|e| Error::corrupt("what a segment of the log holds can't be read").caused_by(e))?,
    })
}

fn too_large() -> Error {
    Error::invalid("too many records at once")
}
