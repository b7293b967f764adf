//! A column of numbers of 64 bits: as codes of a dictionary where few differ, else as packed differences or as they are.

use model::error::Result;
use model::record::Value;
use parquet::basic::Encoding;
use parquet::schema::types::ColumnDescPtr;

use super::Presence;
use crate::rows::csv_size;
use crate::run::chunk::{Chunk, ChunkWriter, Packer};
use crate::run::pack;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Whole,
    Fraction,
}

pub struct Numbers {
    column: ColumnDescPtr,
    kind: Kind,
    /// The first number, and how often it came before any other; from then on all are in `values`.
    same: (u64, usize),
    values: Vec<u64>,
    presence: Presence,
}

impl Numbers {
    pub fn new(kind: Kind, column: &ColumnDescPtr) -> Numbers {
        let presence = Presence::default();
        Numbers { column: column.clone(), kind, same: (0, 0), values: Vec::new(), presence }
    }

    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// Takes a whole number; returns the size it has as CSV.
    #[inline]
    pub fn push_whole(&mut self, number: Option<i64>) -> u64 {
        match number {
            Some(number) => {
                self.push(number.cast_unsigned());
                csv_size(&Value::Long(number))
            }
            None => self.push_null(),
        }
    }

    /// Takes a fraction; returns the size it has as CSV.
    #[inline]
    pub fn push_fraction(&mut self, number: Option<f64>) -> u64 {
        match number {
            Some(number) => {
                self.push(number.to_bits());
                csv_size(&Value::Double(number))
            }
            None => self.push_null(),
        }
    }

    fn push_null(&mut self) -> u64 {
        self.presence.push(false);
        0
    }

    #[inline]
    pub fn push(&mut self, bits: u64) {
        self.presence.push(true);
        if !self.values.is_empty() {
            self.values.push(bits);
        } else if self.same.1 == 0 || self.same.0 == bits {
            self.same = (bits, self.same.1 + 1);
        } else {
            self.values.resize(self.same.1, self.same.0);
            self.values.push(bits);
        }
    }

    pub fn size_bytes(&self) -> usize {
        self.values.len() * size_of::<u64>() + self.presence.size_bytes()
    }

    pub fn finish(self, packer: &mut Packer) -> Result<Chunk> {
        if self.values.is_empty() && self.same.1 > 0 {
            self.write_same(packer)
        } else {
            match distinct(&self.values, self.distinct_max()) {
                Some((numbers, codes)) if !codes.is_empty() => self.write_coded(packer, &numbers, &codes),
                _ => self.write_plain(packer),
            }
        }
    }

    fn write_same(&self, packer: &mut Packer) -> Result<Chunk> {
        let mut chunk = ChunkWriter::new(&self.column, Encoding::RLE_DICTIONARY);
        dictionary(&mut chunk, packer, &[self.same.0])?;
        for page in self.presence.pages() {
            packer.values.clear();
            packer.values.push(1);
            pack::run(0u32, page.values.len(), 1, &mut packer.values);
            chunk.page(packer, page.rows)?;
        }
        chunk.finish()
    }

    fn write_coded(&self, packer: &mut Packer, numbers: &[u64], codes: &[u32]) -> Result<Chunk> {
        let width = pack::width_of(numbers.len() as u64 - 1).max(1);
        let mut chunk = ChunkWriter::new(&self.column, Encoding::RLE_DICTIONARY);
        dictionary(&mut chunk, packer, numbers)?;
        for page in self.presence.pages() {
            packer.values.clear();
            packer.values.push(width as u8);
            pack::hybrid(&codes[page.values], width, &mut packer.values);
            chunk.page(packer, page.rows)?;
        }
        chunk.finish()
    }

    fn write_plain(&self, packer: &mut Packer) -> Result<Chunk> {
        let encoding = match self.kind {
            Kind::Whole => Encoding::DELTA_BINARY_PACKED,
            Kind::Fraction => Encoding::PLAIN,
        };
        let mut chunk = ChunkWriter::new(&self.column, encoding);
        for page in self.presence.pages() {
            packer.values.clear();
            let values = &self.values[page.values];
            match self.kind {
                Kind::Whole => pack::delta(values, &mut packer.values),
                Kind::Fraction => plain(values, &mut packer.values),
            }
            chunk.page(packer, page.rows)?;
        }
        chunk.finish()
    }

    // As many numbers as a dictionary may have for its codes to be smaller than the numbers themselves.
    fn distinct_max(&self) -> usize {
        let count = self.values.len() as u64;
        let bits = match self.kind {
            Kind::Whole => {
                let least = self.values.iter().map(|bits| bits.cast_signed()).min().unwrap_or(0);
                let range = |bits: &u64| bits.wrapping_sub(least.cast_unsigned());
                u64::from(pack::width_of(self.values.iter().map(range).max().unwrap_or(0))) + 1
            }
            Kind::Fraction => FRACTION_BITS,
        };
        let pays = |width: u32| {
            let codes = u64::from(width) * count;
            // A full dictionary of this width.
            codes + (ENTRY_BITS << width) <= bits * count
        };
        let width = (0..32).take_while(|&width| pays(width)).last();
        width.map_or(0, |width| 1 << width)
    }
}

/// What a fraction shrinks to when it is compressed.
const FRACTION_BITS: u64 = 48;
/// What an entry of a dictionary shrinks to.
const ENTRY_BITS: u64 = 40;

fn dictionary(chunk: &mut ChunkWriter, packer: &mut Packer, numbers: &[u64]) -> Result<()> {
    packer.values.clear();
    plain(numbers, &mut packer.values);
    chunk.dictionary(packer, numbers.len())
}

fn plain(numbers: &[u64], out: &mut Vec<u8>) {
    numbers.iter().for_each(|number| out.extend_from_slice(&number.to_le_bytes()));
}

/// The distinct numbers, sorted, and for each number its place there; `None` when there are more than `max`.
fn distinct(values: &[u64], max: usize) -> Option<(Vec<u64>, Vec<u32>)> {
    let mut table = Table::new();
    let mut codes = Vec::with_capacity(values.len());
    for sample in values.chunks(SAMPLE) {
        for &number in sample {
            codes.push(table.intern(number)?);
        }
        if table.numbers.len() > max || (codes.len() == SAMPLE && seem_more(table.numbers.len(), max)) {
            return None;
        }
    }
    let mut order: Vec<u32> = (0..table.numbers.len() as u32).collect();
    order.sort_unstable_by_key(|&code| table.numbers[code as usize]);
    let mut places = vec![0; order.len()];
    for (place, &code) in (0..).zip(&order) {
        places[code as usize] = place;
    }
    codes.iter_mut().for_each(|code| *code = places[*code as usize]);
    Some((order.into_iter().map(|code| table.numbers[code as usize]).collect(), codes))
}

/// After this many values it is judged how many different ones there will be.
const SAMPLE: usize = 4096;

// By the paradox of birthdays: of n numbers out of m, about n²/2m meet one that was there. Half of that is doubt enough;
// fewer than a sample are simply counted.
fn seem_more(distinct: usize, max: usize) -> bool {
    max > SAMPLE && SAMPLE * SAMPLE / 4 > (SAMPLE - distinct) * max
}

/// Numbers under codes that count from 0, in an open table with room for twice as many.
struct Table {
    numbers: Vec<u64>,
    /// A number, and one more than its code; 0 where nothing is.
    slots: Vec<(u64, u32)>,
}

/// Beyond this nothing is searched for: only numbers that someone made to collide lie so close.
const STEPS_MAX: usize = 256;

impl Table {
    fn new() -> Table {
        Table { numbers: Vec::new(), slots: vec![(0, 0); 64] }
    }

    /// The code of a number, which is added unless it is there; `None` when there is no place for it.
    #[inline]
    fn intern(&mut self, number: u64) -> Option<u32> {
        if self.numbers.len() * 2 >= self.slots.len() {
            self.grow()?;
        }
        let at = self.find(number)?;
        let (_, place) = &mut self.slots[at];
        if *place == 0 {
            self.numbers.push(number);
            self.slots[at] = (number, self.numbers.len() as u32);
        }
        Some(self.slots[at].1 - 1)
    }

    #[inline]
    fn find(&self, number: u64) -> Option<usize> {
        let mask = self.slots.len() - 1;
        let product = u128::from(number ^ 0x9e37_79b9_7f4a_7c15) * 0xd1b5_4a32_d192_ed03;
        let hash = (product as u64 ^ (product >> 64) as u64) as usize;
        let mut places = (0..STEPS_MAX).map(|n| hash.wrapping_add(n) & mask);
        places.find(|&at| self.slots[at].1 == 0 || self.slots[at].0 == number)
    }

    #[cold]
    fn grow(&mut self) -> Option<()> {
        self.slots = vec![(0, 0); self.slots.len() * 2];
        for n in 0..self.numbers.len() {
            let at = self.find(self.numbers[n])?;
            self.slots[at] = (self.numbers[n], n as u32 + 1);
        }
        Some(())
    }
}
