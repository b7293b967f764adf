//! Looking at eight bytes at once, without instructions that only some machines have.

const LOW_BITS: u64 = splat(0x7f);
const HIGH_BIT: u64 = splat(0x80);

/// The byte, eight times.
pub const fn splat(byte: u8) -> u64 {
    0x0101_0101_0101_0101 * byte as u64
}

/// Sets the highest bit of each byte of `word` that equals the same byte of `pattern`, and no other bit.
#[inline]
pub const fn equal(word: u64, pattern: u64) -> u64 {
    let difference = word ^ pattern;
    !(((difference & LOW_BITS).wrapping_add(LOW_BITS)) | difference) & HIGH_BIT
}

/// The first byte that [`equal`] marked.
#[inline]
pub const fn first(marks: u64) -> usize {
    (marks.trailing_zeros() / 8) as usize
}

/// Eight bytes of `text` from `at` on, the first of them lowest; zeros where the text has ended.
#[inline]
pub fn word_at(text: &[u8], at: usize) -> u64 {
    let rest = &text[at..];
    match rest.first_chunk() {
        Some(word) => u64::from_le_bytes(*word),
        None => rest.iter().rev().fold(0, |word, &byte| word << 8 | u64::from(byte)),
    }
}

/// The number that eight digits are; `None` where another byte is among them.
#[inline]
pub fn parse_digits(text: [u8; 8]) -> Option<u64> {
    let digits = u64::from_le_bytes(text) ^ splat(b'0');
    // A byte above nine gets its highest bit here, or has it.
    if (digits.wrapping_add(splat(0x76)) | digits) & HIGH_BIT != 0 {
        return None;
    }
    // Neighbours become one number: twice two digits, then twice four.
    let pairs = digits.wrapping_mul(10).wrapping_add(digits >> 8) & 0x00ff_00ff_00ff_00ff;
    let fours = pairs.wrapping_mul(100).wrapping_add(pairs >> 16) & 0x0000_ffff_0000_ffff;
    Some(fours.wrapping_mul(10_000).wrapping_add(fours >> 32) & 0xffff_ffff)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exactly_the_equal_bytes_are_marked() {
        for byte in 0..=255 {
            let word = u64::from_le_bytes([0x2c, byte, 0x2d, 0x2c, 0xac, 0, 0x80, byte]);
            let marked = if byte == 0x2c { HIGH_BIT & 0xff00_0000_ff00_ffff } else { HIGH_BIT & 0xff00_00ff };
            assert_eq!(equal(word, splat(0x2c)), marked, "{byte}");
        }
    }

    #[test]
    fn eight_digits_are_a_number() {
        for text in ["00000000", "12345678", "99999999", "00000009", "90000000", "17000000"] {
            assert_eq!(parse_digits(text.as_bytes().try_into().unwrap()), Some(text.parse().unwrap()));
        }
        for at in 0..8 {
            for byte in (0..=255).filter(|byte: &u8| !byte.is_ascii_digit()) {
                for mut text in [*b"00000000", *b"99999999"] {
                    text[at] = byte;
                    assert_eq!(parse_digits(text), None, "{byte} at {at}");
                }
            }
        }
    }

    #[test]
    fn a_word_behind_the_end_is_padded() {
        assert_eq!(word_at(b"abc", 1), u64::from_le_bytes(*b"bc\0\0\0\0\0\0"));
        assert_eq!(word_at(b"abcdefghi", 1), u64::from_le_bytes(*b"bcdefghi"));
        assert_eq!(word_at(b"abc", 3), 0);
    }
}
