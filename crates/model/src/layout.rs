//! How the records of a dataset lie in memory and at rest: columns, their lasting field ids, their order.

use serde::{Deserialize, Serialize};

use crate::dataset::DatasetType;
use crate::schema::{Field, Kind, Schema};

/// The columns of one dataset under one version of its schema.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Layout {
    pub dataset_type: DatasetType,
    pub schema_version: u32,
    /// In the schema's order, which is the order of exported columns.
    pub columns: Vec<Column>,
}

/// One column, under an id that stays when the schema is replaced.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Column {
    pub field_id: u32,
    #[serde(flatten)]
    pub field: Field,
}

impl Layout {
    /// The layout of a dataset's first schema: field ids count from 1 in the schema's order.
    pub fn new(dataset_type: DatasetType, schema: &Schema) -> Layout {
        let numbered = (1..).zip(schema.fields.iter().cloned());
        let columns = numbered.map(|(field_id, field)| Column { field_id, field }).collect();
        Layout { dataset_type, schema_version: 1, columns }
    }

    /// The one column that the files of a data deletion job have.
    ///
    /// Source: "Preparing your input file" of data deletion jobs.
    pub fn of_user_ids() -> Layout {
        let name = DatasetType::Users.id_field().to_owned();
        let field = Field { name, kind: Kind::String, nullable: false, categorical: false, textual: false };
        Layout::new(DatasetType::Users, &Schema { dataset_type: DatasetType::Users, fields: vec![field] })
    }

    /// The positions of the columns in record order: the id, TIMESTAMP where there is one, the rest by field id.
    pub fn record_order(&self) -> Vec<usize> {
        let mut order: Vec<usize> = (0..self.columns.len()).collect();
        order.sort_by_key(|&n| (self.rank(n), self.columns[n].field_id));
        order
    }

    /// The position of the column whose hash orders the records.
    pub fn id_column(&self) -> usize {
        self.position(self.dataset_type.id_field()).expect("a schema without its id field is refused")
    }

    pub fn position(&self, name: &str) -> Option<usize> {
        self.columns.iter().position(|c| c.field.name == name)
    }

    fn rank(&self, n: usize) -> u8 {
        match self.columns[n].field.name.as_str() {
            name if name == self.dataset_type.id_field() => 0,
            "TIMESTAMP" if !self.dataset_type.is_keyed() => 1,
            _ => 2,
        }
    }
}

impl Column {
    pub fn name(&self) -> &str {
        &self.field.name
    }

    pub fn kind(&self) -> Kind {
        self.field.kind
    }

    /// The most characters a value of this column may have, where there is such a limit on *stored* values.
    ///
    /// Source: "Quotas": ids 256; categorical, impression and plain strings 1,000. Textual values are cut for
    /// training only, so they have none.
    pub fn characters_max(&self) -> Option<usize> {
        match self.field.kind {
            Kind::String if self.is_id() => Some(256),
            Kind::String if !self.field.textual => Some(1000),
            _ => None,
        }
    }

    /// Whether the column holds an id of a user, item or action.
    pub fn is_id(&self) -> bool {
        matches!(self.name(), "USER_ID" | "ITEM_ID" | "ACTION_ID")
    }
}
