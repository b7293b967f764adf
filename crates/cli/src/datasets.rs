//! `lade datasets`: what datasets hold, and what is put to them.

use std::process::ExitCode;

use model::error::{Context, Result};
use serde::Deserialize;
use serde_json::Value;
use time::OffsetDateTime;
use time::macros::format_description;

use crate::client::server::Choice;
use crate::serve;
use crate::{say, say_text};

const HEAD: [&str; 8] = ["DATASET", "BULK", "PUT", "WAITING", "BYTES", "FILES", "PUTS TODAY", "LAST PUT"];

/// Options of `lade datasets`.
#[derive(clap::Args)]
#[command(
    after_help = "BULK and PUT are records as they arrived, WAITING those that are in no run yet, BYTES the size of the \
    runs and FILES their number; days and times are UTC.\n\nExamples:
  lade datasets
  lade datasets shop --json"
)]
pub struct Args {
    /// Name or ARN of a dataset group [default: all datasets]
    group: Option<String>,

    /// Print JSON, one dataset a line
    #[arg(long)]
    json: bool,

    #[command(flatten)]
    server: Choice,
}

/// What is shown of a dataset.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Dataset {
    dataset_arn: String,
    rows: Rows,
    bytes_at_rest: u64,
    files: u64,
    puts_today: u64,
    last_put_at: Option<f64>,
}

#[derive(Deserialize)]
struct Rows {
    bulk: u64,
    put: u64,
    waiting: u64,
}

pub fn run(args: &Args) -> ExitCode {
    let done = serve::runtime().and_then(|runtime| runtime.block_on(list(args)));
    done.map_or_else(|error| crate::failed(&error), |()| ExitCode::SUCCESS)
}

async fn list(args: &Args) -> Result<()> {
    let client = args.server.client("PERSONALIZE")?;
    let group = match &args.group {
        Some(group) => Some(client.group_arn(group).await?),
        None => None,
    };
    let datasets = client.datasets(group.as_deref()).await?;
    if args.json {
        datasets.iter().for_each(|dataset| say!("{dataset}"));
    } else if datasets.is_empty() {
        say!("There are no datasets.");
    } else {
        let cells = datasets.into_iter().map(cells).collect::<Result<Vec<_>>>()?;
        say_text!("{}", table(&HEAD.map(str::to_owned), &cells));
    }
    Ok(())
}

fn cells(dataset: Value) -> Result<[String; 8]> {
    let reading = || "read what the server tells of a dataset".to_owned();
    let dataset: Dataset = serde_json::from_value(dataset).unavailable(reading)?;
    let Rows { bulk, put, waiting } = dataset.rows;
    let name = dataset.dataset_arn.split_once(":dataset/").map_or(dataset.dataset_arn.as_str(), |(_, n)| n);
    let numbers = [bulk, put, waiting, dataset.bytes_at_rest, dataset.files, dataset.puts_today];
    let [bulk, put, waiting, bytes, files, puts] = numbers.map(|number| number.to_string());
    Ok([name.to_owned(), bulk, put, waiting, bytes, files, puts, time(dataset.last_put_at)])
}

fn time(at: Option<f64>) -> String {
    let form = format_description!("[year]-[month]-[day] [hour]:[minute]:[second]");
    let at = at.and_then(|at| OffsetDateTime::from_unix_timestamp(at as i64).ok());
    at.and_then(|at| at.format(form).ok()).unwrap_or_else(|| "-".to_owned())
}

// Names on the left, numbers and times to the right.
fn table(head: &[String; 8], rows: &[[String; 8]]) -> String {
    let width = |n: usize| rows.iter().chain([head]).map(|row| row[n].len()).max().unwrap_or(0);
    let widths: [usize; 8] = std::array::from_fn(width);
    let mut text = String::new();
    for row in [head].into_iter().chain(rows) {
        text.push_str(&format!("{:<width$}", row[0], width = widths[0]));
        for (cell, width) in row.iter().zip(widths).skip(1) {
            text.push_str(&format!("  {cell:>width$}"));
        }
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_table_has_a_line_for_each_dataset() {
        let dataset = |name: &str, put: u64, at: Option<f64>| {
            json!({"datasetArn": format!("arn:aws:personalize:r:0:dataset/{name}"), "bytesAtRest": 12345, "files": 2,
                "rows": {"bulk": 1_000_000, "put": put, "waiting": 7}, "putsToday": 3, "lastPutAt": at})
        };
        let rows = [
            cells(dataset("shop/INTERACTIONS", 5, Some(1_790_000_000.0))),
            cells(dataset("shop/ITEMS", 0, None)),
        ];
        let rows = rows.map(|row| row.unwrap());
        let wanted = "\
DATASET               BULK  PUT  WAITING  BYTES  FILES  PUTS TODAY             LAST PUT
shop/INTERACTIONS  1000000    5        7  12345      2           3  2026-09-21 14:13:20
shop/ITEMS         1000000    0        7  12345      2           3                    -
";
        assert_eq!(table(&HEAD.map(str::to_owned), &rows), wanted);
    }
}
