//! Digits of whole numbers, eight at a time.

/// Writes a number to the start of `out`; the length of its text. What stands behind the text is spoiled.
#[inline]
pub fn put_long(number: i64, out: &mut [u8; super::NUMBER_SPACE]) -> usize {
    let sign = usize::from(number < 0);
    out[0] = b'-';
    put_digits(number.unsigned_abs(), out, sign)
}

const EIGHT: u64 = 100_000_000;

/// Writes a number from `at` on; the end of its text.
#[inline]
pub(super) fn put_digits(number: u64, out: &mut [u8; super::NUMBER_SPACE], at: usize) -> usize {
    if number < EIGHT {
        return put_first(number, out, at);
    }
    let at = match number / EIGHT {
        high if high < EIGHT => put_first(high, out, at),
        high => {
            let at = put_first(high / EIGHT, out, at);
            put_eight(digits(high % EIGHT), out, at)
        }
    };
    put_eight(digits(number % EIGHT), out, at)
}

// Without the zeros in front, but with the last one.
#[inline]
fn put_first(number: u64, out: &mut [u8; super::NUMBER_SPACE], at: usize) -> usize {
    let digits = digits(number);
    let zeros = (digits | 1 << 56).trailing_zeros() / 8;
    put_eight(digits >> (8 * zeros), out, at) - zeros as usize
}

#[inline]
fn put_eight(digits: u64, out: &mut [u8; super::NUMBER_SPACE], at: usize) -> usize {
    out[at..at + 8].copy_from_slice(&(digits | ZEROS).to_le_bytes());
    at + 8
}

const ZEROS: u64 = u64::from_le_bytes([b'0'; 8]);

/// The eight digits of a number below 10^8, the first one in the lowest byte.
///
/// Halves are split into quarters and these into digits, all at once: multiplying and shifting divides by 100 and by 10.
#[inline]
fn digits(number: u64) -> u64 {
    let halves = (number / 10_000) | ((number % 10_000) << 32);
    let hundreds = ((halves * 10_486) >> 20) & 0x7f_0000_007f;
    let quarters = hundreds | ((halves - hundreds * 100) << 16);
    let tens = ((quarters * 103) >> 10) & 0x000f_000f_000f_000f;
    tens | ((quarters - tens * 10) << 8)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(number: i64) -> String {
        let mut space = [b'x'; crate::write::NUMBER_SPACE];
        let len = put_long(number, &mut space);
        String::from_utf8(space[..len].to_vec()).unwrap()
    }

    #[test]
    fn eight_digits_are_those_of_the_number() {
        for number in (0..10_000).chain((0..EIGHT).step_by(7919)).chain([EIGHT - 1]) {
            for number in [number, number * 10_000 % EIGHT] {
                let expected = format!("{number:08}");
                assert_eq!((digits(number) | ZEROS).to_le_bytes(), expected.as_bytes());
            }
        }
    }

    #[test]
    fn numbers_of_every_length_are_written_whole() {
        let mut number: i64 = 1;
        for _ in 0..19 {
            for number in [number - 1, number, number + 1, number * 3 / 2, 1_700_000_000] {
                assert_eq!(text(number), number.to_string());
                assert_eq!(text(-number), (-number).to_string());
            }
            number = number.saturating_mul(10);
        }
        for number in [i64::MAX, i64::MIN, i64::MIN + 1] {
            assert_eq!(text(number), number.to_string());
        }
    }
}
