//! A piece: as many records as are sorted in memory at once, small enough for the processor's cache where the data lets it.

use std::cmp::Ordering;

use model::error::Result;
use model::record::hash_of;

use super::form;
use super::spill::Extent;
use crate::Arrivals;

/// Cells of a piece have about as many records.
const CELL_RECORDS: usize = 8;
const CELLS_MAX: usize = 1 << 16;

/// Takes records in any order, in their stored form, and gives them in record order, equal ones merged.
///
/// They are dealt out to cells by the leading bits of their hashes that tell them apart. What comes then waits until its
/// turn: a cell is sorted by the hash, then the records of each id by what follows the bytes they have in common.
#[derive(Default)]
pub(super) struct Piece {
    bytes: Vec<u8>,
    /// How many of the bytes are in use, and how many of these are whole records.
    filled: usize,
    parsed: usize,
    entries: Vec<Entry>,
    spare: Vec<Entry>,
    /// Where each cell ends among the entries.
    cells: Vec<u32>,
    cell: usize,
    /// The next record; up to where cells are sorted; up to where records are in order.
    next: usize,
    sorted: usize,
    ordered: usize,
}

/// A place in the bytes, and its key: the hash, or for the records of one hash the first bytes in which they differ.
#[derive(Clone, Copy, Default)]
struct Entry {
    key: u64,
    at: u32,
}

/// What an entry takes while records are dealt out.
pub(super) const ENTRY_BYTES: usize = 2 * size_of::<Entry>();

impl Piece {
    /// What is in memory once it is sorted.
    pub fn size_bytes(&self) -> usize {
        self.filled + self.entries.len() * ENTRY_BYTES
    }

    pub fn is_empty(&self) -> bool {
        self.next == self.entries.len()
    }

    /// Forgets all records but one that has not come in whole.
    pub fn clear(&mut self) {
        self.bytes.copy_within(self.parsed..self.filled, 0);
        self.filled -= self.parsed;
        self.entries.clear();
        self.cells.clear();
        (self.parsed, self.cell, self.next, self.sorted, self.ordered) = (0, 0, 0, 0, 0);
    }

    /// Adds the bytes of an extent; it may end within a record that goes on in the next.
    pub fn add(&mut self, extent: &Extent<'_>) -> Result<()> {
        self.add_part(extent, 0, extent.size_bytes())
    }

    pub fn add_part(&mut self, extent: &Extent<'_>, from: usize, size_bytes: usize) -> Result<()> {
        let end = self.filled + size_bytes;
        if self.bytes.len() < end {
            self.bytes.resize(end, 0);
        }
        extent.read(from, &mut self.bytes[self.filled..end])?;
        self.filled = end;
        self.parse();
        Ok(())
    }

    fn parse(&mut self) {
        let bytes = &self.bytes[..self.filled];
        while let Some(place) = form::place(bytes, self.parsed) {
            // Whoever fills a piece ends it far below 4 GiB.
            self.entries.push(Entry { key: hash_of(&bytes[place.clone()]), at: self.parsed as u32 });
            self.parsed = place.end;
        }
    }

    /// Ends the input.
    pub fn sort(&mut self) -> Result<()> {
        form::ends_at(self.parsed, self.filled)?;
        self.deal();
        Ok(())
    }

    /// Ends the input for now: a record that has not come in whole waits for the next `clear`.
    pub fn deal(&mut self) {
        let (least, most) = self
            .entries
            .iter()
            .fold((u64::MAX, 0), |(least, most), entry| (entry.key.min(least), entry.key.max(most)));
        let count = (self.entries.len() / CELL_RECORDS).clamp(1, CELLS_MAX).next_power_of_two();
        let bits = u64::BITS - most.saturating_sub(least).leading_zeros();
        let shift = bits.saturating_sub(count.ilog2());
        let cell = |entry: &Entry| (entry.key - least).checked_shr(shift).unwrap_or(0) as usize;
        self.cells.clear();
        self.cells.resize(count, 0);
        for entry in &self.entries {
            self.cells[cell(entry)] += 1;
        }
        let mut start = 0;
        for place in &mut self.cells {
            start += std::mem::replace(place, start);
        }
        // Each place is where the cell's next entry goes, and ends where the cell does.
        self.spare.resize(self.entries.len(), Entry::default());
        for entry in &self.entries {
            let place = &mut self.cells[cell(entry)];
            self.spare[*place as usize] = *entry;
            *place += 1;
        }
        std::mem::swap(&mut self.entries, &mut self.spare);
    }

    /// The next record in record order, its equals merged into it.
    pub fn next_record(&mut self) -> Option<(&[u8], Arrivals)> {
        if self.next == self.ordered {
            self.order_next()?;
        }
        let first = self.entries[self.next];
        let record = self.record(&first);
        let mut arrivals = form::arrivals(&self.bytes, first.at as usize);
        let mut next = self.next + 1;
        while next < self.ordered && self.entries[next].key == first.key {
            let other = self.entries[next];
            if self.record(&other) != record {
                break;
            }
            arrivals.merge(form::arrivals(&self.bytes, other.at as usize));
            next += 1;
        }
        self.next = next;
        Some((self.record(&first), arrivals))
    }

    // Puts the records of the next hash in order.
    fn order_next(&mut self) -> Option<()> {
        if self.next == self.sorted {
            self.sort_cell()?;
        }
        let hash = self.entries[self.next].key;
        let rest = &self.entries[self.next..self.sorted];
        let count = rest.iter().position(|entry| entry.key != hash).unwrap_or(rest.len());
        self.ordered = self.next + count;
        if count > 1 {
            order(&self.bytes, &mut self.entries[self.next..self.ordered]);
        }
        Some(())
    }

    fn sort_cell(&mut self) -> Option<()> {
        while self.next == self.sorted {
            self.sorted = *self.cells.get(self.cell)? as usize;
            self.cell += 1;
        }
        self.entries[self.next..self.sorted].sort_unstable_by_key(|entry| entry.key);
        Some(())
    }

    fn record(&self, entry: &Entry) -> &[u8] {
        form::record(&self.bytes, entry.at as usize)
    }
}

// Sorts records that have much in common: by the first eight bytes in which they differ, and only then by the rest.
fn order(bytes: &[u8], entries: &mut [Entry]) {
    let first = form::record(bytes, entries[0].at as usize);
    let mut common = first.len();
    for entry in &entries[1..] {
        common = common_length(&first[..common], form::record(bytes, entry.at as usize));
    }
    for entry in entries.iter_mut() {
        entry.key = key_at(form::record(bytes, entry.at as usize), common);
    }
    let rest = |entry: &Entry| &form::record(bytes, entry.at as usize)[common..];
    entries.sort_unstable_by(|a, b| match a.key.cmp(&b.key) {
        Ordering::Equal => rest(a).cmp(rest(b)),
        order => order,
    });
}

// How many bytes two records have in common at their beginning.
fn common_length(a: &[u8], b: &[u8]) -> usize {
    let (a_words, _) = a.as_chunks::<8>();
    let (b_words, _) = b.as_chunks::<8>();
    for (n, (x, y)) in a_words.iter().zip(b_words).enumerate() {
        let differ = u64::from_le_bytes(*x) ^ u64::from_le_bytes(*y);
        if differ != 0 {
            return n * 8 + differ.trailing_zeros() as usize / 8;
        }
    }
    let from = a_words.len().min(b_words.len()) * 8;
    from + a[from..].iter().zip(&b[from..]).take_while(|(x, y)| x == y).count()
}

// Eight bytes as a number that sorts as they do; those behind the end are zero.
fn key_at(record: &[u8], at: usize) -> u64 {
    let rest = &record[at..];
    match rest.first_chunk() {
        Some(word) => u64::from_be_bytes(*word),
        None => {
            let mut word = [0; 8];
            word[..rest.len()].copy_from_slice(rest);
            u64::from_be_bytes(word)
        }
    }
}
