//! The put records of one dataset that are still in the log, read into a sorter: the start of a flush, the tail of a snapshot.

use std::sync::Arc;

use model::error::{Error, Result};
use model::record::Codec;
use model::{Layout, record};

use crate::log::Log;
use crate::merge::Batches;
use crate::rows::{RowsBuilder, csv_size};
use crate::sort::{Sorted, Sorter};
use crate::{Arrivals, Rows};

/// What a piece of the log held of a dataset.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tail {
    pub records: u64,
    /// The size of the records as they arrived, written as CSV.
    pub csv_bytes: u64,
}

/// Pushes the records of `dataset_id` at positions `from..to` of the log into `sorter`.
///
/// # Errors
/// `Corrupt` when a frame is damaged; `Unavailable` when the log can't be read.
pub fn read_tail(
    log: &Log,
    dataset_id: u64,
    from: u64,
    to: u64,
    layout: &Layout,
    sorter: &mut Sorter,
) -> Result<Tail> {
    let codec = Codec::new(layout);
    let mut tail = Tail::default();
    for place in log.frames(dataset_id, from, to) {
        let frame = log.read(&place)?;
        if frame.schema_version != layout.schema_version {
            return Err(Error::internal("the log holds records of another version of the schema"));
        }
        for (sequence, record) in (frame.first_sequence..).zip(frame.records()) {
            let mut values = Vec::new();
            codec.decode(record, &mut values)?;
            tail.records += 1;
            tail.csv_bytes += values.iter().map(|v: &record::Value<'_>| 1 + csv_size(v)).sum::<u64>();
            sorter.push(record, Arrivals::once(sequence))?;
        }
    }
    Ok(tail)
}

/// Sorted records as batches, to be merged with runs.
pub fn into_batches(mut sorted: Sorted, layout: &Layout) -> Batches {
    let mut builder = RowsBuilder::new(layout);
    Box::new(std::iter::from_fn(move || next_batch(&mut sorted, &mut builder).transpose()))
}

fn next_batch(sorted: &mut Sorted, builder: &mut RowsBuilder) -> Result<Option<Arc<Rows>>> {
    while !builder.is_full() {
        let Some((record, arrivals)) = sorted.next_record()? else { break };
        builder.push_record(record, arrivals)?;
    }
    Ok((!builder.is_empty()).then(|| Arc::new(builder.take())))
}
