//! A column of texts: as codes of a dictionary while few differ, else as they are, page by page.

use model::error::Result;
use parquet::basic::Encoding;
use parquet::schema::types::ColumnDescPtr;

use super::Presence;
use crate::run::chunk::{Chunk, ChunkWriter, PAGE_BYTES, PAGE_ROWS, Packer};
use crate::run::dictionary::Dictionary;
use crate::run::pack;

pub struct Texts {
    column: ColumnDescPtr,
    presence: Presence,
    values: Values,
    /// Equal ones are neighbours: what is not the last one is new.
    is_sorted: bool,
}

enum Values {
    Coded { dictionary: Dictionary, codes: Vec<u32> },
    Plain(Plain),
}

/// The page in hand, and those that are done.
struct Plain {
    lengths: Vec<u64>,
    bytes: Vec<u8>,
    chunk: ChunkWriter,
}

/// A dictionary is in memory as a whole, and so it is when it is read.
const DICTIONARY_BYTES_MAX: usize = 2 << 20;
/// So many values tell how many different ones there will be ...
const JUDGED_FROM: usize = 4096;
const JUDGED_TO: usize = 64 * 1024;
/// ... and with more than this, a dictionary won't pay.
const DISTINCT_MAX: usize = 256 * 1024;

impl Texts {
    pub fn new(column: &ColumnDescPtr) -> Texts {
        let values = Values::Coded { dictionary: Dictionary::default(), codes: Vec::new() };
        Texts { column: column.clone(), presence: Presence::default(), values, is_sorted: false }
    }

    /// A column whose equal values follow each other.
    pub fn sorted(column: &ColumnDescPtr) -> Texts {
        Texts { is_sorted: true, ..Texts::new(column) }
    }

    /// Takes a text; returns its size.
    #[inline]
    pub fn push(&mut self, text: Option<&[u8]>) -> u64 {
        self.presence.push(text.is_some());
        let Some(text) = text else { return 0 };
        match &mut self.values {
            Values::Coded { dictionary, codes } if self.is_sorted => codes.push(match dictionary.last() {
                Some(last) if last == text => dictionary.len() as u32 - 1,
                _ => dictionary.append(text),
            }),
            Values::Coded { dictionary, codes } => dictionary.intern(text, codes),
            Values::Plain(plain) => plain.push(text),
        }
        text.len() as u64
    }

    /// Takes the last text of a sorted column once more; says whether it still knows it.
    #[inline]
    pub fn repeat(&mut self) -> bool {
        let Values::Coded { codes, .. } = &mut self.values else { return false };
        let Some(&last) = codes.last() else { return false };
        codes.push(last);
        self.presence.push(true);
        true
    }

    pub fn size_bytes(&self) -> usize {
        let values = match &self.values {
            // The table beside the texts has room for two to four times as many, of eight bytes.
            Values::Coded { dictionary, codes } => {
                codes.len() * size_of::<u32>() + dictionary.size_bytes() + 32 * dictionary.len()
            }
            Values::Plain(plain) => plain.bytes.len() + 8 * plain.lengths.len() + plain.chunk.size_bytes(),
        };
        values + self.presence.size_bytes()
    }

    /// Gives the dictionary up where it does not pay, and writes pages that are full.
    pub fn settle(&mut self, packer: &mut Packer) -> Result<()> {
        self.catch_up();
        match &mut self.values {
            Values::Coded { dictionary, codes } if seems_to_pay(dictionary, codes.len()) => Ok(()),
            Values::Coded { .. } => self.give_up(packer),
            Values::Plain(plain) if plain.is_full(&self.presence) => plain.write(&mut self.presence, packer),
            Values::Plain(_) => Ok(()),
        }
    }

    pub fn finish(mut self, packer: &mut Packer) -> Result<Chunk> {
        self.catch_up();
        if let Values::Coded { dictionary, codes } = &mut self.values {
            if !dictionary.is_clumped() && dictionary.len() * 2 <= codes.len() {
                let codes = std::mem::take(codes);
                return write_coded(&self.column, &self.presence, dictionary, codes, self.is_sorted, packer);
            }
            self.give_up(packer)?;
        }
        match self.values {
            Values::Plain(plain) => plain.finish(self.presence, packer),
            Values::Coded { .. } => ChunkWriter::new(&self.column, Encoding::PLAIN).finish(),
        }
    }

    fn catch_up(&mut self) {
        if let Values::Coded { dictionary, codes } = &mut self.values {
            dictionary.catch_up(codes);
        }
    }

    fn give_up(&mut self, packer: &mut Packer) -> Result<()> {
        let chunk = ChunkWriter::new(&self.column, Encoding::DELTA_LENGTH_BYTE_ARRAY);
        let plain = Plain { lengths: Vec::new(), bytes: Vec::new(), chunk };
        let coded = std::mem::replace(&mut self.values, Values::Plain(plain));
        let gathered = std::mem::take(&mut self.presence);
        let (Values::Coded { dictionary, codes }, Values::Plain(plain)) = (coded, &mut self.values) else {
            return Ok(());
        };
        let mut codes = codes.into_iter();
        for row in 0..gathered.rows {
            let is_present = gathered.present.get(row).is_none_or(|&is_present| is_present);
            self.presence.push(is_present);
            if let Some(code) = is_present.then(|| codes.next()).flatten() {
                plain.push(dictionary.get(code));
            }
            if plain.is_full(&self.presence) {
                plain.write(&mut self.presence, packer)?;
            }
        }
        Ok(())
    }
}

// By the paradox of birthdays: of n texts out of m, about n²/2m meet one that was there.
fn seems_to_pay(dictionary: &Dictionary, count: usize) -> bool {
    let met = count - dictionary.len();
    let is_known = !(JUDGED_FROM..=JUDGED_TO).contains(&count);
    let is_small = dictionary.size_bytes() <= DICTIONARY_BYTES_MAX && !dictionary.is_clumped();
    is_small && (is_known || count * count / 2 <= met * DISTINCT_MAX)
}

// Sorted texts compress far better; those of a sorted column have codes that compress better.
fn write_coded(
    column: &ColumnDescPtr,
    presence: &Presence,
    dictionary: &mut Dictionary,
    mut codes: Vec<u32>,
    is_sorted: bool,
    packer: &mut Packer,
) -> Result<Chunk> {
    let mut chunk = ChunkWriter::new(column, Encoding::RLE_DICTIONARY);
    if codes.is_empty() {
        // Not every reader takes an empty dictionary.
        dictionary.append(b"");
    }
    packer.values.clear();
    if is_sorted {
        dictionary.write(0..dictionary.len() as u32, &mut packer.values);
    } else {
        let order = dictionary.order();
        let mut places = vec![0; order.len()];
        for (place, &code) in (0..).zip(&order) {
            places[code as usize] = place;
        }
        codes.iter_mut().for_each(|code| *code = places[*code as usize]);
        dictionary.write(order, &mut packer.values);
    }
    chunk.dictionary(packer, dictionary.len())?;
    let width = pack::width_of((dictionary.len() as u64).saturating_sub(1)).max(1);
    for page in presence.pages() {
        packer.values.clear();
        packer.values.push(width as u8);
        pack::hybrid(&codes[page.values], width, &mut packer.values);
        chunk.page(packer, page.rows)?;
    }
    chunk.finish()
}

impl Plain {
    fn push(&mut self, text: &[u8]) {
        self.lengths.push(text.len() as u64);
        self.bytes.extend_from_slice(text);
    }

    fn is_full(&self, presence: &Presence) -> bool {
        presence.rows >= PAGE_ROWS || self.bytes.len() >= PAGE_BYTES
    }

    fn write(&mut self, presence: &mut Presence, packer: &mut Packer) -> Result<()> {
        packer.values.clear();
        pack::delta(&self.lengths, &mut packer.values);
        packer.values.extend_from_slice(&self.bytes);
        self.chunk.page(packer, presence.rows())?;
        self.lengths.clear();
        self.bytes.clear();
        *presence = Presence::default();
        Ok(())
    }

    fn finish(mut self, mut presence: Presence, packer: &mut Packer) -> Result<Chunk> {
        if presence.rows > 0 {
            self.write(&mut presence, packer)?;
        }
        self.chunk.finish()
    }
}
