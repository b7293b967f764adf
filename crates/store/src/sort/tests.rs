use std::collections::BTreeMap;
use std::path::Path;

use proptest::prelude::*;

use super::*;

fn drain(mut sorted: Sorted) -> Vec<(Vec<u8>, Arrivals)> {
    let mut all = Vec::new();
    while let Some((record, arrivals)) = sorted.next_record().unwrap() {
        all.push((record.to_vec(), arrivals));
    }
    assert!(sorted.next_record().unwrap().is_none());
    all
}

fn naive(records: &[Vec<u8>]) -> Vec<(Vec<u8>, Arrivals)> {
    let mut map: BTreeMap<Vec<u8>, Arrivals> = BTreeMap::new();
    for (n, record) in (0u64..).zip(records) {
        map.entry(record.clone()).and_modify(|a| a.merge(Arrivals::once(n))).or_insert(Arrivals::once(n));
    }
    map.into_iter().collect()
}

/// Sizes in bytes of what a sort may take: less than it is ever given.
#[derive(Clone, Copy, Debug)]
struct Tight {
    slab_bytes: usize,
    reader_bytes: usize,
}

// Sorts with a team, and reads in ranges of at most 50 records.
fn sort(records: &[Vec<u8>], count: usize, tight: Tight) -> Vec<(Vec<u8>, Arrivals)> {
    let folder = tempfile::tempdir().unwrap();
    let scratch = folder.path().join("s");
    let sealed = ScratchFolder::sealed(scratch.clone(), seal::SealingKey::new([7; 32]));
    let mut team = if count > 1 { Sorter::team(&sealed, 0, count) } else { Sorter::team(&scratch, 0, count) };
    team.iter_mut().for_each(|sorter| sorter.slab_bytes = tight.slab_bytes);
    for (n, record) in (0u64..).zip(records) {
        team[n as usize % count].push(record, Arrivals::once(n)).unwrap();
    }
    let closed = team.into_iter().map(|sorter| sorter.close().unwrap()).collect();
    let mut sources = Sources::new(closed, count);
    sources.reader_bytes = tight.reader_bytes;
    let ranges = sources.ranges(50, 1 << 20);
    let all = ranges.iter().flat_map(|range| drain(sources.read(range, &|| Ok(())).unwrap())).collect();
    drop(sources);
    assert!(!scratch.exists());
    all
}

// Bytes of a few kinds, so that records have long beginnings in common, or are others' beginnings.
fn record() -> impl Strategy<Value = Vec<u8>> {
    let ends = prop_oneof![
        8 => prop::collection::vec(0u8..3, 0..4),
        4 => prop::collection::vec(0u8..2, 0..30),
        1 => prop::collection::vec(Just(7), 100..400),
    ];
    let hash = prop_oneof![Just(0), Just(u64::MAX), 0u64..4, (0u64..4).prop_map(|n| n << 51), any::<u64>()];
    (hash, ends).prop_map(|(hash, end)| [&hash.to_be_bytes()[..], &end].concat())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]
    #[test]
    fn records_come_back_sorted_and_merged(
        records in prop::collection::vec(record(), 0..300),
        slab_bytes in prop_oneof![1usize..20_000, Just(SLAB_BYTES_MIN)],
        reader_bytes in prop_oneof![1usize..3000, Just(READER_BYTES_MIN)],
        count in 1usize..4,
    ) {
        prop_assert_eq!(sort(&records, count, Tight { slab_bytes, reader_bytes }), naive(&records));
    }
}

#[test]
fn a_sorter_alone_needs_no_folder_while_its_memory_lasts() {
    let mut sorter = Sorter::new(Path::new("/nonexistent"), 1 << 20);
    let records: Vec<Vec<u8>> = (0..1000u64).map(|n| (n * 7 % 100).to_be_bytes().to_vec()).collect();
    for (n, record) in (0u64..).zip(&records) {
        sorter.push(record, Arrivals::once(n)).unwrap();
    }
    assert_eq!(drain(sorter.finish().unwrap()), naive(&records));
}

#[test]
fn a_team_gives_what_one_sorter_gives() {
    let records: Vec<Vec<u8>> = (0..3000u64)
        .map(|n| {
            [(n * 7 % 1000).wrapping_mul(0x1234_5678_9abc_def1).to_be_bytes(), (n % 3).to_be_bytes()].concat()
        })
        .collect();
    let whole = Tight { slab_bytes: SLAB_BYTES_MIN, reader_bytes: READER_BYTES_MIN };
    let spilled = Tight { slab_bytes: 5000, reader_bytes: 200 };
    for (count, tight) in [(1, whole), (2, whole), (2, spilled), (3, spilled)] {
        assert_eq!(sort(&records, count, tight), naive(&records), "{count} {tight:?}");
    }
}

#[test]
fn one_hash_may_have_more_records_than_fit_and_more_strands_than_are_merged_at_once() {
    let records: Vec<Vec<u8>> =
        (0..20_000u64).map(|n| [5u64.to_be_bytes(), (n * 7919 % 15_000).to_be_bytes()].concat()).collect();
    let tight = Tight { slab_bytes: 20_000, reader_bytes: 2000 };
    assert_eq!(sort(&records, 2, tight), naive(&records));
}

#[test]
fn numbers_in_place_of_hashes_are_put_in_order() {
    let records: Vec<Vec<u8>> =
        (0..50_000u64).map(|n| [(n * 7919 % 40_000).to_be_bytes(), [1; 8]].concat()).collect();
    let whole = Tight { slab_bytes: SLAB_BYTES_MAX, reader_bytes: READER_BYTES_MAX };
    let spilled = Tight { slab_bytes: SLAB_BYTES_MIN, reader_bytes: 300_000 };
    for tight in [whole, spilled] {
        assert!(sort(&records, 1, tight) == naive(&records), "{tight:?}");
    }
}

#[test]
fn a_large_bucket_can_be_given_up() {
    let folder = tempfile::tempdir().unwrap();
    let mut sorter = Sorter::new(folder.path().join("s"), 0);
    for n in 0..100_000u64 {
        sorter.push(&[7u64.to_be_bytes(), n.to_be_bytes()].concat(), Arrivals::once(n)).unwrap();
    }
    let sources = Sources::new(vec![sorter.close().unwrap()], 1);
    let stop = || Err(model::Error::unavailable("the work was stopped"));
    let stopped = sources.read(&(0..buckets::COUNT), &stop).err().unwrap();
    assert_eq!(stopped.message(), "the work was stopped");
    drop(sources);
    assert!(!folder.path().join("s").exists());
}
