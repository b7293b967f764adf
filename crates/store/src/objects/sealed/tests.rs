//! What a sealed object promises: its content, and nothing else, at any place of it.

use std::sync::Arc;

use model::ErrorKind;
use model::clock::SystemClock;
use proptest::prelude::*;

use super::*;
use crate::Objects;
use crate::disk::simulated::SimulatedDisk;

const KEY: [u8; 32] = [7; 32];

fn keys(key: [u8; 32]) -> DataKeys {
    DataKeys::sealing(SealingKey::new(key), Arc::new(SystemClock))
}

fn objects(disk: &SimulatedDisk) -> Objects {
    Objects::open_on(Arc::new(disk.clone())).unwrap().with_keys(keys(KEY))
}

fn text(size: usize) -> Vec<u8> {
    (0..size as u64).map(|n| (n.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 56) as u8).collect()
}

fn write(objects: &Objects, name: &str, text: &[u8], step: usize) {
    let mut writer = objects.create(name).unwrap();
    text.chunks(step).for_each(|piece| writer.write_all(piece).unwrap());
    writer.finish().unwrap();
}

fn stored(disk: &SimulatedDisk, name: &str) -> Vec<u8> {
    disk.files().into_iter().find(|(file, _)| file == name).unwrap().1
}

/// Everything in the object, or why it can't be read.
fn content(objects: &Objects, name: &str) -> Result<Vec<u8>, String> {
    let object = objects.open_object(name).map_err(|cause| cause.chain())?;
    let mut bytes = vec![0; object.size().unwrap() as usize];
    object.read_exact_at(&mut bytes, 0).map_err(|cause| cause.to_string())?;
    Ok(bytes)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_range_reads_as_of_a_plain_object(
        size in prop_oneof![0usize..100, 65_000usize..66_000, 131_000usize..131_200, 0usize..700_000],
        step in 1usize..200_000,
        reads in prop::collection::vec((0u64..800_000, 0usize..300_000), 1..20),
    ) {
        let (disk, text) = (SimulatedDisk::default(), text(size));
        write(&objects(&disk), "a", &text, step);
        let object = objects(&disk).open_object("a").unwrap();
        prop_assert_eq!(object.size().unwrap(), size as u64);
        for (from, length) in reads {
            let mut out = vec![0; length];
            let here = &text[text.len().min(from as usize)..];
            let expected = &here[..here.len().min(length)];
            let outcome = object.read_exact_at(&mut out[..expected.len()], from);
            prop_assert!(outcome.is_ok() && out[..expected.len()] == *expected);
            if length > expected.len() {
                prop_assert!(object.read_exact_at(&mut out, from).is_err());
            }
        }
    }
}

#[test]
fn nothing_of_the_content_is_in_the_file() {
    let disk = SimulatedDisk::default();
    write(&objects(&disk), "a", b"canary".repeat(100).as_slice(), 1000);
    assert!(!stored(&disk, "a").windows(3).any(|found| found == b"can"));
}

#[test]
fn what_was_changed_or_cut_off_is_refused() {
    let disk = SimulatedDisk::default();
    write(&objects(&disk), "a", &text(100_000), 1000);
    let whole = stored(&disk, "a");
    let outcome = |bytes: &[u8]| content(&objects(&SimulatedDisk::with(&[("a", bytes)])), "a");
    assert_eq!(outcome(&whole).unwrap(), text(100_000));
    for place in [16, 24, 40, 5000, 40 + SEALED_BYTES - 1, 40 + SEALED_BYTES, whole.len() - 1] {
        let mut changed = whole.clone();
        changed[place] ^= 1;
        assert!(outcome(&changed).is_err(), "byte {place}");
    }
    for length in [40, 41, 57, 5000, 40 + SEALED_BYTES, 40 + SEALED_BYTES + 16, whole.len() - 1] {
        assert!(outcome(&whole[..length]).is_err(), "length {length}");
    }
}

#[test]
fn chunks_and_objects_can_not_change_places() {
    let disk = SimulatedDisk::default();
    write(&objects(&disk), "a", &text(4 * CHUNK_BYTES), 1000);
    write(&objects(&disk), "b", &text(4 * CHUNK_BYTES), 1000);
    let (a, b) = (stored(&disk, "a"), stored(&disk, "b"));
    let chunk = |n: usize| HEADER + n * SEALED_BYTES..HEADER + (n + 1) * SEALED_BYTES;
    let mut swapped = a.clone();
    swapped[chunk(0)].copy_from_slice(&a[chunk(1)]);
    swapped[chunk(1)].copy_from_slice(&a[chunk(0)]);
    let mut mixed = a.clone();
    mixed[chunk(2)].copy_from_slice(&b[chunk(2)]);
    for (name, bytes) in [("swapped", &swapped), ("mixed", &mixed), ("a whole object", &b)] {
        assert!(content(&objects(&SimulatedDisk::with(&[("a", bytes)])), "a").is_err(), "{name}");
    }
}

#[test]
fn an_object_under_another_key_is_refused_by_name() {
    let disk = SimulatedDisk::default();
    write(&objects(&disk), "a", b"text", 10);
    let other = objects(&disk).with_keys(keys([8; 32]));
    let error = other.open_object("a").err().unwrap();
    assert_eq!(error.kind, ErrorKind::Corrupt);
    assert!(error.chain().contains("run a") && error.chain().contains("another key"));
    let both = DataKeys::opening(SealingKey::new([8; 32])).and_opening(SealingKey::new(KEY));
    assert_eq!(content(&other.with_keys(both), "a").unwrap(), b"text");
}

#[test]
fn plain_and_sealed_objects_lie_side_by_side() {
    let disk = SimulatedDisk::default();
    let (sealing, plain) = (objects(&disk), Objects::open_on(Arc::new(disk.clone())).unwrap());
    write(&plain, "plain", &text(1000), 100);
    write(&sealing, "sealed", &text(1000), 100);
    let opening = plain.with_keys(DataKeys::opening(SealingKey::new(KEY)));
    write(&opening, "plain again", &text(1000), 100);
    assert_eq!((stored(&disk, "plain"), stored(&disk, "plain again")), (text(1000), text(1000)));
    for name in ["plain", "sealed", "plain again"] {
        assert_eq!(content(&sealing, name).unwrap(), text(1000));
        assert_eq!(content(&opening, name).unwrap(), text(1000));
    }
    assert!(content(&plain, "sealed").is_err());
}

#[test]
fn a_name_that_is_taken_twice_has_two_keys() {
    let (one, two) = (SimulatedDisk::default(), SimulatedDisk::default());
    for disk in [&one, &two] {
        write(&objects(disk), "a", b"text", 10);
    }
    assert_ne!(stored(&one, "a")[HEADER..], stored(&two, "a")[HEADER..]);
}
