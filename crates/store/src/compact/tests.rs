use model::record::{Codec, Value};
use model::{DatasetType, Schema};
use proptest::prelude::*;

use super::*;
use crate::{Arrivals, Sorter};

#[test]
fn four_runs_of_one_size_are_worth_merging() {
    assert_eq!(pick(&[10; 3]), None);
    assert_eq!(pick(&[10; 4]), Some((0..4).collect()));
}

#[test]
fn a_large_run_is_not_rewritten_for_small_ones() {
    let mut sizes = vec![1 << 30];
    sizes.extend([1 << 20; 4]);
    assert_eq!(pick(&sizes), Some((1..5).collect()));
}

#[test]
fn a_merge_takes_all_smaller_runs_along() {
    assert_eq!(
        pick(&[1 << 20, 1 << 20, 10, 1 << 14, 1 << 30, 1 << 20, 1 << 20]),
        Some(vec![0, 1, 2, 3, 5, 6])
    );
}

/// A run of the simulation: its size, and how often the most rewritten of its records was written again.
#[derive(Clone, Copy, Debug)]
struct Simulated {
    csv_bytes: u64,
    rewrites: u32,
}

/// Merges what is worth it until nothing is.
fn settle(runs: &mut Vec<Simulated>) {
    while let Some(chosen) = pick(&runs.iter().map(|run| run.csv_bytes).collect::<Vec<_>>()) {
        assert!(chosen.len() >= 2);
        let merged = Simulated {
            csv_bytes: chosen.iter().map(|&n| runs[n].csv_bytes).sum(),
            rewrites: chosen.iter().map(|&n| runs[n].rewrites).max().unwrap_or(0) + 1,
        };
        let mut at = 0..;
        runs.retain(|_| !chosen.contains(&at.next().unwrap()));
        runs.push(merged);
    }
}

/// How many tiers runs of up to this size lie in.
fn tiers(bytes: u64) -> u32 {
    tier(bytes) + 1
}

fn sizes() -> impl Strategy<Value = Vec<u64>> {
    let equal = (SMALL_BYTES..1 << 26, 1usize..600).prop_map(|(size, count)| vec![size; count]);
    let alike =
        (SMALL_BYTES..1 << 26).prop_flat_map(|size| prop::collection::vec(size..size + size / 4, 1..600));
    let mixed =
        prop::collection::vec((14u32..34, 0u64..1 << 12).prop_map(|(log, more)| (1 << log) + more), 1..400);
    prop_oneof![equal, alike, mixed]
}

proptest! {
    #[test]
    fn runs_and_rewrites_grow_with_the_logarithm_of_the_data(sizes in sizes(), in_between in 1usize..40) {
        let (mut runs, mut total) = (Vec::new(), 0);
        for flushed in sizes.chunks(in_between) {
            // Compaction may come late: many runs have gathered before it has its turn.
            runs.extend(flushed.iter().map(|&csv_bytes| Simulated { csv_bytes, rewrites: 0 }));
            total += flushed.iter().sum::<u64>();
            settle(&mut runs);
            prop_assert!(runs.len() < TIER_RUNS * tiers(total) as usize, "{} runs of {total}", runs.len());
            prop_assert_eq!(runs.iter().map(|run| run.csv_bytes).sum::<u64>(), total);
        }
        prop_assert!(runs.iter().all(|run| run.rewrites <= tiers(total)));
    }

    #[test]
    fn tiny_runs_are_few_and_cost_less_than_their_files(size in 16u64..SMALL_BYTES, count in 1usize..3000) {
        let mut runs = Vec::new();
        for _ in 0..count {
            runs.push(Simulated { csv_bytes: size, rewrites: 0 });
            settle(&mut runs);
        }
        let total = size * count as u64;
        prop_assert!(runs.len() < TIER_RUNS * tiers(total) as usize);
        let below = u32::try_from(SMALL_BYTES / (3 * size)).unwrap() + 1;
        prop_assert!(runs.iter().all(|run| run.rewrites <= tiers(total) + below), "{runs:?}");
    }

    #[test]
    fn runs_are_few_again_after_records_were_deleted(sizes in sizes(), left in prop::collection::vec(0u64..100, 1..20)) {
        let mut runs = Vec::new();
        for (n, &csv_bytes) in sizes.iter().enumerate() {
            runs.push(Simulated { csv_bytes, rewrites: 0 });
            settle(&mut runs);
            if n % 50 == 49 {
                // A data deletion job replaces each run by what is left of it.
                for (run, left) in runs.iter_mut().zip(left.iter().cycle()) {
                    run.csv_bytes = run.csv_bytes * left / 100;
                }
                runs.retain(|run| run.csv_bytes > 0);
                settle(&mut runs);
            }
            let total = runs.iter().map(|run| run.csv_bytes).sum();
            prop_assert!(runs.len() < TIER_RUNS * tiers(total) as usize);
        }
    }
}

fn layout(columns: usize) -> Layout {
    let more: String =
        (1..columns).map(|n| format!(r#",{{"name":"F{n}","type":["null","long"]}}"#)).collect();
    let schema = format!(
        r#"{{"type":"record","name":"Items","fields":[{{"name":"ITEM_ID","type":"string"}}{more}]}}"#
    );
    Layout::new(DatasetType::Items, &Schema::parse(&schema, None).unwrap())
}

/// A run of (id, value), numbered from `first` on.
fn write(objects: &Objects, name: &str, items: &[(u8, i64)], first: u64) -> Input {
    let layout = layout(2);
    let codec = Codec::new(&layout);
    let mut sorter = Sorter::new(std::path::Path::new("/nonexistent"), 64 << 20);
    for (n, (id, value)) in (first..).zip(items) {
        let (id, mut bytes) = (format!("i{id}"), Vec::new());
        codec.encode(&[Value::String(id.as_str().into()), Value::Long(*value)], &mut bytes);
        sorter.push(&bytes, Arrivals::once(n)).unwrap();
    }
    let mut writer = RunWriter::create(objects, name, &layout).unwrap();
    let mut sorted = sorter.finish().unwrap();
    while let Some((record, arrivals)) = sorted.next_record().unwrap() {
        writer.push_record(record, arrivals).unwrap();
    }
    Input { object: name.to_owned(), sequence_base: 0, size_bytes: writer.finish().unwrap().size_bytes }
}

fn read(objects: &Objects, name: &str) -> Vec<(String, Arrivals)> {
    let mut records = Vec::new();
    for rows in RunReader::open(objects, name, &layout(2), 0).unwrap() {
        let rows = rows.unwrap();
        for row in 0..rows.len() {
            let values: Vec<_> = rows.columns.iter().map(|column| column.get(row)).collect();
            records.push((format!("{values:?}"), rows.arrivals(row)));
        }
    }
    records
}

#[test]
fn a_merge_in_steps_gives_what_one_merge_gives_and_leaves_no_step_behind() {
    let folder = tempfile::tempdir().unwrap();
    let objects = Objects::open(folder.path()).unwrap();
    let inputs: Vec<Input> = (0..11u64)
        .map(|n| {
            let items: Vec<(u8, i64)> = (0..=n).map(|m| ((m % 5) as u8, (m % 3).cast_signed())).collect();
            write(&objects, &format!("r{n}"), &items, 100 * n)
        })
        .collect();
    let compacted = |object: &str, fan_in: usize| {
        let file = compact(&objects, object, &layout(2), inputs.clone(), fan_in, &|| Ok(())).unwrap();
        (read(&objects, object), file.rows, file.records, file.csv_bytes)
    };
    let at_once = compacted("one.parquet", 64);
    assert_eq!(at_once.2, (1..=11).sum::<u64>());
    for fan_in in [2, 3, 4, 10] {
        assert_eq!(compacted(&format!("by-{fan_in}.parquet"), fan_in), at_once, "{fan_in} at once");
    }
    assert!(objects.names().unwrap().iter().all(|name| !name.contains("step")));
}

#[test]
fn a_compaction_that_is_told_to_stop_leaves_no_object() {
    let folder = tempfile::tempdir().unwrap();
    let objects = Objects::open(folder.path()).unwrap();
    let items: Vec<(u8, i64)> = (0..20_000).map(|n| (0, n)).collect();
    let inputs = vec![write(&objects, "a", &items, 0), write(&objects, "b", &[], 0)];
    let stop = || Err(model::Error::unavailable("stopped"));
    compact(&objects, "c.parquet", &layout(2), inputs, 8, &stop).unwrap_err();
    assert_eq!(objects.names().unwrap().len(), 2);
}

#[test]
fn a_wide_schema_is_merged_in_steps() {
    assert!(fan_in(&layout(5), 256 << 20) >= 16);
    assert_eq!(fan_in(&layout(100), 256 << 20), 4);
    assert_eq!(fan_in(&layout(100), 1 << 20), 2);
}
