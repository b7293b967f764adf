//! The writing half of the canonical form: the hash of the id, then one value after the other, in record order.

use super::{SIGN, Value, hash_id};

/// Appends what a record begins with; its id, the first of its values, comes next.
#[inline]
pub fn begin_record(id: &Value<'_>, out: &mut Vec<u8>) {
    let hash = match id {
        Value::String(id) => hash_id(id),
        _ => 0,
    };
    out.extend_from_slice(&hash.to_be_bytes());
}

/// Appends the next value. Empty strings are null, -0.0 is 0.0.
#[inline]
pub fn encode_value(value: &Value<'_>, out: &mut Vec<u8>) {
    match value {
        Value::Null => out.push(0),
        Value::String(text) => encode_string(text.as_bytes(), out),
        Value::Long(number) => encode_word(number.cast_unsigned() ^ SIGN, out),
        Value::Double(number) => encode_word(sortable(*number), out),
        Value::Boolean(truth) => out.extend_from_slice(&[1, u8::from(*truth)]),
    }
}

// As one piece of a fixed size: one look at the room that is left, one store of sixteen bytes.
#[inline]
fn encode_word(word: u64, out: &mut Vec<u8>) {
    let end = out.len() + 9;
    let marked = u128::from(word) << 56 | 1 << 120;
    out.extend_from_slice(&marked.to_be_bytes());
    out.truncate(end);
}

#[inline]
fn encode_string(text: &[u8], out: &mut Vec<u8>) {
    match short(text) {
        // The zeros behind a short text are its end.
        Some(word) => {
            let end = out.len() + 1 + text.len() + 2;
            out.extend_from_slice(&(word << 8 | 1).to_le_bytes());
            out.truncate(end);
        }
        None => encode_long_string(text, out),
    }
}

fn encode_long_string(mut text: &[u8], out: &mut Vec<u8>) {
    if text.is_empty() {
        return out.push(0);
    }
    out.push(1);
    // `contains` looks at many bytes at once, `position` at one.
    while text.contains(&0)
        && let Some(zero) = text.iter().position(|&b| b == 0)
    {
        out.extend_from_slice(&text[..zero]);
        out.extend_from_slice(&[0, 0xff]);
        text = &text[zero + 1..];
    }
    out.extend_from_slice(text);
    out.extend_from_slice(&[0, 0]);
}

// Texts of 4 to 13 bytes without a zero, the first byte lowest: two loads that overlap read them whole.
#[inline]
fn short(text: &[u8]) -> Option<u128> {
    let (first, last, width) = match text.len() {
        8..=13 => (u64::from_le_bytes(*text.first_chunk()?), u64::from_le_bytes(*text.last_chunk()?), 8),
        4..=7 => (
            u32::from_le_bytes(*text.first_chunk()?).into(),
            u32::from_le_bytes(*text.last_chunk()?).into(),
            4,
        ),
        _ => return None,
    };
    // In a word of four bytes, the other four are not the text's.
    let others = if width == 4 { u64::MAX << 32 } else { 0 };
    if has_zero(first | others) || has_zero(last | others) {
        return None;
    }
    Some(u128::from(first) | u128::from(last) << (8 * (text.len() - width)))
}

fn has_zero(word: u64) -> bool {
    const LOW: u64 = u64::from_ne_bytes([0x01; 8]);
    const HIGH: u64 = u64::from_ne_bytes([0x80; 8]);
    word.wrapping_sub(LOW) & !word & HIGH != 0
}

// Negative numbers have all bits flipped, others only the sign, so that bytes sort as numbers do.
#[inline]
fn sortable(number: f64) -> u64 {
    let bits = if number == 0.0 { 0 } else { number.to_bits() };
    if bits & SIGN == 0 { bits ^ SIGN } else { !bits }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The form of a string, byte by byte.
    fn plainly(text: &str) -> Vec<u8> {
        let escaped = text.bytes().flat_map(|byte| if byte == 0 { vec![0, 0xff] } else { vec![byte] });
        std::iter::once(1).chain(escaped).chain([0, 0]).collect()
    }

    #[test]
    fn strings_of_all_lengths_are_written_alike() {
        for len in 1..40 {
            let text: String = ('a'..='z').cycle().take(len).collect();
            let mut texts = vec![text.clone()];
            texts.extend((0..len).map(|at| format!("{}\0{}", &text[..at], &text[at + 1..])));
            for text in texts {
                let mut out = b"before".to_vec();
                encode_value(&Value::String(text.as_str().into()), &mut out);
                assert_eq!(out, [b"before".to_vec(), plainly(&text)].concat(), "{text:?}");
            }
        }
    }

    #[test]
    fn numbers_are_a_mark_and_eight_bytes() {
        let encoded = |value| {
            let mut out = vec![7];
            encode_value(&value, &mut out);
            out
        };
        assert_eq!(encoded(Value::Long(0x0102)), [7, 1, 0x80, 0, 0, 0, 0, 0, 1, 2]);
        assert_eq!(encoded(Value::Long(-1)), [7, 1, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff]);
        assert_eq!(encoded(Value::Double(1.0)), [7, 1, 0xbf, 0xf0, 0, 0, 0, 0, 0, 0]);
        assert_eq!(encoded(Value::String("".into())), encoded(Value::Null));
    }
}
