//! Torn ends are cut off, damage elsewhere is refused with the file's name and the offset.

use model::clock::{Clock, SimulatedClock};

use super::*;
use crate::disk::simulated::SimulatedDisk;

const FIRST: &str = "00000000000000000000.log";

fn on(disk: &SimulatedDisk) -> Result<(Log, Recovered)> {
    Log::open_on(Arc::new(disk.clone()), small(), count_from(1000))
}

/// A log of calls that were written one by one; gives where each frame begins and where the last one ends.
async fn written(disk: &SimulatedDisk, calls: usize, record: &str) -> Vec<usize> {
    let log = Log::open_on(Arc::new(disk.clone()), small(), count_from(1)).unwrap().0;
    let mut borders = Vec::new();
    for n in 0..calls {
        let call = log.append(batch(1, &[record, &n.to_string()])).await.unwrap();
        borders.push(call.position as usize);
    }
    borders.push(log.durable() as usize);
    borders
}

/// Opens, checks how many calls are left, writes one more, and finds it after another start.
async fn goes_on_with(disk: &SimulatedDisk, left: usize, about: &str) {
    let (log, recovered) = on(disk).unwrap_or_else(|e| panic!("{about}: {}", e.chain()));
    assert_eq!(recovered.frames as usize, left, "{about}");
    log.append(batch(1, &["new"])).await.unwrap();
    drop(log);
    let log = on(&disk.cut(1)).unwrap_or_else(|e| panic!("{about}: {}", e.chain())).0;
    let calls = calls(&log, 1);
    assert_eq!(calls.len(), left + 1, "{about}");
    assert_eq!(calls[left].1, ["new"], "{about}");
}

fn assert_corrupt(disk: &SimulatedDisk, file: &str, offset: usize, about: &str) {
    let refused = on(disk).err().unwrap_or_else(|| panic!("{about}: opened"));
    assert_eq!(refused.kind, ErrorKind::Corrupt, "{about}");
    let named = format!("log segment {file} is damaged at offset {offset}");
    assert!(refused.message().starts_with(&named), "{about}: {}", refused.message());
}

fn whole_before(borders: &[usize], cut: usize) -> usize {
    borders[1..].iter().filter(|&&end| end <= cut).count()
}

#[tokio::test]
async fn an_end_cut_anywhere_leaves_the_longest_whole_prefix() {
    let disk = SimulatedDisk::default();
    let borders = written(&disk, 5, "record").await;
    let bytes = disk.bytes(FIRST);
    for cut in 0..=borders[5] {
        let left = whole_before(&borders, cut);
        let short = &bytes[..cut];
        goes_on_with(&SimulatedDisk::with(&[(FIRST, short)]), left, &format!("cut at {cut}")).await;
        for filler in [0, 0xff] {
            let mut filled = short.to_vec();
            filled.resize(bytes.len(), filler);
            goes_on_with(
                &SimulatedDisk::with(&[(FIRST, &filled)]),
                left,
                &format!("cut at {cut}, {filler:#x}"),
            )
            .await;
        }
    }
}

#[tokio::test]
async fn a_flipped_bit_is_refused_before_the_last_frame_and_cut_off_in_it() {
    let disk = SimulatedDisk::default();
    let borders = written(&disk, 4, "record").await;
    let bytes = disk.bytes(FIRST);
    for bit in 0..bytes.len() * 8 {
        let mut flipped = bytes.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        let disk = SimulatedDisk::with(&[(FIRST, &flipped)]);
        let about = format!("bit {bit}");
        match borders.iter().rposition(|&border| border <= bit / 8) {
            None => assert_corrupt(&disk, FIRST, 0, &about),
            Some(frame) if frame < 3 => assert_corrupt(&disk, FIRST, borders[frame], &about),
            Some(3) => goes_on_with(&disk, 3, &about).await,
            Some(_) => goes_on_with(&disk, 4, &about).await,
        }
    }
}

#[tokio::test]
async fn a_repeated_frame_or_rubbish_at_the_end_is_no_call() {
    let disk = SimulatedDisk::default();
    let borders = written(&disk, 3, "record").await;
    let bytes = disk.bytes(FIRST);
    let last = &bytes[borders[2]..borders[3]];
    let luck = SimulatedClock::new(0, 3);
    for round in 0..200 {
        let mut rubbish = vec![0; 1 + round % 150];
        luck.fill(&mut rubbish);
        for tail in [&rubbish[..], last, &bytes[borders[0]..borders[3]], &[0xff; 100]] {
            let longer = [&bytes[..borders[3]], tail].concat();
            goes_on_with(&SimulatedDisk::with(&[(FIRST, &longer)]), 3, &format!("round {round}")).await;
        }
    }
}

/// A disk whose second write brought three calls, and the borders of all four frames.
async fn grouped() -> (SimulatedDisk, Vec<usize>) {
    let disk = SimulatedDisk::default();
    let (gate, sequencer) = Gate::new(1);
    let log = Log::open_on(Arc::new(disk.clone()), small(), sequencer).unwrap().0;
    let answers = gate.put_together(&log, "one", &["two", "six", "ten"]).await;
    let mut borders: Vec<_> = answers.iter().map(|a| a.as_ref().unwrap().position as usize).collect();
    borders.push(log.durable() as usize);
    (disk, borders)
}

#[tokio::test]
async fn a_last_write_without_its_middle_is_torn() {
    let (disk, borders) = grouped().await;
    let mut bytes = disk.bytes(FIRST);
    bytes[borders[2]..borders[3]].fill(0);
    // The new call takes exactly the room of the third, and yet the fourth must not follow it.
    goes_on_with(&SimulatedDisk::with(&[(FIRST, &bytes)]), 2, "the third of four calls").await;
}

#[tokio::test]
async fn an_earlier_write_without_its_middle_is_damaged() {
    let (disk, borders) = grouped().await;
    let log = on(&disk).unwrap().0;
    log.append(batch(1, &["later"])).await.unwrap();
    drop(log);
    let mut bytes = disk.bytes(FIRST);
    bytes[borders[2]..borders[3]].fill(0);
    assert_corrupt(&SimulatedDisk::with(&[(FIRST, &bytes)]), FIRST, borders[2], "the third of five calls");
}

/// The files of a log of four segments with two calls each.
async fn rotated() -> Vec<(String, Vec<u8>)> {
    let disk = SimulatedDisk::default();
    written(&disk, 8, &"x".repeat(150)).await;
    let files = disk.files();
    assert_eq!(files.len(), 4);
    files
}

fn disk_of(files: &[(String, Vec<u8>)]) -> SimulatedDisk {
    let files: Vec<_> = files.iter().map(|(name, bytes)| (name.as_str(), &bytes[..])).collect();
    SimulatedDisk::with(&files)
}

#[tokio::test]
async fn a_missing_middle_segment_is_refused() {
    let whole = rotated().await;
    goes_on_with(&disk_of(&whole), 8, "whole").await;
    for missing in 1..3 {
        let mut files = whole.clone();
        files.remove(missing);
        let end =
            segment::start_of(&whole[missing].0).unwrap() - segment::start_of(&whole[missing - 1].0).unwrap();
        assert_corrupt(&disk_of(&files), &whole[missing - 1].0, end as usize, &format!("without {missing}"));
    }
    goes_on_with(&disk_of(&whole[1..]), 6, "without the first, as after forget_before").await;
}

#[tokio::test]
async fn damage_in_a_finished_segment_is_refused_even_at_its_end() {
    let whole = rotated().await;
    let start = |n: usize| segment::start_of(&whole[n].0).unwrap() as usize;
    let end = start(2) - start(1);
    for at in 0..end {
        let mut files = whole.clone();
        files[1].1[at] ^= 0x10;
        let refused = on(&disk_of(&files)).err().unwrap();
        assert_eq!(refused.kind, ErrorKind::Corrupt, "{at}");
        assert!(refused.message().contains(&whole[1].0), "{at}: {}", refused.message());
        files[1].1.truncate(at);
        assert_eq!(on(&disk_of(&files)).err().unwrap().kind, ErrorKind::Corrupt, "cut at {at}");
    }
}

#[tokio::test]
async fn damage_that_came_later_is_seen_when_a_frame_is_read() {
    let disk = SimulatedDisk::default();
    let borders = written(&disk, 3, "record").await;
    let log = on(&disk).unwrap().0;
    let file = disk.open(FIRST).unwrap();
    file.write_all_at(b"?", borders[1] as u64 + 50).unwrap();
    let frames = log.frames(1, 0, log.durable()).unwrap();
    assert!(log.read(&frames[0]).is_ok());
    let refused = log.read(&frames[1]).unwrap_err();
    assert_eq!(refused.kind, ErrorKind::Corrupt);
    assert_eq!(refused.message(), format!("log segment {FIRST} is damaged at offset {}", borders[1]));
}

#[tokio::test]
async fn a_newer_format_is_refused_and_untouched() {
    let disk = SimulatedDisk::default();
    written(&disk, 1, "record").await;
    let bytes = of_version(3, disk.bytes(FIRST));
    let disk = SimulatedDisk::with(&[(FIRST, &bytes)]);
    let refused = on(&disk).err().unwrap();
    assert!(refused.message().contains("has format 3"), "{}", refused.message());
    assert_eq!(disk.bytes(FIRST), bytes);
}

/// The same segment, as another release would have begun it.
fn of_version(version: u8, mut bytes: Vec<u8>) -> Vec<u8> {
    bytes[8] = version;
    let crc = crc32c::crc32c(&bytes[..28]);
    bytes[28..32].copy_from_slice(&crc.to_le_bytes());
    bytes
}

#[tokio::test]
async fn what_an_earlier_release_wrote_is_read_and_nothing_is_added_to_it() {
    let disk = SimulatedDisk::default();
    let borders = written(&disk, 2, "record").await;
    for (about, frames, cut) in [("whole", 2, 0), ("torn", 1, 3), ("empty", 0, usize::MAX)] {
        let mut bytes = of_version(1, disk.bytes(FIRST));
        bytes.truncate(borders[2].saturating_sub(cut).max(segment::HEADER));
        let disk = SimulatedDisk::with(&[(FIRST, &bytes)]);
        let (log, recovered) = on(&disk).unwrap();
        assert_eq!(recovered.frames, frames, "{about}");
        drop(log);
        assert_eq!(disk.bytes(FIRST), bytes[..borders[frames as usize]], "{about}");
        goes_on_with(&disk, frames as usize, about).await;
        let files = disk.files();
        let versions: Vec<u8> = files.iter().map(|(_, bytes)| bytes[8]).collect();
        assert_eq!((versions, files[0].1.len()), (vec![1, 2], borders[frames as usize]), "{about}");
    }
}

#[tokio::test]
async fn an_unfinished_segment_and_foreign_files_are_no_part_of_the_log() {
    let disk = SimulatedDisk::default();
    written(&disk, 2, "record").await;
    disk.put("00000000000000000200.log.new", b"half a header");
    disk.put("notes.txt", b"by a person");
    goes_on_with(&disk, 2, "with other files").await;
    let names: Vec<String> = disk.files().into_iter().map(|file| file.0).collect();
    assert_eq!(names, [FIRST, "notes.txt"]);
}

#[tokio::test]
async fn random_damage_never_panics_and_never_invents_a_call() {
    let whole = rotated().await;
    let original = calls(&on(&disk_of(&whole)).unwrap().0, 1);
    let luck = SimulatedClock::new(0, 11);
    for round in 0..3000 {
        let mut dice = [0; 8];
        luck.fill(&mut dice);
        let mut files = whole.clone();
        for pick in dice.chunks(4).take(1 + round % 2) {
            let bytes = &mut files[usize::from(pick[0]) % 4].1;
            let at = usize::from(u16::from_le_bytes([pick[1], pick[2]])) % bytes.len();
            bytes[at] ^= pick[3].max(1);
        }
        match on(&disk_of(&files)) {
            Ok((log, _)) => assert!(original.starts_with(&calls(&log, 1)), "round {round}"),
            Err(e) => assert_eq!(e.kind, ErrorKind::Corrupt, "round {round}"),
        }
    }
}
