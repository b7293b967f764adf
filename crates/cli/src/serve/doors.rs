//! The doors that the dispatcher hands requests to, and what the API asks of the records, as functions over the parts.

use std::sync::{Arc, Weak};

use access::bucket::EmbeddedS3;
use access::{Access, ServiceSettings};
use api::lade::Pieces;
use api::lade::record::ReadRecords;
use api::lade::user::ReadUser;
use api::{Api, iam::Iam, kms::Kms};
use console::Console;
use http_body_util::BodyExt;
use model::Error;
use s3::Door;
use tokio::sync::Semaphore;
use tracing::warn;

use super::answer::{pieces, whole};
use super::dispatch::{AskMetrics, Dispatch, Doors};
use super::metrics::Metrics;
use crate::settings::Settings;

/// So many callers look records up at once, each with a few batches in memory; the others wait.
const LOOKUPS_MAX: usize = 4;

/// The services whose embedded doors are closed, and the settings that name the real ones.
pub fn elsewhere(services: &ServiceSettings) -> Vec<(&'static str, &'static str)> {
    let ServiceSettings { s3_endpoint, sts_endpoint, kms_endpoint, .. } = services;
    [("s3", s3_endpoint), ("sts", sts_endpoint), ("kms", kms_endpoint)]
        .into_iter()
        .zip(["s3_endpoint", "sts_endpoint", "kms_endpoint"])
        .filter_map(|((service, endpoint), setting)| endpoint.as_ref().map(|_| (service, setting)))
        .collect()
}

/// What the dispatcher hands requests to.
pub fn doors(
    access: &Arc<Access>,
    api: &Arc<Api>,
    iam: &Arc<Iam>,
    kms: &Arc<Kms>,
    s3: &Door,
    console: Console,
) -> Doors {
    let (access, api, iam, kms, s3) = (access.clone(), api.clone(), iam.clone(), kms.clone(), s3.clone());
    let (asked, users, console) = (s3.clone(), access.clone(), Arc::new(console));
    Doors {
        credential: Box::new(move |access_key_id, token| {
            let access = access.clone();
            Box::pin(async move { access.credential(access_key_id, token).await })
        }),
        key_used: Box::new(move |access_key_id, service| {
            if let Some(writing) = users.note_use(access_key_id, service) {
                tokio::spawn(access::about::along(async move {
                    if let Err(cause) = writing.await {
                        warn!("the use of an access key was not noted: {}", cause.chain());
                    }
                }));
            }
        }),
        personalize: Box::new(move |call| {
            let api = api.clone();
            Box::pin(async move {
                match api.stream(&call).await {
                    Some(response) => response.map(pieces),
                    None => whole(api.call(call).await),
                }
            })
        }),
        iam: Box::new(move |call| {
            let iam = iam.clone();
            Box::pin(async move { iam.call(call).await })
        }),
        kms: Box::new(move |call| {
            let kms = kms.clone();
            Box::pin(async move { kms.call(call).await })
        }),
        s3: Box::new(move |principal, id, request| {
            let s3 = s3.clone();
            Box::pin(
                async move { s3.call(Some(principal), id, request).await.map(|body| body.boxed_unsync()) },
            )
        }),
        s3_preflight: Box::new(move |parts, id| {
            let s3 = asked.clone();
            Box::pin(async move { s3.preflight(&parts, id).await.map(|body| body.boxed_unsync()) })
        }),
        console: Box::new(move |request| {
            let console = console.clone();
            Box::pin(async move { console.answer(request).await })
        }),
    }
}

/// Jobs and the console ask by the same dispatcher as everybody, without a connection. It leads back here, so it is not kept alive.
pub fn embedded(dispatch: Weak<Dispatch>) -> EmbeddedS3 {
    Box::new(move |request| {
        let dispatch = dispatch.upgrade();
        Box::pin(async move { Some(dispatch?.answer(request).await) })
    })
}

/// Only this machine's own address tells metrics to whoever asks, and not where another one is there for that.
pub fn metrics_here(settings: &Settings, metrics: &Arc<Metrics>) -> Option<AskMetrics> {
    let is_here = settings.listen.ip().is_loopback() && settings.admin_listen.is_none();
    let metrics = metrics.clone();
    is_here.then(|| -> AskMetrics {
        Box::new(move || {
            let metrics = metrics.clone();
            Box::pin(async move { metrics.text().await })
        })
    })
}

/// Reads all records of a user, for the API.
pub fn user_reader(parts: Arc<jobs::Parts>) -> ReadUser {
    Box::new(move |dataset, user| {
        let parts = parts.clone();
        Box::pin(async move {
            let received = jobs::user_records::read(&parts, &dataset, user).await?;
            let next = |mut received: tokio::sync::mpsc::Receiver<_>| async move {
                let piece = received.recv().await?;
                Some((piece, received))
            };
            Ok(Box::pin(futures_util::stream::unfold(received, next)) as Pieces)
        })
    })
}

/// Looks some records up, for the API.
pub fn record_reader(parts: Arc<jobs::Parts>) -> ReadRecords {
    let places = Arc::new(Semaphore::new(LOOKUPS_MAX));
    Box::new(move |dataset, lookup| {
        let (parts, places) = (parts.clone(), places.clone());
        Box::pin(async move {
            let waiting = || Error::internal("the places of those who look records up are closed");
            let _place = places.acquire().await.map_err(|_| waiting())?;
            jobs::records::look(&parts, &dataset, lookup).await
        })
    })
}
