//! The parts of one server that is up, and how they are taken apart, in the order that loses nothing.

use std::sync::Arc;
use std::time::Duration;

use api::Api;
use catalog::Catalog;
use jobs::Jobs;
use store::log::Log;
use store::objects::bucket::OwnBucket;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tracing::warn;

use super::audit::Audit;
use super::dispatch::Dispatch;
use super::metrics::Metrics;
use super::otlp::Telling;

/// How long jobs may take to let go once the server stops.
const HAND_BACK: Duration = Duration::from_secs(8);

/// All parts of one server.
pub struct House {
    /// What jobs and their tasks work with.
    #[cfg_attr(not(feature = "cluster"), allow(dead_code, reason = "an executor alone asks for it"))]
    pub parts: jobs::Parts,
    /// Takes every request.
    pub dispatch: Arc<Dispatch>,
    /// What operators see.
    pub metrics: Arc<Metrics>,
    /// `None`: off.
    pub audit: Option<Arc<Audit>>,
    pub(super) catalog: Catalog,
    pub(super) log: Arc<Log>,
    pub(super) jobs: Option<Jobs>,
    pub(super) api: Arc<Api>,
    /// Ends with the server.
    pub(super) telling: Option<(CancellationToken, JoinHandle<()>)>,
    /// Ends with the server.
    pub(super) tracing: Option<Telling>,
    /// Cancelled when this server can't go on beside others on its catalog.
    pub expelled: CancellationToken,
    /// Cancelled as soon as the server begins to stop.
    pub(super) stopping: CancellationToken,
    /// Tells that this node lives, and follows the others; `None` where there are none.
    pub(super) node: Option<(CancellationToken, JoinHandle<()>)>,
    /// Ends when no put comes any more.
    pub(super) counting: (CancellationToken, JoinHandle<()>),
    /// Where objects lie, if that is a bucket.
    pub(super) bucket: Option<OwnBucket>,
}

impl House {
    /// Hands jobs back, before anything that they work with is closed; until the front closes, clients see their state.
    pub async fn hand_back(&mut self) {
        self.stopping.cancel();
        self.api.close_streams();
        let Some(jobs) = self.jobs.take() else { return };
        if timeout(HAND_BACK, jobs.stop()).await.is_err() {
            warn!("a job did not let go in time; it is begun again at the next start");
        }
    }

    /// Writes what waits and closes the files.
    pub async fn close(self) {
        if let Some((stop, telling)) = self.telling {
            stop.cancel();
            if let Err(cause) = telling.await {
                warn!("the webhook did not stop in good order: {cause}");
            }
        }
        if let Some(tracing) = self.tracing {
            tracing.end().await;
        }
        let (stop, counting) = self.counting;
        stop.cancel();
        if let Err(cause) = counting.await {
            warn!("the counting of puts did not stop in good order: {cause}");
        }
        let (log, audit) = (self.log.clone(), self.audit.clone());
        match tokio::task::spawn_blocking(move || log.close()).await {
            Ok(Ok(())) => {}
            Ok(Err(cause)) => warn!("the log was not closed in good order: {}", cause.chain()),
            Err(cause) => warn!("the log was not closed in good order: {cause}"),
        }
        // Whoever still waits for the store does so on a runtime that is about to end.
        if let Some(bucket) = &self.bucket {
            bucket.end();
        }
        if let Some((stop, node)) = self.node {
            stop.cancel();
            if let Err(cause) = node.await {
                warn!("telling the other nodes did not stop in good order: {cause}");
            }
        }
        if let Err(cause) = self.catalog.end_session().await {
            warn!("the session of this node was not ended: {}", cause.chain());
        }
        self.catalog.close().await;
        if let Some(audit) = audit
            && let Err(cause) = tokio::task::spawn_blocking(move || audit.close()).await
        {
            warn!("the audit log was not closed in good order: {cause}");
        }
    }
}
