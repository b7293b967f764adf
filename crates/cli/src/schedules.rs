//! `lade schedules`: exports that the server makes again and again.

use std::process::ExitCode;

use clap::ValueEnum;
use model::error::Result;
use serde_json::{Value, json};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::client::server::Choice;
use crate::serve;

/// Options of `lade schedules`.
#[derive(clap::Args)]
#[command(after_help = "Schedules are made by `lade apply`.\n\nExamples:
  lade schedules
  lade schedules show nightly
  lade schedules run-now nightly")]
pub struct Args {
    /// What to do with one schedule [default: list all]
    #[arg(value_enum, requires = "name")]
    action: Option<Action>,

    /// Name of the schedule
    name: Option<String>,

    /// Print JSON, one schedule a line
    #[arg(long)]
    json: bool,

    #[command(flatten)]
    server: Choice,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Action {
    /// Show all that is known of it
    Show,
    /// Make an export at once; the next instant stays
    RunNow,
    /// Make no exports until it is resumed
    Pause,
    /// Go on with the next instant from now
    Resume,
    /// Forget it; its exports stay
    Delete,
}

pub fn run(args: &Args) -> ExitCode {
    let done = serve::runtime().and_then(|runtime| runtime.block_on(schedules(args)));
    done.map_or_else(|error| crate::failed(&error), |()| ExitCode::SUCCESS)
}

async fn schedules(args: &Args) -> Result<()> {
    let client = args.server.client("PERSONALIZE")?;
    let (Some(action), Some(name)) = (args.action, &args.name) else {
        for schedule in client.schedules().await? {
            crate::say!("{}", if args.json { schedule.to_string() } else { line(&schedule) });
        }
        return Ok(());
    };
    let schedule = match action {
        Action::Show => client.schedule(name).await?,
        Action::Pause => client.tell_schedule(name, "pause").await?,
        Action::Resume => client.tell_schedule(name, "resume").await?,
        Action::RunNow => {
            let made = client.tell_schedule(name, "run").await?;
            let arn = made["datasetExportJobArn"].as_str().unwrap_or_default();
            crate::say!("{}", if args.json { made.to_string() } else { arn.to_owned() });
            return Ok(());
        }
        Action::Delete => {
            client.delete_schedule(name).await?;
            crate::say!("{}", if args.json { json!({ "name": name }).to_string() } else { deleted(name) });
            return Ok(());
        }
    };
    crate::say!("{}", if args.json { schedule.to_string() } else { whole(&schedule) });
    Ok(())
}

fn deleted(name: &str) -> String {
    format!("{name} is deleted; its exports stay")
}

/// One line: when it runs, when next, and what became of the last export.
fn line(schedule: &Value) -> String {
    let text = |member: &str| schedule[member].as_str().unwrap_or("-");
    let next = match time(&schedule["nextAt"]) {
        Some(next) => format!("next {next}"),
        None => "paused".to_owned(),
    };
    let trouble = schedule["trouble"].as_str().map(|why| format!("  ! {why}")).unwrap_or_default();
    format!("{}  {} {}  {next}  {}{trouble}", text("name"), text("cron"), text("timeZone"), last(schedule))
}

fn last(schedule: &Value) -> String {
    let job = &schedule["lastJob"];
    let (Some(status), Some(at)) = (job["status"].as_str(), time(&job["creationDateTime"])) else {
        return "no export yet".to_owned();
    };
    let reason = job["failureReason"].as_str().map(|why| format!(": {why}")).unwrap_or_default();
    format!("last {at} {status}{reason}")
}

fn whole(schedule: &Value) -> String {
    let text = |member: &str| schedule[member].as_str().unwrap_or("-");
    let destination = &schedule["jobOutput"]["s3DataDestination"];
    let kept = match &schedule["keep"] {
        Value::Null => "all exports are kept".to_owned(),
        keep if keep["exports"].is_u64() => format!("the last {} exports are kept", keep["exports"]),
        keep => format!("exports of the last {} days are kept", keep["days"]),
    };
    let mut told = format!(
        "{}\n  {}  {}\n  to {}  as {}\n  {kept}; missed instants: {}\n  made by {}\n",
        line(schedule),
        text("datasetArn"),
        text("ingestionMode"),
        destination["path"].as_str().unwrap_or("-"),
        text("roleArn"),
        text("missed"),
        text("createdBy"),
    );
    if let Some(key) = destination["kmsKeyArn"].as_str() {
        told.push_str(&format!("  under the key {key}\n"));
    }
    for tag in schedule["tags"].as_array().into_iter().flatten() {
        let part = |member: &str| tag[member].as_str().unwrap_or_default();
        told.push_str(&format!("  tag {}={}\n", part("tagKey"), part("tagValue")));
    }
    if let Some(arn) = schedule["lastJob"]["datasetExportJobArn"].as_str() {
        told.push_str(&format!("  {arn}\n"));
    }
    told.trim_end().to_owned()
}

/// Seconds of the epoch as a person reads them, in UTC.
fn time(seconds: &Value) -> Option<String> {
    #[expect(clippy::cast_possible_truncation, reason = "seconds of this era are small numbers")]
    let seconds = seconds.as_f64()? as i64;
    OffsetDateTime::from_unix_timestamp(seconds).ok()?.format(&Rfc3339).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_tells_what_comes_next_and_what_was_last() {
        let mut schedule = json!({"name": "nightly", "cron": "0 2 * * *", "timeZone": "UTC", "nextAt": 1_795_485_600,
            "lastJob": {"status": "ACTIVE", "creationDateTime": 1_795_399_201.5}, "trouble": null});
        assert_eq!(
            line(&schedule),
            "nightly  0 2 * * * UTC  next 2026-11-24T02:00:00Z  last 2026-11-23T02:00:01Z ACTIVE"
        );
        schedule["nextAt"] = Value::Null;
        schedule["lastJob"] = Value::Null;
        schedule["trouble"] = json!("no role");
        assert_eq!(line(&schedule), "nightly  0 2 * * * UTC  paused  no export yet  ! no role");
    }
}
