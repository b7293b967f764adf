//! A dataset of the product as its storeys below the catalog make it, driven one operation at a time.

use std::cell::Cell;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use csv::{Dialect, Splitter};
use engine::Progress;
use engine::count_distinct;
use engine::export::{
    FileSummary, Outcome, Piece, Portion, Settings, Source, SourceRun, export, export_portion, file_count,
};
use engine::import::{
    Begin, Borders, Rejecting, Rest, SourceFile, SourcePiece, Target, import, import_pieces,
};
use model::manifest::Ledger;
use model::record::{Codec, Value};
use model::{DatasetType, ErrorKind, IngestionMode, Layout, Origin, Schema};
use store::compact::{Input, compact};
use store::log::{Batch, Log, LogSettings};
use store::tail::read_tail;
use store::{Objects, OpenRun, RunFile, RunWriter, Sorter};

thread_local! {
    /// The type of the dataset of the running case: it decides which fields a line has.
    pub static KIND: Cell<DatasetType> = const { Cell::new(DatasetType::Items) };
}

#[derive(Clone, Debug)]
pub struct Row {
    pub id: u8,
    pub at: i64,
    pub number: Option<f64>,
    pub text: String,
    /// The value of all columns that later schemas add.
    pub added: Option<bool>,
}

impl Row {
    pub fn id(&self) -> String {
        format!("id{}", self.id)
    }

    /// The line that an export is to write, made with nothing of the product: each later version of the schema adds a
    /// column behind the id.
    pub fn line(&self, kind: DatasetType, schema_version: u32) -> String {
        let added = self.added.map_or(",".to_owned(), |truth| format!(",{truth}"));
        let id = self.id() + &added.repeat(schema_version as usize - 1);
        let number = self.number.map_or(String::new(), |n| match n {
            // Both zeros: the sign of none is kept.
            0.0 => "0.0".to_owned(),
            1e16 => "1.0e16".to_owned(),
            n => format!("{n:?}"),
        });
        let needs_quotes = self.text.contains([',', '"', '\n']) || self.text.trim() != self.text;
        let text =
            if needs_quotes { format!("\"{}\"", self.text.replace('"', "\"\"")) } else { self.text.clone() };
        match kind {
            DatasetType::Interactions => format!("{id},item,{},{number},{text}", self.at),
            _ => format!("{id},{number},{text}"),
        }
    }

    fn values(&self, kind: DatasetType, schema_version: u32) -> Vec<Value<'_>> {
        let mut values = vec![Value::String(self.id().into())];
        let added = self.added.map_or(Value::Null, Value::Boolean);
        values.resize(schema_version as usize, added);
        if kind == DatasetType::Interactions {
            values.extend([Value::String("item".into()), Value::Long(self.at)]);
        }
        values.push(self.number.map_or(Value::Null, Value::Double));
        values.push(Value::String(self.text.as_str().into()));
        values
    }
}

/// What all cases share: the folder, the log, the counter.
struct Shared {
    folder: tempfile::TempDir,
    log: Log,
    sequence: Arc<AtomicU64>,
    names: AtomicU64,
    waiting: tokio::runtime::Runtime,
}

fn shared() -> &'static Shared {
    static SHARED: OnceLock<Shared> = OnceLock::new();
    SHARED.get_or_init(|| {
        // In memory where there is such a folder: what the disk does is tested elsewhere, with far fewer cases.
        let memory = Path::new("/dev/shm");
        let folder =
            if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() }.unwrap();
        let sequence = Arc::new(AtomicU64::new(1));
        let counter = sequence.clone();
        let sequencer = Arc::new(move |count| Ok(counter.fetch_add(count, Ordering::SeqCst)));
        let (log, _) = Log::open(&folder.path().join("log"), LogSettings::default(), sequencer).unwrap();
        let waiting = tokio::runtime::Builder::new_current_thread().build().unwrap();
        Shared { folder, log, sequence, names: AtomicU64::new(1), waiting }
    })
}

pub struct TestDataset {
    id: u64,
    layout: Layout,
    objects: Objects,
    runs: Vec<(Origin, u64, RunFile)>,
    flushed: u64,
}

/// The newest of the columns that later versions add comes first.
fn schema(kind: DatasetType, schema_version: u32) -> Schema {
    let (id, more) = match kind {
        DatasetType::Interactions => (
            r#"{"name":"USER_ID","type":"string"}"#,
            r#"{"name":"ITEM_ID","type":"string"},{"name":"TIMESTAMP","type":"long"},"#,
        ),
        _ => (r#"{"name":"ITEM_ID","type":"string"}"#, ""),
    };
    let added = |n: u32| format!(r#"{{"name":"ADDED_{n}","type":["boolean","null"]}},"#);
    let added: String = (2..=schema_version).rev().map(added).collect();
    let metadata = r#"{"name":"NUMBER","type":["double","null"]},{"name":"TEXT","type":["null","string"]}"#;
    let name = kind.record_name();
    let text = format!(r#"{{"type":"record","name":"{name}","fields":[{id},{added}{more}{metadata}]}}"#);
    Schema::parse(&text, None).unwrap()
}

impl TestDataset {
    pub fn new(kind: DatasetType) -> TestDataset {
        let layout = Layout::new(kind, &schema(kind, 1));
        let id = shared().names.fetch_add(1, Ordering::SeqCst);
        let objects = Objects::open(&shared().folder.path().join(format!("dataset-{id}"))).unwrap();
        TestDataset { id, layout, objects, runs: Vec::new(), flushed: shared().log.durable() }
    }

    pub fn is_keyed(&self) -> bool {
        self.layout.dataset_type.is_keyed()
    }

    pub fn schema_version(&self) -> u32 {
        self.layout.schema_version
    }

    pub fn replace_schema(&mut self) {
        let schema = schema(self.layout.dataset_type, self.layout.schema_version + 1);
        self.layout = self.layout.replaced_by(&schema).unwrap();
    }

    /// Puts rows that were checked against a version of the schema, which need not be the last.
    pub fn put(&mut self, rows: &[Row], schema_version: u32) {
        let kind = self.layout.dataset_type;
        let layout = self.layout.as_of(schema_version);
        let codec = Codec::new(&layout);
        let mut batch = Batch::new(self.id, schema_version);
        for row in rows {
            batch.push_with(|out| codec.encode(&row.values(kind, schema_version), out)).unwrap();
        }
        shared().waiting.block_on(shared().log.append(batch)).unwrap();
    }

    pub fn import(&mut self, rows: &[Row], is_full: bool) {
        let text = self.csv(rows);
        let file = self.try_import(&text).unwrap();
        let base = shared().sequence.fetch_add(file.records, Ordering::SeqCst);
        if is_full {
            self.runs.retain(|(origin, ..)| *origin == Origin::Put);
        }
        if !is_sampled(text.len() as u64) {
            return self.runs.push((Origin::Bulk, base, file));
        }
        // What one import reads as several pieces is no other.
        let pieces = self.import_pieces(&text, 1 + text.len() as u64 / 3 + text.len() as u64 % 50);
        self.check_pieces(&file, &pieces);
        if rows.len().is_multiple_of(2) {
            return self.runs.push((Origin::Bulk, base, file));
        }
        let (mut before, is_keyed) = (0, self.is_keyed());
        for piece in pieces {
            let records = piece.records;
            self.runs.push((Origin::Bulk, if is_keyed { base + before } else { base }, piece));
            before += records;
        }
    }

    fn check_pieces(&self, file: &RunFile, pieces: &[RunFile]) {
        let sum = |count: fn(&RunFile) -> u64| pieces.iter().map(count).sum::<u64>();
        assert_eq!((sum(|p| p.records), sum(|p| p.csv_bytes)), (file.records, file.csv_bytes));
        let open = |p: &RunFile| OpenRun::open(&self.objects, &p.object, &self.layout, 0).unwrap();
        let runs: Vec<OpenRun> = pieces.iter().map(open).collect();
        let (low, high) = (0..=u64::MAX / 2, u64::MAX / 2 + 1..=u64::MAX);
        let count = |range| count_distinct(&self.layout, &runs, range, &Progress::default()).unwrap();
        assert_eq!(count(low) + count(high), file.rows);
    }

    // As several would do it: each takes its range to begin outside quotes, and reads it again where that was wrong.
    fn import_pieces(&self, text: &str, piece_bytes: u64) -> Vec<RunFile> {
        let (mut runs, mut border, size) = (Vec::new(), None, text.len() as u64);
        let mut begin = 0;
        while begin < size {
            let end = (begin + piece_bytes).min(size);
            let (mut run, mut borders) = self.import_piece(text, Begin::Behind(begin), end);
            if border.is_some_and(|border| border != borders.begin()) {
                self.objects.delete(&run.object).unwrap();
                (run, borders) = self.import_piece(text, Begin::Record(border.unwrap()), end);
            }
            border = Some(borders.end());
            runs.push(run);
            begin = end;
        }
        runs
    }

    fn import_piece(&self, text: &str, begin: Begin, end: u64) -> (RunFile, Borders) {
        let borders = Borders::default();
        let from = match begin {
            Begin::Record(byte) => byte as usize,
            Begin::Behind(byte) => byte.saturating_sub(1) as usize,
        };
        let bytes = |from: usize| Box::new(std::io::Cursor::new(text.as_bytes()[from..].to_vec()));
        let rest = (begin != Begin::Behind(0)).then(|| Rest { begin, bytes: bytes(from) });
        let file = SourceFile { key: "in.csv".to_owned(), dialect: Dialect::Rfc4180, bytes: bytes(0) };
        let piece = SourcePiece { file, rest, end: Some(end), borders: &borders };
        let target = self.target(1, 16);
        let run = import_pieces(&self.layout, [Ok(piece)], &target, &Progress::default());
        // What begins within quotes may break a rule; it is read again from where the one before ends.
        let run = run.unwrap_or_else(|_| self.no_run());
        (run, borders)
    }

    fn no_run(&self) -> RunFile {
        RunWriter::create(&self.objects, &name(), &self.layout).unwrap().finish().unwrap()
    }

    fn target(&self, threads: usize, chunk_bytes: usize) -> Target<'_> {
        Target {
            objects: &self.objects,
            object: name(),
            scratch: scratch().into(),
            memory_bytes: 256 << 20,
            threads,
            chunk_bytes,
            rejecting: Rejecting::FIRST,
        }
    }

    pub fn import_badly(&mut self, rows: &[Row]) {
        let text = self.csv(rows) + "\"unclosed";
        assert_eq!(self.try_import(&text).unwrap_err().kind, ErrorKind::Invalid);
    }

    fn csv(&self, rows: &[Row]) -> String {
        let kind = self.layout.dataset_type;
        let header = self.layout.columns.iter().map(|c| c.name()).collect::<Vec<_>>().join(",");
        let version = self.layout.schema_version;
        rows.iter().fold(header + "\n", |text, row| text + &row.line(kind, version) + "\n")
    }

    // However many threads there are, and whatever they get to read, the run is the same.
    fn try_import(&self, text: &str) -> model::Result<RunFile> {
        let alone = self.import_with(text, 1, 1 << 20);
        for (threads, chunk_bytes) in [(1, 16), (2, 7), (3, 32)] {
            let other = self.import_with(text, threads, chunk_bytes);
            match (&alone, &other) {
                (Ok(alone), Ok(other)) => {
                    let is_same = self.content(alone) == self.content(other);
                    assert!(is_same, "{threads} threads, chunks of {chunk_bytes}");
                    assert_eq!(*alone, RunFile { object: alone.object.clone(), ..other.clone() });
                    self.objects.delete(&other.object).unwrap();
                }
                (alone, other) => assert_eq!(message(alone), message(other)),
            }
        }
        alone
    }

    // The bytes of a run but for the checksum of its footer, which holds for one name alone.
    fn content(&self, file: &RunFile) -> Vec<u8> {
        let object = self.objects.open_object(&file.object).unwrap();
        let mut bytes = vec![0; object.size().unwrap() as usize];
        object.read_exact_at(&mut bytes, 0).unwrap();
        let length_at = bytes.len() - 8;
        let length = u32::from_le_bytes(bytes[length_at..length_at + 4].try_into().unwrap());
        let footer = length_at - length as usize;
        bytes[footer - 4..footer].fill(0);
        bytes
    }

    fn import_with(&self, text: &str, threads: usize, chunk_bytes: usize) -> model::Result<RunFile> {
        let bytes = Box::new(std::io::Cursor::new(text.as_bytes().to_vec()));
        let file = SourceFile { key: "in.csv".to_owned(), dialect: Dialect::Rfc4180, bytes };
        let target = self.target(threads, chunk_bytes);
        import(&self.layout, [Ok(file)], &target, None, &Progress::default()).1
    }

    pub fn flush(&mut self) {
        let to = shared().log.durable();
        if shared().log.pending(self.id, self.flushed).records == 0 {
            return;
        }
        self.runs.push((Origin::Put, 0, self.tail()));
        self.flushed = to;
    }

    // What is in the log and in no run, as a run.
    fn tail(&self) -> RunFile {
        let mut sorter = Sorter::new(scratch(), 1 << 20);
        let to = shared().log.durable();
        read_tail(&shared().log, self.id, self.flushed, to, &self.layout, self.objects.keys(), &mut sorter)
            .unwrap();
        let mut sorted = sorter.finish().unwrap();
        let mut writer = RunWriter::create(&self.objects, &name(), &self.layout).unwrap();
        while let Some((record, arrivals)) = sorted.next_record().unwrap() {
            writer.push_record(record, arrivals).unwrap();
        }
        writer.finish().unwrap()
    }

    pub fn compact(&mut self) {
        for origin in [Origin::Bulk, Origin::Put] {
            let (inputs, kept): (Vec<_>, Vec<_>) = self.runs.drain(..).partition(|(o, ..)| *o == origin);
            self.runs = kept;
            let input = |(_, sequence_base, file): &(Origin, u64, RunFile)| Input {
                object: file.object.clone(),
                sequence_base: *sequence_base,
                size_bytes: file.size_bytes,
            };
            let inputs: Vec<Input> = inputs.iter().map(input).collect();
            if !inputs.is_empty() {
                let file = compact(&self.objects, &name(), &self.layout, inputs, 2, &|| Ok(())).unwrap();
                self.runs.push((origin, 0, file));
            }
        }
    }

    /// The exported lines with their ids, all files one after the other, and the ledger.
    pub fn export(
        &self,
        mode: IngestionMode,
        file_size_bytes_max: u64,
        threads: usize,
    ) -> (Vec<(String, String)>, Ledger) {
        let mut source = Source { runs: Vec::new(), csv_bytes: 0 };
        for (origin, base, file) in self.runs.iter().filter(|(origin, ..)| mode.takes(*origin)) {
            source.add(self, *origin, *base, file);
        }
        if mode.takes(Origin::Put) {
            let tail = self.tail();
            source.add(self, Origin::Put, 0, &tail);
        }
        let mut files: Vec<Vec<u8>> = Vec::new();
        // With two threads, each id that has several records is put in order outside of memory.
        let memory_bytes = if threads == 2 { 64 } else { 1 << 20 };
        let scratch = scratch().into();
        let (options, since) = Default::default();
        let settings = Settings {
            file_size_bytes_max,
            part_size_bytes: 64,
            threads,
            scratch,
            memory_bytes,
            options,
            since,
        };
        let mut summaries = Vec::new();
        let mut emit = |piece| {
            match piece {
                Piece::Part { file, bytes, .. } => {
                    files.resize(files.len().max(file.number + 1), Vec::new());
                    files[file.number].extend_from_slice(bytes.as_ref());
                }
                Piece::End(summary) => summaries.push(summary),
            }
            Ok(())
        };
        let portions = is_sampled(source.csv_bytes).then(|| self.export_portions(mode, &source, &settings));
        let outcome = export(&self.layout, mode, source, &settings, &Progress::default(), &mut emit).unwrap();
        if let Some(portions) = portions {
            assert_eq!(portions, (files.clone(), summaries, outcome));
        }
        let ledger = outcome.ledger;
        (files.iter().flat_map(|file| lines(file)).collect(), ledger)
    }
}

// Work in parts takes several times as long: some of the cases are enough, the same ones each time.
fn is_sampled(bytes: u64) -> bool {
    bytes.is_multiple_of(8)
}

impl TestDataset {
    // Each file by itself, the last one first.
    fn export_portions(
        &self,
        mode: IngestionMode,
        source: &Source,
        settings: &Settings,
    ) -> (Vec<Vec<u8>>, Vec<FileSummary>, Outcome) {
        let count = file_count(source.csv_bytes, settings);
        let (mut files, mut summaries, mut written) = (vec![Vec::new(); count], Vec::new(), Vec::new());
        for portion in Portion::each(count).collect::<Vec<_>>().iter().rev() {
            let mut emit = |piece| {
                match piece {
                    Piece::Part { file, bytes, .. } => files[file.number].extend_from_slice(bytes.as_ref()),
                    Piece::End(summary) => summaries.push(summary),
                }
                Ok(())
            };
            let progress = Progress::default();
            let done =
                export_portion(&self.layout, mode, source, portion, settings, &progress, &mut emit).unwrap();
            written.push(done);
        }
        summaries.reverse();
        (files, summaries, Outcome::of(&written).unwrap())
    }
}

trait Add {
    fn add(&mut self, dataset: &TestDataset, origin: Origin, base: u64, file: &RunFile);
}

impl Add for Source {
    fn add(&mut self, dataset: &TestDataset, origin: Origin, base: u64, file: &RunFile) {
        let run = OpenRun::open(&dataset.objects, &file.object, &dataset.layout, base).unwrap();
        self.runs.push(SourceRun { origin, run, rows: file.rows, records: file.records });
        self.csv_bytes += file.csv_bytes;
    }
}

impl Drop for TestDataset {
    fn drop(&mut self) {
        shared().log.forget_dataset(self.id);
        let _ = std::fs::remove_dir_all(shared().folder.path().join(format!("dataset-{}", self.id)));
    }
}

// Each file without its header; a line's id is its first field, which never needs quotes here.
fn lines(file: &[u8]) -> Vec<(String, String)> {
    let mut splitter = Splitter::new(Dialect::Rfc4180, csv::Settings::default());
    splitter.push(file);
    splitter.finish();
    let mut lines = Vec::new();
    while let Some(record) = splitter.next_record().unwrap() {
        let line = String::from_utf8(record.raw().to_vec()).unwrap();
        lines.push((line.split(',').next().unwrap_or_default().to_owned(), line));
    }
    lines.remove(0);
    lines
}

fn message(outcome: &model::Result<RunFile>) -> Option<&str> {
    outcome.as_ref().err().map(model::Error::message)
}

fn name() -> String {
    format!("{}.parquet", shared().names.fetch_add(1, Ordering::SeqCst))
}

fn scratch() -> PathBuf {
    shared().folder.path().join("scratch").join(name())
}
