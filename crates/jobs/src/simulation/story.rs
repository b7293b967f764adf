//! What happens in a seed's world: calls, jobs, upkeep, faults and crashes, all compared with the naive model.

mod act;
mod export;
mod job;
mod put;
mod row;

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};

use model::clock::{Clock, SimulatedClock};
use model::error::Error;
use model::{Arn, ErrorKind, IngestionMode, Origin};
use store::disk::simulated::{Failing, SimulatedDisk};
use tokio::runtime::Handle;

use self::row::Row;
use super::house::{House, Shared, Stage, dataset_arn};
use super::machine::{Faults, Machine};
use super::naive::{Naive, Sent};
use crate::upkeep::{clear_objects, flush, trim_log};
use crate::{Parts, Settings};

const MODES: [IngestionMode; 3] = [IngestionMode::Bulk, IngestionMode::Put, IngestionMode::All];

/// How often jobs are asked for before one that has not ended by then is taken to hang.
const ROUNDS_MAX: u32 = 1000;
/// Each call without an answer doubles the worlds.
const LIMBO_MAX: usize = 5;

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
            import_task_bytes: 256 << 20,
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
