//! Puts the parts of a server together, bottom first.

use std::path::Path;
use std::sync::Arc;

use access::{Access, RootKeys, S3Endpoint, SealingKey, ServiceSettings};
use api::{Api, ApiParts, iam::Iam, kms::Kms};
use catalog::Catalog;
use console::{Console, Outside};
use jobs::Jobs;
use model::error::{Context, Result};
use model::{Clock, Realm};
use s3::Door;
use store::ScratchFolder;
use tokio::sync::Notify;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use super::audit::Audit;
use super::cors::Cors;
use super::counting;
use super::dispatch::Dispatch;
use super::doors::{doors, elsewhere, embedded, metrics_here, record_reader, user_reader};
use super::folder::{self, Folder};
use super::house::House;
use super::metrics::Metrics;
use super::node::{self, Node};
use super::otlp::{Otlp, Telling};
use super::ready::Ready;
use super::tls::Tls;
use super::webhook::{Target, Webhook};
use super::{log, master_key, objects};
use crate::settings::{Settings, WebhookSettings};

/// Opens the catalog that the settings name.
///
/// # Errors
/// As `Catalog::open` and `Catalog::open_postgres`; `Invalid` when the one in the data folder is not there, and its records
/// are.
pub async fn open_catalog(settings: &Settings, folder: &Folder, clock: &Arc<dyn Clock>) -> Result<Catalog> {
    let catalog = match &settings.catalog {
        Some(url) => Catalog::open_postgres(&url.0, clock.clone()).await?,
        None => {
            folder.refuse_new_catalog()?;
            Catalog::open(&folder.path().join("catalog.db"), clock.clone()).await?
        }
    };
    Ok(catalog.with_quotas(settings.quotas))
}

/// Opens what is in the data folder and starts the work on it; `url` is where the dispatcher will be listening.
///
/// # Errors
/// `Unavailable` when the disk refuses; `Corrupt` when what lies there is damaged.
pub async fn compose(
    settings: &Settings,
    folder: &Folder,
    catalog: Catalog,
    (realm, roots, url, tls): (&Realm, RootKeys, &str, Option<&Arc<Tls>>),
    clock: Arc<dyn Clock>,
) -> Result<House> {
    let place = |name: &str| folder.path().join(name);
    let catalog = if settings.objects.is_some() { catalog.with_shared_log() } else { catalog };
    node::introduce(&catalog, url, &objects::place(settings)).await?;
    warn_of_own_buckets(settings);
    let bucket = objects::bucket(settings, realm, url, &*clock).await?;
    let endpoint = S3Endpoint { url: url.to_owned() };
    let (master, ring) = master_key::open(settings, folder, &catalog, &*clock).await?;
    let objects = objects::open(settings, folder, &catalog, bucket.as_ref()).await?;
    // Before anything that no row names is deleted.
    folder.own(&catalog, settings.catalog.is_none()).await?;
    let (ready_bucket, own_bucket) = (bucket.clone(), bucket.clone());
    let log = Arc::new(log::open(settings, folder, &catalog, bucket).await?);
    let root = roots.current.clone();
    let access = Access::new(catalog.clone(), clock.clone(), realm.clone(), root, endpoint, master);
    // A key that the settings give is changed there.
    let keeper = settings.root_key.is_none().then(|| folder.root_keeper());
    let access = access.with_root_keys(roots, keeper).with_key_ring(ring);
    let is_plain = settings.is_plain_at_rest;
    let services = services(settings, realm);
    let access = access.over_tls(settings.is_secure()).with_plain_data(is_plain).with_services(&services);
    let access = Arc::new(access);
    access.seal_access_keys().await?;
    // Nothing that is sorted outlives the process, so neither does its key.
    let scratch = ScratchFolder::sealed(emptied(&place("scratch"))?, SealingKey::random(&*clock));
    access.load_access_keys().await?;
    let hosts = settings.public_hosts.clone();
    let s3 = Door::open(&place("s3"), access.clone(), clock.clone(), hosts).await?;
    let bell = Arc::new(Notify::new());
    let api = Arc::new(Api::new(ApiParts {
        catalog: catalog.clone(),
        log: log.clone(),
        objects: objects.clone(),
        access: access.clone(),
        clock: clock.clone(),
        realm: realm.clone(),
        bell: bell.clone(),
    }));
    let iam = Arc::new(Iam::new(catalog.clone(), access.clone(), clock.clone(), realm.clone()));
    iam.keep_aws_policies().await?;
    let door = api.clone();
    let kms = Arc::new(Kms::new(catalog.clone(), access.clone(), clock.clone(), realm.clone()));
    let audit = settings.audit(folder.path());
    let audit = audit.as_ref().map(Audit::open).transpose()?.map(Arc::new);
    let (expelled, stopping) = (CancellationToken::new(), CancellationToken::new());
    let ready = Arc::new(Ready::new(catalog.clone(), clock.clone(), stopping.clone(), ready_bucket));
    let metrics = Arc::new(Metrics {
        catalog: catalog.clone(),
        log: log.clone(),
        clock: clock.clone(),
        ready: ready.clone(),
        tls: tls.cloned(),
        data_dir: folder.path().to_owned(),
        jobs_memory_bytes: settings.jobs_memory_bytes,
        put_queue_bytes: settings.put_queue_bytes,
        names_datasets: settings.metrics_names_datasets,
        figures: tokio::sync::Mutex::default(),
    });
    let tracing = trace(settings, &catalog, &clock).await?;
    let dispatch = Arc::new_cyclic(|dispatch| Dispatch {
        doors: doors(&access, &api, &iam, &kms, &s3, {
            let (is_tls, public_url) = (settings.tls.is_some(), settings.public_url.clone());
            let outside = Outside { is_tls, public_url };
            Console::new(embedded(dispatch.clone()), access.clone(), clock.clone(), outside)
        }),
        elsewhere: elsewhere(&services),
        realm: realm.clone(),
        clock: clock.clone(),
        cors: Cors { origins: settings.cors_origins.clone() },
        audit: audit.clone(),
        otlp: tracing.as_ref().map(|tracing| tracing.otlp.clone()),
        ready: Box::new(move || {
            let ready = ready.clone();
            Box::pin(async move { ready.reason().await })
        }),
        client_timeout: settings.client_timeout,
        metrics: metrics_here(settings, &metrics),
    });
    access.embed(embedded(Arc::downgrade(&dispatch)));
    let node = catalog.is_shared().then(|| {
        let (catalog, access, api, bell) = (catalog.clone(), access.clone(), api.clone(), bell.clone());
        let stop = CancellationToken::new();
        let node = Node { catalog, access, api, bell, expelled: expelled.clone() };
        (stop.clone(), tokio::spawn(node.run(stop)))
    });
    // Before any job changes its state.
    let telling = match settings.takes_jobs {
        true => tell(settings, &catalog, &clock, realm).await?,
        false => None,
    };
    let mut parts = jobs::Parts {
        catalog: catalog.clone(),
        access: access.clone(),
        log: log.clone(),
        objects,
        holds: holds(settings, folder),
        clock,
        bell,
        dataset_changed: Arc::new(move || door.forget_datasets()),
        flushing: Arc::default(),
        scratch,
        runner: None,
        name: process_name(),
        settings: job_settings(settings),
    };
    parts.runner = super::engine::runner(settings, &parts);
    api.set_user_reader(user_reader(Arc::new(parts.clone())));
    api.set_record_reader(record_reader(Arc::new(parts.clone())));
    let jobs = settings.takes_jobs.then(|| Jobs::start(parts.clone()));
    let stop = CancellationToken::new();
    let counting = (stop.clone(), tokio::spawn(counting::run(api.clone(), stop)));
    Ok(House {
        parts,
        dispatch,
        metrics,
        audit,
        catalog,
        log,
        jobs,
        api,
        telling,
        tracing,
        expelled,
        stopping,
        node,
        counting,
        bucket: own_bucket,
    })
}

// What lies in a bucket no backup copies from here.
fn holds(settings: &Settings, folder: &Folder) -> jobs::Holds {
    match settings.objects {
        Some(_) => jobs::Holds::default(),
        None => folder::holds(folder.path()),
    }
}

// What tells processes apart that do tasks of the same jobs.
fn process_name() -> Arc<str> {
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let host = if host.trim().is_empty() { "lade" } else { host.trim() };
    format!("{host}:{}", std::process::id()).into()
}

/// Begins to tell the webhook, if there is one, of what becomes of jobs.
async fn tell(
    settings: &Settings,
    catalog: &Catalog,
    clock: &Arc<dyn Clock>,
    realm: &Realm,
) -> Result<Option<(CancellationToken, JoinHandle<()>)>> {
    catalog.set_webhook(settings.webhook.is_some()).await?;
    let Some(WebhookSettings { url, secret, ca }) = settings.webhook.clone() else { return Ok(None) };
    let target = Target::open(url, ca.as_deref())?;
    let (catalog, clock, realm) = (catalog.clone(), clock.clone(), realm.clone());
    let webhook = Webhook { catalog, clock, realm, target, secret: secret.0.into_bytes() };
    let stop = CancellationToken::new();
    Ok(Some((stop.clone(), tokio::spawn(webhook.run(stop)))))
}

/// Begins to send traces, if somebody wants them; an executor tells of no jobs.
async fn trace(settings: &Settings, catalog: &Catalog, clock: &Arc<dyn Clock>) -> Result<Option<Telling>> {
    let Some(url) = settings.otlp.clone() else { return Ok(None) };
    let catalog = settings.takes_jobs.then(|| catalog.clone());
    Otlp::begin(url, process_name().to_string(), clock.clone(), catalog).await.map(Some)
}

fn services(settings: &Settings, realm: &Realm) -> ServiceSettings {
    let mut services = settings.services.clone();
    if services.region.is_empty() {
        services.region.clone_from(&realm.region);
    }
    services
}

// Jobs go to any node, and buckets of the embedded S3 are there on one alone.
fn warn_of_own_buckets(settings: &Settings) {
    if settings.objects.is_some() && settings.services.s3_endpoint.is_none() {
        warn!(
            "each node has buckets of its own, in its data folder: with several nodes set s3_endpoint, for a job can run on any"
        );
    }
}

fn job_settings(settings: &Settings) -> jobs::Settings {
    let bytes = |bytes| usize::try_from(bytes).unwrap_or(usize::MAX);
    let all = settings.jobs_memory_bytes;
    let one = settings.job_memory_bytes.min(all);
    let (all_mib, one_mib, jobs) = (all >> 20, one >> 20, settings.jobs_concurrent);
    info!(
        jobs_memory_bytes = all,
        job_memory_bytes = one,
        jobs_concurrent = jobs,
        "up to {jobs} jobs share {all_mib} MiB of memory, one of them uses up to {one_mib} MiB"
    );
    jobs::Settings {
        jobs_concurrent: settings.jobs_concurrent,
        attempts_max: settings.job_attempts_max,
        threads: std::thread::available_parallelism().map_or(1, std::num::NonZero::get),
        job_memory_bytes: bytes(settings.job_memory_bytes),
        jobs_memory_bytes: bytes(settings.jobs_memory_bytes),
        rejects_told_max: settings.rejects_told_max,
        import_task_bytes: settings.import_task_bytes,
        file_size_bytes_max: settings.file_size_max_bytes,
        flush_after_s: settings.flush_after_s,
        flush_size_bytes: settings.flush_size_bytes,
        log_size_bytes: settings.log_size_bytes,
    }
}

// What jobs were sorting when the last server ended is of no use.
fn emptied(scratch: &Path) -> Result<std::path::PathBuf> {
    let emptying = || "empty the folder for sorting".to_owned();
    if scratch.exists() {
        std::fs::remove_dir_all(scratch).unavailable(emptying)?;
    }
    std::fs::create_dir_all(scratch).unavailable(emptying)?;
    Ok(scratch.to_owned())
}
