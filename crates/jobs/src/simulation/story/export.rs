//! Exports: what one says is compared with all that may be so.

use std::sync::Arc;

use catalog::{JobRow, Lease};
use engine::Progress;
use engine::export::Piece;
use model::error::Result;
use model::manifest::Ledger;
use model::{IngestionMode, Origin};

use super::super::house::{DATASETS, House, layout};
use super::super::naive::{Naive, Sent};
use super::{ROUNDS_MAX, Story};
use crate::{Outcome, Parts, blocking, dataset_export_job};

impl Story {
    pub(super) async fn export(
        &self,
        house: &House,
        job: &JobRow,
        lease: &Lease,
        dataset: usize,
        mode: IngestionMode,
        worlds: &[Naive],
    ) -> Result<Outcome> {
        let (files, ledger) = read(&house.parts, job).await?;
        house.machine.note(&files);
        let is_blurred = self.state().is_blurred[dataset];
        let is_so = |world: &Naive| fits(world, dataset, mode, &files, &ledger, is_blurred);
        assert!(
            worlds.iter().any(is_so),
            "{} of {mode:?} of {:?} wrote {} with {ledger:?}; the model says {:#?}",
            job.arn,
            DATASETS[dataset],
            String::from_utf8_lossy(&files.concat()),
            worlds.iter().map(|world| world.export(dataset, mode, dataset == 1)).collect::<Vec<_>>(),
        );
        house.parts.catalog.finish_export(lease, "{}").await?;
        let mut state = self.state();
        // What it shows of the state of now, if that is still the same.
        if state.worlds == worlds {
            state.worlds.retain(is_so);
            if let [world] = &state.worlds[..] {
                let now = (world.clone(), files);
                if let Some(last) = state.last.insert((dataset, mode.as_str()), now.clone())
                    && last.0 == now.0
                {
                    assert!(last.1 == now.1, "the same state was exported in another order");
                }
            }
        }
        Ok(Outcome::Ended)
    }

    /// Exports now, and works until that is done.
    pub(super) async fn check(&self, house: &House, dataset: usize, mode: IngestionMode) -> Result<()> {
        let arn = self.create_export(&house.parts, dataset, mode).await?;
        for round in 0.. {
            if !self.state().tasks.contains_key(&arn) {
                break;
            }
            assert!(round < ROUNDS_MAX, "{arn} never ends: {:?}", self.state().tasks.keys());
            if self.work(house).await?.is_none() {
                // The clock was set back, and the job waits for the time at which it was given back.
                self.stage.lock().unwrap().clock.advance_ms(3_600_000);
            }
        }
        Ok(())
    }
}

/// The files of an export, in memory.
async fn read(parts: &Arc<Parts>, job: &JobRow) -> Result<(Vec<Vec<u8>>, Ledger)> {
    let snapshot = job.snapshot()?;
    let runs = parts.catalog.pinned_runs(&job.arn).await?;
    let (pieces, mut received) = tokio::sync::mpsc::channel(1);
    let merging = {
        let (parts, job) = (parts.clone(), job.clone());
        blocking(move || {
            dataset_export_job::merge(&parts, &job, (&snapshot, &runs), None, &Progress::default(), &pieces)
        })
    };
    let gather = async {
        let mut files: Vec<Vec<u8>> = Vec::new();
        while let Some(piece) = received.recv().await {
            if let Piece::Part { file, bytes, .. } = piece {
                files.resize(files.len().max(file.number + 1), Vec::new());
                files[file.number].extend_from_slice(bytes.as_ref());
            }
        }
        files
    };
    let (ledger, files) = tokio::join!(merging, gather);
    Ok((files, engine::export::Outcome::of(&[ledger?])?.ledger))
}

/// Whether an export says what the model says.
fn fits(
    world: &Naive,
    dataset: usize,
    mode: IngestionMode,
    files: &[Vec<u8>],
    ledger: &Ledger,
    is_blurred: bool,
) -> bool {
    let is_keyed = DATASETS[dataset].is_keyed();
    let (expected, found) = (world.export(dataset, mode, is_keyed), lines(dataset, files));
    let count = |origin| if mode.takes(origin) { world.count(dataset, origin) } else { 0 };
    let (bulk, put) = (count(Origin::Bulk), count(Origin::Put));
    let is_counted = match is_blurred {
        true => ledger.read_bulk <= bulk && ledger.read_put <= put,
        false => (ledger.read_bulk, ledger.read_put) == (bulk, put),
    };
    // Records of one item stand in order of arrival; the order of others is the hash's business.
    let ordered = |mut rows: Vec<Sent>| {
        if is_keyed {
            rows.sort_by(|a, b| a.id.cmp(&b.id));
        } else {
            rows.sort_by(|a, b| a.line.cmp(&b.line));
        }
        rows
    };
    is_counted && ledger.written == found.len() as u64 && ordered(expected) == ordered(found)
}

/// All files' lines but for the headers.
fn lines(dataset: usize, files: &[Vec<u8>]) -> Vec<Sent> {
    let header: Vec<String> = layout(dataset).columns.iter().map(|c| c.name().to_owned()).collect();
    let of_file = |file: &Vec<u8>| {
        let text = String::from_utf8(file.clone()).unwrap();
        let mut lines = text.lines().map(str::to_owned).collect::<Vec<_>>();
        assert_eq!(lines.remove(0), header.join(","));
        lines
    };
    let sent = |line: String| Sent { id: line.split(',').next().unwrap_or_default().to_owned(), line };
    files.iter().flat_map(of_file).map(sent).collect()
}
