//! One life of the server between two starts: catalog, log and objects opened from what the last one left.

use std::path::PathBuf;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Condvar, Mutex, OnceLock};

use access::{Access, RootKey, S3Endpoint, SealingKey};
use catalog::{Catalog, NewDataset, NewDatasetGroup, NewSchema};
use model::clock::SimulatedClock;
use model::error::{Error, Result};
use model::{Arn, DatasetType, Layout, Realm, Schema};
use store::Objects;
use store::disk::simulated::SimulatedDisk;
use store::log::{Log, LogSettings, Sequencer};
use tokio::runtime::Handle;

use super::machine::Machine;
use crate::budget::Budget;
use crate::compaction::Compactor;
use crate::{Parts, Settings};

/// What outlives a crash.
#[derive(Clone)]
pub struct Stage {
    pub folder: PathBuf,
    pub clock: Arc<SimulatedClock>,
    pub log: SimulatedDisk,
    pub objects: SimulatedDisk,
    pub settings: Settings,
    pub segment_bytes: u64,
}

pub struct House {
    pub parts: Arc<Parts>,
    pub compactor: Compactor,
    pub turnstile: Arc<Turnstile>,
    pub machine: Arc<Machine>,
}

/// Holds back calls that have asked for their numbers, so that the others gather behind them in one write.
pub struct Turnstile {
    is_closed: Mutex<bool>,
    opened: Condvar,
    asked: Mutex<Receiver<()>>,
    told: Mutex<Sender<()>>,
    /// When each call got its numbers.
    pub drawn: Mutex<Vec<u64>>,
}

impl Turnstile {
    fn new() -> Turnstile {
        let (told, asked) = channel();
        let (told, asked) = (Mutex::new(told), Mutex::new(asked));
        Turnstile {
            is_closed: Mutex::default(),
            opened: Condvar::new(),
            asked,
            told,
            drawn: Mutex::default(),
        }
    }

    pub fn close(&self) {
        *self.is_closed.lock().unwrap() = true;
        self.drawn.lock().unwrap().clear();
        while self.asked.lock().unwrap().try_recv().is_ok() {}
    }

    pub fn wait(&self) {
        self.asked.lock().unwrap().recv().unwrap();
    }

    pub fn open(&self) {
        *self.is_closed.lock().unwrap() = false;
        self.opened.notify_all();
    }

    fn pass(&self) {
        self.told.lock().unwrap().send(()).unwrap();
        let closed = self.is_closed.lock().unwrap();
        drop(self.opened.wait_while(closed, |is_closed| *is_closed).unwrap());
    }
}

pub const DATASETS: [DatasetType; 2] = [DatasetType::Interactions, DatasetType::Items];
const SCHEMAS: [&str; 2] = [
    r#"{"type":"record","name":"Interactions","fields":[{"name":"USER_ID","type":"string"},
        {"name":"ITEM_ID","type":"string"},{"name":"TIMESTAMP","type":"long"}]}"#,
    r#"{"type":"record","name":"Items","fields":[{"name":"ITEM_ID","type":"string"},
        {"name":"NAME","type":["string","null"]},{"name":"COUNT","type":["long","null"]}]}"#,
];
const GROUP: &str = "g";

pub fn realm() -> Realm {
    Realm { region: "us-east-1".to_owned(), account: "000000000000".to_owned() }
}

pub fn dataset_arn(dataset: usize) -> Arn {
    realm().dataset(GROUP, DATASETS[dataset])
}

pub fn layout(dataset: usize) -> Layout {
    Layout::new(DATASETS[dataset], &Schema::parse(SCHEMAS[dataset], None).unwrap())
}

/// A catalog with the datasets, as the bytes of its file.
async fn blank_catalog() -> Vec<u8> {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("catalog.db");
    let catalog = Catalog::open(&file, Arc::new(SimulatedClock::new(0, 0))).await.unwrap();
    let group_arn = realm().dataset_group(GROUP);
    let (arn, name) = (group_arn.clone(), GROUP.into());
    let group = NewDatasetGroup { arn, name, domain: None, tags: Vec::new(), key: None };
    catalog.create_dataset_group(&group).await.unwrap();
    for (n, dataset_type) in DATASETS.into_iter().enumerate() {
        let (schema_arn, name) = (realm().schema(&format!("s{n}")), format!("s{n}"));
        let schema = NewSchema {
            arn: schema_arn.clone(),
            name: name.clone(),
            document: SCHEMAS[n].into(),
            domain: None,
        };
        catalog.create_schema(&schema).await.unwrap();
        let (arn, group_arn, layout) = (dataset_arn(n), group_arn.clone(), layout(n));
        let (tracking_id, tags) = (None, Vec::new());
        let new = NewDataset { arn, name, group_arn, dataset_type, schema_arn, layout, tracking_id, tags };
        catalog.create_dataset(&new).await.unwrap();
    }
    catalog.close().await;
    std::fs::read(file).unwrap()
}

/// What asks for permission has nothing to do here; what asks for keys has them already.
async fn access(blank: &[u8]) -> Arc<Access> {
    let (folder, clock) = (tempfile::tempdir().unwrap(), Arc::new(SimulatedClock::new(0, 0)));
    let file = folder.path().join("catalog.db");
    std::fs::write(&file, blank).unwrap();
    let catalog = Catalog::open(&file, clock.clone()).await.unwrap();
    let root = RootKey { access_key_id: String::new(), secret_access_key: String::new() };
    let s3 = S3Endpoint { url: "http://127.0.0.1:1".to_owned() };
    let access = Access::new(catalog.clone(), clock, realm(), root, s3, SealingKey::new([0; 32]));
    let access = access.with_plain_data(true);
    for dataset in catalog.all_datasets().await.unwrap() {
        access.data_keys(dataset.id, &dataset.group_arn).await.unwrap();
    }
    catalog.close().await;
    Arc::new(access)
}

/// What all seeds share.
pub struct Shared {
    catalog: Vec<u8>,
    access: Arc<Access>,
}

impl Shared {
    pub fn get(runtime: &Handle) -> &'static Shared {
        static SHARED: OnceLock<Shared> = OnceLock::new();
        SHARED.get_or_init(|| {
            runtime.block_on(async {
                let catalog = blank_catalog().await;
                let access = access(&catalog).await;
                Shared { catalog, access }
            })
        })
    }
}

impl Stage {
    fn place(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    pub fn set(&self, shared: &Shared) {
        std::fs::write(self.place("catalog.db"), &shared.catalog).unwrap();
    }
}

impl House {
    /// As the server does it when it starts.
    pub async fn open(
        stage: &Stage,
        shared: &Shared,
        machine: &Arc<Machine>,
        arrive: impl Fn() -> u64 + Send + Sync + 'static,
    ) -> Result<House> {
        let catalog = Catalog::open(&stage.place("catalog.db"), stage.clock.clone()).await?;
        let catalog = catalog.with_gate(machine.gate());
        let turnstile = Arc::new(Turnstile::new());
        let opened = open_log(stage, &catalog, machine, &turnstile, arrive).await.and_then(|log| {
            let disk = stage.objects.watched_by(machine.watch("objects"));
            Ok((log, Objects::open_on(Arc::new(disk))?))
        });
        let (log, objects) = match opened {
            Ok(opened) => opened,
            Err(cause) => {
                catalog.close().await;
                return Err(cause);
            }
        };
        let parts = Arc::new(Parts {
            catalog,
            access: shared.access.clone(),
            log: Arc::new(log),
            objects,
            holds: Default::default(),
            clock: stage.clock.clone(),
            bell: Arc::default(),
            dataset_changed: Arc::new(|| {}),
            flushing: Arc::default(),
            runner: None,
            name: "here".into(),
            scratch: stage.place("scratch").into(),
            settings: stage.settings,
        });
        let budget = Arc::new(Budget::new(&parts.settings));
        let compactor = Compactor { parts: parts.clone(), budget, progress: Arc::default() };
        Ok(House { parts, compactor, turnstile, machine: machine.clone() })
    }

    pub async fn close(&self) {
        let log = self.parts.log.clone();
        let _ = tokio::task::spawn_blocking(move || log.close()).await;
        self.parts.catalog.close().await;
    }
}

async fn open_log(
    stage: &Stage,
    catalog: &Catalog,
    machine: &Arc<Machine>,
    turnstile: &Arc<Turnstile>,
    arrive: impl Fn() -> u64 + Send + Sync + 'static,
) -> Result<Log> {
    let numbers = catalog.sequencer();
    numbers.reserve(0).await?;
    let (runtime, drawn, passed) = (Handle::current(), numbers.clone(), turnstile.clone());
    let sequencer: Sequencer = Arc::new(move |count| {
        passed.pass();
        passed.drawn.lock().unwrap().push(arrive());
        match drawn.draw(count) {
            Some(first) => Ok(first),
            None => runtime.block_on(drawn.draw_or_reserve(count)),
        }
    });
    let disk = Arc::new(stage.log.watched_by(machine.watch("log")));
    let settings = LogSettings { segment_bytes: stage.segment_bytes, ..LogSettings::default() };
    let (log, recovered) = Log::open_on(disk, settings, sequencer)?;
    let flushed = catalog.all_datasets().await?.iter().map(|d| d.flushed_position).max();
    if recovered.sequence_max.is_some_and(|max| numbers.next() <= max) || flushed > Some(recovered.durable) {
        return Err(Error::corrupt("log and catalog don't fit each other"));
    }
    Ok(log)
}
