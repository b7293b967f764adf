//! The encoder: values appended as CSV text, the same bytes for the same values everywhere.

mod double;

use memchr::memchr_iter;
use model::record::Value;

use crate::swar;

pub use double::write_double;

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

pub fn write_long(number: i64, out: &mut Vec<u8>) {
    out.extend_from_slice(itoa::Buffer::new().format(number).as_bytes());
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

#[inline]
fn needs_quotes(text: &[u8]) -> bool {
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
    out.push(b'"');
    let mut from = 0;
    for quote in memchr_iter(b'"', text) {
        out.extend_from_slice(&text[from..=quote]);
        from = quote;
    }
    out.extend_from_slice(&text[from..]);
    out.push(b'"');
}

#[cfg(test)]
mod tests;
