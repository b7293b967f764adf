//! Cancelling: what waits ends at once, what runs can't be done any more, what only goes forward refuses.

use super::*;

async fn cancel(stage: &Stage, arn: &Arn) -> model::Result<()> {
    stage.catalog.cancel_job(arn, &stage.realm.root()).await
}

async fn job(stage: &Stage, arn: &Arn) -> catalog::JobRow {
    stage.catalog.job(arn).await.unwrap().unwrap()
}

const REASON: &str = "cancelled by arn:aws:iam::000000000000:root";

#[tokio::test]
async fn a_job_that_waits_ends_at_once_and_unpins_its_runs() {
    let stage = Stage::set().await;
    stage.import("i").await;
    stage.finish_import(ImportMode::Full, "one").await;
    stage.export("e", 0).await;
    let arn = stage.realm.export_job("e");
    cancel(&stage, &arn).await.unwrap();
    let row = job(&stage, &arn).await;
    assert_eq!((row.status, row.failure_reason.as_deref()), (Status::CreateFailed, Some(REASON)));
    assert!(stage.catalog.pinned_runs(&arn).await.unwrap().is_empty());
    assert!(stage.catalog.claim(1000).await.unwrap().is_none());
}

#[tokio::test]
async fn a_cancelled_import_lists_nothing() {
    let stage = Stage::set().await;
    stage.import("i").await;
    let (row, lease) = stage.catalog.claim(30_000).await.unwrap().unwrap();
    cancel(&stage, &row.arn).await.unwrap();
    cancel(&stage, &row.arn).await.unwrap();
    let runs = [stage.written(Origin::Bulk, "one").await];
    let progress = Progress::default();
    let done =
        stage.catalog.finish_import(&lease, row.dataset_id, ImportMode::Full, &runs, "{}", progress).await;
    assert_eq!(done.unwrap_err().kind, ErrorKind::InUse);
    assert!(stage.objects().await.is_empty());
    assert!(stage.catalog.cancelled_by(&row.arn).await.unwrap().is_some());
}

#[tokio::test]
async fn a_cancelled_export_makes_nothing_visible() {
    let stage = Stage::set().await;
    stage.export("e", 0).await;
    let (row, lease) = stage.catalog.claim(30_000).await.unwrap().unwrap();
    cancel(&stage, &row.arn).await.unwrap();
    let refused = stage.catalog.set_completing(&lease, "the plan", Progress::default()).await;
    assert_eq!(refused.unwrap_err().kind, ErrorKind::InUse);
    stage.catalog.fail_job(&lease, REASON, None).await.unwrap();
    assert_eq!(job(&stage, &row.arn).await.failure_reason.as_deref(), Some(REASON));
}

#[tokio::test]
async fn a_cancelled_job_without_a_worker_is_soon_taken_over() {
    let stage = Stage::set().await;
    stage.export("e", 0).await;
    let (row, lease) = stage.catalog.claim(30_000).await.unwrap().unwrap();
    stage.catalog.retry_later(&lease, 30_000).await.unwrap();
    cancel(&stage, &row.arn).await.unwrap();
    stage.clock.advance_ms(2_000);
    let (again, _) = stage.catalog.claim(30_000).await.unwrap().unwrap();
    assert_eq!(again.cancelled_by.as_deref(), Some("arn:aws:iam::000000000000:root"));
}

#[tokio::test]
async fn what_only_goes_forward_or_has_ended_refuses() {
    let stage = Stage::set().await;
    stage.export("e", 0).await;
    let (row, lease) = stage.catalog.claim(30_000).await.unwrap().unwrap();
    stage.catalog.set_completing(&lease, "the plan", Progress::default()).await.unwrap();
    assert_eq!(cancel(&stage, &row.arn).await.unwrap_err().kind, ErrorKind::InUse);
    stage.catalog.finish_export(&lease, "{}").await.unwrap();
    assert_eq!(cancel(&stage, &row.arn).await.unwrap_err().kind, ErrorKind::InUse);
    let unknown = stage.realm.export_job("x");
    assert_eq!(cancel(&stage, &unknown).await.unwrap_err().kind, ErrorKind::NotFound);
}

#[tokio::test]
async fn a_deletion_that_has_deleted_records_goes_on() {
    let stage = Stage::set().await;
    stage.import("i").await;
    stage.finish_import(ImportMode::Full, "one").await;
    stage.delete_from_group("d").await;
    let (row, lease) = stage.catalog.claim(30_000).await.unwrap().unwrap();
    let runs = stage.catalog.pin_runs(&lease, stage.id().await).await.unwrap();
    let rest = [Replacement { id: runs[0].id, rest: None, deleted: 3 }];
    assert!(stage.catalog.replace_runs(&lease, stage.id().await, &rest).await.unwrap());
    assert_eq!(cancel(&stage, &row.arn).await.unwrap_err().kind, ErrorKind::InUse);
}

#[tokio::test]
async fn a_job_that_is_completing_keeps_its_progress_over_a_claim() {
    let stage = Stage::set().await;
    stage.export("e", 0).await;
    let (_, lease) = stage.catalog.claim(1_000).await.unwrap().unwrap();
    let done = Progress { rows_done: 7, rows_total: 9, bytes_done: 5, bytes_total: 5, eta_s: Some(3) };
    stage.catalog.renew(&lease, 1_000, done).await.unwrap();
    stage.clock.advance_ms(1_000);
    let (row, lease) = stage.catalog.claim(1_000).await.unwrap().unwrap();
    assert_eq!((row.progress.rows_done, row.progress.eta_s), (0, None));
    stage.catalog.set_completing(&lease, "the plan", done).await.unwrap();
    stage.clock.advance_ms(1_000);
    let (row, _) = stage.catalog.claim(1_000).await.unwrap().unwrap();
    assert_eq!((row.progress.rows_done, row.progress.bytes_done), (7, 5));
}
