//! Export schedules: each instant brings one job, also when several nodes see it.

use catalog::{ExportPlan, ExportScheduleRow, Keep, Missed};
use model::{Durable, IngestionMode};

use super::*;

const NIGHT: &str = "0 2 * * *";

impl Stage {
    fn plan(&self) -> ExportPlan {
        ExportPlan {
            dataset_arn: self.dataset.clone(),
            ingestion_mode: IngestionMode::All,
            role_arn: "role".into(),
            path: "s3://b/out".into(),
            kms_key_arn: None,
            tags: vec![("lade:format".into(), "jsonl".into()), ("team".into(), "shop".into())],
            cron: NIGHT.into(),
            time_zone: "UTC".into(),
            keep: Keep::Exports(2),
            missed: Missed::RunOnce,
        }
    }

    async fn schedule(&self, next_ms: i64) -> ExportScheduleRow {
        let by = self.realm.root();
        self.catalog.put_export_schedule("nightly", &self.plan(), Some(next_ms), &by).await.unwrap();
        self.catalog.export_schedule("nightly").await.unwrap().unwrap()
    }

    async fn layout(&self) -> Layout {
        self.catalog.dataset(&self.dataset).await.unwrap().unwrap().layout
    }

    async fn runs_of(
        &self,
        catalog: &Catalog,
        row: &ExportScheduleRow,
        behind_ms: i64,
    ) -> model::Result<bool> {
        let job = row.job(&self.realm, &self.layout().await, row.next_ms.unwrap()).unwrap();
        let durable = || Durable { position: 0, sequence: 0 };
        catalog.run_export_schedule(row, &job, Some(behind_ms), durable).await
    }

    async fn exports(&self) -> Vec<String> {
        let jobs = self.catalog.jobs(JobKind::Export, None, &Page::first(100)).await.unwrap();
        jobs.into_iter().map(|job| job.name).collect()
    }
}

#[tokio::test]
async fn of_many_that_see_an_instant_one_makes_its_job() {
    let stage = Stage::set().await;
    let row = stage.schedule(7_200_000).await;
    let mut made = 0;
    for _ in 0..3 {
        // Each goes by what it read before any of them wrote.
        made += i32::from(stage.runs_of(&stage.catalog, &row, 93_600_000).await.unwrap());
    }
    assert_eq!(made, 1);
    assert_eq!(stage.exports().await, ["nightly-19700101T020000Z"]);
    let arn = stage.realm.export_job("nightly-19700101T020000Z");
    let job = stage.catalog.job(&arn).await.unwrap().unwrap();
    assert_eq!(job.export_request().unwrap().options["lade:format"], "jsonl");
    assert_eq!(stage.catalog.tags(&arn).await.unwrap().len(), 2);
    let row = stage.catalog.export_schedule("nightly").await.unwrap().unwrap();
    assert_eq!((row.next_ms, row.last_job_arn), (Some(93_600_000), Some(arn)));
}

#[tokio::test]
async fn a_schedule_that_was_changed_meanwhile_makes_no_job() {
    let stage = Stage::set().await;
    let row = stage.schedule(7_200_000).await;
    stage.schedule(7_200_000).await;
    assert!(!stage.runs_of(&stage.catalog, &row, 93_600_000).await.unwrap());
    let row = stage.catalog.export_schedule("nightly").await.unwrap().unwrap();
    stage.catalog.pause_export_schedule("nightly", None, &stage.realm.root()).await.unwrap();
    assert!(!stage.runs_of(&stage.catalog, &row, 93_600_000).await.unwrap());
    assert!(stage.exports().await.is_empty());
}

#[tokio::test]
async fn a_job_that_can_not_be_made_leaves_the_schedule_where_it_is() {
    let stage = Stage::set().await;
    let row = stage.schedule(7_200_000).await;
    stage.export("nightly-19700101T020000Z", 0).await;
    let refused = stage.runs_of(&stage.catalog, &row, 93_600_000).await.unwrap_err();
    assert_eq!(refused.kind, ErrorKind::AlreadyExists);
    let row = stage.catalog.export_schedule("nightly").await.unwrap().unwrap();
    assert_eq!((row.next_ms, row.last_job_arn.as_ref()), (Some(7_200_000), None));
    stage.catalog.pass_export_schedule(&row, Some(93_600_000), Some("taken")).await.unwrap();
    let row = stage.catalog.export_schedule("nightly").await.unwrap().unwrap();
    assert_eq!((row.next_ms, row.trouble.as_deref()), (Some(93_600_000), Some("taken")));
}

#[tokio::test]
async fn an_instant_that_is_set_again_is_known_to_have_had_its_job() {
    let stage = Stage::set().await;
    let row = stage.schedule(7_200_000).await;
    assert!(!stage.catalog.has_scheduled_export("nightly", 7_200_000).await.unwrap());
    assert!(stage.runs_of(&stage.catalog, &row, 93_600_000).await.unwrap());
    let row = stage.schedule(7_200_000).await;
    let refused = stage.runs_of(&stage.catalog, &row, 93_600_000).await.unwrap_err();
    assert_eq!(refused.kind, ErrorKind::AlreadyExists);
    assert!(stage.catalog.has_scheduled_export("nightly", 7_200_000).await.unwrap());
    assert!(!stage.catalog.has_scheduled_export("weekly", 7_200_000).await.unwrap());
}

#[tokio::test]
async fn exports_that_ended_well_are_kept_until_they_are_forgotten() {
    let stage = Stage::set().await;
    let mut row = stage.schedule(7_200_000).await;
    for behind_ms in [93_600_000, 180_000_000] {
        assert!(stage.runs_of(&stage.catalog, &row, behind_ms).await.unwrap());
        row = stage.catalog.export_schedule("nightly").await.unwrap().unwrap();
    }
    assert!(stage.catalog.kept_exports("nightly", &row.plan.dataset_arn).await.unwrap().is_empty());
    for _ in 0..2 {
        let (_, lease) = stage.catalog.claim(1000).await.unwrap().unwrap();
        stage.catalog.finish_export(&lease, "{}").await.unwrap();
    }
    let kept = stage.catalog.kept_exports("nightly", &row.plan.dataset_arn).await.unwrap();
    assert_eq!(kept.iter().map(|k| k.instant_ms).collect::<Vec<_>>(), [93_600_000, 7_200_000]);
    let other = stage.realm.dataset("g", model::DatasetType::Users);
    assert!(stage.catalog.kept_exports("nightly", &other).await.unwrap().is_empty(), "of another dataset");
    stage.catalog.forget_export(&kept[1].job_arn).await.unwrap();
    assert_eq!(stage.catalog.kept_exports("nightly", &row.plan.dataset_arn).await.unwrap(), kept[..1]);
    stage.catalog.delete_export_schedule("nightly").await.unwrap();
    assert!(stage.catalog.kept_exports("nightly", &row.plan.dataset_arn).await.unwrap().is_empty());
    let gone = stage.catalog.delete_export_schedule("nightly").await.unwrap_err();
    assert_eq!(gone.kind, ErrorKind::NotFound);
}
