//! Two multisets of records side by side: both sorted in bounded memory, then gone through once.

use std::cmp::Ordering;
use std::path::{Path, PathBuf};

use model::Layout;
use model::error::Result;
use model::record::hash_id;
use store::{Arrivals, Sorted, Sorter};

use super::rows::{Rows, Source};

/// What each sort may take.
const MEMORY_BYTES: usize = 64 << 20;
/// In front of each record, as records that are sorted have it.
const HASH_BYTES: usize = 8;

/// Sorts records by their lines; equal ones become one, with their number.
pub struct Sort {
    sorter: Sorter,
    entry: Vec<u8>,
}

impl Sort {
    /// `scratch` is a folder of its own, which is removed again.
    pub fn new(scratch: PathBuf) -> Sort {
        Sort { sorter: Sorter::new(scratch, MEMORY_BYTES), entry: Vec::new() }
    }

    pub fn push(&mut self, line: &[u8]) -> Result<()> {
        self.entry.clear();
        self.entry.extend_from_slice(&hash_id(&String::from_utf8_lossy(line)).to_be_bytes());
        self.entry.extend_from_slice(line);
        self.sorter.push(&self.entry, Arrivals::once(0))
    }

    pub fn finish(self) -> Result<Sorted> {
        self.sorter.finish()
    }
}

/// Sorts the records of files.
pub fn sorted(layout: &Layout, sources: Vec<Source>, scratch: &Path, name: &str) -> Result<Sorted> {
    let mut sort = Sort::new(scratch.join(name));
    let mut rows = Rows::new(layout, sources);
    let mut line = Vec::new();
    while rows.next(&mut |values| {
        line.clear();
        csv::write::write_record(values, &mut line);
        sort.push(&line)
    })? {}
    sort.finish()
}

/// A record of at least one of two sides, and how often each has it.
pub struct Pair<'a> {
    pub line: &'a [u8],
    pub left: u64,
    pub right: u64,
}

/// Goes through all records of two sides in their order.
pub fn each(
    left: &mut Sorted,
    right: &mut Sorted,
    mut see: impl FnMut(Pair<'_>) -> Result<()>,
) -> Result<()> {
    let (mut a, mut b) = (next(left)?, next(right)?);
    loop {
        let order = match (&a, &b) {
            (None, None) => return Ok(()),
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            (Some((a, _)), Some((b, _))) => a.cmp(b),
        };
        let copies = |entry: &Entry| entry.as_ref().map_or(0, |(_, copies)| *copies);
        let entry = if order.is_le() { &a } else { &b };
        if let Some((entry, _)) = entry {
            let left = if order.is_le() { copies(&a) } else { 0 };
            let right = if order.is_ge() { copies(&b) } else { 0 };
            see(Pair { line: &entry[HASH_BYTES..], left, right })?;
        }
        if order.is_le() {
            a = next(left)?;
        }
        if order.is_ge() {
            b = next(right)?;
        }
    }
}

type Entry = Option<(Vec<u8>, u64)>;

fn next(sorted: &mut Sorted) -> Result<Entry> {
    Ok(sorted.next_record()?.map(|(entry, arrivals)| (entry.to_vec(), arrivals.copies)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_record_is_told_with_its_numbers_on_both_sides() {
        let folder = tempfile::tempdir().unwrap();
        let sort = |name: &str, lines: &[&str]| {
            let mut sort = Sort::new(folder.path().join(name));
            lines.iter().for_each(|line| sort.push(line.as_bytes()).unwrap());
            sort.finish().unwrap()
        };
        let (mut left, mut right) =
            (sort("l", &["a\n", "b\n", "b\n", "c\n"]), sort("r", &["b\n", "d\n", "c\n"]));
        let mut seen = Vec::new();
        each(&mut left, &mut right, |pair| {
            seen.push((String::from_utf8_lossy(pair.line).into_owned(), pair.left, pair.right));
            Ok(())
        })
        .unwrap();
        seen.sort();
        let wanted = [("a\n", 1, 0), ("b\n", 2, 1), ("c\n", 1, 1), ("d\n", 0, 1)];
        assert_eq!(seen, wanted.map(|(line, left, right)| (line.to_owned(), left, right)));
    }
}
