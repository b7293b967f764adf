//! The catalog from outside: what a transaction promises, tried on a file of its own.

// A test that can't set its stage has failed.
#![allow(clippy::unwrap_used)]

mod analysis;
mod cancel;
mod claim;
mod contents;
mod data_deletion_job;
mod dataset_update;
mod event;
mod export_schedule;
mod history;
mod log_segment;
mod node;
mod place;
mod postgres;
mod prune;
mod put_count;
mod reject;
mod run;

use std::sync::Arc;

use catalog::{
    Catalog, DeletionRequest, ExportRequest, ImportRequest, JobKind, Lease, NewDataset, NewDatasetGroup,
    NewEventTracker, NewJob, NewRun, NewSchema, Page, Progress, Replacement, UpdateRequest,
};
use model::clock::SimulatedClock;
use model::status::Status;
use model::{Arn, DatasetType, ErrorKind, ImportMode, IngestionMode, Layout, Origin, Realm, Schema};
use place::Place;

const ITEMS: &str = r#"{"type":"record","name":"Items","fields":[{"name":"ITEM_ID","type":"string"},
    {"name":"PRICE","type":"float"}]}"#;

struct Stage {
    place: Place,
    clock: Arc<SimulatedClock>,
    catalog: Catalog,
    realm: Realm,
    dataset: Arn,
}

impl Stage {
    async fn set() -> Stage {
        let place = Place::new().await;
        let clock = Arc::new(SimulatedClock::new(1_000_000, 1));
        let catalog = place.open(clock.clone()).await.unwrap();
        let realm = Realm { region: "us-east-1".to_owned(), account: "000000000000".to_owned() };
        let schema_arn = realm.schema("s");
        let new =
            NewSchema { arn: schema_arn.clone(), name: "s".into(), document: ITEMS.into(), domain: None };
        catalog.create_schema(&new).await.unwrap();
        let group_arn = realm.dataset_group("g");
        let new = NewDatasetGroup {
            arn: group_arn.clone(),
            name: "g".into(),
            domain: None,
            key: None,
            tags: vec![],
        };
        catalog.create_dataset_group(&new).await.unwrap();
        let dataset = realm.dataset("g", DatasetType::Items);
        let stage = Stage { place, clock, catalog, realm, dataset };
        stage.create_dataset().await.unwrap();
        stage
    }

    /// Stops the server and starts it again.
    async fn restart(&self) -> Catalog {
        self.catalog.end_session().await.unwrap();
        self.catalog.close().await;
        self.place.open(self.clock.clone()).await.unwrap()
    }

    async fn create_dataset(&self) -> model::Result<()> {
        self.create_dataset_in("g").await
    }

    async fn create_dataset_in(&self, group: &str) -> model::Result<()> {
        let layout = Layout::new(DatasetType::Items, &Schema::parse(ITEMS, None).unwrap());
        let new = NewDataset {
            arn: self.realm.dataset(group, DatasetType::Items),
            name: "d".into(),
            group_arn: self.realm.dataset_group(group),
            dataset_type: DatasetType::Items,
            schema_arn: self.realm.schema("s"),
            layout,
            tracking_id: None,
            tags: vec![],
        };
        self.catalog.create_dataset(&new).await
    }

    async fn id(&self) -> i64 {
        self.catalog.dataset(&self.dataset).await.unwrap().unwrap().id
    }

    async fn import(&self, name: &str) {
        let request = ImportRequest {
            data_location: "s3://b/k".into(),
            import_mode: ImportMode::Full,
            publish_attribution_metrics_to_s3: None,
            tolerance: 0,
            validate_only: false,
        };
        self.catalog.create_import_job(&self.job(self.realm.import_job(name), name, request)).await.unwrap();
    }

    async fn export(&self, name: &str, durable: u64) {
        let request = ExportRequest {
            path: "s3://b/out".into(),
            ingestion_mode: IngestionMode::All,
            kms_key_arn: None,
            manifest: true,
            options: Default::default(),
            since: None,
        };
        let new = self.job(self.realm.export_job(name), name, request);
        self.catalog
            .create_export_job(&new, || model::Durable { position: durable, sequence: 0 })
            .await
            .unwrap();
    }

    async fn delete_from_group(&self, name: &str) {
        let request = DeletionRequest { data_location: "s3://b/k".into() };
        let arn = self.realm.data_deletion_job(name);
        let subject_arn = self.realm.dataset_group("g");
        let new = NewJob { subject_arn, ..self.job(arn, name, request) };
        self.catalog.create_data_deletion_job(&new).await.unwrap();
    }

    fn job<R>(&self, arn: Arn, name: &str, request: R) -> NewJob<R> {
        let subject_arn = self.dataset.clone();
        NewJob { arn, name: name.into(), subject_arn, role_arn: "role".into(), request, tags: vec![] }
    }

    async fn update(&self, schema: &str) -> model::Result<()> {
        let request = UpdateRequest { schema_arn: self.realm.schema(schema) };
        let new = self.job(self.realm.dataset_update("u"), "", request);
        self.catalog.create_dataset_update(&new).await
    }

    async fn objects(&self) -> Vec<String> {
        let runs = self.catalog.runs(self.id().await).await.unwrap();
        runs.into_iter().map(|row| row.run.object).collect()
    }

    /// A run that an attempt of the object's name has written.
    async fn written(&self, origin: Origin, object: &str) -> NewRun {
        self.begin_attempt(object).await;
        new_run(origin, object)
    }

    async fn begin_attempt(&self, attempt: &str) {
        self.catalog.begin_attempt(attempt).await.unwrap();
    }

    /// Claims the one import that waits and ends it with a run.
    async fn finish_import(&self, mode: ImportMode, object: &str) {
        let (job, lease) = self.catalog.claim(1000).await.unwrap().unwrap();
        let runs = [self.written(Origin::Bulk, object).await];
        self.catalog
            .finish_import(&lease, job.dataset_id, mode, &runs, "{}", Progress::default())
            .await
            .unwrap();
    }
}

fn new_run(origin: Origin, object: &str) -> NewRun {
    NewRun {
        origin,
        schema_version: 1,
        sequence_base: 0,
        rows: 2,
        records: 3,
        csv_bytes: 10,
        object: object.into(),
        size_bytes: 5,
    }
}

#[tokio::test]
async fn imports_of_one_dataset_run_one_after_the_other() {
    let stage = Stage::set().await;
    stage.import("a").await;
    stage.import("b").await;
    let (first, lease) = stage.catalog.claim(1000).await.unwrap().unwrap();
    assert_eq!(first.name, "a");
    assert!(stage.catalog.claim(1000).await.unwrap().is_none());
    stage.catalog.fail_job(&lease, "no", None).await.unwrap();
    assert_eq!(stage.catalog.claim(1000).await.unwrap().unwrap().0.name, "b");
}

#[tokio::test]
async fn a_worker_that_lost_its_lease_changes_nothing() {
    let stage = Stage::set().await;
    stage.import("a").await;
    let (job, lost) = stage.catalog.claim(1000).await.unwrap().unwrap();
    stage.clock.advance_ms(1001);
    let (again, held) = stage.catalog.claim(1000).await.unwrap().unwrap();
    assert_eq!(again.arn, job.arn);
    let end = async |lease, object| {
        let runs = [stage.written(Origin::Bulk, object).await];
        stage
            .catalog
            .finish_import(lease, job.dataset_id, ImportMode::Full, &runs, "{}", Progress::default())
            .await
    };
    assert_eq!(end(&lost, "late").await.unwrap_err().kind, ErrorKind::InUse);
    assert!(stage.objects().await.is_empty());
    end(&held, "r").await.unwrap();
    assert_eq!(stage.objects().await, ["r"]);
    assert_eq!(stage.catalog.job(&job.arn).await.unwrap().unwrap().status, Status::Active);
}

#[tokio::test]
async fn a_job_that_is_completing_goes_forward_after_a_restart() {
    let stage = Stage::set().await;
    stage.export("e", 0).await;
    let (_, lease) = stage.catalog.claim(1_000_000).await.unwrap().unwrap();
    stage.catalog.set_completing(&lease, "the plan", Progress::default()).await.unwrap();
    let again = stage.restart().await;
    let (job, _) = again.claim(1000).await.unwrap().unwrap();
    assert_eq!(job.plan.as_deref(), Some("the plan"));
    assert_eq!(again.finish_export(&lease, "{}").await.unwrap_err().kind, ErrorKind::InUse);
}

#[tokio::test]
async fn what_is_in_use_is_not_deleted() {
    let stage = Stage::set().await;
    let (schema, group) = (stage.realm.schema("s"), stage.realm.dataset_group("g"));
    assert_eq!(stage.catalog.delete_schema(&schema).await.unwrap_err().kind, ErrorKind::InUse);
    assert_eq!(stage.catalog.delete_dataset_group(&group).await.unwrap_err().kind, ErrorKind::InUse);
    stage.export("e", 0).await;
    assert_eq!(stage.catalog.delete_dataset(&stage.dataset).await.unwrap_err().kind, ErrorKind::InUse);
    let (_, lease) = stage.catalog.claim(1000).await.unwrap().unwrap();
    stage.catalog.fail_job(&lease, "no", None).await.unwrap();
    stage.catalog.delete_dataset(&stage.dataset).await.unwrap();
    stage.catalog.delete_dataset_group(&group).await.unwrap();
    stage.catalog.delete_schema(&schema).await.unwrap();
    let jobs = stage.catalog.jobs(JobKind::Export, None, &Page::first(10)).await.unwrap();
    assert_eq!(jobs[0].failure_reason.as_deref(), Some("no"));
}

#[tokio::test]
async fn a_dataset_made_again_is_another() {
    let stage = Stage::set().await;
    let before = stage.id().await;
    assert_eq!(stage.create_dataset().await.unwrap_err().kind, ErrorKind::AlreadyExists);
    stage.catalog.delete_dataset(&stage.dataset).await.unwrap();
    stage.create_dataset().await.unwrap();
    assert!(stage.id().await > before);
}

#[tokio::test]
async fn a_group_has_one_tracker() {
    let stage = Stage::set().await;
    let new = |id: &str| NewEventTracker {
        arn: stage.realm.event_tracker(id),
        name: id.into(),
        tracking_id: id.into(),
        group_arn: stage.realm.dataset_group("g"),
        tags: vec![],
    };
    stage.catalog.create_event_tracker(&new("aa")).await.unwrap();
    assert_eq!(
        stage.catalog.create_event_tracker(&new("bb")).await.unwrap_err().kind,
        ErrorKind::AlreadyExists
    );
    assert!(stage.catalog.tracked("aa").await.unwrap().unwrap().dataset.is_none());
    assert!(stage.catalog.tracked("bb").await.unwrap().is_none());
}

#[tokio::test]
async fn pages_follow_each_other_newest_first() {
    let stage = Stage::set().await;
    for name in ["b", "a", "c"] {
        stage.export(name, 0).await;
        stage.clock.advance_ms(i64::from(name == "a"));
    }
    let names = |rows: &[catalog::JobRow]| rows.iter().map(|r| r.name.clone()).collect::<Vec<_>>();
    let first = stage.catalog.jobs(JobKind::Export, None, &Page::first(2)).await.unwrap();
    assert_eq!(names(&first), ["c", "a"]);
    let after = Some((first[1].created_ms, first[1].arn.to_string()));
    let second =
        stage.catalog.jobs(JobKind::Export, Some(&stage.dataset), &Page { after, limit: 2 }).await.unwrap();
    assert_eq!(names(&second), ["b"]);
}

#[tokio::test]
async fn a_newer_format_is_refused() {
    let stage = Stage::set().await;
    stage.catalog.close().await;
    let newer = match &stage.place {
        Place::Folder(_) => "PRAGMA user_version = 99",
        Place::Database(_) => "UPDATE format SET number = 99",
    };
    stage.place.run(newer).await;
    let refused = stage.place.open(stage.clock.clone()).await.err().unwrap();
    assert_eq!(refused.kind, ErrorKind::Corrupt);
    assert!(refused.message().contains("format 99"), "{refused}");
}
