//! This server as one node among others on a catalog: it tells that it lives, and follows what the others change.

use std::sync::Arc;
use std::time::Duration;

use access::Access;
use api::Api;
use catalog::{About, Catalog, Changes, SILENCE_MS};
use model::error::{ErrorKind, Result};
use tokio::sync::Notify;
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

use super::objects::FILE;

const TELL_EVERY: Duration = Duration::from_secs(1);
/// What another node has changed holds here after this time; whoever could not look for a second asks before each request.
const LOOK_EVERY: Duration = Duration::from_millis(200);
/// After so long a node that was killed is one no more.
const GIVEN_UP: Duration = Duration::from_millis(SILENCE_MS.unsigned_abs() + 2000);
const ASK_AGAIN: Duration = Duration::from_millis(500);
const ANSWER_MAX: Duration = Duration::from_secs(5);

pub struct Node {
    pub catalog: Catalog,
    pub access: Arc<Access>,
    pub api: Arc<Api>,
    /// Rung when there may be jobs to claim.
    pub bell: Arc<Notify>,
    /// Cancelled when this node can't go on beside the others.
    pub expelled: CancellationToken,
}

/// Tells the others who this node is.
///
/// One that keeps its objects to itself waits for its predecessor, which may have been killed, to be given up.
///
/// # Errors
/// `InUse` when it can't work beside them.
pub async fn introduce(catalog: &Catalog, url: &str, objects: &str) -> Result<()> {
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default().trim().to_owned();
    let (url, version) = (url.to_owned(), env!("CARGO_PKG_VERSION").to_owned());
    let about = About { name, url, version, objects: objects.to_owned() };
    if objects != FILE {
        return catalog.introduce(about).await;
    }
    let (begun, mut has_said) = (Instant::now(), false);
    loop {
        match catalog.introduce(about.clone()).await {
            Err(cause) if cause.kind == ErrorKind::InUse && begun.elapsed() < GIVEN_UP => {
                if !std::mem::replace(&mut has_said, true) {
                    info!("waiting for the node that had this catalog: {}", cause.message());
                }
                sleep(ASK_AGAIN).await;
            }
            done => return done,
        }
    }
}

impl Node {
    /// Works until `stop`.
    pub async fn run(self, stop: CancellationToken) {
        tokio::join!(self.tell(&stop), self.follow(&stop));
    }

    async fn tell(&self, stop: &CancellationToken) {
        let mut is_failing = false;
        while let Some(told) = stop.run_until_cancelled(timeout(ANSWER_MAX, self.catalog.tell_alive())).await
        {
            match told {
                Ok(Ok(pulse)) => {
                    if std::mem::take(&mut is_failing) {
                        info!("the catalog answers again");
                    }
                    self.heard(pulse);
                }
                Ok(Err(cause)) if cause.kind == ErrorKind::InUse => {
                    error!("this node stops: {}", cause.chain());
                    return self.expelled.cancel();
                }
                failed if !is_failing => {
                    is_failing = true;
                    let cause = failed.map_or_else(
                        |_| String::new(),
                        |done| done.map_or_else(|e| e.chain(), |_| String::new()),
                    );
                    warn!(
                        error = cause,
                        "the catalog does not answer: other nodes take over what this one does"
                    );
                }
                _ => {}
            }
            stop.run_until_cancelled(sleep(TELL_EVERY)).await;
        }
    }

    fn heard(&self, pulse: catalog::Pulse) {
        let silence_s = SILENCE_MS / 1000;
        if pulse.is_anew {
            let node = self.catalog.node();
            warn!(
                node,
                "this node was not seen for {silence_s} s: what it was doing is done by others, and it begins anew"
            );
        }
        for node in pulse.ended {
            warn!(node, "a node was not seen for {silence_s} s: what it was doing is done by others");
        }
    }

    async fn follow(&self, stop: &CancellationToken) {
        let (mut known, mut is_failing) = (Changes::default(), false);
        while let Some(looked) = stop.run_until_cancelled(timeout(ANSWER_MAX, self.look(known))).await {
            match looked {
                Ok(Ok(changes)) => (known, is_failing) = (changes, false),
                Ok(Err(cause)) if !is_failing => {
                    is_failing = true;
                    warn!(error = %cause.chain(), "what other nodes change is looked for later");
                }
                _ => is_failing = true,
            }
            stop.run_until_cancelled(sleep(LOOK_EVERY)).await;
        }
    }

    async fn look(&self, known: Changes) -> Result<Changes> {
        let changes = self.catalog.changes().await?;
        self.access.follow(changes).await?;
        if changes.dataset != known.dataset {
            self.api.forget_datasets();
        }
        if changes.job != known.job {
            self.bell.notify_one();
        }
        Ok(changes)
    }
}
