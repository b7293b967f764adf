//! Bytes of a text that may end something, found sixty-four at once and given one by one.

use crate::block::{self, Block};

/// Of sixty-four bytes, those ahead that may end something.
#[derive(Clone, Copy, Debug)]
pub(super) struct Marks {
    /// What can escape a quote; none in a text without quotes.
    escape: Option<u8>,
    /// Where in the text these bytes begin.
    block: usize,
    /// Commas and line ends.
    separators: u64,
    /// Quotes and escapes.
    specials: u64,
}

impl Marks {
    pub fn new(text: &[u8], escape: Option<u8>) -> Marks {
        Marks::at(text, 0, escape)
    }

    #[inline]
    fn at(text: &[u8], block: usize, escape: Option<u8>) -> Marks {
        let of = |bytes: &Block| Marks {
            escape,
            block,
            separators: block::either(bytes, b',', b'\n'),
            specials: escape.map_or(0, |escape| block::either(bytes, b'"', escape)),
        };
        match text.get(block..).and_then(|rest| rest.first_chunk()) {
            Some(bytes) => of(bytes),
            None => of(&block::padded(text, block)),
        }
    }

    /// Goes behind the next comma or line end, and says where it is.
    #[inline]
    pub fn next_separator(&mut self, text: &[u8]) -> Option<usize> {
        while self.separators == 0 {
            self.next_block(text)?;
        }
        let found = self.block + self.separators.trailing_zeros() as usize;
        self.separators &= self.separators - 1;
        Some(found)
    }

    /// Goes behind the next quote or escape, and says where it is.
    #[inline]
    pub fn next_special(&mut self, text: &[u8]) -> Option<usize> {
        while self.specials == 0 {
            self.next_block(text)?;
        }
        let found = self.block + self.specials.trailing_zeros() as usize;
        self.specials &= self.specials - 1;
        Some(found)
    }

    #[inline]
    fn next_block(&mut self, text: &[u8]) -> Option<()> {
        let block = self.block + block::SIZE;
        if block >= text.len() {
            return None;
        }
        *self = Marks::at(text, block, self.escape);
        Some(())
    }

    /// Leaves out what is before `at`, which is in this block or the next.
    #[inline]
    pub fn skip_to(&mut self, text: &[u8], at: usize) {
        if at >= self.block + block::SIZE {
            *self = Marks::at(text, self.block + block::SIZE, self.escape);
        }
        let ahead = !block::below(at - self.block);
        self.separators &= ahead;
        self.specials &= ahead;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_come_in_order_and_none_twice() {
        let text = format!("a,{}\"\n{},", "b".repeat(61), "c".repeat(62));
        let text = text.as_bytes();
        let mut marks = Marks::new(text, Some(b'\\'));
        assert_eq!(marks.next_separator(text), Some(1));
        assert_eq!(marks.next_special(text), Some(63));
        marks.skip_to(text, 64);
        assert_eq!(marks.next_separator(text), Some(64));
        assert_eq!(marks.next_separator(text), Some(127));
        assert_eq!((marks.next_separator(text), marks.next_special(text)), (None, None));
    }

    #[test]
    fn what_is_skipped_is_no_mark() {
        let text = [b','; 130];
        let mut marks = Marks::new(&text, None);
        for at in [1, 63, 64, 66, 128] {
            marks.skip_to(&text, at);
            assert_eq!(marks.next_separator(&text), Some(at));
        }
        marks.skip_to(&text, 130);
        assert_eq!(marks.next_separator(&text), None);
    }
}
