//! Analyses of dataset groups as the server shows them under `/lade/v1/analyses`.

use http::Method;
use model::error::{Error, Result};
use serde_json::{Value, json};

use super::Client;
use super::job::segment;
use crate::insights::Analysis;

impl Client {
    /// How it stands with the analysis of a group, and what the last one found.
    pub async fn analysis(&self, group_arn: &str) -> Result<Analysis> {
        let path = format!("/analyses?datasetGroupArn={}", segment(group_arn));
        Analysis::read(self.lade_with(Method::GET, &path, Default::default()).await?)
    }

    /// Begins an analysis of a group, unless one goes on.
    pub async fn begin_analysis(&self, group_arn: &str) -> Result<Analysis> {
        let body = json!({ "datasetGroupArn": group_arn }).to_string();
        Analysis::read(self.lade_with(Method::POST, "/analyses", body.into()).await?)
    }

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
