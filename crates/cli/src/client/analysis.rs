//! Analyses of dataset groups as the server shows them under `/lade/v1/analyses`.

use http::Method;
use model::error::Result;
use serde_json::json;

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
}
