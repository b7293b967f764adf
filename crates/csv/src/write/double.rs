//! Decimal text for 64-bit numbers: the shortest that gives the number back, always with a point.

use super::NUMBER_SPACE;
use super::long::put_digits;

/// Writes a finite number to the start of `out`, such as `15.0`, `0.75` or `1.5e-7`; minus zero is `0.0`. Gives the
/// length of its text; what stands behind it is spoiled.
///
/// The exponent form is for numbers below 1e-5 and from 1e16 only.
#[inline]
pub fn put_double(number: f64, out: &mut [u8; NUMBER_SPACE]) -> usize {
    match in_hundredths(number) {
        Some(hundredths) => put_hundredths(hundredths, out),
        None => put_any(number, out),
    }
}

// No two decimal numbers of 15 digits are the same double. So when so few hundredths give the number, no other text
// that is as short does.
const HUNDREDTHS_MAX: u64 = 1_000_000_000_000_000;

// Prices, ratings and whole numbers go this way, which takes a third of the time.
fn in_hundredths(number: f64) -> Option<i64> {
    let nearest = (number * 100.0 + 0.5f64.copysign(number)) as i64;
    let is_exact = nearest as f64 / 100.0 == number && nearest.unsigned_abs() < HUNDREDTHS_MAX;
    is_exact.then_some(nearest)
}

#[inline]
fn put_hundredths(hundredths: i64, out: &mut [u8; NUMBER_SPACE]) -> usize {
    let sign = usize::from(hundredths < 0);
    out[0] = b'-';
    let (whole, part) = (hundredths.unsigned_abs() / 100, (hundredths.unsigned_abs() % 100) as u8);
    let end = put_digits(whole, out, sign);
    out[end..end + 3].copy_from_slice(&[b'.', b'0' + part / 10, b'0' + part % 10]);
    end + 2 + usize::from(part % 10 != 0)
}

// Ryu leaves the point out of an exponent form with one digit.
#[cold]
fn put_any(number: f64, out: &mut [u8; NUMBER_SPACE]) -> usize {
    let mut buffer = ryu::Buffer::new();
    let text = buffer.format(number);
    let pieces = match text.split_once('e') {
        Some((digits, exponent)) if !digits.contains('.') => [digits, ".0e", exponent],
        _ => [text, "", ""],
    };
    let mut end = 0;
    for piece in pieces {
        out[end..end + piece.len()].copy_from_slice(piece.as_bytes());
        end += piece.len();
    }
    end
}
