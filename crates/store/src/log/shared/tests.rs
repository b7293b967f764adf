//! What a shared log promises, with a store and a register in memory: by itself here, and with everything failing in `fate`.

mod fate;
mod world;

use std::sync::Arc;
use std::time::Duration;

use model::ErrorKind;

use self::world::{Side, World};
use super::super::{Batch, FrameRef, Log, Order};
use super::*;

fn batch(dataset_id: u64, records: &[&str]) -> Batch {
    let mut batch = Batch::new(dataset_id, 1);
    records.iter().for_each(|record| batch.push(record.as_bytes()).unwrap());
    batch
}

fn settings() -> SharedSettings {
    let (group, patience) = (Duration::from_millis(2), Duration::from_millis(80));
    SharedSettings { group, patience, cache_bytes: 1 << 10, ..SharedSettings::default() }
}

async fn open(side: &Arc<Side>) -> Arc<Log> {
    Arc::new(Log::share(settings(), side.clone(), side.clone()).await.unwrap())
}

async fn blocking<T: Send + 'static>(log: &Arc<Log>, work: impl FnOnce(&Log) -> T + Send + 'static) -> T {
    let log = log.clone();
    tokio::task::spawn_blocking(move || work(&log)).await.unwrap()
}

/// All calls of a dataset from a position on, as (first sequence, records).
async fn calls(log: &Arc<Log>, dataset_id: u64, from: u64) -> Result<Vec<(u64, Vec<String>)>> {
    log.refresh().await?;
    blocking(log, move |log| {
        let mut calls = Vec::new();
        log.scan(dataset_id, (from, log.durable()), Order::OldestFirst, &mut |frame| {
            let text = |record: &[u8]| String::from_utf8(record.to_vec()).unwrap();
            calls.push((frame.first_sequence, frame.records().map(text).collect()));
            Ok(true)
        })?;
        Ok(calls)
    })
    .await
}

fn texts(records: &[&str]) -> Vec<String> {
    records.iter().map(|&record| record.to_owned()).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nodes_write_one_log_in_one_order() {
    let world = Arc::new(World::default());
    let (one, two) = (Side::new(&world), Side::new(&world));
    let (one, two) = (open(&one).await, open(&two).await);
    assert_eq!(one.append(batch(7, &["a", "b"])).await.unwrap().first_sequence, 1);
    assert_eq!(two.append(batch(8, &["c"])).await.unwrap().first_sequence, 3);
    assert_eq!(two.append(batch(7, &["d"])).await.unwrap().first_sequence, 4);
    let expected = vec![(1, texts(&["a", "b"])), (4, texts(&["d"]))];
    assert_eq!(calls(&one, 7, 0).await.unwrap(), expected);
    assert_eq!(calls(&two, 7, 0).await.unwrap(), expected);
    assert_eq!((one.durable(), one.segments(), one.datasets()), (two.durable(), 3, vec![7, 8]));
    let pending = one.pending(7, 0);
    assert_eq!((pending.frames, pending.records), (2, 3));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn calls_that_wait_together_share_an_object() {
    let world = Arc::new(World::default());
    let log = open(&Side::new(&world)).await;
    let writing = (0..200).map(|n| {
        let log = log.clone();
        tokio::spawn(async move { log.append(batch(1, &[&n.to_string()])).await.unwrap().first_sequence })
    });
    let mut numbers = Vec::new();
    for one in writing.collect::<Vec<_>>() {
        numbers.push(one.await.unwrap());
    }
    numbers.sort_unstable();
    assert_eq!(numbers, (1..=200).collect::<Vec<_>>());
    assert!(log.segments() < 100, "{} objects", log.segments());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_forgotten_leaves_no_object() {
    let world = Arc::new(World::default());
    let (one, two) = (open(&Side::new(&world)).await, open(&Side::new(&world)).await);
    one.append(batch(1, &["a"])).await.unwrap();
    let border = one.rotate().await.unwrap();
    two.append(batch(1, &["b"])).await.unwrap();
    blocking(&one, move |log| log.forget_before(border)).await.unwrap();
    assert_eq!((one.start(), world.objects().len()), (border, 1));
    assert_eq!(calls(&two, 1, 0).await.unwrap(), [(2, texts(&["b"]))]);
    // Whoever still knows of it is told to look again.
    let gone = FrameRef { position: 32, first_sequence: 1, size_bytes: 45, count: 1 };
    let cause = blocking(&two, move |log| log.read(&gone)).await.unwrap_err();
    assert_eq!(cause.kind, ErrorKind::Unavailable);
    let end = two.rotate().await.unwrap();
    blocking(&two, move |log| log.forget_before(end)).await.unwrap();
    assert_eq!((two.start(), two.durable(), world.objects()), (end, end, vec![]));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn frames_that_were_written_again_keep_their_numbers_and_show_once() {
    let world = Arc::new(World::default());
    let log = open(&Side::new(&world)).await;
    log.append(batch(1, &["a", "b"])).await.unwrap();
    log.append(batch(1, &["c"])).await.unwrap();
    let border = log.rotate().await.unwrap();
    for _ in 0..2 {
        let frames = blocking(&log, move |log| log.frames(1, 0, border)).await.unwrap();
        log.write_again(frames).await.unwrap();
    }
    log.append(batch(1, &["d"])).await.unwrap();
    let expected = [(1, texts(&["a", "b"])), (3, texts(&["c"])), (4, texts(&["d"]))];
    assert_eq!(calls(&log, 1, 0).await.unwrap(), expected);
    blocking(&log, move |log| log.forget_before(border)).await.unwrap();
    assert_eq!(calls(&log, 1, border).await.unwrap(), expected);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn damage_and_loss_are_told_by_name() {
    let world = Arc::new(World::default());
    let (one, two) = (open(&Side::new(&world)).await, Side::new(&world));
    one.append(batch(1, &["a"])).await.unwrap();
    one.append(batch(1, &["b"])).await.unwrap();
    let names = world.objects();
    for bit in [0, 8 * 40, 8 * 70] {
        world.change(&names[0], |bytes| bytes[bit / 8] ^= 1);
        let cause = calls(&open(&two).await, 1, 0).await.unwrap_err();
        assert!(cause.kind == ErrorKind::Corrupt && cause.message().contains(&names[0]), "{cause}");
        world.change(&names[0], |bytes| bytes[bit / 8] ^= 1);
    }
    assert_eq!(calls(&open(&two).await, 1, 0).await.unwrap().len(), 2);
    // One that bears the name of the other.
    let other = world.object(&names[1]);
    world.change(&names[0], |bytes| *bytes = other.clone());
    assert_eq!(calls(&open(&two).await, 1, 0).await.unwrap_err().kind, ErrorKind::Corrupt);
    world.remove(&names[0]);
    let cause = calls(&open(&two).await, 1, 0).await.unwrap_err();
    assert!(cause.kind == ErrorKind::Corrupt && cause.message().contains("missing"), "{cause}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_session_that_has_ended_adds_nothing() {
    let world = Arc::new(World::default());
    let side = Side::new(&world);
    let log = open(&side).await;
    log.append(batch(1, &["a"])).await.unwrap();
    world.end(&side.node());
    assert_eq!(log.append(batch(1, &["b"])).await.unwrap_err().kind, ErrorKind::Unavailable);
    side.begin_anew();
    assert_eq!(log.append(batch(1, &["c"])).await.unwrap().first_sequence, 2);
    assert_eq!(calls(&log, 1, 0).await.unwrap(), [(1, texts(&["a"])), (2, texts(&["c"]))]);
    blocking(&log, Log::clear_orphans).await.unwrap();
    assert_eq!(world.objects().len(), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn calls_are_refused_while_the_store_is_away_and_taken_again_after() {
    let world = Arc::new(World::default());
    let side = Side::new(&world);
    let log = open(&side).await;
    side.cut_off(true);
    for _ in 0..2 {
        assert_eq!(log.append(batch(1, &["a"])).await.unwrap_err().kind, ErrorKind::Unavailable);
    }
    side.cut_off(false);
    log.append(batch(1, &["b"])).await.unwrap();
    assert_eq!(calls(&log, 1, 0).await.unwrap().len(), 1);
    let closing = log.clone();
    tokio::task::spawn_blocking(move || closing.close()).await.unwrap().unwrap();
    assert_eq!(log.append(batch(1, &["c"])).await.unwrap_err().kind, ErrorKind::Unavailable);
}
