//! Some records of a dataset, read at once: those of one id, or a few that show what it holds.

use std::sync::{Arc, Weak};

use catalog::{DatasetRow, RunRow, Snapshot};
use engine::look::Look;
use model::error::{Error, ErrorKind, Result};
use model::lookup::{Found, FoundRecord, Lookup};
use model::record::Value;
use model::{IngestionMode, Origin};
use store::OpenRun;
use store::tail::read_newest;

use crate::snapshot::check_kept;
use crate::{Parts, blocking};

/// Runs and segments may go while they are read, because nothing pins them; then the list is another.
const ATTEMPTS: u32 = 5;

/// Looks up records of what a dataset holds now; it stops soon when nobody waits for the answer any more.
///
/// # Errors
/// `NotFound` when the dataset is gone; `Invalid` when the key of its group can't be used; `Unavailable` and `Corrupt`
/// when what it holds can't be read.
pub async fn look(parts: &Arc<Parts>, dataset: &DatasetRow, lookup: Lookup) -> Result<Found> {
    let parts = parts.of_dataset(dataset).await?;
    let (asker, lookup) = (Arc::new(()), Arc::new(lookup));
    let mut attempt = 1;
    loop {
        let (snapshot, runs) = parts.catalog.snapshot_now(dataset.id, || parts.log.settled()).await?;
        let log_from = snapshot.log_from;
        let shelf = Shelf { parts: parts.clone(), dataset_id: dataset.id, snapshot, runs };
        let (lookup, asker) = (lookup.clone(), Arc::downgrade(&asker));
        let looked = match blocking(move || shelf.look(&lookup, &asker)).await {
            Ok(found) => check_kept(&parts, dataset.id, log_from).await.map(|()| found),
            refused => refused,
        };
        match looked {
            Err(cause) if attempt < ATTEMPTS && cause.kind != ErrorKind::Invalid => attempt += 1,
            answer => return answer,
        }
    }
}

/// What a dataset holds at one moment.
struct Shelf {
    parts: Arc<Parts>,
    dataset_id: i64,
    snapshot: Snapshot,
    runs: Vec<RunRow>,
}

impl Shelf {
    fn look(&self, lookup: &Lookup, asker: &Weak<()>) -> Result<Found> {
        let check = || match asker.strong_count() {
            0 => Err(Error::new(ErrorKind::Invalid, "whoever asked for records has gone")),
            _ => Ok(()),
        };
        let Lookup { id, mode, limit } = lookup;
        let begin = |origin, limit| Look::new(&self.snapshot.layout, id.as_deref(), origin, limit, &check);
        let mut put = begin(Origin::Put, *limit);
        self.look_at_put(&mut put, *mode, id.is_some())?;
        // Of one id the newest are wanted; else each way gets its part, so that both are seen.
        let left = if id.is_some() { limit - put.count() } else { *limit };
        let mut bulk = begin(Origin::Bulk, left);
        for run in self.open(Origin::Bulk, *mode) {
            if id.is_some() { bulk.find(&run?)? } else { bulk.first(&run?)? }
        }
        let columns = self.snapshot.layout.columns.iter().map(|column| column.name().to_owned()).collect();
        let (records, has_more) = match id {
            Some(_) => newest_first(put.finish(), bulk.finish()),
            None => shared(put.finish(), bulk.finish(), *limit),
        };
        Ok(Found { columns, records, has_more })
    }

    fn look_at_put(&self, look: &mut Look<'_>, mode: IngestionMode, is_of_id: bool) -> Result<()> {
        if !mode.takes(Origin::Put) {
            return Ok(());
        }
        let (parts, snapshot) = (&self.parts, &self.snapshot);
        let (id, range) = (self.dataset_id.cast_unsigned(), (snapshot.log_from, snapshot.log_to));
        let mut take = |values: &[Value<'_>], sequence| look.take(values, sequence);
        read_newest(&parts.log, id, range, &snapshot.layout, parts.objects.keys(), &mut take)?;
        if is_of_id {
            self.open(Origin::Put, mode).try_for_each(|run| look.find(&run?))
        } else {
            let runs = self.open(Origin::Put, mode).collect::<Result<Vec<_>>>()?;
            look.newest(runs.iter())
        }
    }

    /// The runs of an origin, the latest first.
    fn open(&self, origin: Origin, mode: IngestionMode) -> impl Iterator<Item = Result<OpenRun>> {
        let rows = self.runs.iter().rev().filter(move |row| row.run.origin == origin && mode.takes(origin));
        rows.map(|row| {
            let stored = &row.run;
            OpenRun::open(&self.parts.objects, &stored.object, &self.snapshot.layout, stored.sequence_base)
        })
    }
}

type Looked = (Vec<FoundRecord>, bool);

fn newest_first((put, more_put): Looked, (bulk, more_bulk): Looked) -> Looked {
    let mut records = put;
    records.extend(bulk);
    records.sort_by_key(|record| std::cmp::Reverse(record.sequence));
    (records, more_put || more_bulk)
}

// What one way leaves of its half, the other one has.
fn shared((mut put, more_put): Looked, (mut bulk, more_bulk): Looked, limit: usize) -> Looked {
    put.sort_by_key(|record| std::cmp::Reverse(record.sequence));
    let found = put.len() + bulk.len();
    bulk.truncate((limit / 2).max(limit.saturating_sub(put.len())));
    put.truncate(limit - bulk.len());
    put.append(&mut bulk);
    let has_more = more_put || more_bulk || put.len() < found;
    (put, has_more)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn records(origin: Origin, sequences: &[u64]) -> Vec<FoundRecord> {
        sequences.iter().map(|&sequence| FoundRecord { values: vec![], origin, sequence }).collect()
    }

    fn sequences(limit: usize, put: &[u64], bulk: &[u64]) -> (Vec<u64>, bool) {
        let looked = (records(Origin::Put, put), false);
        let (records, has_more) = shared(looked, (records(Origin::Bulk, bulk), false), limit);
        (records.iter().map(|record| record.sequence).collect(), has_more)
    }

    #[test]
    fn each_way_has_half_of_a_preview_and_what_the_other_leaves() {
        assert_eq!(sequences(4, &[1, 2, 3], &[9, 7, 8]), (vec![3, 2, 9, 7], true));
        assert_eq!(sequences(4, &[1], &[9, 7, 8]), (vec![1, 9, 7, 8], false));
        assert_eq!(sequences(3, &[1, 2, 3], &[9]), (vec![3, 2, 9], true));
        assert_eq!(sequences(3, &[1, 2, 3], &[]), (vec![3, 2, 1], false));
        assert_eq!(sequences(1, &[1], &[9]), (vec![1], true));
        assert_eq!(sequences(1, &[], &[9]), (vec![9], false));
    }
}
