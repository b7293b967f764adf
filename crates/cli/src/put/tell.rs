//! What `lade put` shows: a bar while it goes on, and at its end how many records are there.

use std::process::ExitCode;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};
use model::error::{Error, Result};
use serde_json::json;

use super::Args;
use super::send::{Counts, Done};
use super::source::Input;
use crate::job::show::number;
use crate::say;

/// A bar over the bytes of all inputs; drawn on a terminal only.
pub fn bar(inputs: &[Input]) -> ProgressBar {
    let size_bytes: Option<u64> = inputs.iter().map(Input::size_bytes).sum();
    let (bar, template) = match size_bytes {
        Some(size_bytes) => (ProgressBar::new(size_bytes), "{wide_bar} {percent} %, {msg}, {eta} left"),
        None => (ProgressBar::new_spinner(), "{spinner} {msg}"),
    };
    if let Ok(style) = ProgressStyle::with_template(template) {
        bar.set_style(style);
    }
    bar
}

/// How many records are there, and how many a second came.
pub fn so_far(counts: &Counts, lasted: Duration) -> String {
    let acknowledged = of(&counts.acknowledged);
    format!("{} rows, {} rows/s", number(acknowledged), number(per_second(acknowledged, lasted)))
}

/// Tells what came of it; exits with 1 when a record is not there.
pub fn tell(args: &Args, path: &str, operation: &str, done: Done) -> Result<ExitCode> {
    let counts = &done.counts;
    let (read, acknowledged, filled) = (of(&counts.read), of(&counts.acknowledged), of(&counts.filled));
    let event_type = args.event_type.as_deref().unwrap_or("unknown");
    if args.json {
        let told = json!({
            "datasetArn": args.dataset_arn, "operation": operation, "rowsRead": read, "rowsAcknowledged": acknowledged,
            "calls": of(&counts.calls), "callsRepeated": of(&counts.repeated), "eventTypesFilled": filled,
            "seconds": done.lasted.as_secs_f64(), "rowsPerSecond": per_second(acknowledged, done.lasted),
            "failure": done.failure.as_ref().map(Error::chain),
        });
        say!("{told}");
    } else if done.failure.is_none() {
        let (calls, repeated) = (number(of(&counts.calls)), of(&counts.repeated));
        let again = if repeated == 0 { String::new() } else { format!(", {} sent again", number(repeated)) };
        let (what, seconds) = (path.trim_start_matches('/').replace('-', " "), done.lasted.as_secs_f64());
        let rate = number(per_second(acknowledged, done.lasted));
        say!("{} {what} put in {seconds:.1} s, {rate} rows/s, {calls} calls{again}", number(acknowledged));
    }
    if filled > 0 {
        eprintln!("{} rows had no EVENT_TYPE and were put as {event_type}", number(filled));
    }
    let Some(failure) = done.failure else { return Ok(ExitCode::SUCCESS) };
    eprintln!("{} of {} rows that were read are acknowledged", number(acknowledged), number(read));
    Err(failure)
}

fn of(count: &AtomicU64) -> u64 {
    count.load(Ordering::Relaxed)
}

fn per_second(rows: u64, lasted: Duration) -> u64 {
    (rows as f64 / lasted.as_secs_f64().max(0.001)) as u64
}
