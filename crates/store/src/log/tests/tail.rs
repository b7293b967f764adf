//! The damage that a crash or a bad disk does to a long log: a sample of it, or all with `LADE_DAMAGE=all`.

use model::clock::{Clock, SimulatedClock};

use super::*;
use crate::disk::simulated::SimulatedDisk;

const FIRST: &str = "00000000000000000000.log";
const SEGMENT_BYTES: u64 = 96 << 10;

/// A log of calls that were written one by one, and the borders of all its frames, by segment.
struct Written {
    files: Vec<(String, Vec<u8>)>,
    borders: Vec<Vec<usize>>,
}

async fn write(bytes: usize) -> Written {
    let disk = SimulatedDisk::default();
    let settings = LogSettings { segment_bytes: SEGMENT_BYTES, ..small() };
    let log = Log::open_on(Arc::new(disk.clone()), settings, count_from(1)).unwrap().0;
    while log.total_bytes() < bytes as u64 {
        let n = log.total_bytes() as usize;
        log.append(batch(1, &[&"x".repeat(n % 400), &n.to_string()])).await.unwrap();
    }
    let (files, durable) = (disk.files(), log.durable());
    let starts: Vec<u64> = files.iter().map(|(name, _)| segment::start_of(name).unwrap()).collect();
    let ends = starts[1..].iter().copied().chain([durable]);
    let of_segment = |(start, end): (&u64, u64)| {
        let frames = log.frames(1, *start, end).unwrap().into_iter().map(|frame| frame.position);
        frames.chain([end]).map(|position| (position - start) as usize).collect()
    };
    Written { borders: starts.iter().zip(ends).map(of_segment).collect(), files }
}

/// How many frames a start finds in these files.
fn open(files: &[(String, Vec<u8>)]) -> Result<u64> {
    let files: Vec<_> = files.iter().map(|(name, bytes)| (name.as_str(), &bytes[..])).collect();
    Ok(recovery::recover(&SimulatedDisk::with(&files), SEGMENT_BYTES)?.recovered.frames)
}

fn open_one(bytes: Vec<u8>) -> Result<u64> {
    open(&[(FIRST.to_owned(), bytes)])
}

fn assert_refused(found: Result<u64>, file: &str, offset: usize, about: &str) {
    let refused = found.err().unwrap_or_else(|| panic!("{about}: opened"));
    assert_eq!(refused.kind, ErrorKind::Corrupt, "{about}");
    let named = format!("log segment {file} is damaged at offset {offset}");
    assert!(refused.message().starts_with(&named), "{about}: {}", refused.message());
}

fn is_all() -> bool {
    std::env::var("LADE_DAMAGE").is_ok_and(|how| how == "all")
}

/// One of so many, or all.
fn stride(sample: usize) -> usize {
    if is_all() { 1 } else { sample }
}

#[tokio::test]
async fn an_end_cut_at_any_of_the_last_64_kib_leaves_the_whole_calls_before() {
    let written = write(80 << 10).await;
    let (bytes, borders) = (&written.files[0].1, &written.borders[0]);
    let end = *borders.last().unwrap();
    let cuts = (end - (64 << 10)..=end).step_by(stride(19));
    let around = borders.iter().flat_map(|border| [border - 1, *border, border + 1]);
    for cut in cuts.chain(around.filter(|cut| *cut >= 32 && *cut <= end)) {
        let left = borders[1..].iter().filter(|border| **border <= cut).count() as u64;
        assert_eq!(open_one(bytes[..cut].to_vec()).unwrap(), left, "cut at {cut}");
        let mut zeros = bytes.clone();
        zeros[cut..].fill(0);
        assert_eq!(open_one(zeros).unwrap(), left, "zeros from {cut}");
        // A torn write may leave rubbish behind it, too.
        let mut ones = bytes.clone();
        ones[cut..].fill(0xff);
        assert_eq!(open_one(ones).unwrap(), left, "0xff from {cut}");
    }
}

#[tokio::test]
async fn any_bit_of_the_last_4_kib_is_refused_or_was_in_the_last_call() {
    let written = write(80 << 10).await;
    let (bytes, borders) = (&written.files[0].1, &written.borders[0]);
    let (calls, end) = (borders.len() - 1, *borders.last().unwrap());
    for bit in ((end - 4096) * 8..end * 8).step_by(stride(13)) {
        let mut flipped = bytes.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        let call = borders.partition_point(|border| *border <= bit / 8) - 1;
        match open_one(flipped) {
            Ok(left) => assert_eq!((call, left), (calls - 1, calls as u64 - 1), "bit {bit}"),
            refused => assert_refused(refused, FIRST, borders[call], &format!("bit {bit}")),
        }
    }
}

#[tokio::test]
async fn a_repeated_last_call_is_no_call() {
    let written = write(80 << 10).await;
    let (bytes, borders) = (&written.files[0].1, &written.borders[0]);
    let [.., last, end] = borders[..] else { panic!("it has calls") };
    let longer = [&bytes[..end], &bytes[last..end], &bytes[last..end]].concat();
    assert_eq!(open_one(longer).unwrap(), borders.len() as u64 - 1);
}

#[tokio::test]
async fn damage_in_the_middle_of_many_segments_is_refused_by_name_and_offset() {
    let written = write(400 << 10).await;
    let calls: usize = written.borders.iter().map(|borders| borders.len() - 1).sum();
    assert_eq!(open(&written.files).unwrap(), calls as u64);
    let luck = SimulatedClock::new(0, 5);
    for _ in 0..if is_all() { 10_000 } else { 300 } {
        let mut dice = [0; 8];
        luck.fill(&mut dice);
        let segment = usize::from(dice[0]) % (written.files.len() - 1);
        let (name, borders) = (&written.files[segment].0, &written.borders[segment]);
        let place = u32::from_le_bytes([dice[1], dice[2], dice[3], dice[4]]) as usize;
        let at = borders[0] + place % (borders[borders.len() - 1] - borders[0]);
        let mut files = written.files.clone();
        files[segment].1[at] ^= 1 << (dice[5] % 8);
        let call = borders.partition_point(|border| *border <= at) - 1;
        assert_refused(open(&files), name, borders[call], &format!("{name} at {at}"));
    }
}
