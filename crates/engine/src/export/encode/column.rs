//! The columns of a batch, each made ready once for all its records.

use std::ops::Range;
use std::sync::Arc;

use arrow_array::{Array, BooleanArray, Float64Array, Int64Array, StringArray};
use store::rows::{Coded, Values};

use super::slots::{Slot, Slots, TOO_LONG};
use super::text::Text;

/// How many records' slots are gathered at once.
pub const BLOCK_ROWS: usize = 32;

/// The values of one column of a batch.
pub enum Column {
    Small(Coded, Arc<[Slot<16>]>),
    Medium(Coded, Arc<[Slot<32>]>),
    Large(Coded, Arc<[Slot<64>]>),
    /// Strings of a dictionary that has no slots.
    Coded(Coded),
    /// No value of the batch needs quotes.
    Plain(StringArray),
    Strings(StringArray),
    Longs(Int64Array),
    Doubles(Float64Array),
    Booleans(BooleanArray),
    Absent,
}

impl Column {
    /// `slots` are those of the column's dictionary, if it has any.
    pub fn new(values: &Values, slots: Option<Slots>) -> Column {
        match values {
            Values::Coded(coded) => match slots {
                Some(Slots::Small(slots)) => Column::Small(coded.clone(), slots),
                Some(Slots::Medium(slots)) => Column::Medium(coded.clone(), slots),
                Some(Slots::Large(slots)) => Column::Large(coded.clone(), slots),
                None => Column::Coded(coded.clone()),
            },
            Values::Strings(array) => {
                let offsets = array.value_offsets();
                let bytes = &array.value_data()[offsets[0] as usize..offsets[array.len()] as usize];
                let is_plain = csv::write::is_plain(bytes);
                if is_plain { Column::Plain(array.clone()) } else { Column::Strings(array.clone()) }
            }
            Values::Longs(array) => Column::Longs(array.clone()),
            Values::Doubles(array) => Column::Doubles(array.clone()),
            Values::Booleans(array) => Column::Booleans(array.clone()),
            Values::Absent => Column::Absent,
        }
    }

    /// Copies the slots of some records, where the column has small ones. A dictionary is larger than the nearest cache:
    /// here the memory is asked for many slots at once, while a record at a time would wait for each.
    #[inline]
    pub fn gather(&self, rows: Range<usize>, separator: u8, gathered: &mut [Slot<16>; BLOCK_ROWS]) {
        let Column::Small(coded, slots) = self else { return };
        let codes = &coded.codes().values()[rows.clone()];
        for (slot, code) in gathered.iter_mut().zip(codes) {
            // The code of a null may be any.
            *slot = slots.get(*code as usize).copied().unwrap_or_default();
        }
        if coded.codes().null_count() > 0 {
            for (slot, _) in gathered.iter_mut().zip(rows).filter(|(_, row)| coded.is_null(*row)) {
                *slot = [separator; 16];
                slot[15] = 1;
            }
        }
    }

    /// Writes the value of a record, whose slot was gathered, and the separator behind it.
    #[inline]
    pub fn put(&self, row: usize, gathered: &Slot<16>, separator: u8, text: &mut Text) {
        match self {
            Column::Small(coded, _) => match gathered[15] {
                TOO_LONG => put_coded(coded, row, text),
                len => return text.put_slot(gathered, usize::from(len)),
            },
            Column::Medium(coded, slots) => return put_slot(coded, slots, row, separator, text),
            Column::Large(coded, slots) => return put_slot(coded, slots, row, separator, text),
            Column::Coded(coded) => put_coded(coded, row, text),
            Column::Plain(array) => {
                let (from, to) = bounds(array, row);
                text.put_part(array.value_data(), from, to);
            }
            Column::Strings(array) => {
                let (from, to) = bounds(array, row);
                text.put_string(array.value_data(), from, to);
            }
            Column::Longs(array) if array.is_valid(row) => text.put_long(array.value(row)),
            Column::Doubles(array) if array.is_valid(row) => text.put_double(array.value(row)),
            Column::Booleans(array) if array.is_valid(row) => {
                text.put_bytes(if array.value(row) { b"true" } else { b"false" });
            }
            _ => {}
        }
        text.put_byte(separator);
    }
}

#[inline]
fn put_slot<const N: usize>(coded: &Coded, slots: &[Slot<N>], row: usize, separator: u8, text: &mut Text) {
    if coded.is_null(row) {
        return text.put_byte(separator);
    }
    let slot = &slots[coded.codes().value(row) as usize];
    match slot[N - 1] {
        TOO_LONG => {
            put_coded(coded, row, text);
            text.put_byte(separator);
        }
        len => text.put_slot(slot, usize::from(len)),
    }
}

#[cold]
fn put_coded(coded: &Coded, row: usize, text: &mut Text) {
    if !coded.is_null(row) {
        let value = coded.value(row).as_bytes();
        text.put_string(value, 0, value.len());
    }
}

// The place of a value among the bytes of all; that of a null is empty, whatever lies there.
#[inline]
fn bounds(array: &StringArray, row: usize) -> (usize, usize) {
    let offsets = array.value_offsets();
    let from = offsets[row] as usize;
    (from, if array.is_null(row) { from } else { offsets[row + 1] as usize })
}
