//! Data deletion jobs: their start, the runs they replace, and what they wait for.

use super::*;

#[tokio::test]
async fn deletions_of_one_group_run_one_after_the_other() {
    let stage = Stage::set().await;
    stage.delete_from_group("a").await;
    stage.delete_from_group("b").await;
    let (first, lease) = stage.catalog.claim(1000).await.unwrap().unwrap();
    assert_eq!((first.name.as_str(), first.attempts), ("a", 1));
    assert!(stage.catalog.claim(1000).await.unwrap().is_none());
    stage.catalog.finish_deletion(&lease, Progress::default()).await.unwrap();
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
        let run = stage.written(Origin::Put, object).await;
        assert!(stage.catalog.finish_flush(id, to - 10, to, Some(&run)).await.unwrap());
    }
    stage.delete_from_group("a").await;
    let (job, lease) = stage.catalog.claim(1000).await.unwrap().unwrap();
    let runs = stage.catalog.pin_runs(&lease, id).await.unwrap();
    stage.begin_attempt("one'").await;
    stage.begin_attempt("newer").await;
    let rest = |n: usize, object: Option<&str>| Replacement {
        id: runs[n].id,
        rest: object.map(|object| new_run(Origin::Put, object)),
        deleted: 2,
    };
    let all = [rest(0, Some("one'")), rest(1, None)];
    let lost = Lease { fence: lease.fence - 1, ..lease.clone() };
    assert_eq!(stage.catalog.replace_runs(&lost, id, &all).await.unwrap_err().kind, ErrorKind::InUse);
    let newer = NewRun { schema_version: 2, ..new_run(Origin::Put, "newer") };
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
    stage.catalog.set_deleted(&lease, 30, None, vec![], Progress::default()).await.unwrap();
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
    let plan = stage.catalog.set_deleted(&lease, 40, None, vec![], Progress::default()).await.unwrap();
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
    stage.catalog.finish_deletion(lease, Progress::default()).await.unwrap();
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
