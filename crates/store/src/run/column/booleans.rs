//! A column of truths, a bit each.

use model::error::Result;
use model::record::Value;
use parquet::basic::Encoding;
use parquet::schema::types::ColumnDescPtr;

use super::Presence;
use crate::rows::csv_size;
use crate::run::chunk::{Chunk, ChunkWriter, Packer};
use crate::run::pack;

pub struct Booleans {
    column: ColumnDescPtr,
    values: Vec<bool>,
    presence: Presence,
}

impl Booleans {
    pub fn new(column: &ColumnDescPtr) -> Booleans {
        Booleans { column: column.clone(), values: Vec::new(), presence: Presence::default() }
    }

    pub fn push(&mut self, value: Option<bool>) -> u64 {
        self.presence.push(value.is_some());
        self.values.extend(value);
        csv_size(&value.map_or(Value::Null, Value::Boolean))
    }

    pub fn size_bytes(&self) -> usize {
        self.values.len() + self.presence.size_bytes()
    }

    pub fn finish(self, packer: &mut Packer) -> Result<Chunk> {
        let mut chunk = ChunkWriter::new(&self.column, Encoding::PLAIN);
        for page in self.presence.pages() {
            packer.values.clear();
            pack::pack(&self.values[page.values], 1, &mut packer.values);
            chunk.page(packer, page.rows)?;
        }
        chunk.finish()
    }
}
