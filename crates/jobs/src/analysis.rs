//! Analyses of dataset groups: the pinned state of all datasets read once, and what came of it kept beside the group.

use std::sync::Arc;

use catalog::{AnalysisRow, JobRow, Lease, PinnedDataset, RunRow};
use engine::Progress;
use engine::analysis::{Analysis, Analyst};
use model::IngestionMode;
use model::error::{Error, Result};
use tracing::info;

use crate::snapshot::{Tail, open_source};
use crate::{Parts, blocking, lease};

/// Of the memory of an analysis, the part that it counts in; the rest reads.
const COUNTING: usize = 2;

pub async fn run(parts: &Arc<Parts>, job: &JobRow, lease: &Lease, progress: &Arc<Progress>) -> Result<()> {
    let group = &job.subject_arn;
    let pinned = parts.catalog.pin_group(lease, group, || parts.log.settled()).await?;
    let runs = parts.catalog.pinned_runs(&job.arn).await?;
    progress.expect_rows(runs.iter().map(|row| row.run.rows).sum());
    let analysis = analyse(parts, &pinned, &runs, progress).await?;
    let first = pinned.first().ok_or_else(|| Error::internal("an analysis has pinned no dataset"))?;
    let keys = parts.access.data_keys(first.dataset.id, group).await?;
    let text = serde_json::to_vec(&analysis)
        .map_err(|e| Error::internal("write what came of an analysis").caused_by(e))?;
    let row = AnalysisRow {
        dataset_id: first.dataset.id,
        // Categories are values of records.
        result: keys.keep(&text, group.as_str().as_bytes()),
        rows: analysis.rows,
        started_ms: job.created_ms,
        taken_ms: first.snapshot.taken_ms,
        finished_ms: parts.clock.now_ms(),
    };
    parts.catalog.finish_analysis(lease, group, &row, lease::so_far(progress, None)).await?;
    let (rows, insights) = (analysis.rows, analysis.insights.len());
    info!(group.arn = %group, rows, insights, "analyzed {rows} rows of a dataset group");
    Ok(())
}

async fn analyse(
    parts: &Arc<Parts>,
    pinned: &[PinnedDataset],
    runs: &[RunRow],
    progress: &Arc<Progress>,
) -> Result<Analysis> {
    let settings = &parts.settings;
    let mut analyst = Analyst::new(settings.job_memory_bytes / COUNTING, settings.threads, pinned.len());
    for one in pinned {
        let parts = parts.of_dataset(&one.dataset).await?;
        let runs = runs.iter().filter(|row| row.dataset_id == one.dataset.id).cloned().collect();
        let (one, progress) = (one.clone(), progress.clone());
        analyst = blocking(move || read(&parts, one, runs, analyst, &progress)).await?;
    }
    blocking(move || Ok(analyst.finish())).await
}

fn read(
    parts: &Parts,
    pinned: PinnedDataset,
    runs: Vec<RunRow>,
    mut analyst: Analyst,
    progress: &Progress,
) -> Result<Analyst> {
    let PinnedDataset { dataset, snapshot } = pinned;
    let tail = Tail::new(parts);
    let source = open_source(parts, dataset.id, &snapshot, &runs, IngestionMode::All, &tail)?;
    analyst.read(dataset.arn, &snapshot.layout, &source, progress)?;
    Ok(analyst)
}
