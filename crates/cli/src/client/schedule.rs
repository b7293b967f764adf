//! Export schedules as the server shows them under `/lade/v1/schedules`.

use http::Method;
use model::error::{ErrorKind, Result};
use serde_json::Value;

use super::Client;
use super::job::segment;

impl Client {
    /// All schedules, by name.
    pub async fn schedules(&self) -> Result<Vec<Value>> {
        let answer = self.lade(Method::GET, "/schedules").await?;
        Ok(answer["schedules"].as_array().cloned().unwrap_or_default())
    }

    /// # Errors
    /// `NotFound`.
    pub async fn schedule(&self, name: &str) -> Result<Value> {
        self.lade(Method::GET, &path(name, "")).await
    }

    /// The same, where there may be none.
    pub async fn schedule_if_any(&self, name: &str) -> Result<Option<Value>> {
        match self.schedule(name).await {
            Err(cause) if cause.kind == ErrorKind::NotFound => Ok(None),
            found => found.map(Some),
        }
    }

    pub async fn put_schedule(&self, name: &str, body: &Value) -> Result<Value> {
        self.lade_with(Method::PUT, &path(name, ""), body.to_string().into()).await
    }

    /// Does `run`, `pause` or `resume`.
    pub async fn tell_schedule(&self, name: &str, what: &str) -> Result<Value> {
        self.lade(Method::POST, &path(name, &format!("/{what}"))).await
    }

    pub async fn delete_schedule(&self, name: &str) -> Result<()> {
        self.lade(Method::DELETE, &path(name, "")).await.map(drop)
    }
}

fn path(name: &str, more: &str) -> String {
    format!("/schedules/{}{more}", segment(name))
}
