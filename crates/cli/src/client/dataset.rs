//! Datasets as the server shows them under `/lade/v1/datasets`.

use http::Method;
use model::error::Result;
use serde_json::Value;

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

    /// Some records of a dataset.
    pub async fn records(&self, body: &Value) -> Result<Value> {
        self.lade_with(Method::POST, "/records", body.to_string().into()).await
    }
}
