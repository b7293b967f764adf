//! Which value of a record belongs to which column of a dataset, and how all of them are read and encoded.

use model::layout::Column;
use model::record::{Value, begin_record, encode_value};

use super::record::{Record, Text};
use crate::value::ValueReader;
use crate::violation::Violation;

/// The columns of a dataset in a file with one header.
#[derive(Clone, Debug)]
pub struct ColumnMap {
    field_count: usize,
    columns: Vec<Mapped>,
    /// Where in a row the first value of a record's canonical form stands, the second … and how it is read.
    in_record_order: Vec<(usize, ValueReader)>,
}

#[derive(Clone, Debug)]
struct Mapped {
    position: usize,
    name: String,
    reader: ValueReader,
}

impl ColumnMap {
    pub(super) fn new<'a>(
        field_count: usize,
        columns: impl Iterator<Item = (&'a Column, usize)>,
        record_order: &[usize],
    ) -> ColumnMap {
        let mapped = |(column, position): (&Column, usize)| Mapped {
            position,
            name: column.name().to_owned(),
            reader: ValueReader::new(column),
        };
        let columns: Vec<Mapped> = columns.map(mapped).collect();
        let in_record_order =
            record_order.iter().map(|&n| (columns[n].position, columns[n].reader)).collect();
        ColumnMap { field_count, columns, in_record_order }
    }

    /// How many values each row must have: as many as the header has names.
    pub fn field_count(&self) -> usize {
        self.field_count
    }

    /// Where in a row each column's value stands, in the layout's order.
    pub fn positions(&self) -> impl Iterator<Item = usize> {
        self.columns.iter().map(|column| column.position)
    }

    /// Reads a record; `values` gets one value a column, in the layout's order, and loses what it held.
    ///
    /// Keep the vector for the next record with [`recycle`](crate::value::recycle).
    ///
    /// # Errors
    /// The first rule that the record breaks: its count of values, then its encoding, then each column's rule.
    pub fn read_values<'a>(&self, record: &Record<'a>, values: &mut Vec<Value<'a>>) -> Result<(), Violation> {
        values.clear();
        record.expect_fields(self.field_count)?;
        let text = record.text()?;
        for column in &self.columns {
            let field =
                text.field(column.position).expect("the record has as many values as the header has names");
            match column.reader.read(field) {
                Ok(value) => values.push(value),
                Err(rule) => return Err(record.violation(column.position, &column.name, rule)),
            }
        }
        Ok(())
    }

    /// Reads a record and writes its canonical form; `out` loses what it held.
    ///
    /// The bytes are those that `model::record::Codec` makes of the values.
    ///
    /// # Errors
    /// As [`read_values`](ColumnMap::read_values).
    pub fn encode(&self, record: &Record<'_>, out: &mut Vec<u8>) -> Result<(), Violation> {
        let text = record.text();
        let encoded = text.is_ok_and(|text| self.encode_text(&text, out));
        if encoded { Ok(()) } else { Err(self.violation(record)) }
    }

    /// Writes the canonical form of a record; false where it breaks a rule.
    #[inline]
    pub(super) fn encode_text(&self, text: &Text<'_>, out: &mut Vec<u8>) -> bool {
        out.clear();
        if text.field_count() != self.field_count {
            return false;
        }
        for (n, (position, reader)) in self.in_record_order.iter().enumerate() {
            let Some(Ok(value)) = text.field(*position).map(|field| reader.read(field)) else {
                return false;
            };
            if n == 0 {
                begin_record(&value, out);
            }
            encode_value(&value, out);
        }
        true
    }

    /// The first rule that a record breaks, which is known to break one.
    #[cold]
    pub(super) fn violation(&self, record: &Record<'_>) -> Violation {
        self.read_values(record, &mut Vec::new()).expect_err("a rule was just found broken")
    }
}

#[cfg(test)]
mod tests {
    use crate::tests::{all_rows, interactions};

    const HEADER: &str = "USER_ID,ITEM_ID,TIMESTAMP,EVENT_VALUE,NEW\n";

    fn violations(rows: &str) -> Vec<String> {
        let text = format!("{HEADER}{rows}");
        let rows = all_rows(text.as_bytes(), &interactions());
        rows.into_iter().filter_map(|row| Some(row.err()?.to_string())).collect()
    }

    #[test]
    fn a_row_has_as_many_values_as_the_header() {
        assert_eq!(
            violations("u,i,1,,true\nu,i,1,\nu,i,1,,,\n"),
            ["line 3: 4 values where the header has 5", "line 4: 6 values where the header has 5"]
        );
    }

    #[test]
    fn a_violation_names_the_line_of_its_value() {
        assert_eq!(
            violations("\"u\n\n\"\"\",i,1,,true\n\n\"a\nb\",\"\",1,,\n\"a\n\",\"\"\"\",\"x\"\"\",,\n"),
            [
                "line 7, column ITEM_ID: a value is required",
                "line 9, column TIMESTAMP: \"x\\\"\" is not a whole number"
            ]
        );
    }

    #[test]
    fn text_that_is_not_utf8_is_found_where_it_is() {
        let text = [HEADER.as_bytes(), b"u,i,1,,\n\"u\n\"\"\xff\",i,1,,\n"].concat();
        let rows = all_rows(&text, &interactions());
        let byte = HEADER.len() + 8 + 5;
        assert_eq!(
            rows[1].as_ref().unwrap_err().to_string(),
            format!("line 4, byte {byte}: text that is not UTF-8")
        );
    }
}
