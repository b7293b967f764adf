//! Whatever the disk does, an acknowledged call is there after the next start, whole and once.

use super::*;
use crate::disk::simulated::{Failing, Fault, Op, SimulatedDisk};

fn on(disk: &SimulatedDisk) -> Result<(Log, Recovered)> {
    // Each life's numbers are above those of all lives before, as the catalog gives them.
    static LIVES: AtomicU64 = AtomicU64::new(0);
    let first = LIVES.fetch_add(1, Ordering::SeqCst) * 1_000_000 + 1;
    Log::open_on(Arc::new(disk.clone()), small(), count_from(first))
}

fn fault(op: Op, how: Failing, from: u64, times: u64) -> Fault {
    Fault { op, how, from, times }
}

async fn put(log: &Log, text: &str) -> Result<Appended> {
    log.append(batch(1, &[text, text])).await
}

/// The texts of all calls, each proven whole and there once.
fn texts(log: &Log) -> Vec<String> {
    let mut texts: Vec<String> = Vec::new();
    for (_, records) in calls(log, 1) {
        assert_eq!(records.len(), 2);
        assert_eq!(records[0], records[1]);
        texts.push(records[0].clone());
    }
    let mut once = texts.clone();
    once.sort();
    once.dedup();
    assert_eq!(once.len(), texts.len(), "a call is there twice");
    texts
}

fn assert_holds(disk: &SimulatedDisk, acknowledged: &[String], about: &str) -> Vec<String> {
    let log = on(disk).unwrap_or_else(|e| panic!("{about}: {}", e.chain())).0;
    let found = texts(&log);
    for text in acknowledged {
        assert!(found.contains(text), "{about}: {text} is lost of {found:?}");
    }
    found
}

#[tokio::test]
async fn a_failed_sync_stops_acknowledgements_for_good() {
    let disk = SimulatedDisk::default();
    let log = on(&disk).unwrap().0;
    put(&log, "before").await.unwrap();
    let durable = log.durable();
    disk.fail(fault(Op::Sync, Failing::Eio, 0, 1));
    for _ in 0..3 {
        let refused = put(&log, "after").await.unwrap_err();
        assert_eq!(refused.kind, ErrorKind::Unavailable);
        assert_eq!(refused.message(), "the log stopped after a disk error; restart the server");
    }
    assert_eq!((texts(&log), log.durable()), (vec!["before".to_owned()], durable));
    assert!(log.close().is_err());
    assert_eq!(assert_holds(&disk.cut(1), &["before".to_owned()], "power cut"), ["before"]);
}

#[tokio::test]
async fn what_a_start_finds_is_durable_from_then_on() {
    for how in [Failing::Eio, Failing::Dead] {
        let disk = SimulatedDisk::default();
        let log = on(&disk).unwrap().0;
        put(&log, "before").await.unwrap();
        disk.fail(fault(Op::Sync, how, 0, 1));
        put(&log, "written").await.unwrap_err();
        drop(log);
        disk.heal();
        let found = texts(&on(&disk).unwrap().0);
        assert_eq!(found, ["before", "written"]);
        for seed in 0..20 {
            assert_holds(&disk.cut(seed), &found, &format!("{how:?}, power cut {seed}"));
        }
    }
}

#[tokio::test]
async fn a_segment_that_a_start_finds_keeps_its_name() {
    let disk = SimulatedDisk::default();
    let log = on(&disk).unwrap().0;
    put(&log, "before").await.unwrap();
    disk.fail(fault(Op::SyncFolder, Failing::Eio, 0, 1));
    log.rotate().await.unwrap_err();
    drop(log);
    disk.heal();
    let log = on(&disk).unwrap().0;
    put(&log, "after").await.unwrap();
    let all = ["before", "after"].map(str::to_owned);
    for seed in 0..20 {
        assert_holds(&disk.cut(seed), &all, &format!("power cut {seed}"));
    }
}

#[tokio::test]
async fn a_refused_call_does_not_come_back_behind_another() {
    let disk = SimulatedDisk::default();
    let (gate, sequencer) = Gate::new(1);
    let log = Log::open_on(Arc::new(disk.clone()), small(), sequencer).unwrap().0;
    disk.fail(fault(Op::Write, Failing::Short, 1, 1));
    disk.fail(fault(Op::Write, Failing::Full, 2, 1));
    let answers = gate.put_together(&log, "one", &["two", "six", "ten", "our"]).await;
    assert_eq!(answers.iter().filter(|answer| answer.is_ok()).count(), 1);
    // It takes exactly the room of the first refused call, behind which the second was written whole.
    log.append(batch(1, &["new"])).await.unwrap();
    drop(log);
    let found = calls(&on(&disk).unwrap().0, 1);
    assert_eq!(found.iter().map(|call| call.1[0].as_str()).collect::<Vec<_>>(), ["one", "new"]);
}

#[tokio::test]
async fn a_refused_call_does_not_come_back_with_the_power() {
    for rotates in [false, true] {
        let disk = SimulatedDisk::default();
        let (gate, sequencer) = Gate::new(1);
        let log = Log::open_on(Arc::new(disk.clone()), small(), sequencer).unwrap().0;
        disk.fail(fault(Op::Write, Failing::Short, 1, 1));
        disk.fail(fault(Op::Write, Failing::Full, 2, 1));
        let answers = gate.put_together(&log, "one", &["two", "six", "ten", "our"]).await;
        assert_eq!(answers.iter().filter(|answer| answer.is_ok()).count(), 1);
        if rotates {
            log.rotate().await.unwrap();
        }
        for seed in 0..50 {
            let after = on(&disk.cut(seed)).unwrap_or_else(|e| panic!("power cut {seed}: {}", e.chain())).0;
            let found: Vec<_> = calls(&after, 1).into_iter().map(|call| call.1[0].clone()).collect();
            assert_eq!(found, ["one"], "power cut {seed}");
        }
    }
}

#[tokio::test]
async fn a_full_disk_refuses_and_recovers_by_itself() {
    for op in [Op::Write, Op::Allocate] {
        let disk = SimulatedDisk::default();
        let log = on(&disk).unwrap().0;
        let long = "x".repeat(100);
        put(&log, "before").await.unwrap();
        disk.fail(fault(Op::Write, Failing::Short, 0, 1));
        disk.fail(fault(op, Failing::Full, u64::from(op == Op::Write), u64::MAX));
        let mut refused = 0;
        for n in 0..6 {
            let Err(e) = put(&log, &format!("{long}{n}")).await else { continue };
            assert_eq!((e.kind, e.message()), (ErrorKind::Unavailable, "no space left on the data disk"));
            refused += 1;
        }
        assert!(refused >= 4, "{op:?}: {refused}");
        assert!(texts(&log).len() == 7 - refused, "reading goes on");
        disk.heal();
        put(&log, "after").await.unwrap();
        drop(log);
        let acknowledged = ["before".to_owned(), "after".to_owned()];
        assert_eq!(assert_holds(&disk, &acknowledged, "restart").len(), 8 - refused);
        assert_eq!(assert_holds(&disk.cut(1), &acknowledged, "power cut").len(), 8 - refused);
    }
}

#[tokio::test]
async fn a_segment_is_taken_piece_by_piece_where_a_whole_one_has_no_room() {
    let disk = SimulatedDisk::default();
    disk.fail(fault(Op::Allocate, Failing::Full, 0, 1));
    let log = on(&disk).unwrap().0;
    assert_eq!(disk.bytes("00000000000000000000.log").len(), 32);
    disk.fail(fault(Op::Allocate, Failing::Full, 0, 1));
    put(&log, "small").await.unwrap();
    assert_eq!(disk.bytes("00000000000000000000.log").len() as u64, log.durable());
    put(&log, "small again").await.unwrap();
    assert_eq!(disk.bytes("00000000000000000000.log").len(), 512);
}

#[tokio::test]
async fn a_full_disk_refuses_a_rotation_and_the_log_goes_on() {
    let disk = SimulatedDisk::default();
    let log = on(&disk).unwrap().0;
    put(&log, "before").await.unwrap();
    disk.fail(fault(Op::Create, Failing::Full, 0, 1));
    let refused = log.rotate().await.unwrap_err();
    assert_eq!(
        (refused.kind, refused.message()),
        (ErrorKind::Unavailable, "the data disk took no new log segment")
    );
    put(&log, "between").await.unwrap();
    let border = log.rotate().await.unwrap();
    assert_eq!(log.frames(1, 0, border).unwrap().len(), 2);
    disk.fail(fault(Op::SyncFolder, Failing::Eio, 0, 1));
    put(&log, "after").await.unwrap();
    assert_eq!(log.rotate().await.unwrap_err().kind, ErrorKind::Unavailable);
    assert_eq!(put(&log, "too late").await.unwrap_err().kind, ErrorKind::Unavailable);
    let all = ["before", "between", "after"].map(str::to_owned);
    assert_eq!(assert_holds(&disk.cut(1), &all, "power cut"), all);
}

/// Puts thirty calls over several segments, closes one early and forgets the oldest; gives what was acknowledged and not forgotten.
async fn scenario(disk: &SimulatedDisk) -> Vec<String> {
    let mut acknowledged = Vec::new();
    let Ok((log, _)) = on(disk) else { return Vec::new() };
    for n in 0..10 {
        // Longer than a sector at times, and several in one write.
        let text = |m: usize| format!("{n}/{m}/{}", "x".repeat(30 + n * m * 20));
        let (one, two, three) = (text(0), text(1), text(2));
        let answers = tokio::join!(put(&log, &one), put(&log, &two), put(&log, &three));
        for (answer, text) in [(answers.0, one), (answers.1, two), (answers.2, three)] {
            acknowledged.extend(answer.ok().map(|call| (call.position, text)));
        }
        if n == 7 {
            let _ = log.rotate().await;
            let _ = log.forget_before(2000);
            acknowledged.retain(|(position, _)| *position >= 2000);
        }
    }
    acknowledged.into_iter().map(|(_, text)| text).collect()
}

#[tokio::test]
async fn no_failing_disk_call_loses_an_acknowledged_call() {
    use Op::{Allocate, Create, Remove, Rename, SetLen, Sync, SyncFolder, Write};
    for op in [Create, Allocate, Write, SetLen, Sync, Rename, SyncFolder, Remove] {
        for how in [Failing::Eio, Failing::Full] {
            strike_everywhere(op, how, 1).await;
            strike_everywhere(op, how, u64::MAX).await;
        }
    }
    strike_everywhere(Write, Failing::Short, 1).await;
    strike_everywhere(Write, Failing::Short, u64::MAX).await;
    strike_everywhere(Sync, Failing::Dead, u64::MAX).await;
}

// The scenario once for each of its calls of `op`, with the fault at that one.
async fn strike_everywhere(op: Op, how: Failing, times: u64) {
    for nth in 0.. {
        let about = format!("{op:?} {how:?} from {nth}, {times} times");
        let disk = SimulatedDisk::default();
        disk.fail(fault(op, how, nth, times));
        let acknowledged = scenario(&disk).await;
        let hit = disk.heal() > 0;
        for seed in 0..8 {
            assert_holds(&disk.cut(seed), &acknowledged, &format!("{about}, power cut {seed}"));
        }
        assert_holds(&disk, &acknowledged, &about);
        if !hit {
            return;
        }
    }
}

/// Sixteen tasks put; when `calls` are acknowledged, the power goes.
async fn cut_under_load(
    disk: &SimulatedDisk,
    prefix: &str,
    calls: usize,
    seed: u64,
) -> (SimulatedDisk, Vec<String>) {
    let log = Arc::new(on(disk).unwrap().0);
    let (told, mut heard) = tokio::sync::mpsc::unbounded_channel();
    for task in 0..16 {
        let (log, told, prefix) = (Arc::clone(&log), told.clone(), prefix.to_owned());
        tokio::spawn(async move {
            for n in 0..20 {
                let text = format!("{prefix}/{task}/{n}/{}", "x".repeat((task * 37 + n * 11) % 90));
                put(&log, &text).await.unwrap();
                let _ = told.send(text);
            }
        });
    }
    let mut acknowledged = Vec::new();
    for _ in 0..calls {
        acknowledged.push(heard.recv().await.unwrap());
    }
    (disk.cut(seed), acknowledged)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_power_cut_under_load_loses_nothing_acknowledged() {
    for seed in 0..200 {
        let about = format!("seed {seed}");
        let disk = SimulatedDisk::default();
        let (disk, first) = cut_under_load(&disk, "a", 1 + seed as usize % 150, seed).await;
        let found = assert_holds(&disk, &first, &about);
        let (disk, second) = cut_under_load(&disk, "b", 1 + seed as usize % 70, seed + 1000).await;
        assert_holds(&disk, &[found, second].concat(), &about);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_fault_while_recovering_loses_nothing_acknowledged() {
    for seed in 0..100u64 {
        let (disk, acknowledged) =
            cut_under_load(&SimulatedDisk::default(), "a", 1 + seed as usize % 100, seed).await;
        for op in [Op::SetLen, Op::Write, Op::Sync] {
            for how in [Failing::Eio, Failing::Full] {
                let about = format!("seed {seed}, {op:?} {how:?}");
                let disk = disk.cut(0);
                disk.fail(fault(op, how, 0, 1));
                let _ = on(&disk);
                disk.heal();
                assert_holds(&disk.cut(seed), &acknowledged, &format!("{about}, power cut"));
                assert_holds(&disk, &acknowledged, &about);
            }
        }
    }
}
