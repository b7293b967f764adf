//! Nodes: the servers that work on the catalog, as they tell of themselves.

use catalog::NodeRow;
use serde::Serialize;

use super::event::rfc3339;
use crate::call::Call;
use crate::door::Api;
use crate::permission::authorize_any;
use crate::reply::Answer;

#[derive(Serialize)]
pub struct Listed {
    nodes: Vec<Node>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Node {
    /// Of its session.
    node_id: String,
    name: String,
    url: String,
    version: String,
    started_at: String,
    /// The ARNs of those that it runs.
    jobs: Vec<String>,
    /// Whether it is the one that answers.
    is_this: bool,
}

/// Shows the nodes that live, in the order in which they began.
pub async fn list(api: &Api, call: &Call) -> Answer<Listed> {
    authorize_any(api, call, "personalize:ListNodes").await?;
    let this = api.catalog.node();
    let show = |row: NodeRow| Node {
        is_this: row.id == this,
        node_id: row.id,
        name: row.about.name,
        url: row.about.url,
        version: row.about.version,
        started_at: rfc3339(row.started_ms),
        jobs: row.jobs,
    };
    Ok(Listed { nodes: api.catalog.nodes().await?.into_iter().map(show).collect() })
}
