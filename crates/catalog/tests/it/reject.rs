//! Rejects: kept beside their job, those of the last imports of a dataset.

use catalog::{RejectFile, Rejects};

use super::*;

fn rejects(object: &str) -> Rejects {
    let file = RejectFile { object: object.into(), dialect: "aws".into(), rows: 1, size_bytes: 9 };
    Rejects { count: 2, told: 1, is_complete: false, report: Some(vec![1, 2]), files: vec![file] }
}

/// Runs an import that left out a row.
async fn import(stage: &Stage, name: &str) -> Arn {
    stage.import(name).await;
    let (job, lease) = stage.catalog.claim(1000).await.unwrap().unwrap();
    stage.begin_attempt(name).await;
    stage.catalog.keep_rejects(&lease, job.dataset_id, &rejects(name)).await.unwrap();
    stage.catalog.finish_validation(&lease, "{}", Progress::default()).await.unwrap();
    job.arn
}

#[tokio::test]
async fn what_an_attempt_found_takes_the_place_of_what_the_one_before_did() {
    let stage = Stage::set().await;
    stage.import("i").await;
    let (job, lease) = stage.catalog.claim(1000).await.unwrap().unwrap();
    let keep = |rejects: Rejects| {
        let (catalog, lease, id) = (stage.catalog.clone(), lease.clone(), job.dataset_id);
        async move { catalog.keep_rejects(&lease, id, &rejects).await }
    };
    stage.begin_attempt("one").await;
    stage.begin_attempt("two").await;
    keep(rejects("one")).await.unwrap();
    keep(rejects("two")).await.unwrap();
    assert_eq!(stage.catalog.rejects(&job.arn).await.unwrap(), Some(rejects("two")));
    assert_eq!(stage.catalog.named_objects().await.unwrap(), ["two"]);
    let counts = stage.catalog.reject_counts(std::slice::from_ref(&job.arn)).await.unwrap();
    assert_eq!((counts[0].1.count, &counts[0].1.report), (2, &None));
    keep(Rejects::default()).await.unwrap();
    assert_eq!(stage.catalog.rejects(&job.arn).await.unwrap(), None);
    let lost = Lease { fence: lease.fence - 1, ..lease.clone() };
    let refused = stage.catalog.keep_rejects(&lost, job.dataset_id, &rejects("three")).await;
    assert_eq!(refused.unwrap_err().kind, ErrorKind::InUse);
}

#[tokio::test]
async fn rows_are_kept_of_the_last_imports_and_reports_of_all() {
    let stage = Stage::set().await;
    let mut arns = Vec::new();
    for n in 0..22 {
        arns.push(import(&stage, &format!("i{n}")).await);
    }
    let mut kept = Vec::new();
    for arn in &arns {
        let found = stage.catalog.rejects(arn).await.unwrap().unwrap();
        assert!(found.report.is_some());
        kept.push(found.files.len());
    }
    assert_eq!(kept, [vec![0; 2], vec![1; 20]].concat());
}

#[tokio::test]
async fn a_deletion_of_users_takes_rows_and_reports_and_leaves_counts() {
    let stage = Stage::set().await;
    let arn = import(&stage, "i").await;
    stage.delete_from_group("d").await;
    let (_, lease) = stage.catalog.claim(1000).await.unwrap().unwrap();
    stage.catalog.set_deleted(&lease, 0, None, vec![], Progress::default()).await.unwrap();
    let expected = Rejects { report: None, files: vec![], ..rejects("i") };
    assert_eq!(stage.catalog.rejects(&arn).await.unwrap(), Some(expected));
    assert!(stage.catalog.named_objects().await.unwrap().is_empty());
}
