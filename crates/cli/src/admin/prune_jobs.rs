//! `lade admin prune-jobs`: removes jobs that ended long ago, once it was told to.

use std::process::ExitCode;

use http::Method;
use model::error::Result;
use serde_json::{Value, json};

use super::span::Span;
use crate::client::Client;
use crate::client::server::Choice;
use crate::serve;

/// Options of `lade admin prune-jobs`.
#[derive(clap::Args)]
#[command(
    after_help = "Without --yes nothing is removed: what would go is counted. Jobs that have not ended are never touched, nor is \
    the last import that filled a dataset. Data stays as it is; what goes is the memory of jobs: their state, ledgers, events, \
    reject reports, evidence and tags.\n\nExamples:
  lade admin prune-jobs --older-than 90d
  lade admin prune-jobs --older-than 90d --yes"
)]
pub struct Args {
    /// Jobs that ended at least so long ago, such as 90d
    #[arg(long, value_name = "SPAN")]
    older_than: Span,

    /// ARN of a dataset group: only its jobs and those of its datasets
    #[arg(long, value_name = "ARN")]
    dataset_group: Option<String>,

    /// Let their names be used again, also those of jobs that were removed before
    #[arg(long)]
    free_names: bool,

    /// Remove them
    #[arg(long)]
    yes: bool,

    /// Print the counts as JSON
    #[arg(long)]
    json: bool,

    #[command(flatten)]
    server: Choice,
}

pub fn run(args: &Args) -> ExitCode {
    let done = serve::runtime().and_then(|runtime| runtime.block_on(prune(args)));
    done.map_or_else(|error| crate::failed(&error), |()| ExitCode::SUCCESS)
}

async fn prune(args: &Args) -> Result<()> {
    let client = args.server.client("PERSONALIZE")?;
    let mut all = call(&client, args).await?;
    // Each call removes some, so that none takes long.
    while all["isComplete"] == json!(false) {
        let more = call(&client, args).await?;
        add(&mut all, &more);
        if !args.json {
            eprintln!("{} jobs removed", jobs(&all));
        }
    }
    if args.json {
        crate::say!("{all}");
    } else {
        print!("{}", shown(&all));
    }
    Ok(())
}

async fn call(client: &Client, args: &Args) -> Result<Value> {
    let mut body = json!({
        "olderThanSeconds": args.older_than.seconds,
        "freeNames": args.free_names,
        "dryRun": !args.yes,
    });
    if let Some(group) = &args.dataset_group {
        body["datasetGroupArn"] = json!(group);
    }
    client.lade_with(Method::POST, "/prunings", body.to_string().into()).await
}

/// Adds the numbers of a later call; what else it says takes the place of what was said.
fn add(all: &mut Value, more: &Value) {
    for (name, value) in more.as_object().into_iter().flatten() {
        match (all[name].as_u64(), value.as_u64()) {
            (Some(one), Some(other)) => all[name] = json!(one + other),
            _ if value.is_object() => add(&mut all[name], value),
            _ => all[name] = value.clone(),
        }
    }
}

fn jobs(all: &Value) -> u64 {
    all["jobs"].as_object().into_iter().flatten().filter_map(|(_, count)| count.as_u64()).sum()
}

fn shown(all: &Value) -> String {
    let is_dry = all["dryRun"] == json!(true);
    let ended = all["endedBefore"].as_str().unwrap_or_default();
    let kinds = [
        ("import", "imports"),
        ("export", "exports"),
        ("deletion", "data deletion jobs"),
        ("update", "updates of datasets"),
        ("analysis", "analyses"),
    ];
    let beside = [
        ("events", "events"),
        ("rejectReports", "reject reports"),
        ("rejectFiles", "files of rejected rows"),
        ("analysisResults", "results of analyses"),
        ("tags", "tags"),
        ("namesFreed", "names of jobs that were removed before"),
    ];
    let lines = kinds.iter().map(|(name, label)| (&all["jobs"][name], label));
    let lines = lines.chain(beside.iter().map(|(name, label)| (&all[name], label)));
    let lines = lines.filter_map(|(count, label)| Some((count.as_u64().filter(|count| *count > 0)?, label)));
    let lines: String = lines.map(|(count, label)| format!("{count:>10}  {label}\n")).collect();
    let total = jobs(all);
    match (lines.is_empty(), is_dry) {
        (true, _) => format!("No job that ended before {ended} is there to remove.\n"),
        (false, true) => {
            format!(
                "{total} jobs ended before {ended}. These would go:\n{lines}Nothing was removed: add --yes to do it.\n"
            )
        }
        (false, false) => format!("{total} jobs that ended before {ended} were removed:\n{lines}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(imports: u64, is_dry: bool) -> Value {
        json!({"dryRun": is_dry, "endedBefore": "T", "isComplete": true, "events": 2 * imports,
               "jobs": {"import": imports, "export": 0}})
    }

    #[test]
    fn counts_of_calls_add_up_and_what_is_nothing_is_not_told() {
        let mut all = answer(3, false);
        add(&mut all, &answer(4, false));
        assert_eq!((jobs(&all), &all["events"]), (7, &json!(14)));
        let told = shown(&all);
        assert!(
            told.starts_with("7 jobs that ended before T were removed:\n         7  imports\n"),
            "{told}"
        );
        assert!(told.contains("14  events") && !told.contains("exports"));
        assert!(shown(&answer(1, true)).contains("add --yes"));
        assert!(shown(&answer(0, true)).starts_with("No job"));
    }
}
