//! References of a file, such as `${lade:key/shop}`, and what they stand for on the server.

use std::collections::BTreeMap;

use serde_json::Value;

use super::item::{Attributes, Item, Kind, text};

/// What is not known before something else is made.
pub const LATER: &str = "(known after it is made)";

/// What references of a file can stand for.
#[derive(Debug)]
pub struct Names {
    pub account: String,
    pub region: String,
    /// The paths of the roles that the file declares.
    role_paths: BTreeMap<String, String>,
    /// The ARNs of keys by their aliases; those that are made later have none.
    pub keys: BTreeMap<String, Option<String>>,
}

impl Names {
    /// Names whose keys nobody has looked up yet.
    pub fn new(account: String, region: String, items: &[Item]) -> Names {
        let roles = items.iter().filter(|item| item.kind == Kind::Role);
        let role_paths = roles.map(|item| {
            let path = text(&item.wanted, "path").unwrap_or("/");
            (item.name.clone(), path.to_owned())
        });
        let role_paths = role_paths.collect();
        let mut keys: BTreeMap<String, Option<String>> = items
            .iter()
            .filter(|item| item.kind == Kind::Key)
            .map(|item| (item.name.clone(), None))
            .collect();
        for reference in items.iter().flat_map(|item| item.wanted.values()).flat_map(references) {
            if let Some(alias) = reference.strip_prefix("key/") {
                keys.insert(alias.to_owned(), None);
            }
        }
        Names { account, region, role_paths, keys }
    }

    /// The ARN of one of Personalize's own resources.
    pub fn personalize(&self, resource: &str) -> String {
        format!("arn:aws:personalize:{}:{}:{resource}", self.region, self.account)
    }

    /// Attributes with what their references stand for.
    ///
    /// # Errors
    /// The first reference that stands for nothing.
    pub fn resolve(&self, wanted: &Attributes) -> Result<Attributes, String> {
        wanted.iter().map(|(name, value)| Ok((name.clone(), self.replaced(value)?))).collect()
    }

    fn replaced(&self, value: &Value) -> Result<Value, String> {
        Ok(match value {
            Value::String(text) => Value::String(self.text(text)?),
            Value::Array(list) => {
                Value::Array(list.iter().map(|v| self.replaced(v)).collect::<Result<_, _>>()?)
            }
            Value::Object(members) => Value::Object(
                members
                    .iter()
                    .map(|(name, v)| Ok((name.clone(), self.replaced(v)?)))
                    .collect::<Result<_, String>>()?,
            ),
            other => other.clone(),
        })
    }

    fn text(&self, text: &str) -> Result<String, String> {
        let mut whole = String::new();
        let mut rest = text;
        while let Some((before, behind)) = rest.split_once(OPEN) {
            let Some((reference, behind)) = behind.split_once('}') else { break };
            whole.push_str(before);
            whole.push_str(&self.meaning(reference)?);
            rest = behind;
        }
        whole.push_str(rest);
        Ok(whole)
    }

    fn meaning(&self, reference: &str) -> Result<String, String> {
        let (kind, name) = reference.split_once('/').unwrap_or((reference, ""));
        match (kind, name) {
            ("account", "") => Ok(self.account.clone()),
            ("region", "") => Ok(self.region.clone()),
            (_, "") => Err(format!("{OPEN}{reference}}} stands for nothing")),
            ("role", name) => {
                let path = self.role_paths.get(name).map_or("/", String::as_str);
                Ok(format!("arn:aws:iam::{}:role{path}{name}", self.account))
            }
            ("schema" | "dataset", _) => Ok(self.personalize(reference)),
            ("datasetGroup", name) => Ok(self.personalize(&format!("dataset-group/{name}"))),
            ("key", name) => Ok(self.keys.get(name).cloned().flatten().unwrap_or_else(|| LATER.to_owned())),
            _ => Err(format!(
                "{OPEN}{reference}}} stands for nothing: there are role, key, schema, dataset, datasetGroup, account and region"
            )),
        }
    }
}

const OPEN: &str = "${lade:";

/// The references in a value, without what is around them.
fn references(value: &Value) -> Vec<&str> {
    match value {
        Value::String(text) => {
            text.split(OPEN).skip(1).filter_map(|rest| Some(rest.split_once('}')?.0)).collect()
        }
        Value::Array(list) => list.iter().flat_map(references).collect(),
        Value::Object(members) => members.values().flat_map(references).collect(),
        _ => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn references_stand_for_arns() {
        let role = Item {
            kind: Kind::Role,
            name: "Export".into(),
            at: crate::apply::yaml::Place { line: 1, column: 1 },
            wanted: Attributes::from([("path".into(), json!("/jobs/"))]),
        };
        let mut names = Names::new("1".into(), "r".into(), &[role]);
        let resolved = |names: &Names, text: &str| {
            names.resolve(&Attributes::from([("a".into(), json!([text]))])).map(|all| all["a"][0].clone())
        };
        for (text, meaning) in [
            ("${lade:role/Export}", "arn:aws:iam::1:role/jobs/Export"),
            ("${lade:role/Other}", "arn:aws:iam::1:role/Other"),
            ("${lade:dataset/shop/ITEMS}", "arn:aws:personalize:r:1:dataset/shop/ITEMS"),
            ("x-${lade:account}-${lade:region}-${aws:username}", "x-1-r-${aws:username}"),
            ("${lade:key/k}", LATER),
        ] {
            assert_eq!(resolved(&names, text).unwrap(), meaning);
        }
        names.keys.insert("k".into(), Some("arn:k".into()));
        assert_eq!(resolved(&names, "${lade:key/k}").unwrap(), "arn:k");
        assert!(resolved(&names, "${lade:bucket/b}").unwrap_err().contains("stands for nothing"));
        assert!(resolved(&names, "${lade:role}").is_err());
    }
}
