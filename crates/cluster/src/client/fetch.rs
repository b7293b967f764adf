//! The results of a job, fetched through the scheduler from the executors that hold them.

use std::collections::BTreeSet;
use std::time::Duration;

use ballista_core::client::BallistaClient;
use ballista_core::serde::protobuf::PartitionLocation;
use futures_util::{StreamExt, TryStreamExt, stream};
use model::Error;
use model::error::{Context, Result};
use tracing::warn;

use crate::MESSAGE_SIZE_MAX;
use crate::rows::{self, Done};

/// How many results are fetched at the same time.
const AT_ONCE: usize = 8;

/// How long a result may take; one that takes longer is lost.
const RESULT_MAX: Duration = Duration::from_secs(30);

/// The results there are. Those that can't be fetched are missing: their executor is gone.
///
/// A partition that was done again may have two locations, of which the older leads nowhere.
pub async fn results(scheduler: &str, locations: Vec<PartitionLocation>, asked: &BTreeSet<u32>) -> Vec<Done> {
    let fetches = locations.into_iter().map(|location| async move {
        let fetched = tokio::time::timeout(RESULT_MAX, one(scheduler, location)).await;
        fetched.unavailable(|| "fetch a result in time".into()).flatten().unwrap_or_else(|error| {
            warn!("a result can't be fetched: {}", error.chain());
            Vec::new()
        })
    });
    let found: Vec<Vec<Done>> = stream::iter(fetches).buffered(AT_ONCE).collect().await;
    found.into_iter().flatten().filter(|done| asked.contains(&done.number)).collect()
}

async fn one(scheduler: &str, location: PartitionLocation) -> Result<Vec<Done>> {
    let doing = || "fetch a result".to_owned();
    let layout = location.layout();
    let executor = location.executor_meta.ok_or_else(|| Error::unavailable(doing()))?;
    let partition = location.partition_id.ok_or_else(|| Error::unavailable(doing()))?;
    let mut client = connect(scheduler).await?;
    let batches = client
        .fetch_partition_proxied(
            &executor.id,
            &partition.into(),
            location.file_id,
            layout,
            &executor.host,
            executor.port as u16,
            true,
        )
        .await
        .unavailable(doing)?;
    let batches: Vec<_> = batches.try_collect().await.unavailable(doing)?;
    let mut results = Vec::new();
    for batch in &batches {
        results.extend(rows::results(batch).unavailable(doing)?);
    }
    Ok(results)
}

async fn connect(scheduler: &str) -> Result<BallistaClient> {
    let doing = || format!("reach the scheduler at {scheduler}");
    let (host, port) = scheduler.rsplit_once(':').unwrap_or((scheduler, ""));
    let port = port.parse().unavailable(doing)?;
    BallistaClient::try_new(host, port, MESSAGE_SIZE_MAX, false, None, 1, 100, 0, 0).await.unavailable(doing)
}
