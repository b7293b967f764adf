//! Whatever happens to the bytes of a run, it is read as it was written, or not at all, and the refusal names it.
//!
//! A sample of the damage; all of it with `LADE_DAMAGE=all`.

use super::*;
use crate::disk::simulated::SimulatedDisk;

/// A run of several kinds of columns and pages: its bytes, and what it holds.
fn whole() -> (Vec<u8>, Vec<(Vec<u8>, Arrivals)>) {
    let row = |n: usize| {
        let name = if n.is_multiple_of(5) { Value::Null } else { text(format!("name {}", n % 7)) };
        let price = Value::Double(n as f64 / 8.0);
        vec![text(format!("i{}", n / 3)), name, price, Value::Long((n * n) as i64), Value::Boolean(n > 9)]
    };
    let records = sorted(&(0..400).map(row).collect::<Vec<_>>());
    let disk = SimulatedDisk::default();
    let objects = Objects::open_on(Arc::new(disk.clone())).unwrap();
    let mut run = RunWriter::create(&objects, "run", &layout()).unwrap();
    for (n, (record, arrivals)) in records.iter().enumerate() {
        run.push_record(record, *arrivals).unwrap();
        if n == 250 {
            let group = run.groups.finish().unwrap().unwrap();
            run.append(group).unwrap();
        }
    }
    run.finish().unwrap();
    (disk.bytes("run"), records)
}

fn read_bytes(bytes: &[u8]) -> Result<Vec<(Vec<u8>, Arrivals)>> {
    read_object(&Objects::open_on(Arc::new(SimulatedDisk::with(&[("run", bytes)])))?)
}

fn assert_refused(bytes: &[u8], about: &str) {
    let refused = read_bytes(bytes).err().unwrap_or_else(|| panic!("{about}: it is read"));
    assert!(refused.message().contains("run run "), "{about}: {}", refused.message());
}

/// One of so many, or all.
fn stride(sample: usize) -> usize {
    if std::env::var("LADE_DAMAGE").is_ok_and(|how| how == "all") { 1 } else { sample }
}

#[test]
fn a_whole_run_is_read() {
    let (bytes, records) = whole();
    assert_eq!(read_bytes(&bytes).unwrap(), records);
}

#[test]
fn no_flipped_bit_goes_unseen() {
    let (bytes, records) = whole();
    for bit in (0..bytes.len() * 8).step_by(stride(23)) {
        let mut flipped = bytes.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        // The first four bytes say that this is Parquet; we know.
        match bit / 8 {
            0..4 => assert_eq!(read_bytes(&flipped).unwrap(), records),
            _ => assert_refused(&flipped, &format!("bit {bit}")),
        }
    }
}

#[test]
fn no_missing_end_goes_unseen() {
    let (bytes, _) = whole();
    for len in (0..bytes.len()).step_by(stride(5)) {
        assert_refused(&bytes[..len], &format!("{len} bytes are left"));
        let mut zeros = bytes.clone();
        if bytes[len..].iter().any(|b| *b != 0) {
            zeros[len..].fill(0);
            assert_refused(&zeros, &format!("zeros from {len}"));
        }
    }
}

#[test]
fn a_page_in_the_place_of_another_is_refused() {
    let (bytes, _) = whole();
    let half = bytes.len() / 2;
    for at in (4..half).step_by(stride(11)) {
        let mut moved = bytes.clone();
        moved.copy_within(at..at + 64, half);
        if moved != bytes {
            assert_refused(&moved, &format!("64 bytes of {at} at {half}"));
        }
    }
}

#[test]
fn a_run_under_the_name_of_another_is_refused() {
    let (bytes, _) = whole();
    let objects = Objects::open_on(Arc::new(SimulatedDisk::with(&[("other", &bytes)]))).unwrap();
    let refused = RunReader::open(&objects, "other", &layout(), 0).err().unwrap();
    assert_eq!(refused.message(), "run other is damaged at its end");
}
