//! What happens in a seed's world: calls, jobs, upkeep, faults and crashes, all compared with the naive model.

use std::collections::HashMap;
use std::future::poll_fn;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::Poll;

use catalog::{DeletionList, ExportRequest, ImportRequest, JobKind, JobRow, Lease, NewJob};
use engine::export::Piece;
use engine::import::{Rejecting, SourceFile, Target, import};
use engine::{Progress, deletion};
use model::clock::{Clock, SimulatedClock};
use model::error::{Error, Result};
use model::manifest::Ledger;
use model::record::{Codec, Value};
use model::{Arn, ErrorKind, ImportMode, IngestionMode, Origin};
use store::disk::simulated::{Failing, SimulatedDisk};
use store::log::Batch;
use tokio::runtime::Handle;

use super::house::{DATASETS, House, Shared, Stage, dataset_arn, layout, realm};
use super::machine::{Faults, Machine};
use super::naive::{Naive, Sent};
use crate::upkeep::{clear_objects, flush, flush_before, trim_log};
use crate::{Outcome, Parts, Settings, blocking, data_deletion_job, dataset_export_job, dataset_import_job};

const MODES: [IngestionMode; 3] = [IngestionMode::Bulk, IngestionMode::Put, IngestionMode::All];

/// How often jobs are asked for before one that has not ended by then is taken to hang.
const ROUNDS_MAX: u32 = 1000;
/// Each call without an answer doubles the worlds.
const LIMBO_MAX: usize = 5;

/// A row as it is sent; few different ones, so that they meet.
#[derive(Clone, Debug)]
struct Row {
    id: u64,
    value: u64,
    time: i64,
}

impl Row {
    fn sent(&self, dataset: usize) -> Sent {
        let Row { id, value, time } = self;
        let line = match dataset {
            0 => format!("id{id},v{value},{time}"),
            // Equal to a null, an empty text is one.
            _ if *value == 0 => format!("id{id},,{time}"),
            _ => format!("id{id},v{value},{time}"),
        };
        Sent { id: format!("id{id}"), line }
    }

    fn values(&self, dataset: usize) -> [Value<'static>; 3] {
        let value = match (dataset, self.value) {
            (1, 0) if self.id.is_multiple_of(2) => Value::Null,
            (1, 0) => Value::String("".into()),
            _ => Value::String(format!("v{}", self.value).into()),
        };
        [Value::String(format!("id{}", self.id).into()), value, Value::Long(self.time)]
    }
}

fn sent(dataset: usize, rows: &[Row]) -> Vec<Sent> {
    rows.iter().map(|row| row.sent(dataset)).collect()
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Act {
    Put,
    Flush,
    Compact,
    Trim,
    Clear,
    CreateImport,
    CreateExport,
    CreateDeletion,
    Work,
    MoveClock,
    Check,
}

/// What a job works on.
#[derive(Clone)]
enum Task {
    Import { dataset: usize, is_full: bool, rows: Vec<Row> },
    Export { dataset: usize, mode: IngestionMode, worlds: Vec<Naive> },
    Deletion { ids: Vec<String>, before: Option<u64> },
}

/// A call that failed, or had no answer when the server died.
struct Limbo {
    dataset: usize,
    at: u64,
    rows: Vec<Sent>,
}

/// A state that was exported, and the files.
type Exported = (Naive, Vec<Vec<u8>>);

#[derive(Default)]
struct State {
    /// What may be so: calls without an answer are in, or not.
    worlds: Vec<Naive>,
    limbo: Vec<Limbo>,
    tasks: HashMap<Arn, Task>,
    jobs: u64,
    /// What the last export of a dataset and mode said of which state.
    last: HashMap<(usize, &'static str), Exported>,
    /// Where a deletion has left of equal records only the last: how many there were, and when, is not known.
    is_blurred: [bool; 2],
    has_panicked: bool,
}

pub struct Story {
    seed: u64,
    with_faults: bool,
    runtime: Handle,
    shared: &'static Shared,
    luck: SimulatedClock,
    arrivals: Arc<AtomicU64>,
    state: Mutex<State>,
    stage: Mutex<Stage>,
    /// Removed with the story.
    _folder: tempfile::TempDir,
    house: Mutex<Option<Arc<House>>>,
    trace: AtomicU64,
}

/// Plays a seed; gives all that happened as one number.
pub async fn play(runtime: &Handle, shared: &'static Shared, seed: u64) -> u64 {
    let story = Arc::new(Story::new(runtime, shared, seed));
    story.start().await;
    let acts = 12 + story.pick(40);
    for _ in 0..acts {
        story.announce();
        story.act(story.choose()).await;
        story.machine().forget_visit();
        assert!(!story.state().has_panicked, "a visit has panicked");
        if story.machine().is_dead() || story.pick(25) == 0 {
            story.restart().await;
        }
    }
    story.end().await;
    story.trace.load(Ordering::SeqCst)
}

impl Story {
    fn new(runtime: &Handle, shared: &'static Shared, seed: u64) -> Story {
        let luck = SimulatedClock::new(0, seed);
        let memory = std::path::Path::new("/dev/shm");
        let folder = if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() };
        let folder = folder.unwrap();
        let pick = |below| pick(&luck, below);
        let settings = Settings {
            jobs_concurrent: 1,
            attempts_max: 720,
            job_memory_bytes: 8 << 20,
            jobs_memory_bytes: 64 << 20,
            threads: 1,
            rejects_told_max: 10,
            file_size_bytes_max: [1 << 30, 60][pick(2) as usize],
            flush_after_s: 300,
            flush_size_bytes: 64 << 20,
            log_size_bytes: 512 << 20,
        };
        let stage = Stage {
            folder: folder.path().to_owned(),
            clock: Arc::new(SimulatedClock::new(1_700_000_000_000, seed.wrapping_add(1))),
            log: SimulatedDisk::default(),
            objects: SimulatedDisk::default(),
            settings,
            segment_bytes: [300, 600, 4000][pick(3) as usize],
        };
        stage.set(shared);
        Story {
            seed,
            with_faults: !seed.is_multiple_of(3),
            runtime: runtime.clone(),
            shared,
            luck,
            arrivals: Arc::default(),
            state: Mutex::new(State { worlds: vec![Naive::default()], ..State::default() }),
            stage: Mutex::new(stage),
            _folder: folder,
            house: Mutex::default(),
            trace: AtomicU64::new(seed),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    fn pick(&self, below: u64) -> u64 {
        pick(&self.luck, below)
    }

    fn house(&self) -> Arc<House> {
        self.house.lock().unwrap().clone().expect("the story has started")
    }

    fn parts(&self) -> Arc<Parts> {
        self.house().parts.clone()
    }

    fn machine(&self) -> Arc<Machine> {
        self.house().machine.clone()
    }

    fn arrive(&self) -> u64 {
        self.arrivals.fetch_add(1, Ordering::SeqCst)
    }

    fn choose(&self) -> Act {
        use Act::*;
        const ACTS: [Act; 24] = [
            Put,
            Put,
            Put,
            Put,
            Put,
            Put,
            Flush,
            Flush,
            Flush,
            Compact,
            Compact,
            Trim,
            Trim,
            Clear,
            Clear,
            CreateImport,
            CreateImport,
            CreateExport,
            Work,
            Work,
            Work,
            MoveClock,
            Check,
            CreateDeletion,
        ];
        match ACTS[self.pick(24) as usize] {
            CreateDeletion if !self.seed.is_multiple_of(4) => Put,
            act => act,
        }
    }

    /// Something may happen in the midst of the next act.
    fn announce(self: &Arc<Story>) {
        if self.pick(3) > 0 {
            return;
        }
        let (story, act) = (self.clone(), self.choose());
        let visit = move || {
            // The log's own thread can't wait for the log; and of a burst some may be durable of which nobody has heard yet.
            let is_log = std::thread::current().name() == Some("log");
            let is_barred = matches!(act, Act::Put | Act::Work | Act::Check | Act::CreateExport);
            let act = if is_log && is_barred { Act::Flush } else { act };
            // Who moves records out of the log is alone, and the one who is at it waits for this visit.
            let is_flushing = story.parts().flushing.try_lock().is_err();
            let flushes = matches!(act, Act::Flush | Act::Work | Act::Check);
            let act = if is_flushing && flushes { Act::Trim } else { act };
            let runtime = story.runtime.clone();
            let visiting = story.clone();
            let visit = move || runtime.block_on(async move { visiting.act(act).await });
            if std::thread::spawn(visit).join().is_err() {
                story.state().has_panicked = true;
            }
        };
        self.machine().visit_in(1 + self.pick(25), Box::new(visit));
    }

    async fn act(self: &Arc<Story>, act: Act) {
        let house = self.house();
        let hits = house.machine.hits();
        house.machine.note(act);
        let parts = &house.parts;
        let dataset = self.pick(2) as usize;
        let done = match act {
            Act::Put => self.put(&house, dataset).await,
            Act::Flush => self.flush(parts, dataset).await,
            Act::Compact => self.compact(&house, dataset).await,
            Act::Trim => trim_log(parts).await,
            Act::Clear => clear_objects(parts).await,
            Act::CreateImport => self.create_import(parts, dataset).await,
            Act::CreateExport => {
                let mode = MODES[self.pick(3) as usize];
                self.create_export(parts, dataset, mode).await.map(drop)
            }
            Act::CreateDeletion => self.create_deletion(parts).await,
            Act::Work => self.work(&house).await.map(drop),
            Act::MoveClock => {
                let hours = self.pick(48) as i64 - 24;
                self.stage.lock().unwrap().clock.advance_ms(hours * 3_600_000);
                Ok(())
            }
            Act::Check => self.check(&house, dataset, MODES[self.pick(3) as usize]).await,
        };
        if let Err(cause) = done {
            // A job whose lease ran out while something else went on is somebody else's.
            let is_excused = is_stopped(&cause) || cause.kind == ErrorKind::InUse;
            let has_cause = house.machine.hits() > hits || house.machine.is_dead() || is_excused;
            assert!(has_cause, "{act:?} failed without a cause: {}", cause.chain());
        }
    }

    fn row(&self) -> Row {
        let now_s = self.stage.lock().unwrap().clock.now_ms() / 1000;
        Row { id: self.pick(8), value: self.pick(4), time: now_s % 2 }
    }

    fn rows(&self, most: u64) -> Vec<Row> {
        (0..1 + self.pick(most)).map(|_| self.row()).collect()
    }

    /// One call that is written alone, and others that are written together behind it.
    async fn put(&self, house: &House, dataset: usize) -> Result<()> {
        let (log, turnstile) = (&house.parts.log, &house.turnstile);
        if self.state().limbo.len() >= LIMBO_MAX {
            return Ok(());
        }
        let row = house.parts.catalog.dataset(&dataset_arn(dataset)).await?.expect("it is there");
        let codec = Codec::new(&row.layout);
        let calls: Vec<Vec<Row>> = (0..1 + self.pick(4)).map(|_| self.rows(3)).collect();
        turnstile.close();
        let mut answers = Vec::new();
        for rows in &calls {
            let mut batch = Batch::new(row.id.cast_unsigned(), row.layout.schema_version);
            for row in rows {
                batch.push_with(|out| codec.encode(&row.values(dataset), out))?;
            }
            let mut answer = Box::pin(log.append(batch));
            let early = poll_fn(|context| match answer.as_mut().poll(context) {
                Poll::Ready(early) => Poll::Ready(Some(early)),
                Poll::Pending => Poll::Ready(None),
            });
            if let Some(early) = early.await {
                // A log that has stopped.
                turnstile.open();
                return early.map(drop);
            }
            if answers.is_empty() {
                turnstile.wait();
            }
            answers.push(answer);
        }
        turnstile.open();
        let mut done = Ok(());
        let mut heard = Vec::new();
        for answer in answers {
            heard.push(answer.await);
        }
        let drawn = std::mem::take(&mut *turnstile.drawn.lock().unwrap());
        for (n, (answer, rows)) in heard.into_iter().zip(&calls).enumerate() {
            let at = drawn.get(n).copied();
            house.machine.note((at, answer.is_ok()));
            self.heard(dataset, at, answer.is_ok(), &sent(dataset, rows));
            done = done.and(answer.map(drop));
        }
        done
    }

    fn heard(&self, dataset: usize, at: Option<u64>, is_ok: bool, rows: &[Sent]) {
        let mut state = self.state();
        match at {
            // Without its numbers it was never written.
            None => assert!(!is_ok),
            Some(at) if is_ok => {
                // What was refused before it was cut off, durably.
                state.limbo.clear();
                state.worlds.iter_mut().for_each(|world| world.add(dataset, Origin::Put, at, rows));
            }
            Some(at) => state.limbo.push(Limbo { dataset, at, rows: rows.to_vec() }),
        }
    }

    async fn flush(&self, parts: &Arc<Parts>, dataset: usize) -> Result<()> {
        let arn = dataset_arn(dataset);
        let row = parts.catalog.dataset(&arn).await?.expect("it is there");
        let done = flush(parts, row.id, parts.log.durable()).await;
        // One that a visit overtook, and whose segments are gone, has nothing left to do.
        let now = parts.catalog.dataset(&arn).await?.expect("it is there");
        if now.flushed_position == row.flushed_position { done } else { Ok(()) }
    }

    async fn compact(&self, house: &House, dataset: usize) -> Result<()> {
        let catalog = &house.parts.catalog;
        let row = catalog.dataset(&dataset_arn(dataset)).await?.expect("it is there");
        let origin = [Origin::Bulk, Origin::Put][self.pick(2) as usize];
        if self.pick(2) == 0 {
            return house.compactor.compact_dataset(&row, origin).await.map(drop);
        }
        let mut runs = catalog.runs(row.id).await?;
        runs.retain(|run| run.run.origin == origin && self.pick(3) > 0);
        if runs.len() < 2 || catalog.is_deleting_from(&row.group_arn).await? {
            return Ok(());
        }
        house.compactor.compact_runs(&row, origin, &runs).await.map(drop)
    }

    fn new_job<R>(&self, arn: impl Fn(&str) -> Arn, subject_arn: Arn, request: R) -> NewJob<R> {
        let mut state = self.state();
        state.jobs += 1;
        let name = format!("j{}", state.jobs);
        NewJob { arn: arn(&name), name, subject_arn, role_arn: String::new(), request, tags: Vec::new() }
    }

    async fn create_import(&self, parts: &Parts, dataset: usize) -> Result<()> {
        let is_full = self.pick(2) == 0;
        let request = ImportRequest {
            data_location: "s3://b/in".to_owned(),
            import_mode: if is_full { ImportMode::Full } else { ImportMode::Incremental },
            publish_attribution_metrics_to_s3: None,
            tolerance: 0,
            validate_only: false,
        };
        let new = self.new_job(|name| realm().import_job(name), dataset_arn(dataset), request);
        let rows = self.rows(6);
        parts.catalog.create_import_job(&new).await?;
        self.state().tasks.insert(new.arn, Task::Import { dataset, is_full, rows });
        Ok(())
    }

    async fn create_export(&self, parts: &Parts, dataset: usize, mode: IngestionMode) -> Result<Arn> {
        let request = ExportRequest {
            path: "s3://b/out".to_owned(),
            ingestion_mode: mode,
            kms_key_arn: None,
            manifest: true,
            options: Default::default(),
            since: None,
        };
        let new = self.new_job(|name| realm().export_job(name), dataset_arn(dataset), request);
        let log = parts.log.clone();
        parts.catalog.create_export_job(&new, move || log.settled()).await?;
        let mut state = self.state();
        let worlds = state.worlds.clone();
        state.tasks.insert(new.arn.clone(), Task::Export { dataset, mode, worlds });
        Ok(new.arn)
    }

    async fn create_deletion(&self, parts: &Parts) -> Result<()> {
        let request = catalog::DeletionRequest { data_location: "s3://b/list".to_owned() };
        let new = self.new_job(|name| realm().data_deletion_job(name), realm().dataset_group("g"), request);
        let ids = (0..1 + self.pick(3)).map(|_| format!("id{}", self.pick(8))).collect();
        parts.catalog.create_data_deletion_job(&new).await?;
        self.state().tasks.insert(new.arn, Task::Deletion { ids, before: None });
        Ok(())
    }

    /// Claims a job and makes one attempt at it; gives it when there was one.
    async fn work(&self, house: &House) -> Result<Option<Arn>> {
        let Some((job, lease)) = house.parts.catalog.claim(1000).await? else { return Ok(None) };
        let task = self.state().tasks[&job.arn].clone();
        let done = match (job.kind, task) {
            (JobKind::Import, Task::Import { dataset, is_full, rows }) => {
                self.import(house, &job, &lease, dataset, is_full, &rows).await
            }
            (JobKind::Export, Task::Export { dataset, mode, worlds }) => {
                self.export(house, &job, &lease, dataset, mode, &worlds).await
            }
            (JobKind::Deletion, Task::Deletion { ids, before }) => {
                self.delete(house, &job, &lease, &ids, before).await
            }
            _ => Err(Error::internal("a job of another kind")),
        };
        match done {
            Ok(Outcome::Ended) => {
                self.state().tasks.remove(&job.arn);
            }
            Ok(Outcome::Waiting) => house.parts.catalog.wait_later(&lease, 250).await?,
            Err(cause) => {
                // One that ended in the catalog, and of whose end nobody heard, is no longer held.
                let _ = house.parts.catalog.retry_later(&lease, 0).await;
                return Err(cause);
            }
        }
        Ok(Some(job.arn))
    }

    async fn import(
        &self,
        house: &House,
        job: &JobRow,
        lease: &Lease,
        dataset: usize,
        is_full: bool,
        rows: &[Row],
    ) -> Result<Outcome> {
        let parts = &house.parts;
        let attempt = parts.clock.hex(16);
        parts.catalog.begin_attempt(&attempt).await?;
        let header: Vec<String> = layout(dataset).columns.iter().map(|c| c.name().to_owned()).collect();
        let lines: Vec<String> = sent(dataset, rows).into_iter().map(|row| row.line + "\n").collect();
        let text = format!("{}\n{}", header.join(","), lines.concat());
        let written = {
            let (parts, attempt) = (parts.clone(), attempt.clone());
            blocking(move || {
                let object = format!("{attempt}-0.parquet");
                import(
                    &layout(dataset),
                    [Ok(file(text))],
                    &target(&parts, &attempt, object),
                    None,
                    &Progress::default(),
                )
                .1
            })
        };
        let listed = match written.await {
            Ok(file) => {
                let listed = dataset_import_job::list_run(
                    parts,
                    job,
                    lease,
                    &layout(dataset),
                    (file, 0),
                    &Progress::default(),
                )
                .await;
                // Nothing comes between the commit and the number.
                if listed.is_ok() {
                    let (at, rows) = (self.arrive(), sent(dataset, rows));
                    let mut state = self.state();
                    state.worlds.iter_mut().for_each(|world| world.import(dataset, at, is_full, &rows));
                    // It has ended, whatever becomes of the attempt's end.
                    state.tasks.remove(&job.arn);
                }
                listed
            }
            Err(cause) => Err(cause),
        };
        parts.catalog.end_attempt(&attempt).await?;
        listed.map(|()| Outcome::Ended)
    }

    async fn delete(
        &self,
        house: &House,
        job: &JobRow,
        lease: &Lease,
        ids: &[String],
        before: Option<u64>,
    ) -> Result<Outcome> {
        let parts = &house.parts;
        let plan = match job.deletion_plan()? {
            Some(plan) => plan,
            None => {
                let attempt = parts.clock.hex(16);
                parts.catalog.begin_attempt(&attempt).await?;
                let deleted = self.delete_all(parts, job, lease, &attempt, ids, before).await;
                let planned = match deleted {
                    Ok((position, list)) => {
                        let so_far = catalog::Progress::default();
                        parts.catalog.set_deleted(lease, position, Some(list), vec![], so_far).await
                    }
                    Err(cause) => Err(cause),
                };
                parts.catalog.end_attempt(&attempt).await?;
                planned?
            }
        };
        data_deletion_job::clear_away(parts, job, lease, &plan, &Arc::default()).await
    }

    async fn delete_all(
        &self,
        parts: &Arc<Parts>,
        job: &JobRow,
        lease: &Lease,
        attempt: &str,
        ids: &[String],
        before: Option<u64>,
    ) -> Result<(u64, DeletionList)> {
        let border = parts.catalog.begin_deletion(lease).await?;
        let before = before.unwrap_or_else(|| self.arrive());
        let task = Task::Deletion { ids: ids.to_vec(), before: Some(before) };
        self.state().tasks.insert(job.arn.clone(), task);
        drop(parts.flushing.lock().await);
        let position = parts.log.rotate().await?;
        let list = {
            let (parts, attempt, text) =
                (parts.clone(), attempt.to_owned(), format!("USER_ID\n{}\n", ids.join("\n")));
            blocking(move || {
                let object = format!("{attempt}-list.parquet");
                deletion::read_list([Ok(file(text))], &target(&parts, &attempt, object), &Progress::default())
            })
        };
        let list = list.await?;
        let doomed = deletion::Doomed { list: list.object.clone(), before: border };
        let dataset = parts.catalog.dataset(&dataset_arn(0)).await?.expect("it is there");
        flush_before(parts, dataset.id, position).await?;
        let progress = Arc::new(Progress::default());
        data_deletion_job::delete_from(parts, lease, attempt, dataset.id, &doomed, &progress).await?;
        let mut state = self.state();
        state.worlds.iter_mut().for_each(|world| world.delete(0, ids, before));
        state.is_blurred[0] = true;
        Ok((position, DeletionList { object: list.object, users: list.rows, before: border }))
    }

    async fn export(
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
    async fn check(&self, house: &House, dataset: usize, mode: IngestionMode) -> Result<()> {
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

    async fn start(self: &Arc<Story>) {
        loop {
            let machine = Arc::new(Machine::default());
            self.threaten(&machine);
            let arrivals = self.arrivals.clone();
            let arrive = move || arrivals.fetch_add(1, Ordering::SeqCst);
            let stage = self.stage.lock().unwrap().clone();
            match House::open(&stage, self.shared, &machine, arrive).await {
                Ok(house) => {
                    *self.house.lock().unwrap() = Some(Arc::new(house));
                    return;
                }
                Err(cause) => {
                    let is_excused = machine.hits() > 0 && cause.kind != ErrorKind::Corrupt;
                    assert!(is_excused, "it does not start: {}", cause.chain());
                    self.lose(&machine);
                }
            }
        }
    }

    /// When this life is to end, and what is to fail in it.
    fn threaten(&self, machine: &Machine) {
        if !self.with_faults {
            return;
        }
        if self.pick(4) > 0 {
            machine.die_in(1 + self.pick(400));
        }
        if self.pick(2) == 0 {
            let how = [Failing::Eio, Failing::Full, Failing::Full, Failing::Short][self.pick(4) as usize];
            let times = [1, 1, 2, 6][self.pick(4) as usize];
            machine.fail(Faults { from: self.pick(200), times, how });
        }
    }

    /// The process is gone; so may be the power.
    fn lose(&self, machine: &Machine) {
        self.trace.fetch_xor(machine.trace().rotate_left(7), Ordering::SeqCst);
        if self.with_faults && self.pick(2) == 0 {
            let (log, objects) = (self.pick(u64::MAX), self.pick(u64::MAX));
            let mut stage = self.stage.lock().unwrap();
            (stage.log, stage.objects) = (stage.log.cut(log), stage.objects.cut(objects));
        }
    }

    async fn restart(self: &Arc<Story>) {
        let house = self.house.lock().unwrap().take().expect("the story has started");
        // Without faults it is an orderly stop.
        if self.with_faults {
            house.machine.die();
        }
        house.close().await;
        self.lose(&house.machine);
        self.branch();
        self.start().await;
        if self.pick(2) == 0 || self.state().worlds.len() > 16 {
            self.check_all().await;
        }
    }

    /// Each call without an answer is in, or not.
    fn branch(&self) {
        let mut state = self.state();
        for Limbo { dataset, at, rows } in std::mem::take(&mut state.limbo) {
            let mut with = state.worlds.clone();
            with.iter_mut().for_each(|world| world.add(dataset, Origin::Put, at, &rows));
            state.worlds.extend(with);
        }
    }

    /// With nothing failing any more.
    async fn check_all(self: &Arc<Story>) {
        let house = self.house();
        house.machine.heal();
        for dataset in 0..2 {
            for mode in MODES {
                let done = self.check(&house, dataset, mode).await;
                done.unwrap_or_else(|cause| panic!("a check failed: {}", cause.chain()));
            }
        }
    }

    /// All that is still to be done is done, and nothing is left over.
    async fn end(self: &Arc<Story>) {
        self.restart().await;
        // What failed in a life may leave something undone until the next.
        while self.machine().hits() > 0 {
            self.restart().await;
        }
        self.machine().heal();
        let (house, parts) = (self.house(), self.parts());
        for round in 0.. {
            if self.state().tasks.is_empty() {
                break;
            }
            assert!(round < ROUNDS_MAX, "these never end: {:?}", self.state().tasks.keys());
            let done = self.work(&house).await;
            if done.unwrap_or_else(|cause| panic!("a job failed: {}", cause.chain())).is_none() {
                self.stage.lock().unwrap().clock.advance_ms(24 * 3_600_000);
            }
        }
        self.check_all().await;
        for dataset in 0..2 {
            let row = parts.catalog.dataset(&dataset_arn(dataset)).await.unwrap().unwrap();
            flush(&parts, row.id, parts.log.durable()).await.unwrap();
        }
        self.check_all().await;
        self.assert_tidy(&parts).await;
        house.close().await;
        self.lose(&house.machine);
    }

    async fn assert_tidy(&self, parts: &Arc<Parts>) {
        trim_log(parts).await.unwrap();
        clear_objects(parts).await.unwrap();
        let mut listed = Vec::new();
        for dataset in 0..2 {
            let row = parts.catalog.dataset(&dataset_arn(dataset)).await.unwrap().unwrap();
            assert_eq!(parts.log.pending(row.id.cast_unsigned(), row.flushed_position).records, 0);
            listed.extend(parts.catalog.runs(row.id).await.unwrap().into_iter().map(|r| r.run.object));
        }
        listed.sort();
        assert_eq!(parts.objects.names().unwrap(), listed);
        assert_eq!(parts.catalog.attempts().await.unwrap(), Vec::<String>::new());
    }
}

fn pick(luck: &dyn Clock, below: u64) -> u64 {
    let mut bytes = [0; 8];
    luck.fill(&mut bytes);
    u64::from_le_bytes(bytes) % below
}

fn is_stopped(cause: &Error) -> bool {
    cause.message().contains("the log stopped after a disk error")
}

fn file(text: String) -> SourceFile {
    let bytes = Box::new(std::io::Cursor::new(text.into_bytes()));
    SourceFile { key: "in.csv".to_owned(), dialect: csv::Dialect::Rfc4180, bytes }
}

fn target<'a>(parts: &'a Parts, attempt: &str, object: String) -> Target<'a> {
    let memory_bytes = parts.settings.job_memory_bytes;
    let scratch = parts.scratch.join(attempt);
    let (threads, chunk_bytes, rejecting) = (1, 4096, Rejecting::FIRST);
    Target { objects: &parts.objects, object, scratch, memory_bytes, threads, chunk_bytes, rejecting }
}

/// The files of an export, in memory.
async fn read(parts: &Arc<Parts>, job: &JobRow) -> Result<(Vec<Vec<u8>>, Ledger)> {
    let snapshot = job.snapshot()?;
    let runs = parts.catalog.pinned_runs(&job.arn).await?;
    let (pieces, mut received) = tokio::sync::mpsc::channel(1);
    let merging = {
        let (parts, job) = (parts.clone(), job.clone());
        blocking(move || {
            dataset_export_job::merge(&parts, &job, &snapshot, &runs, &Progress::default(), &pieces)
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
    Ok((files, ledger?.ledger))
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
