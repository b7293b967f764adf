//! `lade records`: some records of a dataset, as CSV or as the server tells them.

use std::process::ExitCode;

use model::error::{Context, Result};
use model::record::Value as Stored;
use serde::Deserialize;
use serde_json::json;

use crate::client::server::Choice;
use crate::serve;
use crate::{say, say_text};

/// Options of `lade records`.
#[derive(clap::Args)]
#[command(
    after_help = "With --id the newest come first; Interactions are found by their user or their item. Without it a few \
    records show what the dataset holds: the newest put ones, and some of those that were imported.\n\nExamples:
  lade records arn:aws:personalize:us-east-1:000000000000:dataset/shop/ITEMS
  lade records arn:aws:personalize:us-east-1:000000000000:dataset/shop/INTERACTIONS --id u-17 --limit 100"
)]
pub struct Args {
    /// ARN of the dataset
    dataset_arn: String,

    /// Id of a user, item or action
    #[arg(long)]
    id: Option<String>,

    /// Only records that came this way
    #[arg(long, default_value = "ALL", value_parser = ["ALL", "BULK", "PUT"])]
    origin: String,

    /// The most records, up to 1,000
    #[arg(long, default_value_t = 20)]
    limit: usize,

    /// Print JSON: one line with columns and records
    #[arg(long)]
    json: bool,

    #[command(flatten)]
    server: Choice,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Found {
    columns: Vec<String>,
    records: Vec<Record>,
    has_more: bool,
}

#[derive(Deserialize)]
struct Record {
    values: Vec<Option<String>>,
    origin: String,
}

pub fn run(args: &Args) -> ExitCode {
    let done = serve::runtime().and_then(|runtime| runtime.block_on(show(args)));
    done.map_or_else(|error| crate::failed(&error), |()| ExitCode::SUCCESS)
}

async fn show(args: &Args) -> Result<()> {
    let mut body = json!({ "datasetArn": args.dataset_arn, "origin": args.origin, "limit": args.limit });
    if let Some(id) = &args.id {
        body["id"] = id.as_str().into();
    }
    let answer = args.server.client("PERSONALIZE")?.records(&body).await?;
    if args.json {
        say!("{answer}");
        return Ok(());
    }
    let found: Found =
        serde_json::from_value(answer).unavailable(|| "read what the server found".to_owned())?;
    say_text!("{}", text(&found));
    if found.has_more {
        eprintln!("There are more; --limit shows up to 1,000.");
    }
    Ok(())
}

// The origin comes last, where an export has it, too.
fn text(found: &Found) -> String {
    let mut text = Vec::new();
    let columns = found.columns.iter().map(String::as_str);
    csv::write::write_header(columns.chain(["_ORIGIN"]), &mut text);
    for record in &found.records {
        let value = |value: &Option<String>| match value {
            Some(text) => Stored::String(text.clone().into()),
            None => Stored::Null,
        };
        let origin = Stored::String(record.origin.as_str().into());
        let values: Vec<Stored<'_>> = record.values.iter().map(value).chain([origin]).collect();
        csv::write::write_record(&values, &mut text);
    }
    String::from_utf8_lossy(&text).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_are_printed_as_csv_with_their_origin() {
        let answer = json!({"columns": ["ITEM_ID", "NAME"], "hasMore": false, "records": [
            {"values": ["i", "a,b"], "origin": "PUT", "sequence": 2},
            {"values": ["i", null], "origin": "BULK", "sequence": 1}]});
        let found: Found = serde_json::from_value(answer).unwrap();
        assert_eq!(text(&found), "ITEM_ID,NAME,_ORIGIN\ni,\"a,b\",PUT\ni,,BULK\n");
    }
}
