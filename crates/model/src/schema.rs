//! Avro schemas as the service takes them: flat records, read strictly, every problem reported at once.

mod rules;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::dataset::{DatasetType, Domain};

/// A schema that passed all checks that do not need a dataset.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Schema {
    pub dataset_type: DatasetType,
    pub fields: Vec<Field>,
}

/// One field of a schema.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Field {
    pub name: String,
    pub kind: Kind,
    pub nullable: bool,
    #[serde(default)]
    pub categorical: bool,
    #[serde(default)]
    pub textual: bool,
}

/// The primitive types that a field can have beside null.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    String,
    Int,
    Long,
    Float,
    Double,
    Boolean,
}

/// How values of a kind are kept: narrow numbers in the wide form, so that `19.99` stays `19.99`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Storage {
    String,
    Long,
    Double,
    Boolean,
}

impl Kind {
    fn parse(name: &str) -> Option<Kind> {
        Some(match name {
            "string" => Kind::String,
            "int" => Kind::Int,
            "long" => Kind::Long,
            "float" => Kind::Float,
            "double" => Kind::Double,
            "boolean" => Kind::Boolean,
            _ => return None,
        })
    }

    pub fn as_str(self) -> &'static str {
        match self {
            Kind::String => "string",
            Kind::Int => "int",
            Kind::Long => "long",
            Kind::Float => "float",
            Kind::Double => "double",
            Kind::Boolean => "boolean",
        }
    }

    pub fn storage(self) -> Storage {
        match self {
            Kind::String => Storage::String,
            Kind::Int | Kind::Long => Storage::Long,
            Kind::Float | Kind::Double => Storage::Double,
            Kind::Boolean => Storage::Boolean,
        }
    }
}

impl Schema {
    /// The names of the fields that a schema of this type and domain must have.
    pub fn required_names(dataset_type: DatasetType, domain: Option<Domain>) -> Vec<&'static str> {
        rules::required_names(dataset_type, domain)
    }

    /// Reads an Avro schema under the rules of its type and domain.
    ///
    /// Source: "Datasets and schemas" of the developer guide.
    ///
    /// # Errors
    /// Every problem found, each a sentence of its own.
    pub fn parse(text: &str, domain: Option<Domain>) -> Result<Schema, Vec<String>> {
        let json: Value = serde_json::from_str(text).map_err(|e| {
            vec![format!("Schema is not valid JSON: line {} column {}", e.line(), e.column())]
        })?;
        if !json.is_object() {
            return Err(vec![NO_RECORD.to_owned()]);
        }
        let mut problems = Vec::new();
        let dataset_type = read_envelope(&json, &mut problems);
        let elements = json.get("fields").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
        if elements.is_empty() {
            problems.push("Schema must define at least one field.".to_owned());
        }
        let fields: Vec<Field> = elements.iter().filter_map(|e| read_field(e, &mut problems)).collect();
        if let Some(dataset_type) = dataset_type.filter(|_| !elements.is_empty()) {
            // A field that could not be read is wrong, but it is not missing.
            let names: Vec<&str> = elements.iter().filter_map(|e| e.get("name")?.as_str()).collect();
            rules::check(dataset_type, domain, &fields, &names, &mut problems);
        }
        match dataset_type {
            Some(dataset_type) if problems.is_empty() => Ok(Schema { dataset_type, fields }),
            _ => Err(problems),
        }
    }
}

const NO_RECORD: &str = "Schema must be an Avro record.";

fn read_envelope(json: &Value, problems: &mut Vec<String>) -> Option<DatasetType> {
    if json.get("type").and_then(Value::as_str) != Some("record") {
        problems.push(NO_RECORD.to_owned());
    }
    let name = json.get("name").and_then(Value::as_str).unwrap_or_default();
    let dataset_type = DatasetType::ALL.into_iter().find(|t| t.record_name() == name);
    if dataset_type.is_none() {
        let names = DatasetType::ALL.map(DatasetType::record_name).join(", ");
        problems.push(format!("Schema name must be one of {names}."));
    }
    dataset_type
}

fn read_field(element: &Value, problems: &mut Vec<String>) -> Option<Field> {
    let name = element.get("name").and_then(Value::as_str).unwrap_or_default();
    if name.is_empty() || !name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_') {
        problems.push(format!("Invalid field name: {name}."));
        return None;
    }
    let unknown = Value::Null;
    let written = element.get("type").unwrap_or(&unknown);
    let Some((kind, nullable)) = read_type(written) else {
        problems.push(format!("Unsupported type for field {name}: {written}."));
        return None;
    };
    let mut flag = |key: &str| match element.get(key) {
        None | Some(Value::Null) => false,
        Some(Value::Bool(truth)) => *truth,
        Some(_) => {
            problems.push(format!("Attribute {key} of field {name} must be true or false."));
            false
        }
    };
    let (categorical, textual) = (flag("categorical"), flag("textual"));
    Some(Field { name: name.to_owned(), kind, nullable, categorical, textual })
}

// One value type, alone or in a union with at most one null, in either order.
fn read_type(written: &Value) -> Option<(Kind, bool)> {
    let Value::Array(union) = written else {
        return Some((Kind::parse(written.as_str()?)?, false));
    };
    let names: Vec<&str> = union.iter().map(Value::as_str).collect::<Option<_>>()?;
    match names.as_slice() {
        [kind] | [kind, "null"] | ["null", kind] => Some((Kind::parse(kind)?, names.len() == 2)),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
