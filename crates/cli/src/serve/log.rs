//! Opens the log of put records: a folder, or the segments that nodes share in a bucket.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use catalog::Catalog;
use jobs::CatalogRegister;
use model::Error;
use model::error::Result;
use store::log::shared::{Later, SegmentStore, SharedSettings};
use store::log::{Log, LogSettings, Sequencer};
use store::objects::bucket::OwnBucket;
use tokio::runtime::Handle;
use tracing::info;

use super::folder::Folder;
use crate::settings::Settings;

/// A store that does not answer is given up after this time, by one who will try again.
const PATIENCE: Duration = Duration::from_secs(8);

/// Opens the log: in the bucket, where there is one.
///
/// # Errors
/// `Invalid` when the records of the catalog are in a log of the other kind; `Corrupt` when what lies there is damaged, or
/// does not belong to the catalog; `Unavailable` when the disk refuses.
pub async fn open(
    settings: &Settings,
    folder: &Folder,
    catalog: &Catalog,
    bucket: Option<OwnBucket>,
) -> Result<Log> {
    catalog.check_log().await?;
    let folder = folder.path().join("log");
    let queue_bytes_max = usize::try_from(settings.put_queue_bytes).unwrap_or(usize::MAX);
    let Some(bucket) = bucket else {
        let settings = LogSettings { queue_bytes_max, ..LogSettings::default() };
        return open_folder(&folder, catalog, settings).await;
    };
    refuse_folder(&folder)?;
    let settings = SharedSettings { group: settings.log_group, queue_bytes_max, ..SharedSettings::default() };
    let store = Arc::new(Segments { bucket: bucket.with_patience(PATIENCE) });
    let log = Log::share(settings, store, Arc::new(CatalogRegister(catalog.clone()))).await?;
    let (segments, size_bytes) = (log.segments(), log.total_bytes());
    info!(segments, size_bytes, "the log holds {segments} segments that are not yet in runs");
    Ok(log)
}

// A folder that never held a record holds its first segment alone.
fn refuse_folder(folder: &Path) -> Result<()> {
    match std::fs::read_dir(folder).is_ok_and(|mut entries| entries.next().is_some()) {
        true => Err(Error::invalid(
            "the data folder has a log of put records: the setting objects can't be changed from file any more",
        )),
        false => Ok(()),
    }
}

async fn open_folder(folder: &Path, catalog: &Catalog, settings: LogSettings) -> Result<Log> {
    let numbers = catalog.sequencer();
    numbers.reserve(0).await?;
    let runtime = Handle::current();
    let drawn = numbers.clone();
    // The log asks on its own thread, where it may wait for the catalog.
    let sequencer: Sequencer = Arc::new(move |count| match drawn.draw(count) {
        Some(first) => Ok(first),
        None => runtime.block_on(drawn.draw_or_reserve(count)),
    });
    let (log, recovered) = Log::open(folder, settings, sequencer)?;
    if recovered.sequence_max.is_some_and(|max| numbers.next() <= max) {
        return Err(Error::corrupt(
            "the log holds newer records than the catalog knows of: restore both from the same backup",
        ));
    }
    let flushed = catalog.all_datasets().await?.iter().map(|d| d.flushed_position).max();
    if flushed.is_some_and(|position| position > recovered.durable) {
        return Err(Error::corrupt(
            "the log ends before what the catalog says was read of it: a part of it is missing",
        ));
    }
    let (records, dropped_bytes) = (recovered.records, recovered.dropped_bytes);
    info!(records, dropped_bytes, "the log holds {records} records that are not yet in a run");
    Ok(log)
}

/// The segments in the server's own bucket.
struct Segments {
    bucket: OwnBucket,
}

impl SegmentStore for Segments {
    fn put_new<'a>(&'a self, name: &'a str, bytes: Bytes) -> Later<'a, ()> {
        Box::pin(self.bucket.put_new(name, bytes))
    }

    fn get<'a>(&'a self, name: &'a str) -> Later<'a, Bytes> {
        Box::pin(self.bucket.get(name))
    }

    fn delete<'a>(&'a self, names: &'a [String]) -> Later<'a, ()> {
        Box::pin(self.bucket.delete(names))
    }

    fn list(&self) -> Later<'_, Vec<String>> {
        Box::pin(self.bucket.list("log/", None))
    }
}
