//! A node that another one ends in the midst of its work commits nothing of it, whether clean-up was there or not.

use std::sync::Arc;

use catalog::{Catalog, SILENCE_MS};
use model::clock::SimulatedClock;
use model::{ErrorKind, Origin};
use store::RunWriter;
use store::disk::simulated::SimulatedDisk;

use super::house::{House, Shared, Stage, dataset_arn, layout};
use super::machine::Machine;
use super::runtime;
use crate::upkeep::{clear_objects, flush};
use crate::{Parts, Settings, new_run};

fn stage(folder: &std::path::Path) -> Stage {
    let settings = Settings {
        jobs_concurrent: 1,
        attempts_max: 1,
        job_memory_bytes: 8 << 20,
        jobs_memory_bytes: 64 << 20,
        threads: 1,
        rejects_told_max: 10,
        import_task_bytes: 256 << 20,
        file_size_bytes_max: 1 << 30,
        flush_after_s: 300,
        flush_size_bytes: 64 << 20,
        log_size_bytes: 512 << 20,
    };
    Stage {
        folder: folder.to_owned(),
        clock: Arc::new(SimulatedClock::new(1_700_000_000_000, 1)),
        log: SimulatedDisk::default(),
        objects: SimulatedDisk::default(),
        settings,
        segment_bytes: 4000,
    }
}

async fn play(shared: &Shared, is_cleared: bool) {
    let folder = tempfile::tempdir().unwrap();
    let stage = stage(folder.path());
    stage.set(shared);
    let house = House::open(&stage, shared, &Arc::new(Machine::default()), || 0).await.unwrap();
    let zombie = house.parts.clone();
    let other = Catalog::join(&folder.path().join("catalog.db"), stage.clock.clone()).await.unwrap();
    let parts = Arc::new(Parts { catalog: other.clone(), ..(*zombie).clone() });
    let dataset = other.dataset(&dataset_arn(1)).await.unwrap().unwrap();

    zombie.catalog.begin_attempt("old").await.unwrap();
    let file = RunWriter::create(&zombie.objects, "old-0.parquet", &layout(1)).unwrap().finish().unwrap();
    let run = new_run(&layout(1), Origin::Put, file);
    clear_objects(&parts).await.unwrap();
    assert_eq!(zombie.objects.names().unwrap().len(), 1, "it is being written");

    stage.clock.advance_ms(SILENCE_MS + 1);
    assert_eq!(other.tell_alive().await.unwrap().ended, [zombie.catalog.node()]);
    if is_cleared {
        clear_objects(&parts).await.unwrap();
        assert!(zombie.objects.names().unwrap().is_empty());
    }
    let flushed = zombie.catalog.finish_flush(dataset.id, 0, 10, Some(&run)).await;
    assert_eq!(flushed.unwrap_err().kind, ErrorKind::InUse);
    let compacted = zombie.catalog.finish_compaction(dataset.id, &[], &run).await;
    assert_eq!(compacted.unwrap_err().kind, ErrorKind::InUse);
    assert_eq!(flush(&zombie, dataset.id, 10).await.unwrap_err().kind, ErrorKind::InUse, "nor does it begin");
    assert!(other.runs(dataset.id).await.unwrap().is_empty());
    assert_eq!(other.dataset_by_id(dataset.id).await.unwrap().unwrap().flushed_position, 0);
    clear_objects(&parts).await.unwrap();
    assert!(zombie.objects.names().unwrap().is_empty());

    assert!(zombie.catalog.tell_alive().await.unwrap().is_anew);
    zombie.catalog.begin_attempt("new").await.unwrap();
    let file = RunWriter::create(&zombie.objects, "new-0.parquet", &layout(1)).unwrap().finish().unwrap();
    let run = new_run(&layout(1), Origin::Put, file);
    assert!(zombie.catalog.finish_flush(dataset.id, 0, 10, Some(&run)).await.unwrap());
    house.close().await;
}

#[test]
fn an_ended_node_commits_nothing_before_and_after_its_objects_are_cleared_away() {
    let runtime = runtime();
    let shared = Shared::get(runtime.handle());
    for is_cleared in [false, true] {
        runtime.block_on(play(shared, is_cleared));
    }
}
