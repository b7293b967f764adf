//! Numbers from text, exactly: only the spelling that imports take, and a short way for short numbers.

use crate::swar;

/// Why a text is no number of the type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    Spelling,
    Range,
}

/// Reads digits with at most a minus before them.
///
/// # Errors
/// `Range` when the number needs more than 64 bits.
#[inline]
pub fn parse_long(text: &str) -> Result<i64, Fault> {
    let (is_negative, digits) = split_sign(text);
    let (number, rest) = read_digits(0, digits);
    if digits.is_empty() || !rest.is_empty() {
        return Err(Fault::Spelling);
    }
    if digits.len() > LONG_DIGITS {
        return text.parse().map_err(|_| Fault::Range);
    }
    let number = number.cast_signed();
    Ok(if is_negative { -number } else { number })
}

// So many digits fit into 63 bits, whatever they are.
const LONG_DIGITS: usize = 18;

/// Reads a decimal number: digits, a point among or beside them, an exponent; only a minus may stand before them.
///
/// The nearest 64-bit number is given; one that is too small becomes zero.
///
/// # Errors
/// `Range` when only infinity is near enough.
#[inline]
pub fn parse_double(text: &str) -> Result<f64, Fault> {
    let (is_negative, body) = split_sign(text);
    let (number, rest) = read_digits(0, body);
    let whole = body.len() - rest.len();
    let (number, fraction, rest) = match rest {
        [b'.', behind @ ..] => {
            let (number, rest) = read_digits(number, behind);
            (number, behind.len() - rest.len(), rest)
        }
        _ => (number, 0, rest),
    };
    let digits = whole + fraction;
    if digits == 0 || !(rest.is_empty() || is_exponent(rest)) {
        return Err(Fault::Spelling);
    }
    // Both numbers have an exact form, so one division rounds once: this is the nearest number.
    if digits <= EXACT_DIGITS && rest.is_empty() {
        let number = number.cast_signed() as f64 / POWERS_OF_TEN[fraction];
        return Ok(if is_negative { -number } else { number });
    }
    let number: f64 = text.parse().map_err(|_| Fault::Spelling)?;
    if number.is_finite() { Ok(number) } else { Err(Fault::Range) }
}

// So many digits fit into the 53 bits of a fraction, whatever they are.
const EXACT_DIGITS: usize = 15;
const POWERS_OF_TEN: [f64; EXACT_DIGITS + 1] =
    [1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15];

#[inline]
fn split_sign(text: &str) -> (bool, &[u8]) {
    match text.as_bytes() {
        [b'-', digits @ ..] => (true, digits),
        digits => (false, digits),
    }
}

// Appends the leading digits to the number, which is right up to 19 digits, and gives what is behind them.
#[inline]
fn read_digits(mut number: u64, mut text: &[u8]) -> (u64, &[u8]) {
    while let Some((eight, rest)) = text.split_first_chunk()
        && let Some(digits) = swar::parse_digits(*eight)
    {
        number = number.wrapping_mul(100_000_000).wrapping_add(digits);
        text = rest;
    }
    while let [digit @ b'0'..=b'9', rest @ ..] = text {
        number = number.wrapping_mul(10).wrapping_add(u64::from(digit - b'0'));
        text = rest;
    }
    (number, text)
}

fn is_exponent(text: &[u8]) -> bool {
    let [b'e' | b'E', digits @ ..] = text else {
        return false;
    };
    let digits = digits.strip_prefix(b"-").or(digits.strip_prefix(b"+")).unwrap_or(digits);
    !digits.is_empty() && digits.iter().all(u8::is_ascii_digit)
}
