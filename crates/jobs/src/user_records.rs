//! All that a dataset holds of one user, read at once as an export reads: small enough for no job to wait for it.

use std::io;
use std::sync::Arc;

use bytes::Bytes;
use catalog::{DatasetRow, Snapshot};
use engine::Progress;
use engine::export::Source;
use engine::export::user::export_user;
use model::IngestionMode;
use model::error::{Error, ErrorKind, Result};
use tokio::sync::mpsc::{Receiver, channel};
use tracing::warn;

use crate::snapshot::{Tail, check_kept, open_source};
use crate::{Parts, blocking};

/// Runs and segments may go between the look at the list and their opening; then the list is another.
const ATTEMPTS: u32 = 5;

/// Opens what a dataset holds now, and hands over the records of a user as CSV, piece by piece.
///
/// # Errors
/// `NotFound` when the dataset is gone; `Invalid` when the key of its group can't be used; `Unavailable` and `Corrupt`
/// when what it holds can't be read.
pub async fn read(
    parts: &Arc<Parts>,
    dataset: &DatasetRow,
    user: String,
) -> Result<Receiver<io::Result<Bytes>>> {
    let parts = parts.of_dataset(dataset).await?;
    let (snapshot, source, tail) = open(&parts, dataset.id).await?;
    let (give, received) = channel(2);
    tokio::task::spawn_blocking(move || {
        let mut emit = |piece: Vec<u8>| {
            let gone = |_| Error::unavailable("whoever asked for a user's records has gone");
            give.blocking_send(Ok(piece.into())).map_err(gone)
        };
        let done = export_user(&snapshot.layout, &source, &user, &Progress::default(), &mut emit);
        drop(tail);
        if let Err(cause) = done {
            warn!(error = %cause.chain(), "the records of a user were not read to their end");
            // The body breaks off, so that nobody takes it for the whole.
            let _ = give.blocking_send(Err(io::Error::other("the records can't be read to their end")));
        }
    });
    Ok(received)
}

async fn open(parts: &Arc<Parts>, dataset_id: i64) -> Result<(Snapshot, Source, Tail)> {
    let mut attempt = 1;
    loop {
        let (snapshot, runs) = parts.catalog.snapshot_now(dataset_id, || parts.log.settled()).await?;
        let opened = {
            let (parts, snapshot) = (parts.clone(), snapshot.clone());
            blocking(move || {
                let tail = Tail::new(&parts);
                let mode = IngestionMode::All;
                open_source(&parts, dataset_id, &snapshot, &runs, mode, &tail).map(|source| (source, tail))
            })
        };
        let opened = match opened.await {
            Ok(opened) => check_kept(parts, dataset_id, snapshot.log_from).await.map(|()| opened),
            refused => refused,
        };
        match opened {
            Ok((source, tail)) => return Ok((snapshot, source, tail)),
            Err(cause) if attempt >= ATTEMPTS || cause.kind == ErrorKind::Invalid => return Err(cause),
            Err(_) => attempt += 1,
        }
    }
}
