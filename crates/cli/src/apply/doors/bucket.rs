//! Buckets with their policies.

use model::error::Result;

use super::{Attributes, Found, document, if_any};
use crate::client::Client;

pub async fn find(s3: &Client, name: &str) -> Result<Option<Found>> {
    if if_any(s3.s3_get(&format!("/{name}?location")).await)?.is_none() {
        return Ok(None);
    }
    let mut attributes = Attributes::new();
    if let Some(policy) = if_any(s3.s3_get(&format!("/{name}?policy")).await)? {
        attributes.insert("policy".to_owned(), document(&String::from_utf8_lossy(&policy))?);
    }
    Ok(Some(Found { attributes, more: Vec::new() }))
}

pub async fn create(s3: &Client, name: &str, wanted: &Attributes) -> Result<()> {
    s3.s3_put(&format!("/{name}"), "").await?;
    put_policy(s3, name, wanted).await
}

pub async fn put_policy(s3: &Client, name: &str, wanted: &Attributes) -> Result<()> {
    match wanted.get("policy") {
        Some(policy) => s3.s3_put(&format!("/{name}?policy"), policy.to_string()).await,
        None => Ok(()),
    }
}
