//! Where a unit's chosen records go: filtered and encoded; or, where what is left out is asked for, the others.

use std::ops::{Add, Range};
use std::sync::Arc;

use model::error::Result;
use serde::{Deserialize, Serialize};
use store::Rows;
use store::merge::Mark;

use super::encode::Encoder;
use super::filter::{Fate, Filter};
use super::line::{LeftOut, LineWriter, Rule};
use super::member::Member;
use super::pool::{PIECE_BYTES, Pool};

/// Takes the bytes of a unit, a piece at a time.
pub type Out<'o> = &'o mut dyn FnMut(Vec<u8>) -> Result<()>;

/// How records become bytes.
pub enum Output<'o> {
    /// Whole columns at once, as CSV.
    Columns(Encoder<'o>),
    /// Value by value.
    Lines(Lines<'o>),
}

/// Lines in the making.
pub struct Lines<'o> {
    writer: &'o LineWriter,
    text: Vec<u8>,
    /// A line that is written later.
    later: Vec<u8>,
    rows: u64,
    pool: &'o Pool,
    out: Out<'o>,
}

/// How many records were left out, by rule.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Left {
    pub exact_duplicates: u64,
    pub superseded: u64,
    pub filtered: u64,
}

impl Add for Left {
    type Output = Left;

    fn add(self, other: Left) -> Left {
        Left {
            exact_duplicates: self.exact_duplicates + other.exact_duplicates,
            superseded: self.superseded + other.superseded,
            filtered: self.filtered + other.filtered,
        }
    }
}

pub struct Sink<'o> {
    output: Output<'o>,
    filter: &'o Filter,
    /// Whether what is left out is written, in place of what is not.
    takes_losers: bool,
    pub left: Left,
    /// Those of the filtered ones that were there before.
    pub earlier: u64,
}

impl<'o> Sink<'o> {
    pub fn new(output: Output<'o>, filter: &'o Filter, takes_losers: bool) -> Sink<'o> {
        Sink { output, filter, takes_losers, left: Left::default(), earlier: 0 }
    }

    /// Takes chosen records that are next to each other in one batch.
    #[inline]
    pub fn keep_span(&mut self, rows: &Arc<Rows>, range: Range<usize>, mark: Mark) -> Result<()> {
        match &mut self.output {
            Output::Columns(encoder) if self.filter.is_empty() => encoder.write(rows, range),
            _ => self.keep_each(rows, range, mark),
        }
    }

    fn keep_each(&mut self, rows: &Arc<Rows>, mut range: Range<usize>, mark: Mark) -> Result<()> {
        if self.takes_losers {
            return range.try_for_each(|row| self.keep(&Member::of_span(rows, row, mark)));
        }
        let mut from = range.start;
        for row in range.clone() {
            if !self.passes(rows, row, || mark.past(rows.arrivals(row))) {
                self.write_span(rows, from..row, mark)?;
                from = row + 1;
            }
        }
        self.write_span(rows, from..range.end, mark)
    }

    /// Takes a chosen record.
    pub fn keep(&mut self, member: &Member) -> Result<()> {
        if !self.takes_losers {
            return if self.passes_member(member) { self.write(member) } else { Ok(()) };
        }
        self.lose_duplicates(member)?;
        if self.passes_member(member) { Ok(()) } else { self.lose(member, Rule::Filtered, 1) }
    }

    /// Takes a record that a newer one of its id replaces.
    pub fn supersede(&mut self, member: &Member) -> Result<()> {
        if !self.takes_losers {
            return Ok(());
        }
        self.lose_duplicates(member)?;
        self.lose(member, Rule::Superseded, 1)
    }

    /// The line of a record, to be written later; `None` where it is filtered.
    pub fn line(&mut self, member: &Member) -> Option<&[u8]> {
        if !self.passes_member(member) {
            return None;
        }
        Some(match &mut self.output {
            Output::Columns(encoder) => encoder.line(&member.rows, member.row),
            Output::Lines(lines) => lines.line(member),
        })
    }

    /// Writes the line of a record.
    pub fn write_line(&mut self, line: &[u8]) -> Result<()> {
        match &mut self.output {
            Output::Columns(encoder) => encoder.write_line(line),
            Output::Lines(lines) => lines.write_line(line),
        }
    }

    /// Hands on what is left; the number of lines.
    pub fn end(self) -> Result<u64> {
        match self.output {
            Output::Columns(encoder) => encoder.end(),
            Output::Lines(lines) => lines.end(),
        }
    }

    fn passes_member(&mut self, member: &Member) -> bool {
        self.filter.is_empty() || self.passes(&member.rows, member.row, || member.past)
    }

    fn passes(&mut self, rows: &Rows, row: usize, past: impl FnOnce() -> store::merge::Past) -> bool {
        let fate = self.filter.fate(rows, row, past);
        self.left.filtered += u64::from(fate != Fate::Written);
        self.earlier += u64::from(fate == Fate::Earlier);
        fate == Fate::Written
    }

    fn write_span(&mut self, rows: &Arc<Rows>, mut range: Range<usize>, mark: Mark) -> Result<()> {
        match &mut self.output {
            Output::Columns(encoder) => encoder.write(rows, range),
            Output::Lines(lines) => {
                range.try_for_each(|row| lines.write(&Member::of_span(rows, row, mark), None))
            }
        }
    }

    fn write(&mut self, member: &Member) -> Result<()> {
        match &mut self.output {
            Output::Columns(encoder) => encoder.write(&member.rows, member.row..member.row + 1),
            Output::Lines(lines) => lines.write(member, None),
        }
    }

    fn lose_duplicates(&mut self, member: &Member) -> Result<()> {
        match member.arrivals.copies.saturating_sub(1) {
            0 => Ok(()),
            copies => self.lose(member, Rule::ExactDuplicate, copies),
        }
    }

    // That a chosen record is filtered was counted when it was looked at.
    fn lose(&mut self, member: &Member, rule: Rule, copies: u64) -> Result<()> {
        match rule {
            Rule::ExactDuplicate => self.left.exact_duplicates += copies,
            Rule::Superseded => self.left.superseded += copies,
            Rule::Filtered => {}
        }
        match &mut self.output {
            Output::Columns(_) => Ok(()),
            Output::Lines(lines) => lines.write(member, Some(LeftOut { rule, copies })),
        }
    }
}

impl<'o> Lines<'o> {
    pub fn new(writer: &'o LineWriter, pool: &'o Pool, out: Out<'o>) -> Lines<'o> {
        Lines { writer, text: Vec::new(), later: Vec::new(), rows: 0, pool, out }
    }

    fn write(&mut self, member: &Member, left_out: Option<LeftOut>) -> Result<()> {
        self.writer.put(member, left_out, &mut self.text);
        self.count()
    }

    fn line(&mut self, member: &Member) -> &[u8] {
        self.later.clear();
        self.writer.put(member, None, &mut self.later);
        &self.later
    }

    fn write_line(&mut self, line: &[u8]) -> Result<()> {
        self.text.extend_from_slice(line);
        self.count()
    }

    // Pieces end where a record does.
    fn count(&mut self) -> Result<()> {
        self.rows += 1;
        if self.text.len() < PIECE_BYTES {
            return Ok(());
        }
        let mut space = self.pool.take();
        space.clear();
        (self.out)(std::mem::replace(&mut self.text, space))
    }

    fn end(self) -> Result<u64> {
        if !self.text.is_empty() {
            (self.out)(self.text)?;
        }
        Ok(self.rows)
    }
}
