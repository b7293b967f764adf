//! Text that grows in space that is already there: short values are copies of fixed length, which cost next to nothing.

use csv::write::{needs_quotes, put_double, put_long, put_quoted, quoted_len_max};

/// The room that a short value takes; longer ones make their own.
pub const VALUE_SPACE: usize = 64;

/// Text in the making.
pub struct Text {
    space: Vec<u8>,
    len: usize,
    /// The room that is kept behind a long value, for those that follow it.
    record_space: usize,
}

impl Text {
    pub fn new(space: Vec<u8>) -> Text {
        Text { space, len: 0, record_space: 0 }
    }

    pub fn len(&self) -> usize {
        self.len
    }

    /// Makes room for the short values of a record.
    #[inline]
    pub fn begin_record(&mut self, columns: usize) {
        self.record_space = (columns + 1) * VALUE_SPACE;
        self.reserve(0);
    }

    #[inline]
    pub fn put_byte(&mut self, byte: u8) {
        self.space[self.len] = byte;
        self.len += 1;
    }

    /// The first `len` bytes of a slot.
    #[inline]
    pub fn put_slot<const N: usize>(&mut self, slot: &[u8; N], len: usize) {
        *self.window() = *slot;
        self.len += len;
    }

    #[inline]
    pub fn put_long(&mut self, number: i64) {
        self.len += put_long(number, self.window());
    }

    #[inline]
    pub fn put_double(&mut self, number: f64) {
        self.len += put_double(number, self.window());
    }

    /// Text as it is: `bytes[from..to]`.
    #[inline]
    pub fn put_part(&mut self, bytes: &[u8], from: usize, to: usize) {
        match bytes[from..].first_chunk::<32>() {
            Some(slot) if to - from <= 32 => self.put_slot(slot, to - from),
            _ => self.put_bytes(&bytes[from..to]),
        }
    }

    pub fn put_bytes(&mut self, bytes: &[u8]) {
        self.reserve(bytes.len());
        self.space[self.len..][..bytes.len()].copy_from_slice(bytes);
        self.len += bytes.len();
    }

    /// Text in quotes where it needs them.
    #[inline]
    pub fn put_string(&mut self, bytes: &[u8], from: usize, to: usize) {
        if needs_quotes(&bytes[from..to]) {
            self.put_quoted(&bytes[from..to]);
        } else {
            self.put_part(bytes, from, to);
        }
    }

    /// What was written behind `len`, taken back.
    pub fn take_back(&mut self, len: usize) -> &[u8] {
        let end = std::mem::replace(&mut self.len, len);
        &self.space[len..end]
    }

    pub fn into_bytes(mut self) -> Vec<u8> {
        self.space.truncate(self.len);
        self.space
    }

    #[cold]
    fn put_quoted(&mut self, bytes: &[u8]) {
        self.reserve(quoted_len_max(bytes.len()));
        self.len += put_quoted(bytes, &mut self.space[self.len..]);
    }

    #[inline]
    fn window<const N: usize>(&mut self) -> &mut [u8; N] {
        let window = &mut self.space[self.len..self.len + N];
        window.first_chunk_mut().expect("a slice of that length")
    }

    #[inline]
    fn reserve(&mut self, more: usize) {
        if self.space.len() - self.len < more + self.record_space {
            self.grow(more);
        }
    }

    #[cold]
    fn grow(&mut self, more: usize) {
        self.space.resize((self.len + more + self.record_space).next_power_of_two(), 0);
    }
}
