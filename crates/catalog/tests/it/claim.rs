//! Claims: datasets take turns, however many jobs each of them has.

use super::*;

/// A stage with a dataset in each of these groups.
async fn set(groups: &[&str]) -> Stage {
    let stage = Stage::set().await;
    for &group in groups {
        let arn = stage.realm.dataset_group(group);
        let new = NewDatasetGroup { arn, name: group.into(), domain: None, key: None, tags: vec![] };
        stage.catalog.create_dataset_group(&new).await.unwrap();
        stage.create_dataset_in(group).await.unwrap();
    }
    stage
}

/// Creates exports named after the group of their dataset.
async fn exports(stage: &Stage, group: &str, count: usize) {
    for n in 0..count {
        let name = format!("{group}{n}");
        let request = ExportRequest {
            path: "s3://b/out".into(),
            ingestion_mode: IngestionMode::All,
            kms_key_arn: None,
            manifest: true,
            options: Default::default(),
            since: None,
        };
        let subject_arn = stage.realm.dataset(group, DatasetType::Items);
        let new = NewJob { subject_arn, ..stage.job(stage.realm.export_job(&name), &name, request) };
        stage.catalog.create_export_job(&new, model::Durable::default).await.unwrap();
    }
}

async fn claim(catalog: &Catalog) -> (String, Lease) {
    let (job, lease) = catalog.claim(1_000_000).await.unwrap().unwrap();
    (job.name, lease)
}

/// The names of so many jobs, each ended before the next is claimed.
async fn one_by_one(catalog: &Catalog, count: usize) -> Vec<String> {
    let mut names = Vec::new();
    for _ in 0..count {
        let (name, lease) = claim(catalog).await;
        catalog.finish_export(&lease, "{}").await.unwrap();
        names.push(name);
    }
    names
}

#[tokio::test]
async fn the_one_job_of_a_dataset_comes_before_the_hundred_of_another() {
    let stage = set(&["a", "b"]).await;
    exports(&stage, "a", 100).await;
    assert_eq!(one_by_one(&stage.catalog, 3).await, ["a0", "a1", "a2"]);
    exports(&stage, "b", 1).await;
    assert_eq!(one_by_one(&stage.catalog, 3).await, ["b0", "a3", "a4"]);
}

#[tokio::test]
async fn datasets_take_turns_though_no_clock_ticks() {
    let stage = set(&["a", "b", "c"]).await;
    for (group, count) in [("a", 4), ("b", 3), ("c", 2)] {
        exports(&stage, group, count).await;
    }
    let names = one_by_one(&stage.catalog, 9).await;
    assert_eq!(names, ["a0", "b0", "c0", "a1", "b1", "c1", "a2", "b2", "a3"]);
}

#[tokio::test]
async fn jobs_of_a_group_take_turns_with_those_of_a_dataset() {
    let stage = set(&["a", "b"]).await;
    exports(&stage, "a", 10).await;
    for n in 0..5 {
        let request = DeletionRequest { data_location: "s3://b/k".into() };
        let name = format!("d{n}");
        let arn = stage.realm.data_deletion_job(&name);
        let subject_arn = stage.realm.dataset_group("b");
        let new = NewJob { subject_arn, ..stage.job(arn, &name, request) };
        stage.catalog.create_data_deletion_job(&new).await.unwrap();
    }
    let mut names = Vec::new();
    for _ in 0..6 {
        let (name, lease) = claim(&stage.catalog).await;
        stage.catalog.fail_job(&lease, "no", None).await.unwrap();
        names.push(name);
    }
    assert_eq!(names, ["a0", "d0", "a1", "d1", "a2", "d2"]);
}

#[tokio::test]
async fn who_has_fewer_jobs_running_comes_first() {
    let stage = set(&["a", "b"]).await;
    exports(&stage, "a", 3).await;
    exports(&stage, "b", 3).await;
    let mut held = Vec::new();
    for _ in 0..4 {
        held.push(claim(&stage.catalog).await);
    }
    assert_eq!(held.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>(), ["a0", "b0", "a1", "b1"]);
    for (name, lease) in &held {
        if name.starts_with('a') {
            stage.catalog.finish_export(lease, "{}").await.unwrap();
        }
    }
    // b was served last, but what counts first is that two of its jobs are running.
    assert_eq!(claim(&stage.catalog).await.0, "a2");
    assert_eq!(claim(&stage.catalog).await.0, "b2");
}

#[tokio::test]
async fn turns_are_kept_over_a_restart_and_shared_by_all_who_claim() {
    let stage = set(&["a", "b"]).await;
    exports(&stage, "a", 3).await;
    exports(&stage, "b", 2).await;
    assert_eq!(one_by_one(&stage.catalog, 1).await, ["a0"]);
    // Another node sees the turns that were taken.
    let other = stage.place.join(stage.clock.clone()).await.unwrap();
    assert_eq!(one_by_one(&other, 1).await, ["b0"]);
    assert_eq!(one_by_one(&stage.catalog, 1).await, ["a1"]);
    assert_eq!(one_by_one(&other, 2).await, ["b1", "a2"]);
}

#[tokio::test]
async fn what_is_deleted_leaves_no_turn_behind() {
    let stage = set(&["a", "b"]).await;
    for group in ["a", "b"] {
        exports(&stage, group, 1).await;
    }
    assert_eq!(one_by_one(&stage.catalog, 2).await, ["a0", "b0"]);
    // A dataset that is made again has had no turn: its jobs come before those of one that waits for its second.
    stage.catalog.delete_dataset(&stage.realm.dataset("b", DatasetType::Items)).await.unwrap();
    stage.create_dataset_in("b").await.unwrap();
    for (group, name) in [("a", "a1"), ("b", "b1")] {
        let request = ImportRequest {
            data_location: "s3://b/k".into(),
            import_mode: ImportMode::Full,
            publish_attribution_metrics_to_s3: None,
            tolerance: 0,
            validate_only: false,
        };
        let subject_arn = stage.realm.dataset(group, DatasetType::Items);
        let new = NewJob { subject_arn, ..stage.job(stage.realm.import_job(name), name, request) };
        stage.catalog.create_import_job(&new).await.unwrap();
    }
    assert_eq!(claim(&stage.catalog).await.0, "b1");
}

#[tokio::test]
async fn a_job_that_is_tried_again_later_does_not_wait_for_a_clock_that_was_set_back() {
    let stage = set(&["a"]).await;
    exports(&stage, "a", 1).await;
    let lease = stage.catalog.claim(1000).await.unwrap().unwrap().1;
    stage.catalog.retry_later(&lease, 500).await.unwrap();
    assert!(stage.catalog.claim(1000).await.unwrap().is_none());
    stage.clock.advance_ms(-900_000);
    assert_eq!(stage.catalog.claim(1000).await.unwrap().unwrap().0.name, "a0");
}

#[tokio::test]
async fn a_clock_that_is_set_back_a_little_takes_no_job_from_its_worker() {
    let stage = set(&["a"]).await;
    exports(&stage, "a", 1).await;
    let lease = stage.catalog.claim(1000).await.unwrap().unwrap().1;
    stage.clock.advance_ms(-900);
    assert!(stage.catalog.claim(1000).await.unwrap().is_none());
    stage.catalog.finish_export(&lease, "{}").await.unwrap();
}
