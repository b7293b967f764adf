//! The log that nodes share: one order for all segments, and numbers that everybody draws from the same counter.

use model::Durable;
use model::segment::{Held, NewSegment, Place};

use super::*;

impl Stage {
    /// A segment of this node with three records of a dataset.
    fn segment(&self, name: &str, dataset_id: i64) -> NewSegment {
        let node = self.catalog.node();
        let dataset_id = dataset_id.cast_unsigned();
        let held = Held { dataset_id, frames: 1, records: 3, bytes: 60, oldest: 32 };
        let object = format!("log/{node}/{name}");
        NewSegment { object, node, size_bytes: 100, numbers: 3, again_from: None, holds: vec![held] }
    }

    async fn add(&self, name: &str) -> Option<Place> {
        self.catalog.add_log_segment(&self.segment(name, self.id().await)).await.unwrap()
    }

    async fn shared(self) -> Stage {
        Stage { catalog: self.catalog.with_shared_log(), ..self }
    }
}

fn place(start: u64, sequence_base: u64) -> Option<Place> {
    Some(Place { start, sequence_base })
}

#[tokio::test]
async fn segments_lie_one_behind_the_other_each_once() {
    let stage = Stage::set().await.shared().await;
    assert_eq!(stage.add("a").await, place(0, 1));
    assert_eq!(stage.add("b").await, place(100, 4));
    assert_eq!(stage.add("a").await, place(0, 1));
    let all = stage.catalog.log_segments(0).await.unwrap();
    assert_eq!((all.start, all.end, all.sequence, all.segments.len()), (0, 200, 7, 2));
    assert_eq!(all.segments[0].holds, stage.segment("a", stage.id().await).holds);
    assert_eq!(stage.catalog.log_segments(100).await.unwrap().segments[0].place, place(100, 4).unwrap());
}

#[tokio::test]
async fn a_session_that_has_ended_adds_no_segment_and_keeps_what_it_added() {
    let stage = Stage::set().await.shared().await;
    stage.add("a").await;
    stage.catalog.end_session().await.unwrap();
    assert_eq!(stage.add("b").await, None);
    assert_eq!(stage.add("a").await, place(0, 1));
    assert_eq!(stage.catalog.log_segments(0).await.unwrap().end, 100);
}

#[tokio::test]
async fn a_segment_that_was_withdrawn_never_comes() {
    let stage = Stage::set().await.shared().await;
    stage.add("a").await;
    let name = |name| stage.segment(name, 1).object;
    assert_eq!(stage.catalog.withdraw_log_segment(&name("a")).await.unwrap(), place(0, 1));
    assert_eq!(stage.catalog.withdraw_log_segment(&name("b")).await.unwrap(), None);
    assert_eq!(stage.add("b").await, None);
    assert_eq!(stage.add("c").await, place(100, 4));
}

#[tokio::test]
async fn a_segment_is_forgotten_before_its_object_goes_and_its_row_later() {
    let stage = Stage::set().await.shared().await;
    for name in ["a", "b", "c"] {
        stage.add(name).await;
    }
    let forgotten = stage.catalog.forget_log_segments(200).await.unwrap();
    assert_eq!(forgotten, ["a", "b"].map(|name| stage.segment(name, 1).object));
    assert!(!stage.catalog.has_log_segment(&forgotten[0]).await.unwrap());
    assert_eq!(stage.catalog.log_segments(0).await.unwrap().start, 0);
    stage.catalog.clear_log_segments(&forgotten).await.unwrap();
    assert_eq!(stage.catalog.log_segments(0).await.unwrap().start, 200);
    // Whoever did not hear of the commit asks again.
    assert_eq!(stage.add("a").await, place(0, 1));
    assert_eq!(stage.catalog.forget_log_segments(200).await.unwrap(), Vec::<String>::new());
}

#[tokio::test]
async fn objects_that_no_row_names_are_those_of_ended_sessions_and_ones_own() {
    let stage = Stage::set().await.shared().await;
    stage.add("a").await;
    let other = stage.place.join(stage.clock.clone()).await.unwrap();
    let of = |node: &str, name: &str| format!("log/{node}/{name}");
    let (own, others) = (stage.catalog.node(), other.node());
    let objects = [of(&own, "a"), of(&own, "b"), of(&others, "c"), of("nobody", "d")];
    let unplaced = stage.catalog.unplaced_log_segments(&objects).await.unwrap();
    assert_eq!(unplaced, [of(&own, "b"), of("nobody", "d")]);
    other.end_session().await.unwrap();
    let unplaced = stage.catalog.unplaced_log_segments(&objects).await.unwrap();
    assert_eq!(unplaced, [of(&own, "b"), of(&others, "c"), of("nobody", "d")]);
}

#[tokio::test]
async fn imports_deletions_and_snapshots_share_the_numbers_of_the_log() {
    let stage = Stage::set().await.shared().await;
    let id = stage.id().await;
    assert_eq!(stage.add("a").await, place(0, 1));
    stage.import("i").await;
    stage.finish_import(ImportMode::Full, "one").await;
    assert_eq!(stage.catalog.runs(id).await.unwrap()[0].run.sequence_base, 4);
    assert_eq!(stage.add("b").await, place(100, 7));
    let elsewhere = || Durable { position: 9999, sequence: 9999 };
    let (snapshot, _) = stage.catalog.snapshot_now(id, elsewhere).await.unwrap();
    assert_eq!((snapshot.log_to, snapshot.sequence, snapshot.put_sequence), (200, 10, Some(10)));
    stage.delete_from_group("d").await;
    let (_, lease) = stage.catalog.claim(1000).await.unwrap().unwrap();
    assert_eq!(stage.catalog.begin_deletion(&lease).await.unwrap(), 10);
    assert_eq!(stage.catalog.next_sequence().await.unwrap(), 10);
}

#[tokio::test]
async fn records_are_not_written_again_behind_a_deletion_or_a_flush() {
    let stage = Stage::set().await.shared().await;
    let id = stage.id().await;
    stage.add("a").await;
    let again = |name| NewSegment { numbers: 0, again_from: Some(32), ..stage.segment(name, id) };
    let placed = stage.catalog.add_log_segment(&again("b")).await.unwrap();
    assert_eq!(placed, place(100, 0));
    // Half of them would be in the run, and all of them behind it.
    let run = stage.written(Origin::Put, "put").await;
    let refused = stage.catalog.finish_flush(id, 0, 100, Some(&run)).await.unwrap_err();
    assert_eq!(refused.kind, ErrorKind::InUse);
    assert!(stage.catalog.finish_flush(id, 0, 200, Some(&run)).await.unwrap());
    assert_eq!(stage.catalog.add_log_segment(&again("c")).await.unwrap_err().kind, ErrorKind::InUse);
    stage.delete_from_group("d").await;
    let late = NewSegment { again_from: Some(300), ..again("e") };
    assert_eq!(stage.catalog.add_log_segment(&late).await.unwrap_err().kind, ErrorKind::InUse);
}

#[tokio::test]
async fn a_catalog_keeps_to_the_kind_of_log_that_it_began_with() {
    let stage = Stage::set().await;
    stage.catalog.check_log().await.unwrap();
    let id = stage.id().await;
    stage.catalog.finish_flush(id, 0, 50, None).await.unwrap();
    assert_eq!(
        stage.catalog.clone().with_shared_log().check_log().await.unwrap_err().kind,
        ErrorKind::Invalid
    );
    let stage = Stage::set().await.shared().await;
    stage.add("a").await;
    stage.catalog.check_log().await.unwrap();
    let again = stage.place.open(stage.clock.clone()).await.unwrap();
    assert_eq!(again.check_log().await.unwrap_err().kind, ErrorKind::Invalid);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nodes_that_add_at_the_same_time_leave_no_gap() {
    let stage = Stage::set().await.shared().await;
    let id = stage.id().await;
    let other = stage.place.join(stage.clock.clone()).await.unwrap().with_shared_log();
    let mut adding = Vec::new();
    for n in 0..40 {
        let catalog = if n % 2 == 0 { stage.catalog.clone() } else { other.clone() };
        let object = format!("log/{}/{n}", catalog.node());
        let segment = NewSegment { object, node: catalog.node(), ..stage.segment("", id) };
        adding.push(tokio::spawn(async move { catalog.add_log_segment(&segment).await.unwrap().unwrap() }));
    }
    let mut places = Vec::new();
    for one in adding {
        places.push(one.await.unwrap());
    }
    places.sort_by_key(|place| place.start);
    let expected: Vec<_> = (0..40).map(|n| place(n * 100, 1 + n * 3).unwrap()).collect();
    assert_eq!(places, expected);
}
