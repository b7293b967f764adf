//! Snapshots: the state of a dataset that a job reads, pinned until the job ends.

use model::error::Result;
use model::{Arn, Durable};
use sqlx::{Any, Row};

use super::{Lease, Snapshot, claim, parse, text};
use crate::{Catalog, DatasetRow, RunRow, Transaction, dataset, failed, log_segment, not_found, run};

impl Catalog {
    /// Pins the state of a dataset for a job that runs; what an earlier attempt pinned stays as it is.
    ///
    /// `durable` is asked inside the transaction, as for an export.
    ///
    /// # Errors
    /// `NotFound` when the dataset is gone; `InUse` when the lease was lost.
    pub async fn pin(
        &self,
        lease: &Lease,
        dataset: &DatasetRow,
        durable: impl Fn() -> Durable + Send,
    ) -> Result<Snapshot> {
        let mut tx = self.write().await?;
        let query = sqlx::query_scalar("SELECT snapshot FROM job WHERE arn = $1").bind(lease.arn.as_str());
        let pinned: Option<Option<String>> = query.fetch_optional(&mut *tx).await.map_err(failed)?;
        if let Some(pinned) = pinned.flatten() {
            return parse(&pinned);
        }
        let query = sqlx::query("SELECT * FROM dataset WHERE id = $1").bind(dataset.id);
        let row = query.fetch_optional(&mut *tx).await.map_err(failed)?;
        let dataset = dataset::read(&row.ok_or_else(|| not_found("dataset", &dataset.arn))?)?;
        let moment = self.moment(&mut tx, durable).await?;
        let snapshot = take(&mut tx, &dataset, moment).await?;
        let query = sqlx::query(
            "UPDATE job SET snapshot = $1 WHERE arn = $2 AND fence = $3 AND status = 'CREATE IN_PROGRESS'",
        );
        let query = query.bind(text(&snapshot)?).bind(lease.arn.as_str()).bind(lease.fence);
        claim::held(query.execute(&mut *tx).await.map_err(failed)?.rows_affected())?;
        pin_runs(&mut tx, &lease.arn, dataset.id).await?;
        tx.commit().await.map_err(failed)?;
        Ok(snapshot)
    }

    /// The state of a dataset at this moment and its runs, oldest first. Nothing keeps them from going.
    ///
    /// # Errors
    /// `NotFound` when the dataset is gone.
    pub async fn snapshot_now(
        &self,
        dataset_id: i64,
        durable: impl Fn() -> Durable + Send,
    ) -> Result<(Snapshot, Vec<RunRow>)> {
        let mut tx = self.write().await?;
        let query = sqlx::query("SELECT * FROM dataset WHERE id = $1").bind(dataset_id);
        let row = query.fetch_optional(&mut *tx).await.map_err(failed)?;
        let gone =
            || model::Error::new(model::ErrorKind::NotFound, "The given dataset does not exist any more.");
        let dataset = dataset::read(&row.ok_or_else(gone)?)?;
        let moment = self.moment(&mut tx, durable).await?;
        let snapshot = take(&mut tx, &dataset, moment).await?;
        let query = sqlx::query("SELECT * FROM run WHERE dataset_id = $1 AND listed = 1 ORDER BY id");
        let runs = query.bind(dataset_id).fetch_all(&mut *tx).await.map_err(failed)?;
        Ok((snapshot, runs.iter().map(run::read).collect::<Result<_>>()?))
    }
}

/// How far the log goes when a snapshot is taken, and which numbers were given by then.
#[derive(Clone, Copy)]
pub(super) struct Moment {
    log_end: u64,
    sequence: u64,
    put_sequence: u64,
    taken_ms: i64,
}

impl Catalog {
    /// The moment of this transaction; `durable` tells how far a log goes whose order is not decided here.
    pub(super) async fn moment(
        &self,
        tx: &mut Transaction<'static, Any>,
        durable: impl Fn() -> Durable + Send,
    ) -> Result<Moment> {
        let taken_ms = self.now_ms();
        if self.orders_log {
            let (log_end, sequence) = log_segment::end(tx).await?;
            return Ok(Moment { log_end, sequence, put_sequence: sequence, taken_ms });
        }
        let Durable { position: log_end, sequence: durable } = durable();
        // Asked after the log: what is durable has smaller numbers.
        let sequence = self.sequencer.next();
        // What was put before the start was durable at the start.
        let put_sequence = durable.max(self.sequencer.first());
        Ok(Moment { log_end, sequence, put_sequence, taken_ms })
    }
}

/// The state of a dataset in this transaction.
pub(super) async fn take(
    tx: &mut Transaction<'static, Any>,
    dataset: &DatasetRow,
    moment: Moment,
) -> Result<Snapshot> {
    let Moment { log_end, sequence, put_sequence, taken_ms } = moment;
    let query = sqlx::query("SELECT document FROM schema WHERE arn = $1").bind(dataset.schema_arn.as_str());
    let schema: String = query.fetch_one(&mut **tx).await.and_then(|row| row.try_get(0)).map_err(failed)?;
    // A dataset made after the log's last flush starts at the beginning: the log knows which frames are its own.
    let log_to = log_end.max(dataset.flushed_position);
    let (layout, log_from) = (dataset.layout.clone(), dataset.flushed_position);
    let put_sequence = Some(put_sequence);
    Ok(Snapshot { layout, schema, log_from, log_to, sequence, put_sequence, taken_ms })
}

/// Pins the runs of a dataset: their objects stay until the job ends.
pub(super) async fn pin_runs(tx: &mut Transaction<'static, Any>, job: &Arn, dataset_id: i64) -> Result<()> {
    let query =
        sqlx::query("INSERT INTO run_pin SELECT $1, id FROM run WHERE dataset_id = $2 AND listed = 1");
    query.bind(job.as_str()).bind(dataset_id).execute(&mut **tx).await.map_err(failed).map(drop)
}
