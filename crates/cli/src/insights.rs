//! `lade insights`: analyzes the data of a dataset group and tells what to mend.

mod show;

use std::process::ExitCode;

use model::error::{Error, ErrorKind, Result};
use serde::Deserialize;
use serde_json::Value;

use crate::client::Client;
use crate::client::server::Choice;
use crate::job::Progress;
use crate::job::watch::{POLL, SILENCE_POLLS, Screen};
use crate::serve;
use crate::{say, say_text};

/// Options of `lade insights`.
#[derive(clap::Args)]
#[command(
    after_help = "Shows what the last analysis found; where there is none, or with --refresh, one is run first.\n\nExamples:
  lade insights shop
  lade insights arn:aws:personalize:us-east-1:000000000000:dataset-group/shop --refresh --json"
)]
pub struct Args {
    /// Name or ARN of the dataset group
    group: String,

    /// Analyze the data anew, also where there is a result
    #[arg(long)]
    refresh: bool,

    /// Print what the server found as JSON
    #[arg(long)]
    json: bool,

    #[command(flatten)]
    server: Choice,
}

/// An analysis as the server shows it, and the text it was read from, which `--json` prints.
pub struct Analysis {
    pub raw: Value,
    pub members: Members,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Members {
    pub dataset_group_arn: String,
    pub status: String,
    pub failure_reason: Option<String>,
    pub progress: Option<Rows>,
    pub result: Option<Made>,
    pub datasets: Vec<Dataset>,
    pub insights: Vec<Insight>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Rows {
    rows_done: u64,
    rows_total: Option<u64>,
}

/// When and of what the result was made.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Made {
    /// Seconds after the epoch.
    pub taken_at: f64,
    pub rows: u64,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Dataset {
    pub dataset_type: String,
    pub rows: u64,
    pub rows_with_missing_values: u64,
    pub distinct_users: Option<Count>,
    pub distinct_items: Option<Count>,
    pub distinct_actions: Option<Count>,
    pub time_span: Option<TimeSpan>,
    pub columns: Vec<Column>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Count {
    pub count: u64,
    pub is_estimate: bool,
}

#[derive(Debug, Deserialize)]
pub struct TimeSpan {
    pub first: i64,
    pub last: i64,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Column {
    pub name: String,
    #[serde(rename = "type")]
    pub kind: String,
    pub complete: f64,
    pub distinct: u64,
    pub estimates: Vec<String>,
    pub min: Value,
    pub max: Value,
    pub quartiles: Option<[f64; 3]>,
    pub top: Option<Vec<Top>>,
}

#[derive(Debug, Deserialize)]
pub struct Top {
    pub value: String,
    pub count: u64,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Insight {
    pub code: String,
    pub severity: String,
    pub dataset_type: String,
    pub text: String,
    pub action: String,
}

impl Analysis {
    pub fn read(raw: Value) -> Result<Analysis> {
        let members = Members::deserialize(&raw).map_err(|e| {
            Error::unavailable("the server's description of an analysis can't be read").caused_by(e)
        })?;
        Ok(Analysis { raw, members })
    }

    fn is_open(&self) -> bool {
        matches!(self.members.status.as_str(), "CREATE PENDING" | "CREATE IN_PROGRESS")
    }
}

/// Exits with 1 when the analysis failed.
pub fn run(args: &Args) -> ExitCode {
    let done = serve::runtime().and_then(|runtime| runtime.block_on(insights(args)));
    done.map_or_else(|error| crate::failed(&error), |()| ExitCode::SUCCESS)
}

async fn insights(args: &Args) -> Result<()> {
    let client = args.server.client("PERSONALIZE")?;
    let group = client.group_arn(&args.group).await?;
    let known = client.analysis(&group).await?;
    let known = if args.refresh || known.members.result.is_none() {
        client.begin_analysis(&group).await?;
        until_over(&client, &group).await?
    } else {
        known
    };
    if args.json {
        say!("{}", known.raw);
    } else {
        say_text!("{}", show::whole(&known.members));
    }
    Ok(())
}

/// Shows how far the analysis is until it has ended, and gives it.
///
/// # Errors
/// The reason of one that failed.
async fn until_over(client: &Client, group: &str) -> Result<Analysis> {
    let mut screen = Screen::new();
    let ended = follow(client, group, &mut screen).await;
    screen.clear();
    let ended = ended?;
    match ended.members.status.as_str() {
        "ACTIVE" => Ok(ended),
        "CREATE FAILED" => {
            let reason = ended.members.failure_reason.as_deref().unwrap_or("no reason was given");
            Err(Error::invalid(format!("the analysis failed: {reason}")))
        }
        _ => Err(Error::unavailable("records went while they were analyzed; ask again")),
    }
}

async fn follow(client: &Client, group: &str, screen: &mut Screen) -> Result<Analysis> {
    let mut silent = 0;
    loop {
        match client.analysis(group).await {
            Ok(analysis) if !analysis.is_open() => return Ok(analysis),
            Ok(analysis) => {
                silent = 0;
                let progress = progress(&analysis.members);
                screen.show(show::line(&analysis.members), progress.permille());
            }
            Err(cause) if cause.kind == ErrorKind::Unavailable && silent < SILENCE_POLLS => silent += 1,
            Err(cause) => return Err(cause),
        }
        tokio::time::sleep(POLL).await;
    }
}

fn progress(members: &Members) -> Progress {
    let rows = members.progress.as_ref();
    Progress {
        rows_done: rows.map_or(0, |rows| rows.rows_done),
        rows_total: rows.and_then(|rows| rows.rows_total),
        ..Progress::default()
    }
}
