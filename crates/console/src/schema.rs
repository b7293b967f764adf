//! Schemas as pages have them: JSON as it stands, and as a table of fields for whom a form is enough.

use model::schema::Schema;
use model::{DatasetType, Domain};
use serde_json::{Value, json};

use crate::client::Refusal;
use crate::form::Form;

const NAMESPACE: &str = "com.amazonaws.personalize.schema";
pub const KINDS: [&str; 6] = ["string", "int", "long", "float", "double", "boolean"];
pub const ATTRIBUTES: [(&str, &str); 3] =
    [("", "none"), ("categorical", "categorical"), ("textual", "textual")];

/// A field as a row of a form.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Row {
    pub name: String,
    pub kind: String,
    pub is_nullable: bool,
    /// `categorical`, `textual` or nothing.
    pub attribute: String,
    /// What the service asks of the dataset's type, and can't be removed.
    pub is_required: bool,
}

/// The fields that a dataset's type must have in a group's domain.
pub fn required(kind: &str, domain: &str) -> Vec<&'static str> {
    let kind = DatasetType::parse(kind);
    kind.map_or_else(Vec::new, |kind| Schema::required_names(kind, Domain::parse(domain)))
}

/// The name that the schema of a type bears.
pub fn record_name(kind: &str) -> &'static str {
    DatasetType::parse(kind).map_or("", DatasetType::record_name)
}

/// The schema that the guide gives for a type, of a domain or of none.
pub fn default(kind: &str, domain: &str) -> Vec<Row> {
    let word = |name: &str| row(name, "string", false, "");
    let category = |name: &str| row(name, "string", true, "categorical");
    let number = |name: &str, kind: &str| row(name, kind, true, "");
    let time = || row("TIMESTAMP", "long", false, "");
    match (kind, domain) {
        ("INTERACTIONS", "") => vec![word("USER_ID"), word("ITEM_ID"), time()],
        ("INTERACTIONS", _) => vec![word("USER_ID"), word("ITEM_ID"), word("EVENT_TYPE"), time()],
        ("ITEMS", "ECOMMERCE") => vec![
            word("ITEM_ID"),
            row("PRICE", "float", false, ""),
            row("CATEGORY_L1", "string", false, "categorical"),
        ],
        ("ITEMS", "VIDEO_ON_DEMAND") => vec![
            word("ITEM_ID"),
            row("GENRES", "string", false, "categorical"),
            row("CREATION_TIMESTAMP", "long", false, ""),
        ],
        ("ITEMS", _) => vec![word("ITEM_ID"), category("CATEGORY_L1"), number("CREATION_TIMESTAMP", "long")],
        ("USERS", "VIDEO_ON_DEMAND") => {
            vec![word("USER_ID"), row("SUBSCRIPTION_MODEL", "string", false, "categorical")]
        }
        ("USERS", "ECOMMERCE") => {
            vec![word("USER_ID"), row("MEMBERSHIP_STATUS", "string", false, "categorical")]
        }
        ("USERS", _) => vec![word("USER_ID"), number("AGE", "int"), category("GENDER")],
        ("ACTIONS", _) => vec![word("ACTION_ID"), number("VALUE", "long"), category("MEMBERSHIP_LEVEL")],
        _ => vec![word("USER_ID"), word("ACTION_ID"), word("EVENT_TYPE"), time()],
    }
}

fn row(name: &str, kind: &str, is_nullable: bool, attribute: &str) -> Row {
    let (name, kind, attribute) = (name.to_owned(), kind.to_owned(), attribute.to_owned());
    Row { name, kind, is_nullable, attribute, is_required: false }
}

/// Says of each row whether its field is required.
pub fn mark(rows: &mut [Row], required: &[&str]) {
    for row in rows {
        row.is_required = required.contains(&row.name.as_str());
    }
}

/// The rows that a form sent; those without a name are left out.
pub fn rows_of(form: &Form) -> Vec<Row> {
    let fields = form.all("field-name").zip(form.all("field-type")).zip(form.all("field-null"));
    let fields = fields.zip(form.all("field-attribute"));
    let rows = fields.map(|(((name, kind), null), attribute)| row(name, kind, null == "yes", attribute));
    rows.filter(|row| !row.name.is_empty()).collect()
}

/// The schema of a dataset's type with these fields, a line each.
pub fn document(kind: &str, rows: &[Row]) -> String {
    let lines: Vec<String> = rows.iter().map(line).collect();
    let (record, fields) = (json!(record_name(kind)), lines.join(",\n"));
    format!(
        "{{\n  \"type\": \"record\",\n  \"name\": {record},\n  \"namespace\": \"{NAMESPACE}\",\n  \
         \"fields\": [\n{fields}\n  ],\n  \"version\": \"1.0\"\n}}"
    )
}

fn line(row: &Row) -> String {
    let (name, kind) = (json!(row.name), json!(row.kind));
    let kind = if row.is_nullable { format!("[\"null\", {kind}]") } else { kind.to_string() };
    let attribute =
        if row.attribute.is_empty() { String::new() } else { format!(", {}: true", json!(row.attribute)) };
    format!("    {{ \"name\": {name}, \"type\": {kind}{attribute} }}")
}

/// The fields of a schema as rows.
///
/// # Errors
/// A refusal for what is no JSON, and for what a table would lose.
pub fn rows(text: &str) -> Result<Vec<Row>, Refusal> {
    let schema: Value =
        serde_json::from_str(text).map_err(|cause| cannot(&format!("it is no JSON ({cause})")))?;
    let members = schema.as_object().ok_or_else(|| cannot("it is no record"))?;
    let is_usual = |name: &str| match name {
        "type" | "name" | "fields" => true,
        "namespace" => schema[name] == NAMESPACE,
        "version" => schema[name] == "1.0",
        _ => false,
    };
    if let Some(name) = members.keys().find(|name| !is_usual(name)) {
        return Err(cannot(&format!("a table has no place for its {name}")));
    }
    let fields = schema["fields"].as_array().ok_or_else(|| cannot("it has no list of fields"))?;
    fields
        .iter()
        .map(|field| read(field).ok_or_else(|| cannot(&format!("a table has no place for {field}"))))
        .collect()
}

fn read(field: &Value) -> Option<Row> {
    let is_so = |name: &str| field.get(name).map_or(Some(false), Value::as_bool);
    let attribute = match (is_so("categorical")?, is_so("textual")?) {
        (false, false) => "",
        (true, false) => "categorical",
        (false, true) => "textual",
        (true, true) => return None,
    };
    let known = ["name", "type", "categorical", "textual"];
    if field.as_object()?.keys().any(|name| !known.contains(&name.as_str())) {
        return None;
    }
    let kinds: Vec<&str> = match &field["type"] {
        Value::Array(kinds) => kinds.iter().map(Value::as_str).collect::<Option<_>>()?,
        kind => vec![kind.as_str()?],
    };
    let is_nullable = kinds.contains(&"null");
    let mut others = kinds.into_iter().filter(|kind| *kind != "null");
    let kind = others.next().filter(|kind| KINDS.contains(kind))?;
    others
        .next()
        .is_none()
        .then(|| row(field["name"].as_str().unwrap_or_default(), kind, is_nullable, attribute))
}

fn cannot(why: &str) -> Refusal {
    let message = format!("This schema can't be shown as a table: {why}. Edit it as JSON.");
    Refusal { status: 400, code: String::new(), message }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KINDS_AND_DOMAINS: [(&str, &str); 9] = [
        ("INTERACTIONS", ""),
        ("INTERACTIONS", "ECOMMERCE"),
        ("ITEMS", ""),
        ("ITEMS", "ECOMMERCE"),
        ("ITEMS", "VIDEO_ON_DEMAND"),
        ("USERS", ""),
        ("USERS", "VIDEO_ON_DEMAND"),
        ("ACTIONS", ""),
        ("ACTION_INTERACTIONS", ""),
    ];

    #[test]
    fn each_default_is_a_schema_that_the_service_takes() {
        for (kind, domain) in KINDS_AND_DOMAINS {
            let text = document(kind, &default(kind, domain));
            let parsed = Schema::parse(&text, Domain::parse(domain));
            assert_eq!(parsed.map(|schema| schema.dataset_type.as_str()), Ok(kind), "{domain} {text}");
        }
    }

    #[test]
    fn a_table_and_its_json_are_the_same() {
        for (kind, domain) in KINDS_AND_DOMAINS {
            let rows_before = default(kind, domain);
            assert_eq!(rows(&document(kind, &rows_before)), Ok(rows_before));
        }
    }

    #[test]
    fn what_a_table_would_lose_stays_json() {
        let with = |fields: &str, more: &str| {
            format!("{{\"type\":\"record\",\"name\":\"Items\",\"fields\":[{fields}]{more}}}")
        };
        assert!(rows(&with(r#"{"name":"A","type":["string"]}"#, "")).is_ok());
        for text in [
            with(r#"{"name":"A","type":"string","doc":"x"}"#, ""),
            with(r#"{"name":"A","type":["string","int"]}"#, ""),
            with(r#"{"name":"A","type":"enum"}"#, ""),
            with(r#"{"name":"A","type":"string","categorical":1}"#, ""),
            with(r#""A""#, ""),
            with("", r#","version":"1.1""#),
            "{".to_owned(),
            "[]".to_owned(),
            "{}".to_owned(),
        ] {
            assert!(rows(&text).is_err(), "{text}");
        }
    }

    #[test]
    fn names_are_quoted_as_json_wants_it() {
        let text = document("ITEMS", &[row("a\"b\\", "string", true, "textual")]);
        let parsed: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(
            parsed["fields"][0],
            json!({ "name": "a\"b\\", "type": ["null", "string"], "textual": true })
        );
    }

    #[test]
    fn required_fields_are_those_of_the_domain() {
        let mut rows = default("ITEMS", "ECOMMERCE");
        mark(&mut rows, &required("ITEMS", "ECOMMERCE"));
        assert!(rows.iter().all(|row| row.is_required));
        assert_eq!(required("ITEMS", ""), ["ITEM_ID"]);
    }

    #[test]
    fn a_form_gives_its_rows() {
        let form = Form::parse(
            "field-name=A&field-type=long&field-null=yes&field-attribute=&\
             field-name=&field-type=string&field-null=no&field-attribute=&\
             field-name=B&field-type=string&field-null=no&field-attribute=categorical",
        );
        assert_eq!(rows_of(&form), [row("A", "long", true, ""), row("B", "string", false, "categorical")]);
    }
}
