//! What each dataset type and domain asks of a schema's fields: required, reserved, counted.

use super::{Field, Kind};
use crate::dataset::{DatasetType, Domain};

/// A field with a meaning of its own: its type is fixed.
struct Reserved {
    name: &'static str,
    kind: Kind,
    categorical: bool,
    textual: bool,
    null_allowed: bool,
    required: bool,
}

const fn field(name: &'static str, kind: Kind) -> Reserved {
    Reserved { name, kind, categorical: false, textual: false, null_allowed: true, required: false }
}

const fn required(name: &'static str, kind: Kind) -> Reserved {
    Reserved { null_allowed: false, required: true, ..field(name, kind) }
}

const fn categorical(name: &'static str) -> Reserved {
    Reserved { categorical: true, ..field(name, Kind::String) }
}

const fn required_categorical(name: &'static str) -> Reserved {
    Reserved { categorical: true, ..required(name, Kind::String) }
}

const fn textual(name: &'static str) -> Reserved {
    Reserved { textual: true, ..field(name, Kind::String) }
}

const fn never_null(name: &'static str, kind: Kind) -> Reserved {
    Reserved { null_allowed: false, ..field(name, kind) }
}

const INTERACTIONS: &[Reserved] = &[
    required("USER_ID", Kind::String),
    required("ITEM_ID", Kind::String),
    required("TIMESTAMP", Kind::Long),
    never_null("EVENT_TYPE", Kind::String),
    field("EVENT_VALUE", Kind::Float),
    field("IMPRESSION", Kind::String),
    field("RECOMMENDATION_ID", Kind::String),
    field("EVENT_ATTRIBUTION_SOURCE", Kind::String),
];
const DOMAIN_INTERACTIONS: &[Reserved] = &[
    required("USER_ID", Kind::String),
    required("ITEM_ID", Kind::String),
    required("TIMESTAMP", Kind::Long),
    required("EVENT_TYPE", Kind::String),
    field("EVENT_VALUE", Kind::Float),
    field("IMPRESSION", Kind::String),
    field("RECOMMENDATION_ID", Kind::String),
    field("EVENT_ATTRIBUTION_SOURCE", Kind::String),
];
const USERS: &[Reserved] = &[required("USER_ID", Kind::String)];
const VIDEO_USERS: &[Reserved] = &[required("USER_ID", Kind::String), categorical("SUBSCRIPTION_MODEL")];
const ITEMS: &[Reserved] = &[required("ITEM_ID", Kind::String), field("CREATION_TIMESTAMP", Kind::Long)];
const ECOMMERCE_ITEMS: &[Reserved] = &[
    required("ITEM_ID", Kind::String),
    required("PRICE", Kind::Float),
    required_categorical("CATEGORY_L1"),
    categorical("CATEGORY_L2"),
    categorical("CATEGORY_L3"),
    textual("PRODUCT_DESCRIPTION"),
    field("CREATION_TIMESTAMP", Kind::Long),
    categorical("AGE_GROUP"),
    categorical("ADULT"),
    categorical("GENDER"),
];
const VIDEO_ITEMS: &[Reserved] = &[
    required("ITEM_ID", Kind::String),
    required("CREATION_TIMESTAMP", Kind::Long),
    required_categorical("GENRES"),
    field("PRICE", Kind::Float),
    field("DURATION", Kind::Float),
    field("AVERAGE_RATING", Kind::Float),
    categorical("GENRE_L2"),
    categorical("GENRE_L3"),
    categorical("CONTENT_OWNER"),
    categorical("CONTENT_CLASSIFICATION"),
    textual("PRODUCT_DESCRIPTION"),
];
const ACTIONS: &[Reserved] = &[
    required("ACTION_ID", Kind::String),
    field("CREATION_TIMESTAMP", Kind::Long),
    field("VALUE", Kind::Long),
    field("TYPE", Kind::String),
    field("EXPIRATION_TIMESTAMP", Kind::Long),
    field("ACTION_EXPIRATION_TIMESTAMP", Kind::Long),
    field("REPEAT_FREQUENCY", Kind::Long),
];
const ACTION_INTERACTIONS: &[Reserved] = &[
    required("USER_ID", Kind::String),
    required("ACTION_ID", Kind::String),
    required("TIMESTAMP", Kind::Long),
    required("EVENT_TYPE", Kind::String),
    field("IMPRESSION", Kind::String),
    field("RECOMMENDATION_ID", Kind::String),
];

fn reserved(dataset_type: DatasetType, domain: Option<Domain>) -> &'static [Reserved] {
    match (dataset_type, domain) {
        (DatasetType::Interactions, None) => INTERACTIONS,
        (DatasetType::Interactions, Some(_)) => DOMAIN_INTERACTIONS,
        (DatasetType::Users, Some(Domain::VideoOnDemand)) => VIDEO_USERS,
        (DatasetType::Users, _) => USERS,
        (DatasetType::Items, None) => ITEMS,
        (DatasetType::Items, Some(Domain::Ecommerce)) => ECOMMERCE_ITEMS,
        (DatasetType::Items, Some(Domain::VideoOnDemand)) => VIDEO_ITEMS,
        (DatasetType::Actions, _) => ACTIONS,
        (DatasetType::ActionInteractions, _) => ACTION_INTERACTIONS,
    }
}

/// The fields that a schema must have.
pub fn required_names(dataset_type: DatasetType, domain: Option<Domain>) -> Vec<&'static str> {
    reserved(dataset_type, domain).iter().filter(|r| r.required).map(|r| r.name).collect()
}

/// Adds a sentence to `problems` for each rule that the fields break.
///
/// `names` are those of all fields, the unreadable ones too.
pub fn check(
    dataset_type: DatasetType,
    domain: Option<Domain>,
    fields: &[Field],
    names: &[&str],
    problems: &mut Vec<String>,
) {
    let reserved = reserved(dataset_type, domain);
    check_names(fields, problems);
    check_required(reserved, names, problems);
    for field in fields {
        if let Some(rule) = reserved.iter().find(|r| r.name == field.name) {
            check_reserved(rule, field, problems);
        }
        check_attributes(dataset_type, field, problems);
    }
    if fields.iter().filter(|f| f.textual).count() > 1 {
        problems.push(TEXTUAL.to_owned());
    }
    check_count(dataset_type, reserved, fields, problems);
}

const TEXTUAL: &str = "Attribute textual is only supported for one string field of an Items schema.";

fn check_names(fields: &[Field], problems: &mut Vec<String>) {
    let plain = |name: &str| name.replace('_', "").to_ascii_lowercase();
    for (n, field) in fields.iter().enumerate() {
        if let Some(twin) = fields[..n].iter().find(|other| plain(&other.name) == plain(&field.name)) {
            problems.push(format!("Schema field names must be unique: {}, {}.", twin.name, field.name));
        }
    }
}

fn check_required(reserved: &[Reserved], names: &[&str], problems: &mut Vec<String>) {
    let is_there = |name: &str| names.contains(&name);
    let missing: Vec<&str> =
        reserved.iter().filter(|r| r.required && !is_there(r.name)).map(|r| r.name).collect();
    if !missing.is_empty() {
        problems.push(format!("Schema is missing the following required fields: [{}].", missing.join(", ")));
    }
}

fn check_reserved(rule: &Reserved, field: &Field, problems: &mut Vec<String>) {
    if field.kind != rule.kind || (field.nullable && !rule.null_allowed) {
        let null = if rule.null_allowed { ", or that and null" } else { "" };
        problems.push(format!("Field {} must be of type {}{null}.", field.name, rule.kind.as_str()));
    }
    if rule.categorical && !field.categorical {
        problems.push(format!("Field {} must be categorical.", field.name));
    }
    if !rule.categorical && rule.kind == Kind::String && field.categorical {
        problems.push(format!("Field {} can't be categorical.", field.name));
    }
    if rule.textual && !field.textual {
        problems.push(format!("Field {} must be textual.", field.name));
    }
}

fn check_attributes(dataset_type: DatasetType, field: &Field, problems: &mut Vec<String>) {
    if field.categorical && field.kind != Kind::String {
        problems.push(format!("Field {} can't be categorical.", field.name));
    }
    if field.categorical && field.textual {
        problems.push(format!("Field {} can't be both categorical and textual.", field.name));
    }
    if field.textual && (field.kind != Kind::String || dataset_type != DatasetType::Items) {
        problems.push(TEXTUAL.to_owned());
    }
}

/// The least and the most metadata fields of a type. Source: "Quotas".
fn metadata_limits(dataset_type: DatasetType) -> (usize, usize) {
    match dataset_type {
        DatasetType::Interactions | DatasetType::ActionInteractions => (0, 5),
        DatasetType::Users => (1, 25),
        DatasetType::Items => (1, 100),
        DatasetType::Actions => (1, 10),
    }
}

// Keys, times and the words with a meaning of their own are no metadata, except what a domain names as metadata.
fn check_count(
    dataset_type: DatasetType,
    reserved: &[Reserved],
    fields: &[Field],
    problems: &mut Vec<String>,
) {
    let is_keyed = dataset_type.is_keyed();
    let is_key_or_time = |f: &Field| {
        (f.name.ends_with("_ID") || f.name.ends_with("TIMESTAMP"))
            && reserved.iter().any(|r| r.name == f.name)
    };
    let is_metadata = |f: &&Field| {
        let is_reserved = reserved.iter().any(|r| r.name == f.name);
        if is_keyed { !is_key_or_time(f) } else { !is_reserved }
    };
    let counted = fields.iter().filter(is_metadata).count();
    let usable = |f: &Field| f.categorical || f.textual || !matches!(f.kind, Kind::String | Kind::Boolean);
    let usable = fields.iter().filter(is_metadata).any(usable);
    let (least, most) = metadata_limits(dataset_type);
    if counted > most || (least > 0 && !usable) {
        let name = dataset_type.as_str();
        problems.push(format!("Schema for {name} must have between {least} and {most} metadata fields."));
    }
}
