//! A record as bytes that sort: the canonical form behind order, equality and deduplication (docs/format.md).
//!
//! `hash(id)` as 8 bytes, big end first, then each column in record order: 0x00 for null, or 0x01 and the value.
//! Strings escape 0x00 as 0x00 0xFF and end with 0x00 0x00; whole numbers are 8 bytes with the sign bit flipped;
//! fractions are the bits of a 64-bit float made to sort; booleans are one byte. Comparing two records of one
//! layout is comparing their bytes; equal bytes are equal records.

mod encode;
mod fields;

use std::borrow::Cow;

pub use fields::Fields;
use xxhash_rust::xxh3::xxh3_64;

use crate::error::{Error, Result};
use crate::layout::Layout;
use crate::schema::Storage;

pub use encode::{begin_record, encode_value};

/// One value of a record. Whole numbers of both widths are `Long`, fractions of both widths `Double`.
#[derive(Clone, Debug, PartialEq)]
pub enum Value<'a> {
    Null,
    String(Cow<'a, str>),
    Long(i64),
    Double(f64),
    Boolean(bool),
}

impl Value<'_> {
    pub fn is_null(&self) -> bool {
        matches!(self, Value::Null)
    }
}

/// The 64-bit hash that orders records: XXH3 of the id's UTF-8 bytes, seed 0.
pub fn hash_id(id: &str) -> u64 {
    xxh3_64(id.as_bytes())
}

/// The hash that a record's bytes begin with.
#[inline]
pub fn hash_of(record: &[u8]) -> u64 {
    record.first_chunk().map_or(0, |bytes| u64::from_be_bytes(*bytes))
}

/// Writes and reads the canonical bytes of one layout's records.
#[derive(Clone, Debug)]
pub struct Codec {
    order: Vec<usize>,
    storage: Vec<Storage>,
}

impl Codec {
    pub fn new(layout: &Layout) -> Codec {
        let storage = layout.columns.iter().map(|c| c.kind().storage()).collect();
        Codec { order: layout.record_order(), storage }
    }

    /// Appends the canonical bytes of a record to `out`.
    ///
    /// `values` are in the layout's order, each of its column's type. Empty strings are null, -0.0 is 0.0.
    pub fn encode(&self, values: &[Value<'_>], out: &mut Vec<u8>) {
        begin_record(&values[self.order[0]], out);
        for &column in &self.order {
            encode_value(&values[column], out);
        }
    }

    /// Reads a record back; `values` gets one value a column, in the layout's order.
    ///
    /// # Errors
    /// `Corrupt` when the bytes end early or hold what no encoder writes.
    pub fn decode<'a>(&self, record: &'a [u8], values: &mut Vec<Value<'a>>) -> Result<()> {
        values.clear();
        values.resize(self.order.len(), Value::Null);
        let mut fields = Fields::of(record)?;
        for &column in &self.order {
            values[column] = decode_value(self.storage[column], &mut fields)?;
        }
        fields.end()
    }
}

const SIGN: u64 = 1 << 63;

fn decode_value<'a>(storage: Storage, fields: &mut Fields<'a>) -> Result<Value<'a>> {
    Ok(match storage {
        Storage::String => fields.text()?.map_or(Ok(Value::Null), |text| utf8(text).map(Value::String))?,
        Storage::Long => fields.long()?.map_or(Value::Null, Value::Long),
        Storage::Double => fields.double()?.map_or(Value::Null, Value::Double),
        Storage::Boolean => fields.boolean()?.map_or(Value::Null, Value::Boolean),
    })
}

fn utf8(text: Cow<'_, [u8]>) -> Result<Cow<'_, str>> {
    match text {
        Cow::Borrowed(text) => std::str::from_utf8(text).map(Cow::Borrowed).map_err(not_text),
        Cow::Owned(text) => String::from_utf8(text).map(Cow::Owned).map_err(not_text),
    }
}

fn cut_short() -> Error {
    Error::corrupt("a stored record ends early")
}

fn not_text(cause: impl std::error::Error + Send + Sync + 'static) -> Error {
    Error::corrupt("a stored record has text that is not UTF-8").caused_by(cause)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dataset::DatasetType;
    use crate::schema::Schema;

    fn codec() -> Codec {
        let schema = Schema::parse(
            r#"{"type":"record","name":"Interactions","namespace":"n","version":"1.0","fields":[
                {"name":"ITEM_ID","type":"string"},{"name":"USER_ID","type":"string"},
                {"name":"TIMESTAMP","type":"long"},{"name":"EVENT_VALUE","type":["float","null"]},
                {"name":"NEW","type":["boolean","null"]}]}"#,
            None,
        )
        .unwrap();
        Codec::new(&Layout::new(DatasetType::Interactions, &schema))
    }

    fn record(user: &str, at: i64, value: Option<f64>) -> Vec<Value<'_>> {
        vec![
            Value::String("i".into()),
            Value::String(user.into()),
            Value::Long(at),
            value.map_or(Value::Null, Value::Double),
            Value::Boolean(true),
        ]
    }

    fn bytes(values: &[Value<'_>]) -> Vec<u8> {
        let mut out = Vec::new();
        codec().encode(values, &mut out);
        out
    }

    #[test]
    fn a_record_is_read_back_as_it_was_written() {
        for user in ["u", "a\0b", "\0", "ÿ\0\0", "日本"] {
            let values = record(user, -5, Some(-1.5));
            let encoded = bytes(&values);
            let mut back = Vec::new();
            codec().decode(&encoded, &mut back).unwrap();
            assert_eq!(back, values);
        }
    }

    #[test]
    fn bytes_sort_as_values_do() {
        let mut last = Vec::new();
        for (at, value) in [
            (-1, None),
            (0, None),
            (0, Some(-2.0)),
            (0, Some(-1.0)),
            (0, Some(0.0)),
            (0, Some(1e9)),
            (7, None),
        ] {
            let next = bytes(&record("u", at, value));
            assert!(last < next, "{at} {value:?}");
            last = next;
        }
    }

    #[test]
    fn spellings_of_one_value_have_one_form() {
        assert_eq!(bytes(&record("u", 1, Some(-0.0))), bytes(&record("u", 1, Some(0.0))));
        let mut empty = record("u", 1, None);
        empty[0] = Value::String("".into());
        let mut null = record("u", 1, None);
        null[0] = Value::Null;
        assert_eq!(bytes(&empty), bytes(&null));
    }

    #[test]
    fn damaged_bytes_are_an_error_and_no_panic() {
        let whole = bytes(&record("user", 1, Some(2.0)));
        for cut in 0..whole.len() {
            assert!(codec().decode(&whole[..cut], &mut Vec::new()).is_err(), "{cut}");
        }
        let longer = [&whole[..], &[0]].concat();
        assert!(codec().decode(&longer, &mut Vec::new()).is_err());
    }
}
