//! `lade nodes`: the servers that work on one catalog.

use std::process::ExitCode;

use http::Method;
use model::error::Result;
use serde_json::Value;

use crate::client::server::Choice;
use crate::say;
use crate::serve;

/// Options of `lade nodes`.
#[derive(clap::Args)]
#[command(after_help = "Examples:
  lade nodes
  lade nodes --json")]
pub struct Args {
    /// Print JSON, one node a line
    #[arg(long)]
    json: bool,

    #[command(flatten)]
    server: Choice,
}

pub fn run(args: &Args) -> ExitCode {
    let done = serve::runtime().and_then(|runtime| runtime.block_on(list(args)));
    done.map_or_else(|error| crate::failed(&error), |()| ExitCode::SUCCESS)
}

async fn list(args: &Args) -> Result<()> {
    let client = args.server.client("PERSONALIZE")?;
    let answer = client.lade(Method::GET, "/nodes").await?;
    for node in answer["nodes"].as_array().map(Vec::as_slice).unwrap_or_default() {
        say!("{}", if args.json { node.to_string() } else { line(node) });
    }
    Ok(())
}

fn line(node: &Value) -> String {
    let text = |member: &str| node[member].as_str().unwrap_or("-");
    let jobs = node["jobs"].as_array().map(Vec::as_slice).unwrap_or_default();
    let mut line = format!(
        "{}  {}  version {}  since {}  {} jobs",
        text("name"),
        text("url"),
        text("version"),
        text("startedAt"),
        jobs.len()
    );
    jobs.iter().filter_map(Value::as_str).for_each(|arn| line.push_str(&format!("\n  {arn}")));
    line
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::line;

    #[test]
    fn a_node_is_shown_with_the_jobs_that_it_runs() {
        let node =
            json!({"name": "a", "url": "http://a:1", "version": "1", "startedAt": "now", "jobs": ["arn"]});
        assert_eq!(line(&node), "a  http://a:1  version 1  since now  1 jobs\n  arn");
    }
}
