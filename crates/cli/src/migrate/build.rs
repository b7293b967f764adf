//! Makes at the target what there is at the source; what is there already is used when it is the same.

use model::error::{Error, Result};
use serde::Serialize;
use serde_json::{Value, json};

use super::plan::{Dataset, Group, NamedSchema, Tracker};
use super::side::{Side, text};

/// A key of the source, and the key and role that take its place.
#[derive(Clone, Debug, PartialEq)]
pub struct KeyMap {
    pub source_key_arn: String,
    pub target_key_arn: String,
    pub role_arn: String,
}

/// How the keys of groups are treated.
#[derive(Clone, Debug, Default)]
pub struct Keys {
    pub maps: Vec<KeyMap>,
    /// Groups with a key become groups without one.
    pub are_left_out: bool,
}

/// What is made, or was there.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Step {
    pub what: &'static str,
    pub name: String,
    pub is_there: bool,
}

/// Looks at the target and, unless it is only to look, makes what is missing.
pub struct Builder<'a> {
    side: &'a Side,
    keys: &'a Keys,
    is_dry: bool,
    pub steps: Vec<Step>,
    /// Sentences about what is there and is not the same.
    pub conflicts: Vec<String>,
}

impl<'a> Builder<'a> {
    pub fn new(side: &'a Side, keys: &'a Keys, is_dry: bool) -> Builder<'a> {
        Builder { side, keys, is_dry, steps: Vec::new(), conflicts: Vec::new() }
    }

    /// Whether it only looks.
    pub fn is_dry(&self) -> bool {
        self.is_dry
    }

    fn step(&mut self, what: &'static str, name: &str, is_there: bool) {
        let step = Step { what, name: name.to_owned(), is_there };
        if !self.steps.iter().any(|known| (known.what, &known.name) == (what, &step.name)) {
            self.steps.push(step);
        }
    }

    /// The group's ARN; none where it is missing and nothing is made.
    pub async fn group(&mut self, group: &Group) -> Result<Option<String>> {
        let key = self.key(group);
        let members = ("datasetGroups", "name", "datasetGroupArn");
        let found = self.side.find("ListDatasetGroups", members, json!({}), &group.name).await?;
        self.step("dataset group", &group.name, found.is_some());
        if let Some(arn) = found {
            let there = self.active_group(&arn).await?;
            let (domain, there_key) = (there["domain"].as_str(), there["kmsKeyArn"].as_str());
            if domain != group.domain.as_deref() {
                self.conflicts
                    .push(format!("The dataset group {} is there with another domain.", group.name));
            }
            if there_key != key.as_ref().map(|key| key.target_key_arn.as_str()) {
                self.conflicts.push(format!("The dataset group {} is there with another key.", group.name));
            }
            return Ok(Some(arn));
        }
        if self.is_dry {
            return Ok(None);
        }
        let mut input = json!({ "name": group.name, "tags": group.tags });
        if let Some(domain) = &group.domain {
            input["domain"] = json!(domain);
        }
        if let Some(key) = key {
            (input["kmsKeyArn"], input["roleArn"]) = (json!(key.target_key_arn), json!(key.role_arn));
        }
        let arn = text(&self.side.call("CreateDatasetGroup", input).await?, "datasetGroupArn")?;
        self.active_group(&arn).await?;
        Ok(Some(arn))
    }

    async fn active_group(&self, arn: &str) -> Result<Value> {
        let input = json!({ "datasetGroupArn": arn });
        self.side.until_active("DescribeDatasetGroup", input, "datasetGroup").await
    }

    fn key(&mut self, group: &Group) -> Option<KeyMap> {
        let source = group.kms_key_arn.as_ref().filter(|_| !self.keys.are_left_out)?;
        let map = self.keys.maps.iter().find(|map| map.source_key_arn == *source).cloned();
        if map.is_none() {
            self.conflicts.push(format!(
                "The dataset group {} is encrypted under {source}: name the key and role that take its place by \
                 --kms-key {source}=KEY_ARN,ROLE_ARN, or give --without-kms-keys.",
                group.name
            ));
        }
        map
    }

    /// The schema's ARN, as `group`.
    pub async fn schema(&mut self, schema: &NamedSchema) -> Result<Option<String>> {
        let members = ("schemas", "name", "schemaArn");
        let found = self.side.find("ListSchemas", members, json!({}), &schema.name).await?;
        self.step("schema", &schema.name, found.is_some());
        if let Some(arn) = found {
            if self.schema_of(&arn).await? != (schema.json.clone(), schema.domain.clone()) {
                self.conflicts
                    .push(format!("A schema {} is there with other fields or domain.", schema.name));
            }
            return Ok(Some(arn));
        }
        if self.is_dry {
            return Ok(None);
        }
        let mut input = json!({ "name": schema.name, "schema": schema.json.to_string() });
        if let Some(domain) = &schema.domain {
            input["domain"] = json!(domain);
        }
        text(&self.side.call("CreateSchema", input).await?, "schemaArn").map(Some)
    }

    async fn schema_of(&self, arn: &str) -> Result<(Value, Option<String>)> {
        let answer = self.side.call("DescribeSchema", json!({ "schemaArn": arn })).await?;
        let found = &answer["schema"];
        let json = serde_json::from_str(&text(found, "schema")?)
            .map_err(|cause| Error::unavailable(format!("{arn} is no JSON")).caused_by(cause))?;
        Ok((json, found["domain"].as_str().map(str::to_owned)))
    }

    /// The dataset's ARN, as `group`; one that is there must be empty, unless this migration began to fill it: `claimed` tells when that one
    /// was made.
    pub async fn dataset(
        &mut self,
        group: (&str, Option<&str>),
        schema_arn: Option<&str>,
        dataset: &Dataset,
        claimed: Option<&str>,
    ) -> Result<Option<String>> {
        let (group_name, group_arn) = group;
        let (name, kind) = (format!("{group_name}/{}", dataset.kind.as_str()), dataset.kind.as_str());
        let found = match group_arn {
            Some(arn) => {
                let members = ("datasets", "datasetType", "datasetArn");
                self.side.find("ListDatasets", members, json!({ "datasetGroupArn": arn }), kind).await?
            }
            None => None,
        };
        self.step("dataset", &name, found.is_some());
        if let Some(arn) = found {
            let there = self.active_dataset(&arn).await?;
            if self.schema_of(&text(&there, "schemaArn")?).await?.0 != dataset.schema.json {
                self.conflicts.push(format!("The dataset {name} is there with another schema."));
            } else if claimed != Some(made_at(&there).as_str()) && self.holds_records(&arn, group_arn).await?
            {
                self.conflicts.push(format!(
                    "The dataset {name} is there and holds records that this migration did not bring."
                ));
            }
            return Ok(Some(arn));
        }
        let (Some(group_arn), Some(schema_arn), false) = (group_arn, schema_arn, self.is_dry) else {
            return Ok(None);
        };
        let input = json!({ "name": dataset.name, "schemaArn": schema_arn, "datasetGroupArn": group_arn,
            "datasetType": kind, "tags": dataset.tags });
        let arn = text(&self.side.call("CreateDataset", input).await?, "datasetArn")?;
        self.active_dataset(&arn).await?;
        Ok(Some(arn))
    }

    /// When a dataset was made: one that was deleted and made again is another one.
    pub async fn created(&self, arn: &str) -> Result<String> {
        Ok(made_at(&self.active_dataset(arn).await?))
    }

    pub async fn active_dataset(&self, arn: &str) -> Result<Value> {
        self.side.until_active("DescribeDataset", json!({ "datasetArn": arn }), "dataset").await
    }

    async fn holds_records(&self, arn: &str, group_arn: Option<&str>) -> Result<bool> {
        let datasets = self.side.control.datasets(group_arn).await?;
        let found = datasets.iter().find(|dataset| dataset["datasetArn"] == arn);
        let rows = |name: &str| found.and_then(|found| found["rows"][name].as_u64()).unwrap_or(0);
        Ok(rows("bulk") + rows("put") + rows("waiting") > 0)
    }

    /// The tracking id of the group's tracker of this name, as `group`.
    pub async fn tracker(&mut self, group_arn: Option<&str>, tracker: &Tracker) -> Result<Option<String>> {
        let members = ("eventTrackers", "name", "eventTrackerArn");
        let found = match group_arn {
            Some(arn) => {
                let input = json!({ "datasetGroupArn": arn });
                self.side.find("ListEventTrackers", members, input, &tracker.name).await?
            }
            None => None,
        };
        self.step("event tracker", &tracker.name, found.is_some());
        let arn = match (found, group_arn) {
            (Some(arn), _) => arn,
            (None, Some(group_arn)) if !self.is_dry => {
                let input =
                    json!({ "name": tracker.name, "datasetGroupArn": group_arn, "tags": tracker.tags });
                text(&self.side.call("CreateEventTracker", input).await?, "eventTrackerArn")?
            }
            _ => return Ok(None),
        };
        let input = json!({ "eventTrackerArn": arn });
        let there = self.side.until_active("DescribeEventTracker", input, "eventTracker").await?;
        text(&there, "trackingId").map(Some)
    }
}

fn made_at(dataset: &Value) -> String {
    dataset["creationDateTime"].to_string()
}

/// Reads `SOURCE_KEY_ARN=KEY_ARN,ROLE_ARN`.
pub fn key_map(given: &str) -> Result<KeyMap, String> {
    let read = || {
        let (source, rest) = given.split_once('=')?;
        let (target, role) = rest.split_once(',')?;
        let all_arns = [source, target, role].iter().all(|arn| arn.starts_with("arn:"));
        all_arns.then(|| KeyMap {
            source_key_arn: source.to_owned(),
            target_key_arn: target.to_owned(),
            role_arn: role.to_owned(),
        })
    };
    read().ok_or_else(|| "it is SOURCE_KEY_ARN=KEY_ARN,ROLE_ARN".to_owned())
}

#[cfg(test)]
mod tests {
    use super::key_map;

    #[test]
    fn a_key_is_given_with_the_key_and_role_that_take_its_place() {
        let map = key_map("arn:a=arn:b,arn:c").unwrap();
        assert_eq!((map.source_key_arn.as_str(), map.role_arn.as_str()), ("arn:a", "arn:c"));
        assert!(key_map("arn:a=arn:b").is_err() && key_map("a=b,c").is_err());
    }
}
