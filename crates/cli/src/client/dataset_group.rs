//! Dataset groups by their names.

use model::error::{Error, Result};
use serde_json::{Value, json};

use super::Client;

impl Client {
    /// The ARN of a dataset group, by its ARN or its name.
    ///
    /// # Errors
    /// `NotFound` when no group has this name.
    pub async fn group_arn(&self, group: &str) -> Result<String> {
        if group.starts_with("arn:") {
            return Ok(group.to_owned());
        }
        let mut input = json!({});
        loop {
            let page = self.personalize("ListDatasetGroups", input).await?;
            let listed = page["datasetGroups"].as_array().map(Vec::as_slice).unwrap_or_default();
            let found = listed.iter().find(|listed| listed["name"] == group);
            if let Some(arn) = found.and_then(|found| found["datasetGroupArn"].as_str()) {
                return Ok(arn.to_owned());
            }
            let Value::String(token) = &page["nextToken"] else {
                let text = format!("there is no dataset group named {group}");
                return Err(Error::new(model::ErrorKind::NotFound, text));
            };
            input = json!({ "nextToken": token });
        }
    }
}
