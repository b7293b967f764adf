//! Nodes: handles to one catalog, each a process of its own for the others.

use catalog::user::UserRow;
use catalog::{About, Pulse, SILENCE_MS};

use super::*;

impl Stage {
    /// Another node; it does not end this one, as it would if it opened the catalog for itself.
    async fn join(&self) -> Catalog {
        self.place.join(self.clock.clone()).await.unwrap()
    }

    /// Two nodes, and the stage's own handle, which has not told that it lives.
    async fn nodes(&self) -> (Catalog, Catalog) {
        (self.join().await, self.join().await)
    }

    /// Nobody sees the first node for a while; the second one ends it.
    async fn silence(&self, by: &Catalog) -> Pulse {
        by.tell_alive().await.unwrap();
        self.clock.advance_ms(SILENCE_MS / 2);
        by.tell_alive().await.unwrap();
        self.clock.advance_ms(SILENCE_MS / 2 + 1);
        by.tell_alive().await.unwrap()
    }
}

fn about(name: &str, objects: &str) -> About {
    About { name: name.into(), url: format!("http://{name}:1"), version: "1".into(), objects: objects.into() }
}

fn is_refused<T: std::fmt::Debug>(done: model::Result<T>) -> bool {
    done.unwrap_err().kind == ErrorKind::InUse
}

#[tokio::test]
async fn a_node_that_is_not_seen_for_a_while_is_ended_and_its_jobs_are_free() {
    let stage = Stage::set().await;
    let (a, b) = stage.nodes().await;
    stage.export("e", 0).await;
    let (job, lease) = a.claim(30_000).await.unwrap().unwrap();
    assert_eq!(
        b.nodes().await.unwrap().iter().find(|n| n.id == a.node()).unwrap().jobs,
        [job.arn.to_string()]
    );
    assert!(b.claim(30_000).await.unwrap().is_none());
    let pulse = stage.silence(&b).await;
    assert!(pulse.ended.contains(&a.node()) && !pulse.is_anew);
    assert_eq!(b.nodes().await.unwrap().iter().map(|n| n.id.clone()).collect::<Vec<_>>(), [b.node()]);
    let (again, held) = b.claim(30_000).await.unwrap().unwrap();
    assert_eq!(again.arn, job.arn);
    assert!(is_refused(a.renew(&lease, 30_000, Progress::default()).await));
    assert!(is_refused(a.set_completing(&lease, "{}", Progress::default()).await));
    assert!(is_refused(a.finish_export(&lease, "{}").await));
    b.finish_export(&held, "{}").await.unwrap();
}

#[tokio::test]
async fn a_node_that_finds_itself_ended_begins_anew() {
    let stage = Stage::set().await;
    let (a, b) = stage.nodes().await;
    let old = a.node();
    stage.silence(&b).await;
    assert!(is_refused(a.begin_attempt("one").await));
    assert!(is_refused(a.claim(30_000).await));
    assert_eq!(a.tell_alive().await.unwrap(), Pulse { is_anew: true, ended: vec![] });
    assert_ne!(a.node(), old);
    a.begin_attempt("one").await.unwrap();
    assert_eq!(a.tell_alive().await.unwrap(), Pulse::default());
}

#[tokio::test]
async fn a_flush_of_an_ended_node_changes_nothing() {
    let stage = Stage::set().await;
    let (a, b) = stage.nodes().await;
    let id = stage.id().await;
    a.begin_attempt("one").await.unwrap();
    stage.silence(&b).await;
    assert!(b.attempts().await.unwrap().is_empty(), "clean-up takes away what it wrote");
    assert!(is_refused(a.finish_flush(id, 0, 10, Some(&new_run(Origin::Put, "one-0.parquet"))).await));
    a.tell_alive().await.unwrap();
    assert!(is_refused(a.finish_flush(id, 0, 10, Some(&new_run(Origin::Put, "one-0.parquet"))).await));
    assert!(stage.objects().await.is_empty());
    assert_eq!(b.dataset(&stage.dataset).await.unwrap().unwrap().flushed_position, 0);
}

#[tokio::test]
async fn a_compaction_of_an_ended_node_changes_nothing() {
    let stage = Stage::set().await;
    let (a, b) = stage.nodes().await;
    let id = stage.id().await;
    b.begin_attempt("put").await.unwrap();
    for (to, object) in [(10, "put-1"), (20, "put-2")] {
        assert!(b.finish_flush(id, to - 10, to, Some(&new_run(Origin::Put, object))).await.unwrap());
    }
    let inputs: Vec<i64> = a.runs(id).await.unwrap().iter().map(|row| row.id).collect();
    a.begin_attempt("one").await.unwrap();
    stage.silence(&b).await;
    assert!(is_refused(a.finish_compaction(id, &inputs, &new_run(Origin::Put, "one-0.parquet")).await));
    assert_eq!(stage.objects().await, ["put-1", "put-2"]);
    assert!(b.retired_runs().await.unwrap().is_empty());
}

#[tokio::test]
async fn an_import_of_an_ended_node_changes_nothing() {
    let stage = Stage::set().await;
    let (a, b) = stage.nodes().await;
    stage.import("i").await;
    let (job, lease) = a.claim(30_000).await.unwrap().unwrap();
    a.begin_attempt("one").await.unwrap();
    stage.silence(&b).await;
    let (_, held) = b.claim(30_000).await.unwrap().unwrap();
    let (mode, progress) = (ImportMode::Full, Progress::default());
    let runs = [new_run(Origin::Bulk, "one-0.parquet")];
    assert!(is_refused(a.finish_import(&lease, job.dataset_id, mode, &runs, "{}", progress).await));
    // Nor can the one who holds the job list what clean-up may have taken.
    assert!(is_refused(b.finish_import(&held, job.dataset_id, mode, &runs, "{}", progress).await));
    assert!(stage.objects().await.is_empty());
    b.begin_attempt("two").await.unwrap();
    let runs = [new_run(Origin::Bulk, "two-0.parquet")];
    b.finish_import(&held, job.dataset_id, mode, &runs, "{}", progress).await.unwrap();
    assert_eq!(stage.objects().await, ["two-0.parquet"]);
}

#[tokio::test]
async fn a_catalog_that_is_opened_for_oneself_ends_all_who_were_there() {
    let stage = Stage::set().await;
    stage.export("e", 0).await;
    stage.catalog.claim(30_000).await.unwrap().unwrap();
    // There is no such thing on a server.
    let Place::Folder(_) = &stage.place else { return };
    let alone = stage.place.open(stage.clock.clone()).await.unwrap();
    assert_eq!(alone.nodes().await.unwrap().len(), 1);
    assert!(alone.claim(30_000).await.unwrap().is_some());
    assert!(is_refused(stage.catalog.begin_attempt("one").await));
}

#[tokio::test]
async fn a_node_that_keeps_its_objects_to_itself_works_alone() {
    let stage = Stage::set().await;
    let (a, b) = stage.nodes().await;
    a.introduce(about("a", "file")).await.unwrap();
    let refused = b.introduce(about("b", "file")).await.unwrap_err();
    assert!(refused.message().contains("http://a:1") && refused.message().contains("objects"), "{refused:?}");
    assert!(is_refused(b.introduce(about("b", "s3://bucket/p")).await));
    stage.silence(&b).await;
    b.introduce(about("b", "file")).await.unwrap();
    assert!(is_refused(a.tell_alive().await), "the first one comes back too late");
}

#[tokio::test]
async fn nodes_that_share_their_objects_share_one_place() {
    let stage = Stage::set().await;
    let (a, b) = stage.nodes().await;
    a.introduce(about("a", "s3://bucket/p")).await.unwrap();
    assert!(is_refused(b.introduce(about("b", "s3://bucket/q")).await));
    b.introduce(about("b", "s3://bucket/p")).await.unwrap();
    let nodes = b.nodes().await.unwrap();
    assert!(["a", "b"].iter().all(|name| nodes.iter().any(|node| node.about.name == *name)));
}

#[tokio::test]
async fn a_session_that_is_ended_in_good_order_hands_its_jobs_back_at_once() {
    let stage = Stage::set().await;
    let (a, b) = stage.nodes().await;
    stage.export("e", 0).await;
    a.claim(30_000).await.unwrap().unwrap();
    let before = b.changes().await.unwrap();
    a.end_session().await.unwrap();
    assert_ne!(b.changes().await.unwrap().job, before.job);
    assert!(b.claim(30_000).await.unwrap().is_some());
}

#[tokio::test]
async fn a_clock_that_is_set_back_keeps_no_dead_node_alive() {
    let stage = Stage::set().await;
    let (a, b) = stage.nodes().await;
    stage.clock.advance_ms(-500_000);
    assert_eq!(b.tell_alive().await.unwrap(), Pulse::default());
    assert!(stage.silence(&b).await.ended.contains(&a.node()));
}

#[tokio::test]
async fn one_node_at_a_time_has_a_duty() {
    let stage = Stage::set().await;
    let (a, b) = stage.nodes().await;
    assert!(a.take_duty("clear", 60_000).await.unwrap() && a.take_duty("clear", 60_000).await.unwrap());
    assert!(!b.take_duty("clear", 60_000).await.unwrap() && b.take_duty("other", 60_000).await.unwrap());
    a.leave_duty("clear").await.unwrap();
    b.leave_duty("clear").await.unwrap();
    assert!(b.take_duty("clear", 1_000).await.unwrap());
    stage.clock.advance_ms(1_001);
    assert!(a.take_duty("clear", 60_000).await.unwrap());
    stage.silence(&b).await;
    assert!(b.take_duty("clear", 60_000).await.unwrap(), "it ends with the node");
}

#[tokio::test]
async fn changes_are_seen_by_the_other_nodes() {
    let stage = Stage::set().await;
    let (a, b) = stage.nodes().await;
    let (before, generation) = (b.changes().await.unwrap(), b.identity_generation());
    assert_eq!(b.changes().await.unwrap(), before);
    let (arn, name) = (stage.realm.user("/", "u"), "u".to_owned());
    let user = UserRow { arn, id: "AIDA1".into(), name, path: "/".into(), tags: vec![], created_ms: 1 };
    a.create_user(&user).await.unwrap();
    let after = b.changes().await.unwrap();
    assert!(after.identity > before.identity && (after.dataset, after.job) == (before.dataset, before.job));
    assert!(b.identity_generation() > generation);
    stage.export("e", 0).await;
    assert!(b.changes().await.unwrap().job > after.job);
    a.delete_dataset(&stage.dataset).await.unwrap_err();
    assert!(!b.is_behind());
    stage.clock.advance_ms(1_000);
    assert!(b.is_behind());
    // Nobody else changes a file.
    assert_eq!(stage.catalog.is_behind(), matches!(stage.place, Place::Database(_)));
}

#[tokio::test]
async fn region_and_account_are_those_of_the_first_node() {
    let stage = Stage::set().await;
    let (a, b) = stage.nodes().await;
    assert!(a.realm().await.unwrap().is_none());
    a.settle_realm(&stage.realm).await.unwrap();
    b.settle_realm(&stage.realm).await.unwrap();
    assert_eq!(b.realm().await.unwrap(), Some(stage.realm.clone()));
    let other = Realm { region: "eu-west-1".into(), ..stage.realm.clone() };
    let refused = b.settle_realm(&other).await.unwrap_err().chain();
    assert!(
        refused.contains("us-east-1") && refused.contains("eu-west-1") && refused.contains("region"),
        "{refused}"
    );
}
