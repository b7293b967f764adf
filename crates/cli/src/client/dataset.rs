//! Datasets as the server shows them under `/lade/v1/datasets`.

use http::Method;
use model::error::{Error, Result};
use serde_json::{Value, json};

use super::Client;
use super::job::segment;

impl Client {
    /// All datasets, or those of a group, as the server tells them.
    pub async fn datasets(&self, group_arn: Option<&str>) -> Result<Vec<Value>> {
        let group = group_arn.map(|arn| format!("&datasetGroupArn={}", segment(arn))).unwrap_or_default();
        let mut datasets = Vec::new();
        let mut path = format!("/datasets?maxResults=1000{group}");
        loop {
            let page = self.lade(Method::GET, &path).await?;
            datasets.extend(page["datasets"].as_array().cloned().unwrap_or_default());
            match page["nextToken"].as_str() {
                Some(token) => {
                    path = format!("/datasets?maxResults=1000{group}&nextToken={}", segment(token));
                }
                None => return Ok(datasets),
            }
        }
    }

    /// The ARN of a dataset group of this name.
    ///
    /// # Errors
    /// `NotFound` when there is none.
    pub async fn group_arn(&self, name: &str) -> Result<String> {
        let mut input = json!({});
        loop {
            let page = self.personalize("ListDatasetGroups", input).await?;
            let listed = page["datasetGroups"].as_array().map(Vec::as_slice).unwrap_or_default();
            let found = listed.iter().find(|group| group["name"].as_str() == Some(name));
            if let Some(arn) = found.and_then(|group| group["datasetGroupArn"].as_str()) {
                return Ok(arn.to_owned());
            }
            let none = || {
                let text = format!("There is no dataset group of this name: {name}");
                Error::new(model::ErrorKind::NotFound, text)
            };
            input = json!({ "nextToken": page["nextToken"].as_str().ok_or_else(none)? });
        }
    }
}
