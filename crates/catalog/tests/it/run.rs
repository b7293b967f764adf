//! Runs: listed, replaced and pinned in one transaction.

use super::*;

#[tokio::test]
async fn a_full_import_replaces_bulk_runs_and_leaves_put_runs() {
    let stage = Stage::set().await;
    let id = stage.id().await;
    assert!(
        stage.catalog.finish_flush(id, 0, 100, Some(&stage.written(Origin::Put, "put").await)).await.unwrap()
    );
    stage.import("a").await;
    stage.finish_import(ImportMode::Full, "one").await;
    stage.import("b").await;
    stage.finish_import(ImportMode::Incremental, "two").await;
    assert_eq!(stage.objects().await, ["put", "one", "two"]);
    stage.import("c").await;
    stage.finish_import(ImportMode::Full, "three").await;
    assert_eq!(stage.objects().await, ["put", "three"]);
    assert_eq!(stage.catalog.retired_runs().await.unwrap().len(), 2);
}

#[tokio::test]
async fn imported_records_are_newer_than_all_put_before() {
    let stage = Stage::set().await;
    let put = stage.catalog.sequencer().draw_or_reserve(10).await.unwrap();
    stage.import("a").await;
    stage.finish_import(ImportMode::Full, "one").await;
    let base = stage.catalog.runs(stage.id().await).await.unwrap()[0].run.sequence_base;
    assert!(base >= put + 10);
    assert!(stage.catalog.sequencer().draw_or_reserve(1).await.unwrap() >= base + 3);
}

#[tokio::test]
async fn numbers_grow_over_a_restart() {
    let stage = Stage::set().await;
    let before = stage.catalog.sequencer().draw_or_reserve(5).await.unwrap();
    stage.catalog.close().await;
    let again = stage.place.open(stage.clock.clone()).await.unwrap();
    assert!(again.sequencer().draw_or_reserve(1).await.unwrap() >= before + 5);
}

#[tokio::test]
async fn a_flush_that_comes_second_changes_nothing() {
    let stage = Stage::set().await;
    let id = stage.id().await;
    assert!(
        stage.catalog.finish_flush(id, 0, 50, Some(&stage.written(Origin::Put, "one").await)).await.unwrap()
    );
    assert!(
        !stage.catalog.finish_flush(id, 0, 60, Some(&stage.written(Origin::Put, "two").await)).await.unwrap()
    );
    assert_eq!(stage.objects().await, ["one"]);
}

#[tokio::test]
async fn a_compaction_whose_inputs_are_gone_is_abandoned() {
    let stage = Stage::set().await;
    stage.import("a").await;
    stage.finish_import(ImportMode::Full, "one").await;
    let id = stage.id().await;
    let inputs = [stage.catalog.runs(id).await.unwrap()[0].id];
    stage.import("b").await;
    stage.finish_import(ImportMode::Full, "two").await;
    assert!(
        !stage
            .catalog
            .finish_compaction(id, &inputs, &stage.written(Origin::Bulk, "merged").await)
            .await
            .unwrap()
    );
    assert_eq!(stage.objects().await, ["two"]);
}

#[tokio::test]
async fn a_snapshot_keeps_its_runs_until_its_job_ends() {
    let stage = Stage::set().await;
    stage.import("a").await;
    stage.finish_import(ImportMode::Full, "one").await;
    stage.export("e", 70).await;
    stage.import("b").await;
    let (export, lease) = stage.catalog.claim(1000).await.unwrap().unwrap();
    stage.finish_import(ImportMode::Full, "two").await;
    assert!(stage.catalog.retired_runs().await.unwrap().is_empty());
    let pinned = stage.catalog.pinned_runs(&export.arn).await.unwrap();
    assert_eq!(pinned[0].run.object, "one");
    assert_eq!(export.snapshot().unwrap().log_to, 70);
    assert_eq!(stage.catalog.lowest_pinned_position().await.unwrap(), Some(0));
    stage.catalog.finish_export(&lease, "{}").await.unwrap();
    assert_eq!(stage.catalog.retired_runs().await.unwrap().len(), 1);
    assert_eq!(stage.catalog.lowest_pinned_position().await.unwrap(), None);
}

#[tokio::test]
async fn a_state_that_an_import_reads_is_pinned_once_and_until_its_end() {
    let stage = Stage::set().await;
    stage.import("a").await;
    stage.finish_import(ImportMode::Full, "old").await;
    stage.import("b").await;
    let (job, lease) = stage.catalog.claim(1000).await.unwrap().unwrap();
    let dataset = stage.catalog.dataset(&stage.dataset).await.unwrap().unwrap();
    let pinned = stage.catalog.pin(&lease, &dataset, || at(5)).await.unwrap();
    assert_eq!((pinned.log_from, pinned.log_to), (0, 5));
    assert!(
        stage
            .catalog
            .finish_flush(dataset.id, 0, 7, Some(&stage.written(Origin::Put, "put").await))
            .await
            .unwrap()
    );
    // A later attempt reads what the first one did.
    let again = stage.catalog.pin(&lease, &dataset, || at(9)).await.unwrap();
    assert_eq!((again.log_from, again.log_to), (0, 5));
    let runs = stage.catalog.pinned_runs(&job.arn).await.unwrap();
    assert_eq!(runs.into_iter().map(|row| row.run.object).collect::<Vec<_>>(), ["old"]);
    assert_eq!(stage.catalog.lowest_pinned_position().await.unwrap(), Some(0));
    let runs = [stage.written(Origin::Bulk, "new").await];
    stage
        .catalog
        .finish_import(&lease, dataset.id, ImportMode::Full, &runs, "{}", Progress::default())
        .await
        .unwrap();
    assert_eq!(stage.catalog.lowest_pinned_position().await.unwrap(), None);
    let retired = stage.catalog.retired_runs().await.unwrap();
    assert_eq!(retired.into_iter().map(|row| row.run.object).collect::<Vec<_>>(), ["old"]);
}

#[tokio::test]
async fn a_worker_that_lost_its_lease_pins_nothing() {
    let stage = Stage::set().await;
    stage.import("a").await;
    let (job, lost) = stage.catalog.claim(1000).await.unwrap().unwrap();
    stage.clock.advance_ms(2000);
    stage.catalog.claim(1000).await.unwrap().unwrap();
    let dataset = stage.catalog.dataset(&stage.dataset).await.unwrap().unwrap();
    let refused = stage.catalog.pin(&lost, &dataset, || at(5)).await.unwrap_err();
    assert_eq!(refused.kind, ErrorKind::InUse);
    assert!(stage.catalog.pinned_runs(&job.arn).await.unwrap().is_empty());
}

fn at(position: u64) -> model::Durable {
    model::Durable { position, sequence: 0 }
}
