//! Looking at sixty-four bytes at once: which of them equal a byte, as the bits of a word.

/// Sixty-four bytes of a text.
pub type Block = [u8; SIZE];
pub const SIZE: usize = 64;

/// Sets a bit for each byte of the block that is `byte`, the lowest for the first.
#[inline]
pub fn equal(block: &Block, byte: u8) -> u64 {
    either(block, byte, byte)
}

/// Sets a bit for each byte of the block that is one of two.
// Written so that compilers make it a few instructions on sixteen bytes each: compare, pick the bit, add eight bytes up.
#[inline]
pub fn either(block: &Block, byte: u8, other: u8) -> u64 {
    let bit_of = |n: usize| if block[n] == byte || block[n] == other { 1 << (n % 8) } else { 0 };
    let bits: Block = std::array::from_fn(bit_of);
    let (eights, _) = bits.as_chunks::<8>();
    let sums = std::array::from_fn(|n| eights[n].iter().fold(0, |sum: u8, bit| sum.wrapping_add(*bit)));
    u64::from_le_bytes(sums)
}

/// The block at `at`, with zeros behind the text's end.
#[inline]
pub fn padded(text: &[u8], at: usize) -> Block {
    let mut block = [0; SIZE];
    let rest = text.get(at..).unwrap_or_default();
    let len = rest.len().min(SIZE);
    block[..len].copy_from_slice(&rest[..len]);
    block
}

/// The lowest `n` bits; `n` may be 64.
#[inline]
pub fn below(n: usize) -> u64 {
    if n < SIZE { (1 << n) - 1 } else { u64::MAX }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn each_equal_byte_has_its_bit(
            bytes in prop::collection::vec(prop_oneof![any::<u8>(), Just(b','), Just(b'"')], SIZE..=SIZE),
            byte in prop_oneof![any::<u8>(), Just(b',')],
            other in prop_oneof![any::<u8>(), Just(b'"')],
        ) {
            let block: Block = bytes.clone().try_into().unwrap();
            let expected = (0..SIZE).filter(|&n| bytes[n] == byte || bytes[n] == other).fold(0, |m, n| m | 1 << n);
            prop_assert_eq!(either(&block, byte, other), expected);
            prop_assert_eq!(equal(&block, byte), either(&block, byte, byte));
        }
    }

    #[test]
    fn a_block_behind_the_end_is_padded() {
        let text = [b'a'; 100];
        assert_eq!(padded(&text, 0), [b'a'; SIZE]);
        assert_eq!(padded(&text, 64)[35..37], *b"a\0");
        assert_eq!(padded(&text, 200), [0; SIZE]);
    }
}
