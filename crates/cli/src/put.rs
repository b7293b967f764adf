//! `lade put`: puts the records of files live into a dataset, as any client would: ten a call, over several connections.

mod failures;
mod feed;
mod gather;
mod mapping;
mod patience;
mod send;
mod source;
mod tell;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::ValueEnum;
use model::error::{Error, ErrorKind, Result};
use model::{DatasetType, Layout};

use crate::client::Client;
use crate::client::schema::{Dataset, tracking_id_of};
use crate::client::server::Choice;
use crate::serve;
use mapping::Mapping;
use source::{Fields, Input};

/// Options of `lade put`.
#[derive(clap::Args)]
#[command(after_help = "\
The first line of a CSV file names columns of the dataset's schema; others are left out, and those that can be null may be
missing. Each answered call is on the server's disk.

When the command finds a row wrong, all rows before it are put, and none behind it. When the server refuses one, all rows before
it are put, and some behind it may be: mend it and put the file again, whole or from that line on. When anything else ends the
command, put the whole file again. What is put twice is there once.

Interactions go to the event tracker of the dataset's group: USER_ID, ITEM_ID, EVENT_TYPE, EVENT_VALUE, TIMESTAMP,
RECOMMENDATION_ID, IMPRESSION (ids with bars between them) and EVENT_ATTRIBUTION_SOURCE become the members of events, SESSION_ID
their session (without it, the user's id is), every other column a property.

Examples:
  lade put arn:aws:personalize:us-east-1:000000000000:dataset/shop/INTERACTIONS --from-csv clicks.csv
  lade put arn:aws:personalize:us-east-1:000000000000:dataset/shop/ITEMS --record '{\"ITEM_ID\": \"i1\", \"PRICE\": 9.75}'
  lade put arn:aws:personalize:us-east-1:000000000000:dataset/shop/USERS --from-jsonl - --json")]
pub struct Args {
    /// ARN of the dataset
    dataset_arn: String,

    /// CSV file, - for standard input; may be given several times
    #[arg(long, value_name = "FILE", required_unless_present_any = ["from_jsonl", "record"])]
    from_csv: Vec<PathBuf>,

    /// File with an object of JSON on each line, its keys the dataset's columns; - for standard input
    #[arg(long, value_name = "FILE")]
    from_jsonl: Vec<PathBuf>,

    /// One record as an object of JSON; may be given several times
    #[arg(long, value_name = "JSON")]
    record: Vec<String>,

    /// Tracking id for interactions [default: that of the event tracker in the dataset's group, or the dataset's own]
    #[arg(long, value_name = "ID")]
    tracking_id: Option<String>,

    /// EVENT_TYPE of interactions that have none [default: unknown; action interactions need one]
    #[arg(long, value_name = "NAME")]
    event_type: Option<String>,

    /// How quotes in CSV are escaped: \" as imports have it (aws), "" as exports are written (rfc4180); aws reads "" as well
    #[arg(long, value_name = "DIALECT", default_value = "aws", value_enum)]
    dialect: Dialect,

    /// Connections, each with one call at a time; records of one id all go over the same one, in their order
    #[arg(long, value_name = "N", default_value_t = 32, value_parser = clap::value_parser!(u16).range(1..=256))]
    connections: u16,

    /// Print what was done as JSON, also when it failed
    #[arg(long)]
    json: bool,

    #[command(flatten)]
    server: Choice,
}

/// `csv::Dialect` as it is spelled here.
#[derive(Clone, Copy, ValueEnum)]
enum Dialect {
    Aws,
    Rfc4180,
}

/// What is put, and how.
struct Work {
    inputs: Vec<Input>,
    fields: Fields,
    mapping: Mapping,
    dialect: csv::Dialect,
    connections: usize,
}

pub fn run(args: &Args) -> ExitCode {
    let done = serve::runtime().and_then(|runtime| {
        let done = runtime.block_on(put(args));
        // A reader may wait for standard input for ever.
        runtime.shutdown_background();
        done
    });
    done.unwrap_or_else(|error| crate::failed(&error))
}

async fn put(args: &Args) -> Result<ExitCode> {
    let client = args.server.client("PERSONALIZE_EVENTS")?;
    let asking = args.server.client("PERSONALIZE")?;
    let work = work(args, &asking).await?;
    let bar = tell::bar(&work.inputs);
    let (path, operation) = (work.mapping.path(), work.mapping.operation());
    let done = send::send(client, work, bar).await;
    tell::tell(args, path, operation, done)
}

async fn work(args: &Args, client: &Client) -> Result<Work> {
    let dataset = Dataset::by_arn(client, &args.dataset_arn).await?;
    let tracking_id = match dataset.dataset_type {
        DatasetType::Interactions | DatasetType::ActionInteractions => tracking_id(args, client).await?,
        _ if args.tracking_id.is_some() => {
            let kind = dataset.dataset_type.as_str();
            return Err(Error::invalid(format!(
                "--tracking-id is for interactions; this dataset is of type {kind}"
            )));
        }
        _ => String::new(),
    };
    let layout = Layout::new(dataset.dataset_type, &dataset.schema);
    let mapping = Mapping::new(&layout, &dataset.arn, &tracking_id, args.event_type.as_deref());
    let csv = args.from_csv.iter().cloned().map(Input::Csv);
    let jsonl = args.from_jsonl.iter().cloned().map(Input::Jsonl);
    Ok(Work {
        inputs: csv.chain(jsonl).chain(args.record.iter().cloned().map(Input::Record)).collect(),
        fields: Fields::new(&layout, mapping.fills_event_types()),
        mapping,
        dialect: match args.dialect {
            Dialect::Aws => csv::Dialect::Aws,
            Dialect::Rfc4180 => csv::Dialect::Rfc4180,
        },
        connections: usize::from(args.connections),
    })
}

// A tracker decides where its events go, so one of another group is refused. A key that may put events need not be one
// that may look at trackers: then the id is taken at its word.
async fn tracking_id(args: &Args, client: &Client) -> Result<String> {
    let found = match (tracking_id_of(client, &args.dataset_arn).await, &args.tracking_id) {
        (Err(cause), Some(given)) if cause.kind == ErrorKind::Denied => return Ok(given.clone()),
        (found, _) => found?,
    };
    match (found, &args.tracking_id) {
        (Some(found), Some(given)) if found != *given => Err(Error::invalid(format!(
            "events of the tracking id {given} do not go to this dataset: that of its group is {found}"
        ))),
        (Some(found), _) => Ok(found),
        (None, _) => Err(Error::invalid(format!(
            "the dataset group of {} has no event tracker: make one by CreateEventTracker (aws personalize create-event-tracker)",
            args.dataset_arn
        ))),
    }
}
