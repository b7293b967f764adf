//! Records in columns → lines of CSV, as fast as memory takes them.

mod column;
mod ready;
mod slots;
mod text;

use std::ops::Range;
use std::sync::Arc;

use model::error::Result;
use store::Rows;

use super::pool::{PIECE_BYTES, Pool};
use column::{BLOCK_ROWS, Column};
use ready::Ready;
use slots::Slot;
use text::Text;

/// For each column, the slots of the records that are next.
type Gathered = Vec<[Slot<16>; BLOCK_ROWS]>;

/// Encodes records and hands the bytes on, a piece at a time.
pub struct Encoder<'o> {
    ready: Ready<'o>,
    gathered: Gathered,
    text: Text,
    rows: u64,
    pool: &'o Pool,
    out: &'o mut dyn FnMut(Vec<u8>) -> Result<()>,
}

impl<'o> Encoder<'o> {
    pub fn new(pool: &'o Pool, out: &'o mut dyn FnMut(Vec<u8>) -> Result<()>) -> Encoder<'o> {
        Encoder::of_columns(None, pool, out)
    }

    /// Of all columns only these are written, in this order.
    pub fn of_columns(
        chosen: Option<&'o [usize]>,
        pool: &'o Pool,
        out: &'o mut dyn FnMut(Vec<u8>) -> Result<()>,
    ) -> Encoder<'o> {
        let (ready, gathered) = (Ready::new(chosen), Vec::new());
        Encoder { ready, gathered, text: Text::new(pool.take()), rows: 0, pool, out }
    }

    /// Records encoded so far.
    pub fn rows(&self) -> u64 {
        self.rows
    }

    /// Appends the records of a span.
    ///
    /// # Errors
    /// Those of the one who takes the bytes.
    pub fn write(&mut self, rows: &Arc<Rows>, range: Range<usize>) -> Result<()> {
        self.rows += range.len() as u64;
        let columns = self.ready.columns(rows);
        let mut row = range.start;
        while row < range.end {
            row = put_records(columns, row..range.end, &mut self.gathered, &mut self.text);
            if self.text.len() >= PIECE_BYTES {
                hand_on(&mut self.text, self.pool, self.out)?;
            }
        }
        Ok(())
    }

    /// The line of a record, to be written later.
    pub fn line(&mut self, rows: &Arc<Rows>, row: usize) -> &[u8] {
        let columns = self.ready.columns(rows);
        let len = self.text.len();
        put_block(columns, row..row + 1, &mut self.gathered, &mut self.text);
        self.text.take_back(len)
    }

    /// Appends the line of a record.
    ///
    /// # Errors
    /// Those of the one who takes the bytes.
    pub fn write_line(&mut self, line: &[u8]) -> Result<()> {
        self.rows += 1;
        self.text.put_bytes(line);
        if self.text.len() < PIECE_BYTES { Ok(()) } else { hand_on(&mut self.text, self.pool, self.out) }
    }

    /// Hands on what is left; the number of records.
    pub fn end(self) -> Result<u64> {
        if self.text.len() > 0 {
            (self.out)(self.text.into_bytes())?;
        }
        Ok(self.rows)
    }
}

fn hand_on(text: &mut Text, pool: &Pool, out: &mut dyn FnMut(Vec<u8>) -> Result<()>) -> Result<()> {
    out(std::mem::replace(text, Text::new(pool.take())).into_bytes())
}

/// Writes records until a piece is full; the first that was not written.
fn put_records(columns: &[Column], rows: Range<usize>, gathered: &mut Gathered, text: &mut Text) -> usize {
    let mut from = rows.start;
    while from < rows.end && text.len() < PIECE_BYTES {
        let block = from..rows.end.min(from + BLOCK_ROWS);
        from = block.end;
        put_block(columns, block, gathered, text);
    }
    from
}

fn put_block(columns: &[Column], rows: Range<usize>, gathered: &mut Gathered, text: &mut Text) {
    gathered.resize(columns.len(), [Slot::default(); BLOCK_ROWS]);
    let separator_behind = |n: usize| if n + 1 == columns.len() { b'\n' } else { b',' };
    for (n, column) in columns.iter().enumerate() {
        column.gather(rows.clone(), separator_behind(n), &mut gathered[n]);
    }
    for (place, row) in rows.enumerate() {
        text.begin_record(columns.len());
        for (n, column) in columns.iter().enumerate() {
            column.put(row, &gathered[n][place], separator_behind(n), text);
        }
    }
}

#[cfg(test)]
mod tests;
