//! Updates of datasets beside other jobs, and over a restart.

use super::*;

#[tokio::test]
async fn an_update_waits_for_no_import_and_no_import_for_an_update() {
    let stage = Stage::set().await;
    assert_eq!(stage.update("none").await.unwrap_err().kind, ErrorKind::NotFound);
    stage.import("a").await;
    assert_eq!(stage.update("s").await.unwrap_err().kind, ErrorKind::InUse);
    stage.finish_import(ImportMode::Full, "one").await;
    stage.update("s").await.unwrap();
    assert_eq!(stage.update("s").await.unwrap_err().kind, ErrorKind::InUse);
    let request = ImportRequest {
        data_location: "s3://b/k".into(),
        import_mode: ImportMode::Full,
        publish_attribution_metrics_to_s3: None,
        tolerance: 0,
        validate_only: false,
    };
    let import = stage.job(stage.realm.import_job("b"), "b", request);
    assert_eq!(stage.catalog.create_import_job(&import).await.unwrap_err().kind, ErrorKind::InUse);
}

#[tokio::test]
async fn an_export_under_way_does_not_hold_an_update_up() {
    let stage = Stage::set().await;
    stage.export("e", 0).await;
    let (export, _) = stage.catalog.claim(1000).await.unwrap().unwrap();
    stage.update("s").await.unwrap();
    let (update, lease) = stage.catalog.claim(1000).await.unwrap().unwrap();
    assert_eq!(update.kind, JobKind::Update);
    let schema = ITEMS.replace(']', r#",{"name":"NEW","type":["int","null"]}]"#);
    let before = export.snapshot().unwrap().layout;
    let layout = before.replaced_by(&Schema::parse(&schema, None).unwrap()).unwrap();
    let (id, arn) = (stage.id().await, stage.realm.schema("s"));
    stage.catalog.finish_dataset_update(&lease, id, &arn, &layout).await.unwrap();
    assert_eq!(stage.catalog.dataset(&stage.dataset).await.unwrap().unwrap().layout, layout);
    assert_eq!(stage.catalog.job(&export.arn).await.unwrap().unwrap().snapshot().unwrap().layout, before);
}

#[tokio::test]
async fn an_update_survives_a_restart() {
    let stage = Stage::set().await;
    stage.update("s").await.unwrap();
    let (_, lost) = stage.catalog.claim(1_000_000).await.unwrap().unwrap();
    stage.catalog.begin_dataset_update(&lost).await.unwrap();
    let again = stage.restart().await;
    assert_eq!(again.begin_dataset_update(&lost).await.unwrap_err().kind, ErrorKind::InUse);
    let (job, lease) = again.claim(1000).await.unwrap().unwrap();
    assert_eq!((job.kind, job.attempts), (JobKind::Update, 2));
    again.begin_dataset_update(&lease).await.unwrap();
}
