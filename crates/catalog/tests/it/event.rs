//! Events: each change of a job's state leaves one, in the same transaction.

use catalog::Delivery;

use super::*;

async fn events(stage: &Stage) -> Vec<(String, Status)> {
    let found = stage.catalog.events_after(0, 1000).await.unwrap();
    found.into_iter().map(|event| (event.name, event.status)).collect()
}

#[tokio::test]
async fn each_change_of_a_state_is_an_event_and_nothing_else_is() {
    let stage = Stage::set().await;
    stage.import("i").await;
    let (_, lease) = stage.catalog.claim(1).await.unwrap().unwrap();
    stage.catalog.renew(&lease, 1, Progress { rows_done: 5, ..Progress::default() }).await.unwrap();
    stage.catalog.retry_later(&lease, 0).await.unwrap();
    stage.finish_import(ImportMode::Full, "one").await;
    let of = |name: &str, status| (name.to_owned(), status);
    let expected =
        [of("i", Status::CreatePending), of("i", Status::CreateInProgress), of("i", Status::Active)];
    assert_eq!(events(&stage).await, expected);
    let last = stage.catalog.events_after(2, 10).await.unwrap().remove(0);
    assert_eq!((last.number, last.ledger.as_deref()), (3, Some("{}")));
    assert_eq!((last.delivery, stage.catalog.last_event().await.unwrap()), (None, 3));
}

#[tokio::test]
async fn a_cancelled_job_that_waits_is_an_event_too() {
    let stage = Stage::set().await;
    stage.export("e", 0).await;
    let arn = stage.realm.export_job("e");
    stage.catalog.cancel_job(&arn, &stage.realm.root()).await.unwrap();
    let last = stage.catalog.events_after(1, 10).await.unwrap().remove(0);
    assert_eq!(last.status, Status::CreateFailed);
    assert!(last.failure_reason.unwrap().starts_with("cancelled by"));
}

#[tokio::test]
async fn what_waits_for_a_webhook_is_sent_until_it_is_taken() {
    let stage = Stage::set().await;
    stage.import("before").await;
    stage.catalog.set_webhook(true).await.unwrap();
    stage.catalog.set_webhook(true).await.unwrap();
    stage.export("e", 0).await;
    let due = stage.catalog.due_delivery().await.unwrap().unwrap();
    assert_eq!((due.name.as_str(), due.delivery), ("e", Some(Delivery::Waiting)));
    let later = i64::MAX;
    stage.catalog.note_delivery(due.number, Delivery::Waiting, "500", later).await.unwrap();
    assert!(stage.catalog.due_delivery().await.unwrap().is_none());
    stage.catalog.note_delivery(due.number, Delivery::Delivered, "200", 0).await.unwrap();
    let log = stage.catalog.deliveries(i64::MAX, 10).await.unwrap();
    assert_eq!(log.len(), 1);
    assert_eq!((log[0].attempts, log[0].answer.as_deref()), (2, Some("200")));
    assert!(log[0].delivered_ms.is_some());
    stage.catalog.set_webhook(false).await.unwrap();
    stage.import("after").await;
    assert!(stage.catalog.due_delivery().await.unwrap().is_none());
}
