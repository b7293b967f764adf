//! Parquet's encodings of numbers: bit-packed, run-length coded and bit-packed by turns, and packed differences.

/// Appends values of `width` bits each, the lowest bits first.
pub fn pack<T: Copy + Into<u64>>(values: &[T], width: u32, out: &mut Vec<u8>) {
    if width == 0 {
        return;
    }
    out.reserve((values.len() * width as usize).div_ceil(8) + 8);
    let (mut word, mut filled) = (0u64, 0u32);
    for &value in values {
        let value = value.into();
        word |= value << filled;
        filled += width;
        if filled >= 64 {
            out.extend_from_slice(&word.to_le_bytes());
            filled -= 64;
            word = if filled == 0 { 0 } else { value >> (width - filled) };
        }
    }
    out.extend_from_slice(&word.to_le_bytes()[..filled.div_ceil(8) as usize]);
}

/// The bits that the largest of the values needs.
pub fn width_of(largest: u64) -> u32 {
    u64::BITS - largest.leading_zeros()
}

/// Values that repeat are told apart from others by this many in a row.
const RUN: usize = 8;

/// Appends values of at most `width` bits as RLE runs and bit-packed groups of eight.
///
/// Source: Parquet, "Run Length Encoding / Bit-Packing Hybrid".
pub fn hybrid<T: Copy + Into<u64> + PartialEq>(values: &[T], width: u32, out: &mut Vec<u8>) {
    let (mut at, mut literals) = (0, 0);
    while at < values.len() {
        let same = repeats(&values[at..]);
        if same >= RUN {
            pack_groups(&values[literals..at], width, out);
            run(values[at], same, width, out);
            at += same;
            literals = at;
        } else {
            at = (at + RUN).min(values.len());
        }
    }
    pack_groups(&values[literals..], width, out);
}

/// Appends one value, repeated.
pub fn run<T: Into<u64>>(value: T, count: usize, width: u32, out: &mut Vec<u8>) {
    varint((count as u64) << 1, out);
    out.extend_from_slice(&value.into().to_le_bytes()[..width.div_ceil(8) as usize]);
}

fn repeats<T: Copy + PartialEq>(values: &[T]) -> usize {
    values.iter().position(|value| *value != values[0]).unwrap_or(values.len())
}

// The last group is filled up with zeros.
fn pack_groups<T: Copy + Into<u64>>(values: &[T], width: u32, out: &mut Vec<u8>) {
    if values.is_empty() {
        return;
    }
    let groups = values.len().div_ceil(RUN);
    varint((groups as u64) << 1 | 1, out);
    let end = out.len() + groups * width as usize;
    pack(values, width, out);
    out.resize(end, 0);
}

const BLOCK: usize = 128;
const MINIBLOCK: usize = 32;

/// Appends values as packed differences.
///
/// Source: Parquet, "Delta Encoding" (`DELTA_BINARY_PACKED`).
pub fn delta(values: &[u64], out: &mut Vec<u8>) {
    let first = values.first().copied().unwrap_or(0);
    for number in [BLOCK as u64, (BLOCK / MINIBLOCK) as u64, values.len() as u64, zigzag(first.cast_signed())]
    {
        varint(number, out);
    }
    let mut deltas = [0u64; BLOCK];
    let mut from = 0;
    while from + 1 < values.len() {
        let count = BLOCK.min(values.len() - 1 - from);
        let pairs = values[from..from + count].iter().zip(&values[from + 1..]);
        for (delta, (before, value)) in deltas.iter_mut().zip(pairs) {
            *delta = value.wrapping_sub(*before);
        }
        block(&mut deltas[..count], out);
        from += count;
    }
}

fn block(deltas: &mut [u64], out: &mut Vec<u8>) {
    let least = deltas.iter().map(|delta| delta.cast_signed()).min().unwrap_or(0);
    varint(zigzag(least), out);
    deltas.iter_mut().for_each(|delta| *delta = delta.wrapping_sub(least.cast_unsigned()));
    let widths = out.len();
    out.resize(widths + BLOCK / MINIBLOCK, 0);
    for (n, miniblock) in deltas.chunks(MINIBLOCK).enumerate() {
        let width = width_of(miniblock.iter().fold(0, |all, delta| all | delta));
        out[widths + n] = width as u8;
        let end = out.len() + width as usize * MINIBLOCK / 8;
        pack(miniblock, width, out);
        out.resize(end, 0);
    }
}

fn zigzag(number: i64) -> u64 {
    ((number << 1) ^ (number >> 63)).cast_unsigned()
}

fn varint(mut number: u64, out: &mut Vec<u8>) {
    while number >= 0x80 {
        out.push(number as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}
