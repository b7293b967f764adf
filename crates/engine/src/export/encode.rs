//! Records in columns → lines of CSV, as fast as memory takes them.

use std::ops::Range;

use arrow_array::{Array, BooleanArray, Float64Array, Int64Array, StringArray};
use model::error::Result;
use store::Rows;
use store::rows::Values;

/// Encodes records and hands the bytes on, about a MiB at a time.
pub struct Encoder<'o> {
    buffer: Vec<u8>,
    rows: u64,
    out: &'o mut dyn FnMut(Vec<u8>) -> Result<()>,
}

const PIECE_BYTES: usize = 1 << 20;
/// What a piece may grow beyond its size before it is handed on; a longer line makes the buffer grow.
const SLACK_BYTES: usize = 64 << 10;
/// Looked at together for characters that need quotes: small enough for the nearest cache.
const SPAN_ROWS: usize = 2048;

impl<'o> Encoder<'o> {
    pub fn new(out: &'o mut dyn FnMut(Vec<u8>) -> Result<()>) -> Encoder<'o> {
        Encoder { buffer: Vec::new(), rows: 0, out }
    }

    /// Records encoded so far.
    pub fn rows(&self) -> u64 {
        self.rows
    }

    /// Appends the records of a span.
    ///
    /// # Errors
    /// Those of the one who takes the bytes.
    pub fn write(&mut self, rows: &Rows, range: Range<usize>) -> Result<()> {
        let mut from = range.start;
        while from < range.end {
            let span = from..range.end.min(from + SPAN_ROWS);
            from = span.end;
            let columns: Vec<Column<'_>> = rows.columns.iter().map(|c| Column::new(c, &span)).collect();
            for row in span {
                if self.buffer.len() >= PIECE_BYTES {
                    self.hand_on()?;
                }
                write_record(&columns, row, &mut self.buffer);
            }
        }
        self.rows += range.len() as u64;
        Ok(())
    }

    /// Hands on what is left; the number of records.
    pub fn end(mut self) -> Result<u64> {
        if !self.buffer.is_empty() {
            self.hand_on()?;
        }
        Ok(self.rows)
    }

    fn hand_on(&mut self) -> Result<()> {
        let piece = std::mem::replace(&mut self.buffer, Vec::with_capacity(PIECE_BYTES + SLACK_BYTES));
        (self.out)(piece)
    }
}

/// The values of one column, and what holds for all of a span.
enum Column<'a> {
    /// No value of the span needs quotes.
    Plain(&'a StringArray),
    Strings(&'a StringArray),
    Longs(&'a Int64Array),
    Doubles(&'a Float64Array),
    Booleans(&'a BooleanArray),
    Absent,
}

impl<'a> Column<'a> {
    fn new(values: &'a Values, span: &Range<usize>) -> Column<'a> {
        match values {
            Values::Strings(array) => {
                let offsets = array.value_offsets();
                let bytes = &array.value_data()[offsets[span.start] as usize..offsets[span.end] as usize];
                if csv::write::is_plain(bytes) { Column::Plain(array) } else { Column::Strings(array) }
            }
            Values::Longs(array) => Column::Longs(array),
            Values::Doubles(array) => Column::Doubles(array),
            Values::Booleans(array) => Column::Booleans(array),
            Values::Absent => Column::Absent,
        }
    }
}

#[inline]
fn write_record(columns: &[Column<'_>], row: usize, out: &mut Vec<u8>) {
    for (n, column) in columns.iter().enumerate() {
        if n > 0 {
            out.push(b',');
        }
        match column {
            Column::Plain(a) if a.is_valid(row) => out.extend_from_slice(a.value(row).as_bytes()),
            Column::Strings(a) if a.is_valid(row) => csv::write::write_string(a.value(row), out),
            Column::Longs(a) if a.is_valid(row) => csv::write::write_long(a.value(row), out),
            Column::Doubles(a) if a.is_valid(row) => csv::write::write_double(a.value(row), out),
            Column::Booleans(a) if a.is_valid(row) => csv::write::write_boolean(a.value(row), out),
            _ => {}
        }
    }
    out.push(b'\n');
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    fn rows(texts: &[Option<&str>]) -> Rows {
        let strings = Values::Strings(StringArray::from(texts.to_vec()));
        let numbers = Values::Longs((0..texts.len() as i64).collect::<Int64Array>());
        Rows {
            hashes: vec![0; texts.len()],
            columns: vec![strings, numbers, Values::Absent],
            arrivals: vec![],
        }
    }

    fn encode(rows: &Arc<Rows>, range: Range<usize>) -> String {
        let mut bytes = Vec::new();
        let mut take = |piece: Vec<u8>| {
            bytes.extend(piece);
            Ok(())
        };
        let mut encoder = Encoder::new(&mut take);
        encoder.write(rows, range).unwrap();
        encoder.end().unwrap();
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn quotes_stand_where_they_are_needed_and_nowhere_else() {
        let rows = Arc::new(rows(&[Some("a"), None, Some("b,c"), Some(" d"), Some("say \"e\"")]));
        assert_eq!(encode(&rows, 0..2), "a,0,\n,1,\n");
        assert_eq!(encode(&rows, 1..5), ",1,\n\"b,c\",2,\n\" d\",3,\n\"say \"\"e\"\"\",4,\n");
    }

    #[test]
    fn a_span_of_any_length_is_encoded_whole() {
        let texts: Vec<String> = (0..10_000).map(|n| format!("t{n}")).collect();
        let rows = Arc::new(rows(&texts.iter().map(|t| Some(t.as_str())).collect::<Vec<_>>()));
        let expected: String = (0..10_000).map(|n| format!("t{n},{n},\n")).collect();
        assert_eq!(encode(&rows, 0..10_000), expected);
    }
}
