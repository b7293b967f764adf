//! The distinct texts of a column, numbered.

/// Texts under codes that count from 0.
#[derive(Default)]
pub struct Dictionary {
    bytes: Vec<u8>,
    /// Where each text ends.
    ends: Vec<usize>,
    /// An open table with room for twice the texts: a power of two of them.
    slots: Vec<Slot>,
    waiting: Vec<Short>,
    guesses: Vec<Option<u32>>,
    is_clumped: bool,
}

#[derive(Clone, Copy, Default)]
struct Slot {
    /// A part of the hash, so that few other texts are looked at.
    tag: u32,
    /// One more than the code; 0 where nothing is.
    place: u32,
}

/// Beyond this nothing is searched for: only texts that someone made to collide lie so close.
const STEPS_MAX: usize = 256;
const SLOTS_MIN: usize = 64;
const WAITING_MAX: usize = 512;

impl Dictionary {
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// The size of its plain page.
    pub fn size_bytes(&self) -> usize {
        self.bytes.len() + 4 * self.ends.len()
    }

    pub fn get(&self, code: u32) -> &[u8] {
        let code = code as usize;
        let from = if code == 0 { 0 } else { self.ends[code - 1] };
        &self.bytes[from..self.ends[code]]
    }

    pub fn last(&self) -> Option<&[u8]> {
        self.len().checked_sub(1).map(|last| self.get(last as u32))
    }

    /// Adds a text without looking whether it is there.
    pub fn append(&mut self, text: &[u8]) -> u32 {
        self.add(|bytes| bytes.extend_from_slice(text))
    }

    /// Appends the code of a text, which is added unless it is there, to `codes`: at once or, at the latest, in `catch_up`.
    #[inline]
    pub fn intern(&mut self, text: &[u8], codes: &mut Vec<u32>) {
        if let Some(short) = Short::of(text) {
            self.waiting.push(short);
            if self.waiting.len() == WAITING_MAX {
                self.catch_up(codes);
            }
        } else {
            self.catch_up(codes);
            let code = self.find(hash(text), |other| other == text, |bytes| bytes.extend_from_slice(text));
            codes.push(code);
        }
    }

    /// Appends the codes of the texts that wait. Each look-up waits for memory; many side by side wait once.
    pub fn catch_up(&mut self, codes: &mut Vec<u32>) {
        let mut waiting = std::mem::take(&mut self.waiting);
        let mut guesses = std::mem::take(&mut self.guesses);
        guesses.extend(waiting.iter().map(|short| self.guess(short.hash())));
        for (short, guess) in waiting.drain(..).zip(guesses.drain(..)) {
            let is_same = |other: &[u8]| other.len() == short.length && Short::of(other) == Some(short);
            codes.push(match guess {
                Some(code) if is_same(self.get(code)) => code,
                _ => self.find(short.hash(), is_same, |bytes| short.write(bytes)),
            });
        }
        (self.waiting, self.guesses) = (waiting, guesses);
    }

    // What lies at the first place where a text can be, unless it is another text.
    #[inline]
    fn guess(&self, hash: u64) -> Option<u32> {
        let slot = self.slots.get(hash as usize & self.slots.len().wrapping_sub(1))?;
        if slot.tag == (hash >> 32) as u32 { slot.place.checked_sub(1) } else { None }
    }

    #[inline]
    fn find(&mut self, hash: u64, is_same: impl Fn(&[u8]) -> bool, write: impl Fn(&mut Vec<u8>)) -> u32 {
        if self.len() * 2 >= self.slots.len() {
            self.grow();
        }
        let tag = (hash >> 32) as u32;
        let mask = self.slots.len() - 1;
        let mut at = hash as usize & mask;
        for _ in 0..STEPS_MAX {
            let slot = self.slots[at];
            if slot.place != 0 && slot.tag == tag && is_same(self.get(slot.place - 1)) {
                return slot.place - 1;
            }
            if slot.place == 0 {
                self.slots[at] = Slot { tag, place: self.len() as u32 + 1 };
                return self.add(write);
            }
            at = (at + 1) & mask;
        }
        self.is_clumped = true;
        self.add(write)
    }

    fn add(&mut self, write: impl Fn(&mut Vec<u8>)) -> u32 {
        write(&mut self.bytes);
        self.ends.push(self.bytes.len());
        self.ends.len() as u32 - 1
    }

    /// Whether texts collided so much that some may be there twice.
    pub fn is_clumped(&self) -> bool {
        self.is_clumped
    }

    #[cold]
    fn grow(&mut self) {
        let count = (self.slots.len() * 2).max(SLOTS_MIN);
        let mask = count - 1;
        let mut slots = vec![Slot::default(); count];
        for code in 0..self.len() as u32 {
            let text = self.get(code);
            let hash = Short::of(text).map_or_else(|| hash(text), Short::hash);
            let mut places = (0..STEPS_MAX).map(|n| (hash as usize).wrapping_add(n) & mask);
            match places.find(|&at| slots[at].place == 0) {
                Some(at) => slots[at] = Slot { tag: (hash >> 32) as u32, place: code + 1 },
                None => self.is_clumped = true,
            }
        }
        self.slots = slots;
    }

    /// The codes in the order of their texts.
    pub fn order(&self) -> Vec<u32> {
        let codes = 0..self.len() as u32;
        let shared = self.shared_prefix();
        // Eight bytes behind what all have in common tell nearly all texts apart.
        let key = |code| {
            let rest = &self.get(code)[shared..];
            let mut key = [0; 8];
            let count = rest.len().min(8);
            key[..count].copy_from_slice(&rest[..count]);
            (u64::from_be_bytes(key), code)
        };
        let mut keys: Vec<(u64, u32)> = codes.map(key).collect();
        keys.sort_unstable_by(|a, b| a.0.cmp(&b.0).then_with(|| self.get(a.1).cmp(self.get(b.1))));
        keys.into_iter().map(|(_, code)| code).collect()
    }

    fn shared_prefix(&self) -> usize {
        if self.len() == 0 {
            return 0;
        }
        let first = self.get(0);
        (1..self.len() as u32).fold(first.len(), |shared, code| {
            let text = self.get(code);
            first[..shared].iter().zip(text).take_while(|(a, b)| a == b).count()
        })
    }

    /// Appends the texts of some codes as a plain page has them.
    pub fn write(&self, codes: impl IntoIterator<Item = u32>, out: &mut Vec<u8>) {
        for code in codes {
            let text = self.get(code);
            out.extend_from_slice(&(text.len() as u32).to_le_bytes());
            out.extend_from_slice(text);
        }
    }
}

const FACTORS: [u64; 3] = [0x9e37_79b9_7f4a_7c15, 0xd1b5_4a32_d192_ed03, 0xa076_1d64_78bd_642f];

#[inline]
fn hash(text: &[u8]) -> u64 {
    let blocks = text.chunks(SHORT_BYTES).filter_map(Short::of);
    blocks.fold(0, |state, block| mix(state ^ FACTORS[2], block.hash()))
}

const SHORT_BYTES: usize = 16;

/// A text of at most sixteen bytes.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Short {
    /// The first eight bytes, filled up with zeros, and those behind.
    words: [u64; 2],
    length: usize,
}

impl Short {
    #[inline]
    fn of(text: &[u8]) -> Option<Short> {
        let length = text.len();
        let words = if let (Some(first), Some(last)) = (text.first_chunk(), text.last_chunk()) {
            if length > SHORT_BYTES {
                return None;
            }
            let behind = u64::from_le_bytes(*last).checked_shr(8 * (SHORT_BYTES - length) as u32);
            [u64::from_le_bytes(*first), behind.unwrap_or(0)]
        } else if let (Some(first), Some(last)) = (text.first_chunk(), text.last_chunk()) {
            let (first, last) = (u32::from_le_bytes(*first), u32::from_le_bytes(*last));
            [u64::from(first) | u64::from(last) << (8 * (length - 4)), 0]
        } else {
            [text.iter().rev().fold(0, |word, &byte| word << 8 | u64::from(byte)), 0]
        };
        Some(Short { words, length })
    }

    #[inline]
    fn hash(self) -> u64 {
        let [low, high] = self.words;
        mix(mix(low ^ FACTORS[0], high ^ FACTORS[1]) ^ self.length as u64, FACTORS[2])
    }

    fn write(self, out: &mut Vec<u8>) {
        let mut bytes = [0; SHORT_BYTES];
        bytes[..8].copy_from_slice(&self.words[0].to_le_bytes());
        bytes[8..].copy_from_slice(&self.words[1].to_le_bytes());
        out.extend_from_slice(&bytes[..self.length]);
    }
}

#[inline]
fn mix(a: u64, b: u64) -> u64 {
    let product = u128::from(a) * u128::from(b);
    product as u64 ^ (product >> 64) as u64
}
