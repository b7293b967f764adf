//! What a file declares: items with their attributes, in the order in which they can be made.

use std::collections::BTreeMap;

use serde_json::Value;

use super::yaml::Place;

/// Attributes by name, such as `trust`, `policies.s3` or `tags.team`.
pub type Attributes = BTreeMap<String, Value>;

/// What an item is of; those that come first are made first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    Key,
    Role,
    User,
    Bucket,
    Schema,
    Group,
    Dataset,
    Tracker,
    Schedule,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Item {
    pub kind: Kind,
    /// As it is shown: a dataset is `shop/ITEMS`, the tracker of a group bears the group's name.
    pub name: String,
    /// Where the file declares it.
    pub at: Place,
    pub wanted: Attributes,
}

/// An item as the server has it.
#[derive(Debug, Default)]
pub struct Found {
    pub attributes: Attributes,
    /// What it has that no attribute of a file tells of, and that stays.
    pub more: Vec<String>,
}

impl Kind {
    /// In words.
    pub fn as_str(self) -> &'static str {
        match self {
            Kind::Key => "key",
            Kind::Role => "role",
            Kind::User => "user",
            Kind::Bucket => "bucket",
            Kind::Schema => "schema",
            Kind::Group => "dataset group",
            Kind::Dataset => "dataset",
            Kind::Tracker => "event tracker",
            Kind::Schedule => "export schedule",
        }
    }

    /// Why an attribute stays as it was made, where it does.
    pub fn fixed(self, name: &str, attribute: &str) -> Option<&'static str> {
        match (self, attribute) {
            (Kind::Schema, _) => {
                Some("a schema can't be changed: declare one of another name, and let the dataset name that")
            }
            (Kind::Dataset, "schema") if !name.ends_with("/ITEMS") && !name.ends_with("/USERS") => {
                Some("only datasets of type ITEMS and USERS can be given another schema")
            }
            (Kind::Dataset | Kind::Tracker, "name") => Some("a name can't be changed"),
            (Kind::Group, "domain" | "role" | "kmsKey") => {
                Some("a dataset group keeps the domain, role and key that it was made with")
            }
            (Kind::Role | Kind::User, "path") => Some("a path can't be changed"),
            _ => None,
        }
    }
}

/// The attributes that begin with `prefix`, without it, as texts.
pub fn texts<'a>(
    attributes: &'a Attributes,
    prefix: &'static str,
) -> impl Iterator<Item = (&'a str, &'a str)> + 'a {
    attributes.iter().filter_map(move |(name, value)| {
        Some((name.strip_prefix(prefix)?, value.as_str().unwrap_or_default()))
    })
}

/// An attribute that is a text.
pub fn text<'a>(attributes: &'a Attributes, name: &str) -> Option<&'a str> {
    attributes.get(name).and_then(Value::as_str)
}
