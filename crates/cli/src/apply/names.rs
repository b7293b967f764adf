//! References of a file, such as `${lade:key/shop}`, and what they stand for on the server.

use std::collections::{BTreeMap, BTreeSet};

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
    /// The aliases of the keys that the file declares.
    declared_keys: BTreeSet<String>,
    /// The ARNs of keys by their aliases; those that are not there (yet) have none.
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
        let declared = items.iter().filter(|item| item.kind == Kind::Key).map(|item| item.name.clone());
        let declared_keys: BTreeSet<String> = declared.collect();
        let named = items.iter().flat_map(|item| item.wanted.values()).flat_map(keys_in).map(str::to_owned);
        let keys = declared_keys.iter().cloned().chain(named).map(|alias| (alias, None)).collect();
        Names { account, region, role_paths, declared_keys, keys }
    }

    /// A key that the file names, and that neither is there nor will be made.
    pub fn stray_key(&self) -> Option<&str> {
        let mut strays =
            self.keys.iter().filter(|(alias, arn)| arn.is_none() && !self.declared_keys.contains(*alias));
        strays.next().map(|(alias, _)| alias.as_str())
    }

    /// Whether a value names a key that is not there yet.
    pub fn waits_for_key(&self, value: &Value) -> bool {
        keys_in(value).any(|alias| self.keys.get(alias).is_none_or(Option::is_none))
    }

    /// The ARN of one of Personalize's own resources.
    pub fn personalize(&self, resource: &str) -> String {
        format!("arn:aws:personalize:{}:{}:{resource}", self.region, self.account)
    }

    /// Attributes with what their references stand for.
    ///
    /// # Errors
    /// The first reference that stands for nothing, and the first to a key that is not there.
    pub fn resolve(&self, wanted: &Attributes) -> Result<Attributes, String> {
        self.replace_all(wanted, None)
    }

    /// As `resolve`, for a plan: keys that the file declares are `LATER`. Nothing of this may reach the server.
    ///
    /// # Errors
    /// As `resolve`, but for these keys.
    pub fn resolve_for_plan(&self, wanted: &Attributes) -> Result<Attributes, String> {
        self.replace_all(wanted, Some(LATER))
    }

    fn replace_all(&self, wanted: &Attributes, later: Option<&str>) -> Result<Attributes, String> {
        wanted.iter().map(|(name, value)| Ok((name.clone(), self.replaced(value, later)?))).collect()
    }

    fn replaced(&self, value: &Value, later: Option<&str>) -> Result<Value, String> {
        Ok(match value {
            Value::String(text) => Value::String(self.text(text, later)?),
            Value::Array(list) => {
                Value::Array(list.iter().map(|v| self.replaced(v, later)).collect::<Result<_, _>>()?)
            }
            Value::Object(members) => Value::Object(
                members
                    .iter()
                    .map(|(name, v)| Ok((name.clone(), self.replaced(v, later)?)))
                    .collect::<Result<_, String>>()?,
            ),
            other => other.clone(),
        })
    }

    fn text(&self, text: &str, later: Option<&str>) -> Result<String, String> {
        let mut whole = String::new();
        let mut rest = text;
        while let Some((before, behind)) = rest.split_once(OPEN) {
            let Some((reference, behind)) = behind.split_once('}') else { break };
            whole.push_str(before);
            whole.push_str(&self.meaning(reference, later)?);
            rest = behind;
        }
        whole.push_str(rest);
        Ok(whole)
    }

    fn meaning(&self, reference: &str, later: Option<&str>) -> Result<String, String> {
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
            ("key", alias) => self.key(alias, later),
            _ => Err(format!(
                "{OPEN}{reference}}} stands for nothing: there are role, key, schema, dataset, datasetGroup, account and region"
            )),
        }
    }

    fn key(&self, alias: &str, later: Option<&str>) -> Result<String, String> {
        let later = later.filter(|_| self.declared_keys.contains(alias)).map(str::to_owned);
        let known = self.keys.get(alias).cloned().flatten();
        known.or(later).ok_or_else(|| format!("there is no key alias/{alias}"))
    }
}

const OPEN: &str = "${lade:";

/// The aliases of the keys that a value names.
fn keys_in(value: &Value) -> impl Iterator<Item = &str> {
    references(value).into_iter().filter_map(|reference| reference.strip_prefix("key/"))
}

/// The references in a value, without what is around them.
fn references(value: &Value) -> Vec<&str> {
    match value {
        Value::String(text) => references_in(text).collect(),
        Value::Array(list) => list.iter().flat_map(references).collect(),
        Value::Object(members) => members.values().flat_map(references).collect(),
        _ => Vec::new(),
    }
}

/// The references in a text, without what is around them.
pub fn references_in(text: &str) -> impl Iterator<Item = &str> {
    text.split(OPEN).skip(1).filter_map(|rest| Some(rest.split_once('}')?.0))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn item(kind: Kind, name: &str, wanted: Value) -> Item {
        let wanted = wanted.as_object().unwrap().clone().into_iter().collect();
        Item { kind, name: name.into(), at: crate::apply::yaml::Place { line: 1, column: 1 }, wanted }
    }

    fn resolved(names: &Names, text: &str) -> Result<Value, String> {
        names.resolve(&Attributes::from([("a".into(), json!([text]))])).map(|all| all["a"][0].clone())
    }

    #[test]
    fn references_stand_for_arns() {
        let role = item(Kind::Role, "Export", json!({ "path": "/jobs/" }));
        let mut names = Names::new("1".into(), "r".into(), &[role]);
        names.keys.insert("k".into(), Some("arn:k".into()));
        for (text, meaning) in [
            ("${lade:role/Export}", "arn:aws:iam::1:role/jobs/Export"),
            ("${lade:role/Other}", "arn:aws:iam::1:role/Other"),
            ("${lade:dataset/shop/ITEMS}", "arn:aws:personalize:r:1:dataset/shop/ITEMS"),
            ("x-${lade:account}-${lade:region}-${aws:username}", "x-1-r-${aws:username}"),
            ("${lade:key/k}", "arn:k"),
        ] {
            assert_eq!(resolved(&names, text).unwrap(), meaning);
        }
        assert!(resolved(&names, "${lade:bucket/b}").unwrap_err().contains("stands for nothing"));
        assert!(resolved(&names, "${lade:role}").is_err());
    }

    #[test]
    fn a_key_that_is_not_there_is_later_in_plans_alone_and_only_if_declared() {
        let policy = json!({ "policy": { "Resource": ["x ${lade:key/k}", "${lade:key/stray}"] } });
        let mut names = Names::new("1".into(), "r".into(), &[item(Kind::Key, "k", policy.clone())]);
        let planned = |names: &Names, text: &str| {
            names.resolve_for_plan(&Attributes::from([("a".into(), json!(text))])).map(|all| all["a"].clone())
        };
        assert_eq!(planned(&names, "${lade:key/k}").unwrap(), LATER);
        assert!(planned(&names, "${lade:key/stray}").unwrap_err().contains("no key alias/stray"));
        assert!(resolved(&names, "${lade:key/k}").unwrap_err().contains("no key alias/k"));
        assert_eq!(names.stray_key(), Some("stray"));
        assert!(names.waits_for_key(&policy));
        names.keys.insert("stray".into(), Some("arn:s".into()));
        assert_eq!(names.stray_key(), None);
        names.keys.insert("k".into(), Some("arn:k".into()));
        assert!(!names.waits_for_key(&policy));
        assert_eq!(planned(&names, "${lade:key/k}").unwrap(), "arn:k");
    }
}
