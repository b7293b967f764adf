//! `lade bench put`: what is asked for, and the order of things: find the dataset, put, prove, tell.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use model::Clock;
use model::clock::SystemClock;
use model::error::{Context, Error, ErrorKind, Result};

use super::load::Load;
use super::proof;
use super::records::Records;
use super::report::Report;
use crate::client::Client;
use crate::client::place::Place;
use crate::client::schema::Dataset;
use crate::client::server::Server;
use crate::{say, say_text};

/// Where the server reads a call and does nothing with it.
const NOTHING: &str = crate::serve::LIVE;

/// Options of `lade bench put`.
#[derive(clap::Args)]
#[command(
    group(clap::ArgGroup::new("target").required(true)),
    after_help = "Examples:
  lade bench put --tracking-id 11111111-2222-4333-8444-555555555555 --seconds 60 --json
  lade bench put --dataset-arn arn:aws:personalize:us-east-1:000000000000:dataset/shop/ITEMS --verify"
)]
pub struct Args {
    /// Put events under this tracking id
    #[arg(long, value_name = "ID", group = "target")]
    tracking_id: Option<String>,

    /// Put items or users to this dataset
    #[arg(long, value_name = "ARN", group = "target")]
    dataset_arn: Option<String>,

    /// How long new calls are made
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..=86_400))]
    seconds: u64,

    /// Calls that wait for their answer at the same time, each on a connection of its own
    #[arg(long, default_value_t = 64, value_parser = clap::value_parser!(u16).range(1..=4096))]
    clients: u16,

    /// Records a second, on a schedule that does not wait for answers [default: as many as the server takes]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    rate: Option<u32>,

    /// Records in each call
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..=10))]
    per_call: u64,

    /// Send the same calls to an operation that does nothing
    #[arg(long, conflicts_with_all = ["verify", "to", "role_arn"])]
    no_op: bool,

    /// Export the records and check that each acknowledged one is there
    #[arg(long)]
    verify: bool,

    /// Where the export goes [default: a bucket and role made for it and removed again]
    #[arg(long, value_name = "s3://BUCKET/PREFIX/", requires = "role_arn", requires = "verify")]
    to: Option<String>,

    /// The role that may write there
    #[arg(long, value_name = "ARN", requires = "to")]
    role_arn: Option<String>,

    /// Print one line of JSON, the last one
    #[arg(long)]
    json: bool,

    /// Data folder of the running server [default: the server of AWS_ENDPOINT_URL, else of lade in the user's data folder]
    #[arg(long, env = "LADE_DATA_DIR", value_name = "DIR")]
    data_dir: Option<PathBuf>,

    /// File with the authorities to trust where the address is https://… [default: AWS_CA_BUNDLE, the running server's
    /// own, else those that the system knows]
    #[arg(long, env = "LADE_CA_FILE", value_name = "FILE")]
    ca_file: Option<PathBuf>,
}

/// Puts until the time is over, then proves and tells.
pub fn run(args: &Args) -> ExitCode {
    // One thread: the server is on the same machine, as a rule, and needs the others.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.unavailable(|| "start a thread for the load".to_owned());
    let report = match runtime.and_then(|runtime| runtime.block_on(put(args))) {
        Ok(report) => report,
        Err(error) => return crate::failed(&error),
    };
    say_text!("{}", report.table());
    if args.json {
        say!("{}", serde_json::json!(report));
    }
    if report.is_good() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

async fn put(args: &Args) -> Result<Report> {
    let mut server = Server::find(args.data_dir.clone(), None)?;
    if args.ca_file.is_some() {
        server.ca_file.clone_from(&args.ca_file);
    }
    let client = server.client()?;
    let given = args.to.as_deref().zip(args.role_arn.as_deref());
    let given = given.map(|(to, role_arn)| Place::given(to, role_arn)).transpose()?;
    let dataset = dataset(args, &client).await?;
    let run = (&SystemClock as &dyn Clock).hex(8);
    let load = load(args, server, records(args, &run, dataset.as_ref())?)?;
    let outcome = load.run().await;
    if let Some(why) = &outcome.first_failure {
        eprintln!("lade: {} calls failed, the first with: {why}", outcome.failed);
    }
    let mut report = Report::new(&outcome, args.no_op);
    if let Some(Dataset { arn, .. }) = dataset.as_ref().filter(|_| args.verify) {
        let place = match &given {
            Some(place) => place.clone(),
            None => Place::make(&client, &format!("lade-bench-{run}")).await?,
        };
        report.proof = Some(proof::prove(&client, arn, &run, &place, &outcome).await?);
        if given.is_none() {
            place.remove(&client).await?;
        }
    }
    Ok(report)
}

// A key that may put events need not be one that may look around: without the dataset, events are plain.
async fn dataset(args: &Args, client: &Client) -> Result<Option<Dataset>> {
    let found = match (&args.tracking_id, &args.dataset_arn) {
        (Some(id), _) => Dataset::of_tracker(client, id).await,
        (None, Some(arn)) => return Dataset::by_arn(client, arn).await.map(Some),
        (None, None) => return Err(Error::invalid("Name a tracking id or a dataset.")),
    };
    match found {
        Err(cause) if matches!(cause.kind, ErrorKind::Denied | ErrorKind::Invalid) && !args.verify => {
            eprintln!("lade: events are put without properties: {}", cause.chain());
            Ok(None)
        }
        found => found.map(Some),
    }
}

fn records(args: &Args, run: &str, dataset: Option<&Dataset>) -> Result<Records> {
    match (&args.tracking_id, dataset) {
        (Some(id), dataset) => Ok(Records::events(run, id, args.per_call, dataset)),
        (None, Some(dataset)) => Records::things(run, args.per_call, dataset),
        (None, None) => Err(Error::invalid("Name a tracking id or a dataset.")),
    }
}

#[expect(clippy::cast_precision_loss, reason = "ten at most")]
fn load(args: &Args, server: Server, records: Records) -> Result<Load> {
    Ok(Load {
        connector: server.connector()?,
        server,
        path: if args.no_op { NOTHING } else { records.path() },
        clients: usize::from(args.clients),
        calls_per_s: args.rate.map(|rate| f64::from(rate) / args.per_call as f64),
        lasts: Duration::from_secs(args.seconds),
        records,
    })
}
