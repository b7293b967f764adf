//! The encoder: values appended as CSV text, the same bytes for the same values everywhere.

mod double;
mod long;

use memchr::memchr_iter;
use model::record::Value;

use crate::swar;

pub use double::put_double;
pub use long::put_long;

/// The room that a number's text needs at most, and what writing it spoils.
pub const NUMBER_SPACE: usize = 32;

/// Appends the first row: names, comma separated, LF.
pub fn write_header<'a>(names: impl IntoIterator<Item = &'a str>, out: &mut Vec<u8>) {
    write_row(names, out, write_string);
}

/// Appends a record: values in the order given, comma separated, LF.
pub fn write_record(values: &[Value<'_>], out: &mut Vec<u8>) {
    write_row(values, out, write_value);
}

/// Appends a value; nothing for null.
pub fn write_value(value: &Value<'_>, out: &mut Vec<u8>) {
    match value {
        Value::Null => {}
        Value::String(text) => write_string(text, out),
        Value::Long(number) => write_long(*number, out),
        Value::Double(number) => write_double(*number, out),
        Value::Boolean(truth) => write_boolean(*truth, out),
    }
}

/// Appends a text: in quotes, and its quotes doubled, when it has a comma, a double quote, CR or LF, or begins or
/// ends with a space or tab; else as it is.
#[inline]
pub fn write_string(text: &str, out: &mut Vec<u8>) {
    if needs_quotes(text.as_bytes()) {
        write_quoted(text.as_bytes(), out);
    } else {
        out.extend_from_slice(text.as_bytes());
    }
}

/// As `write_string` in the dialect that imports are documented in: within quotes, a backslash stands before a quote or
/// a backslash.
pub fn write_escaped(text: &str, out: &mut Vec<u8>) {
    if !needs_quotes(text.as_bytes()) {
        return out.extend_from_slice(text.as_bytes());
    }
    out.push(b'"');
    for byte in text.bytes() {
        if matches!(byte, b'"' | b'\\') {
            out.push(b'\\');
        }
        out.push(byte);
    }
    out.push(b'"');
}

pub fn write_long(number: i64, out: &mut Vec<u8>) {
    let mut space = [0; NUMBER_SPACE];
    let len = put_long(number, &mut space);
    out.extend_from_slice(&space[..len]);
}

/// As `put_double` writes it.
pub fn write_double(number: f64, out: &mut Vec<u8>) {
    let mut space = [0; NUMBER_SPACE];
    let len = put_double(number, &mut space);
    out.extend_from_slice(&space[..len]);
}

pub fn write_boolean(truth: bool, out: &mut Vec<u8>) {
    out.extend_from_slice(if truth { b"true" } else { b"false" });
}

/// Whether the documented import dialect reads the written text as another one: it is quoted, and a backslash stands
/// before a backslash or a quote, its own closing quote included.
pub fn needs_rfc4180(text: &str) -> bool {
    let bytes = text.as_bytes();
    let is_escape = |at: usize| matches!(bytes.get(at + 1), None | Some(b'"' | b'\\'));
    needs_quotes(bytes) && memchr_iter(b'\\', bytes).any(is_escape)
}

/// Whether no value in these bytes, which are many values one after the other, can need quotes.
///
/// Cautious: a blank anywhere counts. Sixteen bytes are looked at in one step.
pub fn is_plain(values: &[u8]) -> bool {
    let special = |b: u8| matches!(b, b',' | b'"' | b'\r' | b'\n' | b' ' | b'\t');
    values.chunks(1024).all(|chunk| !chunk.iter().fold(false, |found, &b| found | special(b)))
}

fn write_row<T>(values: impl IntoIterator<Item = T>, out: &mut Vec<u8>, write: impl Fn(T, &mut Vec<u8>)) {
    for (n, value) in values.into_iter().enumerate() {
        if n > 0 {
            out.push(b',');
        }
        write(value, out);
    }
    out.push(b'\n');
}

/// Whether `write_string` puts a text in quotes.
#[inline]
pub fn needs_quotes(text: &[u8]) -> bool {
    matches!(text, [b' ' | b'\t', ..] | [.., b' ' | b'\t']) || has_special(text)
}

// The last eight bytes overlap those before them: looking twice is cheaper than looking one by one.
#[inline]
fn has_special(text: &[u8]) -> bool {
    let (words, _) = text.as_chunks();
    match text.last_chunk() {
        Some(last) => words.iter().any(has_special_in) || has_special_in(last),
        None => text.iter().any(|byte| matches!(byte, b',' | b'"' | b'\r' | b'\n')),
    }
}

#[inline]
fn has_special_in(word: &[u8; 8]) -> bool {
    let word = u64::from_le_bytes(*word);
    let is = |byte| swar::equal(word, swar::splat(byte));
    is(b',') | is(b'"') | is(b'\r') | is(b'\n') != 0
}

#[cold]
fn write_quoted(text: &[u8], out: &mut Vec<u8>) {
    let from = out.len();
    out.resize(from + quoted_len_max(text.len()), 0);
    let len = put_quoted(text, &mut out[from..]);
    out.truncate(from + len);
}

/// The room that a text of this length needs in quotes.
pub fn quoted_len_max(len: usize) -> usize {
    2 * len + 2
}

/// Writes a text to the start of `out`, in quotes and its quotes doubled; the length of that.
pub fn put_quoted(text: &[u8], out: &mut [u8]) -> usize {
    out[0] = b'"';
    let (mut from, mut end) = (0, 1);
    for to in memchr_iter(b'"', text).map(|quote| quote + 1).chain([text.len()]) {
        let piece = &text[from..to];
        out[end..end + piece.len()].copy_from_slice(piece);
        end += piece.len();
        out[end] = b'"';
        end += 1;
        from = to;
    }
    end
}

#[cfg(test)]
mod tests;
