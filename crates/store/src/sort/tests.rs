use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;

fn drain(mut sorted: Sorted) -> Vec<(Vec<u8>, Arrivals)> {
    let mut all = Vec::new();
    while let Some((record, arrivals)) = sorted.next_record().unwrap() {
        all.push((record.to_vec(), arrivals));
    }
    all
}

fn naive(records: &[Vec<u8>]) -> Vec<(Vec<u8>, Arrivals)> {
    let mut map: BTreeMap<Vec<u8>, Arrivals> = BTreeMap::new();
    for (n, record) in (0u64..).zip(records) {
        map.entry(record.clone()).and_modify(|a| a.merge(Arrivals::once(n))).or_insert(Arrivals::once(n));
    }
    map.into_iter().collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]
    #[test]
    fn records_come_back_sorted_and_merged(
        records in prop::collection::vec(prop::collection::vec(0u8..3, 8..12), 0..200),
        arena in 1usize..2000,
    ) {
        let folder = tempfile::tempdir().unwrap();
        let mut sorter = Sorter::new(&folder.path().join("s"), 0);
        sorter.arena_bytes = arena;
        for (n, record) in (0u64..).zip(&records) {
            sorter.push(record, Arrivals::once(n)).unwrap();
        }
        prop_assert_eq!(drain(sorter.finish().unwrap()), naive(&records));
        prop_assert!(!folder.path().join("s").exists());
    }
}

#[test]
fn more_spills_than_are_merged_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let mut sorter = Sorter::new(&folder.path().join("s"), 0);
    sorter.arena_bytes = 1;
    let records: Vec<Vec<u8>> = (0..300u64).map(|n| (n * 7 % 100).to_be_bytes().to_vec()).collect();
    for (n, record) in (0u64..).zip(&records) {
        sorter.push(record, Arrivals::once(n)).unwrap();
    }
    assert!(sorter.spills.len() <= FAN_IN + 1);
    assert_eq!(drain(sorter.finish().unwrap()), naive(&records));
}

#[test]
fn a_team_gives_what_one_sorter_gives() {
    let records: Vec<Vec<u8>> = (0..3000u64)
        .map(|n| {
            [(n * 7 % 1000).wrapping_mul(0x1234_5678_9abc_def1).to_be_bytes(), (n % 3).to_be_bytes()].concat()
        })
        .collect();
    let folder = tempfile::tempdir().unwrap();
    for (count, arena) in [(1, 1 << 20), (2, 1 << 20), (2, 5000), (3, 700)] {
        let scratch = folder.path().join("s");
        let mut team = Sorter::team(&scratch, 0, count);
        team.iter_mut().for_each(|sorter| sorter.arena_bytes = arena);
        for (n, record) in (0u64..).zip(&records) {
            team[n as usize % count].push(record, Arrivals::once(n)).unwrap();
        }
        let closed = team.into_iter().map(|sorter| sorter.close().unwrap()).collect();
        let sources = Sources::new(closed);
        let ranges = sources.ranges(50, 1 << 20);
        assert!(ranges.len() > 50);
        let read = ranges.iter().flat_map(|range| drain(sources.read(range).unwrap()));
        assert_eq!(read.collect::<Vec<_>>(), naive(&records), "{count} {arena}");
        drop(sources);
        assert!(!scratch.exists());
    }
}
