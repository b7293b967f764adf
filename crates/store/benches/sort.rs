//! Sorting records shaped like interactions: all of them pushed, then read in ranges as an import does, by one thread.
#![allow(clippy::unwrap_used)] // a benchmark has nobody to report to

use divan::{Bencher, counter::ItemsCount};
use model::record::hash_id;
use seal::SealingKey;
use store::{Arrivals, ScratchFolder, Sorter, Sources};

fn main() {
    divan::main();
}

/// Whose records they are.
#[derive(Clone, Copy, Debug)]
enum Ids {
    /// 20 records an id, 2 % of them repeats.
    Uniform,
    /// Rank r with a chance of about 1/r.
    Zipf,
    /// All of one id.
    One,
}

#[derive(Clone, Copy, Debug)]
struct Case {
    ids: Ids,
    records: u64,
    memory_mib: usize,
    is_sealed: bool,
}

const fn case(ids: Ids, records: u64, memory_mib: usize) -> Case {
    Case { ids, records, memory_mib, is_sealed: false }
}

const CASES: [Case; 9] = [
    case(Ids::Uniform, 1_000_000, 512),
    case(Ids::Zipf, 1_000_000, 512),
    case(Ids::One, 1_000_000, 512),
    case(Ids::Uniform, 4_000_000, 64),
    Case { is_sealed: true, ..case(Ids::Uniform, 4_000_000, 64) },
    case(Ids::Zipf, 4_000_000, 64),
    case(Ids::One, 4_000_000, 64),
    case(Ids::Uniform, 20_000_000, 256),
    case(Ids::Uniform, 100, 256),
];

const RANGE_RECORDS: u64 = 512 << 10;
const RANGE_BYTES: u64 = 64 << 20;
/// A thread's sorter gets as many records in a row as a chunk of a file has.
const CHUNK_RECORDS: u64 = 50_000;
const THREADS: usize = 2;

#[divan::bench(args = CASES, sample_count = 3, sample_size = 1)]
fn sort(bencher: Bencher, case: Case) {
    let records = Records::make(case);
    bencher.counter(ItemsCount::new(case.records)).bench_local(|| push_and_drain(&records, case));
}

fn push_and_drain(records: &Records, case: Case) -> u64 {
    let folder = tempfile::tempdir().unwrap();
    let scratch = ScratchFolder::sealed(folder.path().join("s"), SealingKey::new([7; 32]));
    let scratch = if case.is_sealed { scratch } else { scratch.plain() };
    let mut team = Sorter::team(scratch, case.memory_mib << 20, THREADS);
    for n in 0..case.records {
        let chunk = n / CHUNK_RECORDS;
        let sequence = (chunk << 32) | (n % CHUNK_RECORDS);
        team[chunk as usize % THREADS].push(records.get(n as usize), Arrivals::once(sequence)).unwrap();
    }
    let sources = Sources::new(team.into_iter().map(|sorter| sorter.close().unwrap()).collect(), THREADS);
    let ranges = sources.ranges(RANGE_RECORDS, RANGE_BYTES);
    ranges.iter().map(|range| drain(&sources, range)).sum()
}

fn drain(sources: &Sources, range: &store::sort::Buckets) -> u64 {
    let mut sorted = sources.read(range, &|| Ok(())).unwrap();
    let mut seen = 0;
    while let Some((record, arrivals)) = sorted.next_record().unwrap() {
        seen += arrivals.copies + u64::from(record[record.len() - 1] & 1);
    }
    seen
}

/// Canonical bytes, side by side.
struct Records {
    bytes: Vec<u8>,
    ends: Vec<usize>,
}

impl Records {
    fn make(case: Case) -> Records {
        let mut records = Records { bytes: Vec::new(), ends: Vec::new() };
        for i in 0..case.records {
            // One in 50 repeats an earlier one.
            let n = if i % 50 == 49 { mix(i, 0) % i } else { i };
            records.push(n, case);
        }
        records
    }

    fn push(&mut self, n: u64, case: Case) {
        let users = (case.records / 20).max(1);
        let user = match case.ids {
            Ids::Uniform => mix(n, 1) % users,
            Ids::Zipf => ((mix(n, 1) % 1_000_003) as f64 / 1_000_003.0 * (users as f64).ln()).exp() as u64,
            Ids::One => 0,
        };
        let event = ["purchase", "cart", "click", "click", "view", "view"][mix(n, 3) as usize % 6];
        let id = format!("u{user:07}");
        self.bytes.extend_from_slice(&hash_id(&id).to_be_bytes());
        self.text(&id);
        self.number((1 << 63) + 1_700_000_000 + mix(n, 4) % 31_536_000);
        self.text(&format!("item{:05}", mix(n, 2) % 50_000));
        self.text(event);
        self.number((1 << 63) | (mix(n, 5) as f64 / 1e6).to_bits());
        self.ends.push(self.bytes.len());
    }

    fn text(&mut self, text: &str) {
        self.bytes.push(1);
        self.bytes.extend_from_slice(text.as_bytes());
        self.bytes.extend_from_slice(&[0, 0]);
    }

    fn number(&mut self, number: u64) {
        self.bytes.push(1);
        self.bytes.extend_from_slice(&number.to_be_bytes());
    }

    fn get(&self, n: usize) -> &[u8] {
        let from = if n == 0 { 0 } else { self.ends[n - 1] };
        &self.bytes[from..self.ends[n]]
    }
}

/// A number that looks random and depends on nothing but its two arguments.
fn mix(n: u64, salt: u64) -> u64 {
    let mut z = n.wrapping_mul(8).wrapping_add(salt).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    (z ^ (z >> 31)) >> 1
}
