//! `/metrics`: what was counted, and what a look at log, catalog, disk and process tells, as text for Prometheus.

mod host;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use catalog::{Catalog, Figures, JobKind};
use measure::{Kind, Page, label};
use model::Clock;
use model::status::Status;
use store::log::Log;
use tokio::sync::Mutex;
use tokio::time::timeout;

use super::measured;
use super::ready::Ready;
use super::tls::Tls;

/// What the catalog said holds for so long, so that nobody can keep it busy by asking.
const KEPT: Duration = Duration::from_secs(1);
const ANSWER_MAX: Duration = Duration::from_secs(2);
/// Datasets are counted by their runs: up to so many, or more.
const RUNS: [(&str, u64); 4] = [("0", 0), ("1-4", 4), ("5-16", 16), ("17-64", 64)];
const RUNS_ABOVE: &str = "65+";

/// What is looked at.
pub struct Metrics {
    pub catalog: Catalog,
    pub log: Arc<Log>,
    pub clock: Arc<dyn Clock>,
    pub ready: Arc<Ready>,
    /// `None`: plain HTTP.
    pub tls: Option<Arc<Tls>>,
    pub data_dir: PathBuf,
    pub jobs_memory_bytes: u64,
    pub put_queue_bytes: u64,
    /// Whether datasets are told apart, by their ARNs.
    pub names_datasets: bool,
    pub figures: Mutex<Option<Looked>>,
}

/// A look at the catalog.
#[derive(Clone)]
pub struct Looked {
    at: Instant,
    took: Duration,
    /// `None`: it did not answer.
    figures: Option<Arc<Figures>>,
}

impl Metrics {
    /// The text of this moment; what can't be had now is not in it.
    pub async fn text(&self) -> String {
        let mut page = Page::default();
        about_build(&mut page);
        let is_ready = self.ready.reason().await.is_none();
        page.gauge("lade_ready", "1 while this server can do what it is asked.", u8::from(is_ready));
        for families in
            [measured::FAMILIES, api::measured::FAMILIES, store::measured::FAMILIES, jobs::measured::FAMILIES]
        {
            page.add(families);
        }
        page.add(catalog::measured::FAMILIES);
        self.about_log(&mut page);
        page.gauge(
            "lade_jobs_memory_limit_bytes",
            "Memory that jobs, flushing and compaction share.",
            self.jobs_memory_bytes,
        );
        self.about_catalog(&mut page).await;
        if let Some(end_s) = self.tls.as_ref().and_then(|tls| tls.end_s()) {
            let help = "When the certificate that new connections get ends, in seconds since the epoch.";
            page.gauge("lade_tls_certificate_end_timestamp_seconds", help, end_s);
        }
        let data_dir = self.data_dir.clone();
        let add = move || {
            host::about_disk(&mut page, &data_dir);
            host::about_process(&mut page);
            page.into_text()
        };
        tokio::task::spawn_blocking(add).await.unwrap_or_default()
    }

    fn about_log(&self, page: &mut Page) {
        let log = &self.log;
        let help =
            "1 when the disk has failed to make a put call durable: none is acknowledged until a restart.";
        page.gauge("lade_log_failed", help, u8::from(log.is_stopped()));
        page.gauge("lade_log_bytes", "Bytes of the log that are not yet forgotten.", log.total_bytes());
        page.gauge("lade_log_segments", "Segments of the log.", log.segments());
        page.gauge(
            "lade_put_queue_bytes",
            "Bytes of put calls that wait for their answer.",
            log.queued_bytes(),
        );
        page.gauge(
            "lade_put_queue_limit_bytes",
            "Bytes of put calls that may wait for their answer.",
            self.put_queue_bytes,
        );
        let age_ms =
            jobs::measured::oldest_unflushed_ms().map_or(0, |at_ms| (self.clock.now_ms() - at_ms).max(0));
        #[expect(clippy::cast_precision_loss, reason = "an age is far below 2^53 ms")]
        let age_s = age_ms as f64 / 1000.0;
        let help =
            "For how long this server has seen put records of some dataset wait in the log; 0 when none do.";
        page.gauge("lade_log_oldest_unflushed_age_seconds", help, age_s);
    }

    async fn about_catalog(&self, page: &mut Page) {
        let looked = self.look().await;
        let help = "1 while the catalog answers.";
        page.gauge("lade_catalog_up", help, u8::from(looked.figures.is_some()));
        let help = "How long the catalog took to answer when it was last looked at.";
        page.gauge("lade_catalog_answer_seconds", help, looked.took.as_secs_f64());
        let Some(figures) = looked.figures else { return };
        page.gauge("lade_nodes_alive", "Nodes that work on this catalog.", figures.nodes);
        about_jobs(page, &figures);
        about_runs(page, &figures);
        if self.names_datasets {
            self.about_datasets(page, &figures);
        }
    }

    // Whoever asks at the same time waits for the same answer.
    async fn look(&self) -> Looked {
        let mut last = self.figures.lock().await;
        if let Some(looked) = last.as_ref().filter(|looked| looked.at.elapsed() < KEPT) {
            return looked.clone();
        }
        let began = Instant::now();
        let answer = timeout(ANSWER_MAX, self.catalog.figures()).await;
        let figures = answer.ok().and_then(Result::ok).map(Arc::new);
        let looked = Looked { at: Instant::now(), took: began.elapsed(), figures };
        *last = Some(looked.clone());
        looked
    }

    fn about_datasets(&self, page: &mut Page, figures: &Figures) {
        let datasets: Vec<_> = figures
            .datasets
            .iter()
            .map(|dataset| {
                let pending = self.log.pending(dataset.id.cast_unsigned(), dataset.flushed_position);
                (label("dataset", dataset.arn.as_str()), [dataset.runs, pending.records, pending.bytes])
            })
            .collect();
        let families = [
            ("lade_dataset_runs", "Runs that a dataset consists of."),
            ("lade_dataset_log_records", "Put records of a dataset that are not yet in a run."),
            ("lade_dataset_log_bytes", "Bytes of these in the log."),
        ];
        for (place, (name, help)) in families.into_iter().enumerate() {
            page.family(name, Kind::Gauge, help);
            for (dataset, numbers) in &datasets {
                page.sample(name, dataset, numbers[place]);
            }
        }
    }
}

fn about_build(page: &mut Page) {
    page.family("lade_build_info", Kind::Gauge, "1, with what this build of lade is.");
    let cluster = if cfg!(feature = "cluster") { "true" } else { "false" };
    let labels = [label("version", env!("CARGO_PKG_VERSION")), label("cluster", cluster)].join(",");
    page.sample("lade_build_info", &labels, 1);
}

fn about_jobs(page: &mut Page, figures: &Figures) {
    page.family("lade_jobs", Kind::Gauge, "Jobs of this catalog that wait or run.");
    for kind in [JobKind::Import, JobKind::Export, JobKind::Update, JobKind::Deletion, JobKind::Analysis] {
        for (status, state) in [(Status::CreatePending, "pending"), (Status::CreateInProgress, "in_progress")]
        {
            let of = |(k, s, _): &&(JobKind, Status, u64)| *k == kind && *s == status;
            let jobs = figures.open_jobs.iter().find(of).map_or(0, |(_, _, jobs)| *jobs);
            let labels = format!("{},{}", jobs::measured::type_label(kind), label("state", state));
            page.sample("lade_jobs", &labels, jobs);
        }
    }
}

fn about_runs(page: &mut Page, figures: &Figures) {
    page.family(
        "lade_datasets_by_runs",
        Kind::Gauge,
        "Datasets of this catalog, by how many runs they have.",
    );
    let bucket = |runs: u64| RUNS.iter().find(|(_, most)| runs <= *most).map_or(RUNS_ABOVE, |(name, _)| name);
    for name in RUNS.iter().map(|(name, _)| *name).chain([RUNS_ABOVE]) {
        let datasets = figures.datasets.iter().filter(|dataset| bucket(dataset.runs) == name).count();
        page.sample("lade_datasets_by_runs", &label("runs", name), datasets);
    }
}
