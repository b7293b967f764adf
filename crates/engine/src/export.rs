//! Export: a snapshot's runs → merged, chosen by the rules of the mode → CSV, or what its options ask for, in files of
//! equal hash ranges.

pub(crate) mod choose;
mod content;
pub mod encode;
mod file;
mod filter;
mod form;
mod line;
mod member;
mod parquet;
mod part;
pub mod pool;
mod portion;
mod sink;
mod unit;
pub mod user;

use model::error::Result;
use model::export::{ExportOptions, Since};
use model::manifest::Ledger;
use model::{IngestionMode, Layout, Origin};
use serde::{Deserialize, Serialize};
use store::merge::Batches;
use store::run::EVERYTHING;
use store::{OpenRun, ScratchFolder};

use crate::Progress;
use crate::in_order::{self, Ahead, Output};
use file::FileWriter;
use form::{FileForm, Form};
pub use part::Part;
use pool::Pool;
pub use portion::{Portion, Written};
pub use sink::Left;
use unit::{Plan, Tally, Unit};

/// What an export reads: the pinned runs of the chosen origins, and the size they have as CSV.
pub struct Source {
    pub runs: Vec<SourceRun>,
    /// The size of all records as they arrived; it decides into how many files the export is cut.
    pub csv_bytes: u64,
}

impl Source {
    /// All records of all runs, with their arrivals, for whoever merges them otherwise.
    pub fn batches(&self) -> Result<Vec<Batches>> {
        let read = |source: &SourceRun| Ok(Box::new(source.run.read(EVERYTHING, true)?) as Batches);
        self.runs.iter().map(read).collect()
    }
}

/// One run, and what the catalog says that it holds.
pub struct SourceRun {
    pub origin: Origin,
    pub run: OpenRun,
    /// Distinct records.
    pub rows: u64,
    /// Records as they arrived.
    pub records: u64,
}

#[derive(Clone, Debug)]
pub struct Settings {
    /// The mean size of the files stays below this, unless the options say otherwise.
    pub file_size_bytes_max: u64,
    /// The size of the pieces a file is handed over in.
    pub part_size_bytes: usize,
    /// How many ranges are merged and encoded at once.
    pub threads: usize,
    /// A folder of this export's own; it is made when it is needed and removed in the end.
    pub scratch: ScratchFolder,
    /// What each thread may take to put the records of one item or user in order.
    pub memory_bytes: usize,
    pub options: ExportOptions,
    /// Where an earlier export ended, if only what came since is wanted.
    pub since: Option<Since>,
}

/// How many pieces a unit may be ahead of the one whose turn it is.
const PIECES_AHEAD: usize = 8;

/// A piece of the output, in order.
#[derive(Debug)]
pub enum Piece {
    /// The next bytes of a file, `part_size_bytes` of them except the last, and their checksum.
    Part { file: FileId, bytes: Part, crc64nvme: u64 },
    /// A file has ended.
    End(FileSummary),
}

/// One of the files of an export: those of its records, then those of what was left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct FileId {
    pub are_losers: bool,
    pub number: usize,
}

/// What a file holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileSummary {
    pub file: FileId,
    /// Records, the header not counted.
    pub rows: u64,
    pub bytes: u64,
    pub crc64nvme: u64,
    /// Lower-case hex.
    pub blake3: String,
    /// Lower-case hex, where it was asked for.
    pub sha256: Option<String>,
}

/// What became of a snapshot's records.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Outcome {
    pub ledger: Ledger,
    /// Those of the filtered ones that an earlier export had.
    pub earlier: u64,
}

/// How many files an export of this size is cut into: the smallest power of two that keeps their mean below the limit.
pub fn file_count(csv_bytes: u64, settings: &Settings) -> usize {
    let most = settings.options.file_size_bytes_max.unwrap_or(settings.file_size_bytes_max);
    let needed = csv_bytes.div_ceil(most.max(1)).max(1);
    usize::try_from(needed.next_power_of_two()).unwrap_or(1 << 16).min(1 << 16)
}

/// Writes a snapshot as its options ask, piece by piece, and says where every record went.
///
/// Files come one after the other, at least one, each with the header. Order and split depend on the data alone: the
/// ranges that threads work on are put together in their order. Where what is left out is asked for, its files come
/// behind them, of as many ranges: the snapshot is merged once more.
///
/// Source: "Exporting a dataset".
///
/// # Errors
/// `Corrupt` when a run is damaged or holds another number of records than the catalog says; those of `emit`.
pub fn export(
    layout: &Layout,
    mode: IngestionMode,
    source: Source,
    settings: &Settings,
    progress: &Progress,
    emit: &mut dyn FnMut(Piece) -> Result<()>,
) -> Result<Outcome> {
    let all = Portion::whole(file_count(source.csv_bytes, settings));
    let written = export_portion(layout, mode, &source, &all, settings, progress, emit)?;
    Outcome::of(&[written])
}

/// Writes some of the files of an export: the very bytes that they have when all are written at once.
///
/// # Errors
/// As `export`, but for what only shows when all files are written.
pub fn export_portion(
    layout: &Layout,
    mode: IngestionMode,
    source: &Source,
    portion: &Portion,
    settings: &Settings,
    progress: &Progress,
    emit: &mut dyn FnMut(Piece) -> Result<()>,
) -> Result<Written> {
    let (pool, scratch) = (Pool::default(), Scratch(&settings.scratch));
    let form = Form::new(layout, mode, &settings.options, settings.since.clone());
    progress.expect_rows(rows_read(source, settings));
    let plan = Plan {
        layout,
        mode,
        runs: &source.runs,
        form: &form,
        takes_losers: false,
        pool: &pool,
        scratch: scratch.0,
        memory_bytes: settings.memory_bytes,
    };
    let tally = write_files(plan, &form.file(layout), portion, settings, progress, emit)?;
    let mut written = Written::new(source, tally);
    if settings.options.has_losers {
        let plan = Plan { takes_losers: true, ..plan };
        let losers = write_files(plan, &form.losers_file(layout), portion, settings, progress, emit)?;
        written.losers = Some(losers.left);
    }
    Ok(written)
}

/// How many records are read for all files.
pub fn rows_read(source: &Source, settings: &Settings) -> u64 {
    let rows: u64 = source.runs.iter().map(|run| run.rows).sum();
    if settings.options.has_losers { 2 * rows } else { rows }
}

fn write_files(
    plan: Plan<'_>,
    form: &FileForm,
    portion: &Portion,
    settings: &Settings,
    progress: &Progress,
    emit: &mut dyn FnMut(Piece) -> Result<()>,
) -> Result<Tally> {
    let mut units = plan.units(portion.of);
    units.retain(|unit| portion.holds(unit.file));
    let mut writer = FileWriter::begin(portion.first, form, settings.part_size_bytes, emit)?;
    let mut total = Tally::default();
    let encode = |unit: &Unit<'_>, out: &mut dyn FnMut(Vec<u8>) -> Result<()>| unit.encode(progress, out);
    let ahead = Ahead { units: settings.threads + 1, pieces: PIECES_AHEAD };
    in_order::run(&units, settings.threads, ahead, &encode, |unit, output| match output {
        Output::Piece(bytes) => {
            writer.go_to(unit.file, emit)?;
            writer.write(&bytes, emit)?;
            plan.pool.give_back(bytes);
            Ok(())
        }
        Output::Done(tally) => {
            writer.go_to(unit.file, emit)?;
            writer.count(tally.written);
            total.add(&tally);
            Ok(())
        }
    })?;
    writer.go_to(portion.last(), emit)?;
    writer.end(emit)?;
    Ok(total)
}

/// A folder that goes with the export.
struct Scratch<'a>(&'a ScratchFolder);

impl Drop for Scratch<'_> {
    fn drop(&mut self) {
        // Most exports never made it; what can't be removed now is cleared at the next start.
        let _ = std::fs::remove_dir(self.0.path());
    }
}
