//! What is counted of one column.

use std::ops::Range;
use std::sync::Arc;

use arrow_array::Array;
use model::layout::Column as Field;
use model::record::hash_id;
use model::schema::Storage;
use store::rows::{Coded, Dictionary, Values};

use super::Limits;
use super::categories::Categories;
use super::numbers::Numbers;
use super::sample::{Sample, fold};

/// Counts the values of one column.
pub struct Column {
    /// Records that have a value.
    pub filled: u64,
    pub distinct: Sample,
    pub content: Content,
    tallies: Vec<Tally>,
}

/// What is counted beside the values that differ.
pub enum Content {
    /// Nothing more: of ids and texts no value is ever shown.
    Texts,
    /// Values are split at `|` where they are categories, and are whole where they are event types.
    Categories {
        is_split: bool,
        counted: Categories,
    },
    Numbers(Numbers),
    Booleans {
        trues: u64,
    },
}

/// How often each value of a dictionary came, while records that share it go by.
struct Tally {
    dictionary: Arc<Dictionary>,
    counts: Vec<u64>,
}

/// How many dictionaries are tallied at once: about one for each run.
const TALLIES: usize = 16;

/// What separates the categories in a value. Source: "Categorical metadata".
const SEPARATOR: char = '|';

/// The column of event types, which no schema calls categorical.
pub const EVENT_TYPE: &str = "EVENT_TYPE";

/// A piece of a batch, and what is known of its rows.
pub struct Span<'a> {
    pub range: Range<usize>,
    /// For each row of the range a key of random bits.
    pub keys: &'a [u64],
    /// For each row of the range whether a value is missing.
    pub missing: &'a mut [bool],
}

impl Column {
    pub fn new(field: &Field, limits: &Limits) -> Column {
        let categories = |is_split| {
            let counted = Categories::new(limits.categories_bytes);
            Content::Categories { is_split, counted }
        };
        let content = match field.kind().storage() {
            Storage::String if field.field.categorical => categories(true),
            Storage::String if field.name() == EVENT_TYPE => categories(false),
            Storage::String => Content::Texts,
            Storage::Long | Storage::Double => Content::Numbers(Numbers::new(limits.numbers)),
            Storage::Boolean => Content::Booleans { trues: 0 },
        };
        let distinct = Sample::new(if field.is_id() { limits.ids } else { limits.distinct });
        Column { filled: 0, distinct, content, tallies: Vec::new() }
    }

    /// Takes the values of some rows.
    pub fn count(&mut self, values: &Values, span: &mut Span<'_>) {
        let filled = mark_missing(values, span);
        self.filled += filled;
        if filled == 0 {
            return;
        }
        match values {
            Values::Strings(texts) => {
                for row in span.range.clone().filter(|row| texts.is_valid(*row)) {
                    self.add_text(texts.value(row), 1);
                }
            }
            Values::Coded(coded) => self.add_coded(coded, span.range.clone()),
            Values::Longs(_) | Values::Doubles(_) => self.add_numbers(values, span),
            Values::Booleans(truths) => {
                let is_true = |row: &usize| truths.is_valid(*row) && truths.value(*row);
                let trues_here = span.range.clone().filter(is_true).count() as u64;
                if let Content::Booleans { trues } = &mut self.content {
                    *trues += trues_here;
                }
                self.add_booleans(trues_here, filled - trues_here);
            }
            Values::Absent => {}
        }
    }

    /// Takes hashes of ids that are known already.
    pub fn count_hashes(&mut self, hashes: &[u64]) {
        self.filled += hashes.len() as u64;
        for equal in hashes.chunk_by(|a, b| a == b) {
            self.distinct.add(equal[0], equal.len() as u64);
        }
    }

    pub fn merge(&mut self, other: &Column) {
        self.filled += other.filled;
        self.distinct.merge(&other.distinct);
        match (&mut self.content, &other.content) {
            (Content::Categories { counted, .. }, Content::Categories { counted: more, .. }) => {
                counted.merge(more);
            }
            (Content::Numbers(numbers), Content::Numbers(more)) => numbers.merge(more),
            (Content::Booleans { trues }, Content::Booleans { trues: more }) => *trues += more,
            _ => {}
        }
    }

    /// Brings in what was tallied; to be called when no more comes.
    pub fn end(&mut self) {
        for tally in std::mem::take(&mut self.tallies) {
            self.take_tally(&tally);
        }
    }

    fn add_text(&mut self, text: &str, count: u64) {
        match &mut self.content {
            Content::Categories { is_split: true, counted } => {
                for category in text.split(SEPARATOR).filter(|category| !category.is_empty()) {
                    self.distinct.add(hash_id(category), count);
                    counted.add(category, count);
                }
            }
            Content::Categories { is_split: false, counted } => {
                self.distinct.add(hash_id(text), count);
                counted.add(text, count);
            }
            _ => self.distinct.add(hash_id(text), count),
        }
    }

    fn add_coded(&mut self, coded: &Coded, range: Range<usize>) {
        let rows = range.filter(|row| !coded.is_null(*row));
        let Some(n) = self.tally(coded.dictionary()) else {
            return rows.for_each(|row| self.add_text(coded.value(row), 1));
        };
        let counts = &mut self.tallies[n].counts;
        rows.for_each(|row| counts[coded.codes().value(row) as usize] += 1);
    }

    // The tally of a dictionary; `None` where there are too many at once.
    fn tally(&mut self, dictionary: &Arc<Dictionary>) -> Option<usize> {
        let known = self.tallies.iter().position(|tally| Arc::ptr_eq(&tally.dictionary, dictionary));
        if known.is_some() {
            return known;
        }
        // A dictionary that nobody else holds belongs to a row group that was read to its end.
        let (over, open): (Vec<Tally>, Vec<Tally>) = std::mem::take(&mut self.tallies)
            .into_iter()
            .partition(|tally| Arc::strong_count(&tally.dictionary) == 1);
        self.tallies = open;
        over.iter().for_each(|tally| self.take_tally(tally));
        if self.tallies.len() >= TALLIES {
            return None;
        }
        self.tallies.push(Tally { dictionary: dictionary.clone(), counts: vec![0; dictionary.len()] });
        Some(self.tallies.len() - 1)
    }

    fn take_tally(&mut self, tally: &Tally) {
        for (code, count) in tally.counts.iter().enumerate().filter(|(_, count)| **count > 0) {
            self.add_text(tally.dictionary.value(code), *count);
        }
    }

    fn add_numbers(&mut self, values: &Values, span: &Span<'_>) {
        let Content::Numbers(numbers) = &mut self.content else { return };
        let keyed = span.range.clone().zip(span.keys);
        match values {
            Values::Longs(longs) => {
                for (row, key) in keyed.filter(|(row, _)| longs.is_valid(*row)) {
                    let number = longs.value(row);
                    self.distinct.add(fold(number.cast_unsigned()), 1);
                    numbers.add_whole(*key, number);
                }
            }
            Values::Doubles(doubles) => {
                for (row, key) in keyed.filter(|(row, _)| doubles.is_valid(*row)) {
                    let number = doubles.value(row);
                    self.distinct.add(fold(number.to_bits()), 1);
                    numbers.add(*key, number);
                }
            }
            _ => {}
        }
    }

    fn add_booleans(&mut self, trues: u64, falses: u64) {
        for (truth, count) in [(1, trues), (2, falses)].into_iter().filter(|(_, count)| *count > 0) {
            self.distinct.add(fold(truth), count);
        }
    }
}

// Says which rows lack the value; how many have it.
fn mark_missing(values: &Values, span: &mut Span<'_>) -> u64 {
    let array: &dyn Array = match values {
        Values::Strings(a) => a,
        Values::Coded(a) => a.codes(),
        Values::Longs(a) => a,
        Values::Doubles(a) => a,
        Values::Booleans(a) => a,
        Values::Absent => {
            span.missing.fill(true);
            return 0;
        }
    };
    let rows = span.range.len() as u64;
    if array.null_count() == 0 {
        return rows;
    }
    let mut absent = 0;
    for (row, is_missing) in span.range.clone().zip(span.missing.iter_mut()) {
        if array.is_null(row) {
            *is_missing = true;
            absent += 1;
        }
    }
    rows - absent
}
