//! The catalog from outside: what a transaction promises, tried on a file of its own.

// A test that can't set its stage has failed.
#![allow(clippy::unwrap_used)]

use std::sync::Arc;

use catalog::{
    Catalog, DeletionRequest, ExportRequest, ImportRequest, JobKind, Lease, NewDataset, NewDatasetGroup,
    NewEventTracker, NewJob, NewRun, NewSchema, Page, Replacement, UpdateRequest,
};
use model::clock::SimulatedClock;
use model::status::Status;
use model::{Arn, DatasetType, ErrorKind, ImportMode, IngestionMode, Layout, Origin, Realm, Schema};

const ITEMS: &str = r#"{"type":"record","name":"Items","fields":[{"name":"ITEM_ID","type":"string"},
    {"name":"PRICE","type":"float"}]}"#;

struct Stage {
    folder: tempfile::TempDir,
    clock: Arc<SimulatedClock>,
    catalog: Catalog,
    realm: Realm,
    dataset: Arn,
}

impl Stage {
    async fn set() -> Stage {
        let folder = tempfile::tempdir().unwrap();
        let clock = Arc::new(SimulatedClock::new(1_000_000, 1));
        let catalog = Catalog::open(&folder.path().join("c.db"), clock.clone()).await.unwrap();
        let realm = Realm { region: "us-east-1".to_owned(), account: "000000000000".to_owned() };
        let schema_arn = realm.schema("s");
        let new =
            NewSchema { arn: schema_arn.clone(), name: "s".into(), document: ITEMS.into(), domain: None };
        catalog.create_schema(&new).await.unwrap();
        let group_arn = realm.dataset_group("g");
        let new = NewDatasetGroup { arn: group_arn.clone(), name: "g".into(), domain: None, tags: vec![] };
        catalog.create_dataset_group(&new).await.unwrap();
        let dataset = realm.dataset("g", DatasetType::Items);
        let stage = Stage { folder, clock, catalog, realm, dataset };
        stage.create_dataset().await.unwrap();
        stage
    }

    async fn create_dataset(&self) -> model::Result<()> {
        let layout = Layout::new(DatasetType::Items, &Schema::parse(ITEMS, None).unwrap());
        let new = NewDataset {
            arn: self.dataset.clone(),
            name: "d".into(),
            group_arn: self.realm.dataset_group("g"),
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
        };
        self.catalog.create_import_job(&self.job(self.realm.import_job(name), name, request)).await.unwrap();
    }

    async fn export(&self, name: &str, durable: u64) {
        let request = ExportRequest {
            path: "s3://b/out".into(),
            ingestion_mode: IngestionMode::All,
            kms_key_arn: None,
            manifest: true,
        };
        let new = self.job(self.realm.export_job(name), name, request);
        self.catalog.create_export_job(&new, || durable).await.unwrap();
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

    /// Claims the one import that waits and ends it with a run.
    async fn finish_import(&self, mode: ImportMode, object: &str) {
        let (job, lease) = self.catalog.claim(1000).await.unwrap().unwrap();
        let runs = [run(Origin::Bulk, object)];
        self.catalog.finish_import(&lease, job.dataset_id, mode, &runs, "{}").await.unwrap();
    }
}

fn run(origin: Origin, object: &str) -> NewRun {
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
        let runs = [run(Origin::Bulk, object)];
        stage.catalog.finish_import(lease, job.dataset_id, ImportMode::Full, &runs, "{}").await
    };
    assert_eq!(end(&lost, "late").await.unwrap_err().kind, ErrorKind::InUse);
    assert!(stage.objects().await.is_empty());
    end(&held, "r").await.unwrap();
    assert_eq!(stage.objects().await, ["r"]);
    assert_eq!(stage.catalog.job(&job.arn).await.unwrap().unwrap().status, Status::Active);
}

#[tokio::test]
async fn a_full_import_replaces_bulk_runs_and_leaves_put_runs() {
    let stage = Stage::set().await;
    let id = stage.id().await;
    assert!(stage.catalog.finish_flush(id, 0, 100, Some(&run(Origin::Put, "put"))).await.unwrap());
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
    let again = Catalog::open(&stage.folder.path().join("c.db"), stage.clock.clone()).await.unwrap();
    assert!(again.sequencer().draw_or_reserve(1).await.unwrap() >= before + 5);
}

#[tokio::test]
async fn a_flush_that_comes_second_changes_nothing() {
    let stage = Stage::set().await;
    let id = stage.id().await;
    assert!(stage.catalog.finish_flush(id, 0, 50, Some(&run(Origin::Put, "one"))).await.unwrap());
    assert!(!stage.catalog.finish_flush(id, 0, 60, Some(&run(Origin::Put, "two"))).await.unwrap());
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
    assert!(!stage.catalog.finish_compaction(id, &inputs, &run(Origin::Bulk, "merged")).await.unwrap());
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
async fn a_job_that_is_completing_goes_forward_after_a_restart() {
    let stage = Stage::set().await;
    stage.export("e", 0).await;
    let (_, lease) = stage.catalog.claim(1_000_000).await.unwrap().unwrap();
    stage.catalog.set_completing(&lease, "the plan").await.unwrap();
    stage.catalog.close().await;
    let again = Catalog::open(&stage.folder.path().join("c.db"), stage.clock.clone()).await.unwrap();
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
    stage.catalog.close().await;
    let again = Catalog::open(&stage.folder.path().join("c.db"), stage.clock.clone()).await.unwrap();
    assert_eq!(again.begin_dataset_update(&lost).await.unwrap_err().kind, ErrorKind::InUse);
    let (job, lease) = again.claim(1000).await.unwrap().unwrap();
    assert_eq!((job.kind, job.attempts), (JobKind::Update, 2));
    again.begin_dataset_update(&lease).await.unwrap();
}

#[tokio::test]
async fn deletions_of_one_group_run_one_after_the_other() {
    let stage = Stage::set().await;
    stage.delete_from_group("a").await;
    stage.delete_from_group("b").await;
    let (first, lease) = stage.catalog.claim(1000).await.unwrap().unwrap();
    assert_eq!((first.name.as_str(), first.attempts), ("a", 1));
    assert!(stage.catalog.claim(1000).await.unwrap().is_none());
    stage.catalog.finish_deletion(&lease).await.unwrap();
    assert_eq!(stage.catalog.claim(1000).await.unwrap().unwrap().0.name, "b");
}

#[tokio::test]
async fn to_wait_is_no_failed_attempt() {
    let stage = Stage::set().await;
    stage.delete_from_group("a").await;
    for _ in 0..3 {
        let (job, lease) = stage.catalog.claim(1000).await.unwrap().unwrap();
        assert_eq!((job.attempts, job.status), (1, Status::CreateInProgress));
        stage.catalog.wait_later(&lease, 10).await.unwrap();
        assert!(stage.catalog.claim(1000).await.unwrap().is_none());
        stage.clock.advance_ms(10);
    }
}

#[tokio::test]
async fn a_deletion_keeps_its_start_over_retries() {
    let stage = Stage::set().await;
    stage.catalog.sequencer().draw_or_reserve(7).await.unwrap();
    stage.delete_from_group("a").await;
    let (_, lease) = stage.catalog.claim(1000).await.unwrap().unwrap();
    let start = stage.catalog.begin_deletion(&lease).await.unwrap();
    assert_eq!(start, stage.catalog.sequencer().next());
    stage.catalog.sequencer().draw_or_reserve(7).await.unwrap();
    stage.catalog.retry_later(&lease, 0).await.unwrap();
    let (_, again) = stage.catalog.claim(1000).await.unwrap().unwrap();
    assert_eq!(stage.catalog.begin_deletion(&again).await.unwrap(), start);
    assert_eq!(stage.catalog.begin_deletion(&lease).await.unwrap_err().kind, ErrorKind::InUse);
    assert_eq!(stage.catalog.lowest_pinned_position().await.unwrap(), None);
}

#[tokio::test]
async fn runs_are_replaced_all_or_none_and_what_went_is_counted() {
    let stage = Stage::set().await;
    let id = stage.id().await;
    for (to, object) in [(10, "one"), (20, "two"), (30, "three")] {
        let run = run(Origin::Put, object);
        assert!(stage.catalog.finish_flush(id, to - 10, to, Some(&run)).await.unwrap());
    }
    stage.delete_from_group("a").await;
    let (job, lease) = stage.catalog.claim(1000).await.unwrap().unwrap();
    let runs = stage.catalog.pin_runs(&lease, id).await.unwrap();
    let rest = |n: usize, object: Option<&str>| Replacement {
        id: runs[n].id,
        rest: object.map(|object| run(Origin::Put, object)),
        deleted: 2,
    };
    let all = [rest(0, Some("one'")), rest(1, None)];
    let lost = Lease { fence: lease.fence - 1, ..lease.clone() };
    assert_eq!(stage.catalog.replace_runs(&lost, id, &all).await.unwrap_err().kind, ErrorKind::InUse);
    let newer = NewRun { schema_version: 2, ..run(Origin::Put, "newer") };
    let newer = [Replacement { rest: Some(newer), ..rest(0, None) }];
    assert!(!stage.catalog.replace_runs(&lease, id, &newer).await.unwrap());
    assert!(stage.catalog.replace_runs(&lease, id, &all).await.unwrap());
    assert_eq!(stage.objects().await, ["three", "one'"]);
    // The second run is no longer listed: the third stays as it is too.
    let late = [rest(2, None), rest(1, None)];
    assert!(!stage.catalog.replace_runs(&lease, id, &late).await.unwrap());
    assert_eq!(stage.objects().await, ["three", "one'"]);
    assert_eq!(stage.catalog.job(&job.arn).await.unwrap().unwrap().records_deleted, 4);
    // What the job reads is not cleared away before it is done with it.
    assert!(stage.catalog.retired_runs().await.unwrap().is_empty());
    stage.catalog.set_deleted(&lease, 30).await.unwrap();
    assert_eq!(stage.catalog.retired_runs().await.unwrap().len(), 2);
}

#[tokio::test]
async fn a_deletion_waits_for_what_began_before_it_and_for_nothing_later() {
    let stage = Stage::set().await;
    let group = stage.realm.dataset_group("g");
    stage.export("before", 0).await;
    stage.catalog.begin_attempt("flush").await.unwrap();
    let (_, export) = stage.catalog.claim(1000).await.unwrap().unwrap();
    stage.delete_from_group("a").await;
    assert!(stage.catalog.is_deleting_from(&group).await.unwrap());
    let (_, lease) = stage.catalog.claim(1000).await.unwrap().unwrap();
    let plan = stage.catalog.set_deleted(&lease, 40).await.unwrap();
    assert!(!stage.catalog.is_deleting_from(&group).await.unwrap());
    stage.export("after", 0).await;
    stage.catalog.begin_attempt("later").await.unwrap();
    assert!(stage.catalog.is_deletion_awaited(&group, &plan).await.unwrap());
    stage.catalog.finish_export(&export, "{}").await.unwrap();
    assert!(stage.catalog.is_deletion_awaited(&group, &plan).await.unwrap());
    stage.catalog.end_attempt("flush").await.unwrap();
    assert!(!stage.catalog.is_deletion_awaited(&group, &plan).await.unwrap());
    stage.catalog.wait_later(&lease, 0).await.unwrap();
    let jobs = [
        stage.catalog.claim(1000).await.unwrap().unwrap(),
        stage.catalog.claim(1000).await.unwrap().unwrap(),
    ];
    let (again, lease) = jobs.iter().find(|(job, _)| job.kind == JobKind::Deletion).unwrap();
    assert_eq!(again.deletion_plan().unwrap(), Some(plan));
    stage.catalog.finish_deletion(lease).await.unwrap();
    assert_eq!(stage.catalog.job(&again.arn).await.unwrap().unwrap().status, Status::Active);
}

#[tokio::test]
async fn what_records_are_deleted_from_is_not_deleted() {
    let stage = Stage::set().await;
    let group = stage.realm.dataset_group("g");
    stage.delete_from_group("a").await;
    assert_eq!(stage.catalog.delete_dataset(&stage.dataset).await.unwrap_err().kind, ErrorKind::InUse);
    assert_eq!(stage.catalog.delete_dataset_group(&group).await.unwrap_err().kind, ErrorKind::InUse);
    let (_, lease) = stage.catalog.claim(1000).await.unwrap().unwrap();
    stage.catalog.fail_job(&lease, "no", None).await.unwrap();
    stage.catalog.delete_dataset(&stage.dataset).await.unwrap();
    stage.catalog.delete_dataset_group(&group).await.unwrap();
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
    let file = stage.folder.path().join("c.db");
    let mut bytes = std::fs::read(&file).unwrap();
    // SQLite keeps `user_version` at offset 60, big end first.
    bytes[60..64].copy_from_slice(&99u32.to_be_bytes());
    std::fs::write(&file, bytes).unwrap();
    let refused = Catalog::open(&file, stage.clock.clone()).await.err().unwrap();
    assert_eq!(refused.kind, ErrorKind::Corrupt);
    assert!(refused.message().contains("format 99"), "{refused}");
}

#[tokio::test]
async fn a_state_that_an_import_reads_is_pinned_once_and_until_its_end() {
    let stage = Stage::set().await;
    stage.import("a").await;
    stage.finish_import(ImportMode::Full, "old").await;
    stage.import("b").await;
    let (job, lease) = stage.catalog.claim(1000).await.unwrap().unwrap();
    let dataset = stage.catalog.dataset(&stage.dataset).await.unwrap().unwrap();
    let pinned = stage.catalog.pin(&lease, &dataset, || 5).await.unwrap();
    assert_eq!((pinned.log_from, pinned.log_to), (0, 5));
    assert!(stage.catalog.finish_flush(dataset.id, 0, 7, Some(&run(Origin::Put, "put"))).await.unwrap());
    // A later attempt reads what the first one did.
    let again = stage.catalog.pin(&lease, &dataset, || 9).await.unwrap();
    assert_eq!((again.log_from, again.log_to), (0, 5));
    let runs = stage.catalog.pinned_runs(&job.arn).await.unwrap();
    assert_eq!(runs.into_iter().map(|row| row.run.object).collect::<Vec<_>>(), ["old"]);
    assert_eq!(stage.catalog.lowest_pinned_position().await.unwrap(), Some(0));
    let runs = [run(Origin::Bulk, "new")];
    stage.catalog.finish_import(&lease, dataset.id, ImportMode::Full, &runs, "{}").await.unwrap();
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
    let refused = stage.catalog.pin(&lost, &dataset, || 5).await.unwrap_err();
    assert_eq!(refused.kind, ErrorKind::InUse);
    assert!(stage.catalog.pinned_runs(&job.arn).await.unwrap().is_empty());
}
