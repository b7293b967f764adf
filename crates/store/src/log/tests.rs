//! What the log promises, on a real folder; damage and faults have files of their own.

mod copy;
mod damage;
mod faults;
mod tail;

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use model::ErrorKind;
use tempfile::TempDir;

use super::queue::lock;
use super::*;

/// A sequencer that counts from a number.
fn count_from(first: u64) -> Sequencer {
    let next = AtomicU64::new(first);
    Arc::new(move |count| Ok(next.fetch_add(count, Ordering::SeqCst)))
}

fn batch(dataset_id: u64, records: &[&str]) -> Batch {
    let mut batch = Batch::new(dataset_id, 1);
    records.iter().for_each(|record| batch.push(record.as_bytes()).unwrap());
    batch
}

/// Holds the sequencer back, so that a test decides which calls are written together.
struct Gate {
    closed: Arc<Mutex<()>>,
    asked: std::sync::mpsc::Receiver<()>,
}

impl Gate {
    fn new(first: u64) -> (Gate, Sequencer) {
        let closed = Arc::new(Mutex::new(()));
        let (told, asked) = std::sync::mpsc::channel();
        let (behind, count) = (Arc::clone(&closed), count_from(first));
        let sequencer = move |n| {
            let _ = told.send(());
            drop(lock(&behind));
            count(n)
        };
        (Gate { closed, asked }, Arc::new(sequencer))
    }

    /// Puts `alone` in a write of its own, then all others in one write; gives the answers of all.
    async fn put_together(&self, log: &Log, alone: &str, together: &[&str]) -> Vec<Result<Appended>> {
        let mut answers = Vec::new();
        {
            let _held = lock(&self.closed);
            answers.push(queue(log).push(batch(1, &[alone])).unwrap());
            self.asked.recv().unwrap();
            answers.extend(together.iter().map(|text| queue(log).push(batch(1, &[text])).unwrap()));
        }
        let mut given = Vec::new();
        for answer in answers {
            given.push(answer.await.unwrap());
        }
        while self.asked.try_recv().is_ok() {}
        given
    }
}

fn queue(log: &Log) -> &queue::Queue {
    match &log.kind {
        Kind::Folder(log) => &log.shared.queue,
        Kind::Shared(_) => panic!("these logs are folders"),
    }
}

fn small() -> LogSettings {
    LogSettings { segment_bytes: 512, queue_bytes_max: 1 << 20 }
}

fn open(folder: &TempDir, settings: LogSettings) -> (Log, Recovered) {
    Log::open(folder.path(), settings, count_from(1)).unwrap()
}

/// All calls of a dataset as (first sequence, records), read from disk.
fn calls(log: &Log, dataset_id: u64) -> Vec<(u64, Vec<String>)> {
    let frames = log.frames(dataset_id, 0, log.durable()).unwrap();
    let read = |frame: &FrameRef| {
        let frame = log.read(frame).unwrap();
        let text = |record: &[u8]| String::from_utf8(record.to_vec()).unwrap();
        (frame.first_sequence, frame.records().map(text).collect())
    };
    frames.iter().map(read).collect()
}

fn segments_in(folder: &TempDir) -> usize {
    std::fs::read_dir(folder.path()).unwrap().count()
}

#[tokio::test]
async fn calls_are_there_after_a_restart() {
    let folder = TempDir::new().unwrap();
    let (log, recovered) = open(&folder, small());
    assert_eq!(recovered, Recovered { durable: 32, ..Recovered::default() });
    let first = log.append(batch(7, &["a", "b"])).await.unwrap();
    let second = log.append(batch(8, &["c"])).await.unwrap();
    assert_eq!((first.first_sequence, first.position, second.first_sequence), (1, 32, 3));
    let durable = log.durable();
    log.close().unwrap();

    let (log, recovered) = open(&folder, small());
    let expected =
        Recovered { durable, frames: 2, records: 3, sequence_max: Some(3), ..Recovered::default() };
    assert_eq!(recovered, expected);
    assert_eq!(calls(&log, 7), [(1, vec!["a".to_owned(), "b".to_owned()])]);
    assert_eq!(calls(&log, 8), [(3, vec!["c".to_owned()])]);
    assert_eq!(log.datasets(), [7, 8]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn concurrent_calls_are_all_there_in_sequence_order() {
    let folder = TempDir::new().unwrap();
    let settings = LogSettings { segment_bytes: 16 << 10, ..small() };
    let log = Arc::new(open(&folder, settings.clone()).0);
    let write = |task: u64, log: Arc<Log>| async move {
        for call in 0..50 {
            let (one, two) = (format!("{task}/{call}/one"), format!("{task}/{call}/two"));
            log.append(batch(task % 3, &[&one, &two])).await.unwrap();
        }
    };
    let tasks: Vec<_> = (0..64).map(|task| tokio::spawn(write(task, Arc::clone(&log)))).collect();
    for task in tasks {
        task.await.unwrap();
    }
    drop(log);

    let (log, recovered) = open(&folder, settings);
    assert_eq!((recovered.frames, recovered.records), (3200, 6400));
    let mut all: Vec<_> = (0..3).flat_map(|dataset| calls(&log, dataset)).collect();
    assert!((0..3).all(|dataset| calls(&log, dataset).is_sorted_by_key(|call| call.0)));
    all.sort();
    assert!(all.iter().zip((1..).step_by(2)).all(|(call, sequence)| call.0 == sequence));
    all.sort_by(|a, b| a.1.cmp(&b.1));
    all.dedup_by(|a, b| a.1 == b.1);
    assert_eq!(all.len(), 3200);
    assert!(all.iter().all(|call| call.1[0].replace("one", "two") == call.1[1]));
}

#[tokio::test]
async fn what_is_written_again_outlives_its_segment_and_comes_once() {
    let folder = TempDir::new().unwrap();
    let log = Arc::new(open(&folder, small()).0);
    for text in ["a", "b", "c"] {
        log.append(batch(7, &[text, "x"])).await.unwrap();
    }
    let border = log.rotate().await.unwrap();
    let expected = calls(&log, 7);
    let old = log.frames(7, 0, border).unwrap();
    // The first attempt is cut short.
    log.write_again(old[..2].to_vec()).await.unwrap();
    assert_eq!(log.append(batch(7, &["d"])).await.unwrap().first_sequence, 7);
    log.write_again(old).await.unwrap();
    let with_later: Vec<_> = expected.iter().cloned().chain([(7, vec!["d".to_owned()])]).collect();
    assert_eq!(calls(&log, 7), with_later);
    drop(log);

    let log = Arc::new(open(&folder, small()).0);
    assert_eq!(calls(&log, 7), with_later);
    log.forget_before(border).unwrap();
    let mut left = calls(&log, 7);
    left.sort();
    assert_eq!((log.start(), left), (border, with_later));
}

#[tokio::test]
async fn a_full_segment_gives_way_to_the_next() {
    let folder = TempDir::new().unwrap();
    let log = open(&folder, small()).0;
    let long = "x".repeat(150);
    for _ in 0..10 {
        log.append(batch(1, &[&long])).await.unwrap();
    }
    let huge = "y".repeat(2000);
    log.append(batch(1, &[&huge])).await.unwrap();
    log.append(batch(1, &["after"])).await.unwrap();
    // Two calls fill a segment; the huge one and the one behind it get one each.
    assert_eq!(segments_in(&folder), 7);
    drop(log);

    let (log, recovered) = open(&folder, small());
    assert_eq!(recovered.frames, 12);
    let expected: Vec<u64> = (1..=12).collect();
    assert_eq!(calls(&log, 1).iter().map(|call| call.0).collect::<Vec<_>>(), expected);
}

#[tokio::test]
async fn forgotten_segments_are_gone_and_the_rest_stays() {
    let folder = TempDir::new().unwrap();
    let log = open(&folder, small()).0;
    let long = "x".repeat(150);
    let mut positions = Vec::new();
    for _ in 0..10 {
        positions.push(log.append(batch(1, &[&long])).await.unwrap().position);
    }
    let old = log.frames(1, 0, u64::MAX).unwrap()[0];
    let (before, files) = (log.total_bytes(), segments_in(&folder));

    log.forget_before(positions[0]).unwrap();
    assert_eq!(segments_in(&folder), files);
    log.forget_before(positions[5]).unwrap();
    assert_eq!(segments_in(&folder), files - 2);
    assert!(log.total_bytes() < before);
    assert_eq!(log.frames(1, 0, u64::MAX).unwrap().len(), 6);
    assert_eq!(log.read(&old).unwrap_err().kind, ErrorKind::Internal);
    log.forget_before(u64::MAX).unwrap();
    assert_eq!(segments_in(&folder), 1);
    let durable = log.durable();
    drop(log);

    let (log, recovered) = open(&folder, small());
    assert_eq!((recovered.durable, recovered.sequence_max), (durable, Some(10)));
    assert_eq!(recovered.start + log.total_bytes(), durable);
}

#[tokio::test]
async fn what_was_put_before_a_rotation_can_be_forgotten() {
    let folder = TempDir::new().unwrap();
    let log = open(&folder, small()).0;
    assert_eq!((log.rotate().await.unwrap(), segments_in(&folder)), (0, 1));
    log.append(batch(1, &["before"])).await.unwrap();
    let border = log.rotate().await.unwrap();
    assert_eq!((log.rotate().await.unwrap(), segments_in(&folder)), (border, 2));
    assert!(log.frames(1, 0, border).unwrap().len() == 1 && log.durable() >= border);
    let after = log.append(batch(1, &["after"])).await.unwrap();
    assert!(after.position >= border);
    drop(log);

    let log = open(&folder, small()).0;
    assert_eq!(log.frames(1, 0, u64::MAX).unwrap().len(), 2);
    log.forget_before(border).unwrap();
    assert_eq!((log.start(), segments_in(&folder)), (border, 1));
    let bytes = std::fs::read(folder.path().join(segment::name(border))).unwrap();
    assert!(!bytes.windows(6).any(|found| found == b"before"));
    assert_eq!(calls(&log, 1), [(2, vec!["after".to_owned()])]);
    log.close().unwrap();
    assert_eq!(log.rotate().await.unwrap_err().kind, ErrorKind::Unavailable);
}

#[tokio::test]
async fn a_segment_that_was_closed_empty_of_later_calls_is_whole_after_a_restart() {
    let folder = TempDir::new().unwrap();
    let log = open(&folder, small()).0;
    let first = log.append(batch(1, &["a"])).await.unwrap();
    let border = log.rotate().await.unwrap();
    drop(log);
    let (log, recovered) = open(&folder, small());
    assert_eq!((recovered.durable, recovered.dropped_bytes), (border + 32, 0));
    assert_eq!(log.frames(1, 0, u64::MAX).unwrap()[0].position, first.position);
    assert_eq!(log.rotate().await.unwrap(), border);
    assert_eq!(log.append(batch(1, &["b"])).await.unwrap().position, border + 32);
}

#[tokio::test]
async fn a_rotation_comes_behind_the_calls_that_have_their_numbers() {
    let folder = TempDir::new().unwrap();
    let (gate, sequencer) = Gate::new(1);
    let log = Arc::new(Log::open(folder.path(), small(), sequencer).unwrap().0);
    let (being_written, rotation) = {
        let _held = lock(&gate.closed);
        let call = queue(&log).push(batch(1, &["being written"])).unwrap();
        gate.asked.recv().unwrap();
        (call, queue(&log).push_rotation().unwrap())
    };
    let written = being_written.await.unwrap().unwrap();
    assert!(written.position < rotation.await.unwrap().unwrap());
}

#[tokio::test]
async fn what_is_pending_counts_from_a_position() {
    let folder = TempDir::new().unwrap();
    let log = open(&folder, small()).0;
    let long = "x".repeat(150);
    let mut positions = Vec::new();
    for _ in 0..9 {
        positions.push(log.append(batch(1, &[&long, "y"])).await.unwrap().position);
        log.append(batch(2, &["z"])).await.unwrap();
    }
    for (n, &since) in positions.iter().enumerate() {
        let pending = log.pending(1, since);
        let left = 9 - n as u64;
        assert_eq!((pending.frames, pending.records, pending.oldest), (left, 2 * left, Some(since)));
        assert_eq!(pending.bytes, left * (40 + 4 + 150 + 4 + 1));
        assert_eq!(log.frames(1, since, log.durable()).unwrap().len() as u64, left);
    }
    assert_eq!(log.frames(1, positions[2], positions[4]).unwrap().len(), 2);
    assert_eq!(log.pending(1, log.durable()), Pending::default());
    log.forget_dataset(1);
    assert_eq!(log.pending(1, 0), Pending::default());
    assert_eq!(log.pending(2, 0).frames, 9);
}

#[tokio::test]
async fn too_much_at_once_is_throttled_and_the_rest_goes_on() {
    let folder = TempDir::new().unwrap();
    let (gate, sequencer) = Gate::new(1);
    let settings = LogSettings { queue_bytes_max: 1000, ..small() };
    let log = Arc::new(Log::open(folder.path(), settings, sequencer).unwrap().0);
    let held = lock(&gate.closed);
    let mut waiting = Vec::new();
    let refused = loop {
        match queue(&log).push(batch(1, &["x"])) {
            Ok(answer) => waiting.push(answer),
            Err(refused) => break refused,
        }
    };
    assert_eq!((refused.kind, waiting.len()), (ErrorKind::Throttled, 375 / 45));
    waiting.push(queue(&log).push(batch(2, &["of another dataset"])).unwrap());
    drop(held);
    for answer in waiting {
        answer.await.unwrap().unwrap();
    }
    for _ in 0..50 {
        log.append(batch(1, &["x"])).await.unwrap();
    }
    let never = log.append(batch(1, &[&"x".repeat(1000)])).await.unwrap_err();
    assert_eq!(never.kind, ErrorKind::Invalid);
    log.close().unwrap();
    assert_eq!(log.append(batch(1, &["x"])).await.unwrap_err().kind, ErrorKind::Unavailable);
}

#[tokio::test]
async fn a_call_without_a_number_fails_alone() {
    let folder = TempDir::new().unwrap();
    let sequencer: Sequencer =
        Arc::new(|count| if count == 2 { Err(Error::unavailable("no numbers")) } else { Ok(9) });
    let log = Log::open(folder.path(), small(), sequencer).unwrap().0;
    assert_eq!(log.append(batch(1, &["a", "b"])).await.unwrap_err().message(), "no numbers");
    assert_eq!(log.append(batch(1, &["a"])).await.unwrap().first_sequence, 9);
    assert_eq!(log.append(batch(1, &[])).await.unwrap_err().kind, ErrorKind::Internal);
}

#[tokio::test]
async fn a_panic_in_the_sequencer_leaves_nobody_waiting() {
    let folder = TempDir::new().unwrap();
    let log = Log::open(folder.path(), small(), Arc::new(|_| panic!("on purpose"))).unwrap().0;
    for _ in 0..2 {
        assert_eq!(log.append(batch(1, &["a"])).await.unwrap_err().kind, ErrorKind::Unavailable);
    }
    assert!(log.close().is_err());
}
