//! Where values and lines end in a text without quotes, found a window at a time: nothing waits for what was found last.

use crate::block::{self, Block};

/// The ends of values, one after the other.
#[derive(Debug)]
pub(super) struct Places {
    /// Counted from `base`; those of lines have `LINE` set. Only the first `count` are any.
    list: Vec<u32>,
    count: usize,
    next: usize,
    base: usize,
    /// Where the next window begins.
    window: usize,
}

const LINE: u32 = 1 << 31;
const WINDOW_BLOCKS: usize = 128;
/// So many places are written at once, as most blocks have some.
const STEP: usize = 4;

impl Places {
    pub fn new() -> Places {
        Places { list: Vec::new(), count: 0, next: 0, base: 0, window: 0 }
    }

    /// The next comma or line end, and whether it is a line's; `text` is the same every time.
    #[inline]
    pub fn next(&mut self, text: &[u8]) -> Option<(usize, bool)> {
        while self.next == self.count {
            self.fill(text)?;
        }
        let place = self.list[self.next];
        self.next += 1;
        Some((self.base + (place & !LINE) as usize, place & LINE != 0))
    }

    fn fill(&mut self, text: &[u8]) -> Option<()> {
        let rest = text.get(self.window..).filter(|rest| !rest.is_empty())?;
        self.list.resize(WINDOW_BLOCKS * block::SIZE + STEP, 0);
        (self.base, self.count, self.next) = (self.window, 0, 0);
        let (blocks, _) = rest.as_chunks();
        for (n, block) in blocks.iter().take(WINDOW_BLOCKS).enumerate() {
            self.add(n * block::SIZE, block);
        }
        if blocks.len() < WINDOW_BLOCKS {
            let at = blocks.len() * block::SIZE;
            self.add(at, &block::padded(rest, at));
        }
        self.window += WINDOW_BLOCKS * block::SIZE;
        Some(())
    }

    #[inline]
    fn add(&mut self, at: usize, block: &Block) {
        let lines = block::equal(block, b'\n');
        let mut ahead = block::either(block, b',', b'\n');
        let end = self.count + ahead.count_ones() as usize;
        while self.count < end {
            for place in &mut self.list[self.count..self.count + STEP] {
                let bit = ahead.trailing_zeros() % u64::BITS;
                *place = (at as u32 + bit) | (((lines >> bit) as u32) << 31);
                ahead &= ahead.wrapping_sub(1);
            }
            self.count += STEP;
        }
        self.count = end;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn every_end_is_found_in_order(
            pieces in prop::collection::vec("[a,\n]{0,3}", 0..12_000),
        ) {
            let text = pieces.concat();
            let text = text.as_bytes();
            let mut places = Places::new();
            let found: Vec<_> = std::iter::from_fn(|| places.next(text)).collect();
            let ends = text.iter().enumerate().filter(|(_, byte)| b",\n".contains(byte));
            prop_assert_eq!(found, ends.map(|(at, byte)| (at, *byte == b'\n')).collect::<Vec<_>>());
        }
    }
}
