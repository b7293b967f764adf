//! What is counted of jobs and of upkeep.

use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use catalog::{JobKind, JobRow};
use measure::{Counter, Counters, Families, Gauge, Histogram, HistogramFamily, Histograms};

/// The kinds as they are called in labels, in the order of `place`.
const TYPES: [&str; 5] =
    ["type=\"import\"", "type=\"export\"", "type=\"update\"", "type=\"deletion\"", "type=\"analysis\""];

/// How a job ended.
#[derive(Clone, Copy)]
pub(crate) enum End {
    Done,
    Failed,
    Cancelled,
}

static ENDED: Counters<15> = Counters::new(
    "lade_jobs_ended_total",
    "Jobs that this node has brought to their end.",
    [
        "type=\"import\",result=\"done\"",
        "type=\"import\",result=\"failed\"",
        "type=\"import\",result=\"cancelled\"",
        "type=\"export\",result=\"done\"",
        "type=\"export\",result=\"failed\"",
        "type=\"export\",result=\"cancelled\"",
        "type=\"update\",result=\"done\"",
        "type=\"update\",result=\"failed\"",
        "type=\"update\",result=\"cancelled\"",
        "type=\"deletion\",result=\"done\"",
        "type=\"deletion\",result=\"failed\"",
        "type=\"deletion\",result=\"cancelled\"",
        "type=\"analysis\",result=\"done\"",
        "type=\"analysis\",result=\"failed\"",
        "type=\"analysis\",result=\"cancelled\"",
    ],
);

static DURATION: Histograms<5> = Histograms::new(
    "lade_job_duration_seconds",
    "How long jobs took that are done, from their creation to their end.",
    TYPES,
    [const { Histogram::new(Histogram::WORK) }; 5],
);

static RETRIES: Counters<5> = Counters::new(
    "lade_job_retries_total",
    "Attempts at jobs that a store, a disk or a service stopped, and that are made again.",
    TYPES,
);

static LEASES_LOST: Counter = Counter::new(
    "lade_job_leases_lost_total",
    "Jobs that were taken away from this node, because it was not seen in time.",
);

/// What jobs, flushing and compaction work with now.
pub(crate) static MEMORY: Gauge = Gauge::new(
    "lade_jobs_memory_used_bytes",
    "Memory that jobs and compaction hold of what jobs_memory gives them.",
);

static FLUSHES: Counters<2> = Counters::new(
    "lade_flushes_total",
    "Moves of a dataset's put records from the log to a run.",
    ["result=\"done\"", "result=\"failed\""],
);

static FLUSH: HistogramFamily =
    HistogramFamily::new("lade_flush_duration_seconds", "How long such a move took.", Histogram::WORK);

static FLUSHED_RECORDS: Counter =
    Counter::new("lade_flush_records_total", "Put records that were moved from the log to runs.");

static COMPACTIONS: Counters<2> = Counters::new(
    "lade_compactions_total",
    "Merges of several runs into one.",
    ["result=\"done\"", "result=\"failed\""],
);

static COMPACTION: HistogramFamily =
    HistogramFamily::new("lade_compaction_duration_seconds", "How long such a merge took.", Histogram::WORK);

/// As upkeep has last seen it.
pub(crate) static UNFLUSHED: Gauge =
    Gauge::new("lade_log_unflushed_records", "Put records in the log that are not yet in a run.");

/// In milliseconds since the epoch; 0 when there are none. Shown as an age, by whoever knows the time.
static OLDEST_UNFLUSHED_MS: AtomicI64 = AtomicI64::new(0);

/// All of it.
pub static FAMILIES: Families = &[
    &ENDED,
    &DURATION,
    &RETRIES,
    &LEASES_LOST,
    &MEMORY,
    &FLUSHES,
    &FLUSH,
    &FLUSHED_RECORDS,
    &COMPACTIONS,
    &COMPACTION,
    &UNFLUSHED,
];

/// Since when the log holds put records that are not yet in a run, in milliseconds since the epoch, as far as this process
/// has seen; `None` when it holds none.
pub fn oldest_unflushed_ms() -> Option<i64> {
    Some(OLDEST_UNFLUSHED_MS.load(Ordering::Relaxed)).filter(|at_ms| *at_ms != 0)
}

pub(crate) fn unflushed(records: u64, oldest_ms: Option<i64>) {
    UNFLUSHED.set(i64::try_from(records).unwrap_or(i64::MAX));
    OLDEST_UNFLUSHED_MS.store(oldest_ms.unwrap_or(0), Ordering::Relaxed);
}

pub(crate) fn ended(job: &JobRow, end: End, now_ms: i64) {
    ENDED.add(place(job.kind) * 3 + end as usize, 1);
    if matches!(end, End::Done) {
        let took_ms = u64::try_from(now_ms - job.created_ms).unwrap_or(0);
        DURATION.observe(place(job.kind), Duration::from_millis(took_ms));
    }
}

pub(crate) fn retried(job: &JobRow) {
    RETRIES.add(place(job.kind), 1);
}

pub(crate) fn lease_lost() {
    LEASES_LOST.add(1);
}

pub(crate) fn flushed(records: u64, took: Duration) {
    FLUSHES.add(0, 1);
    FLUSHED_RECORDS.add(records);
    FLUSH.observe(took);
}

pub(crate) fn flush_failed() {
    FLUSHES.add(1, 1);
}

pub(crate) fn compacted(took: Duration) {
    COMPACTIONS.add(0, 1);
    COMPACTION.observe(took);
}

pub(crate) fn compaction_failed() {
    COMPACTIONS.add(1, 1);
}

fn place(kind: JobKind) -> usize {
    match kind {
        JobKind::Import => 0,
        JobKind::Export => 1,
        JobKind::Update => 2,
        JobKind::Deletion => 3,
        JobKind::Analysis => 4,
    }
}

/// What a kind is called in labels.
pub fn type_label(kind: JobKind) -> &'static str {
    TYPES[place(kind)]
}
