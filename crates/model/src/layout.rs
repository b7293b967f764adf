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
    /// The version of the schema that brought the column.
    #[serde(default = "first_version")]
    pub since: u32,
    #[serde(flatten)]
    pub field: Field,
}

// Layouts that were stored before schemas could be replaced know of one version only.
fn first_version() -> u32 {
    1
}

impl Layout {
    /// The layout of a dataset's first schema: field ids count from 1 in the schema's order.
    pub fn new(dataset_type: DatasetType, schema: &Schema) -> Layout {
        let numbered = (1..).zip(schema.fields.iter().cloned());
        let columns = numbered.map(|(field_id, field)| Column { field_id, since: 1, field }).collect();
        Layout { dataset_type, schema_version: 1, columns }
    }

    /// The layout of the schema that takes this one's place: columns in its order, the old ones under their field ids,
    /// the added ones under higher ids. Record order follows the ids, so what is stored stays in order.
    ///
    /// Source: "Replacing a dataset's schema".
    ///
    /// # Errors
    /// Every field that is lost or changed and every new one that can't be null, each as a sentence of its own.
    pub fn replaced_by(&self, schema: &Schema) -> Result<Layout, Vec<String>> {
        let problems = self.lost_by(schema).chain(self.forced_by(schema)).collect::<Vec<_>>();
        if !problems.is_empty() {
            return Err(problems);
        }
        let schema_version = self.schema_version + 1;
        let last = self.columns.iter().map(|c| c.field_id).max().unwrap_or(0);
        let mut new_ids = last + 1..;
        let column = |field: &Field| match self.position(&field.name) {
            Some(n) => self.columns[n].clone(),
            None => {
                let field_id = new_ids.next().expect("a dataset never has four billion fields");
                Column { field_id, since: schema_version, field: field.clone() }
            }
        };
        let columns = schema.fields.iter().map(column).collect();
        Ok(Layout { dataset_type: self.dataset_type, schema_version, columns })
    }

    fn lost_by(&self, schema: &Schema) -> impl Iterator<Item = String> {
        let is_kept = |column: &Column| schema.fields.contains(&column.field);
        let lost = self.columns.iter().filter(move |c| !is_kept(c));
        lost.map(|c| format!("The new schema must keep field {} with its type and attributes.", c.name()))
    }

    fn forced_by(&self, schema: &Schema) -> impl Iterator<Item = String> {
        let added = schema.fields.iter().filter(|f| self.position(&f.name).is_none());
        added.filter(|f| !f.nullable).map(|f| format!("New field {} must support null.", f.name))
    }

    /// The columns as an older version of the schema had them, to read what was written under it. Only the order of
    /// exported columns is not what it was.
    pub fn as_of(&self, schema_version: u32) -> Layout {
        let columns = self.columns.iter().filter(|c| c.since <= schema_version).cloned().collect();
        Layout { dataset_type: self.dataset_type, schema_version, columns }
    }

    /// How many columns an older version of the schema did not have.
    pub fn added_after(&self, schema_version: u32) -> usize {
        self.columns.iter().filter(|c| c.since > schema_version).count()
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

#[cfg(test)]
mod tests {
    use super::*;

    fn schema(fields: &str) -> Schema {
        let fields = format!(r#"{{"name":"ITEM_ID","type":"string"}},{fields}"#);
        Schema::parse(&format!(r#"{{"type":"record","name":"Items","fields":[{fields}]}}"#), None).unwrap()
    }

    fn first() -> Layout {
        Layout::new(DatasetType::Items, &schema(r#"{"name":"PRICE","type":"float"}"#))
    }

    const MORE: &str = r#"{"name":"COLOR","type":["null","string"]},{"name":"PRICE","type":"float"},
        {"name":"AGE","type":["int","null"]}"#;

    fn columns(layout: &Layout) -> Vec<(&str, u32, u32)> {
        layout.columns.iter().map(|c| (c.name(), c.field_id, c.since)).collect()
    }

    #[test]
    fn a_replaced_schema_keeps_ids_and_brings_its_own_order() {
        let second = first().replaced_by(&schema(MORE)).unwrap();
        assert_eq!(columns(&second), [("ITEM_ID", 1, 1), ("COLOR", 3, 2), ("PRICE", 2, 1), ("AGE", 4, 2)]);
        assert_eq!((second.schema_version, second.record_order()), (2, vec![0, 2, 1, 3]));
        let third = second.replaced_by(&schema(&format!(r#"{{"name":"X","type":["long","null"]}},{MORE}"#)));
        assert_eq!(columns(&third.unwrap())[1], ("X", 5, 3));
    }

    #[test]
    fn an_older_version_has_the_columns_of_its_time() {
        let second = first().replaced_by(&schema(MORE)).unwrap();
        assert_eq!(second.as_of(1), first());
        assert_eq!(second.as_of(2), second);
        assert_eq!((second.added_after(1), second.added_after(2)), (2, 0));
    }

    #[test]
    fn everything_that_a_new_schema_gets_wrong_is_told_at_once() {
        let wrong = r#"{"name":"PRICE","type":["float","null"]},{"name":"COLOR","type":"string"},
            {"name":"AGE","type":["int","null"]},{"name":"SIZE","type":"int"}"#;
        let problems = first().replaced_by(&schema(wrong)).unwrap_err();
        assert_eq!(
            problems,
            [
                "The new schema must keep field PRICE with its type and attributes.",
                "New field COLOR must support null.",
                "New field SIZE must support null.",
            ]
        );
    }

    #[test]
    fn a_change_of_type_or_attributes_is_a_field_lost() {
        for field in [
            r#"{"name":"PRICE","type":"double"}"#,
            r#"{"name":"PRICE","type":["float","null"]}"#,
            r#"{"name":"price","type":"float"}"#,
        ] {
            assert!(first().replaced_by(&schema(field)).is_err(), "{field}");
        }
        let color = |more: &str| {
            schema(&format!(r#"{{"name":"P","type":"int"}},{{"name":"C","type":"string"{more}}}"#))
        };
        let plain = Layout::new(DatasetType::Items, &color(""));
        assert!(plain.replaced_by(&color(r#","categorical":true"#)).is_err());
        assert!(plain.replaced_by(&color(r#","textual":true"#)).is_err());
        assert!(plain.replaced_by(&color("")).is_ok());
    }

    #[test]
    fn a_stored_layout_without_versions_is_of_the_first() {
        let text = r#"{"dataset_type":"ITEMS","schema_version":1,"columns":[
            {"field_id":1,"name":"ITEM_ID","kind":"string","nullable":false}]}"#;
        let stored: Layout = serde_json::from_str(text).unwrap();
        assert_eq!(columns(&stored), [("ITEM_ID", 1, 1)]);
    }
}
