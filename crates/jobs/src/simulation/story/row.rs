//! The rows of a story, as they are sent and as an export shows them.

use model::record::Value;

use super::super::naive::Sent;

/// A row as it is sent; few different ones, so that they meet.
#[derive(Clone, Debug)]
pub(super) struct Row {
    pub(super) id: u64,
    pub(super) value: u64,
    pub(super) time: i64,
}

impl Row {
    pub(super) fn sent(&self, dataset: usize) -> Sent {
        let Row { id, value, time } = self;
        let line = match dataset {
            0 => format!("id{id},v{value},{time}"),
            // Equal to a null, an empty text is one.
            _ if *value == 0 => format!("id{id},,{time}"),
            _ => format!("id{id},v{value},{time}"),
        };
        Sent { id: format!("id{id}"), line }
    }

    pub(super) fn values(&self, dataset: usize) -> [Value<'static>; 3] {
        let value = match (dataset, self.value) {
            (1, 0) if self.id.is_multiple_of(2) => Value::Null,
            (1, 0) => Value::String("".into()),
            _ => Value::String(format!("v{}", self.value).into()),
        };
        [Value::String(format!("id{}", self.id).into()), value, Value::Long(self.time)]
    }
}

pub(super) fn sent(dataset: usize, rows: &[Row]) -> Vec<Sent> {
    rows.iter().map(|row| row.sent(dataset)).collect()
}
