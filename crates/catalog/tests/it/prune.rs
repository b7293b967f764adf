//! Pruning: what has not ended, or is still asked for, stays; names stay taken until they are freed.

use catalog::{PrunableJob, PruneFilter};

use super::*;

impl Stage {
    fn all(&self) -> PruneFilter {
        PruneFilter { ended_before_ms: i64::MAX, group: None }
    }

    async fn prunable(&self, filter: &PruneFilter) -> Vec<PrunableJob> {
        self.catalog.prunable_jobs(filter, 0, 100).await.unwrap()
    }

    async fn names(&self, filter: &PruneFilter) -> Vec<String> {
        let jobs = self.prunable(filter).await;
        jobs.iter().map(|job| job.arn.resource_name().to_owned()).collect()
    }

    async fn fail_next(&self) {
        let (_, lease) = self.catalog.claim(1000).await.unwrap().unwrap();
        self.catalog.fail_job(&lease, "no", None).await.unwrap();
    }
}

#[tokio::test]
async fn jobs_that_have_not_ended_and_the_last_import_of_a_dataset_stay() {
    let stage = Stage::set().await;
    for (name, object) in [("a", "1"), ("b", "2")] {
        stage.import(name).await;
        stage.finish_import(ImportMode::Full, object).await;
    }
    stage.import("failed").await;
    stage.fail_next().await;
    stage.export("running", 0).await;
    stage.catalog.claim(1000).await.unwrap().unwrap();
    stage.export("pending", 0).await;
    assert_eq!(stage.names(&stage.all()).await, ["a", "failed"]);
    let jobs = stage.prunable(&stage.all()).await;
    let beside = stage.catalog.beside_jobs(&jobs).await.unwrap();
    assert_eq!(beside.events, 6);
    assert_eq!(stage.catalog.prune_jobs(&jobs, false).await.unwrap(), beside);
    assert!(stage.catalog.job(&jobs[0].arn).await.unwrap().is_none());
    assert!(stage.catalog.has_imported(stage.id().await).await.unwrap());
    let left = ["b", "running", "pending"].map(|name| match name {
        "b" => stage.realm.import_job(name),
        _ => stage.realm.export_job(name),
    });
    for arn in &left {
        assert!(stage.catalog.job(arn).await.unwrap().is_some(), "{arn}");
    }
    assert_eq!(stage.catalog.pinned_runs(&left[1]).await.unwrap().len(), 1);
}

#[tokio::test]
async fn an_upload_that_is_still_to_be_given_up_keeps_its_job() {
    let stage = Stage::set().await;
    stage.export("e", 0).await;
    let (job, lease) = stage.catalog.claim(1000).await.unwrap().unwrap();
    stage.catalog.record_upload(&lease, "key", "upload").await.unwrap();
    stage.catalog.fail_job(&lease, "no", None).await.unwrap();
    assert!(stage.prunable(&stage.all()).await.is_empty());
    stage.catalog.forget_upload(&job.arn, "upload").await.unwrap();
    assert_eq!(stage.names(&stage.all()).await, ["e"]);
}

#[tokio::test]
async fn a_name_stays_taken_until_it_is_freed() {
    let stage = Stage::set().await;
    stage.export("e", 0).await;
    stage.fail_next().await;
    let jobs = stage.prunable(&stage.all()).await;
    stage.catalog.prune_jobs(&jobs, false).await.unwrap();
    let again = async || {
        let request = ImportRequest {
            data_location: "s3://b/k".into(),
            import_mode: ImportMode::Full,
            publish_attribution_metrics_to_s3: None,
            tolerance: 0,
            validate_only: false,
        };
        let new = stage.job(stage.realm.export_job("e"), "e", request);
        stage.catalog.create_import_job(&new).await
    };
    assert_eq!(again().await.unwrap_err().kind, ErrorKind::AlreadyExists);
    let elsewhere = PruneFilter { group: Some(stage.realm.dataset_group("other")), ..stage.all() };
    assert_eq!(stage.catalog.free_names(&elsewhere).await.unwrap(), 0);
    let earlier = PruneFilter { ended_before_ms: jobs[0].ended_ms, group: None };
    assert_eq!(stage.catalog.taken_names(&earlier).await.unwrap(), 0);
    assert_eq!(stage.catalog.taken_names(&stage.all()).await.unwrap(), 1);
    assert_eq!(stage.catalog.free_names(&stage.all()).await.unwrap(), 1);
    again().await.unwrap();
    stage.fail_next().await;
    let jobs = stage.prunable(&stage.all()).await;
    stage.catalog.prune_jobs(&jobs, true).await.unwrap();
    again().await.unwrap();
}

#[tokio::test]
async fn only_jobs_of_a_group_that_ended_before_the_time_go() {
    let stage = Stage::set().await;
    stage.export("e", 0).await;
    stage.fail_next().await;
    stage.clock.advance_ms(10_000);
    stage.delete_from_group("d").await;
    stage.fail_next().await;
    let group = |name: &str| PruneFilter { group: Some(stage.realm.dataset_group(name)), ..stage.all() };
    assert_eq!(stage.names(&group("g")).await, ["e", "d"]);
    assert!(stage.names(&group("other")).await.is_empty());
    // A group whose name begins like another's.
    assert!(stage.names(&group("g2")).await.is_empty());
    let before = |ended_before_ms| PruneFilter { ended_before_ms, group: None };
    let jobs = stage.prunable(&stage.all()).await;
    assert_eq!(stage.names(&before(jobs[1].ended_ms)).await, ["e"]);
    assert!(stage.names(&before(jobs[0].ended_ms)).await.is_empty());
    assert_eq!(stage.catalog.prunable_jobs(&stage.all(), jobs[0].number, 1).await.unwrap(), jobs[1..]);
}
